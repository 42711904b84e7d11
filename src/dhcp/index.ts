/** DHCP, both ends, and router advertisements. Messages and states are pure; client, keeper and responder do the I/O. */
export { type AcquireOptions, dhcpAcquire, type DhcpOptions, dhcpRelease, dhcpRenew } from './client.ts';
export { dhcp6Acquire, dhcp6Info, type Dhcp6Options, dhcp6Release, dhcp6Renew } from './client6.ts';
export { DhcpError, MalformedError } from './errors.ts';
export { DhcpKeeper, type KeepOptions, type LeaseListener } from './keeper.ts';
export { type DhcpLease, FOREVER } from './lease.ts';
export type { DhcpIdentity } from './machine.ts';
export type { Dhcp6Info, Dhcp6Lease } from './machine6.ts';
export type { DhcpRoute } from './option.ts';
export {
  type DhcpDirectory,
  DhcpResponder,
  type ResponderEvent,
  type ResponderNetwork,
  type ResponderOptions,
} from './responder.ts';
export type { RouterOptions } from './router.ts';
export type { DhcpAssignment, DhcpOutcome } from './server.ts';
