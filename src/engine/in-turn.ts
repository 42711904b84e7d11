/** One thing after another, in the order of the calls. What fails is its caller's, and keeps nobody. */
export class InTurn {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(body: () => Promise<T>): Promise<T> {
    const done = this.#last.then(body);
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** Resolves when all that was asked for is over. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
