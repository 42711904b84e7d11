import { NetloomError } from '../errors.ts';
import type { EventHub } from './events.ts';
import { textOf } from './put-right.ts';

/** What does not work at present, by what it is about, each told once for each reason: `cluster`, `fault`. */
export class Faults {
  readonly #events: EventHub;
  readonly #nameOf: (what: string) => string;
  readonly #reasons = new Map<string, string>();

  /** @param nameOf what people call it; default: what it is noted as */
  constructor(events: EventHub, nameOf: (what: string) => string = (what) => what) {
    this.#events = events;
    this.#nameOf = nameOf;
  }

  /** @param error that, or the reason in words @param cure what to do; default: what the error says */
  note(what: string, error: unknown, cure: string = error instanceof NetloomError ? error.hint : ''): void {
    const reason = typeof error === 'string' ? error : textOf(error);
    if (this.#reasons.get(what) === reason) return;
    this.#reasons.set(what, reason);
    const attributes = { reason, ...(cure !== '' && { cure }) };
    this.#events.publish({ type: 'cluster', action: 'fault', name: this.#nameOf(what), attributes });
  }
  clear(what: string): void {
    this.#reasons.delete(what);
  }

  has(what: string): boolean {
    return this.#reasons.has(what);
  }
  get size(): number {
    return this.#reasons.size;
  }
  /** What they are about. */
  get whats(): readonly string[] {
    return [...this.#reasons.keys()];
  }
  get reasons(): readonly string[] {
    return [...this.#reasons.values()];
  }
  /** `name: reason` */
  get lines(): readonly string[] {
    return [...this.#reasons].map(([what, reason]) => `${this.#nameOf(what)}: ${reason}`);
  }
}
