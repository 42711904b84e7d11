import { formatMac, ipFromBytes, parseIp, parseMac } from '../addr/index.ts';
import { MalformedError, NlAttrs, type NlMessage, NlWriter, type Request } from '../netlink/index.ts';
import { AF } from './constants/index.ts';

/** A request whose text values are checked now, where the mistake was made, and whose bytes never change again. */
export function request(type: number, flags: number, label: string, body: (w: NlWriter) => void): Request {
  scratch.reset();
  body(scratch);
  const bytes = Buffer.from(scratch.finish()); // a copy, from Node's pool: an ArrayBuffer of its own costs ten times more
  return { type, flags, label, body: (w) => void w.rawBytes(bytes) };
}
/** Holds nothing between two calls: it spares each request a buffer that grows. */
const scratch = new NlWriter(4096);

/** The attributes behind a fixed header of `size` bytes. @throws MalformedError when the header is cut short. */
export function attrsOf(message: NlMessage, size: number): NlAttrs {
  const { payload } = message;
  if (payload.length < size) {
    throw new MalformedError(`message of type ${message.type} holds ${payload.length} bytes, its header has ${size}`);
  }
  return new NlAttrs(payload, size);
}

// Fields of fixed headers, little-endian as src/netlink/writer.ts says. `attrsOf` has checked that they are there.

export function u16At(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}
export function i32At(bytes: Uint8Array, at: number): number {
  return u16At(bytes, at) | (u16At(bytes, at + 2) << 16);
}
export function u32At(bytes: Uint8Array, at: number): number {
  return i32At(bytes, at) >>> 0;
}

export type Family = 4 | 6;

export function afOf(family: Family | undefined): number {
  return family === undefined ? AF.UNSPEC : family === 4 ? AF.INET : AF.INET6;
}
/** @throws MalformedError for a family that carries no IP addresses. */
export function familyOf(af: number): Family {
  if (af === AF.INET) return 4;
  if (af === AF.INET6) return 6;
  throw new MalformedError(`address family ${af} where 2 (IPv4) or 10 (IPv6) belongs`);
}

/**
 * Those that speak of IPv4 or IPv6. A dump without a family brings what other families have of the same sort: multicast
 * and MPLS routes, rules of multicast routing, addresses of MCTP.
 */
export function ipMessages(messages: readonly NlMessage[]): NlMessage[] {
  return messages.filter(({ payload }) => payload[0] === AF.INET || payload[0] === AF.INET6);
}

/** The current attribute as canonical address text; marks the reader where it is no address. */
export function ipText(a: NlAttrs): string {
  if (a.length === 4 || a.length === 16) return ipFromBytes(a.bytes()).text;
  a.fail(`attribute ${a.type} holds ${a.length} bytes where an IP address has 4 or 16`);
  return '';
}
export function ipBytes(text: string): Uint8Array {
  return parseIp(text).bytes;
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** A link-layer address of any length (tunnels have 4 or 16 bytes), as `02:42:0a:00:00:01`. */
export function lladdrText(bytes: Uint8Array): string {
  if (bytes.length === 0) return '';
  let text = HEX[bytes[0]!]!;
  for (let i = 1; i < bytes.length; i++) text += ':' + HEX[bytes[i]!]!;
  return text;
}

/** A string attribute; as `a.string()`, but much faster for the short ASCII that names are. */
export function text(a: NlAttrs): string {
  const bytes = a.bytes();
  let out = '';
  for (let i = 0; i < bytes.length; i++) {
    const code = bytes[i]!;
    if (code === 0) break;
    if (code > 0x7f) return a.string();
    out += String.fromCharCode(code);
  }
  return out;
}

/** How one attribute's value is written and read. */
export interface Codec<V> {
  write(w: NlWriter, type: number, value: V): void;
  /** Undefined where the value has no meaning that we know. */
  read(a: NlAttrs): V | undefined;
}
export const u8: Codec<number> = { write: (w, t, v) => void w.u8(t, v), read: (a) => a.u8() };
export const u16: Codec<number> = { write: (w, t, v) => void w.u16(t, v), read: (a) => a.u16() };
export const u16be: Codec<number> = { write: (w, t, v) => void w.u16be(t, v), read: (a) => a.u16be() };
export const u32: Codec<number> = { write: (w, t, v) => void w.u32(t, v), read: (a) => a.u32() };
export const u32be: Codec<number> = { write: (w, t, v) => void w.u32be(t, v), read: (a) => a.u32be() };
export const u64: Codec<bigint> = { write: (w, t, v) => void w.u64(t, v), read: (a) => a.u64() };
/** One byte, 0 or 1. */
export const bool: Codec<boolean> = { write: (w, t, v) => void w.u8(t, v ? 1 : 0), read: (a) => a.u8() !== 0 };
/** Four bytes, 0 or not. */
export const bool32: Codec<boolean> = { write: (w, t, v) => void w.u32(t, v ? 1 : 0), read: (a) => a.u32() !== 0 };
/** True by being there, false by being left out. */
export const presence: Codec<boolean> = {
  write: (w, t, v) => void (v && w.flag(t)),
  read: () => true,
};
export const ip: Codec<string> = { write: (w, t, v) => void w.bytes(t, ipBytes(v)), read: ipText };
/** As `ip`; the unspecified address, with which the kernel says "none", is left out. */
export const ipOrNone: Codec<string> = {
  write: ip.write,
  read: (a) => {
    const text = ipText(a);
    return text === '0.0.0.0' || text === '::' ? undefined : text;
  },
};
export const mac: Codec<string> = {
  write: (w, t, v) => void w.bytes(t, parseMac(v)),
  read: (a) => {
    if (a.length === 6) return formatMac(a.bytes());
    a.fail(`attribute ${a.type} holds ${a.length} bytes where a MAC address has 6`);
    return undefined;
  },
};
/** A closed set of names over a number; a number without a name reads as undefined. */
export function oneOf<K extends string>(codec: Codec<number>, names: Readonly<Record<K, number>>): Codec<K> {
  const byNumber = new Map<number | undefined, K>();
  for (const name of Object.keys(names) as K[]) byNumber.set(names[name], name);
  return {
    write: (w, t, v) => codec.write(w, t, names[v]),
    read: (a) => byNumber.get(codec.read(a)),
  };
}

/** One property of `T` and the attribute that carries it. */
export type Field<T> = {
  [K in keyof T & string]-?: readonly [key: K, attribute: number, codec: Codec<Exclude<T[K], undefined>>];
}[keyof T & string];
type AnyField = readonly [key: string, attribute: number, codec: Codec<unknown>];

/** Properties that map to attributes one to one: written in the table's order, read in any. */
export class Fields<T extends object> {
  readonly #list: readonly AnyField[];
  readonly #byAttribute: (AnyField | undefined)[] = [];

  constructor(list: readonly Field<T>[]) {
    // each entry was checked against its own property; the table as a whole only passes values through
    this.#list = list;
    for (const field of this.#list) this.#byAttribute[field[1]] = field;
  }

  write(w: NlWriter, values: Partial<T>): void {
    const record = values as Readonly<Record<string, unknown>>;
    for (const [key, attribute, codec] of this.#list) {
      const value = record[key];
      if (value !== undefined) codec.write(w, attribute, value);
    }
  }

  /** Sets the property of the attribute that the reader stands on; false where it is none of this table's. */
  readOne(a: NlAttrs, into: Partial<T>): boolean {
    const field = this.#byAttribute[a.type];
    if (!field) return false;
    const value = field[2].read(a);
    if (value !== undefined) (into as Record<string, unknown>)[field[0]] = value;
    return true;
  }

  readAll(attrs: NlAttrs, into: Partial<T>): void {
    for (const a of attrs) this.readOne(a, into);
  }
}

/** Names of the bits that are set, in the order of the table. */
export function bitNames<K extends string>(bits: number, names: readonly (readonly [K, number])[]): readonly K[] {
  if (bits === 0) return NO_NAMES;
  const out: K[] = [];
  for (const [name, bit] of names) if ((bits & bit) !== 0) out.push(name);
  return out;
}
const NO_NAMES: readonly never[] = Object.freeze([]);

export function bitsOfNames<K extends string>(
  set: readonly K[] | undefined,
  names: readonly (readonly [K, number])[],
): number {
  let bits = 0;
  for (const [name, bit] of names) if (set?.includes(name) === true) bits |= bit;
  return bits;
}
