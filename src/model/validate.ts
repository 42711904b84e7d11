/** From what a door was given to validated plain records: one file per noun, gathered here. */
export { parseBridgeOptions } from './bridge-options.ts';
export { NAME_MAX, checkHostname, checkName, isDomain, nearest, within } from './names.ts';
export { blockerOf, isDefaultRoute, overlapCheck } from './overlap.ts';
export type { Occupied } from './overlap.ts';
export { checkPorts, formatPort, formatPublish, parseFirewallWish, parsePublish } from './publish.ts';
export { matchRef, newId, randomName, shortId } from './refs.ts';
export type { RandomSource } from './refs.ts';
export { parseContainerSpec, parseDns, parseExtraHost, parseNetworkMode } from './validate-container.ts';
export type { ContainerContext, ContainerParts } from './validate-container.ts';
export { checkRate, parseAttachSpec, parseEndpointSpec, parseEndpointSpecs } from './validate-endpoint.ts';
export { parseTuning, sysctlName } from './validate-tuning.ts';
export { parseEndpointUpdate, parseNetworkUpdate } from './validate-update.ts';
export { splitVlan } from './lan-options.ts';
export { parseAllocateSpec, parsePoolSpec, parseReleaseSpec } from './validate-pool.ts';
export type { PoolParts } from './validate-pool.ts';
export { parseNetworkSpec, settleSubnet, subnetOf } from './validate-network.ts';
export type { NetworkContext, NetworkParts } from './validate-network.ts';
