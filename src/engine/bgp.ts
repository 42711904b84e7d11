import type { LearnedRoute, NeighbourStatus } from '../bgp/index.ts';
import type { Sample } from '../metrics/index.ts';
import type { BgpStatus, LearnedWay, Peer } from '../model/index.ts';
import { waysOf } from '../overlay/index.ts';
import type { Entry } from '../store/index.ts';
import { Hops } from './bgp-hops.ts';
import { covering, type SpeakerPlan, speakerPlan, type Spoken } from './bgp-plan.ts';
import { HostSpeaker, identityOf } from './bgp-speaker.ts';
import type { Core } from './core.ts';
import { Faults } from './faults.ts';
import { Follower, type Reader } from './follow.ts';
import { OverlayRecords } from './overlay-records.ts';
import { changeOthers, type OtherChange } from './others.ts';
import type { Service } from './services.ts';

/** There, while neighbours may keep what this host told them: it has not stopped speaking, whatever became of its daemon. */
const SPEAKING = 'bgp-speaking';
/** After which what failed is tried again, and next hops are looked up anew, milliseconds. */
const AGAIN = { failed: 1000, well: 10_000 };
/** Faults of addresses at which this host cannot be found. */
const PORT = 'port ';
/** How many peers are changed at once. */
const BATCH = 500;

/**
 * Speaks BGP for the networks with that backend, for as long as a resident engine lives: one speaker for all of them. What it
 * learns becomes part of the peers' records, and from there routes; both stay when the engine ends, as neighbours keep ours.
 */
export class Bgp implements Service, Reader {
  readonly #core: Core;
  readonly #records = new OverlayRecords();
  readonly #hops: Hops;
  readonly #stop = new AbortController();
  /** What does not work, by what it is about. */
  readonly #faults: Faults;
  /** Why what was learned of a node's prefixes is of no use, by network and node. */
  readonly #useless = new Map<string, string>();
  #speaker: HostSpeaker | undefined;
  /** Neighbours without a session, which the speaker knows itself. */
  readonly #told: Faults;
  #follower: Follower | undefined;
  #dirty = false;
  #work: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  private constructor(core: Core) {
    this.#core = core;
    this.#hops = new Hops(core);
    this.#faults = new Faults(core.events, () => 'bgp');
    this.#told = new Faults(core.events, () => 'bgp');
  }

  static async begin(core: Core): Promise<Bgp> {
    const bgp = new Bgp(core);
    bgp.#follower = await Follower.start(core.store, OverlayRecords.ROOTS, bgp);
    return bgp;
  }

  load(entries: readonly Entry<unknown>[]): void {
    this.#records.load(entries);
    this.#kick();
  }
  change(key: string, value: unknown): void {
    this.#records.note(key, value);
    this.#kick();
  }
  failed(error: unknown): void {
    this.#faults.note('records', error);
  }

  /** Sessions as they are; undefined where this host does not speak. */
  get status(): BgpStatus | undefined {
    return this.#speaker?.status;
  }
  /** A line each: what the host itself lacks, and neighbours without a session. */
  get faults(): readonly string[] {
    return [...this.#faults.reasons, ...(this.#speaker?.faults ?? [])];
  }
  /** Why what was learned of a node is of no use; empty where nothing is wrong with it. */
  whyUseless(network: string, node: string): string {
    return this.#useless.get(`${network}/${node}`) ?? '';
  }

  sample(sample: Sample): void {
    this.#speaker?.sample(sample);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#timer);
    await this.#follower?.[Symbol.asyncDispose]();
    await this.#work;
    await this.#end({ keep: true });
  }

  #kick(): void {
    this.#dirty = true;
    this.#work ??= this.#run().finally(() => {
      this.#work = undefined;
      if (this.#dirty && !this.#stop.signal.aborted) this.#kick();
    });
  }

  async #run(): Promise<void> {
    // what comes with it goes with it
    await Promise.resolve();
    this.#dirty = false;
    if (this.#stop.signal.aborted) return;
    clearTimeout(this.#timer);
    const spoken = this.#spoken();
    await this.#attempt('speaker', () => this.#speak(speakerPlan(spoken)));
    // also by a speaker that is not what it should be
    await this.#attempt('ways', () => this.#learn(spoken));
    if (!this.#speaker && this.#faults.size === 0) return;
    const again = (): void => {
      this.#hops.forget();
      this.#kick();
    };
    this.#timer = setTimeout(again, this.#faults.size > 0 ? AGAIN.failed : AGAIN.well).unref();
  }

  async #attempt(about: string, body: () => Promise<void>): Promise<void> {
    try {
      await body();
      this.#faults.clear(about);
    } catch (error) {
      this.#faults.note(about, error);
    }
  }

  /** Also while hosts change to it, or from it. */
  #spoken(): Spoken[] {
    return [...this.#records.networks.values()].flatMap((network): Spoken[] => {
      const overlay = network.overlay && waysOf(network.overlay).find(({ backend }) => backend === 'bgp');
      return overlay?.bgp ? [{ network, overlay, peers: this.#records.peersOf(network.id) }] : [];
    });
  }

  /** Makes the speaker what it should be. */
  async #speak(plan: SpeakerPlan | undefined): Promise<void> {
    const { store } = this.#core;
    if (!plan) {
      if (!this.#speaker) return;
      await this.#end({ words: 'no network has backend bgp any more' });
      await store.transact((tx) => tx.delete(SPEAKING));
      return;
    }
    if (this.#speaker && this.#speaker.identity !== identityOf(plan)) await this.#end({ keep: true });
    if (this.#speaker) {
      this.#speaker.follow(plan);
    } else {
      const resumed = (await store.read((tx) => tx.get(SPEAKING))) !== undefined;
      this.#speaker = await HostSpeaker.begin(this.#core, plan, resumed, {
        changed: () => this.#kick(),
        turned: (status) => this.#turned(status),
      });
      if (!resumed) await store.transact((tx) => tx.put(SPEAKING, true));
    }
    const failed = this.#speaker.listen();
    for (const about of this.#faults.whats)
      if (about.startsWith(PORT) && !failed.has(about.slice(PORT.length))) this.#faults.clear(about);
    for (const [address, error] of failed) this.#faults.note(PORT + address, error);
  }

  async #end(how: { readonly keep?: boolean; readonly words?: string }): Promise<void> {
    const speaker = this.#speaker;
    this.#speaker = undefined;
    await speaker?.close(how);
    for (const about of this.#faults.whats) if (about.startsWith(PORT)) this.#faults.clear(about);
  }

  /** Brings the peers' records up to what is known of the ways to them. */
  async #learn(spoken: readonly Spoken[]): Promise<void> {
    const table = this.#speaker?.routes ?? new Map<string, LearnedRoute>();
    const speaking = new Set(spoken.map(({ network }) => network.id));
    const [first] = spoken;
    if (first)
      await this.#hops.learn(
        [...table.values()].map(({ nextHop }) => nextHop),
        first.overlay.self.dev,
      );
    this.#useless.clear();
    for (const { id } of this.#records.networks.values()) {
      const dev = speaking.has(id) ? this.#records.networks.get(id)?.overlay?.self.dev : undefined;
      const changes = this.#records.peersOf(id).flatMap((peer): OtherChange[] => {
        const ways = dev === undefined ? [] : this.#waysTo(id, peer, table, dev);
        return JSON.stringify(ways) === JSON.stringify(peer.ways ?? []) ? [] : [{ peer: peer.node, ways }];
      });
      for (let i = 0; i < changes.length; i += BATCH) await changeOthers(this.#core, id, changes.slice(i, i + BATCH));
    }
  }

  #waysTo(network: string, peer: Peer, table: ReadonlyMap<string, LearnedRoute>, dev: string): readonly LearnedWay[] {
    return peer.prefixes.flatMap((prefix): readonly LearnedWay[] => {
      const route = covering(table, prefix);
      if (!route) {
        const stays = this.#speaker?.mayStay(prefix) ?? true;
        return stays ? (peer.ways ?? []).filter((way) => way.prefix === prefix) : [];
      }
      const hop = this.#hops.of(route.nextHop);
      if (hop && 'via' in hop) return [{ prefix, via: hop.via, dev, from: route.from.address }];
      this.#useless.set(
        `${network}/${peer.node}`,
        `is not reached: ${hop?.why ?? `next hop ${route.nextHop} is not known`}`,
      );
      return [];
    });
  }

  #turned(status: NeighbourStatus): void {
    const { address, session, last } = status;
    const about = `neighbor ${address}`;
    // a daemon that is not there yet is no fault to tell of again and again; node status has it
    if (session || last?.by === 'network') this.#told.clear(about);
    else this.#told.note(about, this.#speaker?.lineOf(status) ?? '');
  }
}
