/** A BGP speaker for a host. It knows no networks, only prefixes that it is given and routes that it tells of. */
export { pathText } from './as-path.ts';
export type { LearnedRoute } from './best.ts';
export type { NeighbourOptions, SpeakerOptions } from './config.ts';
export { BgpError } from './errors.ts';
export type { PeerState } from './machine.ts';
export type { Announcement } from './rib-out.ts';
export { Speaker, type SpeakerEvents } from './speaker.ts';
export type { NeighbourStatus } from './status.ts';
export type { RouteChange } from './table.ts';
