import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandsOf, networkWith, OVERLAY, PEER, SELF } from './fixture.test.ts';
import { backendOf, relayOf } from './index.ts';

const udp = backendOf('udp');
const dev = 'tun-0123456789a';

test('a device that stays, with the first address of each own prefix alone, and routes into it', () => {
  const network = networkWith(OVERLAY);
  const made = commandsOf(udp.networkFacts(network, OVERLAY));
  const link = made.find((line) => line.includes('tuntap')) ?? '';
  assert.match(link, new RegExp(`^ip tuntap add dev ${dev} mode tun && ip link set dev ${dev} group \\d+ mtu 1452 &&`));
  for (const address of ['10.244.1.0/32', 'fd00:244:1::/128'])
    assert.ok(
      made.some((line) => line.includes(`address add ${address}`) && line.includes(`dev ${dev}`)),
      address,
    );
  const alone = { ...OVERLAY, self: { ...SELF, addresses: ['192.0.2.1'] } };
  assert.ok(udp.networkFacts(network, alone).some((fact) => fact.kind === 'link' && fact.mtu === 1472));
  const routes = udp.peerFacts(network, OVERLAY, PEER);
  assert.deepEqual(
    routes.map((fact) => fact.kind === 'route' && [fact.dst, fact.via, fact.dev]),
    PEER.prefixes.map((dst) => [dst, '', dev]),
  );
  assert.deepEqual(udp.ways(network, OVERLAY), [dev]);
});

test('the relay is told of every peer that can be reached, by the family that both have', () => {
  const network = networkWith(OVERLAY);
  const six = { ...PEER, node: 'c', addresses: ['2001:db8::3'], prefixes: ['10.244.3.0/24'] };
  const none = { ...PEER, node: 'd', addresses: [], prefixes: ['10.244.4.0/24'] };
  assert.deepEqual(relayOf(network, OVERLAY, [PEER, six, none]), {
    ...{ device: dev, addresses: SELF.addresses, port: 8285 },
    entries: [
      { prefix: '10.244.2.0/24', address: '192.0.2.2', port: 8285 },
      { prefix: 'fd00:244:2::/64', address: '192.0.2.2', port: 8285 },
      { prefix: '10.244.3.0/24', address: '2001:db8::3', port: 8285 },
    ],
  });
  assert.equal(relayOf(network, { ...OVERLAY, port: 9000 }, [PEER]).entries[0]?.port, 9000);
  assert.deepEqual(udp.peerFacts(network, OVERLAY, none), []);
  assert.notEqual(udp.whyNot(network, OVERLAY, none), '');
  assert.equal(udp.whyNot(network, OVERLAY, PEER), '');
});

test('with direct routing, neighbours are reached without the relay, which takes what they still send by theirs', () => {
  const overlay = { ...OVERLAY, directRouting: true };
  const network = networkWith(overlay);
  const routes = udp.peerFacts(network, overlay, PEER);
  assert.deepEqual(
    routes.map((fact) => fact.kind === 'route' && [fact.dst, fact.via, fact.dev]),
    [
      ['10.244.2.0/24', '192.0.2.2', 'eth0'],
      ['fd00:244:2::/64', '2001:db8::2', 'eth0'],
    ],
  );
  assert.equal(relayOf(network, overlay, [PEER]).entries.length, 2);
  assert.deepEqual(udp.ways(network, overlay), [dev, 'eth0']);
});
