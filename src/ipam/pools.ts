import { bitsOf, ipFromValue, makePrefix, network, overlaps, parsePrefix } from '../addr/index.ts';
import type { Family, Prefix } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import { isDefaultRoute } from '../model/index.ts';
import type { Occupied } from '../model/index.ts';

/** A space that automatic subnets are cut from. */
export interface Pool {
  /** `172.18.0.0/15`. */
  readonly base: Prefix;
  /** The prefix length of each subnet. */
  readonly size: number;
}

/**
 * Where IPv4 subnets come from unless configured: 172.18.0.0 to 172.31.255.255, then 192.168.0.0/16, each network a
 * /24. The space is Docker's, so that firewalls and VPNs which know to leave it alone still do; the size is not: a /16
 * each is used up by 14 networks and collides with whole company networks, a /24 leaves 3,840 networks of 253 endpoints.
 * 172.17.0.0/16 stays out, being docker0's on most machines. A larger network asks for its subnet.
 */
export const DEFAULT_POOLS: readonly Pool[] = ['172.18.0.0/15', '172.20.0.0/14', '172.24.0.0/13', '192.168.0.0/16'].map(
  (base) => ({
    base: parsePrefix(base),
    size: 24,
  }),
);

/** `base` as text and the subnets' length, as a configuration has them. @throws NetloomError EBADPREFIX, EBADPOOL */
export function parsePool(base: string, size: number): Pool {
  const prefix = parsePrefix(base, { strict: true });
  const longest = prefix.family === 4 ? 30 : 126;
  if (!Number.isInteger(size) || size < prefix.length || size > longest) {
    throw new NetloomError(
      'EBADPOOL',
      `pool ${prefix.text}: subnets of length ${size} cannot be cut from it; take ${prefix.length} to ${longest}`,
    );
  }
  return { base: prefix, size };
}

/**
 * The IPv6 pool of one installation: a unique local /48 (RFC 4193 section 3.2) of the seed's first five bytes, a /64
 * each network. The seed is drawn once and kept, so that two hosts' networks differ.
 */
export function ulaPool(seed: Uint8Array): Pool {
  if (seed.length < 5)
    throw new NetloomError('EBADPOOL', `the seed of the IPv6 pool has ${seed.length} bytes; it needs 5`);
  let value = 0xfdn;
  for (const byte of seed.subarray(0, 5)) value = (value << 8n) | BigInt(byte);
  return { base: makePrefix(ipFromValue(6, value << 80n), 48), size: 64 };
}

/**
 * The first subnet of the family that overlaps nothing used: neither a network nor a route or address of the host.
 * @throws NetloomError EPOOLEXHAUSTED, saying what is in the way in each pool
 */
export function chooseSubnet(pools: readonly Pool[], family: Family, used: readonly Occupied[]): Prefix {
  const ofFamily = pools.filter((pool) => pool.base.family === family);
  for (const pool of ofFamily) {
    const free = firstFree(pool, used);
    if (free) return free;
  }
  const why = ofFamily.map((pool) => `${pool.base.text}: ${blockers(pool, used)}`);
  throw new NetloomError(
    'EPOOLEXHAUSTED',
    ofFamily.length === 0
      ? `there is no pool of IPv${family} subnets`
      : `no IPv${family} subnet is left in the pools (${why.join('; ')})`,
    { hint: 'name a subnet, remove unused networks, or configure more pools' },
  );
}

function firstFree(pool: Pool, used: readonly Occupied[]): Prefix | undefined {
  const { base } = pool;
  const step = 1n << BigInt(bitsOf(base.family) - pool.size);
  const taken = inPool(pool, used).sort((a, b) => (a.prefix.first < b.prefix.first ? -1 : 1));
  let candidate = base.first;
  // In order of their beginnings, each obstacle moves the candidate behind its end; a hole in front of one is found first.
  for (const { prefix } of taken) {
    if (prefix.first > candidate + step - 1n) break;
    if (prefix.last >= candidate) candidate = base.first + ((prefix.last - base.first) / step + 1n) * step;
  }
  if (candidate > base.last) return undefined;
  return network(makePrefix(ipFromValue(base.family, candidate), pool.size));
}

function inPool(pool: Pool, used: readonly Occupied[]): Occupied[] {
  return used.filter((other) => !isDefaultRoute(other) && overlaps(pool.base, other.prefix));
}

/** The largest obstacles, since those are what one can do something about. */
function blockers(pool: Pool, used: readonly Occupied[]): string {
  const found = inPool(pool, used).sort((a, b) => a.prefix.length - b.prefix.length);
  const shown = found.slice(0, 2).map(({ label, prefix }) => `${prefix.text} of ${label}`);
  return shown.join(', ') + (found.length > 2 ? ` and ${found.length - 2} more` : '');
}
