// runs: here in one mode (hosts side by side, which take their time)
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { NetloomError } from '../../src/errors.ts';
import type { NetworkSpec } from '../../src/model/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import {
  allHolds,
  allReach,
  changeBackend,
  type Host,
  makeMachines,
  makeNetwork,
  pings,
  type Workload,
} from '../lib/machines.ts';
import { Pinging } from '../lib/pinging.ts';
import { okIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

for (const [backend, plan] of [
  ['host-gw', 'node'],
  ['vxlan', 'node'],
  ['vxlan', 'flat'],
  ['udp', 'node'],
] as const) {
  test(`${backend}, plan ${plan}: made on one host, it is on all, and workloads have all of it`, async () => {
    await using machines = await makeMachines(3);
    const [one, two, three] = machines.hosts;
    assert.ok(one && two && three);
    await makeNetwork(machines, { name: 'pods', driver: 'overlay', ipv6: true, options: { backend, plan } });
    const workloads: Workload[] = [];
    for (const [i, host] of machines.hosts.entries()) workloads.push(await host.workload(`w${i}`, 'pods'));
    await allHolds(machines, 'pods', workloads);
    if (backend === 'vxlan') await damagedAndRepaired(one);
    assert.deepEqual(
      (await two.engine.nodeList()).map(({ name, state }) => `${name} ${state}`),
      ['host1 ready', 'host2 ready', 'host3 ready'],
    );
    // it goes from all hosts as it came
    for (const { engine } of machines.hosts) {
      for (const { id } of await engine.endpointList()) await engine.endpointDetach(id);
    }
    await until('nobody has it any more', async () => {
      await three.engine.networkRemove('pods');
      return true;
    });
    for (const { engine, netns } of machines.hosts) {
      await until('it is gone', async () => !(await engine.networkList()).some(({ name }) => name === 'pods'));
      assert.deepEqual((await okIn(netns, ['ip', '-br', 'link'])).match(/br-|vx-/g), null);
    }
    assert.doesNotMatch(
      await machines.etcd.ctl('get', '--prefix', '--keys-only', '/netloom/keys/'),
      /prefixes|members|networks/,
    );
  });
}

/** What leads to other hosts and came while the engine ran is put back like anything else. */
async function damagedAndRepaired({ netns }: Host): Promise<void> {
  const look = async (): Promise<string> => {
    const shown = await okIn(netns, [
      'sh',
      '-c',
      'ip route show proto 110; ip -6 route show proto 110; ip neigh show nud permanent proto 110; bridge fdb show | grep dst',
    ]);
    return shown.trim().split('\n').toSorted().join('\n');
  };
  const before = await look();
  assert.match(before, /dst 192\.0\.2\./);
  await okIn(netns, [
    'sh',
    '-ec',
    `ip route flush proto 110; ip -6 route flush proto 110
    ip neigh flush nud permanent proto 110; ip -6 neigh flush nud permanent proto 110
    bridge fdb show | grep dst | while read -r mac dev name rest; do bridge fdb del "$mac" dev "$name"; done`,
  ]);
  await until('all of it is there again', async () => (await look()) === before);
}

test('a host takes more parts of a range as it needs them; a drained one takes no endpoints', async () => {
  await using machines = await makeMachines(2);
  const [one, two] = machines.hosts;
  assert.ok(one && two);
  const partsOf = async ({ engine }: Host): Promise<readonly string[]> =>
    (await engine.networkInspect('small')).overlay!.self.prefixes;
  const spec: NetworkSpec = { name: 'small', driver: 'overlay', subnets: [{ subnet: '10.9.0.0/27' }] };
  const rehearsed = await one.engine.networkCreate(spec, { dryRun: true, explain: true });
  assert.ok(rehearsed.plan?.some(({ command }) => command.includes('type vxlan')));
  await makeNetwork(machines, spec);
  assert.deepEqual([(await partsOf(one)).length, (await partsOf(two)).length], [1, 1], 'of four parts of eight');
  const given = new Set<string>();
  for (let i = 0; i < 10; i++) {
    const { value } = await one.engine.endpointAttach({ tap: true, netns: '', network: 'small' });
    given.add(value.addresses[0]!);
  }
  assert.equal(given.size, 10);
  assert.equal((await partsOf(one)).length, 2);

  const theirs = (await partsOf(two))[0]!;
  const free = Array.from({ length: 4 }, (_, i) => `10.9.0.${i * 8}/29`);
  const taken = [...(await partsOf(one)), theirs];
  const wanted = free
    .find((part) => !taken.includes(part))!
    .replace(/(\d+)\/29$/, (_, last: string) => String(Number(last) + 3));
  const { value: fixed } = await two.engine.endpointAttach({
    tap: true,
    netns: '',
    network: 'small',
    addresses: [wanted],
  });
  assert.deepEqual(fixed.addresses, [`${wanted}/27`]);

  // all four parts are somebody's
  await assert.rejects(
    async () => {
      for (let i = 0; i < 20; i++) await one.engine.endpointAttach({ tap: true, netns: '', network: 'small' });
    },
    { code: 'ERANGEEXHAUSTED' },
  );
  await two.engine.nodeDrain('host2');
  await until('it is known there', async () => {
    await assert.rejects(two.engine.endpointAttach({ tap: true, netns: '', network: 'small' }), {
      code: 'ENODEDRAINING',
    });
    return true;
  });
  await assert.rejects(two.engine.nodeRemove('host2'), { code: 'ENODEINUSE' });
  await two.engine.nodeDrain('host2', { undo: true });
  await until(
    'it is over',
    async () => (await two.engine.endpointAttach({ tap: true, netns: '', network: 'small' })).value.id !== '',
  );

  // whoever is taken out has nothing left, and what it had is free
  await two.engine
    .nodeRemove('host2', { force: true })
    .catch((error: unknown) => assert.equal((error as { code: string }).code, 'ENETWORKINUSE'));
  for (const { id } of await two.engine.endpointList()) await two.engine.endpointDetach(id);
  await two.engine.nodeRemove('host2', { force: true });
  assert.deepEqual((await two.engine.clusterStatus()).state, 'none');
  assert.deepEqual(
    (await one.engine.nodeList()).map(({ name }) => name),
    ['host1'],
  );
  await one.engine.endpointAttach({ tap: true, netns: '', network: 'small' });
});

test('with etcd away all goes on that needs no other host, and what changed meanwhile is told when it is back', async () => {
  await using machines = await makeMachines(2);
  const [one, two] = machines.hosts;
  assert.ok(one && two);
  for (const plan of ['flat', 'node'])
    await makeNetwork(machines, { name: plan, driver: 'overlay', options: { plan } });
  const far = await two.workload('w0', 'flat');
  await machines.etcd.kill(0);
  const near = await one.workload('w0', 'flat');
  await one.workload('w1', 'node');
  await assert.rejects(one.engine.networkCreate({ name: 'more', driver: 'overlay' }), (error: NetloomError) =>
    ['EETCDAWAY', 'ETENURELOST'].includes(error.code),
  );
  const [gone] = (await two.engine.endpointList()).map(({ id }) => id);
  await two.engine.endpointDetach(gone!);
  machines.etcd.start(0);
  assert.equal(await pings(near.netns, far.addresses[0]!), false);
  await two.engine.endpointAttach({ netns: `/proc/self/fd/${far.netns.fd}`, network: 'flat' });
  await until('the new ones reach each other', () => pings(far.netns, near.addresses[0]!), { timeout: 60_000 });
});

test('the backend of a live network is changed under traffic, node by node, and goes to every node', async (t) => {
  await using machines = await makeMachines(3);
  const [one, two, three] = machines.hosts;
  assert.ok(one && two && three);
  await makeNetwork(machines, { name: 'pods', driver: 'overlay', ipv6: true, options: { backend: 'host-gw' } });
  const workloads: Workload[] = [];
  for (const [i, host] of machines.hosts.entries()) workloads.push(await host.workload(`w${i}`, 'pods'));
  const reached = (): Promise<void> => allReach(workloads);
  await reached();
  const target = workloads[1]!.addresses[0]!;
  await using traffic = new Pinging([{ from: workloads[0]!.netns, to: target }], 0.02);
  for (const [backend, device] of [
    ['bgp', undefined],
    ['vxlan', /vx\d-/],
    ['udp', /tun-/],
    ['host-gw', undefined],
  ] as const) {
    await changeBackend(machines, 'pods', backend);
    for (const { netns } of machines.hosts) {
      await until('only the new one is there', async () => {
        const links = await okIn(netns, ['ip', '-br', 'link']);
        const there = [/vx\d-/, /tun-/].filter((each) => each.test(links)).map(String);
        return there.join() === (device === undefined ? '' : String(device));
      });
    }
    await reached();
  }
  const { sent, lost, ways } = await traffic.stop();
  t.diagnostic(`${lost} of ${sent} packets lost`);
  // what comes to a host while its relay begins is lost
  assert.ok(sent > 0 && lost <= 5, ways.join());
  await assert.rejects(two.engine.networkUpdate('pods', { internal: true }), { code: 'EIMMUTABLE' });
  await assert.rejects(two.engine.networkUpdate('pods', { options: { rekey: '1h' } }), { code: 'EBADOPTION' });
  for (const option of [{ direct_routing: 'true' }, { port: '5000' }]) {
    const options = { backend: 'host-gw', ...option };
    const message = /(direct_routing=true|port=5000) comes with another backend/;
    await assert.rejects(two.engine.networkUpdate('pods', { options }), { code: 'EIMMUTABLE', message });
  }
  await assert.rejects(two.engine.nodeRotateKeys(['pods']), { code: 'EBADBACKEND', message: /has no keys/ });
  assert.deepEqual(await two.engine.nodeRotateKeys(), []);
  // a rehearsal changes nothing, and draws no key
  const dry = { dryRun: true, explain: true } as const;
  const update = await two.engine.networkUpdate('pods', { options: { backend: 'wireguard', rekey: '7d' } }, dry);
  assert.match(update.plan?.map(({ command }) => command).join('\n') ?? '', /type wireguard.*[\s\S]*keys\/\w+\/1\.key/);
  const spec = { name: 'more', driver: 'overlay', options: { backend: 'ipsec' } } as const;
  await assert.rejects(two.engine.networkCreate({ ...spec, options: { backend: 'ipsec', port: '4500' } }), {
    code: 'EBADOPTION',
    message: /port=4500: backend ipsec has no port/,
  });
  assert.ok((await two.engine.networkCreate(spec, dry)).plan?.some(({ command }) => command.includes('type xfrm')));
  assert.equal((await two.engine.networkInspect('pods')).overlay?.backend, 'host-gw');
  assert.ok(!existsSync(join(two.paths.stateDir, 'keys')));
  for (const { engine } of machines.hosts) {
    const { value } = await engine.gc();
    assert.deepEqual({ ...value }, { reclaimed: [], removed: [], repaired: [], failed: [] });
  }
});
