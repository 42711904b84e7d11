// runs: here in one mode (hosts side by side, which take their time)
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Netns as Space, listenIn, Netns } from '../../src/kernel/index.ts';
import type { BgpSession, ClusterStatus } from '../../src/model/index.ts';
import { makeDirs } from '../lib/dirs.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { allReach, type Host, makeMachines, makeNetwork, plugIn, type Workload } from '../lib/machines.ts';
import { Pinging } from '../lib/pinging.ts';
import { frr, type Router, wayIn } from '../lib/routers.ts';
import { okIn, runIn, startIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

async function statusOf(
  { engine }: Host,
  what: string,
  fits: (status: ClusterStatus) => boolean,
): Promise<ClusterStatus> {
  let status: ClusterStatus | undefined;
  await until(what, async () => fits((status = await engine.clusterStatus())), { timeout: 20_000 }).catch((error) => {
    throw new Error(JSON.stringify(status, undefined, 2), { cause: error });
  });
  return status!;
}
const wellOn = (host: Host): Promise<ClusterStatus> =>
  statusOf(host, `all is well on ${host.name}`, ({ faults, bgp }) => bgp !== undefined && faults.length === 0);
const sessionWith = ({ bgp }: ClusterStatus, address: string): BgpSession | undefined =>
  bgp?.neighbors.find((each) => each.address === address);

async function prefixOf({ engine }: Host): Promise<string> {
  return (await engine.networkInspect('pods')).overlay!.self.prefixes[0]!;
}

test('nodes of one segment speak with each other, as many as there are; one restarts, one stays away', async (t) => {
  await using machines = await makeMachines(3, { of: [{}, {}, { join: { bgp: { asn: 64_603 } } }] });
  const [one, two, three] = machines.hosts;
  assert.ok(one && two && three);
  // another BGP daemon
  const other = createServer((socket) => socket.destroy()).listen({
    fd: listenIn(three.netns, { address: '0.0.0.0', port: 179 }).release(),
  });
  await makeNetwork(machines, { name: 'pods', driver: 'overlay', ipv6: true, options: { backend: 'bgp' } });
  const workloads: Workload[] = [];
  for (const [i, host] of machines.hosts.entries()) workloads.push(await host.workload(`w${i}`, 'pods'));
  await allReach(workloads);

  await t.test('what is known of the sessions', async () => {
    await wellOn(one);
    const { bgp } = await wellOn(two);
    assert.deepEqual(
      bgp?.neighbors
        .map(({ node, asn, state, received, sent }) => ({ node, asn, state, received, sent }))
        .toSorted((a, b) => a.asn - b.asn),
      [
        { node: 'host1', asn: 64_512, state: 'established', received: 2, sent: 2 },
        { node: 'host3', asn: 64_603, state: 'established', received: 2, sent: 2 },
      ],
    );
    assert.deepEqual(bgp.listening, ['192.0.2.2', '2001:db8::2']);
    const { faults } = await two.engine.clusterStatus();
    assert.deepEqual(faults, []);
    const metrics = await two.engine.metrics();
    assert.match(metrics, /netloom_bgp_neighbors\{state="established"\} 2\n/);
    assert.match(metrics, /netloom_bgp_prefixes\{direction="received"\} 4\n/);
  });

  await t.test('a port that another program has, until it has it no more', async () => {
    const taken = await three.engine.clusterStatus();
    assert.deepEqual([taken.faults.length, taken.bgp?.listening], [1, ['2001:db8::3']]);
    assert.match(taken.faults[0]!, /TCP port 179 of 192\.0\.2\.3 is taken by another program/);
    other.close();
    assert.equal((await wellOn(three)).bgp?.listening.length, 2);
  });

  await t.test('a network beside it says nothing else, or the same', async () => {
    const options = { backend: 'bgp', asn: '64999' };
    await assert.rejects(one.engine.networkCreate({ name: 'more', driver: 'overlay', options }), {
      code: 'EBADOPTION',
    });
    const before = sessionWith(await two.engine.clusterStatus(), '192.0.2.1');
    await makeNetwork(machines, { name: 'more', driver: 'overlay', options: { backend: 'bgp' } });
    await statusOf(two, 'it is told, too', (status) => sessionWith(status, '192.0.2.1')?.sent === 3);
    // though more is believed from here on
    const after = await statusOf(two, 'it is heard', (status) => sessionWith(status, '192.0.2.1')?.received === 3);
    assert.equal(sessionWith(after, '192.0.2.1')?.since, before?.since);
    await until('it goes', () => one.engine.networkRemove('more').then(() => true));
    await statusOf(two, 'it is taken back', (status) => sessionWith(status, '192.0.2.1')?.sent === 2);
  });

  const prefix = await prefixOf(two);
  await t.test('a daemon restarts: no packet is lost, no route is taken away', async () => {
    await using monitor = startIn(one.netns, ['ip', 'monitor', 'route']);
    await using pings = new Pinging([{ from: workloads[0]!.netns, to: workloads[1]!.addresses[0]! }], 0.02);
    await two.stop();
    const { bgp } = await statusOf(one, 'routes are kept', (status) => sessionWith(status, '192.0.2.2')?.stale === 2);
    assert.equal(bgp?.neighbors.length, 2);
    assert.equal(await wayIn(one.netns, prefix), '192.0.2.2');
    assert.equal(await wayIn(two.netns, await prefixOf(one)), '192.0.2.1');
    await two.start();
    for (const host of machines.hosts) await wellOn(host);
    assert.deepEqual((await pings.stop()).ways, []);
    assert.doesNotMatch(monitor.output(), /Deleted 10\.244/);
  });

  await t.test('a password that is not there yet is said, and nothing else changes; then all have it', async () => {
    using dirs = makeDirs();
    const file = join(dirs.root, 'password');
    await one.engine.networkUpdate('pods', { options: { backend: 'bgp', password_file: file } });
    for (const host of machines.hosts)
      await statusOf(host, 'it is said', ({ faults }) =>
        faults.some((line) => line.includes(`${file} cannot be read`)),
      );
    await allReach(workloads);
    writeFileSync(file, 'open-sesame\n');
    for (const host of machines.hosts) await wellOn(host);
    await one.engine.networkUpdate('pods', { options: { backend: 'bgp', password_file: '' } });
    for (const { engine } of machines.hosts)
      await until('it is heard', async () => (await engine.networkInspect('pods')).overlay?.bgp?.passwordFile === '');
  });

  await t.test('other options for a network that is there; who is away for longer is not reached', async () => {
    await one.engine.networkUpdate('pods', { options: { backend: 'bgp', restart_time: '3', hold_time: '9' } });
    for (const { engine } of machines.hosts)
      await until('it is heard', async () => (await engine.networkInspect('pods')).overlay?.bgp?.restartTime === 3);
    for (const host of machines.hosts) await wellOn(host);
    await allReach(workloads);
    await two.stop();
    const kept = await statusOf(one, 'routes are kept', (status) => sessionWith(status, '192.0.2.2')?.stale === 2);
    assert.ok(kept);
    const gone = await statusOf(one, 'they go', (status) => sessionWith(status, '192.0.2.2')?.received === 0);
    assert.ok(gone);
    await until('the route goes', async () => (await wayIn(one.netns, prefix)) === undefined);
    const { faults } = await one.engine.clusterStatus();
    assert.ok(
      faults.some((line) => line.startsWith('network pods: node host2 is not reached: no BGP neighbor told of ')),
      faults.join('\n'),
    );
    assert.ok(
      faults.some((line) => line.startsWith('BGP neighbor 192.0.2.2 (AS 64512, node host2): ')),
      faults.join('\n'),
    );
    await two.start();
    for (const host of machines.hosts) await wellOn(host);
    await allReach(workloads);
  });

  await t.test('it goes as it came', async () => {
    for (const { engine } of machines.hosts)
      for (const { id } of await engine.endpointList()) await engine.endpointDetach(id);
    await until('nobody has it', () => one.engine.networkRemove('pods').then(() => true));
    for (const host of machines.hosts) await statusOf(host, 'nobody speaks', ({ bgp }) => bgp === undefined);
    for (const { netns } of machines.hosts) assert.doesNotMatch(await okIn(netns, ['ip', 'route']), /proto 110/);
  });
});

const AS = { router: 64_500, one: 64_601, two: 64_602 };

async function makeRouter(netns: Space, dir: string): Promise<Router> {
  const router = await frr(netns, dir, {
    ...{ asn: AS.router, id: '192.0.2.254', networks: [] },
    neighbours: [
      { address: '192.0.2.1', asn: AS.one },
      { address: '198.51.100.2', asn: AS.two },
    ],
  });
  await router.ask('configure terminal', `router bgp ${AS.router}`, 'bgp graceful-restart restart-time 5');
  return router;
}

test('hosts of two segments and of two AS, and a router between them', async (t) => {
  const of = (asn: number, router: string): { bgp: { asn: number; neighbors: string[] } } => ({
    bgp: { asn, neighbors: [`${router}:${AS.router}`] },
  });
  await using machines = await makeMachines(2, {
    of: [{ join: of(AS.one, '192.0.2.254') }, { segment: 2, join: of(AS.two, '198.51.100.254') }],
  });
  const [one, two] = machines.hosts;
  assert.ok(one && two);
  using between = Netns.create();
  await plugIn(machines.wire, between, 'eth0', 'r0', ['192.0.2.254/24', '2001:db8::fe/64']);
  await plugIn(machines.wire, between, 'eth1', 'r1', ['198.51.100.254/24', '2001:db8:2::fe/64']);
  await runIn(between, ['sysctl', '-q', '-w', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
  using dirs = makeDirs();
  await okIn(between, ['chmod', '755', dirs.root]);
  await using router = await makeRouter(between, dirs.root);
  await makeNetwork(machines, { name: 'pods', driver: 'overlay', ipv6: true, options: { backend: 'bgp' } });
  const workloads = [await one.workload('w0', 'pods'), await two.workload('w1', 'pods')];
  await allReach(workloads);
  await wellOn(one);
  await wellOn(two);
  const far = await prefixOf(two);

  await t.test("the router has both hosts' prefixes, and each host the other's by the router", async () => {
    assert.equal(await wayIn(between, await prefixOf(one)), '192.0.2.1');
    assert.equal(await wayIn(between, far), '198.51.100.2');
    assert.equal(await wayIn(one.netns, far), '192.0.2.254');
    const [, six] = (await one.engine.networkInspect('pods')).overlay!.self.prefixes;
    assert.equal(await wayIn(two.netns, six!), '2001:db8:2::fe');
    // beside the two and our own two, which are our AS's: what nobody of the network has is not believed, though it is in the range
    await router.announce(['10.244.0.0/24', '203.0.113.0/24']);
    await statusOf(one, 'it was told', (status) => sessionWith(status, '192.0.2.254')?.received === 5);
    assert.equal(await wayIn(one.netns, '10.244.0.0/24'), undefined);
  });

  await t.test('a daemon restarts: no packet is lost', async () => {
    await using pings = new Pinging([{ from: workloads[0]!.netns, to: workloads[1]!.addresses[0]! }], 0.02);
    await two.stop();
    await until(
      'it is seen',
      async () => !(await router.ask('show bgp neighbors 198.51.100.2')).includes('= Established'),
    );
    assert.equal(await wayIn(between, far), '198.51.100.2');
    await two.start();
    await wellOn(two);
    assert.deepEqual((await pings.stop()).ways, []);
  });

  await t.test('the router dies: what it told stays for its restart time, and then goes', async () => {
    await router.kill();
    await statusOf(one, 'kept', (status) => (sessionWith(status, '192.0.2.254')?.stale ?? 0) > 0);
    assert.equal(await wayIn(one.netns, far), '192.0.2.254');
    await until('it goes', async () => (await wayIn(one.netns, far)) === undefined, { timeout: 20_000 });
    const { faults } = await one.engine.clusterStatus();
    assert.equal(faults.length, 2, faults.join('\n'));
    await router.restart();
    await wellOn(one);
    await allReach(workloads);
  });

  await t.test('an AS that the router does not expect is said in one line, until it is right', async () => {
    const before = of(AS.one, '192.0.2.254');
    await one.join({ bgp: { ...before.bgp, asn: 64_699 } });
    const { faults } = await statusOf(one, 'it is said', ({ faults: lines }) =>
      lines.some((line) => line.includes('OPEN: bad peer AS')),
    );
    assert.equal(
      faults.filter((line) => line === `BGP neighbor 192.0.2.254 (AS ${AS.router}): OPEN: bad peer AS`).length,
      1,
    );
    await one.join(before);
    await wellOn(one);
    await allReach(workloads);
    await assert.rejects(one.join({ bgp: { neighbors: ['192.0.2.254'] } }), { code: 'EBADOPTION' });
  });
});
