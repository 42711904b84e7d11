import { NetloomError } from '../../errors.ts';
import { parseRate as parse } from '../../model/index.ts';
import { UsageError } from '../errors.ts';

export { rateText } from '../../model/index.ts';

/** `--ingress-rate`, `--egress-rate` in the words of tc(8). Bits per second. @throws UsageError */
export function parseRate(text: string): number {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof NetloomError) throw new UsageError(error.message, error.hint === '' ? undefined : error.hint);
    throw error;
  }
}
