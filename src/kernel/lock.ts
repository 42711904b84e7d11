import { constants, fstatSync, openSync, statSync } from 'node:fs';
import { ERRNO } from './errno.ts';
import { Fd } from './fd.ts';
import { native, syscall, SyscallError } from './native.ts';

/**
 * A lock on a file, held by this process until it is released or the process ends, however it ends. The file stays.
 * Two locks on one path exclude each other within a process, too. @see flock(2)
 */
export class FileLock implements Disposable {
  readonly path: string;
  readonly #fd: Fd;

  private constructor(path: string, fd: Fd) {
    this.path = path;
    this.#fd = fd;
  }

  /** The lock, or undefined where another holds it. Waits at most a few milliseconds. @throws SyscallError EACCES, ENOENT */
  static tryAcquire(path: string): FileLock | undefined {
    for (let attempt = 1; ; attempt++) {
      const fd = openFile(path);
      if (syscall(`lock ${path}`, () => native.flock(fd.number, LOCK_EX))) {
        if (isSame(fd, path)) return new FileLock(path, fd);
        fd.close();
        continue;
      }
      fd.close();
      if (attempt > PROBE_PATIENCE) return undefined;
      Atomics.wait(pause, 0, 0, 1);
    }
  }

  /** The lock, as soon as it is free; the event loop goes on meanwhile. @throws signal.reason when aborted first */
  static async acquire(path: string, options?: { readonly signal?: AbortSignal }): Promise<FileLock> {
    const signal = options?.signal;
    for (;;) {
      signal?.throwIfAborted();
      const fd = openFile(path);
      try {
        if (!syscall(`lock ${path}`, () => native.flock(fd.number, LOCK_EX))) await wait(fd, path, signal);
        if (isSame(fd, path)) return new FileLock(path, fd);
      } catch (error) {
        fd.close();
        throw error;
      }
      fd.close();
    }
  }

  /** Whether anyone, this process included, holds the lock now. */
  static isHeld(path: string): boolean {
    let fd: Fd;
    try {
      fd = new Fd(
        syscall(`open ${path}`, () => openSync(path, constants.O_RDONLY)),
        `lock ${path}`,
      );
    } catch (error) {
      if (error instanceof SyscallError && error.errno === ERRNO.ENOENT) return false;
      throw error;
    }
    try {
      return !syscall(`lock ${path}`, () => native.flock(fd.number, LOCK_SH));
    } finally {
      fd.close();
    }
  }

  get released(): boolean {
    return this.#fd.closed;
  }
  release(): void {
    this.#fd.close();
  }
  [Symbol.dispose](): void {
    this.release();
  }
}

/** isHeld() takes a shared lock for some microseconds: a refusal counts only when it repeats itself. */
const PROBE_PATIENCE = 3;
const pause = new Int32Array(new SharedArrayBuffer(4));

function openFile(path: string): Fd {
  const flags = constants.O_RDWR | constants.O_CREAT;
  return new Fd(
    syscall(`open ${path}`, () => openSync(path, flags, 0o600)),
    `lock ${path}`,
  );
}

/** False when someone removed or replaced the file while we waited: then the lock is on a file that nobody else sees. */
function isSame(fd: Fd, path: string): boolean {
  const at = statSync(path, { throwIfNoEntry: false });
  const ours = fstatSync(fd.number);
  return at !== undefined && at.ino === ours.ino && at.dev === ours.dev;
}

let lastToken = 0;
async function wait(fd: Fd, path: string, signal: AbortSignal | undefined): Promise<void> {
  const token = (lastToken = (lastToken + 1) >>> 0);
  const cancel = (): void => native.flockCancel(token);
  const done = syscall(`lock ${path}`, () => native.flockWait(fd.number, LOCK_EX, token));
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    await done;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
  signal?.throwIfAborted(); // it came and was aborted at once: the caller no longer wants it
}

/** sys/file.h */
const LOCK_SH = 1;
const LOCK_EX = 2;
