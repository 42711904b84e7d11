import { hasCode } from '../errors.ts';
import type { Entry, Store } from '../store/index.ts';

/** Who wants to know of records, as they are and as they change. */
export interface Reader {
  /** Everything there is, at the beginning and whenever changes were lost: what was known before is void. */
  load(entries: readonly Entry<unknown>[]): void;
  /** One change, by anybody; undefined for a record that went. */
  change(key: string, value: unknown): void;
  /** It cannot be followed any longer. */
  failed(error: unknown): void;
}

/** Several that are told the same, in this order. */
export function together(readers: readonly Reader[]): Reader {
  return {
    load(entries) {
      for (const reader of readers) reader.load(entries);
    },
    change(key, value) {
      for (const reader of readers) reader.change(key, value);
    },
    failed(error) {
      for (const reader of readers) reader.failed(error);
    },
  };
}

/** Tells a reader of every record below some prefixes, for as long as it is not disposed of. */
export class Follower implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #store: Store;
  readonly #prefixes: readonly string[];
  readonly #reader: Reader;
  /** What is common to them, so that nothing else is heard of. */
  readonly #root: string;
  #loop: Promise<void> = Promise.resolve();

  private constructor(store: Store, prefixes: readonly string[], reader: Reader, root: string) {
    this.#store = store;
    this.#prefixes = prefixes;
    this.#reader = reader;
    this.#root = root;
  }

  /** Resolves once the reader has been told what there is. */
  static async start(store: Store, prefixes: readonly string[], reader: Reader, root = ''): Promise<Follower> {
    const follower = new Follower(store, prefixes, reader, root);
    const changes = await follower.#begin();
    follower.#loop = follower.#run(changes);
    return follower;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  /** The watch first, so that nothing falls between the two: what is told twice does no harm. */
  async #begin(): Promise<ReturnType<Store['watch']>> {
    const changes = this.#store.watch(this.#root, this.#stop.signal);
    const entries = await this.#store.read(async (tx) => {
      const all: Entry<unknown>[] = [];
      for (const prefix of this.#prefixes) all.push(...(await tx.list(prefix)));
      return all;
    });
    this.#reader.load(entries);
    return changes;
  }

  async #run(changes: ReturnType<Store['watch']>): Promise<void> {
    for (;;) {
      try {
        for await (const { key, value } of changes) {
          if (this.#prefixes.some((prefix) => key.startsWith(prefix))) this.#reader.change(key, value);
        }
        return;
      } catch (error) {
        if (this.#stop.signal.aborted || hasCode(error, 'ESTORECLOSED')) return;
        if (!hasCode(error, 'ESTOREBEHIND')) {
          this.#reader.failed(error);
          return;
        }
        try {
          changes = await this.#begin();
        } catch (again) {
          // just when it is needed, nobody answers
          if (!this.#stop.signal.aborted && !hasCode(again, 'ESTORECLOSED')) this.#reader.failed(again);
          return;
        }
      }
    }
  }
}
