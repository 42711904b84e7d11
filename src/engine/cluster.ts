import {
  type AliveRecord,
  changeBackend,
  changedBackend,
  createShared,
  defineShared,
  endLoan,
  type Loan,
  type Member,
  type NodeRecord,
  partsOf,
  type PortClaim,
  type PrefixClaim,
  prefixOf,
  releasePrefixes,
  removeShared,
  SHARED,
  type SharedEndpoint,
  type SharedNetwork,
  sharedNetworks,
  type Wish,
} from '../cluster/index.ts';
import { parsePrefix } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import { PoolExhaustedError } from '../ipam/index.ts';
import {
  type ChangeOptions,
  type JoinFinding,
  type JoinSpec,
  type Network,
  type NetworkSpec,
  type NetworkUpdate,
  newId,
  type Node,
  type NodeNetwork,
  type Outcome,
  type OverlayWish,
  parseNetworkSpec,
  parseOverlayOptions,
} from '../model/index.ts';
import type { Core } from './core.ts';
import { viewHost } from './host.ts';
import { forgetNetworkKeys } from './host-keys.ts';
import { PortUnclaimedError } from './ingress-ports.ts';
import type { Membership, Stay } from './membership.ts';
import * as updates from './network-update.ts';
import * as networks from './networks.ts';
import { backendOf } from '../overlay/index.ts';
import { AddressElsewhereError, isFlannel } from './overlay.ts';
import { findNetwork, KEYS } from './records.ts';
import { dropShared, TAKING, takeShared } from './shared-networks.ts';

function membership(core: Core): Membership {
  const { services } = core;
  if (services) return services.membership;
  throw new NetloomError('ENODAEMON', 'a cluster needs an engine that stays', {
    hint: 'start the daemon first: netloom daemon',
  });
}

export async function nodeJoin(
  core: Core,
  spec: JoinSpec,
  options?: { readonly force?: boolean },
): Promise<{ readonly node: Node; readonly findings: readonly JoinFinding[] }> {
  const { stay, findings } = await membership(core).join(spec, options);
  return { node: nodeOf(stay, stay.node), findings };
}

export async function nodeCheck(core: Core, names: readonly string[] = []): Promise<readonly JoinFinding[]> {
  const stay = membership(core).stay();
  const { mirror, node, underlay } = stay;
  await mirror.settled();
  const nodes = names.length > 0 ? names.map((name) => findNode(stay, name)) : mirror.all<NodeRecord>(SHARED.nodes);
  const others = nodes.filter(
    (other) => other.name !== node.name && (names.length > 0 || nodeOf(stay, other).state !== 'down'),
  );
  const networks = mirror.all<SharedNetwork>(SHARED.networks);
  const faults = mirror.faults.lines.map((text): JoinFinding => ({ check: 'network', severity: 'warn', text }));
  const { checkNode } = await import('./node-check.ts');
  return [...(await checkNode(core, { name: node.name, underlay, others, networks })), ...faults];
}

export async function nodeList(core: Core): Promise<readonly Node[]> {
  const stay = membership(core).stay();
  await stay.mirror.settled();
  const holdings = holdingsOf(stay);
  return stay.mirror
    .all<NodeRecord>(SHARED.nodes)
    .map((record) => describe(stay, record, holdings.get(record.name) ?? []))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

export async function nodeInspect(core: Core, name: string): Promise<Node> {
  const stay = membership(core).stay();
  await stay.mirror.settled();
  return nodeOf(stay, findNode(stay, name));
}

export async function nodeDrain(core: Core, name: string, options?: { readonly undo?: boolean }): Promise<Node> {
  const stay = membership(core).stay();
  const { draining: _, ...rest } = findNode(stay, name);
  const record: NodeRecord = options?.undo ? rest : { ...rest, draining: true };
  await stay.store.transact((tx) => tx.put(SHARED.nodes + name, record));
  return nodeOf(stay, record);
}

export async function nodeRemove(core: Core, name: string, options?: { readonly force?: boolean }): Promise<Node> {
  const stay = membership(core).stay();
  const record = findNode(stay, name);
  const node = nodeOf(stay, record);
  const endpoints = stay.mirror.all<SharedEndpoint>(SHARED.endpoints).filter((each) => each.node === name);
  if (!options?.force) {
    if (endpoints.length > 0) {
      throw new NetloomError('ENODEINUSE', `node "${name}" has ${endpoints.length} endpoints on shared networks`, {
        hint: 'netloom node drain, then remove what runs there; -f takes it out all the same',
      });
    }
    if (!node.self && node.state !== 'down') {
      throw new NetloomError('ENODEINUSE', `node "${name}" is heard of: it would come again`, {
        hint: 'stop netloom there first, or run netloom node rm there; -f takes it out all the same',
      });
    }
  }
  if (!node.self) {
    await forgetNode(stay, record);
    return node;
  }
  const here = (await networks.networkList(core)).filter(({ overlay }) => overlay && !overlay.flannel);
  await core.behind.idle();
  for (const { id, name: network } of here) {
    if ((await core.store.read((tx) => tx.count(`${KEYS.ofNetwork}${id}/`))) === 0) continue;
    throw new NetloomError('ENETWORKINUSE', `this host has endpoints on network "${network}"`, {
      hint: 'disconnect or remove them first',
    });
  }
  // else it would make again what goes
  await stay.mirror.rest();
  try {
    for (const { id } of here) await dropShared(core, id);
    await forgetNode(stay, record);
  } catch (error) {
    stay.mirror.failed(error);
    throw error;
  }
  await membership(core).leave();
  return node;
}

export async function nodeRotateKeys(core: Core, refs: readonly string[] = []): Promise<readonly NodeNetwork[]> {
  const stay = membership(core).stay();
  await stay.mirror.settled();
  const changed = new Map((await stay.rekeying.rotate(refs)).map(({ name, overlay }) => [name, overlay?.self]));
  // what was told a moment ago may not have come back yet
  return nodeOf(stay, stay.node).networks.flatMap((network) => {
    const { publicKey, rekeyed } = changed.get(network.name) ?? {};
    return publicKey === undefined ? [] : [{ ...network, publicKey, ...(rekeyed !== undefined && { rekeyed }) }];
  });
}

/** Of this host, or of all hosts of its cluster. */
export async function networkCreate(core: Core, spec: NetworkSpec, options?: ChangeOptions): Promise<Outcome<Network>> {
  if (spec.driver !== 'overlay') return await networks.networkCreate(core, spec, options);
  const id = newId(core.random);
  const parts = parseNetworkSpec(spec, { id });
  const { overlay } = parts;
  if (!overlay) throw new TypeError('an overlay without its part');
  if (overlay.flannel)
    return await (await import('./flannel.ts')).flannelCreate(core, spec, parts, overlay.flannel, options);
  requireFit(overlay);
  const stay = membership(core).stay();
  using kernel = core.kernel.scope();
  const host = await viewHost(core.kernel.host, kernel.rtnl(''));
  const others = await stay.store.read(sharedNetworks);
  const shared = defineShared(id, spec, { ...parts, overlay }, others, {
    taken: host.used,
    created: core.now().toISOString(),
    random6: randomRange6(core),
  });
  if (options?.dryRun) {
    const part = await stay.mirror.rehearse(shared);
    return await takeShared(core, shared, part, options);
  }
  // the mirror hears of it at once, and waits for its turn
  return await core.turns.run(TAKING, async () => {
    await stay.store.transact((tx) => createShared(tx, shared));
    try {
      return await stay.mirror.take(shared, options);
    } catch (error) {
      // what this host cannot have, it does not leave to the others
      await forgetShared(core, stay, shared);
      forgetNetworkKeys(core, id);
      throw error;
    }
  });
}

export async function networkRemove(core: Core, ref: string, options?: ChangeOptions): Promise<Outcome<Network>> {
  const network = await core.store.read((tx) => findNetwork(tx, ref)).catch(() => undefined);
  if (!network?.overlay || options?.dryRun) return await networks.networkRemove(core, ref, options);
  if (isFlannel(network)) return await (await import('./flannel.ts')).flannelRemove(core, network);
  const stay = membership(core).stay();
  const { id } = network;
  await core.behind.idle();
  await stay.mirror.settled();
  await core.turns.run(TAKING, async () => {
    await forgetShared(core, stay, network);
    await dropShared(core, id);
  });
  return { value: { ...network, phase: 'removing' } };
}

export async function networkUpdate(
  core: Core,
  ref: string,
  update: NetworkUpdate,
  options?: ChangeOptions,
): Promise<Outcome<Network>> {
  const network = await core.store.read((tx) => findNetwork(tx, ref)).catch(() => undefined);
  if (isFlannel(network)) {
    throw new NetloomError(
      'EIMMUTABLE',
      `network "${network.name}" is flannel's, whose configuration in etcd says all of it`,
      {
        hint: 'change that, and make the network here anew',
      },
    );
  }
  if (network?.overlay && isBackend(update)) {
    const { backend, directRouting } = network.overlay;
    const wish = parseOverlayOptions({
      ...{ plan: network.overlay.plan, backend, direct_routing: String(directRouting) },
      ...update.options,
    });
    requireFit(wish);
    const stay = membership(core).stay();
    if (options?.dryRun) {
      const [planned] = await stay.store.read((tx) => changedBackend(tx, network.id, wish));
      return await takeShared(core, planned, await stay.mirror.rehearse(planned, network), options);
    }
    const shared = await stay.store.transact((tx) => changeBackend(tx, network.id, wish));
    return await core.turns.run(TAKING, () => stay.mirror.take(shared, options));
  }
  if (network?.overlay) {
    throw new NetloomError(
      'EIMMUTABLE',
      `network "${network.name}" is shared by hosts, which all have the same options`,
      {
        hint: 'only -o backend=… can be changed, with its own options and direct_routing, and -o rekey=…; else make another network',
      },
    );
  }
  return await updates.networkUpdate(core, ref, update, options);
}

/**
 * Does something that takes addresses; where a network that hosts share has none left in the parts that are this host's,
 * one more is taken, or an address of another host's borrowed, and it is done again.
 */
export async function withParts<T>(core: Core, body: () => Promise<T>): Promise<T> {
  using claims = new DisposableStack();
  for (let parts = 0; ; parts++) {
    try {
      return await body();
    } catch (error) {
      if (error instanceof PortUnclaimedError && parts < PARTS_AT_ONCE) {
        claims.use(await membership(core).stay().ingress.claim(error.ports));
        continue;
      }
      const elsewhere = error instanceof AddressElsewhereError;
      if (!(elsewhere || error instanceof PoolExhaustedError) || parts === PARTS_AT_ONCE || core.stage) throw error;
      const network = await core.store.read((tx) => tx.get<Network>(KEYS.networks + error.network));
      if (network?.overlay?.plan !== 'flat') throw error;
      const { mirror, borrowing } = membership(core).stay();
      const shared = mirror.network(network.id);
      if (!shared) throw error;
      const loan = elsewhere && (await borrowing.borrow(shared, error.address));
      if (loan) claims.use(loan);
      else await core.turns.run(TAKING, () => mirror.take(shared, undefined, elsewhere ? error.address : error.family));
    }
  }
}
/** Of both families, and as many others may have used up what was taken meanwhile. */
const PARTS_AT_ONCE = 4;

/** @throws NetloomError EBADBACKEND, EBADOPTION */
function requireFit({ backend, rekey }: Pick<OverlayWish, 'backend' | 'rekey'>): void {
  const { keyed } = backendOf(backend);
  if (keyed !== undefined || !rekey) return;
  throw new NetloomError('EBADOPTION', `option rekey: backend ${backend} has no keys`, {
    hint: 'backends wireguard and ipsec have some',
  });
}

/** Only what can be changed while it is there: how packets go from host to host. */
function isBackend({ options = {}, internal, upstreams, labels }: NetworkUpdate): boolean {
  const words = Object.keys(options);
  const others = [internal, upstreams, labels].some((each) => each !== undefined);
  const asks = words.includes('backend') || words.every((word) => word === 'rekey');
  return !others && words.length > 0 && asks && words.every((word) => BACKEND_WORDS.includes(word));
}
const BACKEND_WORDS: readonly string[] = [
  ...['backend', 'port', 'direct_routing', 'rekey'],
  ...['asn', 'neighbors', 'password_file', 'hold_time', 'restart_time'],
];

function findNode(stay: Stay, name: string): NodeRecord {
  const record = stay.mirror.records.get(SHARED.nodes + name) as NodeRecord | undefined;
  if (record) return record;
  throw new NetloomError('ENODENOTFOUND', `no node "${name}" in the cluster`, {
    hint: 'netloom node ls shows those there are',
  });
}

function nodeOf(stay: Stay, record: NodeRecord): Node {
  return describe(stay, record, holdingsOf(stay, ({ node }) => node === record.name).get(record.name) ?? []);
}

/** What one node has of one network. */
interface Holding {
  readonly network: SharedNetwork;
  readonly member: Member;
  endpoints: number;
}

/** By node, in one go over the records: there may be a hundred of them for each node. */
function holdingsOf(
  { mirror }: Stay,
  asked: (record: { readonly node: string }) => boolean = () => true,
): ReadonlyMap<string, readonly Holding[]> {
  const holdings = new Map<string, Holding[]>();
  for (const [key, value] of mirror.records) {
    if (!key.startsWith(SHARED.members) || !asked(value as Member)) continue;
    const { network: id, id: node } = partsOf(key, SHARED.members);
    const network = mirror.network(id);
    if (!network) continue;
    const those = holdings.get(node) ?? [];
    those.push({ network, member: value as Member, endpoints: 0 });
    holdings.set(node, those);
  }
  for (const [key, value] of mirror.records) {
    if (!key.startsWith(SHARED.endpoints)) continue;
    const { node, network } = value as SharedEndpoint;
    const holding = holdings.get(node)?.find((each) => each.network.id === network);
    if (holding) holding.endpoints++;
  }
  return holdings;
}

function describe({ mirror, config }: Stay, record: NodeRecord, holdings: readonly Holding[]): Node {
  const { name, id, addresses, reason, dev, mtu, version, joined, draining } = record;
  const alive = (mirror.records.get(SHARED.alive + name) as AliveRecord | undefined)?.id === id;
  return {
    ...{ name, id, addresses, reason, dev, mtu, version, joined },
    state: alive ? (draining ? 'draining' : 'ready') : 'down',
    self: id === config.id,
    networks: holdings.map(({ network, member, endpoints }) => ({
      name: network.name,
      plan: network.plan,
      backend: member.backend,
      prefixes: member.prefixes,
      endpoints,
      ...(member.publicKey !== undefined && { publicKey: member.publicKey }),
      ...(member.rekeyed !== undefined && { rekeyed: member.rekeyed }),
    })),
  };
}

/** A network that is nobody's any more; in steps, since etcd takes 128 writes at once. @throws NetloomError ENETWORKINUSE */
async function forgetShared(core: Core, stay: Stay, network: Pick<Network, 'id' | 'name'>): Promise<void> {
  const { id } = network;
  await stay.store.transact((tx) => removeShared(tx, network, core.now()));
  // without its prefixes nobody lends or asks any more
  const roots = [SHARED.members, SHARED.prefixes, SHARED.loans, SHARED.wishes];
  await deleteAll(
    stay,
    roots.map((root) => `${root}${id}/`),
  );
}

/** All that a node wrote, in steps that etcd takes; its name last, so that what is left can be taken away again. */
async function forgetNode(stay: Stay, { name, id }: NodeRecord): Promise<void> {
  const { store } = stay;
  const left = await store.read(async (tx) => ({
    members: (await tx.list<Member>(SHARED.members)).filter(({ value }) => value.node === name),
    prefixes: (await tx.list<PrefixClaim>(SHARED.prefixes)).filter(({ value }) => value.nodeId === id),
    ports: (await tx.list<PortClaim>(SHARED.ports)).filter(({ value }) => value.nodeId === id),
    wishes: (await tx.list<Wish>(SHARED.wishes)).filter(({ value }) => value.nodeId === id),
    loans: (await tx.list<Loan>(SHARED.loans)).filter(({ value }) => value.nodeId === id),
  }));
  for (const { key } of [...left.ports, ...left.wishes]) await store.transact((tx) => tx.delete(key));
  const networkIds = new Set([
    ...left.members.map(({ key }) => partsOf(key, SHARED.members).network),
    ...left.prefixes.map(({ key }) => partsOf(key, SHARED.prefixes).network),
  ]);
  await deleteAll(
    stay,
    [...networkIds].map((network) => `${SHARED.endpoints}${network}/${name}/`),
  );
  for (const { key } of left.loans) {
    const { network, id: address } = partsOf(key, SHARED.loans);
    await store.transact((tx) => endLoan(tx, network, address, id));
  }
  for (const network of networkIds) {
    const prefixes = left.prefixes
      .filter(({ key }) => partsOf(key, SHARED.prefixes).network === network)
      .map(({ key }) => prefixOf(key));
    // both at once: a host that lives and hears of the one finds the other gone, and takes what is free; fifty are what
    // etcd takes
    for (let i = 0; i === 0 || i < prefixes.length; i += 50) {
      await store.transact(async (tx) => {
        await releasePrefixes(tx, { id: network }, id, prefixes.slice(i, i + 50));
        await tx.delete(`${SHARED.members}${network}/${name}`);
      });
    }
  }
  await store.transact((tx) => tx.delete(SHARED.nodes + name));
}

async function deleteAll({ store }: Stay, roots: readonly string[]): Promise<void> {
  for (const root of roots) {
    for (;;) {
      const left = await store.transact(async (tx) => {
        const entries = await tx.list(root, { limit: 50 });
        for (const { key } of entries) await tx.delete(key);
        return entries.length;
      });
      if (left === 0) break;
    }
  }
}

/** @see RFC 4193 */
function randomRange6(core: Core): ReturnType<typeof parsePrefix> {
  const hex = [...core.random(5)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return parsePrefix(`fd${hex.slice(0, 2)}:${hex.slice(2, 6)}:${hex.slice(6, 10)}::/48`);
}
