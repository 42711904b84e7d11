import { overlaps } from '../addr/index.ts';
import type { Prefix } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';

/** Addresses that a new subnet must leave alone. */
export interface Occupied {
  /** `network`: one of ours; `route`: the host's routes and addresses. */
  readonly kind: 'network' | 'route';
  /** For people: `network web`, `the route to 10.8.0.0/24 by tun0`. */
  readonly label: string;
  readonly prefix: Prefix;
}

/**
 * Refuses a subnet that shares an address with another network, or that would hide a route of the host.
 * @throws NetloomError ESUBNETOVERLAP, EROUTEOVERLAP
 */
export function overlapCheck(subnet: Prefix, others: readonly Occupied[]): void {
  const found = blockerOf(subnet, others);
  if (!found) return;
  throw new NetloomError(
    found.kind === 'network' ? 'ESUBNETOVERLAP' : 'EROUTEOVERLAP',
    `subnet ${subnet.text} overlaps ${found.prefix.text} of ${found.label}`,
    { hint: 'choose another subnet, or leave it out to have a free one chosen' },
  );
}

/** The first of `others` that the subnet overlaps; networks are named before routes, which may be theirs. */
export function blockerOf(subnet: Prefix, others: readonly Occupied[]): Occupied | undefined {
  const found = others.filter((other) => !isDefaultRoute(other) && overlaps(subnet, other.prefix));
  return found.find((other) => other.kind === 'network') ?? found[0];
}

/**
 * True for the routes that mean "everything else": 0.0.0.0/0, the halves that VPN clients set instead (0.0.0.0/1 and
 * 128.0.0.0/1), ::/0 and 2000::/3. Every subnet is inside one of them and none hides them.
 */
export function isDefaultRoute(other: Occupied): boolean {
  return other.kind === 'route' && other.prefix.length <= (other.prefix.family === 4 ? 1 : 3);
}
