import { NetloomError } from '../errors.ts';
import type { ChangeOptions, GcReport, Outcome } from '../model/index.ts';
import type { Core } from './core.ts';

export function collect(_core: Core, _options?: ChangeOptions): Promise<Outcome<GcReport>> {
  throw new NetloomError('EUNSUPPORTED', 'gc is not built yet');
}
