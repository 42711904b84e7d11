export type { AddressFact } from './address.ts';
export { quote, runIn } from './command.ts';
export type { FdbFact } from './fdb.ts';
export { type Fact, factKey, kindOf, KINDS } from './kinds.ts';
export type { LinkFact } from './link.ts';
export type { LinkOrigin, StackedOrigin } from './link-origin.ts';
export type { TunnelOrigin } from './link-tunnel.ts';
export type { NetnsFact } from './netns.ts';
export { type ChainPlan, type NftChainFact, plannedChain } from './nft-chain.ts';
export type { NftElementFact } from './nft-element.ts';
export type { NftSetFact } from './nft-set.ts';
export { type NeighbourFact } from './neighbour.ts';
export { BRIDGE_TABLE, type NftTableFact, OUR_TABLE, OUR_TABLES, RAW_TABLES } from './nft-table.ts';
export {
  DYING_GROUP,
  GUARDED_GROUP,
  isOurGroup,
  LINK_GROUP,
  PROTOCOL,
  TABLE,
  TC_HANDLE,
  XFRM_IF_ID,
  XFRM_REQID,
} from './ours.ts';
export type { PortFact } from './port.ts';
export type { QdiscFact } from './qdisc.ts';
export type { RedirectFact } from './redirect.ts';
export { type ShortcutFact, whyNoShortcuts } from './shortcut.ts';
export type { RouteFact } from './route.ts';
export type { RuleFact } from './rule.ts';
export type { SysctlFact } from './sysctl.ts';
export type { WgDeviceFact } from './wg-device.ts';
export type { WgPeerFact } from './wg-peer.ts';
export type { XfrmPolicyFact } from './xfrm-policy.ts';
export type { XfrmStateFact } from './xfrm-state.ts';
export type {
  CallStep,
  FactBase,
  FactKind,
  KernelView,
  LinkIndices,
  NetlinkStep,
  NftablesStep,
  RtnetlinkStep,
  Step,
  Verb,
} from './types.ts';
