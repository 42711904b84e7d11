import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePublish } from '../../src/model/index.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { bare, differences } from '../lib/lan.ts';
import { ping, tcpConnect, tcpServer, udpConnect, udpEcho } from '../lib/peer.ts';
import { ipBatch, jsonIn } from '../lib/run.ts';
import { linksOf, snapshot } from '../lib/snapshot.ts';
import type { Netns } from '../../src/kernel/index.ts';

checkDescriptors();

const PORTS = ['8080:80', '9000-9001:9000-9001', '5353:53/udp'].map(parsePublish);

/** Whoever is outside and knows the way to the endpoint's own addresses. */
async function routeBy(netns: Netns, addresses: readonly string[]): Promise<void> {
  await ipBatch(
    netns,
    addresses.map((a) => `route add ${a} via ${a.includes(':') ? ADDRESS.host6 : ADDRESS.host}`),
  );
}

test('gateway mode routed: no translation, a published port is open at the endpoint’s own address', async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  const { value: web } = await engine.networkCreate({ name: 'web', ipv6: true, options: { gateway_mode: 'routed' } });
  await engine.networkCreate({ name: 'other', ipv6: true });
  const [a, b, o] = [await bed.workload('a'), await bed.workload('b'), await bed.workload('o')];
  const { value: one } = await engine.endpointAttach({ netns: a.path, network: 'web', ports: PORTS });
  // the host's port is nobody's: a second endpoint may have the same
  const { value: two } = await engine.endpointAttach({ netns: b.path, network: 'web', ports: PORTS });
  await engine.endpointAttach({ netns: o.path, network: 'other' });
  assert.deepEqual(
    one.ports.map((p) => [p.hostAddress, p.hostPort, p.containerPort]),
    PORTS.flatMap((p) => bare(one.addresses).map((address) => [address, p.containerPort, p.containerPort])),
  );
  const mine = bare(one.addresses);
  await routeBy(host.outside, mine);
  await using servers = new AsyncDisposableStack();
  for (const any of ['0.0.0.0', '::']) {
    for (const port of [80, 9001, 81]) servers.use(await tcpServer(a.netns, any, port));
    servers.use(await udpEcho(a.netns, any, 53));
    servers.use(await tcpServer(host.outside, any, 7000));
  }
  for (const address of mine) {
    for (const port of [80, 9001]) {
      const answer = await tcpConnect(host.outside, address, port);
      assert.ok(answer.ok, `${address} port ${port}`);
    }
    assert.ok((await udpConnect(host.outside, address, 53)).ok, address);
    assert.ok(await ping(host.outside, address), 'ICMP says whether it is there');
    assert.ok((await tcpConnect(o.netns, address, 80)).ok, 'also from another network');
    const closed = await tcpConnect(host.outside, address, 81, { timeout: 300 });
    assert.deepEqual(closed, { ok: false, error: 'ETIMEDOUT' }, 'what is not published is closed');
    assert.ok(!(await tcpConnect(host.outside, address.includes(':') ? ADDRESS.host6 : ADDRESS.host, 8080)).ok);
  }
  // outward with its own address
  for (const [i, target] of [ADDRESS.outside, ADDRESS.outside6].entries()) {
    const answer = await tcpConnect(a.netns, target, 7000);
    assert.ok(answer.ok);
    assert.equal(answer.seen.client, mine[i]);
  }
  assert.deepEqual(await differences(bed, web, [one, two]), []);
});

test('gateway mode nat-unprotected: translated, and open to whoever routes to it, other networks left out', async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web', ipv6: true, options: { gateway_mode: 'nat-unprotected' } });
  await engine.networkCreate({ name: 'other', ipv6: true });
  const [a, o] = [await bed.workload('a'), await bed.workload('o')];
  const { value: one } = await engine.endpointAttach({ netns: a.path, network: 'web', ports: PORTS });
  await engine.endpointAttach({ netns: o.path, network: 'other' });
  await routeBy(host.outside, bare(one.addresses));
  await using servers = new AsyncDisposableStack();
  for (const any of ['0.0.0.0', '::']) {
    for (const port of [80, 81]) servers.use(await tcpServer(a.netns, any, port));
    servers.use(await tcpServer(host.outside, any, 7000));
  }
  for (const address of bare(one.addresses)) {
    assert.ok((await tcpConnect(host.outside, address, 81)).ok, address);
    assert.ok(!(await tcpConnect(o.netns, address, 81, { timeout: 300 })).ok, 'networks stay apart');
  }
  assert.ok((await tcpConnect(host.outside, ADDRESS.host, 8080)).ok);
  const answer = await tcpConnect(a.netns, ADDRESS.outside, 7000);
  assert.ok(answer.ok);
  assert.equal(answer.seen.client, ADDRESS.host);
});

test('modes differ by family: IPv4 translated, IPv6 routed, as Docker’s names say', async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  await engine.networkCreate({
    name: 'web',
    ipv6: true,
    options: { 'com.docker.network.bridge.gateway_mode_ipv6': 'routed' },
  });
  const a = await bed.workload('a');
  const { value: one } = await engine.endpointAttach({ netns: a.path, network: 'web', ports: PORTS.slice(0, 1) });
  const [v4 = '', v6 = ''] = bare(one.addresses);
  assert.deepEqual(
    one.ports.map((p) => `${p.hostAddress} ${p.hostPort}`),
    ['0.0.0.0 8080', `${v6} 80`],
  );
  await using _server4 = await tcpServer(a.netns, '0.0.0.0', 80);
  await using _server6 = await tcpServer(a.netns, '::', 80);
  await routeBy(host.outside, [v4, v6]);
  assert.ok((await tcpConnect(host.outside, ADDRESS.host, 8080)).ok);
  assert.ok((await tcpConnect(host.outside, v6, 80)).ok);
  assert.ok(!(await tcpConnect(host.outside, v4, 80, { timeout: 300 })).ok);
});

test('gateway mode isolated: endpoints among themselves, and no address of the host', async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  await assert.rejects(engine.networkCreate({ name: 'x', options: { gateway_mode: 'isolated' } }), {
    code: 'EBADOPTION',
    message: /only an internal network/,
  });
  const { value: web } = await engine.networkCreate({
    name: 'web',
    internal: true,
    ipv6: true,
    options: { gateway_mode: 'isolated' },
  });
  assert.deepEqual(
    web.subnets.map((s) => s.gateway),
    ['', ''],
  );
  const [a, b] = [await bed.workload('a'), await bed.workload('b')];
  await engine.endpointAttach({ netns: a.path, network: 'web' });
  const { value: two } = await engine.endpointAttach({ netns: b.path, network: 'web' });
  for (const address of bare(two.addresses)) {
    assert.ok(await ping(a.netns, address), address);
    assert.ok(!(await ping(host.netns, address, { timeout: 0.3 })));
  }
  const bridge = (await linksOf(host.netns)).find((l) => l.ifname.startsWith('br-'));
  assert.deepEqual(bridge?.addr_info, []);
});

test('a tap: a port of the bridge that stays, for whoever may open it, with ports published to its machine', async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  const before = await snapshot(host.netns, { macOf: () => true });
  const { value: web } = await engine.networkCreate({ name: 'web', ipv6: true });
  const a = await bed.workload('a');
  await engine.endpointAttach({ netns: a.path, network: 'web' });
  const { value: vm } = await engine.endpointAttach({
    netns: '',
    tap: true,
    tapUid: 0,
    ifname: 'vm0',
    network: 'web',
    ports: [parsePublish('8080:80')],
  });
  const { value: drawn } = await engine.endpointAttach({ netns: '', tap: true, network: 'web' });
  assert.deepEqual([vm.type, vm.ifname, vm.hostIfname, vm.netns], ['tap', 'vm0', 'vm0', '']);
  assert.match(drawn.ifname, /^tap[0-9a-f]{11}$/);
  assert.notEqual(vm.mac, '');
  assert.equal(vm.gateways.length, 2, 'for whoever configures the machine');
  assert.deepEqual(await differences(bed, web, [vm, drawn]), []);
  const links = await jsonIn<{ ifname: string; master?: string; linkinfo: { info_data: { user?: unknown } } }[]>(
    host.netns,
    ['ip', '-j', '-d', 'link', 'show', 'vm0'],
  );
  assert.equal(links[0]?.master, web.options.driver === 'bridge' ? web.options.bridge : '');
  // the machine: everything that a hypervisor would bring to it, here by a process that opens the tap
  await assert.rejects(engine.endpointAttach({ netns: '', tap: true, ifname: 'vm0', network: 'web' }), {
    code: 'ECONFLICT',
    message: /vm0/,
  });
  await assert.rejects(engine.endpointAttach({ netns: a.path, tap: true, network: 'web' }), { code: 'EBADNETNS' });
  await assert.rejects(engine.endpointAttach({ netns: '', network: 'web' }), { code: 'EBADNETNS' });
  await assert.rejects(engine.endpointAttach({ netns: a.path, tapUid: 0, network: 'web' }), { code: 'EBADOPTION' });
  assert.equal((await engine.endpointList()).length, 3);
  for (const { id } of await engine.endpointList()) await engine.endpointDetach(id);
  await engine.networkRemove('web');
  assert.deepEqual(await snapshot(host.netns, { macOf: () => true }), before);
});
