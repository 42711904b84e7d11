import type { Sink } from '../context.ts';

/** Resolves when a stream that was full takes more: what follows it must not gather in memory. */
export function drained(sink: Sink): Promise<void> {
  return new Promise((resolve) => (sink.once === undefined ? resolve() : sink.once('drain', resolve)));
}
