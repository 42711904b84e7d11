import { InTurn } from './in-turn.ts';

/** Does what has become necessary, however often it is told, one time after another; what was not all done, again in a while. */
export class Settling implements AsyncDisposable {
  readonly #body: () => Promise<boolean>;
  readonly #pause: number;
  readonly #turn = new InTurn();
  #waiting = false;
  #ended = false;
  #retry: NodeJS.Timeout | undefined;

  /** @param body  all of it; false, or what it throws: something is left @param pause  milliseconds until it is tried again */
  constructor(body: () => Promise<boolean>, pause: number) {
    this.#body = body;
    this.#pause = pause;
  }

  /** There may be something to do. */
  kick(): void {
    if (this.#waiting || this.#ended) return;
    this.#waiting = true;
    clearTimeout(this.#retry);
    void this.#turn.run(async () => {
      this.#waiting = false;
      if (this.#ended || (await this.#body().catch(() => false)) || this.#ended) return;
      this.#retry = setTimeout(() => this.kick(), this.#pause).unref();
    });
  }

  /** Something else that must not be done at the same time. */
  run<T>(body: () => Promise<T>): Promise<T> {
    return this.#turn.run(body);
  }

  /** Resolves when what has begun by now is over. */
  async idle(): Promise<void> {
    await this.#turn.idle();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#retry);
    await this.#turn.idle();
  }
}
