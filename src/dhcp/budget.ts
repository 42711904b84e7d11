/** How many messages one client may have answered: a burst, then so many a second. Clocked by the caller's `now`. */
export class Budget {
  readonly #left = new Map<string, { tokens: number; at: number }>();

  /** True when one more may be answered. @param now milliseconds, of any clock that does not go back */
  take(client: string, now: number = performance.now()): boolean {
    const entry = this.#left.get(client);
    if (!entry) {
      if (this.#left.size >= MOST_CLIENTS) this.#forget(now);
      this.#left.set(client, { tokens: BURST - 1, at: now });
      return true;
    }
    entry.tokens = Math.min(BURST, entry.tokens + ((now - entry.at) * PER_SECOND) / 1000);
    entry.at = now;
    if (entry.tokens < 1) return false;
    entry.tokens--;
    return true;
  }

  get size(): number {
    return this.#left.size;
  }

  /** Those whose burst has filled up again are as good as new; the oldest goes in any case. */
  #forget(now: number): void {
    for (const [client, { at, tokens }] of this.#left) {
      if (tokens + ((now - at) * PER_SECOND) / 1000 >= BURST) this.#left.delete(client);
    }
    const [oldest] = this.#left.keys();
    if (this.#left.size >= MOST_CLIENTS && oldest !== undefined) this.#left.delete(oldest);
  }
}

const BURST = 20;
const PER_SECOND = 10;
const MOST_CLIENTS = 4096;
