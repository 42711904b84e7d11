import { ipFromBytes, tryParseIp } from '../addr/index.ts';

const V4 = '.in-addr.arpa';
const V6 = '.ip6.arpa';

/**
 * The address that a lower-case name of the reverse tree stands for, as canonical text; undefined for any other name.
 * @see RFC 1035 section 3.5, RFC 3596 section 2.5
 */
export function parseReverse(name: string): string | undefined {
  if (name.endsWith(V4)) {
    const parts = name.slice(0, -V4.length).split('.');
    return parts.length === 4 ? tryParseIp(parts.reverse().join('.'))?.text : undefined;
  }
  if (name.endsWith(V6) && name.length === 63 + V6.length) {
    const bytes = new Uint8Array(16);
    for (let i = 0; i < 32; i++) {
      const nibble = HEX.indexOf(name[(31 - i) * 2]!);
      if (nibble < 0 || (i < 31 && name[(30 - i) * 2 + 1] !== '.')) return undefined;
      bytes[i >> 1] = (bytes[i >> 1]! << 4) | nibble;
    }
    return ipFromBytes(bytes).text;
  }
  return undefined;
}

const HEX = '0123456789abcdef';
