import { Readable } from 'node:stream';
import type { EngineApi, EngineEvent, EventFilter } from '../model/index.ts';

/** Bytes that wait here for a slow reader; what comes meanwhile waits in the engine, which counts what it drops. */
const AHEAD = 16 * 1024;

/**
 * What happens in the engine, a JSON object a line, asked for no faster than the other side reads: a reader that is too
 * slow costs the engine's backlog and no more, and finds an event `behind` with the number of those it missed. Ends
 * in good order when the daemon stops; when the reader goes away the engine is told at once.
 */
export function eventStream(engine: EngineApi, filter: EventFilter, stopping: AbortSignal): Readable {
  const iterator = engine.events(filter, stopping)[Symbol.asyncIterator]();
  return new Readable({
    highWaterMark: AHEAD,
    read() {
      iterator.next().then(
        (result) => void this.push(result.done === true ? null : eventLine(result.value)),
        (error: unknown) => this.destroy(error as Error),
      );
    },
    destroy(error, done) {
      iterator.return?.().catch(() => undefined);
      done(error);
    },
  });
}

function eventLine(event: EngineEvent): string {
  return `${JSON.stringify(event)}\n`;
}
