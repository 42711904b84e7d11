import { broadcastOf, contains, parseIp, parsePrefix } from '../addr/index.ts';
import type { Ip, Prefix } from '../addr/index.ts';
import type { Subnet } from '../model/index.ts';

/** What the allocator needs of a subnet, read once from its texts. */
export interface AddressSpace {
  readonly subnet: Prefix;
  /** Automatic addresses come from here, both ends inside. */
  readonly from: bigint;
  readonly to: bigint;
  /** Addresses that are never handed out, with what they are. */
  readonly reserved: ReadonlyMap<bigint, string>;
}

/** @param others  what else is never handed out, wherever it is */
export function addressSpace(subnet: Subnet, others: ReadonlyMap<string, string> = NONE): AddressSpace {
  const prefix = parsePrefix(subnet.subnet);
  const range = subnet.ipRange === undefined ? prefix : parsePrefix(subnet.ipRange);
  const reserved = new Map<bigint, string>();
  for (const [text, what] of others) {
    const ip = parseIp(text);
    if (contains(range, ip)) reserved.set(ip.value, what);
  }
  for (const [name, text] of Object.entries(subnet.auxAddresses ?? {}))
    reserved.set(parseIp(text).value, `auxiliary address ${name}`);
  if (subnet.gateway !== '') reserved.set(parseIp(subnet.gateway).value, 'the gateway');
  // For IPv6 the first address is every router's (RFC 4291 section 2.6.1); there is no broadcast.
  reserved.set(prefix.first, prefix.family === 4 ? 'the network address' : 'the routers’ anycast address');
  const broadcast = broadcastOf(prefix);
  if (broadcast) reserved.set(broadcast.value, 'the broadcast address');
  return { subnet: prefix, from: range.first, to: range.last, reserved };
}

const NONE: ReadonlyMap<string, string> = new Map();

/** Where leases lie: `leases/<network>/…`. */
export const LEASES = 'leases/';

/** Where a lease is kept: family and address in hexadecimal of fixed width, so that the order of keys is that of numbers. */
export function leaseKey(networkId: string, ip: Pick<Ip, 'family' | 'value'>): string {
  return `${LEASES}${networkId}/${ip.family}${ip.value.toString(16).padStart(ip.family === 4 ? 8 : 32, '0')}`;
}

/** The address that a lease key stands for. */
export function leaseValue(key: string): bigint {
  return BigInt(`0x${key.slice(key.lastIndexOf('/') + 2)}`);
}
