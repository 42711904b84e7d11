import type { EventHub } from './events.ts';

/** Work that nobody waits for but the engine's end: what goes wrong with it is told as an event. */
export class Behind {
  readonly #events: EventHub;
  readonly #running = new Set<Promise<void>>();

  constructor(events: EventHub) {
    this.#events = events;
  }

  /** @param name of what is done, for the event */
  run(name: string, work: () => Promise<void>): void {
    const running = work()
      .catch((error: unknown) => {
        const text = error instanceof Error ? error.message : String(error);
        this.#events.publish({ type: 'engine', action: 'fault', name, attributes: { error: text } });
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  get busy(): boolean {
    return this.#running.size > 0;
  }

  /** Resolves when nothing is left of what was begun until then. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}
