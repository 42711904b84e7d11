import { type Fact, kindOf } from '../facts/index.ts';
import { keyOf } from './fact-keys.ts';
import { netnsId } from '../kernel/index.ts';
import type { Container, Endpoint, Network, Peer } from '../model/index.ts';
import { rulesetFacts } from '../nat/index.ts';
import type { ReadTx } from '../store/index.ts';
import { factsOfEndpoint, rulesetOfEndpoint } from './endpoint-facts.ts';
import { appliedKey, factsOfNetwork } from './networks.ts';
import {
  factsOfPeer,
  factsOfRemote,
  peerKey,
  PEERS,
  peersOf,
  type Remote,
  pathOf,
  remoteKey,
  REMOTES,
  remotesOf,
} from './overlay.ts';
import { KEYS, type Workload, workloadHandedOver } from './records.ts';
import { factsOfContainer, isUp } from './sandbox.ts';

/** An object of the store with everything that it wants of the kernel. */
export interface WantedObject {
  /** `network/<id>`, `endpoint/<id>`, `container/<id>`; `ruleset` for what every network shares. */
  readonly key: string;
  readonly id: string;
  /** For people: `web`, `eth0 of web`. */
  readonly name: string;
  /** True: the kernel should hold it now. False: it is being made or taken away, by whoever `owner` names. */
  readonly wanted: boolean;
  /** Made when first asked for. */
  readonly facts: readonly Fact[];
  /** Those of them that the rule set has. */
  readonly ruleset: readonly Fact[];
  /** The endpoint that it is. */
  readonly endpoint?: Endpoint;
  readonly container?: Container;
  readonly network?: Network;
}

/** What `peer` and `remote` objects are called in a key: `peer/<network>/<node>`, `remote/<network>/<node>/<id>`. */
export const OTHERS: Readonly<Record<string, string>> = { peer: PEERS, remote: REMOTES };

/** Of which there may be a hundred thousand. */
export function isRemote(object: string): boolean {
  return object.startsWith('remote/');
}

export const RULESET = 'ruleset';

/**
 * Every object, in an order in which they can be made: the rule set, networks, containers, endpoints.
 * @param options.remotes  false: without endpoints of other hosts, of which there may be a hundred thousand
 */
export async function loadAll(tx: ReadTx, options?: { readonly remotes: boolean }): Promise<WantedObject[]> {
  const networks = new Map<string, Network>();
  const containers = new Map<string, LoadedContainer>();
  const made: WantedObject[] = [];
  for (const { value } of await tx.list<Network>(KEYS.networks)) {
    networks.set(value.id, value);
    const object = await networkObject(tx, value);
    made.push(object);
    if (!value.overlay) continue;
    const peers = new Map<string, Peer>();
    for (const peer of await peersOf(tx, value.id)) {
      peers.set(peer.node, peer);
      made.push(peerObject(value, object.wanted, peer));
    }
    for (const remote of options?.remotes === false ? [] : await remotesOf(tx, value.id)) {
      const peer = peers.get(remote.node);
      if (peer) made.push(remoteObject(value, object.wanted, peer, remote));
    }
  }
  for (const { value: container } of await tx.list<Container>(KEYS.containers)) {
    const loaded = { container, up: await isUp(tx, container) };
    containers.set(container.id, loaded);
    made.push(containerObject(loaded));
  }
  for (const { value: endpoint } of await tx.list<Endpoint>(KEYS.endpoints)) {
    const network = networks.get(endpoint.network);
    if (network) made.push(endpointObject(network, endpoint, containers.get(endpoint.container)));
  }
  if (networks.size > 0)
    made.unshift(
      rulesetObject(
        made.some((object) => object.network && object.wanted),
        [...networks.values()],
      ),
    );
  return made;
}

/** Some objects, by their keys, in the same order; those that are gone are left out. */
export async function loadSome(tx: ReadTx, keys: Iterable<string>): Promise<WantedObject[]> {
  const made = new Map<string, WantedObject[]>();
  const put = (rank: string, object: WantedObject): void => {
    const those = made.get(rank);
    if (those) those.push(object);
    else made.set(rank, [object]);
  };
  for (const key of keys) {
    const [noun = '', id = '', other = '', ...rest] = key.split('/');
    if (noun === RULESET) {
      let wanted = false;
      const networks = await tx.list<Network>(KEYS.networks);
      for (const { value } of networks) wanted ||= (await networkObject(tx, value)).wanted;
      if (networks.length > 0)
        put(
          RULESET,
          rulesetObject(
            wanted,
            networks.map((entry) => entry.value),
          ),
        );
    } else if (noun === 'network') {
      const network = await tx.get<Network>(KEYS.networks + id);
      if (network) put('network', await networkObject(tx, network));
    } else if (noun in OTHERS) {
      const network = await tx.get<Network>(KEYS.networks + id);
      if (!network) continue;
      const { wanted } = await networkObject(tx, network);
      const remote = noun === 'remote' ? await tx.get<Remote>(remoteKey(id, [other, ...rest].join('/'))) : undefined;
      const peer = noun === 'remote' && !remote ? undefined : await tx.get<Peer>(peerKey(id, other));
      if (!peer) continue;
      put(noun, remote ? remoteObject(network, wanted, peer, remote) : peerObject(network, wanted, peer));
    } else if (noun === 'container') {
      const container = await tx.get<Container>(KEYS.containers + id);
      if (container) put('container', containerObject({ container, up: await isUp(tx, container) }));
    } else {
      const endpoint = await tx.get<Endpoint>(KEYS.endpoints + id);
      const network = endpoint && (await tx.get<Network>(KEYS.networks + endpoint.network));
      if (!network) continue;
      const container =
        endpoint.container === '' ? undefined : await tx.get<Container>(KEYS.containers + endpoint.container);
      put('endpoint', endpointObject(network, endpoint, container && { container, up: await isUp(tx, container) }));
    }
  }
  return [RULESET, 'network', 'peer', 'remote', 'container', 'endpoint'].flatMap((rank) => made.get(rank) ?? []);
}

/** Keys of everything that anybody in the store has to do with, whatever state it is in. @param kinds  all by default */
export function knownKeys(
  objects: readonly WantedObject[],
  kinds: (kind: Fact['kind']) => boolean = () => true,
): Set<string> {
  const known = new Set<string>();
  for (const { facts } of objects) for (const fact of facts) if (kinds(fact.kind)) known.add(keyOf(fact));
  return known;
}

/** What begins so is compared as a whole: the kernel tells of it by generations. */
export function isRuleset(kind: Fact['kind']): boolean {
  return kind.startsWith('nft-');
}

/**
 * Why a workload's namespace is no longer the one that it was attached to: its path is gone, or leads to another.
 * Undefined where all is well, also for what has no namespace of its own.
 */
export function deathOf(object: WantedObject): string | undefined {
  const { endpoint, container } = object;
  const path = endpoint?.netns ?? (container && object.facts.length > 0 ? container.netns : '');
  if (path === '') return undefined;
  const now = netnsId(path);
  if (now === '') return `its namespace ${path} is gone`;
  if (endpoint && endpoint.netnsId !== '' && endpoint.netnsId !== now) return `${path} is another namespace by now`;
  return undefined;
}

interface LoadedContainer {
  readonly container: Container;
  readonly up: boolean;
}

function rulesetObject(wanted: boolean, networks: readonly Network[]): WantedObject {
  const facts = rulesetFacts(networks);
  return { key: RULESET, id: '', name: 'netloom', wanted, facts, ruleset: facts };
}

/** One that was never applied since the machine started is applied by its first endpoint. */
async function networkObject(tx: ReadTx, network: Network): Promise<WantedObject> {
  const wanted = network.phase === 'ready' && (await tx.get(appliedKey(network))) !== undefined;
  const facts = factsOfNetwork(network);
  return {
    key: `network/${network.id}`,
    id: network.id,
    name: network.name,
    wanted,
    facts,
    ruleset: facts.filter(({ kind }) => isRuleset(kind)),
    network,
  };
}

function peerObject(network: Network, wanted: boolean, peer: Peer): WantedObject {
  const id = `${network.id}/${peer.node}`;
  return otherObject(`peer/${id}`, id, `${network.name} at ${peer.node}`, wanted, () => factsOfPeer(network, peer));
}

function remoteObject(network: Network, wanted: boolean, peer: Peer, remote: Remote): WantedObject {
  const id = `${network.id}/${pathOf(remote)}`;
  const name = `${remote.names[0] ?? remote.addresses[0] ?? remote.id} at ${remote.node}`;
  return otherObject(`remote/${id}`, id, name, wanted, () => factsOfRemote(network, peer, remote));
}

function otherObject(
  key: string,
  id: string,
  name: string,
  wanted: boolean,
  make: () => readonly Fact[],
): WantedObject {
  let facts: readonly Fact[] | undefined;
  return {
    key,
    id,
    name,
    wanted,
    get facts() {
      return (facts ??= make());
    },
    get ruleset() {
      return this.facts.filter(({ kind }) => isRuleset(kind));
    },
  };
}

function containerObject({ container, up }: LoadedContainer): WantedObject {
  return {
    key: `container/${container.id}`,
    id: container.id,
    name: container.name,
    wanted: container.phase === 'ready' && up,
    facts: factsOfContainer(container),
    ruleset: [],
    container,
  };
}

function endpointObject(network: Network, endpoint: Endpoint, of: LoadedContainer | undefined): WantedObject {
  const settled = endpoint.container === '' || (of?.container.phase === 'ready' && of.up);
  const workload: Workload =
    endpoint.handOver === undefined
      ? { container: endpoint.container, name: of?.container.name ?? endpoint.netns, netns: endpoint.netns }
      : workloadHandedOver(endpoint.ifname, endpoint.name);
  let facts: readonly Fact[] | undefined;
  let ruleset: readonly Fact[] | undefined;
  return {
    key: `endpoint/${endpoint.id}`,
    id: endpoint.id,
    name: `${endpoint.ifname} of ${workload.name}`,
    wanted: endpoint.phase === 'ready' && settled && network.phase === 'ready',
    get facts() {
      return (facts ??= factsOfEndpoint(network, endpoint, workload));
    },
    get ruleset() {
      return (ruleset ??= rulesetOfEndpoint(network, endpoint, workload));
    },
    endpoint,
  };
}

/** `dirt` and whatever depends on it, of one object's facts: what has to be looked at when that is gone or wrong. */
export function affected(facts: readonly Fact[], dirt: ReadonlySet<string>): Fact[] {
  const hit = new Set(dirt);
  const left = facts.map((fact) => ({ fact, key: keyOf(fact), upon: dependencies(fact) }));
  const found = new Set<Fact>();
  for (let before = -1; before !== found.size;) {
    before = found.size;
    for (const { fact, key, upon } of left) {
      if (found.has(fact) || (!hit.has(key) && !upon.some((k) => hit.has(k)))) continue;
      found.add(fact);
      hit.add(key);
    }
  }
  return facts.filter((fact) => found.has(fact));
}

/** Keys of what goes, or no longer works, without which a fact cannot be. */
function dependencies(fact: Fact): string[] {
  const keys = [inNamespace(fact.ns), ...kindOf(fact).within(fact)];
  if (fact.kind.startsWith('nft-')) return keys;
  const step = kindOf(fact).add(fact);
  return step.via === 'rtnetlink' ? [...keys, ...step.needs.map((name) => `link ${fact.ns} ${name}`)] : keys;
}

/** Dirt that stands for all that is in a namespace. */
export function inNamespace(ns: string): string {
  return ns === '' ? ' ' : `in ${ns}`;
}
