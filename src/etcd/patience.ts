/** In how many parts a deadline passes. */
const PARTS = 10;

/**
 * A deadline for an answer. It passes in parts, and one part at most for each time that the event loop goes round: whoever
 * was busy with other things, or got no processor, has not looked yet, and the answer may lie there.
 */
export class Patience implements Disposable {
  readonly #end = new AbortController();
  readonly #timer: NodeJS.Timeout;

  /** @param ms milliseconds, in a process that is not held up */
  constructor(ms: number) {
    let left = PARTS;
    this.#timer = setInterval(() => {
      if (--left === 0) this.#end.abort();
    }, ms / PARTS).unref();
  }

  /** Aborted when it has passed. */
  get signal(): AbortSignal {
    return this.#end.signal;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
