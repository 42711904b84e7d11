import type { NlAttrs, NlWriter } from '../../netlink/index.ts';
import { type Bridge, bridge } from './bridge.ts';
import { type Dummy, dummy } from './dummy.ts';
import { type Gre, gre, type Gretap, gretap, type Ip6gre, ip6gre, type Ip6gretap, ip6gretap } from './gre.ts';
import { type Ifb, ifb } from './ifb.ts';
import { type Ipip, ipip } from './ipip.ts';
import { type Ipvlan, ipvlan } from './ipvlan.ts';
import type { KindCodec } from './kind.ts';
import { type Macvlan, macvlan } from './macvlan.ts';
import { type Sit, sit } from './sit.ts';
import { type Tun, tun } from './tun.ts';
import { type Veth, veth } from './veth.ts';
import { type Vlan, vlan } from './vlan.ts';
import { type Vrf, vrf } from './vrf.ts';
import { type Vti, vti } from './vti.ts';
import { type Vxlan, vxlan } from './vxlan.ts';
import { type Wireguard, wireguard } from './wireguard.ts';
import { type Xfrm, xfrm } from './xfrm.ts';

export type { Bridge, Dummy, Gre, Gretap, Ifb, Ip6gre, Ip6gretap, Ipip, Ipvlan, Macvlan, Sit, Tun };
export type { Veth, Vlan, Vrf, Vti, Vxlan, Wireguard, Xfrm };
export type { TunnelEnds } from './iptunnel.ts';
export type { QosMapping } from './vlan.ts';

/** A kind that this codec does not know: its name only. */
export interface OtherKind {
  readonly kind: 'other';
  /** What the kernel calls it. */
  readonly name: string;
}

type Known =
  | Bridge
  | Dummy
  | Gre
  | Gretap
  | Ifb
  | Ip6gre
  | Ip6gretap
  | Ipip
  | Ipvlan
  | Macvlan
  | Sit
  | Tun
  | Veth
  | Vlan
  | Vrf
  | Vti
  | Vxlan
  | Wireguard
  | Xfrm;
/** What kind of link it is, with the kind's own settings. */
export type LinkKind = Known | OtherKind;
export type LinkKindName = Known['kind'];

/** Every kind, once. */
const KINDS: { readonly [K in LinkKindName]: KindCodec<Extract<Known, { kind: K }>> } = {
  bridge,
  dummy,
  gre,
  gretap,
  ifb,
  ip6gre,
  ip6gretap,
  ipip,
  ipvlan,
  macvlan,
  sit,
  tun,
  veth,
  vlan,
  vrf,
  vti,
  vxlan,
  wireguard,
  xfrm,
};
/** Every kind that this codec knows. */
export const LINK_KINDS: readonly LinkKindName[] = Object.keys(KINDS) as LinkKindName[];

/** The kernel's name of a kind. */
export function kindName(info: LinkKind): string {
  return info.kind === 'other' ? info.name : info.kind;
}

/** Writes IFLA_INFO_DATA's content; undefined where there is nothing to say. */
export function kindWriter(info: LinkKind): ((w: NlWriter) => void) | undefined {
  if (info.kind === 'other') return undefined;
  const codec = KINDS[info.kind] as KindCodec<LinkKind>;
  if (!codec.write || (Object.keys(info).length === 1 && codec.always !== true)) return undefined;
  return (w) => codec.write?.(w, info);
}

/** @param data IFLA_INFO_DATA's attributes */
export function readKind(name: string, data: NlAttrs): LinkKind {
  if (!Object.hasOwn(KINDS, name)) return { kind: 'other', name };
  return KINDS[name as LinkKindName].read(data);
}
