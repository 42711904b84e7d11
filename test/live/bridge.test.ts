import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePublish } from '../../src/model/index.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { ADDRESS } from '../lib/host.ts';
import { ping, tcpConnect, tcpServer, udpConnect, udpEcho } from '../lib/peer.ts';
import { jsonIn, okIn } from '../lib/run.ts';

const plain = (address: string): string => address.replace(/\/.*/, '');

test('two endpoints of a dual-stack network reach each other, the outside and nothing else', async () => {
  await using bed = await makeEngineBed({ neighbour: true });
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web', ipv6: true });
  await engine.networkCreate({ name: 'other', ipv6: true });
  const [a, b, c] = [await bed.workload('a'), await bed.workload('b'), await bed.workload('c')];
  const { value: one } = await engine.endpointAttach({ netns: a.path, network: 'web' });
  const { value: two } = await engine.endpointAttach({ netns: b.path, network: 'web' });
  const { value: three } = await engine.endpointAttach({ netns: c.path, network: 'other' });

  for (const address of two.addresses) assert.ok(await ping(a.netns, plain(address)), `a reaches b at ${address}`);
  for (const address of one.addresses)
    assert.ok(await ping(host.netns, plain(address)), `the host reaches a at ${address}`);
  for (const address of [ADDRESS.outside, ADDRESS.internet, ADDRESS.outside6, ADDRESS.internet6]) {
    assert.ok(await ping(a.netns, address), `a reaches the outside at ${address}`);
  }
  for (const address of three.addresses)
    assert.ok(
      !(await ping(a.netns, plain(address), { timeout: 0.3 })),
      `a must not reach the other network at ${address}`,
    );

  // the outside sees the host's address
  await using server = await tcpServer(host.outside, ADDRESS.internet, 7000);
  const answer = await tcpConnect(a.netns, ADDRESS.internet, server.port);
  assert.ok(answer.ok);
  assert.equal(answer.seen.client, ADDRESS.host);

  // a neighbour that routes to the container by the host gets nothing that is not published
  const [v4 = ''] = one.addresses;
  await okIn(host.neighbour, ['ip', 'route', 'add', `${plain(v4)}/32`, 'via', ADDRESS.host]);
  await using inside = await tcpServer(a.netns, '0.0.0.0', 80);
  assert.deepEqual(await tcpConnect(host.neighbour, plain(v4), inside.port, { timeout: 400 }), {
    ok: false,
    error: 'ETIMEDOUT',
  });
  assert.ok((await tcpConnect(host.netns, plain(v4), inside.port)).ok, 'the host itself may');
});

test('a published port answers outside, on the host, on localhost and to the container itself', async () => {
  await using bed = await makeEngineBed({ neighbour: true });
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web', ipv6: true });
  const [a, b] = [await bed.workload('a'), await bed.workload('b')];
  const ports = ['8888:80', '127.0.0.1:7777:80', '9000-9099:9000-9099', '6000-6001:7000-7001', '5353:53/udp'].map(
    parsePublish,
  );
  const { value: endpoint } = await engine.endpointAttach({ netns: a.path, network: 'web', ports });
  await engine.endpointAttach({ netns: b.path, network: 'web' });
  await using servers = new AsyncDisposableStack();
  for (const any of ['0.0.0.0', '::']) {
    for (const port of [80, 9042, 7001]) servers.use(await tcpServer(a.netns, any, port));
    servers.use(await udpEcho(a.netns, any, 53));
  }
  const [v4 = '', v6 = ''] = endpoint.addresses.map(plain);

  const reach = async (from: typeof host.netns, address: string, port: number): Promise<string> => {
    const answer = await tcpConnect(from, address, port, { timeout: 500 });
    return answer.ok ? answer.seen.client : answer.error;
  };
  const gateway = (await engine.networkInspect('web')).subnets.map((s) => s.gateway);
  assert.equal(await reach(host.outside, ADDRESS.host, 8888), ADDRESS.outside);
  assert.equal(await reach(host.neighbour, ADDRESS.host, 8888), ADDRESS.neighbour);
  assert.equal(await reach(host.outside, ADDRESS.host6, 8888), ADDRESS.outside6);
  assert.equal(await reach(host.netns, ADDRESS.host, 8888), ADDRESS.host);
  assert.equal(await reach(host.netns, ADDRESS.host6, 8888), ADDRESS.host6);
  assert.equal(await reach(host.netns, '127.0.0.1', 8888), gateway[0]);
  assert.equal(await reach(host.netns, '::1', 8888), 'ECONNREFUSED', 'refused at once, so that clients try 127.0.0.1');
  assert.equal(await reach(a.netns, ADDRESS.host, 8888), gateway[0], 'to itself by the host');
  assert.equal(await reach(a.netns, ADDRESS.host6, 8888), gateway[1]);
  assert.equal(await reach(b.netns, ADDRESS.host, 8888), gateway[0]);
  assert.equal(await reach(host.outside, ADDRESS.host, 9042), ADDRESS.outside, 'a range');
  assert.equal(await reach(host.outside, ADDRESS.host, 6001), ADDRESS.outside, 'a shifted range');
  assert.equal(await reach(host.netns, '127.0.0.1', 7777), gateway[0]);
  for (const address of [ADDRESS.host, v4])
    assert.notEqual(await reach(host.neighbour, address, 7777), ADDRESS.neighbour);
  await okIn(host.neighbour, ['ip', 'route', 'add', '127.0.0.1/32', 'via', ADDRESS.host, 'table', '100']);
  const udp = await udpConnect(host.outside, ADDRESS.host, 5353);
  assert.ok(udp.ok);
  assert.equal(udp.seen.client, ADDRESS.outside);
  assert.ok(v6 !== '');
});

test('a detached endpoint leaves nothing, and a removed network neither', async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  const before = await jsonIn<{ ifname: string }[]>(host.netns, ['ip', '-j', 'link']);
  await engine.networkCreate({ name: 'web', ipv6: true });
  const a = await bed.workload('a');
  const { value: endpoint } = await engine.endpointAttach({
    netns: a.path,
    network: 'web',
    ports: [parsePublish('8080:80')],
  });
  await engine.endpointDetach(endpoint.id);
  assert.deepEqual(
    (await jsonIn<{ ifname: string }[]>(a.netns, ['ip', '-j', 'link'])).map((l) => l.ifname),
    ['lo'],
  );
  await engine.networkRemove('web');
  assert.deepEqual(
    (await jsonIn<{ ifname: string }[]>(host.netns, ['ip', '-j', 'link'])).map((l) => l.ifname),
    before.map((l) => l.ifname),
  );
  assert.equal((await okIn(host.netns, ['nft', 'list', 'ruleset'])).trim(), '');
});

test('a bridge that somebody deleted is made again by the next endpoint', async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  const { value: network } = await engine.networkCreate({ name: 'web' });
  const [a, b] = [await bed.workload('a'), await bed.workload('b')];
  await engine.endpointAttach({ netns: a.path, network: 'web' });
  const bridge = network.options.driver === 'bridge' ? network.options.bridge : '';
  await okIn(host.netns, ['ip', 'link', 'delete', bridge]);
  await engine.endpointAttach({ netns: b.path, network: 'web' });
  assert.ok(await ping(b.netns, network.subnets[0]?.gateway ?? ''));
});
