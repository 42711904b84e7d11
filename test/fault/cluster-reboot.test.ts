/** A host that is switched off and on again: its namespaces, its links and /run are gone, what it had in the cluster is not. */
// runs: here in one mode (hosts side by side)
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { gather } from '../lib/crowd.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { type Host, type Machines, makeMachines, makeNetwork, type Workload } from '../lib/machines.ts';
import { okIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

const NETWORKS = ['pods', 'flat', 'datagrams'] as const;

/** What a host has of each network. */
async function partsOf({ engine }: Host): Promise<unknown> {
  const found = [];
  for (const name of NETWORKS) {
    const { overlay, subnets } = await engine.networkInspect(name);
    found.push([name, overlay?.self.prefixes, overlay?.self.mac, overlay?.backend, subnets]);
  }
  return found;
}
/** Of the second host, as etcd has them. */
async function endpointsIn({ etcd }: Machines): Promise<number> {
  const text = await etcd.ctl('get', '--prefix', '/netloom/keys/cluster/endpoints/');
  return text.match(/"node":"host2"/g)?.length ?? 0;
}
async function ready({ engine }: Host): Promise<void> {
  await until('connected', async () => (await engine.clusterStatus()).state === 'connected', { timeout: 20_000 });
}

for (const away of [false, true]) {
  test(`a machine reboots${away ? ', and etcd is away for a while' : ''}: it has what it had, and endpoints that went are free`, async (t) => {
    await using machines = await makeMachines(2, { proxied: true });
    const [one, two] = machines.hosts as [Host, Host];
    const [, proxy] = machines.proxies;
    assert.ok(proxy);
    const spec = { driver: 'overlay', ipv6: true } as const;
    await makeNetwork(machines, { ...spec, name: 'pods', options: { backend: 'vxlan' } });
    await makeNetwork(machines, { ...spec, name: 'flat', options: { plan: 'flat' } });
    await makeNetwork(machines, { ...spec, name: 'datagrams', options: { backend: 'udp' } });
    const near: Workload[] = [];
    const far: Workload[] = [];
    for (const network of NETWORKS) {
      near.push(await one.workload(network, network));
      far.push(await two.workload(network, network));
    }
    await until('all are known', async () => (await endpointsIn(machines)) === NETWORKS.length);
    const before = await partsOf(two);
    const addresses = far.map((workload) => workload.addresses);
    // nobody is told that it goes: its name is held
    proxy.cut = true;
    await two.reboot();
    // nor does it know what time it is
    if (away) mock.timers.enable({ apis: ['Date'], now: 0 });
    t.after(() => mock.timers.reset());
    proxy.cut = away;
    await two.start();
    if (away) {
      assert.notEqual((await two.engine.clusterStatus()).state, 'connected');
      assert.deepEqual(await partsOf(two), before, 'without etcd');
    }
    assert.deepEqual(await two.engine.endpointList(), [], 'what was in namespaces that are gone');
    const again: Workload[] = [];
    if (away) {
      for (const network of NETWORKS) again.push(await two.workload(network, network));
      proxy.cut = false;
    }
    await ready(two);
    if (!away) {
      await until("they are nobody's", async () => (await endpointsIn(machines)) === 0);
      for (const network of NETWORKS) again.push(await two.workload(network, network));
    }
    assert.deepEqual(await partsOf(two), before);
    assert.deepEqual(
      again.map((workload) => workload.addresses),
      addresses,
      'free again, and given anew',
    );
    for (const [i] of NETWORKS.entries()) {
      await using crowd = await gather([near[i]!, again[i]!]);
      await crowd.reach();
    }
    assert.deepEqual(
      (await one.engine.nodeList()).map(({ name, state }) => `${name} ${state}`),
      ['host1 ready', 'host2 ready'],
    );
    assert.equal(await endpointsIn(machines), NETWORKS.length);
    for (const { engine, netns } of machines.hosts) {
      const { value } = await engine.gc({ dryRun: true });
      assert.deepEqual({ ...value }, { reclaimed: [], removed: [], repaired: [], failed: [] });
      assert.equal((await okIn(netns, ['ip', '-br', 'link'])).match(/^br-/gm)?.length, NETWORKS.length);
    }
  });
}
