import { parseIp } from '../addr/index.ts';
import { defaultRoutes, driverOf, objectOf } from '../drivers/index.ts';
import type { Endpoint, Network } from '../model/index.ts';
import type { ReadTx } from '../store/index.ts';
import type { Change } from './apply.ts';
import { carryOut } from './change.ts';
import type { Core } from './core.ts';
import { endpointsOf, KEYS, type Workload } from './records.ts';

/** Gives the default routes to whom they belong by now; what is right already stays. For a change that was cut off. */
export async function resettleGateways(core: Core, workload: Workload): Promise<void> {
  const endpoints = await core.store.read((tx) => endpointsOf(tx, workload));
  const { endpoints: settled, moves } = await core.store.read((tx) => settleGateways(tx, endpoints, workload));
  await carryOut(core, moves);
  await core.store.transact(async (tx) => {
    for (const endpoint of settled) {
      if (endpoints.includes(endpoint)) continue;
      // as it is by now: its lease may have been renewed meanwhile
      const now = await tx.get<Endpoint>(KEYS.endpoints + endpoint.id);
      if (now) await tx.put(KEYS.endpoints + endpoint.id, { ...now, gateways: endpoint.gateways });
    }
  });
}

/**
 * Which endpoint of a workload has the default route, per family: the highest gateway priority, then the oldest. Pure
 * but for looking up networks; returns the endpoints with their gateways, and the routes that move.
 */
export async function settleGateways(
  tx: ReadTx,
  endpoints: readonly Endpoint[],
  workload: Workload,
  known?: Network,
): Promise<{ endpoints: Endpoint[]; moves: Change[] }> {
  const candidates = new Map<string, readonly string[]>();
  for (const endpoint of endpoints) {
    const network = known?.id === endpoint.network ? known : await tx.get<Network>(KEYS.networks + endpoint.network);
    const open = network && endpoint.phase !== 'removing';
    candidates.set(endpoint.id, open ? gatewaysFor(network, endpoint) : []);
  }
  const order = endpoints.toSorted(
    (a, b) => b.gatewayPriority - a.gatewayPriority || (a.created < b.created ? -1 : a.created > b.created ? 1 : 0),
  );
  const winners = new Map<number, Endpoint>();
  for (const endpoint of order) {
    for (const gateway of candidates.get(endpoint.id) ?? []) {
      const { family } = parseIp(gateway);
      if (!winners.has(family)) winners.set(family, endpoint);
    }
  }
  const moves: Change[] = [];
  const settled = endpoints.map((endpoint) => {
    const gateways = (candidates.get(endpoint.id) ?? []).filter((g) => winners.get(parseIp(g).family) === endpoint);
    if (gateways.join() === endpoint.gateways.join()) return endpoint;
    const object = objectOf(endpoint, { workload: workload.name });
    const before = defaultRoutes(endpoint, object);
    const after = defaultRoutes({ ...endpoint, gateways }, object);
    if (endpoint.phase === 'ready') {
      for (const fact of before) if (!after.some((f) => f.via === fact.via)) moves.push({ verb: 'delete', fact });
      for (const fact of after) if (!before.some((f) => f.via === fact.via)) moves.push({ verb: 'add', fact });
    }
    return { ...endpoint, gateways };
  });
  return { endpoints: settled, moves };
}

/** The default gateways that an endpoint could provide. */
function gatewaysFor(network: Network, endpoint: Endpoint): readonly string[] {
  return endpoint.tuning?.defaultRoute === false ? [] : networkGateways(network, endpoint);
}

/** Those of its network, or of the server that it leases from. */
export function networkGateways(network: Network, { lease }: Endpoint): readonly string[] {
  if (network.ipam !== 'dhcp') return driverOf(network).gateways(network);
  return lease?.router === undefined || network.internal ? [] : [lease.router];
}
