import { parseIp } from '../../addr/index.ts';
import type { NlWriter } from '../../netlink/index.ts';
import { IFLA_VXLAN } from '../constants/index.ts';
import { bool, type Codec, Fields, ipOrNone, oneOf, presence, u16be, u32, u32be, u8 } from '../codec.ts';
import type { KindCodec } from './kind.ts';

/** Ethernet in UDP, RFC 7348. @see ip-link(8) "VXLAN Type Support" */
export interface Vxlan {
  readonly kind: 'vxlan';
  /** VXLAN network identifier, 24 bits. */
  readonly id?: number;
  /** Where frames for unknown addresses go: a host, or a multicast group (then `dev` is needed). IPv4 or IPv6. */
  readonly remote?: string;
  /** Source address of the tunnel; of the same family as `remote`. */
  readonly local?: string;
  /** Index of the interface below. */
  readonly dev?: number;
  /** UDP port; the kernel's own default is 8472, IANA's is 4789. */
  readonly port?: number;
  /** Range of source ports; the kernel spreads flows over it. */
  readonly portRange?: { readonly low: number; readonly high: number };
  /** 0: the route's. */
  readonly ttl?: number;
  /** The inner packet's TTL is used (since Linux 4.18). */
  readonly ttlInherit?: boolean;
  /** 1: the inner packet's. */
  readonly tos?: number;
  readonly df?: 'unset' | 'set' | 'inherit';
  /** IPv6 flow label. */
  readonly label?: number;
  /** Addresses are learned from what arrives. */
  readonly learning?: boolean;
  /** Seconds that a learned address lives; 0 for ever. */
  readonly ageing?: number;
  /** At most this many FDB entries; 0 for no limit. */
  readonly limit?: number;
  /** Answers ARP and ND from the neighbour table. */
  readonly proxy?: boolean;
  /** Short-circuits routing between VXLANs. */
  readonly rsc?: boolean;
  /** Tells netlink about a destination without an FDB entry. */
  readonly l2miss?: boolean;
  /** Tells netlink about a destination without a neighbour. */
  readonly l3miss?: boolean;
  readonly udpCsum?: boolean;
  readonly udpZeroCsum6Tx?: boolean;
  readonly udpZeroCsum6Rx?: boolean;
  readonly remCsumTx?: boolean;
  readonly remCsumRx?: boolean;
  /** Group-based policy: carries a mark; both ends need it. At creation only. */
  readonly gbp?: boolean;
  /** Generic protocol extension. At creation only. */
  readonly gpe?: boolean;
  /** One device for every tunnel: the route or FDB entry says where to (collect metadata). */
  readonly external?: boolean;
  /** With `external`: only configured VNIs (since Linux 5.18). */
  readonly vnifilter?: boolean;
}

/** struct ifla_vxlan_port_range, big-endian */
const portRange: Codec<NonNullable<Vxlan['portRange']>> = {
  write: (w, t, v) => void w.bytes(t, Uint8Array.of(v.low >> 8, v.low & 0xff, v.high >> 8, v.high & 0xff)),
  read(a) {
    const b = a.bytes();
    if (b.length >= 4) return { low: (b[0]! << 8) | b[1]!, high: (b[2]! << 8) | b[3]! };
    a.fail(`IFLA_VXLAN_PORT_RANGE holds ${b.length} bytes, 4 wanted`);
    return undefined;
  },
};
/** Written as a flag, read back as a byte. */
const ttlInherit: Codec<boolean> = { write: presence.write, read: (a) => a.length === 0 || a.u8() !== 0 };

const before = new Fields<Omit<Vxlan, 'kind' | 'remote' | 'local' | 'learning' | 'port'>>([
  ['dev', IFLA_VXLAN.LINK, u32],
  ['ttlInherit', IFLA_VXLAN.TTL_INHERIT, ttlInherit],
  ['ttl', IFLA_VXLAN.TTL, u8],
  ['tos', IFLA_VXLAN.TOS, u8],
  ['ageing', IFLA_VXLAN.AGEING, u32],
  ['limit', IFLA_VXLAN.LIMIT, u32],
  ['portRange', IFLA_VXLAN.PORT_RANGE, portRange],
  ['proxy', IFLA_VXLAN.PROXY, bool],
  ['rsc', IFLA_VXLAN.RSC, bool],
  ['l2miss', IFLA_VXLAN.L2MISS, bool],
  ['l3miss', IFLA_VXLAN.L3MISS, bool],
  ['udpCsum', IFLA_VXLAN.UDP_CSUM, bool],
  ['udpZeroCsum6Tx', IFLA_VXLAN.UDP_ZERO_CSUM6_TX, bool],
  ['udpZeroCsum6Rx', IFLA_VXLAN.UDP_ZERO_CSUM6_RX, bool],
  ['remCsumTx', IFLA_VXLAN.REMCSUM_TX, bool],
  ['remCsumRx', IFLA_VXLAN.REMCSUM_RX, bool],
  ['df', IFLA_VXLAN.DF, oneOf(u8, { unset: 0, set: 1, inherit: 2 })],
  ['label', IFLA_VXLAN.LABEL, u32be],
  ['external', IFLA_VXLAN.COLLECT_METADATA, bool],
  ['vnifilter', IFLA_VXLAN.VNIFILTER, bool],
  ['gbp', IFLA_VXLAN.GBP, presence],
  ['gpe', IFLA_VXLAN.GPE, presence],
  ['id', IFLA_VXLAN.ID, u32],
]);
const behind = new Fields<Pick<Vxlan, 'learning' | 'port'>>([
  ['learning', IFLA_VXLAN.LEARNING, bool],
  ['port', IFLA_VXLAN.PORT, u16be],
]);

export const vxlan: KindCodec<Vxlan> = {
  write(w, info) {
    before.write(w, info);
    writeEnd(w, info.local, IFLA_VXLAN.LOCAL, IFLA_VXLAN.LOCAL6);
    writeEnd(w, info.remote, IFLA_VXLAN.GROUP, IFLA_VXLAN.GROUP6);
    behind.write(w, info);
  },
  read(attrs) {
    const info: { -readonly [K in keyof Vxlan]: Vxlan[K] } = { kind: 'vxlan' };
    for (const a of attrs) {
      if (before.readOne(a, info) || behind.readOne(a, info)) continue;
      const end = ENDS[a.type];
      const text = end && ipOrNone.read(a);
      if (end && text !== undefined) info[end] = text;
    }
    return info;
  },
};

/** Which end an attribute names; each family has its own. */
const ENDS: Readonly<Record<number, 'local' | 'remote'>> = {
  [IFLA_VXLAN.LOCAL]: 'local',
  [IFLA_VXLAN.LOCAL6]: 'local',
  [IFLA_VXLAN.GROUP]: 'remote',
  [IFLA_VXLAN.GROUP6]: 'remote',
};
function writeEnd(w: NlWriter, text: string | undefined, ipv4: number, ipv6: number): void {
  if (text === undefined) return;
  const { family, bytes } = parseIp(text);
  w.bytes(family === 4 ? ipv4 : ipv6, bytes);
}
