import { type Fact, kindOf } from '../facts/index.ts';
import { keyOf } from './fact-keys.ts';
import type { Container, Endpoint, Network, Peer } from '../model/index.ts';
import type { ReadTx } from '../store/index.ts';
import { factsOfEndpoint } from './endpoints.ts';
import { factsOfNetwork } from './networks.ts';
import { factsOfPeer, factsOfRemote, PEERS, type Remote, REMOTES } from './overlay.ts';
import { KEYS } from './records.ts';
import { factsOfContainer } from './sandbox.ts';
import { isRemote } from './wanted.ts';

/** What is kept of one object, so that it can be taken out of the index again. */
interface Entry {
  readonly keys: readonly string[];
  readonly within: readonly string[];
  readonly spaces: readonly string[];
  /** Nobody is working on it: what happens to it is worth a look. */
  readonly ready: boolean;
}

/**
 * Which object wants a fact, for whoever hears that something happened to it. It says where to look, never what should be
 * there: that is read from the store at the moment of looking.
 *
 * The rule set is left out: whatever happens in our table is compared as a whole.
 */
export class WantedIndex {
  readonly #entries = new Map<string, Entry>();
  readonly #byKey = new Groups();
  readonly #byWithin = new Groups();
  readonly #bySpace = new Groups();
  readonly #networks = new Map<string, Network>();
  readonly #endpoints = new Map<string, Endpoint>();
  /** By `<network>/<node>`, the second one's by their ids. */
  readonly #peers = new Map<string, Peer>();
  readonly #remotes = new Map<string, Map<string, Remote>>();
  /** Containers that somebody is working on. */
  readonly #busy = new Set<string>();

  /** Replaces everything by what the store says. */
  async load(tx: ReadTx): Promise<void> {
    for (const key of [...this.#entries.keys()]) this.#drop(key);
    for (const map of [this.#networks, this.#endpoints, this.#peers, this.#remotes, this.#busy]) map.clear();
    for (const prefix of [KEYS.networks, PEERS, REMOTES, KEYS.containers, KEYS.endpoints]) {
      for (const { key, value } of await tx.list(prefix)) this.change(key, value);
    }
  }

  /** Follows one change of the store; undefined for a key that went. */
  change(key: string, value: unknown): void {
    if (key.startsWith(KEYS.endpoints)) {
      this.#endpoint(key.slice(KEYS.endpoints.length), value as Endpoint | undefined);
    } else if (key.startsWith(KEYS.networks)) {
      this.#network(key.slice(KEYS.networks.length), value as Network | undefined);
    } else if (key.startsWith(KEYS.containers)) {
      this.#container(key.slice(KEYS.containers.length), value as Container | undefined);
    } else if (key.startsWith(PEERS)) {
      this.#peer(key.slice(PEERS.length), value as Peer | undefined);
    } else if (key.startsWith(REMOTES)) {
      this.#remote(key.slice(REMOTES.length), value as Remote | undefined);
    }
  }

  /** Objects that want the fact of that key and that nobody is working on. */
  wanting(key: string): string[] {
    return this.#ready(this.#byKey.of(key));
  }
  /** Objects with facts that go when that one goes. */
  within(key: string): string[] {
    return this.#ready(this.#byWithin.of(key));
  }
  /** Objects with facts in a namespace of workloads. */
  inSpace(ns: string): string[] {
    return this.#ready(this.#bySpace.of(ns));
  }
  /** Whether any object, in whatever state, has to do with the fact. */
  knows(key: string): boolean {
    return this.#byKey.has(key);
  }
  /** Keys of wanted facts that begin so. */
  keysUnder(prefix: string): string[] {
    return this.#byKey.keys().filter((key) => key.startsWith(prefix));
  }
  /** The namespace of the workload that a host's link leads to. */
  spaceBehind(linkKey: string): string | undefined {
    for (const object of this.#byKey.of(linkKey)) {
      const space = this.#entries.get(object)?.spaces[0];
      if (space !== undefined) return space;
    }
    return undefined;
  }
  /** Every namespace that somebody wants something in. */
  get spaces(): string[] {
    return this.#bySpace.keys();
  }
  /** Every object but endpoints of other hosts, of which there may be a hundred thousand. */
  get objects(): string[] {
    return [...this.#entries.keys()].filter((key) => !isRemote(key));
  }
  get remotes(): string[] {
    return [...this.#entries.keys()].filter(isRemote);
  }
  isReady(object: string): boolean {
    return this.#ready([object]).length > 0;
  }

  #endpoint(id: string, endpoint: Endpoint | undefined): void {
    const key = `endpoint/${id}`;
    const network = endpoint && this.#networks.get(endpoint.network);
    if (!endpoint) this.#endpoints.delete(id);
    else this.#endpoints.set(id, endpoint);
    if (!endpoint || !network) {
      this.#drop(key);
      return;
    }
    const workload = { container: endpoint.container, name: '', netns: endpoint.netns };
    this.#put(key, factsOfEndpoint(network, endpoint, workload), endpoint.phase === 'ready');
  }

  #network(id: string, network: Network | undefined): void {
    const key = `network/${id}`;
    if (!network) {
      this.#networks.delete(id);
      this.#drop(key);
      for (const host of [...this.#peers.keys()]) if (host.startsWith(`${id}/`)) this.#forgetPeer(host);
      return;
    }
    const before = this.#networks.get(id);
    this.#networks.set(id, network);
    this.#put(key, factsOfNetwork(network), network.phase === 'ready');
    // what an endpoint wants follows its network's options
    const own = ({ options, overlay }: Network): string => JSON.stringify([options, overlay]);
    if (before && own(before) === own(network)) return;
    for (const endpoint of this.#endpoints.values()) if (endpoint.network === id) this.#endpoint(endpoint.id, endpoint);
    if (!network.overlay) return;
    for (const [key, peer] of this.#peers) if (key.startsWith(`${id}/`)) this.#peer(key, peer);
  }

  #peer(key: string, peer: Peer | undefined): void {
    if (peer) this.#peers.set(key, peer);
    else this.#peers.delete(key);
    const network = this.#networks.get(key.slice(0, key.indexOf('/')));
    if (peer && network) this.#put(`peer/${key}`, factsOfPeer(network, peer), network.phase === 'ready');
    else this.#drop(`peer/${key}`);
    // where a host is, its endpoints are
    for (const [id, remote] of this.#remotes.get(key) ?? []) this.#remoteFacts(`${key}/${id}`, remote);
  }

  #forgetPeer(key: string): void {
    this.#peer(key, undefined);
    this.#remotes.delete(key);
  }

  #remote(key: string, remote: Remote | undefined): void {
    const at = key.lastIndexOf('/');
    const [host, id] = [key.slice(0, at), key.slice(at + 1)];
    const there = this.#remotes.get(host) ?? new Map<string, Remote>();
    if (remote) this.#remotes.set(host, there.set(id, remote));
    else if (there.delete(id) && there.size === 0) this.#remotes.delete(host);
    this.#remoteFacts(key, remote);
  }

  #remoteFacts(key: string, remote: Remote | undefined): void {
    const network = remote && this.#networks.get(remote.network);
    const peer = remote && this.#peers.get(`${remote.network}/${remote.node}`);
    if (network && peer) this.#put(`remote/${key}`, factsOfRemote(network, peer, remote), network.phase === 'ready');
    else this.#drop(`remote/${key}`);
  }

  #container(id: string, container: Container | undefined): void {
    const key = `container/${id}`;
    if (container && container.phase !== 'ready') this.#busy.add(id);
    else this.#busy.delete(id);
    if (container) this.#put(key, factsOfContainer(container), container.phase === 'ready');
    else this.#drop(key);
  }

  #put(object: string, facts: readonly Fact[], ready: boolean): void {
    this.#drop(object);
    const keys = new Set<string>();
    const within = new Set<string>();
    const spaces = new Set<string>();
    for (const fact of facts) {
      if (fact.ns !== '') spaces.add(fact.ns);
      else if (!fact.kind.startsWith('nft-')) {
        keys.add(keyOf(fact));
        for (const key of kindOf(fact).within(fact)) within.add(key);
      }
    }
    const entry = { keys: [...keys], within: [...within], spaces: [...spaces], ready };
    this.#entries.set(object, entry);
    for (const key of entry.keys) this.#byKey.add(key, object);
    for (const key of entry.within) this.#byWithin.add(key, object);
    for (const space of entry.spaces) this.#bySpace.add(space, object);
  }

  #drop(object: string): void {
    const entry = this.#entries.get(object);
    if (!entry) return;
    this.#entries.delete(object);
    for (const key of entry.keys) this.#byKey.delete(key, object);
    for (const key of entry.within) this.#byWithin.delete(key, object);
    for (const space of entry.spaces) this.#bySpace.delete(space, object);
  }

  #ready(objects: Iterable<string>): string[] {
    return [...objects].filter((object) => {
      if (this.#entries.get(object)?.ready !== true) return false;
      const container = object.startsWith('endpoint/')
        ? this.#endpoints.get(object.slice('endpoint/'.length))?.container
        : undefined;
      return !container || !this.#busy.has(container);
    });
  }
}

/** Several objects a key; nearly always one, which then costs no set of its own. */
class Groups {
  readonly #map = new Map<string, string | Set<string>>();

  add(key: string, object: string): void {
    const there = this.#map.get(key);
    if (there === undefined) this.#map.set(key, object);
    else if (typeof there !== 'string') there.add(object);
    else if (there !== object) this.#map.set(key, new Set([there, object]));
  }
  delete(key: string, object: string): void {
    const there = this.#map.get(key);
    if (there === object) this.#map.delete(key);
    else if (there !== undefined && typeof there !== 'string') {
      there.delete(object);
      if (there.size === 0) this.#map.delete(key);
    }
  }
  of(key: string): Iterable<string> {
    const there = this.#map.get(key);
    return there === undefined ? [] : typeof there === 'string' ? [there] : there;
  }
  has(key: string): boolean {
    return this.#map.has(key);
  }
  keys(): string[] {
    return [...this.#map.keys()];
  }
}
