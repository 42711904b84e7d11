import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { FileLock } from '../kernel/index.ts';

/** Whose turn it is to change what. @see KeyedMutex */
export interface Turns {
  run<T>(key: string, body: () => Promise<T>): Promise<T>;
  runShared(key: string, item: string, body: (items: ReadonlySet<string>) => Promise<void>): Promise<void>;
}

/**
 * Runs bodies with the same key one after another, others side by side: within this process in the order of the calls,
 * and across every process on the same directory, where a lock is free again as soon as its holder has died.
 */
export class KeyedMutex implements Turns {
  readonly #dir: string;
  readonly #tails = new Map<string, Promise<unknown>>();
  readonly #shared = new Map<string, { readonly items: Set<string>; readonly done: Promise<void> }>();

  /** @param dir where the locks are held, a file for each key in use; made when first needed. */
  constructor(dir: string) {
    this.#dir = dir;
  }

  async run<T>(key: string, body: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const locked = (): Promise<T> => this.#locked(key, body);
    const own = before.then(locked, locked);
    const tail = own.catch(() => undefined);
    this.#tails.set(key, tail);
    try {
      return await own;
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }

  /**
   * As `run`, for work that does for many what it does for one: items that come while a run still waits for its turn go
   * with that one. The body gets them all.
   */
  async runShared(key: string, item: string, body: (items: ReadonlySet<string>) => Promise<void>): Promise<void> {
    const waiting = this.#shared.get(key);
    if (waiting) {
      waiting.items.add(item);
      await waiting.done;
      return;
    }
    const items = new Set([item]);
    const done = this.run(key, async () => {
      this.#shared.delete(key); // who comes from now on may have something that this run does not see any more
      await body(items);
    });
    this.#shared.set(key, { items, done });
    try {
      await done;
    } finally {
      if (this.#shared.get(key)?.done === done) this.#shared.delete(key); // the lock itself could not be had
    }
  }

  async #locked<T>(key: string, body: () => Promise<T>): Promise<T> {
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    const path = join(this.#dir, `${key}.lock`);
    using _lock = await FileLock.acquire(path);
    try {
      return await body();
    } finally {
      // while it is held: whoever waits for this file finds that it is gone, and takes the next
      rmSync(path, { force: true });
    }
  }
}
