import { type Family, ipFromBytes, parseIp, parsePrefix } from '../addr/index.ts';
import { concat } from './wire.ts';

/**
 * Prefixes as they stand in a message, a length and as many bytes as it needs; bits behind the length are cleared.
 * Undefined where they end behind the bytes or are longer than an address. Each at most once.
 * @see RFC 4271 section 4.3
 */
export function decodePrefixes(bytes: Uint8Array, family: Family): string[] | undefined {
  const bits = family === 4 ? 32 : 128;
  const found = new Set<string>();
  for (let at = 0; at < bytes.length;) {
    const length = bytes[at]!;
    const size = (length + 7) >> 3;
    if (length > bits || at + 1 + size > bytes.length) return undefined;
    const address = new Uint8Array(bits / 8);
    address.set(bytes.subarray(at + 1, at + 1 + size));
    if (length % 8 !== 0) address[size - 1]! &= 0xff << (8 - (length % 8));
    found.add(`${ipFromBytes(address).text}/${length}`);
    at += 1 + size;
  }
  return [...found];
}

/** One prefix, `10.0.0.0/8`. */
export function encodePrefix(text: string): Uint8Array {
  const { address, length } = parsePrefix(text);
  return concat([Uint8Array.of(length), address.bytes.subarray(0, (length + 7) >> 3)]);
}

export function familyOf(text: string): Family {
  return text.includes(':') ? 6 : 4;
}
export function addressBytes(text: string): Uint8Array {
  return parseIp(text).bytes;
}

/**
 * What nobody can have a route to by BGP: this host itself, one link, groups. Such a prefix is passed over (RFC 4271
 * section 6.3), and an address in it is no next hop.
 */
export function isMartian(text: string): boolean {
  const [address = '', length] = text.split('/');
  if (length === '0') return false;
  if (address.includes(':')) return /^(fe[89ab][0-9a-f]:|ff[0-9a-f]{2}:|::1$|::$|::ffff:)/.test(address);
  const first = Number(address.split('.', 1)[0]);
  return first === 0 || first === 127 || first >= 224;
}
