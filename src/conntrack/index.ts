/** ctnetlink: the connections that the kernel tracks, read, deleted and watched. */
export { ConntrackConn, deleteMatching } from './conn.ts';
export { CONNTRACK_GROUPS, conntrackDelete, conntrackDump, conntrackGet, decodeConntrack } from './entry.ts';
export type { ConntrackCounters, ConntrackEntry, ConntrackEvent, ConntrackFilter, ConntrackStatus } from './entry.ts';
export { matches } from './match.ts';
export type { ConntrackMatch } from './match.ts';
export type { ConntrackTuple, TuplePattern } from './tuple.ts';
