/** Flannel's keys in etcd: what a network of its is, who is in it, and a place of our own. It knows no kernel. */
export { chooseLease, fits, leaseOf } from './choose.ts';
export { describeConfig, type FlannelBackend, type FlannelConfig, parseFlannelConfig } from './config.ts';
export { type FlannelLease, formatLease, leaseKey, parseLease, parseLeaseKey } from './lease.ts';
export { judgeLeases, type Standing } from './peers.ts';
export { FLANNEL_PREFIX, type FlannelChange, type FlannelRecords, FlannelRegistry } from './registry.ts';
