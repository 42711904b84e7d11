import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { NetloomError } from '../errors.ts';
import type { StoreFiles } from './files.ts';
import { endOf, requireUsable } from './keys.ts';
import type { Entry, Tx } from './store.ts';

/** Keys that survive a power cut begin so; every other key lives in the runtime file. */
const STATE_PREFIXES = ['networks/', 'pools/', 'meta/'] as const;

/** One key's new value as JSON text, or null when it goes. */
export type Op = readonly [key: string, json: string | null];

export function isStateKey(key: string): boolean {
  return STATE_PREFIXES.some((prefix) => key.startsWith(prefix));
}

/** One file's key-value table, its statements prepared once. */
export class KeyTable {
  readonly #get: StatementSync;
  readonly #list: StatementSync;
  readonly #count: StatementSync;
  readonly #create: StatementSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;

  constructor(db: DatabaseSync) {
    this.#get = db.prepare('SELECT v FROM kv WHERE k = ?');
    // a limit that is nothing but a parameter makes SQLite plan the statement anew at each call: ten times the cost
    this.#list = db.prepare('SELECT k, v FROM kv WHERE k >= ? AND k < ? ORDER BY k LIMIT 0 + ?');
    this.#count = db.prepare('SELECT count(*) AS n FROM kv WHERE k >= ? AND k < ?');
    this.#create = db.prepare('INSERT OR IGNORE INTO kv VALUES (?, ?)');
    this.#put = db.prepare('INSERT INTO kv VALUES (?1, ?2) ON CONFLICT (k) DO UPDATE SET v = ?2');
    this.#delete = db.prepare('DELETE FROM kv WHERE k = ?');
  }

  get(key: string): string | undefined {
    const row = this.#get.get(key);
    return row && String(row['v']);
  }
  list<T>(prefix: string, start: string, limit: number): Entry<T>[] {
    return this.#list
      .all(start > prefix ? start : prefix, endOf(prefix), limit)
      .map((row) => ({ key: String(row['k']), value: JSON.parse(String(row['v'])) as T }));
  }
  count(prefix: string): number {
    return Number(this.#count.get(prefix, endOf(prefix))?.['n']);
  }
  /** False when the key is there. */
  create(key: string, json: string): boolean {
    return this.#create.run(key, json).changes === 1;
  }
  put(key: string, json: string): void {
    this.#put.run(key, json);
  }
  /** False when there was none. */
  delete(key: string): boolean {
    return this.#delete.run(key).changes === 1;
  }
  apply([key, json]: Op): void {
    if (json === null) this.delete(key);
    else this.put(key, json);
  }
}

export interface KeyTables {
  readonly state: KeyTable;
  readonly runtime: KeyTable;
}
export function keyTables(files: StoreFiles): KeyTables {
  return { state: new KeyTable(files.state), runtime: new KeyTable(files.runtime) };
}

/** The transaction that a body sees: both files as one space of keys. Unusable once it has ended. */
export class FileTx implements Tx {
  readonly #tables: KeyTables;
  readonly #writable: boolean;
  /** What it did, one entry a key, and what was there before: for the change log, and to undo half a commit. */
  readonly #ops = new Map<string, string | null>();
  readonly #before = new Map<string, string | null>();
  #active = true;

  constructor(tables: KeyTables, writable: boolean) {
    this.#tables = tables;
    this.#writable = writable;
  }

  get active(): boolean {
    return this.#active;
  }
  get ops(): Op[] {
    return [...this.#ops];
  }
  /** What undoes it in the state file. */
  get undoState(): Op[] {
    return [...this.#before];
  }
  end(): void {
    this.#active = false;
  }

  get<T>(key: string): T | undefined {
    const json = this.#table(key).get(key);
    return json === undefined ? undefined : (JSON.parse(json) as T);
  }

  list<T>(prefix: string, options?: { readonly start?: string; readonly limit?: number }): Entry<T>[] {
    const start = options?.start ?? '';
    const limit = options?.limit ?? -1;
    const table = this.#table(prefix);
    const entries = table.list<T>(prefix, start, limit);
    if (!spansBoth(prefix)) return entries;
    entries.push(...this.#tables.state.list<T>(prefix, start, limit));
    entries.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
    return limit < 0 ? entries : entries.slice(0, limit);
  }

  count(prefix: string): number {
    const count = this.#table(prefix).count(prefix);
    return spansBoth(prefix) ? count + this.#tables.state.count(prefix) : count;
  }

  create(key: string, value: unknown): void {
    const json = JSON.stringify(value);
    if (!this.#change(key, (table) => table.create(key, json))) {
      throw new NetloomError('EEXIST', `the store already has ${key}`);
    }
    this.#note(key, json);
  }

  put(key: string, value: unknown): void {
    const json = JSON.stringify(value);
    this.#change(key, (table) => table.put(key, json));
    this.#note(key, json);
  }

  delete(key: string): void {
    if (this.#change(key, (table) => table.delete(key))) this.#note(key, null);
  }

  #change<T>(key: string, work: (table: KeyTable) => T): T {
    const table = this.#table(key, true);
    try {
      if (isStateKey(key) && !this.#before.has(key)) this.#before.set(key, table.get(key) ?? null);
      return work(table);
    } catch (error) {
      // SQLite may have rolled back by itself: what followed would be committed statement by statement.
      this.#active = false;
      throw error;
    }
  }

  /** The latest change of a key counts, at its place in the order of changes. */
  #note(key: string, json: string | null): void {
    this.#ops.delete(key);
    this.#ops.set(key, json);
  }

  #table(key: string, write = false): KeyTable {
    requireUsable(this.#active, !write || this.#writable);
    return isStateKey(key) ? this.#tables.state : this.#tables.runtime;
  }
}

/** True for a prefix that is shorter than a namespace of the state file: `''`, `net`. */
function spansBoth(prefix: string): boolean {
  return !isStateKey(prefix) && STATE_PREFIXES.some((state) => state.startsWith(prefix));
}
