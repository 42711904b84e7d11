import type { EngineEvent, EventFilter, EventType } from '../model/index.ts';

/** What an event is given; the hub adds the time. */
export type NewEvent = Omit<EngineEvent, 'time' | 'attributes' | 'id'> & {
  readonly id?: string;
  readonly attributes?: Readonly<Record<string, string>>;
};

/** How many events wait for a reader that is busy before it is told that it missed some. */
const BACKLOG = 10_000;

/** Events kept for the first listener. */
const EARLY = 100;

/** Hands what happens to everybody who listens; a slow listener loses events, and is told so, rather than memory. */
export class EventHub implements Disposable {
  readonly #listeners = new Set<Subscription>();
  readonly #interest = new Map<EventType, { readonly tell: (wanted: boolean) => void; wanted: boolean }>();
  /** What happened before anybody listened, for the first who does: an engine tells of its start, too. */
  #early: EngineEvent[] | undefined = [];
  #closed = false;

  /** Whether anyone wants events of this type: for those that cost something to make. */
  wants(type: EventType): boolean {
    for (const listener of this.#listeners) if (listener.takes(type)) return true;
    return false;
  }

  /**
   * Calls back at once, and whenever the first listener for events of this type comes or the last one goes. One for each
   * type: the last who asked.
   */
  onInterest(type: EventType, tell: (wanted: boolean) => void): void {
    this.#interest.set(type, { tell, wanted: this.wants(type) });
    tell(this.wants(type));
  }

  /** How many listen. */
  get listeners(): number {
    return this.#listeners.size;
  }

  publish(event: NewEvent): void {
    if (this.#listeners.size === 0 && this.#early === undefined) return;
    const whole: EngineEvent = { time: new Date().toISOString(), id: '', attributes: {}, ...event };
    if (this.#early && this.#early.length < EARLY) this.#early.push(whole);
    for (const listener of this.#listeners) if (listener.takes(event.type)) listener.push(whole);
  }

  /** From now on, until `signal` or until the engine is closed. */
  subscribe(filter: EventFilter, signal?: AbortSignal): AsyncIterableIterator<EngineEvent> {
    const subscription = new Subscription(filter, () => {
      this.#listeners.delete(subscription);
      this.#tellInterest();
      signal?.removeEventListener('abort', end);
    });
    const end = (): void => void subscription.return();
    if (this.#closed || signal?.aborted) end();
    else {
      this.#listeners.add(subscription);
      for (const event of this.#early ?? []) if (subscription.takes(event.type)) subscription.push(event);
      this.#early = undefined;
      this.#tellInterest();
      signal?.addEventListener('abort', end, { once: true });
    }
    return subscription;
  }

  #tellInterest(): void {
    for (const [type, interest] of this.#interest) {
      const wanted = this.wants(type);
      if (wanted === interest.wanted) continue;
      interest.wanted = wanted;
      interest.tell(wanted);
    }
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    for (const listener of [...this.#listeners]) void listener.return();
  }
}

class Subscription implements AsyncIterableIterator<EngineEvent, undefined> {
  readonly #types: ReadonlySet<EventType> | undefined;
  readonly #onEnd: () => void;
  #queue: EngineEvent[] = [];
  #lost = 0;
  #wake: (() => void) | undefined;
  #ended = false;

  constructor(filter: EventFilter, onEnd: () => void) {
    this.#types = filter.types && filter.types.length > 0 ? new Set(filter.types) : undefined;
    this.#onEnd = onEnd;
  }

  takes(type: EventType): boolean {
    return this.#types ? this.#types.has(type) : type !== 'dns';
  }

  push(event: EngineEvent): void {
    if (this.#queue.length >= BACKLOG) this.#lost++;
    else this.#queue.push(event);
    this.#wake?.();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
  async next(): Promise<IteratorResult<EngineEvent, undefined>> {
    for (;;) {
      const event = this.#queue.shift();
      if (event) return { done: false, value: event };
      if (this.#lost > 0) {
        const attributes = { lost: String(this.#lost) };
        this.#lost = 0;
        const time = new Date().toISOString();
        return { done: false, value: { time, type: 'engine', action: 'behind', id: '', name: '', attributes } };
      }
      if (this.#ended) return { done: true, value: undefined };
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
      this.#wake = undefined;
    }
  }
  return(): Promise<IteratorResult<EngineEvent, undefined>> {
    this.#ended = true;
    this.#queue = [];
    this.#lost = 0;
    this.#onEnd();
    this.#wake?.();
    return Promise.resolve({ done: true, value: undefined });
  }
}
