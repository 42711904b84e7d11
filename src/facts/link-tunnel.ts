import type { Link, LinkSpec } from '../rtnetlink/index.ts';
import { quote } from './command.ts';

/** A link whose other ends are other hosts, of which its routes, neighbours or forwarding entries tell. */
export type TunnelOrigin = VxlanOrigin | IpTunnelOrigin;

/** Ethernet in UDP; nothing is learned, and what has no entry goes nowhere. @see ip-link(8) "VXLAN Type Support" */
export interface VxlanOrigin {
  readonly type: 'vxlan';
  /** VXLAN network identifier, 24 bits. */
  readonly id: number;
  /** Our own address on the underlay; all others are of its family. */
  readonly local: string;
  /** The underlay's interface, with which the kernel takes it away. */
  readonly parent: string;
  /** UDP port, ours and the others'. */
  readonly port: number;
}

/**
 * IP in IPv4, to as many others as routes lead to. `ipip` carries IPv4, to a route's gateway; `gre` carries both families,
 * to the link-layer address of a neighbour. @see ip-link(8) "IPIP, SIT Type Support", "GRE Type Support"
 */
export interface IpTunnelOrigin {
  readonly type: 'ipip' | 'gre';
  readonly local: string;
  readonly parent: string;
  /** GRE: what packets of both ways bear (RFC 2890); 0: none, as of the others. */
  readonly key: number;
}

const TUNNELS: readonly string[] = ['vxlan', 'ipip', 'gre'] satisfies TunnelOrigin['type'][];

export function isTunnel(origin: { readonly type: string }): origin is TunnelOrigin {
  return TUNNELS.includes(origin.type);
}

/** Of the packet around: the inner one's may be as low as 1. */
const TTL = 64;

/** What of a tunnel is its kind's own business. @param dev index of the interface below */
export function tunnelInfo(origin: TunnelOrigin, dev: number): LinkSpec['info'] {
  const { local } = origin;
  switch (origin.type) {
    case 'vxlan':
      return { kind: 'vxlan', id: origin.id, local, dev, port: origin.port, learning: false };
    case 'gre':
      return { kind: 'gre', local, dev, ttl: TTL, ...(origin.key !== 0 && { ikey: origin.key, okey: origin.key }) };
    default:
      return { kind: 'ipip', local, dev, ttl: TTL };
  }
}

/** As `tunnelInfo`, for a link that is there: the kernel refuses even the same port of VXLAN once more. */
export function tunnelChange(origin: TunnelOrigin, dev: number): LinkSpec['info'] {
  if (origin.type !== 'vxlan') return tunnelInfo(origin, dev);
  return { kind: 'vxlan', id: origin.id, local: origin.local, dev, learning: false };
}

/** Reads what a tunnel was made as; undefined for a link that is none. @param nameOf name of an index, empty for 0 */
export function tunnelOf({ info }: Link, nameOf: (index: number) => string): TunnelOrigin | undefined {
  switch (info?.kind) {
    case 'vxlan': {
      const { id = 0, local = '', dev = 0, port = 0, learning } = info;
      // one that learns is none of ours: its port differs from any that is wanted
      return { type: 'vxlan', id, local, parent: nameOf(dev), port: learning === true ? 0 : port };
    }
    case 'ipip':
    case 'gre': {
      const { kind: type, local = '', remote, dev = 0 } = info;
      const { ikey = 0, okey = 0 } = info.kind === 'gre' ? info : {};
      // one with a single other end is none of ours
      return { type, local: remote === undefined ? local : '', parent: nameOf(dev), key: ikey === okey ? ikey : -1 };
    }
    default:
      return undefined;
  }
}

/** Names of what is not as wanted. `id` cannot be changed in place. */
export function tunnelDifferences(want: TunnelOrigin, have: TunnelOrigin): string[] {
  if (markOf(want) !== markOf(have) || want.local.includes(':') !== have.local.includes(':')) return ['id'];
  return want.local === have.local && want.parent === have.parent ? [] : ['local'];
}

/** By what packets of this tunnel are told from others'. */
function markOf(origin: TunnelOrigin): string {
  return origin.type === 'vxlan' ? `${origin.id} ${origin.port}` : String(origin.key);
}

/** `type vxlan id 1 local 192.0.2.1 dev eth0 dstport 8472 nolearning` */
export function tunnelWords(origin: TunnelOrigin, changing = false): string {
  const ends = `local ${origin.local} dev ${quote(origin.parent)}`;
  switch (origin.type) {
    case 'vxlan':
      return `type vxlan id ${origin.id} ${ends}${changing ? '' : ` dstport ${origin.port}`} nolearning`;
    case 'gre':
      return `type gre ${ends} ttl ${TTL}${origin.key === 0 ? '' : ` key ${origin.key}`}`;
    default:
      return `type ipip ${ends} ttl ${TTL} mode ipip`;
  }
}
