import { type Engine, openEngine } from '../../src/engine/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import type { Endpoint, NetworkSpec } from '../../src/model/index.ts';
import { makeDirs } from '../../test/lib/dirs.ts';
import { startEtcd } from '../../test/lib/etcd.ts';
import { PACE } from '../../test/lib/pace.ts';
import { ipBatch } from '../../test/lib/run.ts';
import { until } from '../../test/lib/wait.ts';

/** Where the hosts of a pair are on their segment. */
export const OUTER: readonly [string, string] = ['192.0.2.1', '192.0.2.2'];

/** Two namespaces with a cable between their `eth0`s. */
export async function makePair(undo: AsyncDisposableStack): Promise<readonly [Netns, Netns]> {
  const [one, two] = [undo.use(Netns.create()), undo.use(Netns.create())];
  await ipBatch(one, [`link add eth0 type veth peer name eth0 netns /proc/${process.pid}/fd/${two.fd}`]);
  for (const [i, netns] of [one, two].entries())
    await ipBatch(netns, ['link set lo up', 'link set eth0 up', `addr add ${OUTER[i]}/24 dev eth0`]);
  return [one, two];
}

/** Two hosts of one cluster, by two engines of this process and an etcd. */
export interface Nodes extends AsyncDisposable {
  readonly engines: readonly [Engine, Engine];
  /** Makes a network that is on both when this resolves. */
  network(spec: NetworkSpec): Promise<void>;
  /** A new workload on one of them. */
  workload(host: 0 | 1, network: string): Promise<{ readonly netns: Netns; readonly endpoint: Endpoint }>;
}

export async function makeNodes(): Promise<Nodes> {
  await using undo = new AsyncDisposableStack();
  const etcd = undo.use(await startEtcd());
  const hosts = await makePair(undo);
  const spaces = undo.use(new AsyncDisposableStack());
  const engines: Engine[] = [];
  for (const [i, netns] of hosts.entries()) {
    const { stateDir, runDir } = undo.use(makeDirs());
    const held = Netns.open(`/proc/self/fd/${netns.fd}`);
    const engine = undo.use(await openEngine({ stateDir, runDir, netns: held, resident: true }));
    // on emulated processors names are lost that are kept for seconds
    const ttl = PACE > 1 ? 120 : 10;
    await engine.nodeJoin({ etcd: etcd.endpoints, name: `host${i + 1}`, addresses: [OUTER[i]!], ttl });
    engines.push(engine);
  }
  const kept = undo.move();
  return {
    engines: engines as [Engine, Engine],
    async network(spec) {
      await engines[0]!.networkCreate(spec);
      for (const engine of engines)
        await until('the network is on both', async () =>
          (await engine.networkList()).some(({ name, phase }) => name === spec.name && phase === 'ready'),
        );
    },
    async workload(host, network) {
      const netns = spaces.use(Netns.create());
      await ipBatch(netns, ['link set lo up']);
      const { value } = await engines[host]!.endpointAttach({ netns: `/proc/${process.pid}/fd/${netns.fd}`, network });
      return { netns, endpoint: value };
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
