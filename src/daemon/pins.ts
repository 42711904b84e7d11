import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Fd, Netns, netnsId } from '../kernel/index.ts';
import type { EngineApi } from '../model/index.ts';

/** A namespace as one call uses it. */
export interface Reached extends Disposable {
  /** By which this process reaches it; missing where the caller's own path does. */
  readonly path?: string;
}

/**
 * Paths for namespaces that callers handed over by descriptor and whose own path leads nowhere here, or elsewhere: callers in
 * a mount namespace of their own. One path a namespace, so that two endpoints in one are known to be; it stays as long as
 * an endpoint has it.
 */
export class Pins {
  readonly #dir: string;
  readonly #engine: EngineApi;
  /** Calls that use a pin now, and a number that changes with every one of them. */
  readonly #users = new Map<string, { count: number; turn: number }>();
  #sweeping: Promise<void> | undefined;

  constructor(runDir: string, engine: EngineApi) {
    this.#dir = join(runDir, 'callers');
    this.#engine = engine;
  }

  /** @param path what the caller calls it; the descriptor is closed. @throws SyscallError EPERM */
  reach(passed: Fd, path: string): Reached {
    using netns = Netns.ofFd(passed, path);
    const { id } = netns;
    if (netnsId('/proc/self/ns/net').split(':')[0] !== id.split(':')[0]) return { [Symbol.dispose]: () => undefined };
    if (isNamespace(path, id)) return { [Symbol.dispose]: () => undefined };
    const pin = join(this.#dir, id.replace(':', '-'));
    if (netnsId(pin) !== id) {
      Netns.unpin(pin);
      netns.pin(pin);
    }
    const users = this.#users.get(pin) ?? { count: 0, turn: 0 };
    this.#users.set(pin, { count: users.count + 1, turn: users.turn + 1 });
    return { path: pin, [Symbol.dispose]: () => this.#leave(pin) };
  }

  #leave(pin: string): void {
    const { count, turn } = this.#users.get(pin)!;
    this.#users.set(pin, { count: count - 1, turn });
  }

  /** Takes away pins that no endpoint and no call has. At most one at a time; costs nothing where there is no pin. */
  async sweep(): Promise<void> {
    // one that runs may have looked already
    while (this.#sweeping) await this.#sweeping;
    const pins = this.#list();
    if (pins.length === 0) return;
    this.#sweeping = this.#sweep(pins);
    try {
      await this.#sweeping;
    } finally {
      this.#sweeping = undefined;
    }
  }

  async #sweep(pins: readonly string[]): Promise<void> {
    const turns = new Map(pins.map((pin) => [pin, this.#users.get(pin)?.turn ?? 0]));
    const used = new Set((await this.#engine.endpointList()).map(({ netns }) => netns));
    for (const pin of pins) {
      const users = this.#users.get(pin) ?? { count: 0, turn: 0 };
      // whoever came meanwhile may have made an endpoint that the list has not
      if (used.has(pin) || users.count > 0 || users.turn !== turns.get(pin)) continue;
      this.#users.delete(pin);
      Netns.unpin(pin);
    }
  }

  #list(): string[] {
    return existsSync(this.#dir) ? readdirSync(this.#dir).map((name) => join(this.#dir, name)) : [];
  }
}

function isNamespace(path: string, id: string): boolean {
  try {
    return netnsId(path) === id;
  } catch {
    return false; // a path through what is no directory here, or closed to us
  }
}
