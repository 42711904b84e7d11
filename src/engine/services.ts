import type { Sample } from '../metrics/index.ts';
import type { Core } from './core.ts';

/** One thing that a resident engine does for as long as it lives. */
export interface Service extends AsyncDisposable {
  /** What of it is looked up at each scrape. */
  sample?(sample: Sample): void | Promise<void>;
}

/** Begins a service; it is disposed of in reverse order of beginning. */
type Begin = (core: Core) => Promise<Service>;

/** What only a resident engine does: in this order, since later ones may rely on earlier ones. */
const SERVICES: readonly Begin[] = [];

export class Services implements AsyncDisposable {
  readonly #running: readonly Service[];
  readonly #stack: AsyncDisposableStack;

  private constructor(running: readonly Service[], stack: AsyncDisposableStack) {
    this.#running = running;
    this.#stack = stack;
  }

  static async start(core: Core): Promise<Services> {
    await using stack = new AsyncDisposableStack();
    const running: Service[] = [];
    for (const begin of SERVICES) running.push(stack.use(await begin(core)));
    return new Services(running, stack.move());
  }

  async sample(sample: Sample): Promise<void> {
    for (const service of this.#running) await service.sample?.(sample);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
