import { formatMac, ipFromBytes, parseIp, parseMac } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import * as symbols from './symbols.ts';

/** One value as a person writes it: `10.0.0.1`, `tcp`, 80, `br0`. */
export type NftScalar = string | number;

/** What nft calls a data type: how a value is written, and how its bytes lie in a register or in a set's key. */
export interface NftDataType {
  readonly name: NftTypeName;
  /** The number that userland keeps with a set in NFTA_SET_KEY_TYPE. */
  readonly id: number;
  /** Bytes. */
  readonly size: number;
  readonly byteorder: 'host' | 'network';
  /** What it is made of: decides how it compares and whether a list of names means "any of these bits". */
  readonly base: 'integer' | 'bitmask' | 'string';
  /** @throws NetloomError EBADVALUE */
  parse(value: NftScalar): Uint8Array;
  format(bytes: Uint8Array): NftScalar;
}

/** nftables' include/datatype.h, enum datatypes */
const TYPE_ID = {
  nf_proto: 2,
  integer: 4,
  ipv4_addr: 7,
  ipv6_addr: 8,
  ether_addr: 9,
  ether_type: 10,
  inet_proto: 12,
  inet_service: 13,
  icmp_type: 14,
  tcp_flag: 15,
  mark: 19,
  iface_index: 20,
  realm: 22,
  classid: 23,
  uid: 24,
  gid: 25,
  ct_state: 26,
  ct_dir: 27,
  ct_status: 28,
  icmpv6_type: 29,
  pkt_type: 31,
  icmp_code: 32,
  icmpv6_code: 33,
  icmpx_code: 34,
  devgroup: 35,
  dscp: 36,
  fib_addrtype: 38,
  boolean: 39,
  ifname: 41,
} as const;

/** The names of data types, as in `set … { type ipv4_addr . inet_service; }`. */
export type NftTypeName = keyof typeof TYPE_ID;

type Symbols = Readonly<Record<string, number>>;

/** @throws NetloomError EBADVALUE for a name that is no data type. */
export function dataType(name: string): NftDataType {
  if (Object.hasOwn(types, name)) return types[name as NftTypeName];
  throw new NetloomError('EBADVALUE', `${name} is no nftables data type that netloom knows`);
}

/** The data type that has a number; undefined for one that is not known here. */
export function dataTypeById(id: number): NftDataType | undefined {
  return byId.get(id);
}

/** The bytes of a key of several fields, each padded to four. */
export function concatBytes(fields: readonly Uint8Array[]): Uint8Array {
  if (fields.length === 1) return fields[0]!;
  const out = new Uint8Array(fields.reduce((sum, field) => sum + padded(field.length), 0));
  let at = 0;
  for (const field of fields) {
    out.set(field, at);
    at += padded(field.length);
  }
  return out;
}

/** Bytes that a field takes inside a concatenation. */
export function padded(size: number): number {
  return (size + 3) & ~3;
}

/** A number as `size` bytes. */
export function numberBytes(value: number | bigint, size: number, byteorder: 'host' | 'network'): Uint8Array {
  const bytes = new Uint8Array(size);
  if (typeof value === 'number' && size <= 4) {
    for (let i = 0; i < size; i++) bytes[byteorder === 'host' ? i : size - 1 - i] = (value >>> (i * 8)) & 0xff;
    return bytes;
  }
  let rest = BigInt(value);
  for (let i = 0; i < size; i++, rest >>= 8n) bytes[byteorder === 'host' ? i : size - 1 - i] = Number(rest & 0xffn);
  return bytes;
}

/** The number that bytes hold. */
export function bytesNumber(bytes: Uint8Array, byteorder: 'host' | 'network'): bigint {
  let value = 0n;
  for (let i = 0; i < bytes.length; i++) {
    value = (value << 8n) | BigInt(bytes[byteorder === 'host' ? bytes.length - 1 - i : i]!);
  }
  return value;
}

function number(
  name: NftTypeName,
  size: number,
  byteorder: 'host' | 'network',
  table: Symbols = {},
  base: 'integer' | 'bitmask' = 'integer',
): NftDataType {
  const names = new Map(Object.entries(table).map(([key, value]) => [value, key]));
  return {
    name,
    id: TYPE_ID[name],
    size,
    byteorder,
    base,
    parse: (value) => {
      const parsed = symbolNumber(value, table);
      if (parsed === undefined || parsed < 0 || parsed >= 2 ** (size * 8)) throw badValue(name, value);
      return numberBytes(parsed, size, byteorder);
    },
    format: (bytes) => {
      let value = 0;
      for (let i = 0; i < bytes.length; i++)
        value = value * 256 + bytes[byteorder === 'host' ? bytes.length - 1 - i : i]!;
      return names.get(value) ?? value;
    },
  };
}

function symbolNumber(value: NftScalar, table: Symbols): number | undefined {
  if (typeof value === 'number') return Number.isInteger(value) ? value : undefined;
  if (Object.hasOwn(table, value)) return table[value];
  return /^(?:0x[0-9a-fA-F]+|[0-9]+)$/.test(value) ? Number(value) : undefined;
}

function address(name: NftTypeName, family: 4 | 6): NftDataType {
  return {
    name,
    id: TYPE_ID[name],
    size: family === 4 ? 4 : 16,
    byteorder: 'network',
    base: 'integer',
    parse: (value) => {
      const ip = parseIp(String(value));
      if (ip.family !== family) throw badValue(name, value);
      return ip.bytes;
    },
    format: (bytes) => ipFromBytes(bytes).text,
  };
}

/** linux/if.h */
const IFNAMSIZ = 16;

function interfaceName(name: NftTypeName): NftDataType {
  return {
    name,
    id: TYPE_ID[name],
    size: IFNAMSIZ,
    byteorder: 'host',
    base: 'string',
    parse: (value) => {
      const text = utf8.encode(String(value));
      if (text.length === 0 || text.length >= IFNAMSIZ) throw badValue(name, value);
      const bytes = new Uint8Array(IFNAMSIZ);
      bytes.set(text);
      return bytes;
    },
    format: (bytes) => {
      const end = bytes.indexOf(0);
      return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
    },
  };
}

function hardwareAddress(name: NftTypeName): NftDataType {
  return {
    name,
    id: TYPE_ID[name],
    size: 6,
    byteorder: 'network',
    base: 'integer',
    parse: (value) => parseMac(String(value)),
    format: (bytes) => formatMac(bytes),
  };
}

function badValue(type: string, value: NftScalar): NetloomError {
  return new NetloomError('EBADVALUE', `${JSON.stringify(value)} is no ${type}`);
}

const utf8 = new TextEncoder();
const decoder = new TextDecoder();

const types: Readonly<Record<NftTypeName, NftDataType>> = {
  nf_proto: number('nf_proto', 1, 'host', symbols.NF_PROTO),
  integer: number('integer', 4, 'host'),
  ipv4_addr: address('ipv4_addr', 4),
  ipv6_addr: address('ipv6_addr', 6),
  ether_addr: hardwareAddress('ether_addr'),
  ether_type: number('ether_type', 2, 'network', symbols.ETHER_TYPE),
  inet_proto: number('inet_proto', 1, 'network', symbols.INET_PROTO),
  inet_service: number('inet_service', 2, 'network'),
  icmp_type: number('icmp_type', 1, 'network', symbols.ICMP_TYPE),
  tcp_flag: number('tcp_flag', 1, 'network', symbols.TCP_FLAG, 'bitmask'),
  mark: number('mark', 4, 'host'),
  iface_index: number('iface_index', 4, 'host'),
  realm: number('realm', 4, 'host'),
  classid: number('classid', 4, 'host'),
  uid: number('uid', 4, 'host'),
  gid: number('gid', 4, 'host'),
  ct_state: number('ct_state', 4, 'host', symbols.CT_STATE, 'bitmask'),
  ct_dir: number('ct_dir', 1, 'host', symbols.CT_DIR),
  ct_status: number('ct_status', 4, 'host', symbols.CT_STATUS, 'bitmask'),
  icmpv6_type: number('icmpv6_type', 1, 'network', symbols.ICMPV6_TYPE),
  pkt_type: number('pkt_type', 1, 'host', symbols.PKT_TYPE),
  icmp_code: number('icmp_code', 1, 'network', symbols.ICMP_CODE),
  icmpv6_code: number('icmpv6_code', 1, 'network', symbols.ICMPV6_CODE),
  icmpx_code: number('icmpx_code', 1, 'network', symbols.ICMPX_CODE),
  devgroup: number('devgroup', 4, 'host'),
  dscp: number('dscp', 1, 'network'),
  fib_addrtype: number('fib_addrtype', 4, 'host', symbols.FIB_ADDRTYPE),
  boolean: number('boolean', 1, 'host', symbols.BOOLEAN),
  ifname: interfaceName('ifname'),
};

const byId: ReadonlyMap<number, NftDataType> = new Map(Object.values(types).map((type) => [type.id, type]));
