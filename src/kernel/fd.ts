import { closeSync } from 'node:fs';

/** Every open descriptor with the place that opened it: what the leak test reads. */
const open = new Map<number, string>();

/** A file descriptor with an owner: closed once, by `using` or by `close()`. */
export class Fd implements Disposable {
  #number: number;

  constructor(number: number, what: string) {
    this.#number = number;
    open.set(number, what);
  }

  /** The descriptor. @throws Error after close. */
  get number(): number {
    if (this.#number < 0) throw new Error('file descriptor used after close');
    return this.#number;
  }
  get closed(): boolean {
    return this.#number < 0;
  }
  /** Hands the descriptor to another owner (a socket of `node:net`), which closes it from then on. */
  release(): number {
    const number = this.number;
    open.delete(number);
    this.#number = -1;
    return number;
  }
  close(): void {
    if (this.#number < 0) return;
    closeSync(this.release());
  }
  [Symbol.dispose](): void {
    this.close();
  }
}

/** Descriptors that are open now, as `number: what`. */
export function openDescriptors(): readonly string[] {
  return [...open].map(([number, what]) => `${number}: ${what}`);
}
