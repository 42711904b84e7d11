import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { NetloomError, UnsupportedError } from '../../src/errors.ts';
import { type Fd, Netns, tunCreate } from '../../src/kernel/index.ts';
import { NETLINK, NetlinkError, NetlinkMonitor, type Request } from '../../src/netlink/index.ts';
import * as r from '../../src/rtnetlink/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { okIn } from '../lib/run.ts';
import { BRIDGE, MACS, make, PAIR } from './rtnetlink-state.ts';

checkDescriptors();

const [A, B, C] = MACS;

test('a veth peer is born in its namespace, with its name, MAC and MTU', async () => {
  using host = Netns.create();
  using other = Netns.create();
  using rtnl = r.Rtnl.open(host);
  using inside = r.Rtnl.open(other);
  const peer = { name: 'eth0', mac: B, mtu: 1300, netns: other.fd };
  await rtnl.link.add({ name: 'veth0', mac: A, mtu: 1300, up: true, info: { kind: 'veth', peer } });
  const [outer, inner] = [await rtnl.link.get('veth0'), await inside.link.get('eth0')];
  assert.deepEqual([inner.mac, inner.mtu, inner.up, inner.info], [B, 1300, false, { kind: 'veth' }]);
  assert.deepEqual([outer.link, inner.link], [inner.index, outer.index]);
  assert.equal(outer.linkNetnsid, await rtnl.nsid.get({ fd: other.fd }));
  assert.equal(inner.linkNetnsid, await inside.nsid.get({ fd: host.fd }));
  assert.deepEqual(await rtnl.nsid.list(), [outer.linkNetnsid]);
});

test('namespace ids are given and found', async () => {
  using host = Netns.create();
  using other = Netns.create();
  using rtnl = r.Rtnl.open(host);
  assert.equal(await rtnl.nsid.get({ fd: other.fd }), -1);
  await rtnl.nsid.set({ fd: other.fd }, 42);
  assert.equal(await rtnl.nsid.get({ fd: other.fd }), 42);
  await assert.rejects(rtnl.nsid.set({ fd: other.fd }, 43), { code: 'EEXIST' });
  assert.equal(await rtnl.nsid.get({ pid: process.pid }), -1);
  await rtnl.nsid.set({ pid: process.pid }, 7);
  assert.deepEqual(new Set(await rtnl.nsid.list()), new Set([7, 42]));
});

test('the kernel filters dumps', async () => {
  using host = Netns.create();
  await make(host, [...PAIR, ...BRIDGE]);
  await okIn(host, ['ip', 'route', 'add', '10.9.0.0/16', 'dev', 'eth0', 'table', '1000']);
  using rtnl = r.Rtnl.open(host);
  const index = (await rtnl.link.get('eth0')).index;
  const master = (await rtnl.link.get('br0')).index;
  const names = async (options: Parameters<typeof rtnl.link.list>[0]): Promise<string[]> =>
    (await rtnl.link.list(options)).map((link) => link.name).sort();
  assert.deepEqual(await names({ kind: 'veth' }), ['eth0', 'eth1']);
  assert.deepEqual(await names({ master }), ['eth1']);
  assert.deepEqual(
    (await rtnl.address.list({ index, family: 4 })).map((a) => a.address),
    ['10.0.0.1/24'],
  );
  assert.deepEqual(
    (await rtnl.route.list({ family: 4, table: 1000 })).map((route) => route.dst),
    ['10.9.0.0/16'],
  );
  assert.deepEqual(
    (await rtnl.route.list({ family: 4, oif: index, protocol: r.RTPROT.BOOT })).map((route) => route.dst),
    ['10.9.0.0/16'],
  );
  assert.ok((await rtnl.fdb.list()).length > (await rtnl.fdb.list({ master })).length);
  assert.ok((await rtnl.fdb.list({ master })).every((entry) => entry.index !== index));
  const port = (await rtnl.link.get('eth1')).index;
  await rtnl.fdb.add({ index: port, mac: '02:00:00:00:00:11', flags: ['master'], state: 'static' });
  const ofPort = await rtnl.fdb.list({ index: port });
  assert.ok(ofPort.some((entry) => entry.mac === '02:00:00:00:00:11'));
  assert.ok(ofPort.every((entry) => entry.index === port));
  const entry = await rtnl.fdb.get({ index: port, mac: '02:00:00:00:00:11', table: 'master' });
  assert.deepEqual([entry.index, entry.master, entry.state], [port, master, 'static']);
  await assert.rejects(rtnl.fdb.get({ index: port, mac: '02:00:00:00:00:12', table: 'master' }), { code: 'ENOENT' });
  await rtnl.neighbour.add({ index, dst: '10.0.0.9', lladdr: C });
  await rtnl.neighbour.add({ index: master, dst: '10.0.0.9', lladdr: C });
  const dsts = (await rtnl.neighbour.list({ index, family: 4 })).filter((entry) => entry.state === 'permanent');
  assert.deepEqual(
    dsts.map((entry) => [entry.index, entry.dst]),
    [[index, '10.0.0.9']],
  );
  assert.equal((await rtnl.neighbour.get({ index, dst: '10.0.0.9' })).lladdr, C);
  await assert.rejects(rtnl.neighbour.get({ index, dst: '10.0.0.10' }), { code: 'ENOENT' });
  assert.ok((await rtnl.rule.list({ family: 6 })).every((rule) => rule.family === 6));
});

test('a route is looked up as a packet would', async () => {
  using host = Netns.create();
  await make(host, PAIR);
  using rtnl = r.Rtnl.open(host);
  const oif = (await rtnl.link.get('eth0')).index;
  await rtnl.route.add({ dst: '10.9.0.0/16', gateway: '10.0.0.254', table: 1000 });
  await rtnl.rule.add({ fwmark: 7, table: 1000, priority: 5 });
  await assert.rejects(rtnl.route.get('10.9.0.1'), { code: 'ENETUNREACH' });
  const marked = await rtnl.route.get('10.9.0.1', { mark: 7 });
  assert.deepEqual([marked.gateway, marked.oif, marked.prefsrc, marked.table], ['10.0.0.254', oif, '10.0.0.1', 1000]);
  const decides = await rtnl.route.get('10.9.0.1', { mark: 7, fibMatch: true });
  assert.equal(decides.dst, '10.9.0.0/16');
  assert.equal((await rtnl.route.get('fd00::9')).prefsrc, 'fd00::1');
});

test('a group of links goes in one message', async () => {
  using host = Netns.create();
  using rtnl = r.Rtnl.open(host);
  const pair = (i: number): Request =>
    r.linkAdd({ name: `v${i}`, group: 9, info: { kind: 'veth', peer: { name: `p${i}` } } });
  for (const { error } of await rtnl.conn.batch(Array.from({ length: 20 }, (_, i) => pair(i))))
    assert.equal(error, undefined);
  assert.equal((await rtnl.link.list({ kind: 'veth' })).length, 40);
  await rtnl.link.delete({ group: 9 });
  assert.deepEqual(
    (await rtnl.link.list()).map((link) => link.name),
    ['lo'],
  );
});

test('a creation keeps no alias, and a peer cannot be born up: what LinkSpec leaves out', async () => {
  using host = Netns.create();
  using rtnl = r.Rtnl.open(host);
  const spec = { name: 'br0', alias: 'x', info: { kind: 'bridge' } } as const;
  await rtnl.link.add(spec);
  assert.equal((await rtnl.link.get('br0')).alias, '');
  await rtnl.link.set({ name: 'br0' }, { alias: 'x' });
  assert.equal((await rtnl.link.get('br0')).alias, 'x');
  await rtnl.link.set({ name: 'br0' }, { alias: '' });
  assert.equal((await rtnl.link.get('br0')).alias, '');
  const peer = { name: 'p0', up: true };
  await assert.rejects(rtnl.link.add({ name: 'v0', info: { kind: 'veth', peer } }), { code: 'ENOTCONN' });
});

test('counters, names and flags of a link', async () => {
  using host = Netns.create();
  using rtnl = r.Rtnl.open(host);
  await rtnl.link.set({ name: 'lo' }, { up: true });
  await okIn(host, ['ping', '-c1', '-q', '127.0.0.1']);
  await okIn(host, ['ip', 'link', 'property', 'add', 'dev', 'lo', 'altname', 'loopback-of-this-namespace']);
  const [message] = await rtnl.conn.execute(r.linkGet({ name: 'lo' }));
  const stats = r.parseLinkStats(message!);
  assert.ok(stats.rxPackets >= 2n && stats.rxBytes === stats.txBytes, `${stats.rxPackets} packets`);
  const lo = r.parseLink(message!);
  assert.deepEqual(lo.altNames, ['loopback-of-this-namespace']);
  assert.deepEqual([lo.type, lo.up, lo.info], [r.ARPHRD.LOOPBACK, true, undefined]);
  const { index } = lo;
  await rtnl.link.set({ index }, { promisc: true, mtu: 9000 });
  const changed = await rtnl.link.get({ index });
  assert.deepEqual([changed.mtu, changed.promiscuity, (changed.flags & r.IFF.PROMISC) !== 0], [9000, 1, true]);
});

test('IFA_PROTO and lifetimes reach the kernel, which iproute2 6.1 cannot say', async () => {
  using host = Netns.create();
  await make(host, PAIR);
  using rtnl = r.Rtnl.open(host);
  const { index } = await rtnl.link.get('eth0');
  await rtnl.address.add({ index, address: '10.7.0.1/24', valid: 1000, preferred: 500 });
  await rtnl.address.add({ index, address: '10.8.0.1/24', proto: 0x42 });
  const list = await rtnl.address.list({ index });
  const limited = list.find((a) => a.address === '10.7.0.1/24');
  assert.ok(limited && limited.valid > 900 && limited.valid <= 1000 && limited.preferred <= 500);
  assert.deepEqual(limited.flags, []);
  const ours = list.find((a) => a.address === '10.8.0.1/24');
  const [major, minor] = (await okIn(host, ['uname', '-r'])).split('.').map(Number);
  assert.equal(ours?.proto, major! > 5 || minor! >= 18 ? 0x42 : 0);
});

test('refusals are typed, with the kernel’s own words', async () => {
  using host = Netns.create();
  using rtnl = r.Rtnl.open(host);
  await assert.rejects(rtnl.link.get('nosuch'), { code: 'ENODEV', request: 'RTM_GETLINK name=nosuch' });
  await rtnl.link.add({ name: 'br0', info: { kind: 'bridge' } });
  await assert.rejects(rtnl.link.add({ name: 'br0', info: { kind: 'bridge' } }), { code: 'EEXIST' });
  await assert.rejects(rtnl.route.add({ dst: '10.0.0.0/8', gateway: '192.0.2.1' }), (error: unknown) => {
    assert.ok(error instanceof NetlinkError);
    assert.deepEqual([error.code, error.extAck], ['ENETUNREACH', 'Nexthop has invalid gateway']);
    return true;
  });
  await assert.rejects(
    rtnl.link.add({ name: 'x', info: { kind: 'other', name: 'no-such-kind' } }),
    (error: unknown) => {
      assert.ok(error instanceof UnsupportedError);
      assert.equal(error.feature, 'link kind no-such-kind');
      assert.ok(error.cause instanceof NetlinkError);
      return true;
    },
  );
});

test('events tell what happened', { timeout: 20_000 }, async () => {
  using host = Netns.create();
  using monitor = NetlinkMonitor.open(NETLINK.ROUTE, host, [...new Set(Object.values(r.EVENT_GROUPS).flat())]);
  await make(host, [
    ...PAIR,
    ...BRIDGE,
    (index) => [
      r.routeAdd({ dst: '10.9.0.0/16', gateway: '10.0.0.254' }),
      r.ruleAdd({ priority: 5, table: 9 }),
      r.neighbourAdd({ index: index('eth0'), dst: '10.0.0.9', lladdr: C }),
      r.fdbAdd({ index: index('eth1'), mac: '02:00:00:00:00:11', flags: ['master'], state: 'static' }),
      r.linkSet({ name: 'eth1' }, { master: 0 }),
      r.ruleDelete({ priority: 5 }),
      r.linkDelete({ name: 'br0' }),
    ],
  ]);
  const wanted = new Set([
    'new link eth0',
    'new address 10.0.0.1/24',
    'new address fd00::1/64',
    'new route 10.9.0.0/16',
    'new rule 5',
    'new neighbour 10.0.0.9',
    'new fdb 02:00:00:00:00:11',
    'new port eth1',
    'delete port eth1',
    'delete fdb 02:00:00:00:00:11',
    'delete rule 5',
    'delete link br0',
  ]);
  for await (const batch of monitor) {
    assert.equal(batch.kind, 'messages');
    for (const message of batch.kind === 'messages' ? batch.messages : []) {
      const event = r.parseEvent(message);
      if (event) wanted.delete(`${event.verb} ${event.kind} ${keyOf(event)}`);
    }
    if (wanted.size === 0) break;
  }
});

function keyOf(event: r.RtnlEvent): string {
  switch (event.kind) {
    case 'link':
    case 'port':
      return event.link.name;
    case 'address':
      return event.address.address;
    case 'route':
      return event.route.dst;
    case 'rule':
      return `${event.rule.priority}`;
    case 'neighbour':
      return event.neighbour.dst;
    case 'fdb':
      return event.fdb.mac;
    case 'nsid':
      return `${event.nsid.nsid}`;
  }
}

test('what TUNSETIFF made is read back', async () => {
  using host = Netns.create();
  using rtnl = r.Rtnl.open(host);
  let tap: Fd;
  try {
    tap = tunCreate(host, 'tap0', { mode: 'tap', multiQueue: true, owner: 0 });
  } catch (error) {
    // a user namespace has no say about the device node's mode; the kernel's answer is all there is to see
    assert.ok(error instanceof NetloomError && process.getuid?.() === 0, String(error));
    assert.equal(error.code, 'EACCES');
    return;
  }
  using _tap = tap;
  const { info, type } = await rtnl.link.get('tap0');
  assert.deepEqual(
    [type, info],
    [
      r.ARPHRD.ETHER,
      {
        kind: 'tun',
        mode: 'tap',
        owner: 0, // the one user that every user namespace has
        pi: false,
        vnetHdr: false,
        persist: false,
        multiQueue: true,
        queues: 1,
        disabledQueues: 0,
      },
    ],
  );
  using _tun = tunCreate(host, 'tun0', { mode: 'tun' });
  const tun = await rtnl.link.get('tun0');
  assert.equal(tun.type, r.ARPHRD.NONE);
  assert.equal(tun.info?.kind === 'tun' && tun.info.mode, 'tun');
});
