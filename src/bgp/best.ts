import { compareIp, parseIp } from '../addr/index.ts';
import { firstAs, pathLength } from './as-path.ts';
import type { PathAttributes } from './attributes.ts';

/** A way to a prefix that a neighbour told of. */
export interface LearnedRoute {
  /** `10.0.0.0/8` */
  readonly prefix: string;
  readonly nextHop: string;
  readonly attributes: PathAttributes;
  readonly from: Teller;
  /** Kept from a session that ended, until the neighbour is back. @see RFC 4724 */
  readonly stale: boolean;
}

/** The neighbour that told of a route. */
export interface Teller {
  readonly address: string;
  readonly asn: number;
  readonly id: string;
  readonly internal: boolean;
}

/** Of a route from outside, and of one that names none (RFC 4271 section 5.1.5 leaves the value to us; all have this). */
const LOCAL_PREF = 100;

/**
 * The one that is used, by RFC 4271 section 9.1.2.2 and RFC 4456 section 9: highest LOCAL_PREF, shortest AS_PATH, lowest
 * ORIGIN, lowest MED among those from the same AS, from outside before from inside, lowest router identifier, lowest
 * address. The metric to the next hop is not known here.
 */
export function best(routes: readonly LearnedRoute[]): LearnedRoute | undefined {
  if (routes.length < 2) return routes[0];
  let left = lowest(routes, ({ attributes }) => -(attributes.localPref ?? LOCAL_PREF));
  left = lowest(left, ({ attributes }) => pathLength(attributes.path));
  left = lowest(left, ({ attributes }) => attributes.origin);
  const med = (route: LearnedRoute): number => route.attributes.med ?? 0;
  const as = ({ attributes }: LearnedRoute): number | undefined => firstAs(attributes.path);
  left = left.filter((one) => !left.some((other) => as(other) === as(one) && med(other) < med(one)));
  left = lowest(left, ({ from }) => (from.internal ? 1 : 0));
  left = lowest(left, ({ attributes, from }) => Number(parseIp(attributes.originatorId ?? from.id).value));
  return left.toSorted((a, b) => compareIp(parseIp(a.from.address), parseIp(b.from.address)))[0];
}

function lowest(routes: readonly LearnedRoute[], of: (route: LearnedRoute) => number): readonly LearnedRoute[] {
  const least = Math.min(...routes.map(of));
  return routes.filter((route) => of(route) === least);
}
