import { constants, accessSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { NetloomError } from '../errors.ts';

/** sqlite.org/rescode.html: primary result codes. */
const SQLITE = {
  PERM: 3,
  BUSY: 5,
  LOCKED: 6,
  READONLY: 8,
  IOERR: 10,
  CORRUPT: 11,
  FULL: 13,
  CANTOPEN: 14,
  AUTH: 23,
  NOTADB: 26,
} as const;

/** SQLite's own primary code, or 0 for any other error. */
function sqliteCode(error: unknown): number {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode & 0xff : 0;
}

/** Somebody else holds the lock: worth another attempt. */
export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === SQLITE.BUSY || code === SQLITE.LOCKED;
}

/**
 * What SQLite or the file system says, as a netloom error that names the file: ENOSPC, EACCES, ESTORECORRUPT, or
 * ESTOREIO for the rest. Netloom's own errors, and those that are not about files, come back as they are.
 */
export function storeError(error: unknown, file: string): unknown {
  if (error instanceof NetloomError || !(error instanceof Error)) return error;
  switch (sqliteCode(error)) {
    case 0:
      return fileSystemError(error, file);
    case SQLITE.FULL:
      return full(file, error);
    case SQLITE.PERM:
    case SQLITE.READONLY:
    case SQLITE.CANTOPEN:
    case SQLITE.AUTH:
      return isFull(file) ? full(file, error) : denied(file, error);
    case SQLITE.CORRUPT:
    case SQLITE.NOTADB:
      return new NetloomError('ESTORECORRUPT', `the store's file ${file} is damaged (${error.message})`, {
        cause: error,
        hint: 'stop netloom, move the file and its -wal and -shm neighbours away, and start again; networks must then be defined anew',
      });
    case SQLITE.IOERR:
      // A full file system shows as a failed write to the -wal or -shm file, too.
      if (isFull(file)) return full(file, error);
      break;
    case SQLITE.BUSY:
    case SQLITE.LOCKED:
      return busy(file, error);
  }
  return new NetloomError('ESTOREIO', `the store's file ${file} cannot be used: ${error.message}`, { cause: error });
}

export function busy(file: string, cause?: unknown): NetloomError {
  return new NetloomError('ESTOREBUSY', `the store's file ${file} stayed locked by another process`, {
    cause,
    hint: `see who holds it with: fuser ${file}`,
  });
}

/** Which of the two files an error is about, found by looking at them: SQLite's errors do not say. */
export function fileAtFault(error: unknown, paths: { readonly state: string; readonly runtime: string }): string {
  switch (sqliteCode(error)) {
    case SQLITE.FULL:
    case SQLITE.IOERR:
      return freeBytes(paths.state) <= freeBytes(paths.runtime) ? paths.state : paths.runtime;
    case SQLITE.CORRUPT:
    case SQLITE.NOTADB:
      return isSound(paths.state) ? paths.runtime : paths.state;
    case SQLITE.PERM:
    case SQLITE.READONLY:
    case SQLITE.CANTOPEN:
      return isWritable(paths.state) ? paths.runtime : paths.state;
    default:
      return paths.state;
  }
}

function fileSystemError(error: Error, file: string): unknown {
  switch ('code' in error ? error.code : '') {
    case 'ENOSPC':
    case 'EDQUOT':
      return full(file, error);
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return denied(file, error);
    case 'EEXIST':
    case 'ENOTDIR':
      return new NetloomError('ENOTDIR', `the store needs a directory at ${dirname(file)}: something else is there`, {
        cause: error,
      });
    default:
      return error;
  }
}

function full(file: string, cause: unknown): NetloomError {
  return new NetloomError('ENOSPC', `no space left on the device for the store's file ${file}; nothing was changed`, {
    cause,
    hint: `make room: df ${dirname(file)}`,
  });
}

function denied(file: string, cause: unknown): NetloomError {
  return new NetloomError(
    'EACCES',
    `the store's file ${file} cannot be written: permission denied, or a read-only file system`,
    {
      cause,
      hint: 'run as root, or name directories of your own',
    },
  );
}

/** Less free than one write of the write-ahead log may need. */
function isFull(file: string): boolean {
  return freeBytes(file) < 64 * 1024;
}

function freeBytes(file: string): number {
  try {
    const { bavail, bsize } = statfsSync(dirname(file));
    return bavail * bsize;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

function isWritable(file: string): boolean {
  try {
    accessSync(dirname(file), constants.W_OK);
    accessSync(file, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function isSound(file: string): boolean {
  try {
    using db = new DatabaseSync(file, { readOnly: true });
    return db.prepare('PRAGMA quick_check(1)').get()?.['quick_check'] === 'ok';
  } catch {
    return false;
  }
}
