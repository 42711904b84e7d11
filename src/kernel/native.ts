import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { NetloomError } from '../errors.ts';
import { errnoName } from './errno.ts';

/** What native/netloom.c exports: one function a system call. Descriptors are numbers; -1 as namespace means "stay". */
export interface Native {
  netnsCreate(): number;
  mount(source: string, target: string, type: string, flags: number): void;
  umount(target: string): void;
  fileIn(netns: number, path: string, value: string | undefined): string | undefined;
  socketIn(netns: number, domain: number, type: number, protocol: number): number;
  netlinkOpen(netns: number, protocol: number): number;
  exchangeSync(fd: number, request: Uint8Array, last: number): Uint8Array;
  exchange(fd: number, request: Uint8Array, last: number): Promise<Uint8Array>;
  flock(fd: number, operation: number): boolean;
}

/** A system call that failed. `code` is the errno's name. */
export class SyscallError extends NetloomError {
  readonly errno: number;
  readonly syscall: string;

  constructor(errno: number, syscall: string, what: string, options?: { cause?: unknown; hint?: string }) {
    super(errnoName(errno), `${what}: ${syscall}: ${errnoName(errno)}`, options);
    this.errno = errno;
    this.syscall = syscall;
  }
}

/** Runs a native call and makes a typed error of its failure. `what` says what was tried, for the message. */
export function syscall<T>(what: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw typedError(error, what);
  }
}

export function typedError(error: unknown, what: string): unknown {
  if (error instanceof NetloomError || !(error instanceof Error)) return error;
  const { errno, syscall: name } = error as Error & { errno?: unknown; syscall?: unknown };
  if (typeof errno !== 'number') return error;
  return new SyscallError(Math.abs(errno), typeof name === 'string' ? name : 'syscall', what, { cause: error });
}

function load(): Native {
  const here = fileURLToPath(new URL('.', import.meta.url));
  const candidates = ['../../native/build/netloom.node', '../../prebuilt/' + process.arch + '/netloom.node'];
  for (const candidate of candidates) {
    const path = new URL(candidate, import.meta.url);
    if (existsSync(path)) return createRequire(here)(fileURLToPath(path)) as Native;
  }
  throw new NetloomError('ENOADDON', 'the native addon is not built', { hint: 'run: sh native/build.sh' });
}

export const native: Native = load();
