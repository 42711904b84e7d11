import { IFLA_GRE } from '../constants/index.ts';
import { bool, Fields, ipOrNone, oneOf, presence, u16, u16be, u32, u32be, u8 } from '../codec.ts';
import { ENCAP_TYPES, type TunnelEnds } from './iptunnel.ts';
import type { KindCodec } from './kind.ts';

interface GreOptions extends TunnelEnds {
  /** Key that arriving packets must have, RFC 2890. */
  readonly ikey?: number;
  /** Key of packets that leave. */
  readonly okey?: number;
  readonly icsum?: boolean;
  readonly ocsum?: boolean;
  readonly iseq?: boolean;
  readonly oseq?: boolean;
  /** Fragments inner packets that have DF set. */
  readonly ignoreDf?: boolean;
  /** Over IPv6 only: RFC 2473 encapsulation limit. */
  readonly encapLimit?: number;
  /** Over IPv6 only: traffic class and flow label. */
  readonly flowinfo?: number;
  /** Over IPv6 only: linux/ip6_tunnel.h IP6_TNL_F_*. */
  readonly flags?: number;
}
/** IP in GRE over IPv4, RFC 2784. @see ip-link(8) "GRE Type Support" */
export interface Gre extends GreOptions {
  readonly kind: 'gre';
}
/** Ethernet in GRE over IPv4. */
export interface Gretap extends GreOptions {
  readonly kind: 'gretap';
}
/** IP in GRE over IPv6. */
export interface Ip6gre extends GreOptions {
  readonly kind: 'ip6gre';
}
/** Ethernet in GRE over IPv6. */
export interface Ip6gretap extends GreOptions {
  readonly kind: 'ip6gretap';
}

/** linux/if_tunnel.h GRE_*, as they stand on the wire */
const GRE = { CSUM: 0x8000, KEY: 0x2000, SEQ: 0x1000 } as const;

const fields = new Fields<Omit<GreOptions, 'ikey' | 'okey' | 'icsum' | 'ocsum' | 'iseq' | 'oseq'>>([
  ['local', IFLA_GRE.LOCAL, ipOrNone],
  ['remote', IFLA_GRE.REMOTE, ipOrNone],
  ['pmtudisc', IFLA_GRE.PMTUDISC, bool],
  ['ignoreDf', IFLA_GRE.IGNORE_DF, bool],
  ['tos', IFLA_GRE.TOS, u8],
  ['dev', IFLA_GRE.LINK, u32],
  ['ttl', IFLA_GRE.TTL, u8],
  ['fwmark', IFLA_GRE.FWMARK, u32],
  ['encapLimit', IFLA_GRE.ENCAP_LIMIT, u8],
  ['flowinfo', IFLA_GRE.FLOWINFO, u32be],
  ['flags', IFLA_GRE.FLAGS, u32],
  ['encap', IFLA_GRE.ENCAP_TYPE, oneOf(u16, ENCAP_TYPES)],
  ['encapFlags', IFLA_GRE.ENCAP_FLAGS, u16],
  ['encapSport', IFLA_GRE.ENCAP_SPORT, u16be],
  ['encapDport', IFLA_GRE.ENCAP_DPORT, u16be],
  ['external', IFLA_GRE.COLLECT_METADATA, presence],
]);

function codec<T extends Gre | Gretap | Ip6gre | Ip6gretap>(kind: T['kind']): KindCodec<T> {
  return {
    always: true,
    write(w, info) {
      const flags = (key: number | undefined, csum: boolean | undefined, seq: boolean | undefined): number =>
        (key === undefined ? 0 : GRE.KEY) | (csum === true ? GRE.CSUM : 0) | (seq === true ? GRE.SEQ : 0);
      // without metadata the kernel takes keys and flags from here or not at all, so they always go along
      if (info.external !== true) {
        w.u32be(IFLA_GRE.IKEY, info.ikey ?? 0);
        w.u32be(IFLA_GRE.OKEY, info.okey ?? 0);
        w.u16be(IFLA_GRE.IFLAGS, flags(info.ikey, info.icsum, info.iseq));
        w.u16be(IFLA_GRE.OFLAGS, flags(info.okey, info.ocsum, info.oseq));
      }
      fields.write(w, info);
    },
    read(attrs) {
      const info: { -readonly [K in keyof GreOptions]: GreOptions[K] } & { kind: T['kind'] } = { kind };
      let ikey = 0;
      let okey = 0;
      let iflags = 0;
      let oflags = 0;
      for (const a of attrs) {
        if (fields.readOne(a, info)) continue;
        if (a.type === IFLA_GRE.IKEY) ikey = a.u32be();
        else if (a.type === IFLA_GRE.OKEY) okey = a.u32be();
        else if (a.type === IFLA_GRE.IFLAGS) iflags = a.u16be();
        else if (a.type === IFLA_GRE.OFLAGS) oflags = a.u16be();
      }
      if ((iflags & GRE.KEY) !== 0) info.ikey = ikey;
      if ((oflags & GRE.KEY) !== 0) info.okey = okey;
      info.icsum = (iflags & GRE.CSUM) !== 0;
      info.ocsum = (oflags & GRE.CSUM) !== 0;
      info.iseq = (iflags & GRE.SEQ) !== 0;
      info.oseq = (oflags & GRE.SEQ) !== 0;
      return info as T;
    },
  };
}

export const gre: KindCodec<Gre> = codec<Gre>('gre');
export const gretap: KindCodec<Gretap> = codec<Gretap>('gretap');
export const ip6gre: KindCodec<Ip6gre> = codec<Ip6gre>('ip6gre');
export const ip6gretap: KindCodec<Ip6gretap> = codec<Ip6gretap>('ip6gretap');
