import { NetloomError } from '../errors.ts';
import { dataType, type NftDataType, type NftScalar, type NftTypeName, bytesNumber, numberBytes } from './datatype.ts';
import type { CtKey, MetaKey, RtKey } from './expr/index.ts';
import type { PayloadBase, PayloadChecksum } from './expr/payload.ts';

/** What an expression gives: its data type, and how the value lies in a register. */
export interface FieldType {
  readonly type: NftDataType;
  /** Bytes. */
  readonly len: number;
  readonly byteorder: 'host' | 'network';
}

/** A field of a protocol header. */
export interface HeaderField extends FieldType {
  readonly base: PayloadBase;
  /** Bytes. */
  readonly offset: number;
  /** Only these bits of it, as a number in network order. */
  readonly mask?: number;
}

export type Layer = 'network' | 'transport';

/** A protocol whose headers nft can read. */
export interface Protocol {
  readonly base: PayloadBase;
  /** What a packet must be, for its header to be this one. */
  readonly layer?: Layer;
  /** ether_type or inet_proto. */
  readonly number?: number;
  /** The network protocol that carries it, where only one does. */
  readonly over?: 'ip' | 'ip6';
  readonly fields: Readonly<Record<string, HeaderField>>;
  /** What keeps the packet valid when a field is written. */
  readonly checksum?: PayloadChecksum;
}

/** @throws NetloomError EBADVALUE */
export function protocolOf(name: string): Protocol {
  if (Object.hasOwn(PROTOCOLS, name)) return PROTOCOLS[name as keyof typeof PROTOCOLS];
  throw new NetloomError('EBADVALUE', `${name} is no protocol that netloom can match`);
}

/** `@th` and `64,128`: bits of a packet that nft has no name for. @see nft(8) RAW PAYLOAD EXPRESSION */
function rawField(protocol: Protocol, name: string): HeaderField | undefined {
  const [, offset, len] = /^(\d+),(\d+)$/.exec(name) ?? [];
  if (offset === undefined || len === undefined || Number(offset) % 8 !== 0 || Number(len) % 8 !== 0) return undefined;
  return { ...field('integer', Number(len) / 8, 'network'), base: protocol.base, offset: Number(offset) / 8 };
}

/** @throws NetloomError EBADVALUE */
export function headerField(protocol: string, name: string): HeaderField {
  const raw = protocol.startsWith('@') ? rawField(protocolOf(protocol), name) : undefined;
  if (raw) return raw;
  const { fields } = protocolOf(protocol);
  if (Object.hasOwn(fields, name)) return fields[name]!;
  throw new NetloomError('EBADVALUE', `${protocol} has no field ${name} that netloom can match`);
}

/** The network or transport protocol with a number, by name; undefined where nft's own table has none. */
export function protocolName(layer: Layer, number: number): string | undefined {
  return Object.entries(PROTOCOLS).find(([, p]: [string, Protocol]) => p.layer === layer && p.number === number)?.[0];
}

/** The bytes of a constant in the shape of a field. @throws NetloomError EBADVALUE */
export function constantBytes(field: FieldType, value: NftScalar): Uint8Array {
  const { type, len, byteorder } = field;
  if (type.base === 'string') return type.parse(value);
  if (type.name === 'integer' || type.name === 'classid') return numberOf(field, value);
  const bytes = type.parse(value);
  if (bytes.length === len && type.byteorder === byteorder) return bytes;
  return numberBytes(bytesNumber(bytes, type.byteorder), len, byteorder);
}

/** Plain numbers, and `major:minor` of a traffic class (tc(8)). */
function numberOf(field: FieldType, value: NftScalar): Uint8Array {
  const text = String(value);
  const handle = field.type.name === 'classid' ? /^([0-9a-f]+):([0-9a-f]+)$/.exec(text) : null;
  const number = handle ? Number.parseInt(handle[1]!, 16) * 65536 + Number.parseInt(handle[2]!, 16) : Number(text);
  if (text === '' || !Number.isInteger(number) || number < 0 || number >= 2 ** (field.len * 8)) {
    throw new NetloomError('EBADVALUE', `${JSON.stringify(value)} is no ${field.type.name} of ${field.len} bytes`);
  }
  return numberBytes(number, field.len, field.byteorder);
}

function field(type: NftTypeName, len: number, byteorder: 'host' | 'network' = 'host'): FieldType {
  return { type: dataType(type), len, byteorder };
}

function header(base: PayloadBase) {
  return (type: NftTypeName, offset: number, len: number, mask?: number): HeaderField => ({
    ...field(type, len, 'network'),
    base,
    offset,
    ...(mask !== undefined && { mask }),
  });
}

/** nftables' src/meta.c: the data type of each key, and its size in a register. */
export const META_FIELDS: Readonly<Partial<Record<MetaKey, FieldType>>> = {
  length: field('integer', 4),
  protocol: field('ether_type', 2, 'network'),
  priority: field('classid', 4),
  mark: field('mark', 4),
  iif: field('iface_index', 4),
  oif: field('iface_index', 4),
  iifname: field('ifname', 16),
  oifname: field('ifname', 16),
  iiftype: field('integer', 2),
  oiftype: field('integer', 2),
  skuid: field('uid', 4),
  skgid: field('gid', 4),
  nftrace: field('integer', 1),
  rtclassid: field('realm', 4),
  nfproto: field('nf_proto', 1),
  l4proto: field('inet_proto', 1),
  ibrname: field('ifname', 16),
  obrname: field('ifname', 16),
  pkttype: field('pkt_type', 1),
  cpu: field('integer', 4),
  iifgroup: field('devgroup', 4),
  oifgroup: field('devgroup', 4),
  cgroup: field('integer', 4),
  random: field('integer', 4, 'network'),
  iifkind: field('ifname', 16),
  oifkind: field('ifname', 16),
  sdif: field('iface_index', 4),
  sdifname: field('ifname', 16),
};

/** nftables' src/ct.c */
export const CT_FIELDS: Readonly<Partial<Record<CtKey, FieldType>>> = {
  state: field('ct_state', 4),
  direction: field('ct_dir', 1),
  status: field('ct_status', 4),
  mark: field('mark', 4),
  l3proto: field('nf_proto', 1),
  protocol: field('inet_proto', 1, 'network'),
  'proto-src': field('inet_service', 2, 'network'),
  'proto-dst': field('inet_service', 2, 'network'),
  packets: field('integer', 8),
  bytes: field('integer', 8),
  avgpkt: field('integer', 8),
  zone: field('integer', 2),
  'ip saddr': field('ipv4_addr', 4, 'network'),
  'ip daddr': field('ipv4_addr', 4, 'network'),
  'ip6 saddr': field('ipv6_addr', 16, 'network'),
  'ip6 daddr': field('ipv6_addr', 16, 'network'),
  id: field('integer', 4, 'network'),
};

/** nftables' src/rt.c */
export const RT_FIELDS: Readonly<Partial<Record<RtKey, FieldType>>> = {
  classid: field('realm', 4),
  'ip nexthop': field('ipv4_addr', 4, 'network'),
  'ip6 nexthop': field('ipv6_addr', 16, 'network'),
  mtu: field('integer', 2),
};

/** nftables' src/fib.c */
export const FIB_FIELDS: Readonly<Record<'oif' | 'oifname' | 'type' | 'check', FieldType>> = {
  oif: field('iface_index', 4),
  oifname: field('ifname', 16),
  type: field('fib_addrtype', 4),
  check: field('boolean', 4),
};

/** What numgen and the hashes give. */
export const NUMBER_FIELD: FieldType = field('integer', 4);

/** linux/tcp.h, TCPOPT_MAXSEG: where the size lies in the option. */
export const TCP_MAXSEG: { readonly option: number; readonly offset: number; readonly field: FieldType } = {
  option: 2,
  offset: 2,
  field: field('integer', 2, 'network'),
};

const ll = header('link');
const nh = header('network');
const th = header('transport');
const PORTS = { sport: th('inet_service', 0, 2), dport: th('inet_service', 2, 2) };
const NO_CHECKSUM: PayloadChecksum = { type: 'none', offset: 0, flags: [] };
const inet = (offset: number): PayloadChecksum => ({ type: 'inet', offset, flags: [] });

/** nftables' src/proto.c; linux/ip.h, ipv6.h, tcp.h, udp.h, sctp.h, icmp.h, icmpv6.h, if_ether.h */
const PROTOCOLS = {
  ether: {
    base: 'link',
    checksum: NO_CHECKSUM,
    fields: { daddr: ll('ether_addr', 0, 6), saddr: ll('ether_addr', 6, 6), type: ll('ether_type', 12, 2) },
  },
  ip: {
    base: 'network',
    layer: 'network',
    number: 0x0800,
    checksum: inet(10),
    fields: {
      version: nh('integer', 0, 1, 0xf0),
      hdrlength: nh('integer', 0, 1, 0x0f),
      dscp: nh('dscp', 1, 1, 0xfc),
      ecn: nh('integer', 1, 1, 0x03),
      length: nh('integer', 2, 2),
      id: nh('integer', 4, 2),
      'frag-off': nh('integer', 6, 2),
      ttl: nh('integer', 8, 1),
      protocol: nh('inet_proto', 9, 1),
      checksum: nh('integer', 10, 2),
      saddr: nh('ipv4_addr', 12, 4),
      daddr: nh('ipv4_addr', 16, 4),
    },
  },
  ip6: {
    base: 'network',
    layer: 'network',
    number: 0x86dd,
    checksum: NO_CHECKSUM,
    fields: {
      dscp: nh('dscp', 0, 2, 0x0fc0),
      length: nh('integer', 4, 2),
      nexthdr: nh('inet_proto', 6, 1),
      hoplimit: nh('integer', 7, 1),
      saddr: nh('ipv6_addr', 8, 16),
      daddr: nh('ipv6_addr', 24, 16),
    },
  },
  arp: {
    base: 'network',
    layer: 'network',
    number: 0x0806,
    fields: {
      htype: nh('integer', 0, 2),
      ptype: nh('ether_type', 2, 2),
      operation: nh('integer', 6, 2),
      'saddr ether': nh('ether_addr', 8, 6),
      'saddr ip': nh('ipv4_addr', 14, 4),
      'daddr ether': nh('ether_addr', 18, 6),
      'daddr ip': nh('ipv4_addr', 24, 4),
    },
  },
  /** Bits by their place: from the beginning of the link's, the network's or the transport's header. */
  '@ll': { base: 'link', fields: {} },
  '@nh': { base: 'network', fields: {} },
  '@th': { base: 'transport', fields: {} },
  /** Any transport protocol's ports. */
  th: { base: 'transport', fields: PORTS },
  tcp: {
    base: 'transport',
    layer: 'transport',
    number: 6,
    checksum: inet(16),
    fields: {
      ...PORTS,
      sequence: th('integer', 4, 4),
      ackseq: th('integer', 8, 4),
      flags: th('tcp_flag', 13, 1),
      window: th('integer', 14, 2),
    },
  },
  udp: {
    base: 'transport',
    layer: 'transport',
    number: 17,
    checksum: inet(6),
    fields: { ...PORTS, length: th('integer', 4, 2) },
  },
  udplite: { base: 'transport', layer: 'transport', number: 136, fields: PORTS },
  dccp: { base: 'transport', layer: 'transport', number: 33, fields: PORTS },
  sctp: {
    base: 'transport',
    layer: 'transport',
    number: 132,
    checksum: { type: 'sctp', offset: 8, flags: [] },
    fields: { ...PORTS, vtag: th('integer', 4, 4) },
  },
  icmp: {
    base: 'transport',
    layer: 'transport',
    number: 1,
    over: 'ip',
    checksum: inet(2),
    fields: {
      type: th('icmp_type', 0, 1),
      code: th('icmp_code', 1, 1),
      id: th('integer', 4, 2),
      sequence: th('integer', 6, 2),
    },
  },
  icmpv6: {
    base: 'transport',
    layer: 'transport',
    number: 58,
    over: 'ip6',
    checksum: inet(2),
    fields: {
      type: th('icmpv6_type', 0, 1),
      code: th('icmpv6_code', 1, 1),
      id: th('integer', 4, 2),
      sequence: th('integer', 6, 2),
    },
  },
} as const satisfies Record<string, Protocol>;
