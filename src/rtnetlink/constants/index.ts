export * from './address.ts';
export * from './bridge.ts';
export * from './kinds.ts';
export * from './link.ts';
export * from './neighbour.ts';
export * from './nsid.ts';
export * from './rtnetlink.ts';
export * from './rule.ts';
