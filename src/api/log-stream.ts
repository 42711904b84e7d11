import { Readable } from 'node:stream';
import type { EngineApi } from '../model/index.ts';
import { stoppingError } from './stopping.ts';

/**
 * The log of a container as a stream of bytes, read no faster than the other side takes it. When the reader goes away
 * the engine's iterator is told at once (`return`), even while it waits for the next line.
 *
 * A container that is not there is an error before the first byte, so that it gets a status of its own.
 */
export async function logStream(
  engine: EngineApi,
  ref: string,
  options: { readonly follow?: boolean; readonly tail?: number },
  stopping: AbortSignal,
): Promise<Readable> {
  await engine.containerInspect(ref);
  const iterator = engine.containerLogs(ref, options)[Symbol.asyncIterator]();
  const first = iterator.next();
  first.catch(() => undefined); // told by `read` below, which may come later than the failure
  // The log of a live container may stay empty for hours: only one that ends by itself is waited for.
  if (options.follow !== true) await first;
  let next: Promise<IteratorResult<Uint8Array>> | undefined = first;
  const stream = new Readable({
    read() {
      const pending = next ?? iterator.next();
      next = undefined;
      pending.then(
        (result) => void stream.push(result.done === true ? null : result.value),
        (error: unknown) => stream.destroy(error as Error),
      );
    },
    destroy(error, done) {
      stopping.removeEventListener('abort', stop);
      iterator.return?.().catch(() => undefined);
      done(error);
    },
  });
  const stop = (): void => void stream.destroy(stoppingError());
  stopping.addEventListener('abort', stop, { once: true });
  return stream;
}
