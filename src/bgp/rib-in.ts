import { contains, type Family, parsePrefix, type Prefix } from '../addr/index.ts';
import { countAs } from './as-path.ts';
import type { PathAttributes } from './attributes.ts';
import type { LearnedRoute, Teller } from './best.ts';
import { familyOf } from './nlri.ts';
import type { Update } from './update.ts';

/** What of a neighbour's routes is taken. */
export interface Intake {
  readonly localAs: number;
  readonly routerId: string;
  /** How often our own AS may stand in a path: some networks give several sites one number. */
  readonly allowOwnAs: number;
  /** Prefixes within one of these; all where there are none. */
  readonly accept: readonly string[];
}

/** What one neighbour told us and we took. @see RFC 4271 section 3.2 Adj-RIBs-In */
export class RibIn {
  readonly #intake: Intake;
  #accept: readonly Prefix[];
  readonly #routes: Map<string, LearnedRoute> = new Map();
  readonly #counts = { 4: 0, 6: 0 };

  constructor(intake: Intake) {
    this.#intake = intake;
    this.#accept = intake.accept.map((text) => parsePrefix(text));
  }

  /** Only what is within these is taken from now on. @returns prefixes that go */
  restrict(accept: readonly string[]): string[] {
    this.#accept = accept.map((text) => parsePrefix(text));
    return [...this.#routes.keys()].filter((prefix) => !this.#accepts(prefix) && this.#delete(prefix));
  }

  get size(): number {
    return this.#routes.size;
  }
  get stale(): number {
    let count = 0;
    for (const route of this.#routes.values()) if (route.stale) count++;
    return count;
  }
  count(family: Family): number {
    return this.#counts[family];
  }
  get(prefix: string): LearnedRoute | undefined {
    return this.#routes.get(prefix);
  }

  /** Prefixes that changed. @param self our own addresses, which are no next hop for us */
  apply(update: Update, from: Teller, self: readonly string[]): string[] {
    const changed = update.withdrawn.filter((prefix) => this.#delete(prefix));
    const refused = this.#refuses(update.attributes);
    for (const { prefixes, nextHop } of update.reached) {
      const taken = !refused && !self.includes(nextHop);
      for (const prefix of prefixes) {
        // what replaces a route and is not taken leaves none
        if (!taken || !this.#accepts(prefix)) {
          if (this.#delete(prefix)) changed.push(prefix);
          continue;
        }
        this.#set({ prefix, nextHop, attributes: update.attributes, from, stale: false });
        changed.push(prefix);
      }
    }
    return changed;
  }

  /** The session ended and is to come back: of these families routes stay, of others they go. */
  keep(families: readonly Family[]): string[] {
    const gone: string[] = [];
    for (const [prefix, route] of this.#routes) {
      // one that was stale before has had its time (RFC 4724 section 4.2)
      if (!route.stale && families.includes(familyOf(prefix))) this.#routes.set(prefix, { ...route, stale: true });
      else if (this.#delete(prefix)) gone.push(prefix);
    }
    return gone;
  }
  /** What was kept and not told again goes. @returns prefixes */
  sweep(family?: Family): string[] {
    const gone: string[] = [];
    for (const [prefix, route] of this.#routes)
      if (route.stale && (family === undefined || familyOf(prefix) === family) && this.#delete(prefix))
        gone.push(prefix);
    return gone;
  }
  clear(): string[] {
    return this.keep([]);
  }

  /** Loops: of AS (RFC 4271 section 9.1.2), and of what we brought in ourselves (RFC 4456 section 8). */
  #refuses({ path, originatorId }: PathAttributes): boolean {
    const { localAs, routerId, allowOwnAs } = this.#intake;
    return countAs(path, localAs) > allowOwnAs || originatorId === routerId;
  }
  #accepts(text: string): boolean {
    if (this.#accept.length === 0) return true;
    const prefix = parsePrefix(text);
    return this.#accept.some((range) => contains(range, prefix));
  }
  #set(route: LearnedRoute): void {
    if (!this.#routes.has(route.prefix)) this.#counts[familyOf(route.prefix)]++;
    this.#routes.set(route.prefix, route);
  }
  #delete(prefix: string): boolean {
    if (!this.#routes.delete(prefix)) return false;
    this.#counts[familyOf(prefix)]--;
    return true;
  }
}
