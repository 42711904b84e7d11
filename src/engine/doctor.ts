import { NetloomError } from '../errors.ts';
import type { DoctorReport } from '../model/index.ts';
import type { Core } from './core.ts';

export function examine(_core: Core, _checks: readonly string[]): Promise<DoctorReport> {
  throw new NetloomError('EUNSUPPORTED', 'doctor is not built yet');
}
