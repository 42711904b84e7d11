import { ipFromValue, network as networkOf, overlaps, parsePrefix, type Prefix } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import {
  type BackendName,
  type OverlayWish,
  type NetworkParts,
  type NetworkSpec,
  overlapCheck,
  type Occupied,
  subnetOf,
} from '../model/index.ts';
import type { ReadTx, Tx } from '../store/store.ts';
import { bgpFor, withBgp } from './bgp.ts';
import { partLength } from './prefixes.ts';
import { type Member, type RemovedNetwork, SHARED, type SharedEndpoint, type SharedNetwork } from './records.ts';

/** UDP ports of backends: the kernel's own for VXLAN, and those that flannel took for the others. */
const PORTS: Partial<Record<BackendName, number>> = { vxlan: 8472, udp: 8285, wireguard: 51820 };
/** Above those that people and other programs choose by hand. */
const FIRST_VNI = 4097;

/** Where ranges come from that nobody chose. */
const CANDIDATES: readonly string[] = Array.from({ length: 12 }, (_, i) => `10.${244 + i}.0.0/16`);

/**
 * What a network that was asked for is to all hosts.
 * @param others the networks that there are
 * @param taken what the host that asks has routes to
 * @throws NetloomError ENAMETAKEN, ESUBNETOVERLAP, EBADOPTION
 */
export function defineShared(
  id: string,
  spec: NetworkSpec,
  parts: NetworkParts & Required<Pick<NetworkParts, 'overlay'>>,
  others: readonly SharedNetwork[],
  host: {
    readonly taken: readonly Occupied[];
    readonly created: string;
    readonly random6: Prefix;
  },
): SharedNetwork {
  const { plan, backend, nodeLength, directRouting } = parts.overlay;
  const same = others.find(({ name }) => name === parts.name);
  if (same) {
    throw new NetloomError('ENAMETAKEN', `network "${parts.name}" exists already in the cluster`, {
      hint: 'choose another name, or remove it first',
    });
  }
  const taken: Occupied[] = [
    ...others.flatMap(({ name, ranges }) =>
      ranges.map(({ subnet }): Occupied => ({
        kind: 'network',
        label: `network ${name}`,
        prefix: parsePrefix(subnet),
      })),
    ),
    ...host.taken,
  ];
  for (const { subnet } of parts.subnets) overlapCheck(parsePrefix(subnet), taken);
  const chosen = parts.automatic.map((family) => {
    const candidates = family === 4 ? CANDIDATES.map((text) => parsePrefix(text)) : [host.random6];
    const free = candidates.find((prefix) => !taken.some((other) => overlaps(prefix, other.prefix)));
    if (free) return subnetOf(free);
    throw new NetloomError('EPOOLEXHAUSTED', `no range of ${CANDIDATES[0]} to ${CANDIDATES.at(-1)} is free`, {
      hint: 'give one: --subnet 10.64.0.0/16',
    });
  });
  const ranges = [...parts.subnets, ...chosen].toSorted(
    (a, b) => parsePrefix(a.subnet).family - parsePrefix(b.subnet).family,
  );
  const vnis = new Set(others.map(({ vni }) => vni));
  const vni = parts.overlay.vni === 0 ? firstFree(FIRST_VNI, vnis) : parts.overlay.vni;
  if (vnis.has(vni)) {
    const other = others.find((each) => each.vni === vni);
    throw new NetloomError('EBADOPTION', `option vni=${vni}: network "${other?.name}" has it`, {
      hint: 'choose another, or leave it out',
    });
  }
  return {
    id,
    name: parts.name,
    created: host.created,
    internal: parts.internal,
    plan,
    backend,
    ranges: plan === 'flat' ? ranges : ranges.map(({ subnet }) => ({ subnet, gateway: '' })),
    nodeLengths: ranges.map(({ subnet }) => {
      const range = parsePrefix(subnet);
      return plan === 'flat' ? partLength(range) : nodeLength[range.family];
    }),
    vni,
    port: portOf(backend, parts.overlay.port, others),
    directRouting,
    ...(parts.overlay.shortcut ? {} : { shortcut: false }),
    ...(parts.overlay.tracked && { tracked: true }),
    ...bgpFor(backend, parts.overlay.bgp, others),
    ...(parts.overlay.rekey !== undefined && { rekey: parts.overlay.rekey }),
    options: parts.overlay.rest,
    ...(spec.upstreams && spec.upstreams.length > 0 && { upstreams: spec.upstreams }),
    labels: parts.labels,
  };
}

/**
 * VXLANs tell their networks apart by the VNI; the others have a port each.
 * @param asked 0: the backend's own
 * @throws NetloomError EBADOPTION
 */
function portOf(backend: BackendName, asked: number, others: readonly SharedNetwork[]): number {
  const first = PORTS[backend];
  if (asked !== 0 && first === undefined)
    throw new NetloomError('EBADOPTION', `option port=${asked}: backend ${backend} has no port`, {
      hint: 'leave it out',
    });
  if (asked !== 0 || first === undefined) return asked;
  return backend === 'vxlan' ? first : firstFree(first, new Set(others.map(({ port }) => port)));
}

function firstFree(first: number, taken: ReadonlySet<number>): number {
  for (let n = first; ; n++) if (!taken.has(n)) return n;
}

/** Every shared network. */
export async function sharedNetworks(tx: ReadTx): Promise<readonly SharedNetwork[]> {
  return (await tx.list<SharedNetwork>(SHARED.networks)).map(({ value }) => value);
}

type BackendWish = Pick<OverlayWish, 'backend' | 'port' | 'directRouting' | 'rekey' | 'bgp'>;

/**
 * Another backend for a network that is there, or another interval for its keys. Members change to a backend one by one, each
 * once it can be reached by both. Where it has that backend and that is bgp, other options of it: for all networks that have it.
 * @throws NetloomError EBADOPTION; EIMMUTABLE; ENETWORKBUSY while the last change goes on
 */
export async function changeBackend(tx: Tx, id: string, wish: BackendWish): Promise<SharedNetwork> {
  const changed = await changedBackend(tx, id, wish);
  for (const each of changed) await tx.put(SHARED.networks + each.id, each);
  return changed[0];
}

/** As `changeBackend`, of which nothing is written: the network, and others that change with it. */
export async function changedBackend(
  tx: ReadTx,
  id: string,
  wish: BackendWish,
): Promise<readonly [SharedNetwork, ...SharedNetwork[]]> {
  const network = await tx.get<SharedNetwork>(SHARED.networks + id);
  if (!network) throw new NetloomError('ENETWORKNOTFOUND', 'the cluster has no such network any more');
  const { former: _, bgp, backend, port, ...rest } = network;
  const rekey = wish.rekey === undefined ? {} : { rekey: wish.rekey };
  const back = network.former?.backend === wish.backend;
  const had = wish.backend === backend ? port : back ? network.former.port : undefined;
  if (had !== undefined && wish.port !== 0 && wish.port !== had) throw ofAnother(network, `port=${wish.port}`);
  if (wish.backend === backend) {
    if (wish.directRouting !== network.directRouting)
      throw ofAnother(network, `direct_routing=${String(wish.directRouting)}`);
    const changed = Object.keys(wish.bgp).length === 0 ? [] : withBgp(await sharedNetworks(tx), wish.bgp);
    const own = changed.find((each) => each.id === id) ?? network;
    return [{ ...own, ...rekey }, ...changed.filter((each) => each.id !== id)];
  }
  if (network.plan === 'flat')
    throw new NetloomError('EIMMUTABLE', `network "${network.name}": the plan flat is for backend vxlan alone`, {
      hint: 'make another network with plan=node',
    });
  if (network.former && !back) {
    throw new NetloomError(
      'ENETWORKBUSY',
      `network "${network.name}" is being changed from ${network.former.backend} to ${backend}`,
      {
        hint: 'wait until every node has changed (netloom node ls), or go back',
      },
    );
  }
  const others = (await sharedNetworks(tx)).filter((other) => other.id !== id);
  const changed = {
    ...rest,
    ...rekey,
    backend: wish.backend,
    port: back ? network.former.port : portOf(wish.backend, wish.port, others),
    directRouting: wish.directRouting,
    former: { backend, port },
    // of the former one, as long as hosts are reached by it
    ...(bgp ? { bgp } : bgpFor(wish.backend, wish.bgp, others)),
  };
  return [changed];
}

/** A host that has changed would not be heard by one that has not, were it not for two backends side by side. */
function ofAnother({ name, plan }: SharedNetwork, option: string): NetloomError {
  return new NetloomError('EIMMUTABLE', `network "${name}": ${option} comes with another backend alone`, {
    hint:
      plan === 'flat'
        ? 'make another network with it'
        : 'change to another backend (-o backend=…) first, and back with it; or make another network',
  });
}

/** Once nobody is reached by the former backend any more, nobody needs to have it. */
export async function settleBackend(tx: Tx, id: string): Promise<void> {
  const network = await tx.get<SharedNetwork>(SHARED.networks + id);
  if (!network?.former) return;
  const members = await tx.list<Member>(`${SHARED.members}${id}/`);
  if (members.some(({ value }) => value.backend !== network.backend)) return;
  const { former: _, bgp, ...settled } = network;
  await tx.put(SHARED.networks + id, { ...settled, ...(network.backend === 'bgp' && bgp && { bgp }) });
}

/** Writes a new one down. @throws NetloomError ENAMETAKEN where another host was faster with the name */
export async function createShared(tx: Tx, network: SharedNetwork): Promise<void> {
  if ((await tx.get(SHARED.networkNames + network.name)) !== undefined) {
    throw new NetloomError('ENAMETAKEN', `network "${network.name}" exists already in the cluster`, {
      hint: 'choose another name, or remove it first',
    });
  }
  await tx.create(SHARED.networkNames + network.name, network.id);
  await tx.create(SHARED.networks + network.id, network);
}

/**
 * Writes down again what etcd has forgotten, as when its data was restored from an old snapshot. One that is there is left
 * as it is, one that somebody removed stays removed. @returns whether the network is there
 * @throws NetloomError ENAMETAKEN where another has its name by now
 */
export async function putBackShared(tx: Tx, network: SharedNetwork): Promise<boolean> {
  if ((await tx.get(SHARED.networks + network.id)) !== undefined) return true;
  if ((await tx.get(SHARED.removed + network.id)) !== undefined) return false;
  await createShared(tx, network);
  return true;
}

/** How long it is told that a network was removed, milliseconds: a host that was away for longer would put it back. */
const REMOVED_FOR = 90 * 24 * 3600 * 1000;

/**
 * Takes a network away from all hosts: each removes its own part when it hears of it.
 * @throws NetloomError ENETWORKINUSE naming hosts with endpoints on it
 */
export async function removeShared(tx: Tx, network: Pick<SharedNetwork, 'id' | 'name'>, now: Date): Promise<void> {
  const endpoints = await tx.list<SharedEndpoint>(`${SHARED.endpoints}${network.id}/`, { limit: 50 });
  if (endpoints.length > 0) {
    const nodes = [...new Set(endpoints.map(({ value }) => value.node))];
    throw new NetloomError(
      'ENETWORKINUSE',
      `network "${network.name}" has endpoints on ${nodes.slice(0, 5).join(', ')}`,
      {
        hint: 'disconnect or remove them first',
      },
    );
  }
  if ((await tx.get(SHARED.networkNames + network.name)) === network.id) {
    await tx.delete(SHARED.networkNames + network.name);
  }
  await tx.delete(SHARED.networks + network.id);
  const old = (await tx.list<RemovedNetwork>(SHARED.removed, { limit: 1000 })).filter(
    ({ value }) => now.getTime() - Date.parse(value.removed) > REMOVED_FOR,
  );
  for (const { key } of old.slice(0, 20)) await tx.delete(key);
  await tx.put(SHARED.removed + network.id, {
    name: network.name,
    removed: now.toISOString(),
  } satisfies RemovedNetwork);
}

/** The address that a host's bridge has in its own prefix. */
export function gatewayIn(prefix: string): string {
  const { family, first } = networkOf(parsePrefix(prefix));
  return ipFromValue(family, first + 1n).text;
}
