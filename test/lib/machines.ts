import assert from 'node:assert/strict';
import { ipFromValue, network as networkOf, parsePrefix } from '../../src/addr/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import type { BackendName, NetworkSpec } from '../../src/model/index.ts';
import { gather } from './crowd.ts';
import { type Etcd, startEtcd } from './etcd.ts';
import { between, type EtcdProxy } from './etcd-proxy.ts';
import { Machine, type MachineOptions, type Workload } from './machine.ts';
import { ipBatch, runIn } from './run.ts';
import { countFlooded, type Flooded } from './underlay.ts';
import { until } from './wait.ts';

export { Machine as Host, plugIn, type Workload } from './machine.ts';

export interface MachinesOptions {
  /** Each has a proxy before etcd. */
  readonly proxied?: true;
  /** Of each, the first being machine 1. Where there are two segments, the way to the other is `.254` and `::fe` of each. */
  readonly of?: readonly MachineOptions[];
}
export interface Machines extends AsyncDisposable {
  readonly hosts: readonly Machine[];
  readonly etcd: Etcd;
  /** In the order of the hosts. */
  readonly proxies: readonly EtcdProxy[];
  /** The bridge `wire` is what they are on, `port1` is the first one's. */
  readonly wire: Netns;
  /** What came onto it for everybody. */
  flooded(): Promise<Flooded>;
}

export async function makeMachines(count: number, { proxied, of = [] }: MachinesOptions = {}): Promise<Machines> {
  await using undo = new AsyncDisposableStack();
  const etcd = undo.use(await startEtcd());
  const wire = undo.use(Netns.create());
  await ipBatch(wire, ['link add wire up type bridge mcast_snooping 0']);
  const flooded = await countFlooded(wire, { v4: '192.0.2.0/24', v6: 0x2001 });
  const hosts: Machine[] = [];
  const proxies: EtcdProxy[] = [];
  for (let i = 1; i <= count; i++) {
    const proxy = proxied && undo.use(await between(etcd.endpoints[0]!));
    if (proxy) proxies.push(proxy);
    const options = { ...of[i - 1], routed: of.some(({ segment = 1 }) => segment !== 1) };
    hosts.push(undo.use(await Machine.make(i, wire, proxy ? [proxy.endpoint] : etcd.endpoints, options)));
  }
  const all = undo.move();
  return { hosts, etcd, proxies, wire, flooded, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** A network that was made on the first of them is on all. */
export async function makeNetwork({ hosts }: Machines, spec: NetworkSpec): Promise<void> {
  await hosts[0]!.engine.networkCreate(spec);
  for (const { engine, name } of hosts) {
    await until(`${spec.name} is on ${name}`, async () =>
      (await engine.networkList()).some((network) => network.name === spec.name && network.phase === 'ready'),
    );
  }
}

/** One packet comes back. */
export async function pings(from: Netns, address: string): Promise<boolean> {
  return (await runIn(from, ['ping', '-c1', '-W1', address])).status === 0;
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
export async function allHolds(machines: Machines, network: string, workloads: readonly Workload[]): Promise<Flooded> {
  const { options, overlay } = await machines.hosts[0]!.engine.networkInspect(network);
  assert.ok(options.driver === 'bridge' && overlay);
  await using crowd = await gather(workloads);
  await crowd.reach();
  await crowd.whole(options.mtu);
  await crowd.transfers();
  crowd.shout(overlay.ranges.map(nobodyIn));
  await crowd.reach();
  const flooded = await machines.flooded();
  assert.deepEqual([flooded.tunnelled, flooded.others], [0, []], 'for everybody, on the underlay');
  return flooded;
}

/** The last address of a range: of an IPv4 one, it is for all. */
function nobodyIn(range: string): string {
  const { family, last } = networkOf(parsePrefix(range));
  return ipFromValue(family, last).text;
}

/** Changes the backend of a live network by one host, and waits until all have changed and nobody has the former any more. */
export async function changeBackend(machines: Machines, network: string, backend: BackendName): Promise<void> {
  await machines.hosts.at(-1)!.engine.networkUpdate(network, { options: { backend } });
  await changed(machines, network, backend);
}
export async function changed({ hosts }: Machines, network: string, backend: BackendName): Promise<void> {
  for (const { name, engine } of hosts) {
    await until(
      `${name} has changed`,
      async () => {
        const { overlay } = await engine.networkInspect(network);
        return overlay?.backend === backend && overlay.self.backend === backend && overlay.former === undefined;
      },
      { timeout: 15_000 },
    );
  }
}

/** Which addresses nodes lend each other, and what they ask each other for, as etcd has them: the last parts of the keys. */
export async function loansIn({ etcd }: Machines): Promise<string> {
  const keys = await etcd.ctl('get', '--prefix', '--keys-only', '/netloom/keys/cluster/');
  return keys
    .split('\n')
    .filter((key) => /\/(loans|wishes)\//.test(key))
    .map((key) => key.slice(key.lastIndexOf('/') + 1))
    .toSorted()
    .join(' ');
}
