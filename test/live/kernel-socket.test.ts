import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { hasCode } from '../../src/errors.ts';
import { bindUdpIn, listenIn, Netns, probePort, tcpSocketIn } from '../../src/kernel/index.ts';
import { NETLINK, NetlinkConn } from '../../src/netlink/index.ts';

let netns: Netns;
before(() => {
  netns = Netns.create();
  using conn = NetlinkConn.open(NETLINK.ROUTE, netns);
  // ip link set lo up: RTM_NEWLINK with IFF_UP of index 1
  conn.executeSync({ type: 16, flags: 0, label: 'lo up', body: (w) => void w.rawU32(0).rawI32(1).rawU32(1).rawU32(1) });
});
after(() => netns.close());

async function serve(address: string): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => socket.end(`hello ${socket.remoteAddress}`));
  server.listen({ fd: listenIn(netns, { address, port: 0 }).release() });
  await once(server, 'listening');
  const at = server.address();
  return { server, port: typeof at === 'object' && at ? at.port : 0 };
}

for (const [family, address] of [
  [4, '127.0.0.1'],
  [6, '::1'],
] as const) {
  test(`node:net serves and connects in a namespace by IPv${family}`, { timeout: 60_000 }, async () => {
    const { server, port } = await serve(address);
    const client = new Socket({ fd: tcpSocketIn(netns, family).release() });
    client.setEncoding('utf8').connect(port, address);
    let text = '';
    for await (const part of client) text += String(part);
    assert.equal(text, `hello ${address}`);
    assert.equal(probePort(netns, { protocol: 'tcp', address, port }), false);
    // the same port of this process's own namespace has nothing to do with it
    using own = Netns.create();
    assert.equal(probePort(own, { protocol: 'tcp', address: family === 4 ? '0.0.0.0' : '::', port }), true);
    server.close();
    await once(server, 'close');
    assert.equal(probePort(netns, { protocol: 'tcp', address, port }), true, 'free, though TIME_WAIT remains');
  });

  test(`node:dgram sends and receives in a namespace by IPv${family}`, { timeout: 60_000 }, async () => {
    const type = family === 4 ? 'udp4' : 'udp6';
    const [a, b] = [createSocket(type), createSocket(type)];
    a.bind({ fd: bindUdpIn(netns, { address, port: 0 }).release() });
    b.bind({ fd: bindUdpIn(netns, { address, port: 0 }).release() });
    assert.equal(probePort(netns, { protocol: 'udp', address, port: a.address().port }), false);
    assert.equal(probePort(netns, { protocol: 'tcp', address, port: a.address().port }), true);
    const got = once(a, 'message');
    b.send('ping', a.address().port, address);
    assert.equal(String((await got)[0]), 'ping');
    a.close();
    b.close();
  });
}

test('a wildcard listener holds the port of every address of its family, and of no other', () => {
  const port = 4711;
  using _four = listenIn(netns, { address: '0.0.0.0', port });
  assert.equal(probePort(netns, { protocol: 'tcp', address: '127.0.0.1', port }), false);
  assert.equal(probePort(netns, { protocol: 'tcp', address: '::', port }), true);
  using _six = listenIn(netns, { address: '::', port });
  assert.equal(probePort(netns, { protocol: 'tcp', address: '::1', port }), false);
  assert.throws(
    () => listenIn(netns, { address: '0.0.0.0', port }),
    (e) => hasCode(e, 'EADDRINUSE'),
  );
});

test('a UDP port is taken whoever holds it', () => {
  using _one = bindUdpIn(netns, { address: '0.0.0.0', port: 53 });
  assert.equal(probePort(netns, { protocol: 'udp', address: '127.0.0.1', port: 53 }), false);
  assert.equal(probePort(netns, { protocol: 'udp', address: '::', port: 53 }), true);
  assert.throws(
    () => bindUdpIn(netns, { address: '127.0.0.1', port: 53 }),
    (e) => hasCode(e, 'EADDRINUSE'),
  );
});

test('SCTP can be asked for, whether the kernel has it or not', () => {
  assert.equal(probePort(netns, { protocol: 'sctp', address: '0.0.0.0', port: 36412 }), true);
});

test('an address that is not there, or no address at all, is told apart', () => {
  for (const protocol of ['tcp', 'udp'] as const) {
    assert.throws(
      () => probePort(netns, { protocol, address: '192.0.2.1', port: 80 }),
      (e) => hasCode(e, 'EADDRNOTAVAIL'),
    );
    assert.throws(
      () => probePort(netns, { protocol, address: '2001:db8::1', port: 80 }),
      (e) => hasCode(e, 'EADDRNOTAVAIL'),
    );
    assert.throws(
      () => probePort(netns, { protocol, address: 'localhost', port: 80 }),
      (e) => hasCode(e, 'EINVAL'),
    );
    assert.throws(
      () => probePort(netns, { protocol, address: '127.0.0.1', port: 65536 }),
      (e) => hasCode(e, 'EINVAL'),
    );
  }
});
