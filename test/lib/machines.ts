import { Netns } from '../../src/kernel/index.ts';
import type { Cluster } from './cluster.ts';
import { type Etcd, startEtcd } from './etcd.ts';
import { between, type EtcdProxy } from './etcd-proxy.ts';
import { Machine, type MachineOptions } from './machine.ts';
import { ipBatch, runIn } from './run.ts';
import { countFlooded } from './underlay.ts';

export { allHolds, allReach, changeBackend, changed, makeNetwork, type Workload } from './cluster.ts';
export { Machine as Host, plugIn } from './machine.ts';

export interface MachinesOptions {
  /** Each has a proxy before etcd. */
  readonly proxied?: true;
  /** Of each, the first being machine 1. Where there are two segments, the way to the other is `.254` and `::fe` of each. */
  readonly of?: readonly MachineOptions[];
}
export interface Machines extends Cluster, AsyncDisposable {
  readonly hosts: readonly Machine[];
  readonly etcd: Etcd;
  /** In the order of the hosts. */
  readonly proxies: readonly EtcdProxy[];
  /** The bridge `wire` is what they are on, `port1` is the first one's. */
  readonly wire: Netns;
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

/** One packet comes back. */
export async function pings(from: Netns, address: string): Promise<boolean> {
  return (await runIn(from, ['ping', '-c1', '-W1', address])).status === 0;
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
