/** rtnetlink(7): links, addresses, routes, policy rules, neighbours, FDB and namespace ids, under iproute2's names. */
export * from './address.ts';
export type { BridgePort, PortState } from './bridgeport.ts';
export { type Family, ipMessages } from './codec.ts';
export * from './constants/index.ts';
export * from './events.ts';
export * from './fdb.ts';
export * from './filter.ts';
export * from './kinds/index.ts';
export * from './link.ts';
export type { AddrGenMode, LinkAttributes, LinkBirth, LinkLater } from './linkbody.ts';
export * from './neighbour.ts';
export * from './notice.ts';
export * from './nsid.ts';
export * from './qdisc.ts';
export * from './route.ts';
export * from './rtnl.ts';
export * from './rule.ts';
export { linkKindUnsupported } from './unsupported.ts';
