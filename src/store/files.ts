import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { NetloomError } from '../errors.ts';
import { isBusy, storeError } from './sqlite-errors.ts';

/** The layout of both files. A file with a higher number was written by a newer netloom. */
export const SCHEMA_VERSION = 1;

export interface StorePaths {
  /** Survives a power cut: every commit is synced. */
  readonly state: string;
  /** Survives the process, not the machine: never synced, begun anew at each boot. */
  readonly runtime: string;
  /** The boot that the runtime file belongs to. Outside it, so that a file torn by a power cut needs not be readable. */
  readonly bootId: string;
}
export interface StoreFiles extends Disposable {
  readonly paths: StorePaths;
  readonly state: DatabaseSync;
  readonly runtime: DatabaseSync;
}

export function storePaths(stateDir: string, runDir: string): StorePaths {
  return {
    state: join(stateDir, 'netloom.db'),
    runtime: join(runDir, 'runtime.db'),
    bootId: join(runDir, 'boot-id'),
  };
}

/**
 * Opens both files, making what is missing. Safely repeated: it fails with SQLite's BUSY while another process is at it.
 * @throws NetloomError ENEWERSTORE, EACCES, ENOSPC, ESTORECORRUPT
 */
export function openStoreFiles(paths: StorePaths, bootId: string): StoreFiles {
  const state = openState(paths.state);
  try {
    const runtime = openRuntime(paths, state, bootId);
    return {
      paths,
      state,
      runtime,
      [Symbol.dispose]: () => {
        if (runtime.isOpen) runtime.close();
        if (state.isOpen) state.close();
      },
    };
  } catch (error) {
    state.close();
    throw error;
  }
}

/** `journal` holds the last transaction that changed both files: see embedded.ts. */
const STATE_SCHEMA = `
  CREATE TABLE kv (k TEXT PRIMARY KEY, v TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE journal (id INTEGER PRIMARY KEY CHECK (id = 1), rev INTEGER NOT NULL, ops TEXT NOT NULL);
  INSERT INTO journal VALUES (1, 0, '[]');`;

/** `joined` is the revision of the last transaction that changed both files, as far as this file knows. */
const RUNTIME_SCHEMA = `
  CREATE TABLE kv (k TEXT PRIMARY KEY, v TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE changes (rev INTEGER PRIMARY KEY, ops TEXT NOT NULL);
  CREATE TABLE joined (id INTEGER PRIMARY KEY CHECK (id = 1), rev INTEGER NOT NULL);`;

function openState(file: string): DatabaseSync {
  return open(file, 'FULL', (db) => {
    if (schemaVersion(db, file) === SCHEMA_VERSION) return;
    db.exec('PRAGMA journal_mode = WAL');
    inTransaction(db, () => {
      if (schemaVersion(db, file) === 0) db.exec(`${STATE_SCHEMA} PRAGMA user_version = ${SCHEMA_VERSION}`);
    });
    syncDirectory(dirname(file));
  });
}

function openRuntime(paths: StorePaths, state: DatabaseSync, bootId: string): DatabaseSync {
  if (isOfThisBoot(paths, bootId)) return openRuntimeFile(paths.runtime);
  // Nobody has a runtime file of this boot open, and the lock on the state file lets one process at a time make it.
  return inTransaction(state, () => {
    if (isOfThisBoot(paths, bootId)) return openRuntimeFile(paths.runtime);
    try {
      // searchable by everybody: the daemon's socket lies here, and says by its own mode who may use it
      makeDirectory(dirname(paths.runtime), 0o711);
      for (const suffix of ['', '-wal', '-shm']) rmSync(paths.runtime + suffix, { force: true });
      const joined = Number(state.prepare('SELECT rev FROM journal').get()?.['rev']);
      const db = open(paths.runtime, 'OFF', (fresh) => {
        fresh.exec('PRAGMA journal_mode = WAL');
        inTransaction(fresh, () => {
          fresh.exec(
            `${RUNTIME_SCHEMA} INSERT INTO joined VALUES (1, ${joined}); PRAGMA user_version = ${SCHEMA_VERSION}`,
          );
        });
      });
      writeFileSync(`${paths.bootId}.new`, bootId, { mode: 0o600 });
      renameSync(`${paths.bootId}.new`, paths.bootId);
      return db;
    } catch (error) {
      throw storeError(error, paths.runtime);
    }
  });
}

function openRuntimeFile(file: string): DatabaseSync {
  return open(file, 'OFF', (db) => {
    if (schemaVersion(db, file) === 0) {
      throw new NetloomError('ESTORECORRUPT', `the store's file ${file} is damaged: it is empty`, {
        hint: 'stop every netloom process, remove it, and start again',
      });
    }
  });
}

function isOfThisBoot(paths: StorePaths, bootId: string): boolean {
  try {
    return readFileSync(paths.bootId, 'utf8') === bootId && existsSync(paths.runtime);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw storeError(error, paths.bootId);
  }
}

function open(file: string, synchronous: 'FULL' | 'OFF', prepare: (db: DatabaseSync) => void): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    makeDirectory(dirname(file), 0o700);
    // SQLite gives its -wal and -shm files the mode of this one.
    closeSync(openSync(file, 'a', 0o600));
    db = new DatabaseSync(file, { timeout: 0 });
    prepare(db);
    db.exec(`PRAGMA synchronous = ${synchronous}`);
    return db;
  } catch (error) {
    db?.close();
    // BUSY stays recognisable: the caller tries again.
    throw isBusy(error) ? error : storeError(error, file);
  }
}

function schemaVersion(db: DatabaseSync, file: string): number {
  const version = Number(db.prepare('PRAGMA user_version').get()?.['user_version']);
  if (version > SCHEMA_VERSION) {
    throw new NetloomError(
      'ENEWERSTORE',
      `the store's file ${file} has layout ${version}, from a newer netloom; this one knows layout ${SCHEMA_VERSION} at most`,
      { hint: 'use the newer netloom, or give this one directories of its own; nothing was changed' },
    );
  }
  return version;
}

function inTransaction<T>(db: DatabaseSync, body: () => T): T {
  db.exec('BEGIN IMMEDIATE');
  try {
    const result = body();
    db.exec('COMMIT');
    return result;
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

function makeDirectory(path: string, mode: number): void {
  const made = mkdirSync(path, { recursive: true, mode });
  // The mask may have taken bits of the owner's.
  if (made !== undefined) chmodSync(path, mode);
}

/** A new file's name is as durable as its contents only then. */
function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
