import { NetloomError } from '../errors.ts';
import { isGuarded } from '../drivers/index.ts';
import { type Fact, factKey } from '../facts/index.ts';
import { netnsId } from '../kernel/index.ts';
import {
  type ChangeOptions,
  type Endpoint,
  formatPort,
  type Network,
  type NetworkOptions,
  type NetworkUpdate,
  type Outcome,
  type Overlay,
  parseNetworkUpdate,
} from '../model/index.ts';
import { rulesetFacts } from '../nat/index.ts';
import type { Tx } from '../store/index.ts';
import type { Change } from './apply.ts';
import { change, type Decision } from './change.ts';
import type { Core } from './core.ts';
import { additions } from './diff.ts';
import { factsOfEndpoint, settleGateways } from './endpoints.ts';
import { type HostView, keepAdvertisements, viewHost } from './host.ts';
import {
  appliedKey,
  BUILT_IN,
  DEFINITIONS,
  factsOfNetwork,
  keysOfOthers,
  networkEvent,
  requireReady,
  uplinkMtu,
} from './networks.ts';
import { endpointsOf, endpointsOn, findNetwork, KEYS, putEndpoint, type Workload, workloadOf } from './records.ts';
import { transition } from './transition.ts';

/**
 * Changes a network while its endpoints are on it: connections that are there go on. Where the engine dies in between,
 * the record says what is wanted, and the next look at the kernel makes it so.
 */
export async function networkUpdate(
  core: Core,
  ref: string,
  update: NetworkUpdate,
  options?: ChangeOptions,
): Promise<Outcome<Network>> {
  return await updating(
    core,
    ref,
    (before) => {
      const { upstreams: _had, ...rest } = before;
      return { ...rest, ...parseNetworkUpdate(before, update) };
    },
    options,
  );
}

/** What hosts agree upon of a network, and this host's place in it, have changed. */
export async function overlayUpdate(
  core: Core,
  id: string,
  overlay: Overlay,
  options?: ChangeOptions,
): Promise<Outcome<Network>> {
  return await updating(core, id, (before) => ({ ...before, overlay, options: unsettled(before.options) }), options);
}

/** The MTU as it was asked for. */
function unsettled(options: NetworkOptions): NetworkOptions {
  return options.driver === 'bridge' && options.followsUplink ? { ...options, mtu: 0 } : options;
}

async function updating(
  core: Core,
  ref: string,
  parse: (before: Network) => Network,
  options?: ChangeOptions,
): Promise<Outcome<Network>> {
  if (BUILT_IN.some((network) => network.name === ref))
    throw new NetloomError('EBUILTIN', `network "${ref}" is built in and cannot be changed`);
  return await core.turns.run(DEFINITIONS, async () => {
    using kernel = core.kernel.scope();
    const host = await viewHost(core.kernel.host, kernel.rtnl(''));
    return await change(core, options, (tx) => decide(core, tx, ref, parse, host));
  });
}

async function decide(
  core: Core,
  tx: Tx,
  ref: string,
  parse: (before: Network) => Network,
  host: HostView,
): Promise<Decision<Network>> {
  const before = requireReady(await findNetwork(tx, ref));
  const wanted = parse(before);
  const after: Network = { ...wanted, options: settle(wanted, wanted.options, host) };
  const endpoints = await endpointsOn(tx, before.id);
  checkEndpoints(before, after, endpoints);
  await tx.put(KEYS.networks + before.id, after);
  const moves = await movesOf(tx, endpoints, after);
  for (const { is, workload } of moves) await putEndpoint(tx, is, workload);
  const applied = (await tx.get(appliedKey(before))) !== undefined;
  return {
    key: `network/${before.id}`,
    value: after,
    changes: applied || endpoints.length > 0 ? await changesOf(core, tx, before, after, moves, host) : [],
    tells: [networkEvent('update', after)],
    settle: () => Promise.resolve(after),
    async revert(tx) {
      const now = (await tx.get<Network>(KEYS.networks + before.id)) ?? before;
      // what grew meanwhile has grown
      const shards = 'shards' in now.options ? { shards: now.options.shards } : {};
      const { upstreams: _now, ...rest } = now;
      const { internal, labels, upstreams, overlay } = before;
      const options = { ...before.options, ...shards };
      const was = { internal, labels, ...(upstreams && { upstreams }), ...(overlay && { overlay }), options };
      await tx.put(KEYS.networks + before.id, { ...rest, ...was });
      for (const { was, workload } of moves) await putEndpoint(tx, was, workload);
    },
  };
}

/** What the host decides about options: as at the network's creation. */
function settle(network: Network, options: NetworkOptions, host: HostView): NetworkOptions {
  if (options.driver !== 'bridge') return options;
  const ipv6 = network.subnets.some(({ subnet }) => subnet.includes(':'));
  return {
    ...options,
    mtu: options.mtu === 0 ? Math.max(uplinkMtu(network, host), ipv6 ? IPV6_MTU : 0) : options.mtu,
    hairpin: options.hairpin || host.bridgeNetfilter,
  };
}
/** RFC 8200 section 5 */
const IPV6_MTU = 1280;

/** @throws NetloomError ENETWORKBUSY, EINTERNAL_NETWORK, EIMMUTABLE */
function checkEndpoints(before: Network, after: Network, endpoints: readonly Endpoint[]): void {
  const busy = endpoints.find((endpoint) => endpoint.phase === 'creating');
  if (busy) {
    throw new NetloomError('ENETWORKBUSY', `network "${before.name}": an endpoint is being attached to it`, {
      hint: 'try again in a moment',
    });
  }
  const publisher = endpoints.find((endpoint) => endpoint.ports.length > 0);
  const [port] = publisher?.ports ?? [];
  if (!port) return;
  if (after.internal && !before.internal) {
    throw new NetloomError(
      'EINTERNAL_NETWORK',
      `network "${before.name}" publishes ${formatPort(port)}: made internal, nothing could reach that`,
      { hint: 'unpublish its ports first' },
    );
  }
  if (modesOf(before) !== modesOf(after)) {
    throw new NetloomError(
      'EIMMUTABLE',
      `network "${before.name}" publishes ${formatPort(port)}, which another gateway mode would publish elsewhere`,
      { hint: 'unpublish its ports first' },
    );
  }
}

function modesOf({ options }: Network): string {
  return options.driver === 'bridge' ? `${options.gatewayMode4 ?? 'nat'} ${options.gatewayMode6 ?? 'nat'}` : '';
}

/** An endpoint as it was and as it is. */
interface Move {
  readonly was: Endpoint;
  readonly is: Endpoint;
  readonly workload: Workload;
}

/** Every endpoint on the network; and those elsewhere whose workload's default route comes or goes. */
async function movesOf(tx: Tx, endpoints: readonly Endpoint[], network: Network): Promise<Move[]> {
  const moves = new Map<string, Move>();
  for (const endpoint of endpoints) {
    if (moves.has(endpoint.id)) continue;
    const workload = await workloadOf(tx, endpoint);
    const siblings = await endpointsOf(tx, workload);
    const { endpoints: settled } = await settleGateways(tx, siblings, workload, network);
    for (const was of siblings) {
      const is = settled.find((each) => each.id === was.id) ?? was;
      if (is !== was || was.network === network.id) moves.set(was.id, { was, is, workload });
    }
  }
  return [...moves.values()];
}

async function changesOf(
  core: Core,
  tx: Tx,
  before: Network,
  after: Network,
  moves: readonly Move[],
  host: HostView,
): Promise<Change[]> {
  const was: Fact[] = [...factsOfNetwork(before)];
  const is: Fact[] = [...factsOfNetwork(after)];
  const opens6 = before.internal && !after.internal && after.subnets.some(({ subnet }) => subnet.includes(':'));
  if (opens6) is.unshift(...keepAdvertisements(core.kernel.host, host, `network ${after.name}`));
  for (const move of moves) {
    if (move.was.phase !== 'ready' || !isAlive(move.was)) continue;
    const ownBefore = move.was.network === before.id;
    const other = ownBefore ? undefined : await tx.get<Network>(KEYS.networks + move.was.network);
    if (!ownBefore && !other) continue;
    was.push(...factsOfEndpoint(other ?? before, move.was, move.workload));
    is.push(...factsOfEndpoint(other ?? after, move.is, move.workload));
  }
  const stays = new Set(is.map(factKey));
  const goes = was.some((fact) => !stays.has(factKey(fact)));
  // what goes from here stays where another network is on it, too
  const others = goes ? await keysOfOthers(tx, before) : stays;
  const own = was.filter((fact) => stays.has(factKey(fact)) || !others.has(factKey(fact)));
  // the first one with guard brings the table of it
  const guard = isGuarded(after) && !isGuarded(before) ? rulesetFacts([after]) : [];
  return [...(await additions(core, guard)), ...transition(own, is, mtuOrder)];
}

/** A namespace that is gone took what was in it, and the pair that led to it, along. */
function isAlive(endpoint: Endpoint): boolean {
  return endpoint.netns === '' || netnsId(endpoint.netns) === endpoint.netnsId;
}

/**
 * Whoever receives must take what whoever sends may send: an MTU sinks from the workloads to the host's ends, and rises
 * from there to them. The bridge, which sends for the host, goes with the workloads.
 */
function mtuOrder({ verb, fact, have }: Change): number {
  if (verb !== 'change' || fact.kind !== 'link' || have?.kind !== 'link' || fact.mtu === have.mtu) return 0;
  const atHost = fact.origin.type === 'veth' || fact.origin.type === 'tap';
  return atHost === fact.mtu > have.mtu ? 1 : 2;
}
