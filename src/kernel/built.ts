import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { NetloomError } from '../errors.ts';

/** What each program of native/ is, to whoever lacks it. */
const PROGRAMS = {
  'netloom-shim': 'the process shim',
  'netloom-call': 'the shim of calls',
  'netloom-line': 'the line of a lab',
} as const;

/** A program of native/: in a checkout where it was built, in a package where it came with. @throws NetloomError ENOSHIM */
export function builtProgram(name: keyof typeof PROGRAMS): string {
  for (const candidate of [`../../native/build/${name}`, `../../prebuilt/${process.arch}/${name}`]) {
    const path = fileURLToPath(new URL(candidate, import.meta.url));
    if (existsSync(path)) return path;
  }
  throw new NetloomError('ENOSHIM', `${PROGRAMS[name]} is not built`, { hint: 'run: sh native/build.sh' });
}
