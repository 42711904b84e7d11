import { setTimeout as delay } from 'node:timers/promises';
import { PACE } from './pace.ts';

/** Deadlines are for what hangs: a machine that has others' work to do, too, may be half as fast. */
const LENIENCY = 2 * PACE;

export interface WaitOptions {
  /** Milliseconds until it is given up, on a machine that is at rest and not emulated; default 5000. Twice as long in fact. */
  readonly timeout?: number;
  /** Milliseconds between two looks; default 5, doubling up to 50. */
  readonly every?: number;
}

/**
 * Waits until a state that can be observed is there: asks `probe` until it returns something truthy, and returns that.
 * A probe that throws is asked again; its last error stands in the failure.
 *
 * @throws Error naming `what` and what was seen last, when the deadline passes.
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  { timeout = 5000, every = 5 }: WaitOptions = {},
): Promise<Exclude<T, false | undefined | null | '' | 0>> {
  const limit = timeout * LENIENCY;
  const deadline = performance.now() + limit;
  for (let pause = every; ; pause = Math.min(pause * 2, 50)) {
    let seen: unknown;
    try {
      const value = await probe();
      if (value) return value as Exclude<T, false | undefined | null | '' | 0>;
      seen = value;
    } catch (error) {
      seen = error;
    }
    if (performance.now() >= deadline) {
      throw new Error(`not within ${limit} ms: ${what}; last seen: ${String(seen)}`, {
        cause: seen instanceof Error ? seen : undefined,
      });
    }
    await delay(pause);
  }
}

/** The promise's value, or an Error naming `what` when it takes longer than `timeout` milliseconds (as `until` has them). */
export async function within<T>(what: string, promise: Promise<T>, timeout = 5000): Promise<T> {
  const abort = new AbortController();
  const limit = timeout * LENIENCY;
  const late = delay(limit, undefined, { signal: abort.signal }).then(() => {
    throw new Error(`not within ${limit} ms: ${what}`);
  });
  late.catch(() => undefined); // the abort below
  try {
    return await Promise.race([promise, late]);
  } finally {
    abort.abort();
  }
}
