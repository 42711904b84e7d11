import { type Member, SHARED } from '../cluster/index.ts';
import { NetloomError } from '../errors.ts';
import type { Network } from '../model/index.ts';
import { backendOf } from '../overlay/index.ts';
import type { Entry, SharedStore } from '../store/index.ts';
import type { Core } from './core.ts';
import { Follower, type Reader } from './follow.ts';
import { InTurn } from './in-turn.ts';
import type { Mirror } from './mirror.ts';
import { findNetwork, KEYS } from './records.ts';
import { changeSelf, nextSelf } from './rekey.ts';
import { TAKING } from './shared-networks.ts';

/**
 * What others get to follow one step of a change of epochs, milliseconds: they are told by a watch, at once. Less where
 * something does not get through until it is done.
 */
const FOLLOW = { usual: 10_000, urgent: 1000 } as const;
/** After which what failed is tried again, milliseconds. */
const RETRY = 2000;
/** The longest wait of a timer, milliseconds. */
const LONG = 24 * 3600 * 1000;

/**
 * Changes this host's keys in networks that have some: when their time has come, when somebody asks, and when one may not serve
 * again. The host itself is first, then it tells the others; a change that was under way when the engine ended goes on.
 */
export class Rekeying implements Reader, AsyncDisposable {
  readonly #core: Core;
  readonly #store: SharedStore;
  readonly #mirror: Mirror;
  /** Where this host's own record is. */
  readonly #node: string;
  readonly #networks = new Map<string, Network>();
  /** When others were last told, as `performance.now()` has it; as far as this engine knows, at its start. */
  readonly #told = new Map<string, number>();
  /** Networks where a key may not serve again. */
  readonly #urgent = new Set<string>();
  readonly #stop = new AbortController();
  readonly #begun = performance.now();
  #follower: Follower | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #work = new InTurn();

  private constructor(core: Core, store: SharedStore, node: string, mirror: Mirror) {
    this.#core = core;
    this.#store = store;
    this.#node = node;
    this.#mirror = mirror;
  }

  static async start(core: Core, store: SharedStore, node: string, mirror: Mirror): Promise<Rekeying> {
    const rekeying = new Rekeying(core, store, node, mirror);
    rekeying.#follower = await Follower.start(core.store, [KEYS.networks], rekeying);
    return rekeying;
  }

  load(entries: readonly Entry<unknown>[]): void {
    this.#networks.clear();
    for (const { value } of entries) this.#note(value as Network);
    this.#plan();
  }
  change(key: string, value: unknown): void {
    const id = key.slice(KEYS.networks.length);
    const known = this.#networks.get(id);
    if (value !== undefined) this.#note(value as Network);
    else {
      if (known) this.#mirror.faults.clear(keysOf(known));
      for (const about of [this.#networks, this.#told, this.#urgent]) about.delete(id);
    }
    this.#plan();
  }
  failed(error: unknown): void {
    this.#mirror.failed(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#timer);
    await this.#follower?.[Symbol.asyncDispose]();
    await this.#work.idle();
  }

  /** A key of a network may not serve again: a change begins, or what is under way goes faster. */
  keyUsed(id: string): void {
    if (!this.#networks.has(id) || this.#urgent.has(id)) return;
    this.#urgent.add(id);
    this.#plan();
  }

  /**
   * Begins to change keys of these networks, or of all that have some; resolves when others are told of the first step. A change
   * that is under way is left to itself. @returns those networks, as they are now @throws NetloomError EBADBACKEND, ENETWORKBUSY, EETCDAWAY
   */
  async rotate(refs: readonly string[]): Promise<readonly Network[]> {
    const asked: Network[] = [];
    for (const ref of refs) asked.push(await this.#core.store.read((tx) => findNetwork(tx, ref)));
    for (const { name, overlay, driver } of asked) {
      if (!overlay || backendOf(overlay.backend).keyed === undefined)
        throw new NetloomError('EBADBACKEND', `network "${name}" has no keys (${overlay?.backend ?? driver})`, {
          hint: 'backends wireguard and ipsec have some',
        });
      if (overlay.former) throw isBeingChanged(name);
    }
    const networks =
      asked.length > 0 ? asked : [...this.#networks.values()].filter(({ overlay }) => overlay && !overlay.former);
    for (const { id, overlay } of networks) if (!overlay?.self.coming) await this.#work.run(() => this.#step(id));
    return networks.map((network) => this.#networks.get(network.id) ?? network);
  }

  #note(network: Network): void {
    if (network.overlay?.self.keyFile !== undefined) this.#networks.set(network.id, network);
    else this.#networks.delete(network.id);
  }

  /** Sets the timer to the next thing to do. */
  #plan(): void {
    clearTimeout(this.#timer);
    if (this.#stop.signal.aborted || this.#networks.size === 0) return;
    const wait = Math.min(...[...this.#networks.values()].map((network) => this.#waitOf(network)), LONG);
    this.#timer = setTimeout(() => void this.#work.run(() => this.#run()), Math.max(0, wait)).unref();
  }

  /** Milliseconds until a network's keys go one step further. */
  #waitOf(network: Network): number {
    const { id, overlay } = network;
    if (!overlay) return Infinity;
    const { self, former, rekey = 0 } = overlay;
    const urgent = this.#urgent.has(id);
    const failed = this.#failed(network);
    if (self.coming !== undefined) {
      const told = this.#told.get(id) ?? this.#begun;
      return Math.max(told + FOLLOW[urgent ? 'urgent' : 'usual'] - performance.now(), failed);
    }
    if (urgent) return failed;
    if (former || rekey === 0) return Infinity;
    // clocks may go back
    const since = this.#core.now().getTime() - Date.parse(self.rekeyed ?? '');
    return Math.max(since >= 0 ? rekey * 1000 - since : rekey * 1000, failed);
  }

  async #run(): Promise<void> {
    for (const network of [...this.#networks.values()]) {
      if (this.#stop.signal.aborted) return;
      if (this.#waitOf(network) > this.#failed(network)) continue;
      try {
        await this.#step(network.id);
        this.#mirror.faults.clear(keysOf(network));
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.#mirror.faults.note(keysOf(network), error);
      }
    }
    this.#plan();
  }

  /** Milliseconds for which what failed is left alone. */
  #failed(network: Network): number {
    return this.#mirror.faults.has(keysOf(network)) ? RETRY : 0;
  }

  /** One step of one network: what others were not told yet is told; else the host goes one step further, and tells. */
  async #step(id: string): Promise<void> {
    await this.#core.turns.run(TAKING, async () => {
      const shared = this.#mirror.network(id);
      const here = await this.#core.store.read((tx) => tx.get<Network>(KEYS.networks + id));
      if (!here?.overlay) return;
      if (!shared || here.phase !== 'ready')
        throw new NetloomError('ENETWORKBUSY', `network "${here.name}" is being made or removed`);
      // what nobody can be told now is not begun
      const told = await this.#store.read((tx) => tx.get<Member>(`${SHARED.members}${id}/${this.#node}`));
      const { publicKey, epochs } = here.overlay.self;
      if (JSON.stringify([told?.publicKey, told?.epochs]) === JSON.stringify([publicKey, epochs])) {
        const self = nextSelf(this.#core, id, here.overlay);
        if (!self) return;
        await changeSelf(this.#core, id, self);
        this.#networks.set(id, { ...here, overlay: { ...here.overlay, self } });
        if (self.coming === undefined) this.#urgent.delete(id);
        if (here.overlay.self.coming === undefined)
          this.#core.events.publish({ type: 'cluster', action: 'rekey', name: here.name, attributes: {} });
      }
      await this.#mirror.take(shared);
      this.#told.set(id, performance.now());
    });
  }
}

function keysOf({ name }: Network): string {
  return `keys of network ${name}`;
}

function isBeingChanged(name: string): NetloomError {
  return new NetloomError('ENETWORKBUSY', `network "${name}": its backend is being changed`, {
    hint: 'wait until every node has changed: netloom node ls',
  });
}
