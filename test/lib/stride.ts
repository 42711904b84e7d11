import { readFileSync } from 'node:fs';

const HOST_USERS = readFileSync('/proc/self/uid_map', 'utf8').trim().endsWith(' 4294967295');
const ALL = process.env['NETLOOM_EVERY_FACT'] === '1';

/**
 * After which facts the tests kill: the first of them, and how far it is to the next. The two runs of the suite, as root and
 * in a user namespace, take every second of them between themselves; `NETLOOM_EVERY_FACT=1` makes each of them take all.
 */
export const FIRST: number = ALL || HOST_USERS ? 1 : 3;
export const STRIDE: number = ALL ? 1 : 4;
