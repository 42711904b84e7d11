import { existsSync, type FSWatcher, watch } from 'node:fs';

/**
 * What `probe` returns, asked now and at every change of `path`, as soon as that is something; undefined when `path` is
 * not there or the signal aborts. @throws what `probe` throws; ENOSPC, EMFILE when the user has no watch left.
 * @see inotify(7)
 */
export async function whenChanged<T>(
  path: string,
  probe: () => T | undefined,
  signal: AbortSignal,
): Promise<T | undefined> {
  const already = probe();
  if (already !== undefined || signal.aborted) return already;
  let watcher: FSWatcher | undefined;
  const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
  const look = (): void => {
    try {
      const found = probe();
      if (found !== undefined || !existsSync(path)) resolve(found);
    } catch (error) {
      reject(error);
    }
  };
  const stop = (): void => resolve(undefined);
  signal.addEventListener('abort', stop, { once: true });
  try {
    watcher = watch(path, look).on('error', stop);
    look(); // between the first question and the watch
    return await promise;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return probe(); // removed meanwhile
    throw error;
  } finally {
    watcher?.close();
    signal.removeEventListener('abort', stop);
  }
}
