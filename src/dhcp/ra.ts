import { formatMac, ipFromBytes, parseIp, parseMac } from '../addr/index.ts';
import { decodeDomains, encodeDomains } from './domain.ts';
import { MalformedError } from './errors.ts';

/** A prefix information option. @see RFC 4861 section 4.6.2 */
export interface RaPrefix {
  /** `fd00:1::/64`, host bits cleared. */
  readonly prefix: string;
  readonly onLink: boolean;
  /** Hosts may make addresses of it by themselves (SLAAC, RFC 4862). */
  readonly autonomous: boolean;
  /** Seconds; 0xffffffff for ever. */
  readonly valid: number;
  readonly preferred: number;
}
/** @see RFC 4191 section 2.3 */
export interface RaRoute {
  readonly prefix: string;
  /** Seconds. */
  readonly lifetime: number;
}
/** A router advertisement. @see RFC 4861 section 4.2 */
export interface RouterAdvertisement {
  /** 0 leaves it to the host. */
  readonly hopLimit: number;
  /** Addresses come by DHCPv6. */
  readonly managed: boolean;
  /** Other things come by DHCPv6. */
  readonly other: boolean;
  /** Seconds that this router is a default one; 0 when it is none. */
  readonly lifetime: number;
  /** Milliseconds; 0 says nothing. */
  readonly reachable: number;
  readonly retransmit: number;
  readonly sourceMac?: string;
  /** Bytes. */
  readonly mtu?: number;
  readonly prefixes: readonly RaPrefix[];
  readonly routes: readonly RaRoute[];
  /** RFC 8106. */
  readonly dns: { readonly servers: readonly string[]; readonly lifetime: number };
  readonly search: { readonly domains: readonly string[]; readonly lifetime: number };
}
/** A router solicitation. @see RFC 4861 section 4.1 */
export interface RouterSolicitation {
  readonly sourceMac?: string;
}

export const ICMP6 = { ROUTER_SOLICIT: 133, ROUTER_ADVERT: 134 } as const;

/** Reads an ICMPv6 message without its IPv6 header. @throws MalformedError */
export function decodeAdvertisement(bytes: Uint8Array): RouterAdvertisement {
  if (bytes.length < 16 || bytes[0] !== ICMP6.ROUTER_ADVERT || bytes[1] !== 0) {
    throw new MalformedError('no router advertisement');
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const prefixes: RaPrefix[] = [];
  const routes: RaRoute[] = [];
  const dns: { servers: string[]; lifetime: number } = { servers: [], lifetime: 0 };
  const search: { domains: string[]; lifetime: number } = { domains: [], lifetime: 0 };
  let sourceMac: string | undefined;
  let mtu: number | undefined;
  for (const { type, at, length } of optionsOf(bytes, 16)) {
    switch (type) {
      case ND_OPT.SOURCE_LL:
        if (length === 8) sourceMac = formatMac(bytes.subarray(at + 2, at + 8));
        break;
      case ND_OPT.PREFIX: {
        const bits = bytes[at + 2]!;
        if (length !== 32 || bits > 128) throw new MalformedError('a prefix option that is none');
        const flags = bytes[at + 3]!;
        prefixes.push({
          prefix: prefixText(bytes.subarray(at + 16, at + 32), bits),
          onLink: (flags & 0x80) !== 0,
          autonomous: (flags & 0x40) !== 0,
          valid: view.getUint32(at + 4),
          preferred: view.getUint32(at + 8),
        });
        break;
      }
      case ND_OPT.ROUTE: {
        const bits = bytes[at + 2]!;
        if (length > 24 || bits > (length - 8) * 8) throw new MalformedError('a route option that is none');
        const whole = new Uint8Array(16);
        whole.set(bytes.subarray(at + 8, at + length));
        routes.push({ prefix: prefixText(whole, bits), lifetime: view.getUint32(at + 4) });
        break;
      }
      case ND_OPT.MTU:
        if (length === 8) mtu = view.getUint32(at + 4);
        break;
      case ND_OPT.RDNSS:
        if (length < 24 || length % 16 !== 8) throw new MalformedError(`a DNS server option of ${length} bytes`);
        for (let i = at + 8; i < at + length; i += 16) dns.servers.push(ipFromBytes(bytes.subarray(i, i + 16)).text);
        dns.lifetime = view.getUint32(at + 4);
        break;
      case ND_OPT.DNSSL:
        if (length < 16) throw new MalformedError(`a search list option of ${length} bytes`);
        search.domains.push(...decodeDomains(unpadded(bytes.subarray(at + 8, at + length)), { pointers: false }));
        search.lifetime = view.getUint32(at + 4);
        break;
      default: // unknown ones are skipped: section 4.2
    }
  }
  return {
    hopLimit: bytes[4]!,
    managed: (bytes[5]! & 0x80) !== 0,
    other: (bytes[5]! & 0x40) !== 0,
    lifetime: view.getUint16(6),
    reachable: view.getUint32(8),
    retransmit: view.getUint32(12),
    ...(sourceMac === undefined ? {} : { sourceMac }),
    ...(mtu === undefined ? {} : { mtu }),
    prefixes,
    routes,
    dns,
    search,
  };
}

/** The ICMPv6 message; its checksum is zero, since it depends on the addresses around it. */
export function encodeAdvertisement(ra: RouterAdvertisement): Uint8Array {
  const out: number[] = [ICMP6.ROUTER_ADVERT, 0, 0, 0, ra.hopLimit, (ra.managed ? 0x80 : 0) | (ra.other ? 0x40 : 0)];
  out.push(...be16(ra.lifetime), ...be32(ra.reachable), ...be32(ra.retransmit));
  if (ra.sourceMac !== undefined) out.push(ND_OPT.SOURCE_LL, 1, ...parseMac(ra.sourceMac));
  if (ra.mtu !== undefined) out.push(ND_OPT.MTU, 1, 0, 0, ...be32(ra.mtu));
  for (const { prefix, onLink, autonomous, valid, preferred } of ra.prefixes) {
    const [bytes, bits] = prefixBytes(prefix);
    const flags = (onLink ? 0x80 : 0) | (autonomous ? 0x40 : 0);
    out.push(ND_OPT.PREFIX, 4, bits, flags, ...be32(valid), ...be32(preferred), 0, 0, 0, 0, ...bytes);
  }
  for (const { prefix, lifetime } of ra.routes) {
    const [bytes, bits] = prefixBytes(prefix);
    out.push(ND_OPT.ROUTE, 3, bits, 0, ...be32(lifetime), ...bytes);
  }
  if (ra.dns.servers.length > 0) {
    out.push(ND_OPT.RDNSS, 1 + 2 * ra.dns.servers.length, 0, 0, ...be32(ra.dns.lifetime));
    for (const server of ra.dns.servers) out.push(...parseIp(server).bytes);
  }
  if (ra.search.domains.length > 0) {
    const names = encodeDomains(ra.search.domains);
    const units = 1 + Math.ceil(names.length / 8);
    out.push(ND_OPT.DNSSL, units, 0, 0, ...be32(ra.search.lifetime), ...names);
    for (let i = names.length; i % 8 !== 0; i++) out.push(0);
  }
  return Uint8Array.from(out);
}

/** @throws MalformedError */
export function decodeSolicitation(bytes: Uint8Array): RouterSolicitation {
  if (bytes.length < 8 || bytes[0] !== ICMP6.ROUTER_SOLICIT || bytes[1] !== 0) {
    throw new MalformedError('no router solicitation');
  }
  let sourceMac: string | undefined;
  for (const { type, at, length } of optionsOf(bytes, 8)) {
    if (type === ND_OPT.SOURCE_LL && length === 8) sourceMac = formatMac(bytes.subarray(at + 2, at + 8));
  }
  return sourceMac === undefined ? {} : { sourceMac };
}
export function encodeSolicitation(rs: RouterSolicitation): Uint8Array {
  const source = rs.sourceMac === undefined ? [] : [ND_OPT.SOURCE_LL, 1, ...parseMac(rs.sourceMac)];
  return Uint8Array.of(ICMP6.ROUTER_SOLICIT, 0, 0, 0, 0, 0, 0, 0, ...source);
}

function* optionsOf(bytes: Uint8Array, start: number): Generator<{ type: number; at: number; length: number }> {
  for (let at = start; at < bytes.length;) {
    const length = at + 1 < bytes.length ? bytes[at + 1]! * 8 : 0;
    // a length of zero is the end of the message: section 4.6
    if (length === 0 || at + length > bytes.length) {
      throw new MalformedError(`the option at byte ${at} says ${length} bytes, ${bytes.length - at} are left`);
    }
    yield { type: bytes[at]!, at, length };
    at += length;
  }
}

/** Without the zero bytes behind the last name, which would read as names without a label. */
function unpadded(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return bytes.subarray(0, Math.min(end + 1, bytes.length));
}
function prefixText(bytes: Uint8Array, bits: number): string {
  const masked = bytes.map((byte, i) => byte & (0xff00 >> Math.min(Math.max(bits - i * 8, 0), 8)));
  return `${ipFromBytes(masked).text}/${bits}`;
}
function prefixBytes(prefix: string): [Uint8Array, number] {
  const [address = '', bits = ''] = prefix.split('/');
  return [parseIp(address).bytes, Number(bits)];
}
function be16(value: number): number[] {
  return [value >>> 8, value & 0xff];
}
function be32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}

/** RFC 4861 section 4.6, RFC 4191 section 2.3, RFC 8106 section 5 */
const ND_OPT = { SOURCE_LL: 1, PREFIX: 3, MTU: 5, ROUTE: 24, RDNSS: 25, DNSSL: 31 } as const;
