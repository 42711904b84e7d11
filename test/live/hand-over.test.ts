/** Endpoints whose inside end somebody else takes, as Docker does; here `ip` takes them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint } from '../../src/model/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { stateOf } from '../lib/kernel-state.ts';
import { ping, tcpConnect, tcpServer } from '../lib/peer.ts';
import { ipBatch, jsonIn, okIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

const PORT = { protocol: 'tcp', hostPort: 8080, containerPort: 80, count: 1 } as const;
const HAND_OVER = { netns: '', handOver: true, network: 'web', name: 'docker:5f' } as const;

/** Takes the interface to a namespace and makes it what Docker would. */
async function take(bed: EngineBed, { ifname, addresses, gateways }: Endpoint, path: string): Promise<void> {
  await ipBatch(bed.host.netns, [`link set ${ifname} netns ${path}`]);
  using inside = Netns.open(path);
  await ipBatch(inside, [
    `link set ${ifname} name eth0`,
    ...addresses.map((address) => `addr add ${address} dev eth0${address.includes(':') ? ' nodad' : ''}`),
    'link set eth0 up',
    ...gateways.map((gateway) => `route add default via ${gateway} dev eth0`),
  ]);
}

test('it is born on the host for somebody to take, carries traffic, and outlives engines', async () => {
  await using bed = await makeEngineBed();
  const { engine } = bed;
  await engine.networkCreate({ name: 'web', ipv6: true });
  const before = await stateOf([bed.host.netns]);
  const box = await bed.workload('box');
  const { value: endpoint } = await engine.endpointAttach({ ...HAND_OVER, ports: [PORT], mac: '02:00:00:00:00:05' });
  const [born] = await jsonIn<{ address: string; mtu: number; operstate: string }[]>(bed.host.netns, [
    'ip',
    '-j',
    'link',
    'show',
    'dev',
    endpoint.ifname,
  ]);
  assert.deepEqual([born?.address, born?.mtu, born?.operstate], ['02:00:00:00:00:05', 1500, 'DOWN']);
  assert.equal(endpoint.gateways.length, 2);
  await take(bed, endpoint, box.path);
  await ping(box.netns, ADDRESS.internet);
  await using _server = await tcpServer(box.netns, '0.0.0.0', 80, 'handed over');
  const reached = async (): Promise<unknown> => await tcpConnect(bed.host.outside, ADDRESS.host, 8080);
  const answer = await reached();
  assert.match(JSON.stringify(answer), /handed over/);

  // ---- engines come and go, one of them resident; none touches what is not there to be touched ----
  const whole = await stateOf([bed.host.netns, box.netns]);
  {
    await using resident = await bed.open({ resident: true });
    assert.deepEqual(resident.recovery.repaired, []);
    assert.deepEqual((await resident.gc()).value, { reclaimed: [], removed: [], repaired: [], failed: [] });
    assert.deepEqual(await stateOf([bed.host.netns, box.netns]), whole);
    // the host's end is ours to keep
    await okIn(bed.host.netns, ['ip', 'link', 'set', endpoint.hostIfname, 'down']);
    await until(
      'it is up again',
      async () => JSON.stringify(await stateOf([bed.host.netns, box.netns])) === JSON.stringify(whole),
    );
  }
  // ---- brought back, as Docker does, and taken away ----
  using inside = Netns.open(box.path);
  await ipBatch(inside, [
    'link set eth0 down',
    `link set eth0 name ${endpoint.ifname}`,
    `link set ${endpoint.ifname} netns /proc/${process.pid}/fd/${bed.host.netns.fd}`,
  ]);
  assert.deepEqual((await engine.gc()).value, { reclaimed: [], removed: [], repaired: [], failed: [] });
  await engine.endpointDetach('docker:5f', { behind: true });
  await assert.rejects(engine.endpointDetach('docker:5f', { behind: true }), { code: 'EENDPOINTNOTFOUND' });
  // who wants what it had waits for it
  const { value: next } = await engine.endpointAttach({
    ...HAND_OVER,
    ports: [PORT],
    addresses: endpoint.addresses.map((text) => text.replace(/\/.*/, '')),
  });
  assert.deepEqual(next.addresses, endpoint.addresses);
  await engine.endpointDetach('docker:5f');
  assert.deepEqual(await stateOf([bed.host.netns]), before);
});

test('whatever took it is gone: so is the endpoint, with its address and its port', async () => {
  await using bed = await makeEngineBed();
  const { engine } = bed;
  await engine.networkCreate({ name: 'web' });
  const before = await stateOf([bed.host.netns]);
  const lose = async (): Promise<void> => {
    const { value } = await engine.endpointAttach({ ...HAND_OVER, ports: [PORT] });
    const taker = Netns.create();
    const path = `/proc/${process.pid}/fd/${taker.fd}`;
    await take(bed, value, path);
    taker.close();
    await until(
      'its pair is gone',
      async () => !(await okIn(bed.host.netns, ['ip', '-br', 'link'])).includes(value.hostIfname),
    );
  };
  // nobody looked: a collection says so first, then does it
  await lose();
  const reason = /^endpoint .*docker:5f: its interface is gone, with whatever had taken it$/;
  const dry = await engine.gc({ dryRun: true });
  assert.match(dry.value.reclaimed.join(), reason);
  assert.equal((await engine.endpointList()).length, 1);
  const { value } = await engine.gc();
  assert.match(value.reclaimed.join(), reason);
  assert.deepEqual([await engine.endpointList(), await stateOf([bed.host.netns])], [[], before]);
  // an engine that starts later finds it
  await lose();
  {
    await using resident = await bed.open({ resident: true });
    assert.deepEqual(await resident.endpointList(), []);
    // one that is there hears of it
    await lose();
    await until('it is given up', async () => (await resident.endpointList()).length === 0);
  }
  assert.deepEqual(await stateOf([bed.host.netns]), before);
});

test('an interface on the segment is nobody’s to repair once it was taken', async () => {
  await using bed = await makeEngineBed();
  const { engine } = bed;
  const subnet = { subnet: '192.0.2.0/24', gateway: ADDRESS.outside, ipRange: '192.0.2.64/28' };
  await engine.networkCreate({ name: 'web', driver: 'macvlan', subnets: [subnet], options: { parent: 'eth0' } });
  const before = await stateOf([bed.host.netns]);
  const box = await bed.workload('box');
  const { value: endpoint } = await engine.endpointAttach(HAND_OVER);
  await using resident = await bed.open({ resident: true });
  assert.deepEqual((await resident.gc()).value.removed, []);
  await take(bed, endpoint, box.path);
  await ping(box.netns, ADDRESS.internet);
  const whole = await stateOf([bed.host.netns, box.netns]);
  assert.deepEqual((await resident.gc()).value, { reclaimed: [], removed: [], repaired: [], failed: [] });
  assert.deepEqual(await stateOf([bed.host.netns, box.netns]), whole);
  await ipBatch(box.netns, [
    `link set eth0 down`,
    `link set eth0 name ${endpoint.ifname}`,
    `link set ${endpoint.ifname} netns /proc/${process.pid}/fd/${bed.host.netns.fd}`,
  ]);
  await engine.endpointDetach(endpoint.id);
  assert.deepEqual(await stateOf([bed.host.netns]), before);
});

test('what cannot be handed over is refused', async () => {
  await using bed = await makeEngineBed();
  const { engine } = bed;
  await engine.networkCreate({ name: 'web' });
  await assert.rejects(engine.endpointAttach({ ...HAND_OVER, netns: '/run/netns/x' }), { code: 'EBADNETNS' });
  await assert.rejects(engine.endpointAttach({ ...HAND_OVER, tap: true }), { code: 'EBADNETNS' });
  await assert.rejects(engine.endpointAttach({ ...HAND_OVER, ifname: 'eth0' }), { code: 'ECONFLICT' });
  await engine.endpointAttach(HAND_OVER);
  await assert.rejects(engine.endpointAttach(HAND_OVER), { code: 'ENAMETAKEN' });
});
