import { NetloomError } from '../errors.ts';
import { bitsOf, ipFromValue, tryParseIp } from './ip.ts';
import type { Family, Ip } from './ip.ts';

/** An address with a prefix length. The address may have host bits (`172.18.0.2/16`); `network` clears them. */
export interface Prefix {
  readonly family: Family;
  readonly address: Ip;
  readonly length: number;
  /** Canonical: `172.18.0.2/16`. */
  readonly text: string;
  /** The lowest address inside. */
  readonly first: bigint;
  /** The highest address inside. */
  readonly last: bigint;
}

/**
 * Reads `address/length`. With `strict`, host bits are an error that names the right network.
 * @throws NetloomError EBADPREFIX
 */
export function parsePrefix(text: string, options?: { readonly strict?: boolean }): Prefix {
  const slash = text.indexOf('/');
  const address = tryParseIp(slash < 0 ? text : text.slice(0, slash));
  if (!address) throw bad(text, 'write one such as 172.18.0.0/16 or fd00:1::/64');
  const bits = bitsOf(address.family);
  if (slash < 0) throw bad(text, `add its length, such as ${address.text}/${bits}`);
  const digits = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(digits) || Number(digits) > bits) {
    throw bad(text, `the length after / is 0 to ${bits} for IPv${address.family}`);
  }
  const prefix = makePrefix(address, Number(digits));
  if (options?.strict === true && prefix.first !== address.value) {
    throw bad(text, `it has host bits set; the network is ${network(prefix).text}`);
  }
  return prefix;
}

/** As `parsePrefix` without `strict`, but undefined for what is no prefix. */
export function tryParsePrefix(text: string): Prefix | undefined {
  try {
    return parsePrefix(text);
  } catch {
    return undefined;
  }
}

/** @throws NetloomError EBADPREFIX when the length does not fit the address's family. */
export function makePrefix(address: Ip, length: number): Prefix {
  const bits = bitsOf(address.family);
  const text = `${address.text}/${length}`;
  if (!Number.isInteger(length) || length < 0 || length > bits) {
    throw bad(text, `the length after / is 0 to ${bits} for IPv${address.family}`);
  }
  const host = hostMask(bits - length);
  const last = address.value | host;
  return { family: address.family, address, length, text, first: last ^ host, last };
}

/** The prefix with its host bits cleared: `172.18.0.2/16` gives `172.18.0.0/16`. */
export function network(prefix: Prefix): Prefix {
  if (prefix.first === prefix.address.value) return prefix;
  return makePrefix(ipFromValue(prefix.family, prefix.first), prefix.length);
}

/** The address of `ADDRESS/LENGTH`, as it is written; a bare one stays as it is. */
export function withoutLength(text: string): string {
  return text.replace(/\/.*/, '');
}

/** True when every address of `inner`, which may be one address, is in `outer`. */
export function contains(outer: Prefix, inner: Ip | Prefix): boolean {
  if (outer.family !== inner.family) return false;
  return 'value' in inner
    ? inner.value >= outer.first && inner.value <= outer.last
    : inner.first >= outer.first && inner.last <= outer.last;
}

/** True when the two have an address in common. */
export function overlaps(a: Prefix, b: Prefix): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

/** The IPv4 broadcast address; undefined for IPv6, /31 (RFC 3021) and /32, which have none. */
export function broadcastOf(prefix: Prefix): Ip | undefined {
  return prefix.family === 4 && prefix.length < 31 ? ipFromValue(4, prefix.last) : undefined;
}

/** How many addresses are inside, network and broadcast address included. */
export function prefixSize(prefix: Prefix): bigint {
  return prefix.last - prefix.first + 1n;
}

function hostMask(hostBits: number): bigint {
  return (1n << BigInt(hostBits)) - 1n;
}

function bad(text: string, cure: string): NetloomError {
  return new NetloomError('EBADPREFIX', `"${text}" is no address prefix: ${cure}`);
}
