import { NetloomError } from '../errors.ts';

/** What a caller gets whose answer the daemon can no longer wait for. */
export function stoppingError(): NetloomError {
  return new NetloomError('ESTOPPING', 'the daemon is stopping', { hint: 'ask again when it runs' });
}

/** The result of `work`, or ESTOPPING as soon as the daemon stops. */
export function untilStopping<T>(work: Promise<T>, stopping: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(stoppingError());
    const done = (): void => stopping.removeEventListener('abort', abort);
    if (stopping.aborted) abort();
    stopping.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(done);
  });
}
