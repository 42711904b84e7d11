import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Overlay, Peer } from '../model/index.ts';
import { bgp, bgpOf } from './bgp.ts';
import { commandsOf, networkWith, OVERLAY, PEER, SELF } from './fixture.test.ts';

const MESH: Overlay = {
  ...{ ...OVERLAY, backend: 'bgp' },
  bgp: { asn: 64_512, neighbors: [], passwordFile: '', holdTime: 90, restartTime: 120 },
  self: { ...SELF, backend: 'bgp', bgp: { asn: 64_512, mesh: true } },
};
const ROUTED: Overlay = { ...MESH, bgp: { ...MESH.bgp!, neighbors: [{ address: '192.0.2.254', asn: 64_513 }] } };
const network = networkWith(MESH, 1500);
const [FOUR = '', SIX = ''] = PEER.prefixes;
const by = (...vias: readonly [prefix: string, via: string][]): Peer => ({
  ...PEER,
  ...{ backend: 'bgp', bgp: { asn: 64_520, mesh: true } },
  ways: vias.map(([prefix, via]) => ({ prefix, via, dev: 'eth0', from: '192.0.2.254' })),
});

test('a route for each prefix that somebody told of, by whom he said', () => {
  assert.deepEqual(commandsOf(bgp.networkFacts(network, MESH)), [
    'sysctl -q -w net.ipv4.ip_forward=1',
    'sysctl -q -w net.ipv6.conf.all.forwarding=1',
  ]);
  const told = by([FOUR, '192.0.2.254'], [SIX, '2001:db8::fe']);
  assert.deepEqual(commandsOf(bgp.peerFacts(network, MESH, told)), [
    'ip route add 10.244.2.0/24 via 192.0.2.254 dev eth0 proto 110',
    'ip -6 route add fd00:244:2::/64 via 2001:db8::fe dev eth0 proto 110',
  ]);
  assert.equal(bgp.whyNot(network, MESH, told), '');
  const only6 = by([FOUR, '2001:db8::fe']);
  assert.deepEqual(commandsOf(bgp.peerFacts(network, MESH, only6)), [
    'ip route add 10.244.2.0/24 via inet6 2001:db8::fe dev eth0 proto 110',
  ]);
  assert.deepEqual(bgp.untold?.(only6), [SIX]);
  assert.deepEqual(bgp.ways(network, MESH), ['eth0']);
});

test('why a host is not reached', () => {
  const whys: [overlay: Overlay, peer: Peer, why: RegExp][] = [
    [MESH, by([FOUR, '192.0.2.2']), /^is not reached: no BGP neighbor told of fd00:244:2::\/64$/],
    [ROUTED, by(), /no BGP neighbor told of 10\.244\.2\.0\/24, fd00:244:2::\/64$/],
    [ROUTED, { ...by(), direct: false }, /no BGP neighbor told of/],
    [MESH, { ...by(), direct: false }, /behind a router, and without neighbors/],
    [MESH, { ...by(), bgp: { asn: 64_520, mesh: false } }, /speaks BGP with routers/],
    [MESH, { ...by(), addresses: [] }, /no address on the underlay/],
  ];
  for (const [overlay, peer, why] of whys) assert.match(bgp.whyNot(network, overlay, peer), why);
});

test('hosts speak with each other, on one segment, unless there are routers to speak with', () => {
  const far = { ...by(), node: 'far', direct: false };
  const routed = { ...by(), node: 'routed', bgp: { asn: 1, mesh: false } };
  const older: Peer = { ...PEER, node: 'older' };
  assert.deepEqual(bgpOf(network, MESH, [by(), far, routed, older]), {
    prefixes: SELF.prefixes,
    nextHop: SELF.addresses,
    neighbors: [{ address: '192.0.2.2', asn: 64_520, node: 'b', source: '192.0.2.1' }],
  });
  assert.deepEqual(bgpOf(network, ROUTED, [by()]).neighbors, [{ address: '192.0.2.254', asn: 64_513 }]);
});
