import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RemoteEndpoint } from '../model/index.ts';
import { commandsOf, networkWith, OVERLAY, PEER, SELF } from './fixture.test.ts';
import { vxlan } from './vxlan.ts';

const network = networkWith(OVERLAY);
const only4: typeof OVERLAY = { ...OVERLAY, self: { ...SELF, addresses: ['192.0.2.1'] } };
const flat: typeof OVERLAY = { ...only4, plan: 'flat', port: 4789, self: { ...only4.self, prefixes: [] } };
const far = { ...PEER, direct: false };
const endpoint: RemoteEndpoint = {
  id: 'e'.repeat(64),
  network: network.id,
  node: 'b',
  addresses: ['10.244.0.9/16', 'fd00:244::9/32'],
  mac: '02:42:0a:f4:00:09',
};

test('plan node: the device, and how another host is reached by it', () => {
  assert.deepEqual(commandsOf(vxlan.networkFacts(network, only4)), [
    'sysctl -q -w net.ipv4.ip_forward=1',
    'sysctl -q -w net.ipv6.conf.all.forwarding=1',
    'ip link add vx4-0123456789a address 02:42:0a:f4:00:01 mtu 1450 group 28268 ' +
      'type vxlan id 1 local 192.0.2.1 dev eth0 dstport 8472 nolearning && ' +
      "ip link set dev vx4-0123456789a alias 'netloom network 0123456789ab' addrgenmode none && " +
      'ip link set dev vx4-0123456789a up',
    'ip address add 10.244.1.0/32 dev vx4-0123456789a',
    'ip address add fd00:244:1::/128 dev vx4-0123456789a nodad',
    'sysctl -q -w net.ipv4.conf.vx4-0123456789a.rp_filter=2',
  ]);
  assert.deepEqual(commandsOf(vxlan.peerFacts(network, only4, PEER)), [
    'bridge fdb replace 02:42:0a:f4:00:02 dev vx4-0123456789a dst 192.0.2.2 self permanent',
    'ip neigh replace 10.244.2.0 dev vx4-0123456789a lladdr 02:42:0a:f4:00:02 nud permanent protocol 110',
    'ip route add 10.244.2.0/24 via 10.244.2.0 dev vx4-0123456789a onlink proto 110',
    'ip -6 neigh replace fd00:244:2:: dev vx4-0123456789a lladdr 02:42:0a:f4:00:02 nud permanent protocol 110',
    'ip -6 route add fd00:244:2::/64 via fd00:244:2:: dev vx4-0123456789a onlink proto 110',
  ]);
  assert.deepEqual(vxlan.remoteFacts(network, only4, PEER, endpoint), []);
  assert.deepEqual(vxlan.ways(network, only4), ['vx4-0123456789a']);
});

test('a device for each family of the underlay, and one way to each host', () => {
  assert.deepEqual(vxlan.ways(network, OVERLAY), ['vx4-0123456789a', 'vx6-0123456789a']);
  const [entry] = commandsOf(vxlan.peerFacts(network, OVERLAY, { ...PEER, addresses: ['2001:db8::2'] }));
  assert.equal(entry, 'bridge fdb replace 02:42:0a:f4:00:02 dev vx6-0123456789a dst 2001:db8::2 self permanent');
  const six = { ...PEER, addresses: ['2001:db8::2'] };
  assert.deepEqual(vxlan.peerFacts(network, only4, six), []);
  assert.match(vxlan.whyNot(network, only4, six), /of a family/);
  assert.equal(vxlan.whyNot(network, OVERLAY, six), '');
});

test('direct routing: a plain route to a neighbour, as far as there is one', () => {
  const direct = { ...OVERLAY, directRouting: true };
  assert.deepEqual(commandsOf(vxlan.peerFacts(network, direct, PEER)), [
    'ip route add 10.244.2.0/24 via 192.0.2.2 dev eth0 proto 110',
    'ip -6 route add fd00:244:2::/64 via 2001:db8::2 dev eth0 proto 110',
  ]);
  assert.deepEqual(vxlan.peerFacts(network, direct, far), vxlan.peerFacts(network, OVERLAY, far));
  assert.deepEqual(commandsOf(vxlan.peerFacts(network, direct, { ...PEER, addresses: ['192.0.2.2'] })), [
    'bridge fdb replace 02:42:0a:f4:00:02 dev vx4-0123456789a dst 192.0.2.2 self permanent',
    'ip -6 neigh replace fd00:244:2:: dev vx4-0123456789a lladdr 02:42:0a:f4:00:02 nud permanent protocol 110',
    'ip -6 route add fd00:244:2::/64 via fd00:244:2:: dev vx4-0123456789a onlink proto 110',
    'ip route add 10.244.2.0/24 via 192.0.2.2 dev eth0 proto 110',
  ]);
  assert.deepEqual(vxlan.ways(network, direct), ['vx4-0123456789a', 'vx6-0123456789a', 'eth0']);
});

test('plan flat: the device is a port, and every endpoint elsewhere is written down', () => {
  const shared = networkWith(flat);
  assert.deepEqual(commandsOf(vxlan.networkFacts(shared, flat)), [
    'ip link add vx4-0123456789a mtu 1450 group 28268 master br0 ' +
      'type vxlan id 1 local 192.0.2.1 dev eth0 dstport 4789 nolearning && ' +
      "ip link set dev vx4-0123456789a alias 'netloom network 0123456789ab' addrgenmode none && " +
      'ip link set dev vx4-0123456789a up',
    'ip link set dev vx4-0123456789a type bridge_slave hairpin off isolated off learning off flood off ' +
      'proxy_arp_wifi off mcast_flood off bcast_flood off neigh_suppress on',
  ]);
  assert.deepEqual(vxlan.peerFacts(shared, flat, PEER), []);
  const known = { ...PEER, hostAddresses: ['10.244.0.64/16', 'fd00:244::40/32'] };
  assert.deepEqual(commandsOf(vxlan.peerFacts(shared, flat, known)), [
    'bridge fdb replace 02:42:0a:f4:00:02 dev vx4-0123456789a dst 192.0.2.2 self permanent',
    'bridge fdb replace 02:42:0a:f4:00:02 dev vx4-0123456789a master static',
    'ip neigh replace 10.244.0.64 dev br0 lladdr 02:42:0a:f4:00:02 nud permanent protocol 110',
    'ip -6 neigh replace fd00:244::40 dev br0 lladdr 02:42:0a:f4:00:02 nud permanent protocol 110',
  ]);
  assert.deepEqual(commandsOf(vxlan.remoteFacts(shared, flat, PEER, endpoint)), [
    'bridge fdb replace 02:42:0a:f4:00:09 dev vx4-0123456789a dst 192.0.2.2 self permanent',
    'bridge fdb replace 02:42:0a:f4:00:09 dev vx4-0123456789a master static',
    'ip neigh replace 10.244.0.9 dev br0 lladdr 02:42:0a:f4:00:09 nud permanent protocol 110',
    'ip -6 neigh replace fd00:244::9 dev br0 lladdr 02:42:0a:f4:00:09 nud permanent protocol 110',
  ]);
});

test('plan flat: a family of underlay that cannot carry the frames has no device', () => {
  const both = { ...OVERLAY, plan: 'flat' } as const;
  const six = { ...PEER, addresses: ['2001:db8::2'] };
  assert.deepEqual(vxlan.ways(networkWith(both, 1450), both), ['vx4-0123456789a']);
  assert.deepEqual(vxlan.ways(networkWith(both, 1430), both), ['vx4-0123456789a', 'vx6-0123456789a']);
  assert.match(vxlan.whyNot(networkWith(both, 1450), both, six), /1450 bytes/);
  assert.deepEqual(vxlan.remoteFacts(networkWith(both, 1450), both, six, endpoint), []);
  assert.equal(vxlan.whyNot(networkWith(both, 1430), both, six), '');
});
