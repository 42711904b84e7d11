import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { NetloomError } from '../errors.ts';
import type { Tx } from './store.ts';

/** So long a queue of transactions may keep everything else in this process waiting, milliseconds. */
const LOOP_MS = 5;

type Body<T> = (tx: Tx) => T | Promise<T>;

/**
 * What every store is within one process: one transaction at a time, none begun inside another, and those that nobody waits
 * for, which go along with the next.
 */
export class Turns {
  readonly #write: <T>(body: Body<T>) => Promise<T>;
  readonly #inside = new AsyncLocalStorage<{ readonly active: boolean }>();
  readonly #waiting: (() => void)[] = [];
  /** Bodies of transactions that nobody waits for. */
  readonly #soon: Body<void>[] = [];
  /** Somebody sees to it that they are carried out. */
  #settling = false;
  #held = false;
  /** When a queue of waiters last let the event loop go round. */
  #loopSeen = 0;
  #closed = false;

  /** @param write one transaction, in its turn; the body may run again */
  constructor(write: <T>(body: Body<T>) => Promise<T>) {
    this.#write = write;
  }

  /** @throws NetloomError ESTORECLOSED */
  requireOpen(): void {
    if (this.#closed) throw closed();
  }

  /** Marks what runs in `body` as inside of `tx`. */
  inside<T>(tx: { readonly active: boolean }, body: () => T): T {
    return this.#inside.run(tx, body);
  }

  /** One transaction, and before it what nobody waits for. */
  transact<T>(body: Body<T>): Promise<T> {
    return this.exclusively(() => this.#along(body));
  }

  soon(body: Body<void>): void {
    this.requireOpen();
    this.#soon.push(body);
    if (this.#settling) return;
    this.#settling = true;
    setImmediate(() => void this.#settle());
  }

  /** What nobody waits for, now, for who is about to read: false where the store refuses, and they stay. In its turn. */
  async catchUp(): Promise<boolean> {
    if (this.#soon.length === 0) return true;
    return await this.#along(() => true).catch(() => false);
  }

  /** One at a time. @throws NetloomError ESTORETX inside a transaction, ESTORECLOSED */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    // waiting for the transaction that one is in would be for ever
    if (this.#inside.getStore()?.active === true) {
      throw new NetloomError(
        'ESTORETX',
        'a transaction of the store was begun inside another one: use the one that is open',
      );
    }
    if (this.#held) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#held = true;
    try {
      this.requireOpen();
      return await work();
    } finally {
      const next = this.#waiting.shift();
      // stays held when handed on, so that a newcomer cannot get in between
      if (!next) this.#held = false;
      else if (performance.now() - this.#loopSeen < LOOP_MS) next();
      else {
        setImmediate(() => {
          this.#loopSeen = performance.now();
          next();
        });
      }
    }
  }

  /** The last turn, once; nothing is left behind that the store can take. */
  async close(work: () => void | Promise<void>): Promise<void> {
    if (this.#closed) return;
    await this.exclusively(async () => {
      await this.catchUp();
      this.#closed = true;
      await work();
    });
  }

  async #along<T>(body: Body<T>): Promise<T> {
    const along = this.#soon.length;
    const result = await this.#write(async (tx) => {
      for (const one of this.#soon.slice(0, along)) await one(tx);
      return await body(tx);
    });
    this.#soon.splice(0, along);
    return result;
  }

  /** What nobody waits for, where no other transaction takes it along: until nothing of it is left. */
  async #settle(): Promise<void> {
    while (this.#soon.length > 0 && !this.#closed) {
      // who closes the store takes it along
      const done = await this.exclusively(() => this.catchUp()).catch(() => this.#closed);
      // a disk that is full is not asked all the time
      if (!done) await sleep(1000, undefined, { ref: false });
    }
    this.#settling = false;
  }
}

function closed(): NetloomError {
  return new NetloomError('ESTORECLOSED', 'the store was closed');
}
