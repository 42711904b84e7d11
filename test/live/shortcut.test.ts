// runs: here and in the guest (vxlan, host-gw, udp; ipip, gre, wireguard, ipsec)
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Netns } from '../../src/kernel/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { type Host, type Machines, makeMachines, makeNetwork, type Workload } from '../lib/machines.ts';
import { tcpHold, tcpServer } from '../lib/peer.ts';
import { jsonIn, okIn, runIn } from '../lib/run.ts';
import { startTraffic } from '../lib/traffic.ts';
import { transfer } from '../lib/transfer.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

/** The kernel takes programs from nobody but root outside of user namespaces. */
const ALLOWED = /^\s*0\s+0\s+4294967295$/m.test(readFileSync('/proc/self/uid_map', 'utf8'));
const GUEST = process.env['NETLOOM_TEST_GUEST'] === '1';
const MEGABYTES = GUEST ? 2e6 : 8e6;
/** A packet of TCP carries 64 kB at most where nothing cuts it before the wire, and this many go that way with answers. */
const MANY = MEGABYTES / 65536;

/** Packets of TCP that the host forwards through its rule sets, from now on. @param family  `bridge`: frames, in one segment */
async function counting(netns: Netns, family: 'inet' | 'bridge' = 'inet'): Promise<() => Promise<number>> {
  await okIn(netns, [
    'nft',
    `table ${family} test { chain forward { type filter hook forward priority -10; meta l4proto tcp counter; }; }`,
  ]);
  const read = async (): Promise<number> =>
    Number(/packets (\d+)/.exec(await okIn(netns, ['nft', 'list', 'table', family, 'test']))![1]);
  const before = await read();
  return async () => (await read()) - before;
}

/**
 * As many a host has it: whoever begins is judged, what belongs to a connection goes on, and nothing else of TCP does. What goes
 * the whole way in one direction alone is no connection to it.
 */
async function guard(netns: Netns): Promise<void> {
  await okIn(netns, [
    'nft',
    'table inet firewall { chain forward { type filter hook forward priority 10; ct state established,related accept; ct state new tcp flags syn accept; meta l4proto tcp drop; }; }',
  ]);
}

/** A network on two hosts, and a workload on each. */
interface Bed {
  readonly hosts: readonly [Host, Host];
  readonly workloads: readonly [Workload, Workload];
}

async function bedOn(machines: Machines, name: string, options: Record<string, string>): Promise<Bed> {
  const [one, two] = machines.hosts as [Host, Host];
  await makeNetwork(machines, { name, driver: 'overlay', ipv6: true, options });
  const workloads = [await one.workload(`${name}a`, name), await two.workload(`${name}b`, name)] as const;
  await until('they reach each other', async () => {
    for (const address of workloads[1].addresses)
      if ((await runIn(workloads[0].netns, ['ping', '-c1', '-W1', address])).status !== 0) return false;
    return true;
  });
  return { hosts: [one, two], workloads };
}

async function pair(options: Record<string, string>): Promise<Bed & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const bed = await bedOn(stack.use(await makeMachines(2)), 'pods', options);
  const kept = stack.move();
  return { ...bed, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

const WAYS = GUEST
  ? (['ipip', 'gre', 'wireguard', 'ipsec'] as const)
  : (['vxlan', 'vxlan flat', 'host-gw', 'udp'] as const);

test('once begun, connections go past the rule sets of both hosts, in both families', async (t) => {
  await using machines = await makeMachines(2);
  for (const { netns } of machines.hosts) await guard(netns);
  for (const [i, way] of WAYS.entries()) {
    await t.test(way, async () => {
      const [backend, plan = 'node'] = way.split(' ') as [string, string?];
      const family = plan === 'flat' ? 'bridge' : 'inet';
      const { hosts, workloads } = await bedOn(machines, `net${i}`, { backend, plan });
      const [a, b] = workloads;
      const { overlay } = await hosts[0].engine.networkInspect(`net${i}`);
      assert.equal(overlay?.self.noShortcut === '', ALLOWED, overlay?.self.noShortcut);
      for (const address of b.addresses) {
        const counters = [await counting(hosts[0].netns, family), await counting(hosts[1].netns, family)];
        assert.ok(await transfer(a.netns, b.netns, address, MEGABYTES), `${address} gets what was sent`);
        // by GRE they come with the tunnel's header on: so does IPv6 of the backend ipip
        const whole = !ALLOWED || way === 'gre' || (way === 'ipip' && address.includes(':'));
        for (const count of counters) {
          const packets = await count();
          // what begins a connection goes through, and whatever meets a neighbour that is not known yet
          if (whole) assert.ok(packets > MANY, `${address}: ${packets} packets`);
          else assert.ok(packets >= 2 && packets < MANY / 2, `${address}: ${packets} packets`);
        }
        for (const { netns } of hosts) await okIn(netns, ['nft', 'delete', 'table', family, 'test']);
      }
    });
  }
});

if (!GUEST) {
  test('what a rule set translates goes the whole way, there and back', async () => {
    await using bed = await pair({ backend: 'host-gw', plan: 'node' });
    const { hosts, workloads } = bed;
    const [a, b] = workloads;
    const [to4, to6] = b.addresses;
    // somebody else's service: its address leads to the endpoint, and the answers must come from it
    await okIn(hosts[0].netns, [
      'nft',
      `table inet services { chain in { type nat hook prerouting priority -110; ip daddr 10.99.0.1 dnat ip to ${to4}; ip6 daddr fd99::1 dnat ip6 to ${to6}; }; }`,
    ]);
    for (const address of ['10.99.0.1', 'fd99::1'])
      assert.ok(await transfer(a.netns, b.netns, address, MEGABYTES), `by ${address}`);
    // and straight to it, by the same ports
    for (const address of b.addresses) assert.ok(await transfer(a.netns, b.netns, address, MEGABYTES), address);
    // a port of the other host, by the gateway's address there, which is in the network's range
    await hosts[1].engine.endpointUpdate(b.id, {
      publish: [{ hostPort: 7777, containerPort: 7777, protocol: 'tcp', count: 1 }],
    });
    for (const address of b.gateways)
      assert.ok(await transfer(a.netns, b.netns, address, MEGABYTES), `by the other host's gateway ${address}`);
  });

  test('who may begin is the host’s to say; what has begun goes on', async () => {
    await using bed = await pair({ backend: 'vxlan', plan: 'node' });
    const { hosts, workloads } = bed;
    const [a, b] = workloads;
    const address = b.addresses[0]!;
    await using traffic = await startTraffic({
      ...{ client: a.netns, server: b.netns, serverPort: 7000, address, port: 7000 },
    });
    await until('streams flow', () => Promise.resolve(traffic.report().bytes > 1e5));
    await okIn(hosts[1].netns, [
      'nft',
      'table inet firewall { chain forward { type filter hook forward priority 10; ct state established accept; tcp flags syn drop; }; }',
    ]);
    const { opened, bytes } = traffic.report();
    await until('more went round', () => Promise.resolve(traffic.report().bytes > bytes + 1e5));
    const refused = await runIn(a.netns, ['timeout', '1', 'bash', '-c', `echo > /dev/tcp/${address}/7000`]);
    assert.notEqual(refused.status, 0, 'no new connection');
    assert.equal(traffic.report().broken, 0);
    assert.ok(opened > 0);
  });

  test('a limited endpoint, whose own packets go the whole way, is no stranger to the host’s firewall', async () => {
    await using bed = await pair({ backend: 'vxlan', plan: 'node' });
    const { hosts, workloads } = bed;
    const [a, b] = workloads;
    for (const { netns } of hosts) await guard(netns);
    await hosts[0].engine.endpointUpdate(a.id, { egressRate: 400e6 });
    for (const address of b.addresses) assert.ok(await transfer(a.netns, b.netns, address, MEGABYTES), address);
    for (const address of a.addresses) assert.ok(await transfer(b.netns, a.netns, address, MEGABYTES), address);
  });

  test('connection tracking sees a connection begin and end, and knows it in between', async () => {
    await using bed = await pair({ backend: 'vxlan', plan: 'node' });
    const { hosts, workloads } = bed;
    const [a, b] = workloads;
    const address = b.addresses[0]!;
    for (const { netns } of hosts) await guard(netns);
    await using server = await tcpServer(b.netns, '0.0.0.0', 7000);
    const stateAt = async (netns: Netns): Promise<string | undefined> =>
      /^tcp +6 \d+ (\w+) .*dport=7000/m.exec(await okIn(netns, ['conntrack', '-L', '-p', 'tcp']))?.[1];
    {
      await using held = await tcpHold(a.netns, address, server.port);
      for (let i = 0; i < 3; i++) assert.ok((await held.again()).ok);
      for (const { netns } of hosts) assert.equal(await stateAt(netns), 'ESTABLISHED');
    }
    for (const { netns } of hosts)
      await until('its end is seen', async () => !['ESTABLISHED', undefined].includes(await stateAt(netns)));

    // where all programs go at once, what was under way is no stranger
    await using traffic = await startTraffic({
      ...{ client: a.netns, server: b.netns, serverPort: 7001, address, port: 7001 },
    });
    await until('streams flow', () => Promise.resolve(traffic.report().bytes > 1e5));
    const { netns } = hosts[1];
    await okIn(netns, [
      'sh',
      '-c',
      'for d in $(ip -o link | cut -d: -f2 | cut -d@ -f1); do tc qdisc delete dev $d clsact 2>/dev/null; done; true',
    ]);
    for (let i = 0; i < 5; i++) {
      const { bytes } = traffic.report();
      await until('more went round', () => Promise.resolve(traffic.report().bytes > bytes + 1e5));
    }
    assert.equal(traffic.report().broken, 0);
  });

  test('in one segment, a way that is made anew carries what was under way', async () => {
    await using bed = await pair({ backend: 'vxlan', plan: 'flat' });
    const { hosts, workloads } = bed;
    const [a, b] = workloads;
    await using traffic = await startTraffic({
      ...{ client: a.netns, server: b.netns, serverPort: 7000, address: b.addresses[0]!, port: 7000 },
    });
    await until('streams flow', () => Promise.resolve(traffic.report().bytes > 1e5));
    const tunnels = (netns: Netns): Promise<{ readonly ifname: string; readonly ifindex: number }[]> =>
      jsonIn(netns, ['ip', '-j', 'link', 'show', 'type', 'vxlan']);
    for (const { netns } of hosts) {
      const before = await tunnels(netns);
      assert.ok(before.length > 0);
      for (const { ifname } of before) await okIn(netns, ['ip', 'link', 'delete', ifname]);
      await until('the way is back', async () => {
        const now = await tunnels(netns);
        return (
          now.length === before.length && now.every(({ ifindex }) => before.every((each) => each.ifindex !== ifindex))
        );
      });
      const { bytes } = traffic.report();
      await until('more went round', () => Promise.resolve(traffic.report().bytes > bytes + 1e5));
    }
    assert.equal(traffic.report().broken, 0);
  });

  test('shortcut=false: everything goes the whole way, and nothing hangs at any link', async () => {
    await using bed = await pair({ backend: 'host-gw', plan: 'node', shortcut: 'false' });
    const { hosts, workloads } = bed;
    const [a, b] = workloads;
    const count = await counting(hosts[1].netns);
    assert.ok(await transfer(a.netns, b.netns, b.addresses[0]!, MEGABYTES));
    assert.ok((await count()) > MANY);
    assert.doesNotMatch(await okIn(hosts[1].netns, ['tc', 'qdisc', 'show']), /clsact/);
  });

  test('programs that are gone, or that are not ours any more, are put back; with the network they go', async (t) => {
    if (!ALLOWED) return t.diagnostic('there are none for users');
    await using bed = await pair({ backend: 'vxlan', plan: 'node' });
    const { hosts, workloads } = bed;
    const [, two] = hosts;
    const [a, b] = workloads;
    const filters = async (): Promise<string> =>
      (
        await okIn(two.netns, [
          'sh',
          '-c',
          'for d in $(ls /sys/class/net 2>/dev/null; ip -o link | cut -d: -f2 | cut -d@ -f1 | sort -u); do for w in ingress egress; do tc filter show dev $d $w 2>/dev/null | grep -o "netloom-[a-z]*-[0-9a-f]*" | sed "s/^/$d $w /"; done; done | sort -u',
        ])
      ).trim();
    const before = await filters();
    assert.equal(before.split('\n').length, 6, before);
    const bridge = /^(br-\S+) egress/m.exec(before)![1]!;
    await okIn(two.netns, ['tc', 'qdisc', 'delete', 'dev', bridge, 'clsact']);
    const port = /^(ve\S+) ingress/m.exec(before)![1]!;
    await okIn(two.netns, ['tc', 'filter', 'delete', 'dev', port, 'ingress']);
    await until('they are back', async () => (await filters()) === before);
    assert.equal(await filters(), before);
    const count = await counting(two.netns);
    await until('all have one table again', async () => {
      const before = await count();
      assert.ok(await transfer(a.netns, b.netns, b.addresses[0]!, MEGABYTES));
      return (await count()) - before < MANY / 2;
    });
    // one restart later they are the same programs, and connections that go on are known
    const numbers = (): Promise<string> =>
      okIn(two.netns, ['sh', '-c', `tc filter show dev ${bridge} egress; tc filter show dev ${port} ingress`]);
    const ids = await numbers();
    await two.restart();
    await until('it is back', async () => (await two.engine.nodeList()).every(({ state }) => state === 'ready'));
    assert.equal(await numbers(), ids);

    for (const { engine } of hosts) for (const { id } of await engine.endpointList()) await engine.endpointDetach(id);
    await hosts[0].engine.networkRemove('pods');
    await until('it is gone', async () => (await two.engine.networkList()).every(({ name }) => name !== 'pods'));
    assert.equal(await filters(), '');
  });
}
