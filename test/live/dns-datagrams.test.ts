import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Datagrams, native, Netns, serviceSocketIn } from '../../src/kernel/index.ts';
import { ipBatch } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

async function loopback(): Promise<Netns> {
  const netns = Netns.create();
  await ipBatch(netns, ['link set lo up']);
  return netns;
}

for (const [address, family] of [
  ['127.0.0.1', 2],
  ['::1', 10],
] as const) {
  test(`datagrams go and come back by 64, each to who sent it, at ${address}`, async () => {
    using netns = await loopback();
    using server = serviceSocketIn(netns, 'udp', { address, port: 5353 });
    using client = serviceSocketIn(netns, 'udp', { address, port: 5354 });
    const out = new Datagrams(32);
    const peer = native.socketName(server.number);
    for (let i = 0; i < 64; i++) {
      out.peers.set(peer, i * Datagrams.PEER);
      out.buffer.fill(i, i * 32, i * 32 + 32);
      out.lengths[i] = i % 8 === 7 ? 0 : 1 + (i % 32);
    }
    assert.equal(out.send(client.number, 64), 56, 'a length of 0 is left out');
    assert.equal(out.send(client.number, 20), 18);
    const box = new Datagrams(24);
    let seen = 0;
    for (;;) {
      const count = box.receive(server.number);
      if (count === 0) break;
      assert.ok(count <= 64);
      for (let i = 0; i < count; i++) {
        const value = box.buffer[i * 24]!;
        assert.equal(box.lengths[i], 1 + (value % 32), 'the true length, cut or not');
        assert.equal(box.peers[i * Datagrams.PEER], family);
        box.lengths[i] = Math.min(box.lengths[i]!, 24);
      }
      assert.equal(box.send(server.number, count), count);
      seen += count;
    }
    assert.equal(seen, 74);
    let back = 0;
    await until('all came back', () => (back += out.receive(client.number)) === 74);
  });
}

test('what the kernel refuses keeps nothing else from going', async () => {
  using netns = await loopback();
  using socket = serviceSocketIn(netns, 'udp', { address: '127.0.0.1', port: 5353 });
  const box = new Datagrams(8);
  const here = native.socketName(socket.number);
  for (let i = 0; i < 6; i++) {
    box.peers.set(here, i * Datagrams.PEER);
    if (i % 2) box.peers.set([192, 0, 2, 1], i * Datagrams.PEER + 4); // no route
    box.lengths[i] = 8;
  }
  assert.equal(box.send(socket.number, 6), 3);
});

test('wrong arguments are EINVAL, never memory of somebody else', async () => {
  using netns = await loopback();
  using socket = serviceSocketIn(netns, 'udp', { address: '127.0.0.1', port: 0 });
  const fd = socket.number;
  const bytes = new Uint8Array(100);
  const lengths = new Uint32Array(4);
  const peers = new Uint8Array(28 * 4);
  const wrong = (call: () => unknown): void => assert.throws(call, (e: { errno?: number }) => e.errno === 22);
  wrong(() => native.receiveFrom(fd, bytes, 0, lengths, peers));
  wrong(() => native.receiveFrom(fd, bytes, 101, lengths, peers));
  wrong(() => native.receiveFrom(fd, bytes, 10, new Uint32Array(0), peers));
  wrong(() => native.receiveFrom(fd, bytes, 10, lengths, new Uint8Array(27)));
  wrong(() => native.receiveFrom(fd, bytes, 10, bytes as never, peers));
  wrong(() => native.sendTo(fd, bytes, 10, lengths, peers, 5));
  lengths[0] = 11;
  wrong(() => native.sendTo(fd, bytes, 10, lengths, peers, 1));
  assert.throws(
    () => native.receiveFrom(-1, bytes, 10, lengths, peers),
    (e: { errno?: number }) => e.errno === 9,
  );
});

test('an address that is not there yet can be listened at, but no port twice', async () => {
  using netns = await loopback();
  for (const protocol of ['udp', 'tcp'] as const) {
    for (const address of ['192.0.2.1', '2001:db8::1']) {
      using _one = serviceSocketIn(netns, protocol, { address, port: 53 });
      assert.throws(() => serviceSocketIn(netns, protocol, { address, port: 53 }), { code: 'EADDRINUSE' });
    }
  }
});
