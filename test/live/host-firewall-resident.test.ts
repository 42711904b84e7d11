import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Engine } from '../../src/engine/index.ts';
import { WaysIn } from '../../src/engine/ways-in.ts';
import { type EngineEvent, parsePublish } from '../../src/model/index.ts';
import { NETLINK, NetlinkConn, NetlinkMonitor } from '../../src/netlink/index.ts';
import { EVENT_GROUPS, parseEvent } from '../../src/rtnetlink/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { tcpConnect, tcpHold } from '../lib/peer.ts';
import { ipBatch, okIn, startIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';
import { closed, denied, golden, iptables, nft, type Town, town, XTABLES } from './host-firewall-bed.ts';

checkDescriptors();

const CHILD = fileURLToPath(new URL('host-firewall-child.ts', import.meta.url));

/** What an engine tells of endpoints. */
function listen(engine: Engine): { told(what: string, action: string): Promise<EngineEvent> } & AsyncDisposable {
  const stop = new AbortController();
  const events: EngineEvent[] = [];
  const listening = (async () => {
    for await (const event of engine.events({ types: ['endpoint', 'engine'] }, stop.signal)) events.push(event);
  })();
  return {
    told: (what, action) =>
      until(what, () => {
        const at = events.findIndex((event) => event.action === action);
        return at < 0 ? undefined : events.splice(0, at + 1).at(-1);
      }),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await listening;
    },
  };
}

const portsNow = async (t: Town): Promise<string[]> => (await t.bed.engine.endpointList()).flatMap(denied);
const DENIED = '0.0.0.0:8080->80/tcp';

test('pain 1 (moby#22054): a firewall that comes while workloads run closes their ports, and one that goes opens them', async () => {
  await using t = await town({ resident: true });
  await using events = listen(t.bed.engine);
  const { endpoint } = await t.publish('8080:80', '22:80');
  await t.bed.engine.networkCreate({ name: 'other' });
  const beside = await t.bed.workload('beside');
  await t.bed.engine.endpointAttach({ netns: beside.path, network: 'other' });
  assert.deepEqual(denied(endpoint), []);
  assert.equal(await t.outside(8080), true);
  const gone = await tcpHold(t.bed.host.neighbour, ADDRESS.host, 8080);
  await using stays = await tcpHold(beside.netns, ADDRESS.host, 8080);
  await using own = await tcpHold(t.host, '127.0.0.1', 8080);
  await using other = await tcpHold(t.bed.host.neighbour, ADDRESS.host, 22);

  await closed(t.host);
  const event = await events.told('the port is denied', 'denied');
  assert.equal(event.id, endpoint.id);
  assert.deepEqual(
    { ...event.attributes },
    {
      network: 'web',
      ports: DENIED,
      cause: 'iptables refuses such connections (table ip filter, chain INPUT, its policy)',
    },
  );
  assert.deepEqual(await portsNow(t), [DENIED]);
  assert.deepEqual([await t.outside(8080), await t.outside(22)], [false, true]);
  assert.equal((await gone.again(500)).ok, false, 'connections from outside end with it');
  for (const [who, held] of Object.entries({ stays, own, other }))
    assert.ok((await held.again()).ok, `the connection ${who} goes on`);
  assert.ok((await tcpConnect(t.host, ADDRESS.host, 8080)).ok);
  assert.ok((await tcpConnect(beside.netns, ADDRESS.host, 8080)).ok);
  await gone[Symbol.asyncDispose]();

  await iptables(t.host, '-A INPUT -p tcp --dport 8080 -j ACCEPT');
  assert.equal((await events.told('the port is allowed', 'allowed')).attributes['ports'], DENIED);
  assert.deepEqual([await portsNow(t), await t.outside(8080)], [[], true]);

  await iptables(t.host, '-D INPUT -p tcp --dport 8080 -j ACCEPT');
  await events.told('the port is denied again', 'denied');
  assert.equal(await t.outside(8080), false);

  // everything at once, ours among it
  await okIn(t.host, ['nft', 'flush', 'ruleset']);
  await events.told('the port is allowed without any firewall', 'allowed');
  await until('it is open', () => t.outside(8080));
});

test('ufw and firewalld, enabled and disabled beside a running engine', async () => {
  await using t = await town({ resident: true });
  await using events = listen(t.bed.engine);
  await t.publish('8080:80');
  await okIn(t.host, ['iptables-nft-restore'], { input: golden('ufw.rules'), ...XTABLES });
  assert.match((await events.told('ufw denies it', 'denied')).attributes['cause'] ?? '', /^ufw /);
  await nft(t.host, 'delete table ip filter\n');
  await events.told('without ufw it is open', 'allowed');
  assert.equal(await t.outside(8080), true);
  await nft(t.host, golden('firewalld.nft'));
  assert.match((await events.told('firewalld denies it', 'denied')).attributes['cause'] ?? '', /^firewalld /);
  assert.equal(await t.outside(8080), false);
  await nft(t.host, 'delete table inet firewalld\n');
  await events.told('without firewalld it is open', 'allowed');
  assert.equal(await t.outside(8080), true);
});

test('the outside comes another way: the interface that the default route leaves by is the one that is asked for', async () => {
  await using t = await town({ resident: true });
  await using events = listen(t.bed.engine);
  await iptables(t.host, '-A INPUT -i wan0 -j DROP');
  await t.publish('8080:80');
  assert.deepEqual(await portsNow(t), []);
  await ipBatch(t.host, [
    'link add wan0 type veth peer name wan1',
    'addr add 203.0.113.9/24 dev wan0',
    'link set wan1 up',
    'link set wan0 up',
    'route add default via 203.0.113.1 dev wan0 metric 1',
    'route del default via 192.0.2.2 dev eth0',
  ]);
  await events.told('the new way is closed', 'denied');
  await ipBatch(t.host, ['link del wan0', 'route add default via 192.0.2.2 dev eth0']);
  await events.told('the old one is open', 'allowed');
});

test('who attaches right after the firewall has changed gets what it says now', async () => {
  await using t = await town({ resident: true });
  for (const [i, policy] of ['DROP', 'ACCEPT', 'DROP', 'ACCEPT'].entries()) {
    await iptables(t.host, `-P INPUT ${policy}`);
    const { endpoint } = await t.publish(`${8080 + i}:80`);
    assert.equal(denied(endpoint).length, policy === 'DROP' ? 1 : 0, policy);
    await t.bed.engine.endpointDetach(endpoint.id);
  }
  const left = await okIn(t.host, ['nft', 'list', 'set', 'inet', 'netloom', 'denied4_any']);
  assert.doesNotMatch(left, /elements/);
});

test('endpoints come and go while the firewall changes its mind: nothing is left of them, and what stays is as it says', async () => {
  await using t = await town({ resident: true });
  const boxes = await Promise.all(Array.from({ length: 6 }, (_, i) => t.bed.workload(`box${i}`)));
  let flipping = true;
  const flips = (async () => {
    for (let i = 0; flipping; i++) await iptables(t.host, `-P INPUT ${i % 2 === 0 ? 'DROP' : 'ACCEPT'}`);
    await iptables(t.host, '-P INPUT DROP');
  })();
  const last = await Promise.all(
    boxes.map(async ({ path }, box) => {
      for (let round = 0; ; round++) {
        const ports = [parsePublish(`${9000 + box}:80`)];
        const { value } = await t.bed.engine.endpointAttach({ netns: path, network: 'web', ports });
        if (round === 14 && box < 3) return value.id;
        await t.bed.engine.endpointDetach(value.id);
        if (round === 14) return '';
      }
    }),
  );
  flipping = false;
  await flips;
  assert.equal(last.filter(Boolean).length, 3);
  await until('those that stay are closed', async () => (await portsNow(t)).length === 3);
  const set = await okIn(t.host, ['nft', 'list', 'set', 'inet', 'netloom', 'denied4_any']);
  assert.deepEqual(
    [...set.matchAll(/tcp \. (\d+)/g)].map(([, port]) => Number(port)).toSorted((a, b) => a - b),
    [9000, 9001, 9002],
  );
  assert.deepEqual((await t.bed.engine.gc()).value.removed, []);
});

test('a restart keeps what is closed, and a start finds what changed meanwhile', async () => {
  await using t = await town();
  await closed(t.host);
  await t.publish('8080:80');
  const rules = (): Promise<string> => okIn(t.host, ['nft', 'list', 'table', 'inet', 'netloom']);
  const before = await rules();
  {
    await using engine = await t.bed.open({ resident: true });
    assert.deepEqual(engine.recovery.repaired, []);
    assert.equal(await rules(), before);
    await iptables(t.host, '-P INPUT ACCEPT');
    await until('it is open', async () => (await portsNow(t)).length === 0);
    assert.equal(await t.outside(8080), true);
  }
  await iptables(t.host, '-P INPUT DROP');
  assert.deepEqual(await portsNow(t), [], 'nobody looks');
  {
    await using _ = await t.bed.open({ resident: true });
    await until('the start closes it', async () => (await portsNow(t)).length === 1);
    await until('for packets, too', async () => !(await t.outside(8080)));
  }
  await using lax = await t.bed.open({ resident: true, publishedPorts: 'open' });
  await until(
    'an engine that is told otherwise opens it',
    async () => (await lax.endpointList()).flatMap(denied).length === 0,
  );
  assert.equal(await t.outside(8080), true);
});

test('kill -9 in the middle of closing and opening: the next start makes it so', async () => {
  await using t = await town();
  await t.publish('8080:80');
  for (const [policy, open] of [
    ['DROP', false],
    ['ACCEPT', true],
  ] as const) {
    const options = JSON.stringify({ ...t.bed.paths, netnsPath: `/proc/${process.pid}/fd/${t.host.fd}` });
    await using child = startIn(t.host, [process.execPath, '--no-warnings', CHILD, options]);
    await until('the engine is ready', () => /ready/.test(child.output()), { timeout: 30_000 });
    await iptables(t.host, `-P INPUT ${policy}`);
    await until('it has killed itself', () => child.child.signalCode === 'SIGKILL' || child.child.exitCode !== null);
    await using _ = await t.bed.open({ resident: true });
    await until(`${policy}: recorded`, async () => ((await portsNow(t)).length === 0) === open);
    await until(`${policy}: so for packets`, async () => (await t.outside(8080)) === open);
  }
});

test('other programs’ tables are read once while nobody changes them, and then only where something is published', async () => {
  await using t = await town({ resident: true });
  await nft(t.host, 'table ip big { chain in { type filter hook input priority 0; tcp dport 1 drop; }; }\n');
  const reads = async (): Promise<number> =>
    Number(/^netloom_host_firewall_reads_total (\d+)/m.exec(await t.bed.engine.metrics())?.[1] ?? 0);
  assert.equal(await reads(), 0, 'nothing is published');
  const ids: string[] = [];
  for (let i = 0; i < 20; i++) {
    const { path } = await t.bed.workload(`w${i}`);
    const ports = [parsePublish(`${9000 + i}:80`)];
    ids.push((await t.bed.engine.endpointAttach({ netns: path, network: 'web', ports })).value.id);
  }
  for (const id of ids) await t.bed.engine.endpointUpdate(id, { publish: [parsePublish(`80`)] });
  assert.equal(await reads(), 1, 'forty times asked');
  for (let i = 0; i < 50; i++) await nft(t.host, `add rule ip big in tcp dport ${100 + i} drop\n`);
  await until('it is read again', async () => (await reads()) > 1);
  assert.ok((await reads()) < 40, `${await reads()} times for 50 changes`);
});

test('networks of ours that come and go change nothing of the ways to the host; an address of somebody else’s does', async () => {
  await using t = await town();
  using conn = NetlinkConn.open(NETLINK.ROUTE, t.host);
  const groups = [...EVENT_GROUPS.link, ...EVENT_GROUPS.address, ...EVENT_GROUPS.route];
  using monitor = NetlinkMonitor.open(NETLINK.ROUTE, t.host, groups);
  const ways = await WaysIn.read(conn);
  let seen = 0;
  const concerned = (): string[] => {
    const kinds: string[] = [];
    for (let told = monitor.take(); told; told = monitor.take()) {
      assert.equal(told.kind, 'messages');
      for (const message of told.kind === 'messages' ? told.messages : []) {
        const event = parseEvent(message);
        if (!event) continue;
        seen++;
        if (ways.concerns(event)) kinds.push(`${event.verb} ${event.kind}`);
      }
    }
    return kinds;
  };
  for (let round = 0; round < 2; round++) {
    const subnets = [{ subnet: '10.77.0.0/24' }, { subnet: 'fd77::/64' }];
    await t.bed.engine.networkCreate({ name: 'passing', ipv6: true, subnets });
    const { path } = await t.bed.workload(`p${round}`);
    const { value } = await t.bed.engine.endpointAttach({ netns: path, network: 'passing' });
    await t.bed.engine.endpointDetach(value.id);
    await t.bed.engine.networkRemove('passing');
    assert.deepEqual(concerned(), []);
  }
  assert.ok(seen > 20, `${seen} events`);
  await ipBatch(t.host, ['link add theirs up type bridge', 'address add 198.18.0.1/24 dev theirs']);
  assert.deepEqual(concerned(), ['new address']);
});
