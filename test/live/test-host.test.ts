import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS, makeHost } from '../lib/host.ts';
import { ping, tcpConnect, tcpHold, tcpServer, udpConnect, udpEcho } from '../lib/peer.ts';
import { jsonIn, okIn } from '../lib/run.ts';

checkDescriptors();

test('a test host reaches its outside and the internet beyond, by both families', async () => {
  await using host = await makeHost();
  const routes = await jsonIn<{ dst: string; gateway?: string }[]>(host.netns, ['ip', '-j', 'route']);
  assert.deepEqual(
    routes.map((r) => [r.dst, r.gateway]),
    [
      ['default', ADDRESS.outside],
      ['192.0.2.0/24', undefined],
    ],
  );
  for (const address of [ADDRESS.outside, ADDRESS.outside6, ADDRESS.internet, ADDRESS.internet6]) {
    assert.equal(await ping(host.netns, address), true, address);
  }
  assert.equal(await ping(host.netns, '192.0.2.77', { timeout: 0.2 }), false);
});

test('servers say what they saw of their client', async () => {
  await using host = await makeHost();
  await using tcp = await tcpServer(host.outside, '0.0.0.0', 80, 'web');
  await using tcp6 = await tcpServer(host.outside, '::', 80, 'web6');
  await using udp = await udpEcho(host.outside, '0.0.0.0', 53, 'dns');
  await using udp6 = await udpEcho(host.outside, '::', 0, 'dns6');

  const v4 = await tcpConnect(host.netns, ADDRESS.internet, tcp.port, { source: ADDRESS.host, sourcePort: 4567 });
  assert.deepEqual(v4.ok && v4.seen, {
    reply: 'web',
    client: ADDRESS.host,
    clientPort: 4567,
    local: ADDRESS.internet,
    localPort: 80,
  });
  const v6 = await tcpConnect(host.netns, ADDRESS.outside6, tcp6.port);
  assert.equal(v6.ok && v6.seen.client, ADDRESS.host6);
  const datagram = await udpConnect(host.netns, ADDRESS.outside, udp.port);
  assert.equal(datagram.ok && datagram.seen.reply + ' ' + datagram.seen.client, `dns ${ADDRESS.host}`);
  const datagram6 = await udpConnect(host.netns, ADDRESS.outside6, udp6.port);
  assert.equal(datagram6.ok && datagram6.seen.client, ADDRESS.host6);

  assert.deepEqual(await tcpConnect(host.netns, ADDRESS.outside, 81), { ok: false, error: 'ECONNREFUSED' });
  assert.deepEqual(await udpConnect(host.netns, ADDRESS.outside, 54), { ok: false, error: 'ECONNREFUSED' });
  await assert.rejects(tcpServer(host.outside, '0.0.0.0', 80), /EADDRINUSE/);
});

test('a held connection answers again until the way is cut', async () => {
  await using host = await makeHost();
  await using web = await tcpServer(host.outside, ADDRESS.outside, 0);
  await using connection = await tcpHold(host.netns, ADDRESS.outside, web.port);
  assert.equal((await connection.again()).ok, true);
  await okIn(host.netns, ['ip', 'link', 'set', 'eth0', 'down']);
  assert.deepEqual(await connection.again(100), { ok: false, error: 'ETIMEDOUT' });
});

test('a neighbour shares the segment', async () => {
  await using host = await makeHost({ neighbour: true, mtu: 1400 });
  for (const address of [ADDRESS.host, ADDRESS.host6, ADDRESS.outside, ADDRESS.outside6]) {
    assert.equal(await ping(host.neighbour, address), true, address);
  }
  assert.equal(await ping(host.netns, ADDRESS.internet), true);
  const [link] = await jsonIn<{ mtu: number }[]>(host.netns, ['ip', '-j', 'link', 'show', 'eth0']);
  assert.equal(link?.mtu, 1400);
});
