import type { FileHandle } from 'node:fs/promises';
import { fstatSync } from 'node:fs';
import { join } from 'node:path';
import type { Container } from '../model/index.ts';
import type { Core } from './core.ts';
import { whenChanged } from './file-watch.ts';
import { runDirOf } from './files.ts';
import { waitForEnd } from './process.ts';
import { findContainer } from './records.ts';

export interface LogOptions {
  /** Go on until the command has ended. */
  readonly follow?: boolean;
  /** Only so many of the lines that are there already. */
  readonly tail?: number;
}

/** Bytes read at a time. */
const CHUNK = 64 * 1024;

/**
 * The output of a container's command. Giving the iterator up (`return`) ends it at once, also while it waits for the
 * next line: a generator alone would let its caller wait until that line comes.
 */
export function readLog(core: Core, ref: string, options: LogOptions): AsyncIterableIterator<Uint8Array> {
  const stop = new AbortController();
  const chunks = generate(core, ref, options, stop.signal);
  return {
    next: () => chunks.next(),
    async return() {
      stop.abort();
      return await chunks.return(undefined);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

async function* generate(
  core: Core,
  ref: string,
  options: LogOptions,
  stopped: AbortSignal,
): AsyncGenerator<Uint8Array, undefined> {
  const container = await core.store.read((tx) => findContainer(tx, ref));
  const path = join(runDirOf(core.paths, container), 'log');
  const stop = new AbortController();
  const signal = AbortSignal.any([stopped, stop.signal]);
  let ended = options.follow !== true;
  const end = ended ? Promise.resolve() : endOf(core, container, signal).then(() => void (ended = true));
  let file: FileHandle | undefined;
  try {
    file = await openLog(path);
    if (!file) return undefined;
    const { fd } = file;
    let offset = options.tail === undefined ? 0 : await tailOffset(file, options.tail);
    while (!signal.aborted) {
      const last = ended; // before reading: what was written until the end is read after it
      for (;;) {
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK), 0, CHUNK, offset);
        if (bytesRead === 0) break;
        offset += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
      if (last) break;
      const more = new AbortController();
      // the descriptor, not the path: a log that is removed under a reader has an end, too
      const grown = whenChanged(
        path,
        () => fstatSync(fd).size > offset || undefined,
        AbortSignal.any([signal, more.signal]),
      );
      try {
        await Promise.race([end, grown]);
      } finally {
        more.abort();
        await grown;
      }
    }
  } finally {
    stop.abort();
    await file?.close();
  }
  return undefined;
}

async function endOf(core: Core, container: Container, signal: AbortSignal): Promise<void> {
  await waitForEnd(core, container, signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

/** Undefined where nothing was ever started in the background. */
async function openLog(path: string): Promise<FileHandle | undefined> {
  try {
    return await (await import('node:fs/promises')).open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Where the last `lines` lines begin: read from the end, for a log may be long. */
async function tailOffset(file: FileHandle, lines: number): Promise<number> {
  const { size } = await file.stat();
  if (lines <= 0) return size;
  let wanted = lines;
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - CHUNK);
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(end - start), 0, end - start, start);
    for (let i = bytesRead - 1; i >= 0; i--) {
      // the newline that ends the last line begins no other
      if (buffer[i] === NEWLINE && start + i !== size - 1 && --wanted === 0) return start + i + 1;
    }
    end = start;
  }
  return 0;
}
const NEWLINE = 0x0a;
