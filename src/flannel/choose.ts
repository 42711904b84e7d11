import { contains, ipFromValue, makePrefix, overlaps, parseIp, type Prefix } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import type { FlannelConfig } from './config.ts';
import type { FlannelLease } from './lease.ts';

/** Of how many free prefixes one is drawn: two hosts that come at once seldom draw the same. */
const DRAWN_OF = 100;

/** Whether prefixes are such as this configuration gives. */
export function fits({ ranges }: FlannelConfig, prefixes: readonly Prefix[]): boolean {
  return (
    prefixes.length === ranges.length &&
    ranges.every(({ network, length, min, max }) =>
      prefixes.some(
        (prefix) =>
          contains(network, prefix) &&
          prefix.length === length &&
          prefix.first >= min.value &&
          prefix.first <= max.value,
      ),
    )
  );
}

/** The lease that a host at this address had before, if it may keep it. */
export function leaseOf(
  config: FlannelConfig,
  leases: ReadonlyMap<string, FlannelLease | string>,
  publicIp: string,
): string | undefined {
  const { text } = parseIp(publicIp);
  for (const [name, lease] of leases) {
    if (typeof lease === 'string' || !lease.addresses.some((ip) => ip.text === text)) continue;
    if (fits(config, lease.prefixes)) return name;
  }
  return undefined;
}

/**
 * Prefixes for a host, one a family: those that it had, where they are still free, else drawn from the first that are.
 * @param random bytes, by chance
 * @throws NetloomError ERANGEEXHAUSTED
 */
export function chooseLease(
  config: FlannelConfig,
  leases: ReadonlyMap<string, FlannelLease | string>,
  had: readonly Prefix[],
  random: (count: number) => Uint8Array,
): readonly Prefix[] {
  const taken = [...leases.values()].flatMap((lease) => (typeof lease === 'string' ? [] : lease.prefixes));
  const isFree = (prefix: Prefix): boolean => !taken.some((other) => overlaps(prefix, other));
  if (fits(config, had) && had.every(isFree)) return had;
  return config.ranges.map(({ length, min, max, network }) => {
    const inFamily = new Set(taken.filter(({ family }) => family === min.family));
    const size = 1n << BigInt((min.family === 4 ? 32 : 128) - length);
    const free: Prefix[] = [];
    for (let at = min.value; at <= max.value && free.length < DRAWN_OF;) {
      const prefix = makePrefix(ipFromValue(min.family, at), length);
      const other = [...inFamily].find((each) => overlaps(prefix, each));
      // a bigger one of somebody's is left behind in one step
      if (other) at = other.last >= prefix.last ? ((other.last + size) / size) * size : at + size;
      else {
        free.push(prefix);
        at += size;
      }
    }
    const [first = 0, second = 0] = random(2);
    const drawn = free[(first * 256 + second) % free.length];
    if (drawn) return drawn;
    throw new NetloomError('ERANGEEXHAUSTED', `the flannel network ${network.text} has no /${length} left`, {
      hint: 'remove leases of hosts that are no more, or give SubnetMin and SubnetMax more room',
    });
  });
}
