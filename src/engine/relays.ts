import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode, NetloomError } from '../errors.ts';
import { Netns } from '../kernel/index.ts';
import { linkGet } from '../rtnetlink/index.ts';
import { type RelayPlan, relayOf, waysOf } from '../overlay/index.ts';
import { Relay } from '../relay/index.ts';
import type { Entry } from '../store/index.ts';
import type { Core } from './core.ts';
import { Faults } from './faults.ts';
import { Follower, type Reader } from './follow.ts';
import { OverlayRecords } from './overlay-records.ts';
import type { Service } from './services.ts';

/** After which it is looked again for a device that is to come, or tried again to start, milliseconds. */
const RETRY = 100;

interface Running {
  readonly relay: Relay;
  /** What it was started with. */
  readonly as: string;
}

/**
 * Carries packets of networks with the backend udp, for as long as a resident engine lives: a relay each. Device and routes
 * are facts, and stay when it ends: what comes meanwhile waits for the next one, or is lost as on a wire.
 */
export class Relays implements Service, Reader {
  readonly #core: Core;
  readonly #records = new OverlayRecords();
  readonly #running = new Map<string, Running>();
  readonly #faults: Faults;
  readonly #beginning = new Set<string>();
  readonly #stop = new AbortController();
  #follower: Follower | undefined;

  private constructor(core: Core) {
    this.#core = core;
    this.#faults = new Faults(core.events, (id) => {
      const network = this.#records.networks.get(id);
      return network ? `network ${network.name}` : id;
    });
  }

  static async begin(core: Core): Promise<Relays> {
    const relays = new Relays(core);
    relays.#follower = await Follower.start(core.store, OverlayRecords.ROOTS, relays);
    return relays;
  }

  load(entries: readonly Entry<unknown>[]): void {
    this.#records.load(entries);
    for (const id of new Set([...this.#records.networks.keys(), ...this.#running.keys()])) this.#settle(id);
  }

  change(key: string, value: unknown): void {
    this.#settle(this.#records.note(key, value));
  }

  failed(error: unknown): void {
    this.#faults.note('relays', error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#follower?.[Symbol.asyncDispose]();
    for (const id of [...this.#running.keys()]) this.#end(id);
  }

  /** Makes a network's relay what its record says. */
  #settle(id: string): void {
    const plan = this.#planOf(id);
    const there = this.#running.get(id);
    if (!plan) return this.#end(id);
    const { entries, ...start } = plan;
    const as = JSON.stringify(start);
    if (there?.as !== as) this.#end(id);
    const relay = this.#running.get(id)?.relay;
    if (relay) relay.replace(entries);
    else void this.#begin(id, plan.device);
  }

  /** Once its device is there: a relay would make one of its own. */
  async #begin(id: string, device: string): Promise<void> {
    if (this.#beginning.has(id)) return;
    this.#beginning.add(id);
    try {
      using kernel = this.#core.kernel.scope();
      const [there] = await kernel.rtnl('').batch([linkGet({ name: device })]);
      if (this.#stop.signal.aborted) return;
      if (!there || there.error) return this.#later(id);
      // as it is by now: what was told meanwhile has found nobody
      const plan = this.#planOf(id);
      if (!plan) return;
      const { entries, ...start } = plan;
      try {
        this.#start(id, start).replace(entries);
        this.#faults.clear(id);
      } catch (error) {
        this.#fault(id, start, error);
      }
    } finally {
      this.#beginning.delete(id);
    }
  }

  /** Also while hosts change to it, or from it. */
  #planOf(id: string): RelayPlan | undefined {
    const network = this.#records.networks.get(id);
    const overlay = network?.overlay && waysOf(network.overlay).find(({ backend }) => backend === 'udp');
    return network && overlay ? relayOf(network, overlay, this.#records.peersOf(id)) : undefined;
  }

  #start(id: string, plan: Omit<RelayPlan, 'entries'>): Relay {
    const netns = Netns.open(`/proc/self/fd/${this.#core.kernel.host.fd}`);
    try {
      const relay = Relay.start({ netns, ...plan, lost: () => this.#lost(id) });
      this.#running.set(id, { relay, as: JSON.stringify(plan) });
      return relay;
    } finally {
      netns[Symbol.dispose]();
    }
  }

  /** Its device is gone: repair makes it again. */
  #lost(id: string): void {
    this.#end(id);
    this.#later(id);
  }

  #end(id: string): void {
    this.#running.get(id)?.relay[Symbol.dispose]();
    this.#running.delete(id);
  }

  #later(id: string): void {
    void sleep(RETRY, undefined, { signal: this.#stop.signal, ref: false }).then(
      () => this.#settle(id),
      () => undefined,
    );
  }

  /** Told once, and tried again. */
  #fault(id: string, { port }: Pick<RelayPlan, 'port'>, error: unknown): void {
    const taken = hasCode(error, 'EADDRINUSE')
      ? new NetloomError('EPORTTAKEN', `UDP port ${port} is taken by another program`, {
          hint: 'end it, or make the network anew with -o port=…',
        })
      : error;
    this.#faults.note(id, taken);
    this.#later(id);
  }
}
