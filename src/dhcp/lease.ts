import { parseIp, withoutLength } from '../addr/index.ts';
import { MalformedError } from './errors.ts';
import type { DhcpMessage } from './message.ts';
import { classlessRoutes, domain, type DhcpRoute, ip, ips, OPTION, search, u16, u32 } from './option.ts';

/** What a DHCP server gave: a plain record, good to be stored and taken up again by another process. */
export interface DhcpLease {
  /** With the length of the subnet: `192.168.1.57/24`. */
  readonly address: string;
  /** The default gateway. */
  readonly router?: string;
  /** Other routes that the server told. */
  readonly routes: readonly DhcpRoute[];
  readonly dns: readonly string[];
  readonly search: readonly string[];
  /** Bytes. */
  readonly mtu?: number;
  /** The server's identifier, an IPv4 address. */
  readonly server: string;
  /** Who handed us its answer on the link: the server, or the router on the way to it. */
  readonly serverMac: string;
  /** When it was asked for, and when to ask that server again (T1), to ask any server (T2), to stop using it. Milliseconds since 1970. */
  readonly obtained: number;
  readonly renewAt: number;
  readonly rebindAt: number;
  /** FOREVER where the lease has no end. */
  readonly expiresAt: number;
}

/** The last millisecond that a Date knows. */
export const FOREVER = 8_640_000_000_000_000;

/** Without the length: `192.168.1.57`. */
export function addressOf(lease: DhcpLease): string {
  return withoutLength(lease.address);
}

/**
 * The lease in an OFFER or ACK. What is of no use on its own (an MTU of 3, a nameserver of 0.0.0.0) is left out; what
 * no lease can do without is an error. @param obtained when the request was sent, ms since 1970
 * @throws MalformedError
 */
export function leaseOf(message: DhcpMessage, obtained: number, serverMac: string): DhcpLease {
  const { options, yiaddr } = message;
  if (!isUnicast(yiaddr)) throw new MalformedError(`the address ${yiaddr}, which no host can have`);
  const server = ip(options, OPTION.SERVER_ID);
  if (server === undefined) throw new MalformedError('no server identifier');
  const seconds = u32(options, OPTION.LEASE_TIME);
  if (seconds === undefined || seconds === 0) throw new MalformedError('no lease time');
  const all = lenient(() => classlessRoutes(options));
  // option 121 stands for option 3 as well: RFC 3442
  const router = all
    ? all.find((route) => route.dst === '0.0.0.0/0')?.gateway
    : lenient(() => ips(options, OPTION.ROUTER))?.find(isUnicast);
  const mtu = lenient(() => u16(options, OPTION.MTU));
  const own = lenient(() => domain(options, OPTION.DOMAIN));
  const list = lenient(() => search(options)) ?? [];
  return {
    address: `${yiaddr}/${prefixLength(options, yiaddr)}`,
    ...(router === undefined ? {} : { router }),
    routes: (all ?? []).filter((route) => route.dst !== '0.0.0.0/0'),
    dns: (lenient(() => ips(options, OPTION.DNS)) ?? []).filter(isUnicast),
    search: list.length > 0 ? list : own === undefined ? [] : [own],
    ...(mtu !== undefined && mtu >= MIN_MTU ? { mtu } : {}),
    server,
    serverMac,
    obtained,
    ...times(options, seconds, obtained),
  };
}

/** Whether a host can have this IPv4 address. */
export function isUnicast(address: string): boolean {
  const first = parseIp(address).bytes[0]!;
  return first > 0 && first < 224 && first !== 127;
}

/** RFC 2131 section 4.4.5: T1 is half of the time, T2 seven eighths, unless the server says otherwise. */
function times(
  options: DhcpMessage['options'],
  seconds: number,
  from: number,
): Pick<DhcpLease, 'renewAt' | 'rebindAt' | 'expiresAt'> {
  if (seconds === 0xffff_ffff) return { renewAt: FOREVER, rebindAt: FOREVER, expiresAt: FOREVER };
  const t1 = lenient(() => u32(options, OPTION.T1)) ?? seconds * 0.5;
  const t2 = lenient(() => u32(options, OPTION.T2)) ?? seconds * 0.875;
  const sane = t1 > 0 && t1 < t2 && t2 < seconds;
  return {
    renewAt: from + (sane ? t1 : seconds * 0.5) * 1000,
    rebindAt: from + (sane ? t2 : seconds * 0.875) * 1000,
    expiresAt: from + seconds * 1000,
  };
}

/** The mask's length; that of the address's class where the server gave none. */
function prefixLength(options: DhcpMessage['options'], address: string): number {
  const mask = lenient(() => u32(options, OPTION.SUBNET_MASK));
  const length = mask === undefined ? -1 : Math.clz32(~mask >>> 0);
  // ones, then zeros
  if (mask !== undefined && length > 0 && mask === (0xffff_ffff << (32 - length)) >>> 0) return length;
  const first = Number.parseInt(address, 10);
  return first < 128 ? 8 : first < 192 ? 16 : 24;
}

function lenient<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

/** RFC 2132 section 5.1 */
const MIN_MTU = 68;
