/** Other programs' firewalls: read, judged, and never changed. */
export { hostSays, type PublishedAsk, type TunnelAsk, untrackedRefusal } from './intent.ts';
export { legacyTables, type LegacyTables } from './legacy.ts';
export type { Question } from './packet.ts';
export { pathsOf, type Ways } from './paths.ts';
export { type ForeignFirewall, type ForeignTable, ForeignTables, readForeign } from './read.ts';
export { type ForeignVerdict, judge, type Path } from './verdict.ts';
