import { readFileSync } from 'node:fs';
import type { StatementSync } from 'node:sqlite';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { Turns } from './turns.ts';
import { FileTx, isStateKey, keyTables } from './file-tx.ts';
import type { KeyTables, Op } from './file-tx.ts';
import { openStoreFiles, storePaths } from './files.ts';
import type { StoreFiles, StorePaths } from './files.ts';
import { busy, fileAtFault, isBusy, storeError } from './sqlite-errors.ts';
import type { Change, ReadTx, Store, Tx } from './store.ts';
import { CHANGES_KEPT, ChangeFeed } from './watch.ts';

export interface EmbeddedStoreOptions {
  /** Holds `netloom.db`: networks and address pools, which survive a power cut. */
  readonly stateDir: string;
  /** Holds `runtime.db`: everything else, which ends with the machine's run. */
  readonly runDir: string;
  /** Which run of the machine this is; default: the kernel's own id, random(4). */
  readonly bootId?: string;
  /** How long to wait for another process's lock, milliseconds; default 10,000. */
  readonly deadline?: number;
}

/**
 * Opens the store of one host, making its directories (mode 0700) and files where missing.
 *
 * Two SQLite files in WAL mode. The runtime file's write lock is the lock of the whole store; a transaction that
 * touches runtime keys only ends with one unsynced commit there. One that touches both commits the state file first
 * (one fsync), with all its operations in that file's journal, then the runtime file. Whoever finds the journal ahead
 * of the runtime file, since a process died in between, repeats the operations before doing anything else.
 *
 * @throws NetloomError ENEWERSTORE, ESTORECORRUPT, EACCES, ENOSPC, ESTOREBUSY
 */
export async function openEmbeddedStore(options: EmbeddedStoreOptions): Promise<Store> {
  const paths = storePaths(options.stateDir, options.runDir);
  const deadline = options.deadline ?? 10_000;
  const bootId = options.bootId ?? readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  try {
    return await patiently(deadline, paths.state, () => {
      const files = openStoreFiles(paths, bootId);
      try {
        return new EmbeddedStore(files, deadline);
      } catch (error) {
        files[Symbol.dispose]();
        throw error;
      }
    });
  } catch (error) {
    throw storeError(error, fileAtFault(error, paths));
  }
}

class EmbeddedStore implements Store {
  readonly #files: StoreFiles;
  readonly #paths: StorePaths;
  readonly #deadline: number;
  readonly #tables: KeyTables;
  readonly #feed: ChangeFeed;
  readonly #turns = new Turns((body) => this.#write(body));
  readonly #sql: Record<
    'beginWrite' | 'begin' | 'commit' | 'rollback',
    { readonly state: StatementSync; readonly runtime: StatementSync }
  >;
  readonly #journal: StatementSync;
  readonly #setJournal: StatementSync;
  readonly #joined: StatementSync;
  readonly #setJoined: StatementSync;
  readonly #lastRevision: StatementSync;
  readonly #addChanges: StatementSync;
  readonly #trim: StatementSync;
  constructor(files: StoreFiles, deadline: number) {
    const { state, runtime } = files;
    const both = (sql: string): { state: StatementSync; runtime: StatementSync } => ({
      state: state.prepare(sql),
      runtime: runtime.prepare(sql),
    });
    this.#files = files;
    this.#paths = files.paths;
    this.#deadline = deadline;
    this.#tables = keyTables(files);
    this.#feed = new ChangeFeed(files.paths.runtime);
    this.#sql = {
      beginWrite: both('BEGIN IMMEDIATE'),
      begin: both('BEGIN'),
      commit: both('COMMIT'),
      rollback: both('ROLLBACK'),
    };
    this.#journal = state.prepare('SELECT rev FROM journal');
    this.#setJournal = state.prepare('UPDATE journal SET rev = ?, ops = ?');
    this.#joined = runtime.prepare('SELECT rev FROM joined');
    this.#setJoined = runtime.prepare('UPDATE joined SET rev = ?');
    this.#lastRevision = runtime.prepare(
      'SELECT coalesce((SELECT max(rev) FROM changes), (SELECT rev FROM joined)) AS rev',
    );
    this.#addChanges = runtime.prepare('INSERT INTO changes VALUES (?, ?)');
    this.#trim = runtime.prepare('DELETE FROM changes WHERE rev <= ?');
  }

  read<T>(body: (tx: ReadTx) => T | Promise<T>): Promise<T> {
    return this.#turns.exclusively(async () => {
      await this.#turns.catchUp();
      await this.#patiently(() => this.#beginRead());
      return await this.#run(new FileTx(this.#tables, false), body, () => this.#rollback());
    });
  }

  transact<T>(body: (tx: Tx) => T | Promise<T>): Promise<T> {
    return this.#turns.transact(body);
  }

  transactSoon(body: (tx: Tx) => void | Promise<void>): void {
    this.#turns.soon(body);
  }

  async #write<T>(body: (tx: Tx) => T | Promise<T>): Promise<T> {
    await this.#patiently(() => this.#beginWrite());
    const tx = new FileTx(this.#tables, true);
    const result = await this.#run(tx, body, () => this.#commit(tx));
    if (this.#feed.watched) this.#feed.drain();
    return result;
  }

  watch(prefix: string, signal: AbortSignal): AsyncIterable<Change> {
    this.#turns.requireOpen();
    try {
      return this.#feed.watch(prefix, signal);
    } catch (error) {
      throw storeError(error, this.#paths.runtime);
    }
  }

  revision(): Promise<number> {
    return this.#turns.exclusively(async () => {
      await this.#turns.catchUp();
      return await this.#patiently(() => this.#revision());
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turns.close(() => {
      this.#feed.close();
      this.#files[Symbol.dispose]();
    });
  }

  async #run<T, X extends FileTx>(
    tx: X,
    body: (tx: X) => T | Promise<T>,
    finish: () => void | Promise<void>,
  ): Promise<T> {
    try {
      const result = await this.#turns.inside(tx, () => body(tx));
      tx.end();
      await finish();
      return result;
    } catch (error) {
      tx.end();
      this.#rollback();
      throw this.#translate(error);
    }
  }

  #beginWrite(): void {
    this.#sql.beginWrite.runtime.run();
    try {
      this.#sql.begin.state.run();
      if (this.#journalRevision() !== this.#joinedRevision()) this.#repeatJournal();
    } catch (error) {
      this.#rollback();
      throw error;
    }
  }

  /** Two files have two snapshots: they are of one moment when both know the same last transaction that joined them. */
  #beginRead(): void {
    for (let attempt = 0; attempt < 3; attempt++) {
      this.#sql.begin.runtime.run();
      this.#sql.begin.state.run();
      if (this.#journalRevision() === this.#joinedRevision()) return;
      this.#rollback();
    }
    // Somebody is between the two commits, or died there: the write lock tells.
    this.#beginWrite();
  }

  #commit(tx: FileTx): void | Promise<void> {
    const ops = tx.ops;
    if (ops.length === 0) {
      this.#rollback();
      return;
    }
    const revision = this.#appendChanges(ops);
    if (!ops.some(([key]) => isStateKey(key))) {
      this.#sql.commit.state.run();
      this.#sql.commit.runtime.run();
      return;
    }
    this.#setJoined.run(revision);
    this.#setJournal.run(revision, JSON.stringify(ops));
    this.#sql.commit.state.run();
    try {
      this.#sql.commit.runtime.run();
    } catch (error) {
      return this.#takeBack(tx.undoState, revision, error);
    }
  }

  /** The runtime file refused the second half (it is full): takes back the first. */
  async #takeBack(state: readonly Op[], revision: number, cause: unknown): Promise<void> {
    this.#rollback();
    await this.#patiently(() => this.#sql.beginWrite.runtime.run());
    // Another process had room and repeated the journal meanwhile: then the transaction stands.
    const stands = this.#joinedRevision() === revision;
    if (!stands) {
      this.#sql.begin.state.run();
      for (const op of state) this.#tables.state.apply(op);
      this.#setJournal.run(this.#joinedRevision(), '[]');
      this.#sql.commit.state.run();
    }
    this.#rollback();
    if (!stands) throw cause;
  }

  #repeatJournal(): void {
    const row = this.#files.state.prepare('SELECT rev, ops FROM journal').get();
    const ops = JSON.parse(String(row?.['ops'])) as Op[];
    for (const op of ops) if (!isStateKey(op[0])) this.#tables.runtime.apply(op);
    this.#appendChanges(ops);
    this.#setJoined.run(Number(row?.['rev']));
    this.#sql.commit.runtime.run();
    this.#sql.beginWrite.runtime.run();
  }

  /** Each change gets the next revision; a transaction is one row, under its last one, which is returned. */
  #appendChanges(ops: readonly Op[]): number {
    const before = this.#revision();
    const revision = before + ops.length;
    this.#addChanges.run(revision, JSON.stringify(ops));
    // In steps, so that it costs nothing most of the time.
    if (Math.floor(before / 1000) !== Math.floor(revision / 1000)) this.#trim.run(revision - CHANGES_KEPT);
    return revision;
  }

  #rollback(): void {
    if (this.#files.runtime.isTransaction) this.#sql.rollback.runtime.run();
    if (this.#files.state.isTransaction) this.#sql.rollback.state.run();
  }

  #revision(): number {
    return Number(this.#lastRevision.get()?.['rev']);
  }
  #journalRevision(): number {
    return Number(this.#journal.get()?.['rev']);
  }
  #joinedRevision(): number {
    return Number(this.#joined.get()?.['rev']);
  }

  async #patiently<T>(attempt: () => T): Promise<T> {
    try {
      return await patiently(this.#deadline, this.#paths.runtime, attempt);
    } catch (error) {
      throw this.#translate(error);
    }
  }

  #translate(error: unknown): unknown {
    return storeError(error, fileAtFault(error, this.#paths));
  }
}

/** Repeats what another process's lock refuses, without stopping the event loop. @throws NetloomError ESTOREBUSY */
async function patiently<T>(deadline: number, file: string, attempt: () => T): Promise<T> {
  const end = performance.now() + deadline;
  for (let tries = 0; ; tries++) {
    try {
      return attempt();
    } catch (error) {
      if (!isBusy(error)) throw error;
      if (performance.now() > end) throw busy(file, error);
      // Most locks are held for microseconds; the random part keeps two processes from meeting again and again.
      if (tries < 20) await turn();
      else await sleep(1 + Math.random() * 4);
    }
  }
}
