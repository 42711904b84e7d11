import { IFLA_IPTUN } from '../constants/index.ts';
import { bool, type Field, ipOrNone, oneOf, presence, u16, u16be, u32, u8 } from '../codec.ts';

/**
 * What every IP tunnel has. A change (`linkSet`) sets all of it: what it leaves out goes back to the kernel's default.
 */
export interface TunnelEnds {
  /** Missing: any. */
  readonly local?: string;
  readonly remote?: string;
  /** Index of the interface below. */
  readonly dev?: number;
  /** 0: the inner packet's. Default 0, and 64 for sit. */
  readonly ttl?: number;
  /** 1: the inner packet's. */
  readonly tos?: number;
  /** Sets DF; default true. */
  readonly pmtudisc?: boolean;
  readonly fwmark?: number;
  /** Wrapped in UDP once more. */
  readonly encap?: 'none' | 'fou' | 'gue';
  /** linux/if_tunnel.h TUNNEL_ENCAP_FLAG_* */
  readonly encapFlags?: number;
  /** 0: by flow. */
  readonly encapSport?: number;
  readonly encapDport?: number;
  /** One device for every tunnel: the route says where to (collect metadata). */
  readonly external?: boolean;
}

/** linux/if_tunnel.h enum tunnel_encap_types */
export const ENCAP_TYPES = { none: 0, fou: 1, gue: 2 } as const;

/** IFLA_IPTUN_*: ipip and sit */
export const IPTUN_FIELDS: readonly Field<TunnelEnds>[] = [
  ['local', IFLA_IPTUN.LOCAL, ipOrNone],
  ['remote', IFLA_IPTUN.REMOTE, ipOrNone],
  ['pmtudisc', IFLA_IPTUN.PMTUDISC, bool],
  ['tos', IFLA_IPTUN.TOS, u8],
  ['ttl', IFLA_IPTUN.TTL, u8],
  ['dev', IFLA_IPTUN.LINK, u32],
  ['fwmark', IFLA_IPTUN.FWMARK, u32],
  ['encap', IFLA_IPTUN.ENCAP_TYPE, oneOf(u16, ENCAP_TYPES)],
  ['encapFlags', IFLA_IPTUN.ENCAP_FLAGS, u16],
  ['encapSport', IFLA_IPTUN.ENCAP_SPORT, u16be],
  ['encapDport', IFLA_IPTUN.ENCAP_DPORT, u16be],
  ['external', IFLA_IPTUN.COLLECT_METADATA, presence],
];
