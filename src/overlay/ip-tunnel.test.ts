import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandsOf, networkWith, OVERLAY, PEER, SELF } from './fixture.test.ts';
import { gre } from './gre.ts';
import { ipip } from './ipip.ts';

const network = networkWith(OVERLAY);
const SYSCTLS = ['sysctl -q -w net.ipv4.ip_forward=1', 'sysctl -q -w net.ipv6.conf.all.forwarding=1'];

test('ipip: one device for each family of inner packets, which every network of this host shares', () => {
  assert.deepEqual(commandsOf(ipip.networkFacts(network, OVERLAY)), [
    ...SYSCTLS,
    'ip link add ipip-c0000201 mtu 1480 group 28268 type ipip local 192.0.2.1 dev eth0 ttl 64 mode ipip && ' +
      "ip link set dev ipip-c0000201 alias 'netloom ipip of 192.0.2.1' addrgenmode none && ip link set dev ipip-c0000201 up",
    'ip link add gre6-c0000201 mtu 1476 group 28268 type gre local 192.0.2.1 dev eth0 ttl 64 && ' +
      "ip link set dev gre6-c0000201 alias 'netloom ipip of 192.0.2.1' addrgenmode none && ip link set dev gre6-c0000201 up",
    'ip address add 10.244.1.0/32 dev ipip-c0000201',
    'ip address add fd00:244:1::/128 dev gre6-c0000201 nodad',
    'sysctl -q -w net.ipv4.conf.ipip-c0000201.rp_filter=2',
    'sysctl -q -w net.ipv4.conf.gre6-c0000201.rp_filter=2',
  ]);
  assert.deepEqual(commandsOf(ipip.peerFacts(network, OVERLAY, PEER)), [
    'ip route add 10.244.2.0/24 via 192.0.2.2 dev ipip-c0000201 onlink proto 110',
    'ip -6 neigh replace fd00:244:2:: dev gre6-c0000201 lladdr 192.0.2.2 nud permanent protocol 110',
    'ip -6 route add fd00:244:2::/64 via fd00:244:2:: dev gre6-c0000201 onlink proto 110',
  ]);
  const only4 = { ...OVERLAY, self: { ...SELF, prefixes: ['10.244.1.0/24'] } };
  assert.deepEqual(ipip.ways(network, only4), ['ipip-c0000201']);
  const again = { ...network, id: 'f'.repeat(64), name: 'other' };
  const links = (of: typeof network): unknown =>
    ipip.networkFacts(of, OVERLAY).flatMap((fact) => (fact.kind === 'link' ? [{ ...fact, object: '' }] : []));
  assert.deepEqual(links(again), links(network));
});

test('gre: one device for each network, by its key, and neighbours that say where gateways are', () => {
  assert.deepEqual(commandsOf(gre.networkFacts(network, { ...OVERLAY, vni: 77 })), [
    ...SYSCTLS,
    'ip link add gre-0123456789a mtu 1472 group 28268 type gre local 192.0.2.1 dev eth0 ttl 64 key 77 && ' +
      "ip link set dev gre-0123456789a alias 'netloom network 0123456789ab' addrgenmode none && ip link set dev gre-0123456789a up",
    'ip address add 10.244.1.0/32 dev gre-0123456789a',
    'ip address add fd00:244:1::/128 dev gre-0123456789a nodad',
    'sysctl -q -w net.ipv4.conf.gre-0123456789a.rp_filter=2',
  ]);
  assert.deepEqual(commandsOf(gre.peerFacts(network, OVERLAY, PEER)), [
    'ip neigh replace 10.244.2.0 dev gre-0123456789a lladdr 192.0.2.2 nud permanent protocol 110',
    'ip route add 10.244.2.0/24 via 10.244.2.0 dev gre-0123456789a onlink proto 110',
    'ip -6 neigh replace fd00:244:2:: dev gre-0123456789a lladdr 192.0.2.2 nud permanent protocol 110',
    'ip -6 route add fd00:244:2::/64 via fd00:244:2:: dev gre-0123456789a onlink proto 110',
  ]);
});

for (const backend of [ipip, gre]) {
  test(`${backend.name}: over IPv4 only, in the plan node only, and directly where that is asked for`, () => {
    const six = { ...PEER, addresses: ['2001:db8::2'] };
    assert.deepEqual(backend.peerFacts(network, OVERLAY, six), []);
    assert.match(backend.whyNot(network, OVERLAY, six), /over IPv4, the only underlay/);
    assert.equal(backend.whyNot(network, OVERLAY, PEER), '');
    const alone = { ...OVERLAY, self: { ...SELF, addresses: ['2001:db8::1'] } };
    assert.deepEqual(commandsOf(backend.networkFacts(network, alone)), SYSCTLS);
    assert.deepEqual(backend.ways(network, alone), []);
    assert.deepEqual(backend.plans, ['node']);
    const direct = { ...OVERLAY, directRouting: true };
    assert.deepEqual(commandsOf(backend.peerFacts(network, direct, PEER)), [
      'ip route add 10.244.2.0/24 via 192.0.2.2 dev eth0 proto 110',
      'ip -6 route add fd00:244:2::/64 via 2001:db8::2 dev eth0 proto 110',
    ]);
    assert.equal(backend.ways(network, direct).at(-1), 'eth0');
    assert.equal(backend.whyNot(network, direct, six), '', 'a neighbour is reached without it');
    const far = { ...PEER, direct: false };
    assert.deepEqual(backend.peerFacts(network, direct, far), backend.peerFacts(network, OVERLAY, far));
  });
}
