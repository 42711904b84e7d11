import { MalformedError } from './errors.ts';
import { decodeDomains, isDomain } from './domain.ts';

/** RFC 2132, RFC 3442, RFC 3397, RFC 2939's registry */
export const OPTION = {
  PAD: 0,
  SUBNET_MASK: 1,
  ROUTER: 3,
  DNS: 6,
  HOSTNAME: 12,
  DOMAIN: 15,
  MTU: 26,
  BROADCAST: 28,
  REQUESTED_IP: 50,
  LEASE_TIME: 51,
  OVERLOAD: 52,
  MESSAGE_TYPE: 53,
  SERVER_ID: 54,
  PARAMETERS: 55,
  MESSAGE: 56,
  MAX_SIZE: 57,
  T1: 58,
  T2: 59,
  CLIENT_ID: 61,
  SEARCH: 119,
  CLASSLESS_ROUTES: 121,
  END: 255,
} as const;

/** RFC 2132 section 9.6 */
export const TYPE = {
  DISCOVER: 1,
  OFFER: 2,
  REQUEST: 3,
  DECLINE: 4,
  ACK: 5,
  NAK: 6,
  RELEASE: 7,
  INFORM: 8,
} as const;

/** Options by code, each whole: what was split over several (RFC 3396) is joined. */
export type Options = ReadonlyMap<number, Uint8Array>;

/** A route of option 121; no gateway where the destination is on the link. */
export interface DhcpRoute {
  /** `10.0.0.0/8`, host bits cleared. */
  readonly dst: string;
  readonly gateway?: string;
}

/** Readers give undefined where the option is missing, and throw MalformedError where its size is wrong. */
export function u8(options: Options, code: number): number | undefined {
  return sized(options, code, 1)?.[0];
}
export function u16(options: Options, code: number): number | undefined {
  const bytes = sized(options, code, 2);
  return bytes && (bytes[0]! << 8) | bytes[1]!;
}
export function u32(options: Options, code: number): number | undefined {
  const bytes = sized(options, code, 4);
  return bytes && readU32(bytes, 0);
}
export function ip(options: Options, code: number): string | undefined {
  const bytes = sized(options, code, 4);
  return bytes && ipText(bytes, 0);
}
export function ips(options: Options, code: number): string[] {
  const bytes = options.get(code);
  if (!bytes) return [];
  if (bytes.length === 0 || bytes.length % 4 !== 0) throw wrong(code, bytes.length, 'a multiple of 4');
  return Array.from({ length: bytes.length / 4 }, (_, i) => ipText(bytes, i * 4));
}
/** Printable text; what is not becomes `?`, since it is shown to people. Zero bytes at the end are no part of it. */
export function text(options: Options, code: number): string | undefined {
  const bytes = options.get(code);
  return (
    bytes &&
    Buffer.from(bytes)
      .toString('latin1')
      .replace(/\0+$/, '')
      .replaceAll(/[^ -~]/g, '?')
  );
}
/** A hostname or domain name; undefined also for what is none. */
export function domain(options: Options, code: number): string | undefined {
  const name = text(options, code);
  return name !== undefined && isDomain(name) ? name.replace(/\.$/, '') : undefined;
}
/** Option 119. */
export function search(options: Options): string[] {
  const bytes = options.get(OPTION.SEARCH);
  return bytes ? decodeDomains(bytes, { pointers: true }) : [];
}
/** Option 121: a length of prefix, as many bytes of destination as that needs, a router. @see RFC 3442 */
export function classlessRoutes(options: Options): DhcpRoute[] | undefined {
  const bytes = options.get(OPTION.CLASSLESS_ROUTES);
  if (!bytes) return undefined;
  const routes: DhcpRoute[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes[at]!;
    const size = (length + 7) >> 3;
    if (length > 32 || at + 1 + size + 4 > bytes.length) {
      throw new MalformedError(`option 121 has a route that ends behind it, or of length ${length}`);
    }
    let value = 0;
    for (let i = 0; i < 4; i++) value = value * 256 + (i < size ? bytes[at + 1 + i]! : 0);
    value = length === 0 ? 0 : (value & (0xffff_ffff << (32 - length))) >>> 0;
    const gateway = ipText(bytes, at + 1 + size);
    const dst = `${ipOf(value)}/${length}`;
    routes.push(gateway === '0.0.0.0' ? { dst } : { dst, gateway });
    at += 1 + size + 4;
  }
  return routes;
}

/** Writers give the value of an option. */
export function ofU16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value);
}
export function ofU32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}
export function ofIps(addresses: readonly string[]): Uint8Array {
  return Uint8Array.from(addresses.flatMap((address) => address.split('.').map(Number)));
}
export function ofText(value: string): Uint8Array {
  return Uint8Array.from(Buffer.from(value, 'latin1'));
}
export function ofRoutes(routes: readonly DhcpRoute[]): Uint8Array {
  const out: number[] = [];
  for (const { dst, gateway = '0.0.0.0' } of routes) {
    const [address = '', length = ''] = dst.split('/');
    const size = (Number(length) + 7) >> 3;
    out.push(Number(length), ...address.split('.').slice(0, size).map(Number), ...gateway.split('.').map(Number));
  }
  return Uint8Array.from(out);
}

export function ipOf(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 0xff}.${(value >>> 8) & 0xff}.${value & 0xff}`;
}
export function ipText(bytes: Uint8Array, at: number): string {
  return `${bytes[at]!}.${bytes[at + 1]!}.${bytes[at + 2]!}.${bytes[at + 3]!}`;
}
export function readU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

function sized(options: Options, code: number, size: number): Uint8Array | undefined {
  const bytes = options.get(code);
  if (bytes && bytes.length !== size) throw wrong(code, bytes.length, String(size));
  return bytes;
}
function wrong(code: number, length: number, wanted: string): MalformedError {
  return new MalformedError(`option ${code} has ${length} bytes, ${wanted} wanted`);
}
