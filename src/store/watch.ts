import { DatabaseSync } from 'node:sqlite';
import type { StatementSync } from 'node:sqlite';
import { NetloomError } from '../errors.ts';
import type { Change } from './store.ts';

/** How often other processes' changes are looked for, milliseconds. One cheap look: nothing is read unless a counter moved. */
const POLL_MS = 100;
/** How many changes are kept for watchers that are behind. */
export const CHANGES_KEPT = 10_000;

interface Watcher {
  readonly prefix: string;
  readonly push: (change: Change) => void;
  readonly fail: (error: unknown) => void;
}

interface LoggedChange {
  readonly key: string;
  readonly json: string | null;
  readonly revision: number;
}

/** The changes of one transaction, which the log keeps under the last one's revision. */
function changesOf(row: Record<string, unknown>): LoggedChange[] {
  const ops = JSON.parse(String(row['ops'])) as [string, string | null][];
  const first = Number(row['rev']) - ops.length + 1;
  return ops.map(([key, json], i) => ({ key, json, revision: first + i }));
}

/**
 * Hands out the changes that the runtime file's log holds. A connection of its own, so that it never sees what this
 * process has not committed yet; it exists only while somebody watches.
 */
export class ChangeFeed {
  readonly #file: string;
  readonly #watchers = new Set<Watcher>();
  #open:
    | {
        readonly db: DatabaseSync;
        readonly since: StatementSync;
        readonly version: StatementSync;
        readonly timer: NodeJS.Timeout;
      }
    | undefined;
  #revision = 0;
  #dataVersion = -1;

  constructor(file: string) {
    this.#file = file;
  }

  get watched(): boolean {
    return this.#watchers.size > 0;
  }

  watch(prefix: string, signal: AbortSignal): AsyncIterable<Change> {
    const queue: Change[] = [];
    let failure: { readonly error: unknown } | undefined;
    let ended = signal.aborted;
    let wake: (() => void) | undefined;
    const rouse = (): void => {
      wake?.();
      wake = undefined;
    };
    const watcher: Watcher = {
      prefix,
      push: (change) => {
        queue.push(change);
        rouse();
      },
      fail: (error) => {
        failure = { error };
        rouse();
      },
    };
    const stop = (): void => {
      ended = true;
      signal.removeEventListener('abort', stop);
      this.#remove(watcher);
      rouse();
    };
    if (!ended) {
      // What was committed before this call is not for the new watcher: bring the older ones up to it first.
      this.#start();
      this.drain();
      this.#watchers.add(watcher);
      signal.addEventListener('abort', stop, { once: true });
    }
    const next = async (): Promise<IteratorResult<Change, undefined>> => {
      for (;;) {
        if (ended) return { done: true, value: undefined };
        const change = queue.shift();
        if (change) return { done: false, value: change };
        if (failure) {
          const { error } = failure;
          stop();
          throw error;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    };
    return {
      [Symbol.asyncIterator]: () => ({
        next,
        return: async () => {
          stop();
          return { done: true, value: undefined };
        },
      }),
    };
  }

  /** Reads what is new and hands it out; called after each commit of this process, and by the clock for the others'. */
  drain(): void {
    if (!this.#open) return;
    try {
      this.#dataVersion = Number(this.#open.version.get()?.['data_version']);
      const changes = this.#open.since.all(this.#revision).flatMap(changesOf);
      if (changes.length === 0) return;
      if (changes[0]!.revision !== this.#revision + 1) {
        throw new NetloomError(
          'ESTOREBEHIND',
          'changes of the store went by faster than they were read; read everything and watch again',
        );
      }
      for (const change of changes) this.#publish(change);
    } catch (error) {
      for (const watcher of [...this.#watchers]) {
        this.#remove(watcher);
        watcher.fail(error);
      }
    }
  }

  close(): void {
    for (const watcher of [...this.#watchers]) {
      this.#remove(watcher);
      watcher.fail(new NetloomError('ESTORECLOSED', 'the store was closed'));
    }
    this.#stop();
  }

  #publish({ key, json, revision }: LoggedChange): void {
    this.#revision = revision;
    for (const watcher of this.#watchers) {
      if (!key.startsWith(watcher.prefix)) continue;
      watcher.push({ key, value: json === null ? undefined : JSON.parse(json), revision });
    }
  }

  #remove(watcher: Watcher): void {
    this.#watchers.delete(watcher);
    if (this.#watchers.size === 0) this.#stop();
  }

  #start(): void {
    if (this.#open) return;
    const db = new DatabaseSync(this.#file, { readOnly: true, timeout: 100 });
    const timer = setInterval(() => this.#poll(), POLL_MS);
    timer.unref();
    this.#open = {
      db,
      timer,
      since: db.prepare('SELECT rev, ops FROM changes WHERE rev > ? ORDER BY rev'),
      version: db.prepare('PRAGMA data_version'),
    };
    this.#revision = Number(
      db.prepare('SELECT coalesce((SELECT max(rev) FROM changes), (SELECT rev FROM joined)) AS rev').get()?.['rev'],
    );
  }

  #stop(): void {
    if (!this.#open) return;
    clearInterval(this.#open.timer);
    this.#open.db.close();
    this.#open = undefined;
  }

  #poll(): void {
    if (Number(this.#open?.version.get()?.['data_version']) !== this.#dataVersion) this.drain();
  }
}
