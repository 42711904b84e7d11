import { NetloomError } from '../errors.ts';

export type Family = 4 | 6;

/** One IP address. `value` orders within a family; `text` is canonical (RFC 5952 for IPv6), so that equal addresses are equal texts. */
export interface Ip {
  readonly family: Family;
  /** Network byte order: 4 or 16 bytes. Not to be written to. */
  readonly bytes: Uint8Array;
  readonly value: bigint;
  readonly text: string;
}

/** Bits of an address: 32 or 128. */
export function bitsOf(family: Family): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/**
 * Reads an IPv4 address of four decimal numbers, or an IPv6 address of RFC 4291 section 2.2. Octal-looking numbers
 * (`010.0.0.1`), shorthand (`10.1`), zone ids (`fe80::1%eth0`) and surrounding spaces are refused, since other programs
 * read them differently. @throws NetloomError EBADADDRESS
 */
export function parseIp(text: string): Ip {
  return tryParseIp(text) ?? fail(text);
}

/** As `parseIp`, but undefined for what is no address. */
export function tryParseIp(text: string): Ip | undefined {
  if (text.includes(':')) {
    const bytes = readIpv6(text);
    return bytes && ipFromBytes(bytes);
  }
  const value = readIpv4(text);
  return value < 0 ? undefined : ipv4(value);
}

/** @throws NetloomError EBADADDRESS unless there are 4 or 16 bytes. */
export function ipFromBytes(bytes: Uint8Array): Ip {
  if (bytes.length === 4) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, 4);
    return ipv4(view.getUint32(0));
  }
  if (bytes.length !== 16) {
    throw new NetloomError('EBADADDRESS', `an address has 4 or 16 bytes, not ${bytes.length}`);
  }
  const own = bytes.slice();
  const view = new DataView(own.buffer);
  return {
    family: 6,
    bytes: own,
    value: (view.getBigUint64(0) << 64n) | view.getBigUint64(8),
    text: formatIpv6(own),
  };
}

/** @throws NetloomError EBADADDRESS when the value does not fit the family. */
export function ipFromValue(family: Family, value: bigint): Ip {
  if (value < 0n || value >> BigInt(bitsOf(family)) !== 0n) {
    throw new NetloomError(
      'EBADADDRESS',
      `${value} is no IPv${family} address: it needs more than ${bitsOf(family)} bits`,
    );
  }
  if (family === 4) return ipv4(Number(value));
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, value >> 64n);
  view.setBigUint64(8, value & 0xffff_ffff_ffff_ffffn);
  return { family: 6, bytes, value, text: formatIpv6(bytes) };
}

/** IPv4 first, then by number. */
export function compareIp(a: Ip, b: Ip): number {
  if (a.family !== b.family) return a.family - b.family;
  return a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
}

function ipv4(value: number): Ip {
  const a = value >>> 24;
  const b = (value >>> 16) & 0xff;
  const c = (value >>> 8) & 0xff;
  const d = value & 0xff;
  return { family: 4, bytes: Uint8Array.of(a, b, c, d), value: BigInt(value), text: `${a}.${b}.${c}.${d}` };
}

/** The address as an unsigned number, or -1. */
function readIpv4(text: string): number {
  let value = 0;
  let part = 0;
  let digits = 0;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x2e) {
      if (digits === 0 || ++dots > 3) return -1;
      value = value * 256 + part;
      part = 0;
      digits = 0;
      continue;
    }
    if (code < 0x30 || code > 0x39 || (digits > 0 && part === 0)) return -1;
    part = part * 10 + code - 0x30;
    if (part > 255) return -1;
    digits++;
  }
  return digits > 0 && dots === 3 ? value * 256 + part : -1;
}

function readIpv6(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = readGroups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? readGroups(halves[1]!, true) : [];
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  // "::" stands for at least one group of zeros.
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const bytes = new Uint8Array(16);
  head.forEach((group, i) => putGroup(bytes, i, group));
  tail.forEach((group, i) => putGroup(bytes, 8 - tail.length + i, group));
  return bytes;
}

function putGroup(bytes: Uint8Array, index: number, group: number): void {
  bytes[index * 2] = group >>> 8;
  bytes[index * 2 + 1] = group & 0xff;
}

function readGroups(text: string, last: boolean): number[] | undefined {
  if (text === '') return [];
  const parts = text.split(':');
  const groups: number[] = [];
  for (const [i, part] of parts.entries()) {
    if (last && i === parts.length - 1 && part.includes('.')) {
      const value = readIpv4(part);
      if (value < 0) return undefined;
      groups.push(Math.floor(value / 65536), value % 65536);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return groups;
}

/** RFC 5952: lower case, the longest run of two or more zero groups as "::", IPv4-mapped addresses with dots (section 5). */
function formatIpv6(bytes: Uint8Array): string {
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((bytes[i]! << 8) | bytes[i + 1]!);
  if (groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)) {
    return `::ffff:${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}`;
  }
  let start = -1;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > length) {
      start = i;
      length = end - i;
    }
    if (end > i) i = end;
  }
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  return start < 0 ? hex(0, 8) : `${hex(0, start)}::${hex(start + length, 8)}`;
}

function fail(text: string): never {
  throw new NetloomError('EBADADDRESS', `"${text}" is no IP address: ${cure(text)}`);
}

function cure(text: string): string {
  if (text === '') return 'it is empty; write one such as 192.0.2.1 or 2001:db8::1';
  if (text.includes('/')) return 'leave out the prefix length';
  if (text.includes('%')) return 'leave out the zone after %';
  if (text.trim() !== text) return 'leave out the spaces around it';
  if (/^[\d.]+$/.test(text)) {
    const parts = text.split('.');
    if (parts.length !== 4) return 'write all four numbers, such as 192.0.2.1';
    if (parts.some((part) => /^0\d/.test(part)))
      return 'leave out the leading zeros, which some programs read as octal';
    return 'each of the four numbers is 0 to 255';
  }
  return 'write one such as 192.0.2.1 or 2001:db8::1';
}

/** `c0000201`: an address as a part of an interface's or a chain's name. @throws NetloomError EBADADDRESS */
export function hexOf(address: string): string {
  return Buffer.from(parseIp(address).bytes).toString('hex');
}
