import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  dhcp6Acquire,
  dhcp6Info,
  dhcp6Release,
  dhcp6Renew,
  type DhcpAssignment,
  DhcpError,
  DhcpResponder,
  type ResponderEvent,
} from '../../src/dhcp/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ipBatch, okIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';
import { makeLan } from './dhcp-bed.ts';

checkDescriptors();

test('dnsmasq gives an IPv6 address, renews it, takes it back, and tells the rest', async () => {
  await using lan = await makeLan();
  await ipBatch(lan.router, ['addr add fd00:77::1/64 dev eth0 nodad']);
  await using server = await lan.dnsmasq(
    '--dhcp-range=fd00:77::100,fd00:77::1ff,64,2m',
    '--dhcp-option=option6:dns-server,[fd00:77::1]',
    '--dhcp-option=option6:domain-search,a.example,b.example',
  );
  const client = { netns: lan.container, ifname: 'eth0', mac: lan.mac, timeoutMs: 10_000 };
  const before = Date.now();
  const lease = await dhcp6Acquire(client);
  assert.match(lease.address, /^fd00:77::1[0-9a-f]{2}\/128$/);
  assert.deepEqual([lease.dns, lease.search, lease.iaid], [['fd00:77::1'], ['a.example', 'b.example'], 1]);
  assert.ok(lease.obtained >= before && lease.obtained <= Date.now());
  assert.deepEqual(
    [lease.renewAt, lease.rebindAt, lease.preferredUntil, lease.expiresAt].map((at) => at - lease.obtained),
    [60_000, 105_000, 120_000, 120_000],
  );
  const held = (): boolean => server.leases().some((line) => line.includes(lease.address.replace('/128', '')));
  await until('the server has the lease', held);
  await okIn(lan.container, ['ip', 'addr', 'add', lease.address, 'dev', 'eth0', 'nodad']);
  const renewed = await dhcp6Renew(lease, client);
  assert.equal(renewed.address, lease.address);
  assert.ok(renewed.expiresAt > lease.expiresAt - 1000);
  const rebound = await dhcp6Renew({ ...lease, rebindAt: 0 }, client);
  assert.deepEqual([rebound.address, rebound.server], [lease.address, lease.server]);
  assert.deepEqual(await dhcp6Info(client), {
    dns: ['fd00:77::1'],
    search: ['a.example', 'b.example'],
    server: lease.server,
  });
  await dhcp6Release(lease, client);
  await until('the server forgot the lease', () => !held());
});

test('no DHCPv6 server: EDHCP within the deadline; an interface without IPv6: told so', async () => {
  await using lan = await makeLan();
  const client = { netns: lan.container, ifname: 'eth0', mac: lan.mac };
  await okIn(lan.container, ['ip', 'addr', 'add', 'fe80::7/64', 'dev', 'eth0', 'nodad']);
  await assert.rejects(dhcp6Acquire({ ...client, timeoutMs: 600 }), {
    code: 'EDHCP',
    message: /^eth0 in .*: no DHCP server gave an IPv6 lease within 0\.6 s \(1 message sent, nothing was heard\)$/,
  });
  await okIn(lan.container, ['sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6']);
  await assert.rejects(dhcp6Acquire({ ...client, timeoutMs: 200 }), {
    code: 'EDHCP',
    message: /no link-local address/,
  });
});

test('our responder gives exactly the address of the assignment, to the machine that it belongs to', async () => {
  using host = Netns.create();
  using vm = Netns.create();
  using stranger = Netns.create();
  const [mac, other] = ['02:00:00:00:30:05', '02:00:00:00:30:99'];
  await ipBatch(host, [
    'link add br0 address 02:00:00:00:30:01 type bridge',
    'link set br0 addrgenmode none',
    'link set br0 up',
    'addr add fe80::1/64 dev br0 nodad',
    ...[vm, stranger].flatMap((netns, i) => [
      `link add p${i} type veth peer name eth0 address ${[mac, other][i]} netns /proc/${process.pid}/fd/${netns.fd}`,
      `link set p${i} master br0 up`,
    ]),
  ]);
  for (const netns of [vm, stranger]) {
    await ipBatch(netns, ['link set eth0 addrgenmode none', 'link set eth0 up', 'addr add fe80::5/64 dev eth0 nodad']);
    await until('the port forwards', async () =>
      (await okIn(host, ['ip', '-d', 'link', 'show', 'master', 'br0'])).includes('state forwarding'),
    );
  }
  const assignment: DhcpAssignment = {
    ...{ address6: 'fd00:30::5/64', dns: ['fd00:30::1', '172.30.0.1'], search: ['vm.example'], leaseSeconds: 1000 },
  };
  const directory = new Map([[mac, assignment]]);
  const events: ResponderEvent[] = [];
  const router = { prefixes: ['fd00:30::/64'], slaac: false, managed: true, gateway: true, dns: [], search: [] };
  using responder = new DhcpResponder({
    netns: host,
    lookup: (_, who) => directory.get(who),
    members: () => [],
    onEvent: (event) => events.push(event),
  });
  responder.add({ network: 'web', bridge: 'br0', router });
  const client = { netns: vm, ifname: 'eth0', mac, timeoutMs: 10_000 };
  const lease = await dhcp6Acquire(client);
  assert.deepEqual([lease.address, lease.dns, lease.search], ['fd00:30::5/128', ['fd00:30::1'], ['vm.example']]);
  assert.deepEqual(
    [lease.renewAt, lease.rebindAt, lease.expiresAt].map((at) => at - lease.obtained),
    [500_000, 800_000, 1_000_000],
  );
  assert.equal((await dhcp6Renew(lease, client)).address, lease.address);
  assert.equal((await dhcp6Renew({ ...lease, rebindAt: 0 }, client)).address, lease.address);
  assert.deepEqual((await dhcp6Info(client)).dns, ['fd00:30::1']);
  // the engine gave it another one: the old one ends
  directory.set(mac, { ...assignment, address6: 'fd00:30::8/64' });
  await assert.rejects(dhcp6Renew(lease, client), (error) => error instanceof DhcpError && error.refused);
  const moved = await dhcp6Acquire(client);
  assert.equal(moved.address, 'fd00:30::8/128');
  await dhcp6Release(moved, client);
  await assert.rejects(dhcp6Acquire({ ...client, netns: stranger, mac: other, timeoutMs: 500 }), {
    code: 'EDHCP',
    message: /nothing was heard/,
  });
  assert.deepEqual(
    events.map((e) => e.outcome),
    ['ack', 'ack', 'ack', 'inform', 'ack', 'ack', 'released'],
  );
});
