import { setTimeout as sleep } from 'node:timers/promises';
import { endpointKey, type NodeRecord, SHARED, type SharedEndpoint } from '../cluster/index.ts';
import type { Container, Endpoint, Network } from '../model/index.ts';
import type { Entry, ReadTx, SharedStore } from '../store/index.ts';
import type { Core } from './core.ts';
import { Follower, type Reader } from './follow.ts';
import type { Mirror } from './mirror.ts';
import { membersOf, namesOf } from './pods.ts';
import { KEYS } from './records.ts';

/** How many endpoints are written at once: etcd takes 128 operations. */
const BATCH = 40;
/** After which what etcd did not take is tried again, milliseconds. */
const RETRY = 1000;

/**
 * Writes down, for the other hosts, the endpoints of this one that are on shared networks. What changed while etcd was away
 * is written when it is back: what is here is compared with what is there.
 */
export class Publisher implements Reader, AsyncDisposable {
  readonly #core: Core;
  readonly #store: SharedStore;
  readonly #node: NodeRecord;
  readonly #mirror: Mirror;
  readonly #dirty = new Set<string>();
  readonly #stop = new AbortController();
  /** Where each endpoint that was published is, by its id. */
  readonly #published = new Map<string, SharedEndpoint>();
  #follower: Follower | undefined;
  #work: Promise<void> | undefined;

  private constructor(core: Core, store: SharedStore, node: NodeRecord, mirror: Mirror) {
    this.#core = core;
    this.#store = store;
    this.#node = node;
    this.#mirror = mirror;
  }

  static async start(core: Core, store: SharedStore, node: NodeRecord, mirror: Mirror): Promise<Publisher> {
    const publisher = new Publisher(core, store, node, mirror);
    for (const endpoint of mirror.all<SharedEndpoint>(SHARED.endpoints)) {
      if (endpoint.node === node.name) publisher.#published.set(endpoint.id, endpoint);
    }
    publisher.#follower = await Follower.start(core.store, [KEYS.endpoints, KEYS.containers], publisher);
    return publisher;
  }

  load(entries: readonly Entry<unknown>[]): void {
    for (const id of this.#published.keys()) this.#dirty.add(id);
    for (const { key } of entries)
      if (key.startsWith(KEYS.endpoints)) this.#dirty.add(key.slice(KEYS.endpoints.length));
    this.#kick();
  }

  change(key: string, value: unknown): void {
    if (key.startsWith(KEYS.endpoints)) this.#dirty.add(key.slice(KEYS.endpoints.length));
    else if (value !== undefined) void this.#markContainer((value as Container).id);
    this.#kick();
  }

  failed(error: unknown): void {
    this.#mirror.failed(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#follower?.[Symbol.asyncDispose]();
    await this.#work;
  }

  /** Its endpoints are called after it. */
  async #markContainer(container: string): Promise<void> {
    const prefix = `${KEYS.ofWorkload}${container}/`;
    const keys = await this.#core.store.read((tx) => tx.list(prefix)).catch(() => []);
    for (const { key } of keys) this.#dirty.add(key.slice(prefix.length));
    this.#kick();
  }

  #kick(): void {
    this.#work ??= this.#run().finally(() => {
      this.#work = undefined;
      if (this.#dirty.size > 0 && !this.#stop.signal.aborted) this.#kick();
    });
  }

  async #run(): Promise<void> {
    await Promise.resolve();
    const { signal } = this.#stop;
    while (this.#dirty.size > 0 && !signal.aborted) {
      const batch = [...this.#dirty].slice(0, BATCH);
      for (const id of batch) this.#dirty.delete(id);
      try {
        await this.#publish(batch);
      } catch {
        // etcd is away, or this host has lost its name: whoever comes after begins anew
        for (const id of batch) this.#dirty.add(id);
        await sleep(RETRY, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }

  async #publish(ids: readonly string[]): Promise<void> {
    const wanted = await this.#core.store.read(async (tx) => {
      const found: { readonly id: string; readonly endpoint: SharedEndpoint | undefined }[] = [];
      for (const id of ids) found.push({ id, endpoint: await this.#endpoint(tx, id) });
      return found;
    });
    const changes = wanted.filter(
      ({ id, endpoint }) => JSON.stringify(this.#published.get(id)) !== JSON.stringify(endpoint),
    );
    if (changes.length === 0) return;
    await this.#store.transact(async (tx) => {
      for (const { id, endpoint } of changes) {
        const before = this.#published.get(id);
        if (before && before.network !== endpoint?.network) await tx.delete(endpointKey(before));
        if (endpoint) await tx.put(endpointKey(endpoint), endpoint);
      }
    });
    for (const { id, endpoint } of changes) {
      if (endpoint) this.#published.set(id, endpoint);
      else this.#published.delete(id);
    }
  }

  async #endpoint(tx: ReadTx, id: string): Promise<SharedEndpoint | undefined> {
    const endpoint = await tx.get<Endpoint>(KEYS.endpoints + id);
    if (endpoint?.phase !== 'ready') return undefined;
    const network = await tx.get<Network>(KEYS.networks + endpoint.network);
    if (!network?.overlay || network.overlay.flannel) return undefined;
    const container =
      endpoint.container === '' ? undefined : await tx.get<Container>(KEYS.containers + endpoint.container);
    const names = container
      ? namesOf(container, endpoint.aliases, await membersOf(tx, container))
      : [...endpoint.aliases];
    const { addresses, mac } = endpoint;
    // whether it is denied is for each host to say
    const ports = endpoint.ports.filter(({ mode }) => mode === 'ingress').map(({ denied: _, ...port }) => port);
    return {
      ...{ id, network: network.id, node: this.#node.name, addresses, mac, names },
      ...(ports.length > 0 && { ports }),
    };
  }
}
