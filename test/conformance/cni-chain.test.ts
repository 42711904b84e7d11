/** A plugin among others: what came before it, what it sets of one endpoint, and whether the kernel holds it. */
// runs: here in one mode (cni-plugin and cni-shim show what a user’s plugin does)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Netns } from '../../src/kernel/index.ts';
import { addOnParent, callCni, type CniAnswer, type CniCall, PLUGINS } from '../lib/cni.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { tcpConnect, tcpServer } from '../lib/peer.ts';
import { jsonIn, okIn } from '../lib/run.ts';

checkDescriptors();

const CONF = { cniVersion: '1.1.0', name: 'dbnet', type: 'netloom', subnets: [{ subnet: '10.1.0.0/16' }], ipv6: true };
const net =
  (bed: EngineBed, base: object = CONF) =>
  (verb: string, call: CniCall): Promise<CniAnswer> =>
    callCni(bed, base, verb, call);

test('in a chain: what came before is kept, and counted on', async () => {
  await using bed = await makeEngineBed();
  const { path } = await bed.workload('a');
  const plugin = net(bed);
  const call = { id: 'pod', netns: path, ifname: 'net1' };
  const prevResult = {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'cni0' }, { name: 'eth0', mac: '02:00:00:00:00:01', mtu: 1400, sandbox: path }],
    ips: [{ address: '10.9.0.2/24', gateway: '10.9.0.1', interface: 1 }],
    routes: [{ dst: '0.0.0.0/0', gw: '10.9.0.1', priority: 3 }],
    dns: { nameservers: ['10.9.0.1'], domain: 'x' },
  };
  const conf = { prevResult, defaultRoute: false, dns: { nameservers: ['10.1.0.1'], search: ['y'] } };
  const added = await plugin('ADD', { ...call, conf });
  assert.equal(added.status, 0, JSON.stringify(added.json));
  const { interfaces, ips, routes, dns } = added.json as typeof prevResult;
  assert.deepEqual(interfaces.slice(0, 2), prevResult.interfaces);
  assert.equal(interfaces.length, 4);
  assert.deepEqual(interfaces[3]?.name, 'net1');
  assert.deepEqual(ips[0], prevResult.ips[0]);
  assert.deepEqual(
    ips.slice(1).map((ip) => ip.interface),
    [3, 3],
  );
  assert.deepEqual(routes, prevResult.routes, 'no default route of its own');
  assert.deepEqual(dns, { nameservers: ['10.9.0.1', '10.1.0.1'], domain: 'x', search: ['y'] });
  assert.equal((await plugin('CHECK', { ...call, conf: { ...conf, prevResult: added.json } })).status, 0);

  // the interface is there already
  const taken = await plugin('ADD', { ...call, id: 'pod2', ifname: 'eth0', conf: { prevResult } });
  assert.deepEqual([taken.status, taken.json['code']], [1, 102]);
  assert.match(String(taken.json['msg']), /^prevResult: eth0 is there already/);
  assert.notEqual(taken.json['details'], undefined, 'what to do');
  // DEL reads nothing of it, nor of what else is wrong by now
  assert.equal((await plugin('DEL', { ...call, conf: { prevResult: { ips: 7 }, bridge: 'x' } })).status, 0);
  assert.deepEqual(await bed.engine.endpointList(), []);
});

test('the project’s own plugins before and behind it', async () => {
  await using bed = await makeEngineBed();
  const { path } = await bed.workload('a');
  const plugin = net(bed, { ...CONF, cniVersion: '1.0.0' });
  const call = { id: 'pod', netns: path };
  const before = await callCni(bed, {}, 'ADD', {
    ...call,
    ifname: 'lo',
    file: `${PLUGINS}/loopback`,
    conf: { cniVersion: '1.0.0', name: 'lo', type: 'loopback' },
  });
  assert.equal(before.status, 0, JSON.stringify(before.json));
  const added = await plugin('ADD', { ...call, conf: { prevResult: before.json } });
  assert.equal(added.status, 0, JSON.stringify(added.json));
  const sysctl = { 'net.core.somaxconn': '500' };
  const behind = await callCni(bed, {}, 'ADD', {
    ...call,
    file: `${PLUGINS}/tuning`,
    conf: { cniVersion: '1.0.0', name: 'dbnet', type: 'tuning', sysctl, prevResult: added.json },
  });
  assert.deepEqual([behind.status, behind.json], [0, added.json], 'our result is one that others hand on');
  assert.equal((await plugin('CHECK', { ...call, conf: { prevResult: behind.json } })).status, 0);
});

test('sysctls, routes, promiscuity, MTU and source routes are set, told, and gone with the endpoint', async () => {
  await using bed = await makeEngineBed();
  const a = await bed.workload('a');
  const plugin = net(bed);
  const conf = {
    sysctl: {
      'net.core.somaxconn': '500',
      'net.ipv4.conf.IFNAME.arp_notify': '1',
      'net/ipv4/ip_local_port_range': '2000 3000',
    },
    promisc: true,
    allmulti: true,
    mtu: 1300,
    txQLen: 50,
    routes: [
      { dst: '192.0.2.0/24', mtu: 1200 },
      { dst: '198.51.100.0/24', scope: 253 },
      { dst: '203.0.113.0/24', gw: '10.1.0.9', table: 99, priority: 7 },
    ],
    sourceRoutes: true,
  };
  const call = { id: 'pod', netns: a.path, conf };
  const added = await plugin('ADD', call);
  assert.equal(added.status, 0, JSON.stringify(added.json));
  const { interfaces, ips, routes } = added.json as {
    interfaces: { mtu: number }[];
    ips: { address: string }[];
    routes: object[];
  };
  assert.equal(interfaces[1]?.mtu, 1300);
  assert.deepEqual(routes.slice(2), conf.routes);
  const inside = (...words: string[]): Promise<string> => okIn(a.netns, words);
  assert.equal(await inside('sysctl', '-n', 'net.core.somaxconn'), '500\n');
  assert.equal(await inside('sysctl', '-n', 'net.ipv4.conf.eth0.arp_notify'), '1\n');
  const [link] = await jsonIn<[{ mtu: number; txqlen: number; flags: string[] }]>(a.netns, [
    'ip',
    '-j',
    'link',
    'show',
    'eth0',
  ]);
  assert.deepEqual([link.mtu, link.txqlen], [1300, 50]);
  assert.ok(link.flags.includes('PROMISC') && link.flags.includes('ALLMULTI'), link.flags.join());
  assert.match(await inside('ip', 'route', 'show', '192.0.2.0/24'), /via 10\.1\.0\.1 dev eth0 .*mtu 1200/);
  assert.match(await inside('ip', 'route', 'show', '198.51.100.0/24'), /^198\.51\.100\.0\/24 dev eth0 .*scope link/);
  assert.match(await inside('ip', 'route', 'show', 'table', '99'), /^203\.0\.113\.0\/24 via 10\.1\.0\.9 .* metric 7/);
  const rules = `${await inside('ip', 'rule')}${await inside('ip', '-6', 'rule')}`;
  for (const { address } of ips) {
    const [, table = ''] = new RegExp(`from ${address.replace(/\/.*/, '')} lookup (\\d+)`).exec(rules) ?? [];
    assert.match(
      await inside('ip', address.includes(':') ? '-6' : '-4', 'route', 'show', 'table', table),
      /^default via/m,
    );
  }
  assert.equal((await plugin('CHECK', { ...call, conf: { ...conf, prevResult: added.json } })).status, 0);
  assert.equal((await plugin('DEL', { ...call })).status, 0);
  assert.doesNotMatch(`${await inside('ip', 'rule')}${await inside('ip', '-6', 'rule')}`, /proto/);
  assert.equal(await inside('ip', 'route', 'show', 'table', 'all', 'proto', '110'), '');
});

test('source routes: each address answers by its own interface', async () => {
  await using bed = await makeEngineBed();
  const a = await bed.workload('a');
  const one = await net(bed, { ...CONF, name: 'one', subnets: [{ subnet: '10.6.0.0/24' }], ipv6: false })('ADD', {
    id: 'p',
    netns: a.path,
  });
  const two = await net(bed, {
    ...CONF,
    name: 'two',
    subnets: [{ subnet: '10.7.0.0/24' }],
    ipv6: false,
    sourceRoutes: true,
  })('ADD', { id: 'p', netns: a.path, ifname: 'eth1' });
  assert.deepEqual([one.status, two.status], [0, 0], JSON.stringify([one.json, two.json]));
  assert.match(await okIn(a.netns, ['ip', 'route', 'get', '192.0.2.1']), /dev eth0/);
  assert.match(
    await okIn(a.netns, ['ip', 'route', 'get', '192.0.2.1', 'from', '10.7.0.2']),
    /via 10\.7\.0\.1 dev eth1/,
  );
});

interface Added {
  readonly address: string;
  readonly host: string;
}
/** What is done to an attachment, where, and what CHECK says of it. */
const DAMAGES: readonly [string, 'workload' | 'host', (added: Added) => string, RegExp][] = [
  ['an address is removed', 'workload', ({ address }) => `ip addr del ${address} dev eth0`, /there is no address/],
  ['a route is gone', 'workload', () => 'ip route del 192.0.2.0/24', /there is no route/],
  [
    'a rule is gone',
    'workload',
    ({ address }) => `ip rule del from ${address.replace(/\/.*/, '')}`,
    /there is no rule/,
  ],
  ['it is set down', 'workload', () => 'ip link set eth0 down', /it has another link/],
  ['the interface is deleted', 'workload', () => 'ip link del eth0', /there is no link/],
  ['the host’s end is deleted', 'host', ({ host }) => `ip link del ${host}`, /there is no link/],
  ['a published port is gone', 'host', () => 'nft flush map inet netloom publish4_any', /there is no nft-element/],
  ['a chain is emptied', 'host', () => 'nft flush chain inet netloom nat_postrouting', /it has another nft-chain/],
];
for (const [what, where, script, message] of DAMAGES) {
  test(`CHECK, and STATUS: ${what}`, async () => {
    await using bed = await makeEngineBed();
    const a = await bed.workload('a');
    const plugin = net(bed);
    const ports = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }];
    const conf = { routes: [{ dst: '192.0.2.0/24' }], sourceRoutes: true, runtimeConfig: { portMappings: ports } };
    const call = { id: 'pod', netns: a.path, conf };
    const added = await plugin('ADD', call);
    assert.equal(added.status, 0, JSON.stringify(added.json));
    const { interfaces, ips } = added.json as { interfaces: { name: string }[]; ips: { address: string }[] };
    const check = { ...call, conf: { ...conf, prevResult: added.json } };
    assert.deepEqual((await plugin('CHECK', check)).json, {});
    const line = script({ address: ips[0]?.address ?? '', host: interfaces[0]?.name ?? '' });
    await okIn(where === 'host' ? bed.host.netns : a.netns, ['sh', '-c', line]);
    const wrong = await plugin('CHECK', check);
    assert.deepEqual([wrong.status, wrong.json['code']], [1, 105]);
    assert.match(String(wrong.json['msg']), message);
    assert.match(String(wrong.json['details']), /\b(ip|nft|nsenter)\b/, 'the commands that would put it right');
    const status = await plugin('STATUS', {});
    assert.deepEqual([status.status, status.json['code']], [1, 51], JSON.stringify(status.json));
    assert.equal((await plugin('DEL', call)).status, 0);
  });
}

test('every capability of the conventions', async () => {
  await using bed = await makeEngineBed();
  const a = await bed.workload('a');
  const plugin = net(bed, { cniVersion: '1.1.0', name: 'caps', type: 'netloom' });
  const runtimeConfig = {
    portMappings: [{ hostPort: 8081, containerPort: 80 }],
    ips: ['10.8.0.70/24'],
    mac: '02:00:00:00:08:70',
    dns: { servers: ['192.0.2.53'], searches: ['a.test'], options: ['ndots:2'] },
    aliases: ['db', 'primary'],
    bandwidth: { ingressRate: 8_000_000, ingressBurst: 1_600_000, egressRate: 4_000_000, egressBurst: 0 },
    ipRanges: [[{ subnet: '10.8.0.0/24', rangeStart: '10.8.0.64', rangeEnd: '10.8.0.127', gateway: '10.8.0.1' }]],
    cgroupPath: '/kubelet.slice',
  };
  const added = await plugin('ADD', { id: 'pod', netns: a.path, conf: { runtimeConfig } });
  assert.equal(added.status, 0, JSON.stringify(added.json));
  assert.deepEqual(added.json['dns'], { nameservers: ['192.0.2.53'], search: ['a.test'], options: ['ndots:2'] });
  const [endpoint] = await bed.engine.endpointList();
  assert.deepEqual(
    [endpoint?.addresses, endpoint?.mac, endpoint?.aliases, endpoint?.rates, endpoint?.tuning],
    [
      ['10.8.0.70/24'],
      '02:00:00:00:08:70',
      ['pod', 'db', 'primary'],
      { ingress: 8_000_000, egress: 4_000_000 },
      { ingressBurst: 1_600_000 },
    ],
  );
  assert.deepEqual((await bed.engine.networkInspect('caps')).subnets, [
    { subnet: '10.8.0.0/24', gateway: '10.8.0.1', ipRange: '10.8.0.64/26' },
  ]);
  assert.match(
    await okIn(bed.host.netns, ['tc', 'qdisc', 'show', 'dev', endpoint?.hostIfname ?? '']),
    /burst (200000|199999)b/,
  );
  await using _server = await tcpServer(a.netns, '0.0.0.0', 80, 'served');
  assert.ok((await tcpConnect(bed.host.outside, ADDRESS.host, 8081)).ok);
  // without declaring them, for every workload
  const b = await bed.workload('b');
  const own = { aliases: ['db'], bandwidth: { egressRate: 1_000_000 }, mac: '02:00:00:00:08:71', ips: ['10.8.0.71'] };
  const plain = await plugin('ADD', { id: 'pod-b', netns: b.path, conf: own });
  assert.equal((plain.json['ips'] as { address: string }[])[0]?.address, '10.8.0.71/24', JSON.stringify(plain.json));
  for (const [key, value] of [
    ['infinibandGUID', 'c2:11:22:33:44:55:66:77'],
    ['deviceID', '0000:04:00.5'],
    ['unheardOf', 1],
  ] as const) {
    const refused = await plugin('ADD', {
      id: 'pod-c',
      netns: b.path,
      ifname: 'eth1',
      conf: { runtimeConfig: { [key]: value } },
    });
    assert.deepEqual([refused.status, refused.json['code']], [1, 2]);
    assert.ok(String(refused.json['msg']).includes(key) && String(refused.json['msg']).includes(JSON.stringify(value)));
  }
});

test('macvlan: hardware address and MTU as they are, and no names where nobody answers', async () => {
  await using bed = await makeEngineBed();
  const { interfaces, ips, routes } = await addOnParent(bed, 'macvlan', 'bridge');
  assert.deepEqual([interfaces.length, interfaces[0]?.mtu], [1, 1400]);
  assert.match(interfaces[0]?.mac ?? '', /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
  assert.equal(ips[0]?.gateway, '10.12.0.1');
  assert.deepEqual(routes, [{ dst: '0.0.0.0/0', gw: '10.12.0.1' }]);
});

test('DEL: whatever is gone by then', async () => {
  await using bed = await makeEngineBed();
  const { path } = await bed.workload('a');
  const plugin = net(bed);
  assert.equal((await plugin('ADD', { id: 'pod', netns: path })).status, 0);
  // a path that leads nowhere any more; no namespace at all; a network that went meanwhile; a store that knows nothing
  for (const netns of ['/run/netns/nosuch', '', '../x'])
    assert.deepEqual((await plugin('DEL', { id: 'pod', netns })).json, {});
  await bed.engine.networkRemove('dbnet');
  assert.deepEqual((await plugin('DEL', { id: 'pod', netns: path })).json, {});
  // what lies in a namespace of its own, rules and routes, goes with that
  const gone = await bed.workload('gone');
  const conf = { sourceRoutes: true, sysctl: { 'net.core.somaxconn': '500' }, routes: [{ dst: '192.0.2.0/24' }] };
  assert.equal((await plugin('ADD', { id: 'pod', netns: gone.path, conf })).status, 0);
  Netns.unpin(gone.path);
  assert.deepEqual((await plugin('DEL', { id: 'pod', netns: gone.path, conf })).json, {});
  assert.deepEqual(await bed.engine.endpointList(), []);
  const env = { NETLOOM_STATE_DIR: `${bed.dirs.root}/fresh-state`, NETLOOM_RUN_DIR: `${bed.dirs.root}/fresh-run` };
  assert.deepEqual((await plugin('DEL', { id: 'pod', netns: path, env })).json, {});
});
