import { ipFromBytes, parseIp } from '../addr/index.ts';
import { type NlAttrs, NLA_F_NESTED, type NlWriter } from '../netlink/index.ts';

/** One direction of a connection, as its packets look. */
export interface ConntrackTuple {
  readonly src: string;
  readonly dst: string;
  /** IANA number: 6 is TCP, 17 UDP, 132 SCTP, 1 ICMP, 58 ICMPv6. */
  readonly protocol: number;
  /** Protocols with ports. */
  readonly sport?: number;
  readonly dport?: number;
  /** ICMP and ICMPv6. */
  readonly icmp?: { readonly id: number; readonly type: number; readonly code: number };
  /** Where the zone is of this direction only. */
  readonly zone?: number;
}

/** Some of a tuple; what is left out may be anything. */
export type TuplePattern = Pick<Partial<ConntrackTuple>, 'src' | 'dst' | 'protocol' | 'sport' | 'dport'>;

/** linux/netfilter/nfnetlink_conntrack.h, enum ctattr_tuple, ctattr_ip, ctattr_l4proto */
const CTA_TUPLE = { IP: 1, PROTO: 2, ZONE: 3 } as const;
const CTA_IP = { V4_SRC: 1, V4_DST: 2, V6_SRC: 3, V6_DST: 4 } as const;
const CTA_PROTO = {
  NUM: 1,
  SRC_PORT: 2,
  DST_PORT: 3,
  ICMP_ID: 4,
  ICMP_TYPE: 5,
  ICMP_CODE: 6,
  ICMPV6_ID: 7,
  ICMPV6_TYPE: 8,
  ICMPV6_CODE: 9,
} as const;

export function writeTuple(writer: NlWriter, type: number, tuple: ConntrackTuple): void {
  const [src, dst] = [parseIp(tuple.src), parseIp(tuple.dst)];
  const v4 = src.family === 4;
  writer.nest(NLA_F_NESTED | type, (t) => {
    t.nest(NLA_F_NESTED | CTA_TUPLE.IP, (ip) => {
      ip.bytes(v4 ? CTA_IP.V4_SRC : CTA_IP.V6_SRC, src.bytes).bytes(v4 ? CTA_IP.V4_DST : CTA_IP.V6_DST, dst.bytes);
    });
    t.nest(NLA_F_NESTED | CTA_TUPLE.PROTO, (proto) => {
      proto.u8(CTA_PROTO.NUM, tuple.protocol);
      if (tuple.sport !== undefined) proto.u16be(CTA_PROTO.SRC_PORT, tuple.sport);
      if (tuple.dport !== undefined) proto.u16be(CTA_PROTO.DST_PORT, tuple.dport);
      if (!tuple.icmp) return;
      const { id, type: icmpType, code } = tuple.icmp;
      proto.u8(v4 ? CTA_PROTO.ICMP_CODE : CTA_PROTO.ICMPV6_CODE, code);
      proto.u8(v4 ? CTA_PROTO.ICMP_TYPE : CTA_PROTO.ICMPV6_TYPE, icmpType);
      proto.u16be(v4 ? CTA_PROTO.ICMP_ID : CTA_PROTO.ICMPV6_ID, id);
    });
    if (tuple.zone !== undefined) t.u16be(CTA_TUPLE.ZONE, tuple.zone);
  });
}

/**
 * net/netfilter/nf_internals.h, CTA_FILTER_F_*: which parts of a tuple a dump is filtered by. Ports count only where the
 * protocol does.
 */
const FILTER_FLAGS = { src: 1 << 0, dst: 1 << 1, protocol: 1 << 3, sport: 1 << 4, dport: 1 << 5 } as const;

/** The bits that say which parts of a pattern are given. */
export function patternFlags(pattern: TuplePattern): number {
  let flags = 0;
  for (const [part, flag] of Object.entries(FILTER_FLAGS)) {
    if (pattern[part as keyof TuplePattern] !== undefined) flags |= flag;
  }
  return pattern.protocol === undefined ? flags & ~(FILTER_FLAGS.sport | FILTER_FLAGS.dport) : flags;
}

/** The parts of a pattern that are given. */
export function writePattern(writer: NlWriter, type: number, pattern: TuplePattern): void {
  writer.nest(NLA_F_NESTED | type, (t) => {
    t.nest(NLA_F_NESTED | CTA_TUPLE.IP, (ip) => {
      for (const [text, v4, v6] of [
        [pattern.src, CTA_IP.V4_SRC, CTA_IP.V6_SRC],
        [pattern.dst, CTA_IP.V4_DST, CTA_IP.V6_DST],
      ] as const) {
        if (text === undefined) continue;
        const { family, bytes } = parseIp(text);
        ip.bytes(family === 4 ? v4 : v6, bytes);
      }
    });
    t.nest(NLA_F_NESTED | CTA_TUPLE.PROTO, (proto) => {
      proto.u8(CTA_PROTO.NUM, pattern.protocol ?? 0);
      if (pattern.sport !== undefined) proto.u16be(CTA_PROTO.SRC_PORT, pattern.sport);
      if (pattern.dport !== undefined) proto.u16be(CTA_PROTO.DST_PORT, pattern.dport);
    });
  });
}

/** Whether a tuple has all that the pattern gives. */
export function fits(pattern: TuplePattern, tuple: ConntrackTuple): boolean {
  const is = <T>(wanted: T | undefined, value: T | undefined): boolean => wanted === undefined || wanted === value;
  return (
    is(pattern.protocol, tuple.protocol) &&
    is(pattern.sport, tuple.sport) &&
    is(pattern.dport, tuple.dport) &&
    is(pattern.src && parseIp(pattern.src).text, tuple.src) &&
    is(pattern.dst && parseIp(pattern.dst).text, tuple.dst)
  );
}

/** Reads the attributes inside CTA_TUPLE_ORIG or CTA_TUPLE_REPLY. */
export function readTuple(attrs: NlAttrs): ConntrackTuple {
  let [src, dst] = ['', ''];
  let proto: Omit<ConntrackTuple, 'src' | 'dst' | 'zone'> = { protocol: 0 };
  let zone: number | undefined;
  for (const a of attrs) {
    if (a.type === CTA_TUPLE.PROTO) proto = readProto(a.nested());
    else if (a.type === CTA_TUPLE.ZONE) zone = a.u16be();
    else if (a.type === CTA_TUPLE.IP) {
      for (const ip of a.nested()) {
        if (ip.type === CTA_IP.V4_SRC || ip.type === CTA_IP.V6_SRC) src = readAddress(ip);
        else if (ip.type === CTA_IP.V4_DST || ip.type === CTA_IP.V6_DST) dst = readAddress(ip);
      }
    }
  }
  return { src, dst, ...proto, ...(zone !== undefined && { zone }) };
}

function readProto(attrs: NlAttrs): Omit<ConntrackTuple, 'src' | 'dst' | 'zone'> {
  let protocol = 0;
  const ports: { sport?: number; dport?: number } = {};
  let icmp: { id: number; type: number; code: number } | undefined;
  for (const a of attrs) {
    if (a.type === CTA_PROTO.NUM) protocol = a.u8();
    else if (a.type === CTA_PROTO.SRC_PORT) ports.sport = a.u16be();
    else if (a.type === CTA_PROTO.DST_PORT) ports.dport = a.u16be();
    else if (a.type >= CTA_PROTO.ICMP_ID && a.type <= CTA_PROTO.ICMPV6_CODE) {
      icmp ??= { id: 0, type: 0, code: 0 };
      if (a.type === CTA_PROTO.ICMP_ID || a.type === CTA_PROTO.ICMPV6_ID) icmp.id = a.u16be();
      else if (a.type === CTA_PROTO.ICMP_TYPE || a.type === CTA_PROTO.ICMPV6_TYPE) icmp.type = a.u8();
      else icmp.code = a.u8();
    }
  }
  return { protocol, ...ports, ...(icmp && { icmp }) };
}

function readAddress(attrs: NlAttrs): string {
  const bytes = new Uint8Array(attrs.bytes()); // a copy: what ipFromBytes gets may be a Buffer's view otherwise
  if (bytes.length === 4 || bytes.length === 16) return ipFromBytes(bytes).text;
  attrs.fail(`an address of ${bytes.length} bytes`);
  return '';
}
