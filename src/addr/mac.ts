import { NetloomError } from '../errors.ts';
import type { Ip } from './ip.ts';

/**
 * Reads six hexadecimal bytes with `:` or `-` between. With `unicast`, an address that an interface cannot have as its
 * own (the group bit set, or all zero) is refused. @throws NetloomError EBADMAC
 */
export function parseMac(text: string, options?: { readonly unicast?: boolean }): Uint8Array {
  if (!/^[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}$|^[0-9a-fA-F]{2}(?:-[0-9a-fA-F]{2}){5}$/.test(text)) {
    throw bad(text, 'write six hexadecimal bytes, such as 02:42:ac:12:00:02');
  }
  const bytes = new Uint8Array(6);
  for (let i = 0; i < 6; i++) bytes[i] = Number.parseInt(text.slice(i * 3, i * 3 + 2), 16);
  if (options?.unicast === true) {
    if ((bytes[0]! & 1) !== 0)
      throw bad(text, 'a multicast address cannot be an interface’s own; make the first byte even');
    if (bytes.every((byte) => byte === 0)) throw bad(text, 'all zeros cannot be an interface’s own address');
  }
  return bytes;
}

/** Lower case with colons. @throws NetloomError EBADMAC unless there are six bytes. */
export function formatMac(bytes: Uint8Array): string {
  if (bytes.length !== 6) throw new NetloomError('EBADMAC', `a MAC address has 6 bytes, not ${bytes.length}`);
  let text = HEX[bytes[0]!]!;
  for (let i = 1; i < 6; i++) text += `:${HEX[bytes[i]!]!}`;
  return text;
}
const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/**
 * A locally administered MAC address that follows from the IP address, as text: `02:42` and the four bytes for IPv4, as
 * Docker makes it; `02:66` and the interface identifier folded to four bytes for IPv6. Addresses handed out in series
 * from one subnet get different ones.
 */
export function macFor(ip: Ip): string {
  const b = ip.bytes;
  if (ip.family === 4) return formatMac(Uint8Array.of(0x02, 0x42, b[0]!, b[1]!, b[2]!, b[3]!));
  const fold = [12, 13, 14, 15].map((i) => b[i]! ^ b[i - 4]!);
  return formatMac(Uint8Array.of(0x02, 0x66, ...fold));
}

/** A locally administered MAC address by chance, as text. @param random as many bytes as it is asked for */
export function randomMac(random: (bytes: number) => Uint8Array): string {
  const [first = 0, ...rest] = random(6);
  return formatMac(Uint8Array.of((first & 0xfc) | 2, ...rest));
}

function bad(text: string, cure: string): NetloomError {
  return new NetloomError('EBADMAC', `"${text}" is no usable MAC address: ${cure}`);
}
