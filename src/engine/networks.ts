import { NetloomError } from '../errors.ts';
import { driverOf } from '../drivers/index.ts';
import { type Fact, factKey, kindOf } from '../facts/index.ts';
import { chooseSubnet, forgetNetwork } from '../ipam/index.ts';
import {
  type ChangeOptions,
  type Network,
  type NetworkContext,
  type NetworkDetail,
  type NetworkOptions,
  type NetworkParts,
  type NetworkPeer,
  type NetworkSpec,
  newId,
  type Occupied,
  type Outcome,
  type Overlay,
  overlapCheck,
  type PlanStep,
  parseNetworkSpec,
  settleSubnet,
  type Subnet,
  subnetOf,
} from '../model/index.ts';
import { networkElements, rulesetFacts } from '../nat/index.ts';
import { mtuOf } from '../overlay/index.ts';
import { contains, parsePrefix } from '../addr/index.ts';
import type { ReadTx, Tx } from '../store/index.ts';
import { type Change, removalOf } from './apply.ts';
import { change, type Decision } from './change.ts';
import type { Core } from './core.ts';
import { additions, readAll } from './diff.ts';
import type { NewEvent } from './events.ts';
import { type HostView, keepAdvertisements, viewHost } from './host.ts';
import type { KernelScope } from './kernel.ts';
import { settleParent } from './parent.ts';
import { occupiedBy, occupiedByPools } from './occupied.ts';
import { forgetLoans } from './lent.ts';
import { factsOfPeer, factsOfRemote, overlayFacts, PEERS, peersOf, REMOTES, remotesOf } from './overlay.ts';
import { endpointsOn, findNetwork, KEYS } from './records.ts';
import { forgetServed } from './served-ports.ts';

/** The network that a workload is on when nobody says which; its bridge has a name that people can remember. */
export const DEFAULT_NETWORK = 'bridge';
const DEFAULT_BRIDGE = 'netloom0';

/** Whose turn it is to define or remove a network. */
export const DEFINITIONS = 'networks';

/** `host` and `none` are words rather than objects: they hold no kernel state. */
export const BUILT_IN: readonly Network[] = (['host', 'none'] as const).map((driver) => ({
  id: driver.padEnd(64, '0').replace(/[^0-9a-f]/g, '0'),
  name: driver,
  driver,
  created: '1970-01-01T00:00:00.000Z',
  internal: false,
  subnets: [],
  options: { driver },
  labels: {},
  phase: 'ready',
  owner: '',
}));

/** One of this host alone. */
export async function networkCreate(core: Core, spec: NetworkSpec, options?: ChangeOptions): Promise<Outcome<Network>> {
  return await create(core, spec, { id: newId(core.random) }, options);
}

/** What hosts agree upon of a network, and what of it is this host's. */
export interface SharedPart {
  readonly network: Pick<Network, 'id' | 'created'>;
  readonly overlay: Overlay;
  readonly subnets: readonly Subnet[];
}

/** This host's part of a network that hosts share. */
export async function networkCreateShared(
  core: Core,
  spec: NetworkSpec,
  shared: SharedPart,
  options?: ChangeOptions,
): Promise<Outcome<Network>> {
  return await create(core, spec, { id: shared.network.id }, options, shared);
}

async function create(
  core: Core,
  spec: NetworkSpec,
  context: NetworkContext,
  options?: ChangeOptions,
  shared?: SharedPart,
): Promise<Outcome<Network>> {
  const parts = parseNetworkSpec(spec, context);
  return await core.turns.run(DEFINITIONS, async () => {
    using kernel = core.kernel.scope();
    const host = await viewHost(core.kernel.host, kernel.rtnl(''));
    return await change(core, options, async (tx, scope) => {
      const network = await defineNetwork(core, tx, context.id, parts, host, shared);
      return await creation(core, tx, scope, network, host);
    });
  });
}

export async function networkList(core: Core): Promise<readonly Network[]> {
  const stored = await core.store.read((tx) => tx.list<Network>(KEYS.networks));
  return [...stored.map((entry) => entry.value), ...BUILT_IN].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Of this host alone, whoever else has it. */
export async function networkRemove(core: Core, ref: string, options?: ChangeOptions): Promise<Outcome<Network>> {
  refuseBuiltIn(ref);
  await core.behind.idle(); // endpoints that are on their way out
  return await core.turns.run(DEFINITIONS, () =>
    change(core, options, async (tx) => removal(core, tx, await findNetwork(tx, ref))),
  );
}

/** Removes every network without endpoints, the default one left out, as Docker does. */
export async function networkPrune(core: Core, options?: ChangeOptions): Promise<Outcome<readonly Network[]>> {
  const unused = await core.store.read(async (tx) => {
    const networks: Network[] = [];
    for (const { value } of await tx.list<Network>(KEYS.networks)) {
      // of what hosts share, others may have endpoints
      if (value.name === DEFAULT_NETWORK || value.overlay) continue;
      if ((await users(tx, value.id)) === 0) networks.push(value);
    }
    return networks;
  });
  const removed: Network[] = [];
  const plan = [];
  for (const network of unused) {
    try {
      const outcome = await networkRemove(core, network.id, options);
      removed.push(outcome.value);
      plan.push(...(outcome.plan ?? []));
    } catch (error) {
      // somebody began to use it, or removed it, since we looked
      if (!(error instanceof NetloomError && (error.code === 'ENETWORKINUSE' || error.code === 'ENETWORKNOTFOUND')))
        throw error;
    }
  }
  return { value: removed, ...(options?.explain ? { plan } : {}) };
}

export async function networkInspect(core: Core, ref: string): Promise<NetworkDetail> {
  const builtIn = BUILT_IN.find(({ name }) => name === ref);
  if (builtIn) return { ...builtIn, endpoints: [] };
  return await core.store.read(async (tx) => {
    const network = await findNetwork(tx, ref);
    const endpoints = await endpointsOn(tx, network.id);
    if (!network.overlay) return { ...network, endpoints };
    const peers = (await peersOf(tx, network.id)).map(
      ({ node, addresses, prefixes, backend, direct }): NetworkPeer => ({ node, addresses, prefixes, backend, direct }),
    );
    return { ...network, endpoints, peers };
  });
}

/** The default network, made when it is first needed. The plan says how, where that was asked for and it was not there. */
export async function ensureDefaultNetwork(
  core: Core,
  options: ChangeOptions | undefined,
): Promise<readonly PlanStep[]> {
  if ((await core.store.read((tx) => tx.get(KEYS.networkNames + DEFAULT_NETWORK))) !== undefined) return [];
  const spec = { name: DEFAULT_NETWORK, options: { name: DEFAULT_BRIDGE } };
  try {
    return (await create(core, spec, { id: newId(core.random), predefined: true }, options)).plan ?? [];
  } catch (error) {
    if (!(error instanceof NetloomError && error.code === 'ENAMETAKEN')) throw error; // another process was first
  }
  return [];
}

/** A change that may have made the default network first. */
export function withPlan<T>(outcome: Outcome<T>, first: readonly PlanStep[]): Outcome<T> {
  return outcome.plan && first.length > 0 ? { ...outcome, plan: [...first, ...outcome.plan] } : outcome;
}

/** Everything that one network wants of the host. */
export function factsOfNetwork(network: Network): readonly Fact[] {
  return [...driverOf(network).networkFacts(network), ...networkElements(network), ...overlayFacts(network)];
}

/** Those that go with it: an interface of a VLAN or a tunnel that other networks are on, too, stays. */
export async function ownFactsOf(tx: ReadTx, network: Network): Promise<readonly Fact[]> {
  const shared = await keysOfOthers(tx, network);
  return factsOfNetwork(network).filter((fact) => !shared.has(factKey(fact)));
}

/** What other networks want of the host. A bridge network shares nothing with them: it is not asked. */
export async function keysOfOthers(tx: ReadTx, { id, driver }: Network): Promise<ReadonlySet<string>> {
  const keys = new Set<string>();
  if (driver === 'bridge') return keys;
  for (const { value: other } of await tx.list<Network>(KEYS.networks)) {
    if (other.id === id || other.phase === 'removing') continue;
    for (const fact of factsOfNetwork(other)) keys.add(factKey(fact));
  }
  return keys;
}

/** What the other hosts of a network want of this one. */
export async function factsOfOthers(tx: ReadTx, network: Network): Promise<readonly Fact[]> {
  if (!network.overlay) return [];
  const peers = new Map((await peersOf(tx, network.id)).map((peer) => [peer.node, peer]));
  const facts = [...peers.values()].flatMap((peer) => factsOfPeer(network, peer));
  for (const remote of await remotesOf(tx, network.id)) {
    const peer = peers.get(remote.node);
    if (peer) facts.push(...factsOfRemote(network, peer, remote));
  }
  return facts;
}

/** The index of a network's bridge, where this operation has met it. */
function bridgeIndexOf({ options }: Network, kernel: KernelScope): number | undefined {
  return options.driver === 'bridge' ? kernel.indices.get('', options.bridge) : undefined;
}

/** Whether a network is in the kernel, as far as the store knows. */
export interface Applied {
  /** What must be added first: nothing where it was applied since the machine started. */
  readonly changes: readonly Change[];
  /** False where the store does not say that it was applied: whoever adds the above says so. */
  readonly known: boolean;
  /** The bridge's interface index as it was then; 0 where nobody looked. The kernel gives no number twice. */
  readonly index: number;
}

/** What is missing of the shared rule set and of a network, before it can be used. */
export async function applyNetwork(core: Core, tx: ReadTx, network: Network): Promise<Applied> {
  const index = await tx.get<number>(appliedKey(network));
  if (index !== undefined) return { changes: [], known: true, index };
  return {
    changes: await additions(core, [
      ...rulesetFacts([network]),
      ...factsOfNetwork(network),
      ...(await factsOfOthers(tx, network)),
    ]),
    known: false,
    index: 0,
  };
}

/** Tells `kernel` the index of a network's bridge, where the store has it: asking takes the lock that deletions hold long. */
export function knowBridge(kernel: KernelScope, { options }: Network, index: number): void {
  if (index !== 0 && options.driver === 'bridge') kernel.indices.set('', options.bridge, index);
}

/** Its bridge is not what it was: the next endpoint looks at all of the network and adds what is missing. */
export async function forgetApplied(core: Core, network: Network): Promise<void> {
  await core.store.transact((tx) => tx.delete(appliedKey(network)));
}
export function appliedKey(network: Pick<Network, 'id'>): string {
  return `applied/${network.id}`;
}

/** A network that can be attached to. @throws NetloomError ENETWORKBUSY */
export function requireReady(network: Network): Network {
  if (network.phase === 'ready') return network;
  throw new NetloomError(
    'ENETWORKBUSY',
    `network "${network.name}" is being ${network.phase === 'creating' ? 'created' : 'removed'}`,
    {
      hint: 'try again in a moment',
    },
  );
}

async function defineNetwork(
  core: Core,
  tx: Tx,
  id: string,
  parts: NetworkParts,
  host: HostView,
  shared?: SharedPart,
): Promise<Network> {
  if ((await tx.get(KEYS.networkNames + parts.name)) !== undefined) {
    throw new NetloomError('ENAMETAKEN', `network "${parts.name}" exists already`, {
      hint: 'choose another name, or remove it first',
    });
  }
  const others = (await tx.list<Network>(KEYS.networks)).map((entry) => entry.value);
  const taken: Occupied[] = [...occupiedBy(others), ...host.used];
  // a network may be made upon a pool, by whoever has it; none is chosen there
  const pools = parts.automatic.length === 0 ? [] : await occupiedByPools(tx);
  // endpoints that are on the host's own segment have its subnet
  const onSegment =
    parts.options.driver === 'macvlan' || (parts.options.driver === 'ipvlan' && parts.options.mode === 'l2');
  const inTheWay = onSegment ? taken.filter(({ kind }) => kind === 'network') : taken;
  const given = shared ? shared.overlay.ranges : parts.subnets.map(({ subnet }) => subnet);
  for (const subnet of given) overlapCheck(parsePrefix(subnet), inTheWay);
  const options = settleOptions({ id, ...shared }, parts.options, host, others);
  const subnets = shared?.subnets ?? [
    ...parts.subnets,
    ...parts.automatic.map((family) =>
      settleSubnet(subnetOf(chooseSubnet(core.pools, family, [...taken, ...pools])), options),
    ),
  ];
  return {
    id,
    name: parts.name,
    driver: parts.driver,
    created: shared?.network.created ?? core.now().toISOString(),
    internal: parts.internal,
    subnets: (onSegment ? subnets.map((subnet) => spareHost(subnet, host)) : subnets).toSorted(
      (a, b) => parsePrefix(a.subnet).family - parsePrefix(b.subnet).family,
    ),
    options,
    ...(shared && { overlay: shared.overlay }),
    ipam: parts.ipam,
    ...(parts.upstreams && { upstreams: parts.upstreams }),
    labels: parts.labels,
    phase: 'creating',
    owner: core.id,
  };
}

/** On a segment that the host is on, too, its addresses are kept from endpoints. */
function spareHost(subnet: Subnet, { addresses }: HostView): Subnet {
  const prefix = parsePrefix(subnet.subnet);
  const known = new Set([subnet.gateway, ...Object.values(subnet.auxAddresses ?? {})]);
  const own = addresses.filter((ip) => contains(prefix, ip) && !known.has(ip.text));
  if (own.length === 0) return subnet;
  const named = own.map((ip, i): [string, string] => [i === 0 ? 'host' : `host-${i + 1}`, ip.text]);
  return { ...subnet, auxAddresses: { ...Object.fromEntries(named), ...subnet.auxAddresses } };
}

/** What of a network's options depends on the host, and on the other networks. */
function settleOptions(
  network: Pick<Network, 'id' | 'overlay'>,
  options: NetworkOptions,
  host: HostView,
  others: readonly Network[],
): NetworkOptions {
  if (options.driver === 'macvlan' || options.driver === 'ipvlan') return settleParent(network, options, host, others);
  if (options.driver !== 'bridge') return options;
  const sameBridge = others.find((n) => n.options.driver === 'bridge' && n.options.bridge === options.bridge);
  if (sameBridge) {
    throw new NetloomError('ENAMETAKEN', `the bridge ${options.bridge} belongs to network "${sameBridge.name}"`);
  }
  return {
    ...options,
    mtu: options.mtu === 0 ? uplinkMtu(network, host) : options.mtu,
    ...(options.mtu === 0 && { followsUplink: true }),
    hairpin: options.hairpin || host.bridgeNetfilter,
  };
}

/** What packets of a network may be as large as on their way out: bytes. */
export function uplinkMtu({ overlay }: Pick<Network, 'overlay'>, host: HostView): number {
  if (!overlay) return host.uplinkMtu;
  const { backend, former } = overlay;
  return mtuOf(overlay, undefined, former ? [backend, former.backend] : [backend]);
}

async function creation(
  core: Core,
  tx: Tx,
  kernel: KernelScope,
  network: Network,
  host: HostView,
): Promise<Decision<Network>> {
  await tx.create(KEYS.networkNames + network.name, network.id);
  await tx.put(KEYS.networks + network.id, network);
  const object = `network ${network.name}`;
  const forwards6 =
    network.options.driver === 'bridge' &&
    !network.internal &&
    network.subnets.some((s) => parsePrefix(s.subnet).family === 6);
  const changes: Change[] = [
    ...(await additions(core, [
      ...(forwards6 ? keepAdvertisements(core.kernel.host, host, object) : []),
      ...rulesetFacts([network]),
    ])),
    ...factsOfNetwork(network).map((fact): Change => ({ verb: 'add', fact })),
  ];
  const ready: Network = { ...network, phase: 'ready', owner: '' };
  return {
    key: `network/${network.id}`,
    value: ready,
    tells: [networkEvent('create', network)],
    changes,
    async settle(tx) {
      await tx.put(KEYS.networks + network.id, ready);
      await tx.put(appliedKey(network), bridgeIndexOf(network, kernel) ?? 0);
      return ready;
    },
    revert: (tx) => forget(tx, network),
  };
}

async function removal(core: Core, tx: Tx, network: Network): Promise<Decision<Network>> {
  if (network.phase === 'creating') requireReady(network);
  const count = await users(tx, network.id);
  if (count > 0) {
    throw new NetloomError(
      'ENETWORKINUSE',
      `network "${network.name}" has ${count} endpoint${count === 1 ? '' : 's'}`,
      {
        hint: `netloom network inspect ${network.name} shows them; disconnect or remove them first`,
      },
    );
  }
  const removing: Network = { ...network, phase: 'removing', owner: core.id };
  await tx.put(KEYS.networks + network.id, removing);
  const last = (await tx.count(KEYS.networks)) === 1;
  return {
    key: `network/${network.id}`,
    value: removing,
    tells: [networkEvent('remove', network)],
    // the rule set goes with the last network
    changes: removalOf([
      ...(last ? await rulesetThere(core) : []),
      ...(await ownFactsOf(tx, network)),
      ...(await factsOfOthers(tx, network)),
    ]),
    async settle(tx) {
      await forget(tx, network);
      return removing;
    },
    // half gone: it stays `removing`, without an owner, so that anyone may finish it
    revert: async (tx) => tx.put(KEYS.networks + network.id, { ...removing, owner: '' }),
  };
}

/** The shared rule set as far as it is there: a table that no network needed was never made. */
async function rulesetThere(core: Core): Promise<readonly Fact[]> {
  using kernel = core.kernel.scope();
  const facts = rulesetFacts();
  const tables = facts.filter((fact) => fact.kind === 'nft-table');
  const there = await readAll(kernel, tables);
  const absent = tables.map(factKey).filter((key, i) => {
    const table = tables[i];
    const foreseen = table && core.stage?.foresees(table);
    return foreseen === undefined ? !there.has(key) : foreseen === 'gone';
  });
  return facts.filter((fact) => ![factKey(fact), ...kindOf(fact).within(fact)].some((key) => absent.includes(key)));
}

export async function forget(tx: Tx, network: Network): Promise<void> {
  await tx.delete(KEYS.networkNames + network.name);
  await tx.delete(KEYS.networks + network.id);
  await tx.delete(appliedKey(network));
  for (const root of [PEERS, REMOTES])
    for (const { key } of await tx.list(`${root}${network.id}/`)) await tx.delete(key);
  await forgetServed(tx, network.id);
  await forgetLoans(tx, network.id);
  await forgetNetwork(tx, network.id);
}

export function networkEvent(action: string, network: Network): NewEvent {
  const { id, name, driver, subnets } = network;
  const attributes = { driver, subnets: subnets.map(({ subnet }) => subnet).join(' ') };
  return { type: 'network', action, id, name, attributes };
}

async function users(tx: ReadTx, network: string): Promise<number> {
  return await tx.count(`${KEYS.ofNetwork}${network}/`);
}

function refuseBuiltIn(ref: string): void {
  if (BUILT_IN.some((n) => n.name === ref))
    throw new NetloomError('EBUILTIN', `network "${ref}" is built in and cannot be removed`);
}
