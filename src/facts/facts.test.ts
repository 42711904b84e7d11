import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Fact, type FactKind, KINDS, type NftChainFact, OUR_TABLE, type Step, type Verb } from './index.ts';
import type { NftSet } from '../nftables/index.ts';

/**
 * What every kind of fact does for every verb. A kind that is not here fails, as does a verb: whoever adds one says
 * here how it behaves, and in test/live/facts.test.ts how the kernel takes it.
 */
interface Row {
  readonly fact: Fact;
  /** The same thing as it should become; undefined for what has nothing to change. */
  readonly changed?: Fact;
  /** Properties in which the two differ. */
  readonly differences?: readonly string[];
  readonly key: string;
  readonly via: Step['via'];
  /** `remade`: the kernel cannot change it in place. */
  readonly change: 'in place' | 'remade';
  /** `stays`: nothing takes it away. */
  readonly delete: 'goes' | 'stays';
  /** What takes it along. */
  readonly within: readonly string[];
  /** As errors call it. */
  readonly called: string;
  readonly commands: Readonly<Record<Verb, string>>;
}

const ns = '/run/netns/web';
const at = (space: string) => ({ ns: space, object: 'test' });
const bridge: Fact = {
  ...at(''),
  kind: 'link',
  name: 'br0',
  origin: { type: 'bridge' },
  mac: '02:42:0a:00:00:01',
  mtu: 1500,
  master: '',
  up: true,
  alias: 'netloom network web',
  addrGenMode: 'none',
};
const ports: NftSet = { ...OUR_TABLE, table: OUR_TABLE.name, name: 'ports', type: 'inet_service', map: 'ipv4_addr' };
const chain: NftChainFact = {
  ...at(''),
  kind: 'nft-chain',
  chain: {
    family: 'inet',
    table: OUR_TABLE.name,
    name: 'in',
    base: { type: 'filter', hook: 'input', priority: 0, policy: 'accept' },
  },
  rules: [{ family: 'inet', table: OUR_TABLE.name, chain: 'in', statements: [{ counter: null }, { accept: null }] }],
  sets: [],
};

const KEY = Buffer.alloc(32, 1).toString('base64');
const OTHER_KEY = Buffer.alloc(32, 2).toString('base64');
const peer: Fact & { kind: 'wg-peer' } = {
  ...at(ns),
  kind: 'wg-peer',
  dev: 'wg0',
  publicKey: KEY,
  endpoint: { address: '2001:db8::2', port: 51820 },
  allowedIps: ['10.1.0.0/16', 'fd00:1::/64'],
  keepalive: 25,
};
const epoch = Buffer.alloc(16, 1).toString('base64');
const state: Fact & { kind: 'xfrm-state' } = {
  ...at(''),
  kind: 'xfrm-state',
  src: '192.0.2.1',
  dst: '192.0.2.2',
  spi: 0x1234,
  ifId: 0x6e000001,
  sends: true,
  direction: { network: 'f'.repeat(64), from: { publicKey: KEY, epoch }, to: { publicKey: OTHER_KEY, epoch } },
  keyFile: '/var/lib/netloom/node.key',
};
const policy: Fact & { kind: 'xfrm-policy' } = {
  ...at(ns),
  kind: 'xfrm-policy',
  dir: 'out',
  src: '0.0.0.0/0',
  dst: '10.2.0.0/16',
  ifId: 0x6e000001,
  tunnel: { src: '192.0.2.1', dst: '192.0.2.2' },
};

const shortcut: Fact & { kind: 'shortcut' } = {
  ...at(''),
  kind: 'shortcut',
  dev: 've0',
  at: 'port',
  handle: 0x1234,
  bridge: 'br0',
  holders: ['br0'],
  ranges: ['10.0.0.0/8'],
  port: { mac: '02:42:0a:01:00:02', addresses: ['10.1.0.2'], bridgeMac: '02:42:0a:01:00:01' },
};

const TABLE: { readonly [K in Fact['kind']]: Row } = {
  netns: {
    fact: { ...at(''), kind: 'netns', path: ns },
    key: 'netns /run/netns/web',
    via: 'call',
    change: 'remade',
    delete: 'goes',
    within: [],
    called: 'the network namespace /run/netns/web',
    commands: { add: 'ip netns add web', change: 'ip netns add web', delete: 'ip netns delete web' },
  },
  link: {
    fact: bridge,
    changed: { ...bridge, mtu: 1400, up: false },
    differences: ['mtu', 'up'],
    key: 'link  br0',
    via: 'rtnetlink',
    change: 'in place',
    delete: 'goes',
    within: [],
    called: 'the interface br0',
    commands: {
      add:
        'ip link add br0 address 02:42:0a:00:00:01 mtu 1500 group 28268 type bridge && ' +
        "ip link set dev br0 alias 'netloom network web' addrgenmode none && ip link set dev br0 up",
      change:
        'ip link set dev br0 address 02:42:0a:00:00:01 mtu 1500 nomaster group 28268 ' +
        "alias 'netloom network web' addrgenmode none && ip link set dev br0 up",
      delete: 'ip link delete br0',
    },
  },
  port: {
    fact: { ...at(''), kind: 'port', dev: 've0', hairpin: true, isolated: false, mac: '02:42:0a:00:00:02' },
    changed: { ...at(''), kind: 'port', dev: 've0', hairpin: false, isolated: true },
    differences: ['hairpin', 'isolated', 'mac'],
    key: 'port  ve0',
    via: 'rtnetlink',
    change: 'in place',
    delete: 'goes',
    within: ['link  ve0'],
    called: 'the bridge port ve0',
    commands: {
      add:
        'ip link set dev ve0 type bridge_slave hairpin on isolated off learning off flood off proxy_arp_wifi on && ' +
        'bridge fdb replace 02:42:0a:00:00:02 dev ve0 master static',
      change:
        'ip link set dev ve0 type bridge_slave hairpin on isolated off learning off flood off proxy_arp_wifi on && ' +
        'bridge fdb replace 02:42:0a:00:00:02 dev ve0 master static',
      delete:
        'ip link set dev ve0 type bridge_slave hairpin off isolated off learning on flood on proxy_arp_wifi off && ' +
        'bridge fdb delete 02:42:0a:00:00:02 dev ve0 master static',
    },
  },
  address: {
    fact: { ...at(ns), kind: 'address', dev: 'eth0', address: '2001:db8::2/64' },
    changed: { ...at(ns), kind: 'address', dev: 'eth0', address: '2001:db8::2/64', deprecated: true },
    differences: ['preferred'],
    key: `address ${ns} eth0 2001:db8::2/64`,
    via: 'rtnetlink',
    change: 'in place',
    delete: 'goes',
    within: [`link ${ns} eth0`, `netns ${ns}`],
    called: 'the address 2001:db8::2/64 on eth0 in /run/netns/web',
    commands: {
      add: 'ip -n web address add 2001:db8::2/64 dev eth0 nodad',
      change: 'ip -n web address replace 2001:db8::2/64 dev eth0 nodad',
      delete: 'ip -n web address delete 2001:db8::2/64 dev eth0',
    },
  },
  route: {
    fact: { ...at(ns), kind: 'route', family: 4, dst: 'default', via: '10.0.0.1', dev: 'eth0' },
    changed: { ...at(ns), kind: 'route', family: 4, dst: 'default', via: '10.0.0.9', dev: 'eth1' },
    differences: ['via', 'dev'],
    key: `route ${ns} 4 default`,
    via: 'rtnetlink',
    change: 'in place',
    delete: 'goes',
    within: [`link ${ns} eth0`, `netns ${ns}`],
    called: 'the route default in /run/netns/web',
    commands: {
      add: 'ip -n web route add default via 10.0.0.1 dev eth0 proto 110',
      change: 'ip -n web route replace default via 10.0.0.1 dev eth0 proto 110',
      delete: 'ip -n web route delete default via 10.0.0.1 dev eth0',
    },
  },
  rule: {
    fact: { ...at(ns), kind: 'rule', family: 4, from: '10.0.0.2/32', priority: 28268, table: 1000 },
    changed: { ...at(ns), kind: 'rule', family: 4, from: '10.0.0.2/32', priority: 28268, table: 1001 },
    differences: ['table'],
    key: `rule ${ns} 4 28268 10.0.0.2/32`,
    via: 'rtnetlink',
    change: 'remade',
    delete: 'goes',
    within: [`netns ${ns}`],
    called: 'the rule for what 10.0.0.2/32 sends in /run/netns/web',
    commands: {
      add: 'ip -n web rule add from 10.0.0.2/32 lookup 1000 priority 28268 protocol 110',
      change: 'ip -n web rule add from 10.0.0.2/32 lookup 1000 priority 28268 protocol 110', // never asked for: it is remade
      delete: 'ip -n web rule delete from 10.0.0.2/32 lookup 1000 priority 28268',
    },
  },
  sysctl: {
    fact: { ...at(''), kind: 'sysctl', name: 'net.ipv4.conf.br0.route_localnet', value: '1', dev: 'br0' },
    changed: { ...at(''), kind: 'sysctl', name: 'net.ipv4.conf.br0.route_localnet', value: '0', dev: 'br0' },
    differences: ['value'],
    key: 'sysctl  net.ipv4.conf.br0.route_localnet',
    via: 'call',
    change: 'in place',
    delete: 'stays',
    within: ['link  br0'],
    called: 'the sysctl net.ipv4.conf.br0.route_localnet',
    commands: {
      add: 'sysctl -q -w net.ipv4.conf.br0.route_localnet=1',
      change: 'sysctl -q -w net.ipv4.conf.br0.route_localnet=1',
      delete: 'sysctl -q -w net.ipv4.conf.br0.route_localnet=1', // never asked for: it stays
    },
  },
  qdisc: {
    fact: { ...at(''), kind: 'qdisc', dev: 've0', tbf: { rate: 10_285_320, burst: 6428, limit: 71_964 } },
    changed: { ...at(''), kind: 'qdisc', dev: 've0', tbf: { rate: 20_570_648, burst: 12_856, limit: 80_000 } },
    differences: ['rate', 'burst', 'limit'],
    key: 'qdisc  ve0',
    via: 'rtnetlink',
    change: 'in place',
    delete: 'goes',
    within: ['link  ve0'],
    called: 'the rate limit of ve0',
    commands: {
      add: 'tc qdisc add dev ve0 root handle 6e6c: tbf rate 10285320bit burst 6428 limit 71964',
      change: 'tc qdisc change dev ve0 root handle 6e6c: tbf rate 10285320bit burst 6428 limit 71964',
      delete: 'tc qdisc delete dev ve0 root',
    },
  },
  redirect: {
    fact: { ...at(ns), kind: 'redirect', dev: 'eth0', to: 'ifb0' },
    changed: { ...at(ns), kind: 'redirect', dev: 'eth0', to: 'ifb1' },
    differences: ['to'],
    key: `redirect ${ns} eth0`,
    via: 'rtnetlink',
    change: 'remade',
    delete: 'goes',
    within: [`link ${ns} eth0`, `netns ${ns}`],
    called: 'the redirection of what comes in by eth0',
    commands: {
      add:
        'tc -n web qdisc add dev eth0 clsact && tc -n web filter add dev eth0 ingress pref 28268 ' +
        'protocol all handle 800::800 u32 match u32 0 0 action mirred egress redirect dev ifb0',
      change:
        'tc -n web qdisc add dev eth0 clsact && tc -n web filter add dev eth0 ingress pref 28268 ' +
        'protocol all handle 800::800 u32 match u32 0 0 action mirred egress redirect dev ifb0', // never asked for: it is remade
      delete:
        'tc -n web filter delete dev eth0 ingress pref 28268 && { [ -n "$(tc -n web filter show dev eth0 ingress; ' +
        'tc -n web filter show dev eth0 egress)" ] || tc -n web qdisc delete dev eth0 clsact; }',
    },
  },
  shortcut: {
    fact: shortcut,
    changed: { ...shortcut, port: { ...shortcut.port!, addresses: ['10.1.0.3'] } },
    differences: ['program'],
    key: 'shortcut  ve0 ingress 4660',
    via: 'call',
    change: 'in place',
    delete: 'goes',
    within: ['link  ve0'],
    called: 'the shortcut at ve0',
    commands: {
      add: `tc qdisc add dev ve0 clsact; tc filter replace dev ve0 ingress pref 28269 protocol all handle 0x1234 bpf direct-action object-pinned "$BPF/netloom-port-58b25bfaa50f7e64"`,
      change: `tc qdisc add dev ve0 clsact; tc filter replace dev ve0 ingress pref 28269 protocol all handle 0x1234 bpf direct-action object-pinned "$BPF/netloom-port-58b25bfaa50f7e64"`,
      delete: 'tc filter delete dev ve0 ingress pref 28269 handle 0x1234 bpf',
    },
  },
  'wg-device': {
    fact: {
      ...at(''),
      kind: 'wg-device',
      dev: 'wg0',
      keyFile: '/var/lib/netloom/node.key',
      publicKey: KEY,
      port: 51820,
    },
    changed: { ...at(''), kind: 'wg-device', dev: 'wg0', keyFile: '/x', publicKey: OTHER_KEY, port: 51821 },
    differences: ['private-key', 'listen-port'],
    key: 'wg-device  wg0',
    via: 'genetlink',
    change: 'in place',
    delete: 'goes',
    within: ['link  wg0'],
    called: 'the WireGuard interface wg0',
    commands: {
      add: 'wg set wg0 private-key /var/lib/netloom/node.key listen-port 51820',
      change: 'wg set wg0 private-key /var/lib/netloom/node.key listen-port 51820',
      delete: 'wg set wg0 private-key /dev/null listen-port 0',
    },
  },
  'wg-peer': {
    fact: peer,
    changed: { ...peer, endpoint: { address: '192.0.2.2', port: 51820 }, allowedIps: ['10.2.0.0/16'], keepalive: 0 },
    differences: ['endpoint', 'allowed-ips', 'persistent-keepalive'],
    key: `wg-peer ${ns} wg0 ${KEY}`,
    via: 'genetlink',
    change: 'in place',
    delete: 'goes',
    within: [`link ${ns} wg0`, `netns ${ns}`],
    called: `the WireGuard peer ${KEY} of wg0 in /run/netns/web`,
    commands: {
      add: `nsenter --net=/run/netns/web wg set wg0 peer ${KEY} endpoint '[2001:db8::2]:51820' persistent-keepalive 25 allowed-ips 10.1.0.0/16,fd00:1::/64`,
      change: `nsenter --net=/run/netns/web wg set wg0 peer ${KEY} endpoint '[2001:db8::2]:51820' persistent-keepalive 25 allowed-ips 10.1.0.0/16,fd00:1::/64`,
      delete: `nsenter --net=/run/netns/web wg set wg0 peer ${KEY} remove`,
    },
  },
  'xfrm-state': {
    fact: state,
    changed: { ...state, ifId: 0x6e000002 },
    differences: ['if_id'],
    key: 'xfrm-state  192.0.2.1 192.0.2.2 0x00001234',
    via: 'xfrm',
    change: 'remade',
    delete: 'goes',
    within: [],
    called: 'the IPsec state 192.0.2.1 → 192.0.2.2 spi 0x00001234',
    commands: {
      add:
        'ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x00001234 reqid 28268 mode tunnel replay-window 1024 ' +
        'flag esn af-unspec aead \'rfc4106(gcm(aes))\' "$ESP_KEY_00001234" 128 if_id 0x6e000001',
      change:
        'ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x00001234 reqid 28268 mode tunnel replay-window 1024 ' +
        'flag esn af-unspec aead \'rfc4106(gcm(aes))\' "$ESP_KEY_00001234" 128 if_id 0x6e000001', // never asked for: it is remade
      delete: 'ip xfrm state delete src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x00001234',
    },
  },
  'xfrm-policy': {
    fact: policy,
    changed: { ...policy, tunnel: { src: '192.0.2.1', dst: '192.0.2.3' } },
    differences: ['tmpl'],
    key: `xfrm-policy ${ns} out 0.0.0.0/0 10.2.0.0/16 0x6e000001`,
    via: 'xfrm',
    change: 'in place',
    delete: 'goes',
    within: [`netns ${ns}`],
    called: 'the IPsec policy out 0.0.0.0/0 → 10.2.0.0/16 in /run/netns/web',
    commands: {
      add:
        'ip -n web xfrm policy add src 0.0.0.0/0 dst 10.2.0.0/16 dir out priority 28268 ' +
        'tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 28268 mode tunnel if_id 0x6e000001',
      change:
        'ip -n web xfrm policy update src 0.0.0.0/0 dst 10.2.0.0/16 dir out priority 28268 ' +
        'tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 28268 mode tunnel if_id 0x6e000001',
      delete: 'ip -n web xfrm policy delete src 0.0.0.0/0 dst 10.2.0.0/16 dir out if_id 0x6e000001',
    },
  },
  neighbour: {
    fact: { ...at(''), kind: 'neighbour', dev: 'br0', address: '2001:db8::2', mac: '02:42:0a:00:00:02' },
    changed: { ...at(''), kind: 'neighbour', dev: 'br0', address: '2001:db8::2', mac: '02:42:0a:00:00:03' },
    differences: ['lladdr'],
    key: 'neighbour  br0 2001:db8::2',
    via: 'rtnetlink',
    change: 'in place',
    delete: 'goes',
    within: ['link  br0'],
    called: 'the neighbour 2001:db8::2 on br0',
    commands: {
      add: 'ip -6 neigh replace 2001:db8::2 dev br0 lladdr 02:42:0a:00:00:02 nud permanent protocol 110',
      change: 'ip -6 neigh replace 2001:db8::2 dev br0 lladdr 02:42:0a:00:00:02 nud permanent protocol 110',
      delete: 'ip -6 neigh delete 2001:db8::2 dev br0',
    },
  },
  fdb: {
    fact: { ...at(''), kind: 'fdb', dev: 'vx0', mac: '02:42:0a:00:00:02', table: 'self', dst: '192.0.2.2' },
    changed: { ...at(''), kind: 'fdb', dev: 'vx0', mac: '02:42:0a:00:00:02', table: 'self', dst: '192.0.2.3' },
    differences: ['dst'],
    key: 'fdb  vx0 02:42:0a:00:00:02 self',
    via: 'rtnetlink',
    change: 'in place',
    delete: 'goes',
    within: ['link  vx0'],
    called: 'the forwarding entry 02:42:0a:00:00:02 of vx0',
    commands: {
      add: 'bridge fdb replace 02:42:0a:00:00:02 dev vx0 dst 192.0.2.2 self permanent',
      change: 'bridge fdb replace 02:42:0a:00:00:02 dev vx0 dst 192.0.2.2 self permanent',
      delete: 'bridge fdb delete 02:42:0a:00:00:02 dev vx0 dst 192.0.2.2 self permanent',
    },
  },
  'nft-table': {
    fact: { ...at(''), kind: 'nft-table', table: OUR_TABLE },
    key: 'nft-table  inet',
    via: 'nftables',
    change: 'remade',
    delete: 'goes',
    within: [],
    called: 'the nftables table inet netloom',
    commands: {
      add: 'nft add table inet netloom',
      change: 'nft add table inet netloom',
      delete: 'nft delete table inet netloom',
    },
  },
  'nft-set': {
    fact: { ...at(''), kind: 'nft-set', set: ports },
    changed: {
      ...at(''),
      kind: 'nft-set',
      set: { ...ports, type: ['ipv4_addr', 'inet_service'], flags: ['interval'] },
    },
    differences: ['type', 'flags'],
    key: 'nft-set  inet ports',
    via: 'nftables',
    change: 'remade',
    delete: 'goes',
    within: ['nft-table  inet'],
    called: 'the nftables set inet ports',
    commands: {
      add: "nft add map inet netloom ports '{ type inet_service : ipv4_addr; }'",
      change: "nft add map inet netloom ports '{ type inet_service : ipv4_addr; }'",
      delete: 'nft delete map inet netloom ports',
    },
  },
  'nft-chain': {
    fact: chain,
    changed: {
      ...chain,
      rules: [{ family: 'inet', table: OUR_TABLE.name, chain: 'in', statements: [{ drop: null }] }],
    },
    differences: ['rules'],
    key: 'nft-chain  inet in',
    via: 'nftables',
    change: 'in place',
    delete: 'goes',
    within: ['nft-table  inet'],
    called: 'the nftables chain inet in',
    commands: {
      add: "nft add chain inet netloom in '{ type filter hook input priority filter; policy accept; }'\nnft add rule inet netloom in 'counter accept'",
      change: "nft flush chain inet netloom in\nnft add rule inet netloom in 'counter accept'",
      delete: 'nft flush chain inet netloom in\nnft delete chain inet netloom in',
    },
  },
  'nft-element': {
    fact: { ...at(''), kind: 'nft-element', set: ports, element: { key: 80, data: '10.0.0.2' } },
    changed: { ...at(''), kind: 'nft-element', set: ports, element: { key: 80, data: '10.0.0.3' } },
    differences: ['value'],
    key: 'nft-element  inet ports 0050', // as the kernel has it
    via: 'nftables',
    change: 'in place',
    delete: 'goes',
    within: ['nft-set  inet ports', 'nft-table  inet'],
    called: "the element '{ 80 : 10.0.0.2 }' of the nftables set inet ports",
    commands: {
      add: "nft add element inet netloom ports '{ 80 : 10.0.0.2 }'",
      change: "nft delete element inet netloom ports '{ 80 }'\nnft add element inet netloom ports '{ 80 : 10.0.0.2 }'",
      delete: "nft delete element inet netloom ports '{ 80 }'",
    },
  },
};

const VERBS: readonly (keyof FactKind)[] = [
  'key',
  'add',
  'change',
  'delete',
  'read',
  'differences',
  'describe',
  'command',
  'within',
];

test('every kind is in the table, with every verb and no other', () => {
  assert.deepEqual(Object.keys(KINDS).sort(), Object.keys(TABLE).sort());
  for (const [name, kind] of Object.entries(KINDS)) {
    assert.deepEqual(Object.keys(kind).sort(), VERBS.toSorted(), `${name}: its verbs`);
    for (const verb of VERBS) assert.equal(typeof kind[verb], 'function', `${name}: ${verb}`);
  }
});

test('keys of different kinds are different', () => {
  const keys = Object.values(TABLE).map((row) => row.key);
  assert.equal(new Set(keys).size, keys.length);
  for (const [name, row] of Object.entries(TABLE)) assert.equal(row.key.split(' ')[0], name, 'it begins with the kind');
});

for (const [name, row] of Object.entries(TABLE)) {
  const kind = KINDS[name as Fact['kind']] as unknown as FactKind<Fact>;
  const { fact, changed } = row;

  test(`${name}: key and what takes it along`, () => {
    assert.equal(kind.key(fact), row.key);
    if (changed) assert.equal(kind.key(changed), row.key, 'what is changed stays the same thing');
    assert.equal(kind.key({ ...fact, object: 'somebody else' }), row.key, 'whose it is, is no part of it');
    assert.deepEqual(kind.within(fact), row.within);
    assert.equal(kind.describe(fact), row.called);
  });

  test(`${name}: add, change and delete`, () => {
    assert.equal(kind.add(fact).via, row.via);
    assert.equal(kind.change(changed ?? fact, fact) === undefined ? 'remade' : 'in place', row.change);
    assert.equal(kind.delete(fact) === undefined ? 'stays' : 'goes', row.delete);
  });

  test(`${name}: differences`, () => {
    assert.deepEqual(kind.differences(fact, fact), []);
    assert.deepEqual(kind.differences(fact, { ...fact, object: 'somebody else' }), []);
    assert.equal(changed === undefined, row.differences === undefined, 'a row that says what changes, says how');
    if (changed) assert.deepEqual(kind.differences(changed, fact), row.differences);
  });

  for (const verb of ['add', 'change', 'delete'] as const) {
    test(`${name}: the command for ${verb}`, () => assert.equal(kind.command(fact, verb), row.commands[verb]));
  }
}

test('a route of IPv6 by a gateway that another route may lead to: the old one goes just before', () => {
  const base = { ...at(''), kind: 'route', family: 6, dst: 'fd00:2::/64' } as const;
  const want = { ...base, via: 'fd00:2::', dev: 'vx', onlink: true } as const;
  assert.equal(
    KINDS.route.command(want, 'change'),
    'ip -6 route delete fd00:2::/64 && ip -6 route add fd00:2::/64 via fd00:2:: dev vx onlink proto 110',
  );
  const step = KINDS.route.change(want, { ...base, via: '2001:db8::2', dev: 'eth0' });
  assert.ok(step?.via === 'rtnetlink');
  assert.deepEqual(step.needs, ['vx', 'eth0']);
});

test('what a link and a route are set to beside what they are', () => {
  const tuned: Fact = { ...bridge, promisc: true, allmulti: false, txQueueLength: 500 };
  assert.deepEqual(KINDS.link.differences(tuned, { ...bridge, promisc: false, allmulti: false, txQueueLength: 1000 }), [
    'promisc',
    'txqueuelen',
  ]);
  assert.deepEqual(KINDS.link.differences(bridge, { ...tuned }), [], 'who wants nothing takes what there is');
  assert.match(KINDS.link.command(tuned, 'add'), / promisc on allmulticast off txqueuelen 500 && /);
  const plain = { ...at(ns), kind: 'route', family: 4, dst: '10.9.0.0/16', via: '10.0.0.9', dev: 'eth0' } as const;
  const special = { ...plain, table: 1000, metric: 5, scope: 0, mtu: 1400, advmss: 1360 } as const;
  assert.equal(KINDS.route.key(special), `route ${ns} 4 10.9.0.0/16 table 1000 metric 5`);
  assert.deepEqual(KINDS.route.differences(special, { ...special, mtu: 1300, scope: 253 }), ['mtu', 'scope']);
  assert.equal(
    KINDS.route.command(special, 'add'),
    'ip -n web route add 10.9.0.0/16 via 10.0.0.9 dev eth0 table 1000 metric 5 scope 0 mtu 1400 advmss 1360 proto 110',
  );
  assert.equal(
    KINDS.route.command(special, 'delete'),
    'ip -n web route delete 10.9.0.0/16 via 10.0.0.9 dev eth0 table 1000 metric 5',
  );
  const ranges: Fact = { ...at(ns), kind: 'sysctl', name: 'net.ipv4.ip_local_port_range', value: '1024 2000', dev: '' };
  assert.deepEqual(KINDS.sysctl.differences(ranges, { ...ranges, value: '1024\t2000' }), []);
});

test('commands reach any namespace', () => {
  const route = (space: string): Fact => ({
    ...at(space),
    kind: 'route',
    family: 6,
    dst: '2001:db8::/32',
    via: '',
    dev: 'eth0',
  });
  const command = (fact: Fact): string => (KINDS[fact.kind] as unknown as FactKind<Fact>).command(fact, 'add');
  assert.equal(command(route('')), 'ip -6 route add 2001:db8::/32 dev eth0 proto 110');
  assert.equal(command(route('/run/netns/a b')), "ip -n 'a b' -6 route add 2001:db8::/32 dev eth0 proto 110");
  assert.equal(
    command(route("/tmp/it's")),
    "nsenter --net='/tmp/it'\\''s' ip -6 route add 2001:db8::/32 dev eth0 proto 110",
  );
  assert.equal(
    command({
      ...bridge,
      ...at('/run/netns/web'),
      origin: { type: 'veth', peer: { ns: '', name: 'eth0', mac: '' } },
      mac: '',
      mtu: 0,
      alias: '',
      addrGenMode: 'eui64',
    }),
    'ip -n web link add br0 group 28268 numtxqueues 1 numrxqueues 1 type veth peer name eth0 numtxqueues 1 numrxqueues 1 netns $$ && ip -n web link set dev br0 up',
  );
  assert.equal(
    command({
      ...bridge,
      origin: { type: 'veth', peer: { ns: '', name: 'eth0', mac: '' } },
      mac: '',
      mtu: 0,
      alias: '',
      addrGenMode: 'eui64',
    }),
    'ip link add br0 group 28268 numtxqueues 1 numrxqueues 1 type veth peer name eth0 numtxqueues 1 numrxqueues 1 && ip link set dev br0 up',
  );
});
