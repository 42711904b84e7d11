import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { ERRNO } from './errno.ts';
import { Fd } from './fd.ts';
import { native, syscall, SyscallError } from './native.ts';
import { POLL, Poll } from './poll.ts';

/** This boot of the machine: changes with a reboot, stays for every namespace. @see random(4) */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/**
 * When a process started, in clock ticks since boot: with its pid, a name that is never given twice. Undefined when
 * there is no such process. @see proc_pid_stat(5) field 22
 */
export function startTime(pid: number): number | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
  // the second field is the command's name in parentheses, with whatever the process put there
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[22 - 3]);
}

/** Whether that very process still runs; a zombie does not. Without `since`, any process of that number. */
export function isAlive(pid: number, since?: number): boolean {
  try {
    using fd = open(pid);
    if (!fd || (since !== undefined && startTime(pid) !== since)) return false;
    syscall(`process ${pid}`, () => native.pidfdSend(fd.number, 0));
    return !isZombie(pid);
  } catch (error) {
    if (error instanceof SyscallError && error.errno === ERRNO.ESRCH) return false;
    if (error instanceof SyscallError && error.errno === ERRNO.EPERM) return true;
    throw error;
  }
}

/**
 * Ends when the process has ended, child of ours or not; at once when there is none. Keeps the event loop alive.
 * @throws signal.reason when aborted first
 */
export async function waitPid(pid: number, options?: { readonly signal?: AbortSignal }): Promise<void> {
  const signal = options?.signal;
  signal?.throwIfAborted();
  using fd = open(pid);
  if (!fd) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const abort = (): void => reject(signal!.reason as Error);
  using _poll = Poll.start(fd, POLL.READABLE, () => resolve()).ref();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    await promise;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/**
 * Signals a process, but never another one that got its number meanwhile: `since` is its start time.
 * @returns false when that process is gone. @throws SyscallError EPERM
 */
export function signalPid(pid: number, since: number, signal: NodeJS.Signals | number): boolean {
  using fd = open(pid);
  // the descriptor is tied to one process first, then that process is recognised
  if (!fd || startTime(pid) !== since) return false;
  const number = typeof signal === 'number' ? signal : constants.signals[signal];
  try {
    syscall(`signal ${signal} to process ${pid}`, () => native.pidfdSend(fd.number, number));
    return true;
  } catch (error) {
    if (error instanceof SyscallError && error.errno === ERRNO.ESRCH) return false;
    throw error;
  }
}

function open(pid: number): Fd | undefined {
  try {
    return new Fd(
      syscall(`process ${pid}`, () => native.pidfdOpen(pid)),
      `pidfd ${pid}`,
    );
  } catch (error) {
    if (error instanceof SyscallError && error.errno === ERRNO.ESRCH) return undefined;
    throw error;
  }
}

function isZombie(pid: number): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).startsWith('Z');
  } catch {
    return true; // gone meanwhile
  }
}
