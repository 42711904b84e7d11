import { NetloomError } from '../errors.ts';

/** The latest version of the specification that this library speaks. */
export const CURRENT_VERSION = '1.1.0';

/**
 * Orders two versions, of which parts may be missing (`1.0`): below zero, zero or above. Nothing at all is 0.1.0, as the
 * specification has it.
 * @throws NetloomError ECNICONFIG
 */
export function compareVersions(one: string, other: string): number {
  const [a, b] = [parts(one), parts(other)];
  for (let i = 0; i < 3; i++) if (a[i] !== b[i]) return (a[i] ?? 0) - (b[i] ?? 0);
  return 0;
}

function parts(version: string): number[] {
  if (version === '') return [0, 1, 0];
  if (!/^\d{1,9}(\.\d{1,9}){0,2}$/.test(version))
    throw new NetloomError('ECNICONFIG', `cniVersion: ${JSON.stringify(version)} is no version`, {
      hint: 'Versions of the specification are 0.1.0 to 1.1.0.',
    });
  const numbers = version.split('.').map(Number);
  return [numbers[0] ?? 0, numbers[1] ?? 0, numbers[2] ?? 0];
}
