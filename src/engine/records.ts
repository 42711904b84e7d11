import { NetloomError } from '../errors.ts';
import type { AddressPool, Container, Endpoint, Network } from '../model/index.ts';
import type { ReadTx, Tx } from '../store/index.ts';

/**
 * Where each kind of object lies in the store. Names are keys of their own, so that the store itself refuses a second
 * object of one name.
 */
export const KEYS = {
  networks: 'networks/by-id/',
  networkNames: 'networks/by-name/',
  pools: 'pools/by-id/',
  poolNames: 'pools/by-name/',
  /** `pool-owners/<pool>/<owner>`: the address that somebody has of a pool. */
  poolOwners: 'pool-owners/',
  containers: 'containers/by-id/',
  containerNames: 'containers/by-name/',
  endpoints: 'endpoints/by-id/',
  endpointNames: 'endpoints/by-name/',
  /** `endpoints/of-network/<network>/<endpoint>` and `endpoints/of-workload/<workload>/<endpoint>`: to find without a scan. */
  ofNetwork: 'endpoints/of-network/',
  ofWorkload: 'endpoints/of-workload/',
  ports: 'ports/',
  pods: 'pods/',
  /** Whatever an engine is changing right now: `pending/<engine>/<kind>/<id>`. */
  pending: 'pending/',
} as const;

export async function findNetwork(tx: ReadTx, ref: string): Promise<Network> {
  const network = await find<Network>(tx, ref, KEYS.networks, KEYS.networkNames, 'network');
  if (!network)
    throw new NetloomError('ENETWORKNOTFOUND', `no network "${ref}"`, {
      hint: 'netloom network ls shows those there are',
    });
  return network;
}

export async function findPool(tx: ReadTx, ref: string): Promise<AddressPool> {
  const pool = await find<AddressPool>(tx, ref, KEYS.pools, KEYS.poolNames, 'address pool');
  if (!pool)
    throw new NetloomError('EPOOLNOTFOUND', `no address pool "${ref}"`, {
      hint: 'netloom pool ls shows those there are',
    });
  return pool;
}

export async function findContainer(tx: ReadTx, ref: string): Promise<Container> {
  const container = await find<Container>(tx, ref, KEYS.containers, KEYS.containerNames, 'container');
  if (!container)
    throw new NetloomError('ECONTAINERNOTFOUND', `no container "${ref}"`, {
      hint: 'netloom ps -a shows those there are',
    });
  return container;
}

export async function findEndpoint(tx: ReadTx, ref: string): Promise<Endpoint> {
  const endpoint = await find<Endpoint>(tx, ref, KEYS.endpoints, KEYS.endpointNames, 'endpoint');
  if (!endpoint) throw noEndpoint(ref);
  return endpoint;
}
export function noEndpoint(ref: string): NetloomError {
  return new NetloomError('EENDPOINTNOTFOUND', `no endpoint "${ref}"`, {
    hint: 'netloom endpoint ls shows those there are',
  });
}

/** By exact name, exact id, or a beginning of an id that only one object has. */
async function find<T>(tx: ReadTx, ref: string, byId: string, byName: string, noun: string): Promise<T | undefined> {
  if (ref === '') return undefined;
  const id = await tx.get<string>(byName + ref);
  const exact = await tx.get<T>(byId + (id ?? ref));
  if (exact !== undefined || !/^[0-9a-f]{1,64}$/.test(ref)) return exact;
  const [first, second] = await tx.list<T>(byId + ref, { limit: 2 });
  if (first && second)
    throw new NetloomError('EAMBIGUOUS', `more than one ${noun} id begins with "${ref}"`, {
      hint: 'give more of it, or the name',
    });
  return first?.value;
}

/** Who has endpoints: a container, or a bare namespace. */
export interface Workload {
  /** Container id; empty for a bare namespace. */
  readonly container: string;
  /** For people: the container's name, or the namespace's path. */
  readonly name: string;
  readonly netns: string;
  /** Which one that is now, where it was opened: as `Netns.id`. */
  readonly netnsId?: string;
  /** The tap's name, where the workload is the virtual machine behind it. */
  readonly tap?: string;
  /** The inside end's name, where somebody else takes it. */
  readonly handOver?: string;
}

/** Makes sure that no other endpoint has that name. @throws NetloomError ENAMETAKEN */
export async function claimEndpointName(tx: Tx, { id, name }: Pick<Endpoint, 'id' | 'name'>): Promise<void> {
  if (name === undefined) return;
  if ((await tx.get(KEYS.endpointNames + name)) !== undefined)
    throw new NetloomError('ENAMETAKEN', `endpoint "${name}" exists already`, {
      hint: `netloom endpoint detach ${name} takes it away`,
    });
  await tx.create(KEYS.endpointNames + name, id);
}

/** Stores an endpoint with the keys that find it from its network and its workload. */
export async function putEndpoint(tx: Tx, endpoint: Endpoint, workload: Workload): Promise<void> {
  await tx.put(KEYS.endpoints + endpoint.id, endpoint);
  await tx.put(`${KEYS.ofNetwork}${endpoint.network}/${endpoint.id}`, 1);
  await tx.put(`${underWorkload(workload)}${endpoint.id}`, 1);
}
export async function deleteEndpoint(tx: Tx, endpoint: Endpoint, workload: Workload): Promise<void> {
  await tx.delete(KEYS.endpoints + endpoint.id);
  if (endpoint.name !== undefined) await tx.delete(KEYS.endpointNames + endpoint.name);
  await tx.delete(`${KEYS.ofNetwork}${endpoint.network}/${endpoint.id}`);
  await tx.delete(`${underWorkload(workload)}${endpoint.id}`);
}

/** The workload that an endpoint is part of. */
export async function workloadOf(tx: ReadTx, endpoint: Endpoint): Promise<Workload> {
  const container =
    endpoint.container === '' ? undefined : await tx.get<Container>(KEYS.containers + endpoint.container);
  if (endpoint.type === 'tap') return workloadOfTap(endpoint.ifname);
  if (endpoint.handOver !== undefined) return workloadHandedOver(endpoint.ifname, endpoint.name);
  return { container: endpoint.container, name: container?.name ?? endpoint.netns, netns: endpoint.netns };
}

/** Every tap is a machine of its own. */
export function workloadOfTap(ifname: string): Workload {
  return { container: '', name: `tap ${ifname}`, netns: '', tap: ifname };
}

/** So is whatever takes an interface that is handed over. @param name what whoever asked for it calls it */
export function workloadHandedOver(ifname: string, name: string | undefined): Workload {
  return { container: '', name: name ?? `interface ${ifname}`, netns: '', handOver: ifname };
}

export async function endpointsOf(tx: ReadTx, workload: Workload): Promise<Endpoint[]> {
  return await endpointsUnder(tx, underWorkload(workload));
}
export async function endpointsOn(tx: ReadTx, network: string): Promise<Endpoint[]> {
  return await endpointsUnder(tx, `${KEYS.ofNetwork}${network}/`);
}

function underWorkload({ container, netns, tap, handOver }: Workload): string {
  const own = tap === undefined ? handOver && `given:${handOver}` : `tap:${tap}`;
  const who = own !== undefined ? own : container === '' ? encodeURIComponent(netns) : container;
  return `${KEYS.ofWorkload}${who}/`;
}

/** Oldest first. */
async function endpointsUnder(tx: ReadTx, prefix: string): Promise<Endpoint[]> {
  const endpoints: Endpoint[] = [];
  for (const { key } of await tx.list<number>(prefix)) {
    const endpoint = await tx.get<Endpoint>(KEYS.endpoints + key.slice(prefix.length));
    if (endpoint) endpoints.push(endpoint);
  }
  return endpoints.sort(byAge);
}

/** `eth2` before `eth10`. Plain comparisons: a collator takes longer to load than all the rest of an attachment. */
function byAge(a: Endpoint, b: Endpoint): number {
  if (a.created !== b.created) return a.created < b.created ? -1 : 1;
  return a.ifname.length - b.ifname.length || (a.ifname < b.ifname ? -1 : 1);
}
