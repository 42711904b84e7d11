import type { Client } from '../../src/api/client.ts';
import { Netns } from '../../src/kernel/index.ts';
import { attach, type Cluster, type Workload } from './cluster.ts';
import { makeLab, type TestLab } from './lab.ts';
import { PACE } from './pace.ts';
import { countFlooded } from './underlay.ts';

export interface LabNode {
  readonly name: string;
  /** Its daemon. */
  readonly engine: Client;
  /** A namespace of that host's, on a network. */
  workload(label: string, network: string): Promise<Workload>;
}
export interface LabCluster extends Cluster, AsyncDisposable {
  readonly hosts: readonly LabNode[];
  readonly lab: TestLab;
}

/** As many hosts of a lab, a daemon each, all of them nodes of a cluster on one etcd beside them. */
export async function makeLabCluster(count: number): Promise<LabCluster> {
  await using undo = new AsyncDisposableStack();
  const lab = undo.use(await makeLab({ hosts: count, etcd: 1, join: false }));
  const wire = undo.use(Netns.open(lab.place.netns('wire')));
  const flooded = await countFlooded(wire, { v4: '198.18.0.0/24', v6: 0xfd6e });
  const hosts = lab.plan.machines.flatMap(({ name, kind }): LabNode[] => {
    const host = lab.host(name);
    const workload = async (label: string, network: string): Promise<Workload> =>
      await attach(host.client, { ...(await host.workload(label)), network, name: `${label}-${name}` });
    return kind === 'host' ? [{ name, engine: host.client, workload }] : [];
  });
  // an emulated machine may not get to it in time
  const ttl = PACE > 1 ? { ttl: 120 } : {};
  for (const { name, engine } of hosts) await engine.nodeJoin({ etcd: lab.plan.etcd, name, ...ttl });
  const kept = undo.move();
  return { hosts, lab, flooded, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
