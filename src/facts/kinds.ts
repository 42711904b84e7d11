import { type AddressFact, addressKind } from './address.ts';
import { type FdbFact, fdbKind } from './fdb.ts';
import { type LinkFact, linkKind } from './link.ts';
import { type NeighbourFact, neighbourKind } from './neighbour.ts';
import { type NetnsFact, netnsKind } from './netns.ts';
import { type NftChainFact, nftChainKind } from './nft-chain.ts';
import { type NftElementFact, nftElementKind } from './nft-element.ts';
import { type NftSetFact, nftSetKind } from './nft-set.ts';
import { type NftTableFact, nftTableKind } from './nft-table.ts';
import { type PortFact, portKind } from './port.ts';
import { type QdiscFact, qdiscKind } from './qdisc.ts';
import { type RedirectFact, redirectKind } from './redirect.ts';
import { type RouteFact, routeKind } from './route.ts';
import { type RuleFact, ruleKind } from './rule.ts';
import { type ShortcutFact, shortcutKind } from './shortcut.ts';
import { type SysctlFact, sysctlKind } from './sysctl.ts';
import type { FactKind } from './types.ts';
import { type WgDeviceFact, wgDeviceKind } from './wg-device.ts';
import { type WgPeerFact, wgPeerKind } from './wg-peer.ts';
import { type XfrmPolicyFact, xfrmPolicyKind } from './xfrm-policy.ts';
import { type XfrmStateFact, xfrmStateKind } from './xfrm-state.ts';

/** Every kind of fact there is. */
export type Fact =
  | NetnsFact
  | LinkFact
  | PortFact
  | AddressFact
  | NeighbourFact
  | FdbFact
  | RouteFact
  | RuleFact
  | SysctlFact
  | QdiscFact
  | RedirectFact
  | ShortcutFact
  | WgDeviceFact
  | WgPeerFact
  | XfrmStateFact
  | XfrmPolicyFact
  | NftTableFact
  | NftSetFact
  | NftChainFact
  | NftElementFact;

/** The one table that everything that is done with facts reads. */
export const KINDS: { readonly [K in Fact['kind']]: FactKind<Extract<Fact, { kind: K }>> } = {
  netns: netnsKind,
  link: linkKind,
  port: portKind,
  address: addressKind,
  neighbour: neighbourKind,
  fdb: fdbKind,
  route: routeKind,
  rule: ruleKind,
  sysctl: sysctlKind,
  qdisc: qdiscKind,
  redirect: redirectKind,
  shortcut: shortcutKind,
  'wg-device': wgDeviceKind,
  'wg-peer': wgPeerKind,
  'xfrm-state': xfrmStateKind,
  'xfrm-policy': xfrmPolicyKind,
  'nft-table': nftTableKind,
  'nft-set': nftSetKind,
  'nft-chain': nftChainKind,
  'nft-element': nftElementKind,
};

/** What can be done with this fact. */
export function kindOf<F extends Fact>(fact: F): FactKind<F> {
  return KINDS[fact.kind] as unknown as FactKind<F>;
}

/** The fact's identity in the kernel, unlike that of any other kind's. */
export function factKey(fact: Fact): string {
  return kindOf(fact).key(fact);
}
