import { type Family, parseIp, parsePrefix, whyNoAsn } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import type { Netns } from '../kernel/index.ts';

/** A router that we speak with. */
export interface NeighbourOptions {
  /** `192.0.2.1`, `2001:db8::1`; link-local ones are none yet. */
  readonly address: string;
  /** Its AS; our own: a session within it. */
  readonly asn: number;
  /** Default 179. */
  readonly port?: number;
  /** Our address for the session; the kernel chooses without. */
  readonly source?: string;
  /** It connects to us. */
  readonly passive?: boolean;
  /** Signs every segment, 80 bytes at most. @see RFC 2385 */
  readonly password?: string;
  /** Seconds, 3 to 65535, or 0 for none at all; default 90. The shorter of both sides' holds. */
  readonly holdTime?: number;
  /** How many routers may be between; default 1 for another AS, 255 for our own. */
  readonly hops?: number;
  /** Default both. */
  readonly families?: readonly Family[];
  /** IPv4 prefixes by an IPv6 next hop. @see RFC 8950 */
  readonly extendedNextHop?: boolean;
  /** Prefixes of a family; one more ends the session for five minutes. Default 10000. */
  readonly maxPrefixes?: number;
  /** Only prefixes within one of these are taken; all without. */
  readonly accept?: readonly string[];
  /** How often our AS may stand in the path of what it tells; default 0. */
  readonly allowOwnAs?: number;
  /** Milliseconds between two tries to connect; default 5000. */
  readonly retry?: number;
}

export interface SpeakerOptions {
  /** 1 to 4294967294. */
  readonly asn: number;
  /** An IPv4 address that no other speaker of the AS has: `192.0.2.1`. */
  readonly routerId: string;
  /** Where sockets are; this process's own without. */
  readonly netns?: Netns;
  /** Where neighbours find us; nowhere without. Port 179 unless it says another. */
  readonly listen?: readonly { readonly address: string; readonly port?: number }[];
  readonly neighbours: readonly NeighbourOptions[];
  readonly restart?: {
    /** Seconds that neighbours keep our routes while we are away, up to 4095; default 120. 0: not at all. */
    readonly time?: number;
    /** We were here before, and what the kernel forwards was left as it was. */
    readonly resumed?: boolean;
  };
}

export type Neighbour = Required<Omit<NeighbourOptions, 'source' | 'password'>> &
  Pick<NeighbourOptions, 'source' | 'password'>;

/** With everything that was left out. @throws NetloomError EBADBGPOPTION, EBADADDRESS, EBADPREFIX */
export function neighbourOf(options: NeighbourOptions, localAs: number): Neighbour {
  const address = parseIp(options.address);
  const what = `neighbour ${address.text}`;
  checkAs(options.asn, what);
  const { source, password, holdTime = 90, families = [4, 6], allowOwnAs = 0, accept = [] } = options;
  if (holdTime !== 0) checkRange(holdTime, 3, 65_535, `${what}: a hold time in seconds, or 0 for none,`);
  if (address.family === 6 && /^fe[89ab]/.test(address.text))
    throw bad(`${what}: a link-local address needs its interface, which is not supported; give a global one`);
  if (source !== undefined && parseIp(source).family !== address.family)
    throw bad(`${what}: the source ${source} is of the other family`);
  if (password !== undefined) checkRange(Buffer.byteLength(password), 1, 80, `${what}: a password's number of bytes`);
  if (families.length === 0 || families.some((family) => family !== 4 && family !== 6))
    throw bad(`${what}: families are 4 and 6, one of them at least`);
  const complete = {
    ...{ address: address.text, asn: options.asn, holdTime, allowOwnAs, accept },
    families: [...new Set(families)],
    port: options.port ?? 179,
    passive: options.passive ?? false,
    hops: options.hops ?? (options.asn === localAs ? 255 : 1),
    extendedNextHop: options.extendedNextHop ?? false,
    maxPrefixes: options.maxPrefixes ?? 10_000,
    retry: options.retry ?? 5000,
  };
  checkRange(complete.port, 1, 65_535, `${what}: a port`);
  checkRange(complete.hops, 1, 255, `${what}: a number of hops`);
  checkRange(complete.maxPrefixes, 1, 10_000_000, `${what}: a limit of prefixes`);
  checkRange(complete.retry, 10, 3_600_000, `${what}: milliseconds between two tries`);
  checkRange(allowOwnAs, 0, 10, `${what}: how often our own AS may come`);
  for (const prefix of accept) parsePrefix(prefix, { strict: true });
  return { ...complete, ...(source === undefined ? {} : { source }), ...(password === undefined ? {} : { password }) };
}

/** @throws NetloomError EBADBGPOPTION, EBADADDRESS */
export function checkSpeaker({ asn, routerId, neighbours, restart }: SpeakerOptions): void {
  checkAs(asn, 'the speaker');
  const id = parseIp(routerId);
  if (id.family !== 4 || id.value === 0n)
    throw bad(`a router's identifier looks like an IPv4 address, not ${routerId}`);
  checkRange(restart?.time ?? 0, 0, 4095, 'a restart time in seconds');
  const addresses = neighbours.map(({ address }) => parseIp(address).text);
  const twice = addresses.find((address, i) => addresses.indexOf(address) !== i);
  if (twice !== undefined) throw bad(`neighbour ${twice} is there twice`);
}

/** Communities as they are written. @throws NetloomError EBADBGPOPTION */
export function checkCommunities(communities: readonly string[]): void {
  if (communities.length > 100) throw bad(`${communities.length} communities: 100 are the most`);
  for (const each of communities) {
    const [, high, low] = /^(\d{1,5}):(\d{1,5})$/.exec(each) ?? [];
    if (high === undefined || Number(high) > 65_535 || Number(low) > 65_535)
      throw bad(`"${each}" is no community: write one such as 65000:100`);
  }
}

function checkAs(asn: number, what: string): void {
  const why = whyNoAsn(asn);
  if (why !== '') throw bad(`${what}: ${why}`);
}
function checkRange(value: number, least: number, most: number, what: string): void {
  if (!Number.isInteger(value) || value < least || value > most)
    throw bad(`${what} is ${least} to ${most}, not ${value}`);
}
function bad(message: string): NetloomError {
  return new NetloomError('EBADBGPOPTION', message);
}
