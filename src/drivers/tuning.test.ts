import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kindOf } from '../facts/index.ts';
import { type Endpoint, type EndpointTuning, parseAttachSpec, parseTuning, sysctlName } from '../model/index.ts';
import { bucketOf } from './rates.ts';
import { sourceTable, tuningFacts } from './tuning.ts';

const endpoint = (tuning: EndpointTuning): Endpoint => ({
  id: '0123456789abcdef'.repeat(4),
  network: 'n',
  container: '',
  type: 'veth',
  netns: '/run/netns/web',
  netnsId: '',
  ifname: 'eth0',
  hostIfname: 've0',
  mac: '',
  addresses: ['10.0.0.2/24', '10.0.0.3/24', 'fd00::2/64'],
  gateways: [],
  aliases: [],
  gatewayPriority: 0,
  ports: [],
  rates: { ingress: 0, egress: 0 },
  tuning: parseTuning(tuning),
  created: '',
  phase: 'ready',
  owner: '',
});
const commands = (tuning: EndpointTuning, gateways: readonly string[]): string[] =>
  tuningFacts(endpoint(tuning), 'endpoint', gateways).map((fact) => kindOf(fact).command(fact, 'add'));

test('what is set of an endpoint, as commands', () => {
  assert.deepEqual(
    commands(
      {
        sysctls: { 'net.core.somaxconn': '500', 'net.ipv4.conf.IFNAME.arp_notify': '1' },
        routes: [
          { dst: '192.0.2.0/24', mtu: 1400 },
          { dst: '198.51.100.7/24', scope: 253 },
          { dst: '0.0.0.0/0', table: 9 },
          { dst: '2001:db8::/32', gateway: 'fd00::9', priority: 1024 },
        ],
      },
      ['10.0.0.1'],
    ),
    [
      'nsenter --net=/run/netns/web sysctl -q -w net.core.somaxconn=500',
      'nsenter --net=/run/netns/web sysctl -q -w net.ipv4.conf.eth0.arp_notify=1',
      'ip -n web route add 198.51.100.0/24 dev eth0 scope 253 proto 110',
      'ip -n web route add 192.0.2.0/24 via 10.0.0.1 dev eth0 mtu 1400 proto 110',
      'ip -n web route add default via 10.0.0.1 dev eth0 table 9 proto 110',
      'ip -n web -6 route add 2001:db8::/32 via fd00::9 dev eth0 proto 110',
    ],
  );
});

test('source routes: a table of its own, with the subnets, the gateways and a rule for each address', () => {
  const table = sourceTable(endpoint({}));
  assert.equal(table, 0x4012_3456);
  assert.deepEqual(commands({ sourceRoutes: true }, ['10.0.0.1', '::']), [
    `ip -n web route add 10.0.0.0/24 dev eth0 table ${table} proto 110`,
    `ip -n web -6 route add fd00::/64 dev eth0 table ${table} proto 110`,
    `ip -n web route add default via 10.0.0.1 dev eth0 table ${table} proto 110`,
    `ip -n web -6 route add default dev eth0 table ${table} proto 110`,
    `ip -n web rule add from 10.0.0.2/32 lookup ${table} priority 28268 protocol 110`,
    `ip -n web rule add from 10.0.0.3/32 lookup ${table} priority 28268 protocol 110`,
    `ip -n web -6 rule add from fd00::2/128 lookup ${table} priority 28268 protocol 110`,
  ]);
  assert.equal(commands({ sourceRoutes: true }, []).filter((line) => line.includes('default')).length, 0);
});

test('an interface’s name in a parameter, dots and all', () => {
  assert.deepEqual(sysctlName('net.ipv4.conf.IFNAME.arp_notify', 'eth0.5'), {
    name: 'net.ipv4.conf.eth0/5.arp_notify',
    ofLink: true,
  });
  assert.deepEqual(sysctlName('net/ipv4/conf/IFNAME/arp_notify', 'eth0.5'), {
    name: 'net/ipv4/conf/eth0.5/arp_notify',
    ofLink: true,
  });
  assert.deepEqual(sysctlName('net.core.somaxconn', 'eth0'), { name: 'net.core.somaxconn', ofLink: false });
});

test('a burst that is asked for, and never less than two packets', () => {
  assert.equal(bucketOf(8_000_000, 1500, 1_600_000).burst, 200_000);
  assert.equal(bucketOf(8_000_000, 1500, 8).burst, 2 * 1514);
});

test('what cannot be set is refused in words', () => {
  const wrong: readonly [EndpointTuning, RegExp][] = [
    [{ sysctls: { 'kernel.hostname': 'x' } }, /"kernel\.hostname" is no parameter of a network namespace/],
    [{ sysctls: { 'net/../kernel/hostname': 'x' } }, /is no parameter/],
    [{ sysctls: { 'net.//.x': 'x' } }, /is no parameter/],
    [{ sysctls: { 'net.x': '' } }, /is no text of one line/],
    [{ mtu: 1 }, /mtu 1: write a whole number from 68/],
    [{ routes: [{ dst: '::/0' }] }, /the default route is the network’s gateway/],
    [{ routes: [{ dst: '10.0.0.0/8', table: 255 }] }, /the table 255/],
    [{ routes: [{ dst: '10.0.0.0/8', gateway: 'fd00::1' }] }, /no address of a router of that family/],
    [{ routes: [{ dst: 'fd00::/8', scope: 0 }] }, /a scope is for IPv4/],
    [{ routes: [{ dst: '10.0.0.0/8' }, { dst: '10.1.0.0/8', table: 254 }] }, /is given twice/],
    [{ ingressBurst: 0.5 }, /ingress burst/],
  ];
  for (const [tuning, message] of wrong) assert.throws(() => parseTuning(tuning), { message });
  const tap = { network: 'n', netns: '', tap: true, ifname: 'tap0', tuning: { mtu: 1400 } };
  assert.throws(() => parseAttachSpec(tap), /what is behind a tap/);
});
