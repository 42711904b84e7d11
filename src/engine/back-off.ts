/** How often a fact may be put right at once, and how long until it has earned another time. */
const BURST = 10;
const EARN_MS = 1000;
/** The first wait, and the longest. */
const FIRST_MS = 100;
const LONGEST_MS = 30_000;

interface Account {
  /** Repairs that may still be done at once. */
  left: number;
  /** When `left` was right. */
  at: number;
  /** The last wait, milliseconds; 0 while there is none. */
  wait: number;
  /** Not before. */
  until: number;
}

/**
 * Decides when a fact that somebody else keeps changing may be put right again: at once as a rule, then after waits that
 * double; and at once again when it has been left alone. Time is given, so that tests need none.
 */
export class BackOff {
  readonly #accounts = new Map<string, Account>();

  /** Milliseconds until it may be repaired; 0: now, which is counted. `longer` says that the wait has just grown. */
  ask(key: string, now: number): { readonly wait: number; readonly longer: boolean } {
    const account = this.#accountOf(key, now);
    if (account.until > now) return { wait: account.until - now, longer: false };
    if (account.left >= 1) {
      account.left--;
      return { wait: 0, longer: false };
    }
    // its wait is over: this once, and the next one waits twice as long
    const served = account.until !== 0;
    account.wait = Math.min(account.wait === 0 ? FIRST_MS : account.wait * 2, LONGEST_MS);
    account.until = now + account.wait;
    return served ? { wait: 0, longer: true } : { wait: account.wait, longer: true };
  }

  /** The kernel refused: the next try waits. */
  refused(key: string, now: number): number {
    const account = this.#accountOf(key, now);
    account.left = 0;
    account.wait = Math.min(account.wait === 0 ? FIRST_MS : account.wait * 2, LONGEST_MS);
    account.until = now + account.wait;
    return account.wait;
  }

  /** Facts that have to wait at this moment. */
  waiting(now: number): number {
    let count = 0;
    for (const { until } of this.#accounts.values()) if (until > now) count++;
    return count;
  }

  #accountOf(key: string, now: number): Account {
    let account = this.#accounts.get(key);
    if (!account) {
      if (this.#accounts.size > 1000) this.#forget(now);
      this.#accounts.set(key, (account = { left: BURST, at: now, wait: 0, until: 0 }));
    }
    // left alone for longer than it had to wait, it is trusted again, a repair a second
    if (account.until === 0 || now - account.until > 2 * account.wait) {
      const earned = (now - Math.max(account.at, account.until)) / EARN_MS;
      account.left = Math.min(BURST, account.left + earned);
      if (account.left >= 1) {
        account.wait = 0;
        account.until = 0;
      }
      account.at = now;
    }
    return account;
  }

  /** Those that are as if they had never been asked for. */
  #forget(now: number): void {
    for (const [key, { left, at, until }] of this.#accounts)
      if (now > until && left + (now - Math.max(at, until)) / EARN_MS >= BURST) this.#accounts.delete(key);
  }
}
