import { formatMac, parseMac } from '../addr/index.ts';
import { MalformedError } from './errors.ts';
import { ipText, OPTION, type Options, readU32, TYPE, u8 } from './option.ts';

/** A DHCPv4 message. Addresses are texts, `0.0.0.0` where the field is empty. @see RFC 2131 section 2 */
export interface DhcpMessage {
  /** 1 from a client, 2 from a server. */
  readonly op: 1 | 2;
  readonly xid: number;
  /** Seconds since the client began. */
  readonly secs: number;
  /** The client cannot hear unicast yet. */
  readonly broadcast: boolean;
  readonly ciaddr: string;
  readonly yiaddr: string;
  readonly siaddr: string;
  readonly giaddr: string;
  /** The client's MAC address. */
  readonly chaddr: string;
  /** Without OVERLOAD, which is the codec's own affair. */
  readonly options: Options;
}

/** What a message is, or undefined for BOOTP's. @throws MalformedError */
export function typeOf(message: DhcpMessage): number | undefined {
  return u8(message.options, OPTION.MESSAGE_TYPE);
}
export function typeName(type: number | undefined): string {
  return Object.entries(TYPE).find(([, number]) => number === type)?.[0] ?? `message ${type}`;
}

/** Reads a UDP payload. Options may go on in the fields `file` and `sname`. @throws MalformedError */
export function decodeMessage(bytes: Uint8Array): DhcpMessage {
  if (bytes.length < OPTIONS_AT) throw new MalformedError(`a DHCP message of ${bytes.length} bytes`);
  const op = bytes[0]!;
  if (op !== 1 && op !== 2) throw new MalformedError(`operation ${op}`);
  if (bytes[1] !== 1 || bytes[2] !== 6) throw new MalformedError('a hardware address that is not of Ethernet');
  if (readU32(bytes, COOKIE_AT) !== COOKIE) throw new MalformedError('no DHCP: the magic cookie is missing');
  return {
    op,
    xid: readU32(bytes, 4),
    secs: (bytes[8]! << 8) | bytes[9]!,
    broadcast: bytes[10]! >= 0x80,
    ciaddr: ipText(bytes, 12),
    yiaddr: ipText(bytes, 16),
    siaddr: ipText(bytes, 20),
    giaddr: ipText(bytes, 24),
    chaddr: formatMac(bytes.subarray(28, 34)),
    options: readOptions(bytes),
  };
}

/**
 * The message as a UDP payload of at least 300 bytes, which some BOOTP relays want. Options over 255 bytes are split;
 * what `maxSize` does not hold goes to `file` and `sname`. Their order is that of the map, the message type first.
 * @param maxSize bytes of payload that the receiver takes; RFC 2131 promises 548 (576 with IP and UDP headers)
 * @throws MalformedError when it does not fit
 */
export function encodeMessage(message: DhcpMessage, { maxSize = 548 }: { readonly maxSize?: number } = {}): Uint8Array {
  const chunks = split(message.options);
  // three bytes for OVERLOAD, one for END
  const areas = [
    room(OPTIONS_AT, maxSize - 4),
    room(FILE.at, FILE.at + FILE.size - 1),
    room(SNAME.at, SNAME.at + SNAME.size - 1),
  ];
  const bytes = new Uint8Array(maxSize);
  let area = 0;
  for (const chunk of chunks) {
    // never back to an area before: pieces of one option are joined in this order (RFC 3396 section 5)
    while (areas[area] && areas[area]!.at + chunk.length > areas[area]!.end) area++;
    const here = areas[area];
    if (!here) throw new MalformedError(`options that need more than ${maxSize} bytes`);
    bytes.set(chunk, here.at);
    here.at += chunk.length;
  }
  const [main, file, sname] = areas as [Room, Room, Room];
  const overload = (file.at > FILE.at ? 1 : 0) | (sname.at > SNAME.at ? 2 : 0);
  if (overload !== 0) {
    bytes.set([OPTION.OVERLOAD, 1, overload], main.at);
    main.at += 3;
    if ((overload & 1) !== 0) bytes[file.at] = OPTION.END;
    if ((overload & 2) !== 0) bytes[sname.at] = OPTION.END;
  }
  bytes[main.at++] = OPTION.END;
  writeHeader(bytes, message);
  return bytes.subarray(0, Math.max(main.at, MIN_SIZE));
}

interface Room {
  at: number;
  readonly end: number;
}
function room(at: number, end: number): Room {
  return { at, end };
}

function writeHeader(bytes: Uint8Array, message: DhcpMessage): void {
  const view = new DataView(bytes.buffer);
  bytes.set([message.op, 1, 6, 0]);
  view.setUint32(4, message.xid);
  view.setUint16(8, Math.min(message.secs, 0xffff));
  view.setUint16(10, message.broadcast ? 0x8000 : 0);
  for (const [i, address] of [message.ciaddr, message.yiaddr, message.siaddr, message.giaddr].entries()) {
    bytes.set(address.split('.').map(Number), 12 + i * 4);
  }
  bytes.set(parseMac(message.chaddr), 28);
  view.setUint32(COOKIE_AT, COOKIE);
}

/** Code, length, value; more than once where the value is too long for one. */
function split(options: Options): Uint8Array[] {
  const type = options.get(OPTION.MESSAGE_TYPE);
  const rest = [...options].filter(([code]) => code !== OPTION.MESSAGE_TYPE);
  const all: readonly (readonly [number, Uint8Array])[] = type ? [[OPTION.MESSAGE_TYPE, type], ...rest] : rest;
  const chunks: Uint8Array[] = [];
  for (const [code, value] of all) {
    for (let at = 0; at === 0 || at < value.length; at += 255) {
      const piece = value.subarray(at, at + 255);
      const chunk = new Uint8Array(2 + piece.length);
      chunk.set([code, piece.length]);
      chunk.set(piece, 2);
      chunks.push(chunk);
    }
  }
  return chunks;
}

function readOptions(bytes: Uint8Array): Options {
  const found = new Map<number, Uint8Array>();
  walk(bytes, OPTIONS_AT, bytes.length, found);
  const overload = found.get(OPTION.OVERLOAD);
  if (overload) {
    if (overload.length !== 1 || overload[0]! < 1 || overload[0]! > 3) {
      throw new MalformedError('option 52 (overload) is not 1, 2 or 3');
    }
    found.delete(OPTION.OVERLOAD);
    if ((overload[0]! & 1) !== 0) walk(bytes, FILE.at, FILE.at + FILE.size, found);
    if ((overload[0]! & 2) !== 0) walk(bytes, SNAME.at, SNAME.at + SNAME.size, found);
    // only the first area may say so, else there would be no end
    if (found.has(OPTION.OVERLOAD)) throw new MalformedError('option 52 (overload) inside an overloaded field');
  }
  return found;
}

function walk(bytes: Uint8Array, start: number, end: number, into: Map<number, Uint8Array>): void {
  for (let at = start; at < end;) {
    const code = bytes[at++]!;
    if (code === OPTION.PAD) continue;
    if (code === OPTION.END) return;
    const length = at < end ? bytes[at]! : 256;
    if (at + 1 + length > end) throw new MalformedError(`option ${code} ends behind its field`);
    const value = bytes.subarray(at + 1, at + 1 + length);
    const before = into.get(code);
    into.set(code, before ? joined(before, value) : value.slice());
    at += 1 + length;
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

const SNAME = { at: 44, size: 64 } as const;
const FILE = { at: 108, size: 128 } as const;
const COOKIE_AT = 236;
const COOKIE = 0x6382_5363;
const OPTIONS_AT = 240;
const MIN_SIZE = 300;
