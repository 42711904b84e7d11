import assert from 'node:assert/strict';
import { ipFromValue, network as networkOf, parsePrefix, withoutLength } from '../../src/addr/index.ts';
import type { Netns } from '../../src/kernel/index.ts';
import type { BackendName, EngineApi, NetworkSpec } from '../../src/model/index.ts';
import { gather, type Voice } from './crowd.ts';
import type { Flooded } from './underlay.ts';
import { until } from './wait.ts';

/** Hosts that are nodes of one cluster: engines of this process (machines.ts), or daemons (lab-cluster.ts). */
export interface Cluster {
  readonly hosts: readonly { readonly name: string; readonly engine: EngineApi }[];
  /** What came onto the segment between them for everybody. */
  flooded(): Promise<Flooded>;
}

export interface Workload extends Voice {
  /** Its endpoint. */
  readonly id: string;
}

/** Attaches a namespace, which the engine finds at `path`, to a network. */
export async function attach(
  engine: EngineApi,
  {
    netns,
    path,
    name,
    ...where
  }: { netns: Netns; path: string; name: string; network: string; addresses?: readonly string[] },
): Promise<Workload> {
  const { value } = await engine.endpointAttach({ netns: path, ...where, aliases: [name] });
  const { subnets } = await engine.networkInspect(where.network);
  return {
    ...{ netns, id: value.id, name },
    addresses: value.addresses.map(withoutLength),
    gateways: subnets.map(({ gateway }) => gateway),
  };
}

/** Milliseconds until a change is with all of so many: they may have one processor between them. */
function forAll(hosts: readonly unknown[]): { readonly timeout: number } {
  return { timeout: 15_000 + 1500 * hosts.length };
}

/** A network that was made on the first of them is on all. */
export async function makeNetwork({ hosts }: Pick<Cluster, 'hosts'>, spec: NetworkSpec): Promise<void> {
  await hosts[0]!.engine.networkCreate(spec);
  for (const { engine, name } of hosts) {
    await until(
      `${spec.name} is on ${name}`,
      async () => (await engine.networkList()).some(({ name: each, phase }) => each === spec.name && phase === 'ready'),
      forAll(hosts),
    );
  }
}

/** Every workload reaches every other, by address and name, in each family. */
export async function allReach(workloads: readonly Workload[]): Promise<void> {
  await using crowd = await gather(workloads);
  await crowd.reach();
}

/**
 * What every backend has to show: all of the above, large transfers intact, whole packets of the network's MTU, and nothing
 * for everybody on the underlay, whatever workloads call out.
 */
export async function allHolds(cluster: Cluster, network: string, workloads: readonly Workload[]): Promise<Flooded> {
  const { options, overlay } = await cluster.hosts[0]!.engine.networkInspect(network);
  assert.ok(options.driver === 'bridge' && overlay);
  await using crowd = await gather(workloads);
  await crowd.reach();
  await crowd.whole(options.mtu);
  await crowd.transfers();
  crowd.shout(overlay.ranges.map(nobodyIn));
  await crowd.reach();
  const flooded = await cluster.flooded();
  assert.deepEqual([flooded.tunnelled, flooded.others], [0, []], 'for everybody, on the underlay');
  return flooded;
}

/** The last address of a range: of an IPv4 one, it is for all. */
function nobodyIn(range: string): string {
  const { family, last } = networkOf(parsePrefix(range));
  return ipFromValue(family, last).text;
}

/** Changes the backend of a live network by one host, and waits until all have changed and nobody has the former any more. */
export async function changeBackend(cluster: Cluster, network: string, backend: BackendName): Promise<void> {
  await cluster.hosts.at(-1)!.engine.networkUpdate(network, { options: { backend } });
  await changed(cluster, network, backend);
}
export async function changed({ hosts }: Cluster, network: string, backend: BackendName): Promise<void> {
  for (const { name, engine } of hosts) {
    await until(
      `${name} has changed`,
      async () => {
        const { overlay } = await engine.networkInspect(network);
        return overlay?.backend === backend && overlay.self.backend === backend && overlay.former === undefined;
      },
      forAll(hosts),
    );
  }
}
