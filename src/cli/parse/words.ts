import { constants } from 'node:os';
import { UsageError } from '../errors.ts';

/** Seconds for `stop -t`: a whole number, 0 for at once. @throws UsageError */
export function parseSeconds(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new UsageError(`"${text}" is no number of seconds`);
  return Number(text);
}

/** `--tail`: a count; -1 for `all`. @throws UsageError */
export function parseTail(text: string): number {
  if (text === 'all' || text === '-1') return -1;
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`"${text}" is no number of lines`, 'Give a number, or all.');
  return Number(text);
}

/** `--gw-priority`. @throws UsageError */
export function parseWhole(text: string): number {
  if (!/^-?\d{1,9}$/.test(text)) throw new UsageError(`"${text}" is no whole number`);
  return Number(text);
}

/** `--tap-uid`: a user by number, as `id -u` prints it. @throws UsageError */
export function parseUid(text: string): number {
  // (uid_t)-1 is nobody: chown(2)
  if (!/^\d{1,10}$/.test(text) || Number(text) >= 0xffffffff)
    throw new UsageError(`"${text}" is no user's number`, 'id -u USER prints it.');
  return Number(text);
}

/** `TERM`, `SIGTERM`, `15` → `SIGTERM`. @throws UsageError */
export function parseSignal(text: string): string {
  const names = Object.entries(constants.signals);
  const upper = text.toUpperCase();
  const found = names.find(([name, number]) => name === upper || name === `SIG${upper}` || String(number) === text);
  if (found === undefined)
    throw new UsageError(`"${text}" is no signal`, 'Write a name such as SIGTERM, or its number.');
  return found[0];
}
