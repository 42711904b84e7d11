import { best, type LearnedRoute } from './best.ts';
import type { RibIn } from './rib-in.ts';

/** The way to a prefix changed; without a route there is none any more. */
export interface RouteChange {
  readonly prefix: string;
  readonly route?: LearnedRoute;
}

/** The best of what all neighbours told, a prefix each. @see RFC 4271 section 3.2 Loc-RIB */
export class RouteTable {
  readonly #best: Map<string, LearnedRoute> = new Map();
  readonly #own: ReadonlyMap<string, unknown>;

  /** @param own prefixes that are ours: nobody else's way to them counts */
  constructor(own: ReadonlyMap<string, unknown>) {
    this.#own = own;
  }

  get routes(): readonly LearnedRoute[] {
    return [...this.#best.values()];
  }

  /** Looks again at these prefixes; what became different for whoever sends packets. */
  settle(prefixes: Iterable<string>, tellers: readonly RibIn[]): RouteChange[] {
    const changes: RouteChange[] = [];
    for (const prefix of prefixes) {
      const before = this.#best.get(prefix);
      const told = this.#own.has(prefix) ? [] : tellers.flatMap((rib) => rib.get(prefix) ?? []);
      const route = best(told);
      if (route === before) continue;
      if (!route) {
        this.#best.delete(prefix);
        changes.push({ prefix });
        continue;
      }
      this.#best.set(prefix, route);
      // that it is now kept, or told again, or has another path, changes nothing for the packets
      if (route.nextHop !== before?.nextHop || route.from.address !== before.from.address)
        changes.push({ prefix, route });
    }
    return changes;
  }
}
