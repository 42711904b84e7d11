import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandsOf, networkWith, OVERLAY, PEER, SELF } from './fixture.test.ts';
import { hostGw } from './host-gw.ts';

const network = networkWith(OVERLAY, 1500);
const v6: typeof OVERLAY = { ...OVERLAY, self: { ...SELF, addresses: ['2001:db8::1'] } };

test('a route for each prefix, by an address of its own family', () => {
  assert.deepEqual(commandsOf(hostGw.networkFacts(network, OVERLAY)), [
    'sysctl -q -w net.ipv4.ip_forward=1',
    'sysctl -q -w net.ipv6.conf.all.forwarding=1',
  ]);
  assert.deepEqual(commandsOf(hostGw.peerFacts(network, OVERLAY, PEER)), [
    'ip route add 10.244.2.0/24 via 192.0.2.2 dev eth0 proto 110',
    'ip -6 route add fd00:244:2::/64 via 2001:db8::2 dev eth0 proto 110',
  ]);
  assert.equal(hostGw.whyNot(network, OVERLAY, PEER), '');
  assert.deepEqual(hostGw.ways(network, OVERLAY), ['eth0']);
});

test('IPv4 goes by a gateway of IPv6, and not the other way round', () => {
  assert.deepEqual(commandsOf(hostGw.peerFacts(network, v6, PEER)), [
    'ip route add 10.244.2.0/24 via inet6 2001:db8::2 dev eth0 proto 110',
    'ip -6 route add fd00:244:2::/64 via 2001:db8::2 dev eth0 proto 110',
  ]);
  const only4 = { ...PEER, addresses: ['192.0.2.2'] };
  assert.deepEqual(commandsOf(hostGw.peerFacts(network, OVERLAY, only4)), [
    'ip route add 10.244.2.0/24 via 192.0.2.2 dev eth0 proto 110',
  ]);
  assert.match(hostGw.whyNot(network, OVERLAY, only4), /no address .* fd00:244:2::\/64 could/);
  assert.deepEqual(hostGw.peerFacts(network, v6, only4), [], 'no family in common');
});

test('who is behind a router is not reached', () => {
  const far = { ...PEER, direct: false };
  assert.deepEqual(hostGw.peerFacts(network, OVERLAY, far), []);
  assert.match(hostGw.whyNot(network, OVERLAY, far), /behind a router/);
});
