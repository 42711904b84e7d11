import { setTimeout as sleep } from 'node:timers/promises';
import { parsePrefix } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import {
  describeConfig,
  fits,
  type FlannelChange,
  type FlannelLease,
  type FlannelRecords,
  type FlannelRegistry,
  judgeLeases,
  parseLeaseKey,
} from '../flannel/index.ts';
import type { Network, Peer } from '../model/index.ts';
import type { Core } from './core.ts';
import { Faults } from './faults.ts';
import { isOurs } from './flannel.ts';
import { leaseTextOf, openRegistry, overlayIn } from './flannel-place.ts';
import { overlayUpdate } from './network-update.ts';
import { changeOthers, type OtherChange } from './others.ts';
import { isFlannel, type FlannelNetwork, peersOf } from './overlay.ts';
import { textOf } from './put-right.ts';
import { KEYS } from './records.ts';
import { Settling } from './settling.ts';
import { withTracking } from './tracking.ts';
import { chooseUnderlay, isDirect, type Underlay } from './underlay.ts';

/** Between two renewals of the lease, which lasts a day, milliseconds; and after one that failed. */
const RENEW = { usual: 3600_000, again: 60_000 };
/** Between two attempts to reach etcd, milliseconds. */
const RETRY = { least: 300, most: 2000 };
/** How many hosts are made part of the kernel at once. */
const BATCH = 500;

/**
 * This host as a member of one flannel network, for as long as a resident engine lives: its lease is kept, and others' leases
 * become peers of the embedded store, from which everything else follows. With etcd away all that stays.
 */
export class FlannelMember implements AsyncDisposable {
  readonly #core: Core;
  readonly #id: string;
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;
  readonly #faults: Faults;
  readonly #settled = Promise.withResolvers<void>();
  #leases = new Map<string, FlannelLease | string>();
  #underlay: Underlay | undefined;
  /** Why etcd is away; empty while it is not. */
  #away = '';
  readonly #settling: Settling;
  #name = '';

  constructor(core: Core, id: string) {
    this.#core = core;
    this.#id = id;
    this.#faults = new Faults(core.events, (what) => `${what} of flannel network ${this.#name}`);
    this.#settling = new Settling(() => this.#makePeers(), RETRY.most);
    this.#loop = this.#keep();
  }

  /** Resolves once those that were there have become peers, or etcd is found to be away. */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  /** What does not work, a line each. */
  get faults(): readonly string[] {
    return [...(this.#away === '' ? [] : [`flannel network ${this.#name}: ${this.#away}`]), ...this.#faults.lines];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#settled.resolve();
    await this.#loop;
    await this.#settling[Symbol.asyncDispose]();
  }

  async #keep(): Promise<void> {
    const { signal } = this.#stop;
    let pause = RETRY.least;
    while (!signal.aborted) {
      const network = await this.#network();
      if (!network) return;
      try {
        await this.#stay(network, () => (pause = RETRY.least));
      } catch (error) {
        if (signal.aborted) return;
        const reason = textOf(error);
        if (this.#away !== reason) this.#tell('away', network, reason, error);
        this.#away = reason;
      }
      this.#settled.resolve();
      await sleep(pause * (0.5 + Math.random()), undefined, { signal, ref: false }).catch(() => undefined);
      pause = Math.min(pause * 2, RETRY.most);
    }
  }

  async #network(): Promise<FlannelNetwork | undefined> {
    const network = await this.#core.store
      .read((tx) => tx.get<Network>(KEYS.networks + this.#id))
      .catch(() => undefined);
    if (!isFlannel(network) || network.phase !== 'ready') return undefined;
    this.#name = network.name;
    return network;
  }

  /** From etcd's answer until it is away again. */
  async #stay(network: FlannelNetwork, onEntry: () => void): Promise<void> {
    const { flannel: place, self } = network.overlay;
    using registry = openRegistry(place);
    const records = await registry.read();
    const underlay = await chooseUnderlay(this.#core, place.addresses ?? [], place.etcd);
    this.#underlay = underlay;
    this.#judgeConfig(registry, network, records);
    await this.#hold(registry, records.config);
    const end = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, end.signal]);
    try {
      this.#leases = records.leases;
      await this.#settle();
      onEntry();
      this.#tell('connected', network);
      this.#away = '';
      this.#settled.resolve();
      void this.#renew(registry, signal);
      for await (const changes of registry.watch(records.revision, signal)) {
        for (const change of changes) this.#note(change);
        const own = changes.find((change) => 'name' in change && change.name === self.node);
        if (own) await this.#hold(registry, records.config);
        if (changes.some((change) => 'config' in change)) this.#judgeConfig(registry, network, await registry.read());
        void this.#settle();
      }
    } finally {
      end.abort();
    }
  }

  #note(change: FlannelChange): void {
    if (!('name' in change)) return;
    if (change.lease === undefined) this.#leases.delete(change.name);
    else this.#leases.set(change.name, change.lease);
  }

  /** The lease says what this host is; where its address has changed, the record does first. */
  async #hold(registry: FlannelRegistry, text: string | undefined): Promise<void> {
    const network = await this.#network();
    if (!network) return;
    const before = network.overlay;
    let overlay: FlannelNetwork['overlay'] = before;
    const name = before.self.node;
    if (this.#underlay && text !== undefined && !this.#faults.has(CONFIG)) {
      const config = registry.configOf({ config: text });
      const made = overlayIn(this.#core, before.flannel, config, parseLeaseKey(name), this.#underlay, before.self);
      overlay = await withTracking(this.#core, { ...made, flannel: before.flannel });
      if (JSON.stringify(overlay) !== JSON.stringify(before)) await overlayUpdate(this.#core, this.#id, overlay);
    }
    const held = await registry.hold(name, leaseTextOf(overlay), isOurs(before, overlay));
    if (held) this.#faults.clear(LEASE);
    else {
      const reason = `the lease ${name} is another host's by now: two hosts have one prefix`;
      this.#faults.note(LEASE, reason, 'remove the network here, and make it again for another prefix');
    }
  }

  async #renew(registry: FlannelRegistry, signal: AbortSignal): Promise<void> {
    let pause = RENEW.usual;
    while (!signal.aborted) {
      await sleep(pause, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      pause = await this.#hold(registry, undefined).then(
        () => RENEW.usual,
        () => RENEW.again,
      );
    }
  }

  /** Flannel reads its configuration when it starts, and so do we: when the network is made. */
  #judgeConfig(registry: FlannelRegistry, network: FlannelNetwork, records: FlannelRecords): void {
    const { overlay } = network;
    const cure =
      'put it back, or remove the network here and make it again; flannel’s own hosts must be started anew for it';
    try {
      const config = registry.configOf(records);
      const { backend, ranges } = config;
      const same =
        backend.name === overlay.backend &&
        backend.vni === overlay.vni &&
        backend.port === overlay.port &&
        backend.directRouting === overlay.directRouting &&
        fits(config, parseLeaseKey(overlay.self.node)) &&
        overlay.ranges.every((range) => ranges.some(({ network: { text } }) => text === parsePrefix(range).text));
      if (same) this.#faults.clear(CONFIG);
      else this.#faults.note(CONFIG, `flannel's configuration has changed: ${describeConfig(config)}`, cure);
    } catch (error) {
      if (!(error instanceof NetloomError)) throw error;
      this.#faults.note(CONFIG, error, cure);
    }
  }

  /** Makes peers what the leases say; resolves when it is done, or has failed and is to be tried again. */
  async #settle(): Promise<void> {
    this.#settling.kick();
    await this.#settling.idle();
  }
  async #makePeers(): Promise<boolean> {
    const network = await this.#network();
    if (!network) return true;
    try {
      await this.#changePeers(network);
      this.#faults.clear(PEERS);
      return true;
    } catch (error) {
      this.#faults.note(PEERS, error);
      return false;
    }
  }

  async #changePeers(network: FlannelNetwork): Promise<void> {
    const { overlay } = network;
    const underlay = this.#underlay;
    const there = new Map(
      (await this.#core.store.read((tx) => peersOf(tx, this.#id))).map((peer) => [peer.node, peer]),
    );
    const others = new Map(this.#leases);
    others.delete(overlay.self.node);
    const isNear = (addresses: readonly string[]): boolean => underlay !== undefined && isDirect(underlay, addresses);
    const { peers, refused } = judgeLeases(overlay, others, new Set(there.keys()), isNear);
    const changes: OtherChange[] = [];
    const differs = (a: Peer | undefined, b: Peer | undefined): boolean => JSON.stringify(a) !== JSON.stringify(b);
    for (const node of new Set([...there.keys(), ...peers.keys()])) {
      const value = peers.get(node);
      if (differs(there.get(node), value)) changes.push({ peer: node, value });
    }
    for (let i = 0; i < changes.length; i += BATCH) {
      if (this.#stop.signal.aborted) return;
      await changeOthers(this.#core, this.#id, changes.slice(i, i + BATCH));
    }
    for (const what of this.#faults.whats) {
      if (what.startsWith('lease ') && !refused.has(what.slice('lease '.length))) this.#faults.clear(what);
    }
    for (const [name, why] of refused) this.#faults.note(`lease ${name}`, why);
  }

  #tell(action: string, { name, overlay }: FlannelNetwork, reason = '', error?: unknown): void {
    const cure = error instanceof NetloomError ? error.hint : '';
    const etcd = overlay.flannel.etcd.join(' ');
    const attributes = { etcd, ...(reason !== '' && { reason }), ...(cure && { cure }) };
    this.#core.events.publish({ type: 'cluster', action, name: `flannel network ${name}`, attributes });
  }
}

const LEASE = 'our lease';
const CONFIG = 'configuration';
const PEERS = 'other hosts';
