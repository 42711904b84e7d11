import { ifName, parseMac } from '../addr/index.ts';
import type { NlWriter } from '../netlink/index.ts';
import { AF, IFF, IFLA, IFLA_INET6 } from './constants/index.ts';

/** How a link makes its own IPv6 link-local address. linux/if_link.h enum in6_addr_gen_mode */
export type AddrGenMode = 'eui64' | 'none' | 'stable_secret' | 'random';
export const ADDR_GEN_MODES: Readonly<Record<AddrGenMode, number>> = { eui64: 0, none: 1, stable_secret: 2, random: 3 };

/** What a link can be given from its first moment, also as a veth's peer. What is left out is the kernel's choice. */
export interface LinkBirth {
  readonly name?: string;
  /** The interface's number, in its own namespace. */
  readonly index?: number;
  /** Bytes. */
  readonly mtu?: number;
  /** `02:42:ac:12:00:02` */
  readonly mac?: string;
  readonly group?: number;
  readonly txQueueLen?: number;
  /** Queues to transmit and to receive by, at creation; without them a veth gets one of each for every processor. */
  readonly numTxQueues?: number;
  readonly numRxQueues?: number;
  /** A descriptor of the namespace to be in; must stay open until the request is answered. */
  readonly netns?: number;
}

/** What any kind of link can be given, at creation and later. */
export interface LinkAttributes extends LinkBirth {
  /** Index of the bridge or VRF that it belongs to; 0 takes it out. */
  readonly master?: number;
  /** Index of the interface below (`ip link add link`): VLAN, macvlan, ipvlan. */
  readonly link?: number;
  /** Namespace, as this one numbers it (nsid), in which `link` is looked up. */
  readonly linkNetnsid?: number;
  readonly up?: boolean;
  /** Answers no ARP. */
  readonly noarp?: boolean;
  readonly promisc?: boolean;
  readonly allmulticast?: boolean;
}

/** What the kernel takes from a change only: at creation it forgets an alias and refuses an address mode. */
export interface LinkLater {
  /** Up to 255 bytes; empty takes it away. */
  readonly alias?: string;
  readonly addrGenMode?: AddrGenMode;
}

/** struct ifinfomsg and the attributes of any kind, in iproute2's order. linux/rtnetlink.h */
export function writeLinkBody(w: NlWriter, link: LinkAttributes & LinkLater, family: number = AF.UNSPEC): void {
  let flags = 0;
  let change = 0;
  const set = (bit: number, on: boolean | undefined): void => {
    if (on === undefined) return;
    change |= bit;
    if (on) flags |= bit;
  };
  set(IFF.UP, link.up);
  set(IFF.NOARP, link.noarp);
  set(IFF.PROMISC, link.promisc);
  set(IFF.ALLMULTI, link.allmulticast);
  w.rawU8(family)
    .rawU8(0)
    .rawU16(0)
    .rawI32(link.index ?? 0)
    .rawU32(flags)
    .rawU32(change);
  if (link.link !== undefined) w.u32(IFLA.LINK, link.link);
  if (link.linkNetnsid !== undefined) w.i32(IFLA.LINK_NETNSID, link.linkNetnsid);
  if (link.mac !== undefined) w.bytes(IFLA.ADDRESS, parseMac(link.mac));
  if (link.txQueueLen !== undefined) w.u32(IFLA.TXQLEN, link.txQueueLen);
  if (link.mtu !== undefined) w.u32(IFLA.MTU, link.mtu);
  if (link.numTxQueues !== undefined) w.u32(IFLA.NUM_TX_QUEUES, link.numTxQueues);
  if (link.numRxQueues !== undefined) w.u32(IFLA.NUM_RX_QUEUES, link.numRxQueues);
  if (link.netns !== undefined) w.u32(IFLA.NET_NS_FD, link.netns);
  if (link.master !== undefined) w.u32(IFLA.MASTER, link.master);
  if (link.group !== undefined) w.u32(IFLA.GROUP, link.group);
  if (link.name !== undefined) w.string(IFLA.IFNAME, ifName(link.name));
  if (link.alias !== undefined) w.bytes(IFLA.IFALIAS, utf8.encode(link.alias));
  if (link.addrGenMode !== undefined) {
    const mode = ADDR_GEN_MODES[link.addrGenMode];
    w.nest(IFLA.AF_SPEC, () => w.nest(AF.INET6, () => w.u8(IFLA_INET6.ADDR_GEN_MODE, mode)));
  }
}

const utf8 = new TextEncoder();
