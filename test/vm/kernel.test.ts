// runs: in the guest (what it is for)
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { test } from 'node:test';
import { Netns } from '../../src/kernel/index.ts';
import { ipBatch, jsonIn, okIn } from '../lib/run.ts';

// What other files count on. Made with the tools that we compare ourselves with: that netloom makes it is for others to show.

/** For `sh -e`: `$link` is a veth of the feature's own, `$new` a name for a link. */
const FEATURES: Readonly<Record<string, string>> = {
  dummy: 'ip link add $new type dummy',
  ifb: 'ip link add $new type ifb',
  bond: 'ip link add $new type bond',
  vrf: 'ip link add $new type vrf table 10',
  'ipvlan L2': 'ip link add $new link $link type ipvlan mode l2',
  'ipvlan L3': 'ip link add $new link $link type ipvlan mode l3',
  'ipvlan L3S': 'ip link add $new link $link type ipvlan mode l3s',
  macvlan: 'ip link add $new link $link type macvlan mode source',
  VLAN: 'ip link add $new link $link type vlan id 5',
  'VLAN filtering':
    'ip link add $new type bridge vlan_filtering 1; ip link set $link master $new; bridge vlan add vid 7 dev $link',
  vxlan: 'ip link add $new type vxlan id 5 dstport 4789',
  geneve: 'ip link add $new type geneve external',
  GRE: 'ip link add $new type gretap external',
  IPIP: 'ip link add $new type ipip external',
  SIT: 'ip link add $new type sit external',
  VTI: 'ip link add $new type vti remote 192.0.2.1 local 192.0.2.2 key 9',
  WireGuard: 'ip link add $new type wireguard',
  netem: 'tc qdisc add dev $link root netem delay 10ms loss 1%',
  HTB: 'tc qdisc add dev $link root handle 1: htb; tc class add dev $link parent 1: classid 1:1 htb rate 1mbit',
  TBF: 'tc qdisc add dev $link root tbf rate 1mbit burst 10k latency 50ms',
  'ingress policing':
    'tc qdisc add dev $link ingress; tc filter add dev $link parent ffff: matchall action police rate 1mbit burst 10k',
  'ESP with AES-GCM': `ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 1 mode tunnel \
      aead 'rfc4106(gcm(aes))' 0x${'01'.repeat(20)} 128`,
  'nftables flowtable': 'nft "add table t; add flowtable t f { hook ingress priority 0; devices = { $link }; }"',
  'nftables netdev':
    'nft "add table netdev t; add chain netdev t c { type filter hook ingress device $link priority 0; }"',
  iptables: 'iptables -t nat -A POSTROUTING -m conntrack --ctstate NEW -j MASQUERADE',
  'iptables-legacy': 'iptables-legacy -t nat -A POSTROUTING -j MASQUERADE',
  IPVS: 'test -e /proc/net/ip_vs',
  'Open vSwitch': 'test -d /sys/module/openvswitch',
  tun: 'ip tuntap add $new mode tap multi_queue',
};

test("the guest's kernel has all that it is for", async (t) => {
  using netns = Netns.create(); // one for all: making and ending a namespace takes a second there
  const features = Object.entries(FEATURES);
  await ipBatch(
    netns,
    features.map((_, i) => `link add a${i} type veth peer name b${i}`),
  );
  for (const [i, [feature, script]] of features.entries()) {
    await t.test(feature, async () => {
      await okIn(netns, ['sh', '-e'], { input: `link=a${i} new=x${i}\n${script}\n` });
    });
  }
});

test('a new namespace has nothing but lo, although the modules of tunnels are loaded', async () => {
  assert.match(readFileSync('/proc/modules', 'utf8'), /^ip_gre /m);
  using netns = Netns.create();
  const links = await jsonIn<{ ifname: string }[]>(netns, ['ip', '-j', 'link']);
  assert.deepEqual(
    links.map(({ ifname }) => ifname),
    ['lo'],
  );
});

test("the kernel is Debian's, and its clock goes", () => {
  assert.match(release(), /^6\..*-amd64$/);
  assert.ok(Date.now() > Date.parse('2025-01-01'), new Date().toISOString());
});
