import { constants } from 'node:os';
import type { Logger } from './log.ts';

/** What ends a daemon from outside. `stop` aborts on the first SIGTERM or SIGINT; the second one ends the process. */
export interface Life extends Disposable {
  readonly stop: AbortSignal;
}

/**
 * Watches signals and forgotten promises until disposed. A promise that nobody caught is a bug that leaves an unknown
 * state behind: it is logged and the process ends with 1, for systemd to start a clean one.
 */
export function watchLife(log: Logger, outer?: AbortSignal): Life {
  const stopping = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => {
    if (stopping.signal.aborted) {
      log.warn({ signal: name }, 'second signal: gone at once');
      process.exit(128 + constants.signals[name]);
    }
    log.info({ signal: name }, 'stopping');
    stopping.abort();
  };
  const onBug = (error: unknown): void => {
    log.fatal({ err: error instanceof Error ? error : new Error(String(error)) }, 'bug: an error that nobody caught');
    process.exit(1);
  };
  const onAbort = (): void => stopping.abort();
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  process.on('unhandledRejection', onBug).on('uncaughtException', onBug);
  outer?.addEventListener('abort', onAbort, { once: true });
  if (outer?.aborted === true) onAbort();
  return {
    stop: stopping.signal,
    [Symbol.dispose]() {
      process.off('SIGTERM', onSignal).off('SIGINT', onSignal);
      process.off('unhandledRejection', onBug).off('uncaughtException', onBug);
      outer?.removeEventListener('abort', onAbort);
    },
  };
}
