/**
 * The step lists of the three tutorials that netloom automates, typed as they are (misprints corrected) on one machine
 * and done by netloom on another; docs/seeds.md shows them side by side and says where netloom differs on purpose.
 *
 * Not compared: names of the host's ends of veth pairs, hardware addresses, netloom's marks (group, alias, protocol),
 * IPv6 (the seeds have none but link-local addresses), the state of lo, and the broadcast address that ifconfig(8)
 * shows and ip(8) does not set. Where packets fare differently on purpose, a probe says how, for either machine.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply, type Change } from '../../src/engine/apply.ts';
import { Kernel } from '../../src/engine/kernel.ts';
import { type Fact, kindOf, type LinkFact } from '../../src/facts/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import { type AttachSpec, type NetworkSpec, parsePublish, type PlanStep } from '../../src/model/index.ts';
import { Rtnl } from '../../src/rtnetlink/index.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS, makeHost, type TestHost } from '../lib/host.ts';
import { ping, tcpConnect, tcpServer } from '../lib/peer.ts';
import { scriptOf } from '../lib/replay.ts';
import { jsonIn, okIn } from '../lib/run.ts';
import { openShell, type Shell } from '../lib/shell.ts';
import { linksOf, wholeOf } from '../lib/snapshot.ts';

checkDescriptors();

/** A machine on which somebody types: `at('')` is the machine, `at('net1')` the namespace net1. */
interface Machine extends AsyncDisposable {
  readonly host: TestHost;
  readonly shell: Shell;
  at(name: string): Netns;
}
async function machine(): Promise<Machine> {
  await using undo = new AsyncDisposableStack();
  const host = undo.use(await makeHost({ neighbour: true }));
  const shell = undo.use(await openShell(host.netns));
  return held(host, shell, (name) => shell.open(`/run/netns/${name}`), undo.move());
}
function held(host: TestHost, shell: Shell, open: (name: string) => Netns, kept: AsyncDisposableStack): Machine {
  const spaces = new Map<string, Netns>();
  return {
    host,
    shell,
    at(name) {
      if (name === '') return host.netns;
      const known = spaces.get(name) ?? kept.use(open(name));
      spaces.set(name, known);
      return known;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

interface View {
  readonly links: readonly string[];
  readonly addresses: readonly string[];
  readonly routes: readonly string[];
}
/**
 * Links by kind, state and bridge, IPv4 addresses and routes of every table, as `ip -j` has them.
 * @param names of links: ours, and the seed's
 */
async function view(netns: Netns, names: Readonly<Record<string, string>> = {}): Promise<View> {
  const name = (ours: string): string => names[ours] ?? ours;
  // lo: ours is up in every workload, the seeds leave it down
  const links = (await linksOf(netns)).filter((l) => l.ifname !== 'lo');
  type RouteJson = { dst: string; dev: string; gateway?: string; scope?: string; prefsrc?: string; type?: string };
  const routes = await jsonIn<RouteJson[]>(netns, ['ip', '-j', '-4', 'route', 'show', 'table', 'all']);
  return {
    links: links
      .map((l) =>
        [
          name(l.ifname),
          l.linkinfo?.info_kind,
          l.flags.includes('UP') ? 'up' : 'down',
          l.mtu,
          `master ${l.master ?? ''}`,
        ].join(' '),
      )
      .sort(),
    addresses: links
      .flatMap((l) =>
        l.addr_info
          .filter((a) => a.family === 'inet')
          .map((a) => `${name(l.ifname)} ${a.local}/${a.prefixlen} scope ${a.scope}`),
      )
      .sort(),
    routes: routes
      .filter((r) => r.dev !== 'lo')
      .map((r) =>
        [
          r.type ?? 'unicast',
          r.dst,
          `via ${r.gateway ?? ''}`,
          `dev ${name(r.dev)}`,
          `scope ${r.scope ?? ''}`,
          `src ${r.prefsrc ?? ''}`,
        ].join(' '),
      )
      .sort(),
  };
}

const at = (ns: string): { ns: string; object: string } => ({ ns, object: 'seed' });
const path = (name: string): string => (name === '' ? '' : `/run/netns/${name}`);
const netnsFact = (name: string): Fact => ({ ...at(''), kind: 'netns', path: path(name) });
const link = (ns: string, name: string, origin: LinkFact['origin'], more: Partial<LinkFact> = {}): LinkFact => ({
  ...at(path(ns)),
  kind: 'link',
  name,
  origin,
  mac: '',
  mtu: 0,
  master: '',
  up: true,
  alias: '',
  addrGenMode: 'eui64',
  ...more,
});
const veth = (ns: string, name: string, peerNs: string, peer: string, more: Partial<LinkFact> = {}): LinkFact =>
  link(ns, name, { type: 'veth', peer: { ns: path(peerNs), name: peer, mac: '' } }, more);
const peerOf = (ns: string, name: string, by: LinkFact): LinkFact =>
  link(ns, name, { type: 'there', by: kindOf<Fact>(by).key(by) });
const address = (ns: string, dev: string, text: string): Fact => ({
  ...at(path(ns)),
  kind: 'address',
  dev,
  address: text,
});
const route = (ns: string, dst: string, dev: string): Fact => ({
  ...at(path(ns)),
  kind: 'route',
  family: 4,
  dst,
  via: '',
  dev,
});
const sysctl = (name: string, value: string, dev: string): Fact => ({ ...at(''), kind: 'sysctl', name, value, dev });

/** Makes facts by the library on a machine; the same, by their commands, on a third. Both are then as the seed's. */
async function byFacts(
  seed: Machine,
  facts: readonly Fact[],
  spaces: readonly string[],
  check: (m: Machine) => Promise<void>,
): Promise<void> {
  await using undo = new AsyncDisposableStack();
  const host = undo.use(await makeHost({ neighbour: true }));
  const shell = undo.use(await openShell(host.netns));
  for (const name of spaces) undo.defer(() => Netns.unpin(path(name)));
  const kernel = undo.use(undo.use(new Kernel(Netns.open(`/proc/self/fd/${host.netns.fd}`))).scope());
  await apply(
    kernel,
    facts.map((fact): Change => ({ verb: 'add', fact })),
  );
  const ours = held(host, shell, (name) => Netns.open(path(name)), undo);
  await using typed = await machine();
  await typed.shell.ok(facts.map((fact) => kindOf(fact).command(fact, 'add')).join('\n') + '\n');
  for (const one of [ours, typed]) {
    for (const name of ['', ...spaces]) {
      assert.deepEqual(await view(one.at(name)), await view(seed.at(name)), name || 'the host');
    }
  }
  for (const name of ['', ...spaces]) {
    assert.deepEqual(
      await wholeOf(typed.at(name)),
      await wholeOf(ours.at(name)),
      `${name || 'the host'}, by its commands`,
    );
  }
  for (const one of [seed, ours, typed]) await check(one);
}

/** A network and its endpoints by the engine; the same, by --explain, on a third machine. */
async function byEngine(
  seed: Machine,
  spaces: readonly string[],
  network: NetworkSpec,
  endpoints: readonly (Omit<AttachSpec, 'netns' | 'network'> & { readonly space: string; readonly hostEnd: string })[],
  check: (m: Machine, who: 'seed' | 'ours') => Promise<void>,
): Promise<void> {
  await using undo = new AsyncDisposableStack();
  for (const name of spaces) undo.defer(() => Netns.unpin(path(name)));
  const bed = undo.use(await makeEngineBed({ neighbour: true }, { netnsDir: '/run/netns' }));
  await using typed = await machine();
  for (const name of spaces) {
    using made = Netns.create();
    made.pin(path(name));
    await typed.shell.ok(`ip netns add ${name}\n`);
  }
  const plan: PlanStep[] = [...((await bed.engine.networkCreate(network, { explain: true })).plan ?? [])];
  const names: Record<string, string> = {};
  for (const { space, hostEnd, ...spec } of endpoints) {
    const outcome = await bed.engine.endpointAttach(
      { ...spec, netns: path(space), network: network.name },
      { explain: true },
    );
    plan.push(...(outcome.plan ?? []));
    names[outcome.value.hostIfname] = hostEnd;
  }
  await typed.shell.ok(scriptOf(plan));
  await using shell = await openShell(bed.host.netns);
  const ours = held(bed.host, shell, (name) => Netns.open(path(name)), undo);
  for (const one of [ours, typed]) {
    for (const name of ['', ...spaces]) {
      assert.deepEqual(await view(one.at(name), names), await view(seed.at(name)), name || 'the host');
    }
    // on purpose: the networks are IPv4 alone, and then no endpoint has an IPv6 address, link-local ones included
    for (const name of spaces) {
      const families = (await linksOf(one.at(name)))
        .filter((l) => l.ifname !== 'lo')
        .flatMap((l) => l.addr_info.map((i) => i.family));
      assert.deepEqual(families, ['inet'], name);
    }
  }
  for (const name of ['', ...spaces]) {
    assert.deepEqual(
      await wholeOf(typed.at(name)),
      await wholeOf(ours.at(name)),
      `${name || 'the host'}, by --explain`,
    );
  }
  await check(seed, 'seed');
  await check(ours, 'ours');
  await check(typed, 'ours');
}

/** What a connection came to: the client's address as the server saw it, or the error. */
async function reach(from: Netns, to: string, port: number): Promise<string> {
  const answer = await tcpConnect(from, to, port, { timeout: 400 });
  return answer.ok ? answer.seen.client : answer.error;
}

test('seed 000, 1: a veth pair in one host', async () => {
  await using seed = await machine();
  await seed.shell.ok(`
    ip link add veth0 type veth peer name veth1
    ip addr add 192.168.1.1/24 dev veth0
    ip addr add 192.168.1.2/24 dev veth1
    ip link set veth0 up
    ip link set veth1 up
    ifconfig >/dev/null
    echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter
    echo 0 > /proc/sys/net/ipv4/conf/veth0/rp_filter
    echo 0 > /proc/sys/net/ipv4/conf/veth1/rp_filter
    echo 1 > /proc/sys/net/ipv4/conf/veth0/accept_local
    echo 1 > /proc/sys/net/ipv4/conf/veth1/accept_local
  `);
  const veth0 = veth('', 'veth0', '', 'veth1');
  const conf = (dev: string, name: string, value: string): Fact =>
    sysctl(`net.ipv4.conf.${dev}.${name}`, value, dev === 'all' ? '' : dev);
  const facts = [
    veth0,
    peerOf('', 'veth1', veth0),
    address('', 'veth0', '192.168.1.1/24'),
    address('', 'veth1', '192.168.1.2/24'),
    ...['all', 'veth0', 'veth1'].map((dev) => conf(dev, 'rp_filter', '0')),
    ...['veth0', 'veth1'].map((dev) => conf(dev, 'accept_local', '1')),
  ];
  await byFacts(seed, facts, [], async (m) => {
    assert.ok(await ping(m.at(''), '192.168.1.2', { source: 'veth0' }));
    assert.ok(await ping(m.at(''), '192.168.1.1', { source: 'veth1' }));
  });
});

test('seed 000, 2: a namespace and its host', async () => {
  await using seed = await machine();
  await seed.shell.ok(`
    ip netns add net1
    ip netns exec net1 route >/dev/null || true # 1 for an empty table
    ip netns exec net1 iptables -L >/dev/null
    ip link add veth1 type veth peer name veth1_p
    ip link set veth1 netns net1
    ip addr add 192.168.0.100/24 dev veth1_p
    ip netns exec net1 ip addr add 192.168.0.101/24 dev veth1
    ip link set dev veth1_p up
    ip netns exec net1 ip link set dev veth1 up # the seed says veth1_p, which is not there
  `);
  const pair = veth('', 'veth1_p', 'net1', 'veth1');
  const facts = [
    netnsFact('net1'),
    pair,
    peerOf('net1', 'veth1', pair),
    address('', 'veth1_p', '192.168.0.100/24'),
    address('net1', 'veth1', '192.168.0.101/24'),
  ];
  await byFacts(seed, facts, ['net1'], async (m) => {
    assert.ok(await ping(m.at('net1'), '192.168.0.100', { source: 'veth1' }));
    assert.ok(await ping(m.at(''), '192.168.0.101'));
  });
});

test('seed 000, 3: two namespaces on a bridge', async () => {
  await using seed = await machine();
  await seed.shell.ok(`
    ip netns add net1
    ip link add veth1 type veth peer name veth1_p
    ip link set veth1 netns net1
    ip netns exec net1 ip addr add 192.168.0.101/24 dev veth1
    ip netns exec net1 ip link set dev veth1 up
    ip netns add net2
    ip link add veth2 type veth peer name veth2_p
    ip link set veth2 netns net2
    ip netns exec net2 ip addr add 192.168.0.102/24 dev veth2
    ip netns exec net2 ip link set dev veth2 up
    brctl addbr br0 # the seed says addr
    ip link set dev veth1_p master br0
    ip link set dev veth2_p master br0
    ip addr add 192.168.0.10/24 dev br0
    ip link set veth1_p up
    ip link set veth2_p up
    ip link set br0 up
  `);
  await byEngine(
    seed,
    ['net1', 'net2'],
    // internal: the seed's namespaces have no default route, and nothing is translated
    {
      name: 'seed',
      internal: true,
      options: { name: 'br0' },
      subnets: [{ subnet: '192.168.0.0/24', gateway: '192.168.0.10' }],
    },
    [
      { space: 'net1', addresses: ['192.168.0.101'], ifname: 'veth1', hostEnd: 'veth1_p' },
      { space: 'net2', addresses: ['192.168.0.102'], ifname: 'veth2', hostEnd: 'veth2_p' },
    ],
    async (m) => {
      assert.ok(await ping(m.at('net1'), '192.168.0.102', { source: 'veth1' }));
      assert.ok(await ping(m.at('net2'), '192.168.0.101'));
      assert.ok(await ping(m.at(''), '192.168.0.101'));
      assert.ok(await ping(m.at('net1'), '192.168.0.10'));
      assert.ok(!(await ping(m.at('net1'), ADDRESS.outside, { timeout: 0.3 })), 'nothing leads out');
    },
  );
});

/** One namespace on a bridge with a default route and a way out: seed 000, 4 as it is; its addresses vary in the others. */
const outward = (
  space: string,
  prefix: string,
  ends: readonly [inside: string, host: string],
  rule: string,
): string => `
    ip netns add ${space}
    ip link add ${ends[0]} type veth peer name ${ends[1]}
    ip link set ${ends[0]} netns ${space}
    ip netns exec ${space} ip addr add ${prefix}.2/24 dev ${ends[0]}
    ip netns exec ${space} ip link set dev ${ends[0]} up
    brctl addbr br0
    ip addr add ${prefix}.1/24 dev br0
    ip link set dev ${ends[1]} master br0
    ip link set ${ends[1]} up
    ip link set br0 up
    ip netns exec ${space} route add default gw ${prefix}.1 ${ends[0]}
    sysctl -q -w net.ipv4.conf.all.forwarding=1
    iptables -P FORWARD ACCEPT
    iptables -t nat -A POSTROUTING -s ${prefix}.0/24 ${rule} -j MASQUERADE
`;

test('seed 000, 4: outward by masquerade', async () => {
  await using seed = await machine();
  await seed.shell.ok(outward('net1', '192.168.0', ['veth1', 'veth1_p'], '! -o br0')); // the seed says POSTROUNTING
  await byEngine(
    seed,
    ['net1'],
    { name: 'seed', options: { name: 'br0' }, subnets: [{ subnet: '192.168.0.0/24', gateway: '192.168.0.1' }] },
    [{ space: 'net1', addresses: ['192.168.0.2'], ifname: 'veth1', hostEnd: 'veth1_p' }],
    async (m, who) => {
      assert.ok(await ping(m.at('net1'), ADDRESS.outside));
      assert.ok(await ping(m.at('net1'), ADDRESS.internet));
      await using internet = await tcpServer(m.host.outside, ADDRESS.internet, 7000);
      assert.equal(
        await reach(m.at('net1'), ADDRESS.internet, internet.port),
        ADDRESS.host,
        'the outside sees the host',
      );
      await using own = await tcpServer(m.at(''), '192.168.0.1', 7001);
      assert.equal(
        await reach(m.at('net1'), '192.168.0.1', own.port),
        '192.168.0.2',
        'the host sees the namespace itself',
      );
      // on purpose: a neighbour that routes to the namespace gets in by the seed's rules, and not by ours
      await okIn(m.host.neighbour, ['ip', 'route', 'add', '192.168.0.0/24', 'via', ADDRESS.host]);
      await using inside = await tcpServer(m.at('net1'), '0.0.0.0', 80);
      assert.equal(
        await reach(m.host.neighbour, '192.168.0.2', inside.port),
        who === 'seed' ? ADDRESS.neighbour : 'ETIMEDOUT',
      );
    },
  );
});

const DIRECT = [
  { seed: '001', prefix: '172.18.0', hosts: [2, 3], names: ['veth0', 'veth1'], routes: ['ns1', 'ns2'] },
  { seed: '002', prefix: '172.15.0', hosts: [1, 2], names: ['veth1', 'veth2'], routes: ['ns1'] },
] as const;
for (const { seed: number, prefix, hosts, names, routes } of DIRECT) {
  test(`seed ${number}: two namespaces by a veth pair`, async () => {
    await using seed = await machine();
    await seed.shell.ok(`
      ip netns add ns1
      ip netns add ns2
      ip link add ${names[0]} type veth peer name ${names[1]}
      ip link set ${names[0]} netns ns1
      ip link set ${names[1]} netns ns2
      ip netns exec ns1 ifconfig ${names[0]} ${prefix}.${hosts[0]}/24 up
      ip netns exec ns2 ifconfig ${names[1]} ${prefix}.${hosts[1]}/24 up
      ${routes.map((ns, i) => `ip netns exec ${ns} route add default dev ${names[i]}`).join('\n')}
    `);
    const pair = veth('ns1', names[0], 'ns2', names[1]);
    const facts = [
      netnsFact('ns1'),
      netnsFact('ns2'),
      pair,
      peerOf('ns2', names[1], pair),
      address('ns1', names[0], `${prefix}.${hosts[0]}/24`),
      address('ns2', names[1], `${prefix}.${hosts[1]}/24`),
      ...routes.map((ns, i) => route(ns, 'default', names[i] ?? '')),
    ];
    await byFacts(seed, facts, ['ns1', 'ns2'], async (m) => {
      assert.ok(await ping(m.at('ns1'), `${prefix}.${hosts[1]}`));
      assert.ok(await ping(m.at('ns2'), `${prefix}.${hosts[0]}`));
    });
  });
}

for (const { seed: number, prefix, extra } of [
  { seed: '001', prefix: '172.18.0', extra: [] },
  // the seed says 172.15.0.2/24, which is no network
  { seed: '002', prefix: '172.15.0', extra: ['172.15.0.0/24'] },
] as const) {
  test(`seed ${number}: a namespace bridged to the uplink`, async () => {
    await using seed = await machine();
    await seed.shell.ok(`
      ip netns add ns1
      ip link add veth0 type veth peer name veth1
      ip link set veth1 netns ns1
      brctl addbr br0
      brctl addif br0 eth0
      brctl addif br0 veth0
      # "start the devices and give them addresses", which the seeds leave to the reader
      ip link set br0 up
      ip link set veth0 up
      ip netns exec ns1 ifconfig veth1 ${prefix}.2/24 up
      ${extra.map((dst) => `route add -net ${dst} dev br0`).join('\n')}
    `);
    const br0 = link('', 'br0', { type: 'bridge' });
    const pair = veth('', 'veth0', 'ns1', 'veth1', { master: 'br0' });
    const facts = [
      netnsFact('ns1'),
      br0,
      pair,
      peerOf('ns1', 'veth1', pair),
      address('ns1', 'veth1', `${prefix}.2/24`),
      ...extra.map((dst) => route('', dst, 'br0')),
    ];
    await byUplink(seed, facts, prefix);
  });
}

/** As byFacts; netloom's engine never takes the host's uplink into a bridge, so that one step is the library's alone. */
async function byUplink(seed: Machine, facts: readonly Fact[], prefix: string): Promise<void> {
  await using undo = new AsyncDisposableStack();
  const host = undo.use(await makeHost({ neighbour: true }));
  const shell = undo.use(await openShell(host.netns));
  undo.defer(() => Netns.unpin(path('ns1')));
  const kernel = undo.use(undo.use(new Kernel(Netns.open(`/proc/self/fd/${host.netns.fd}`))).scope());
  await apply(
    kernel,
    facts.map((fact): Change => ({ verb: 'add', fact })),
  );
  const rtnl = undo.use(Rtnl.open(host.netns));
  const index = async (name: string): Promise<number> => (await rtnl.link.get({ name })).index;
  await rtnl.link.set({ name: 'eth0' }, { master: await index('br0') });
  const ours = held(host, shell, (name) => Netns.open(path(name)), undo);
  for (const name of ['', 'ns1'])
    assert.deepEqual(await view(ours.at(name)), await view(seed.at(name)), name || 'the host');
  for (const one of [seed, ours]) {
    // a neighbour with an address of the namespace's network is on the same wire
    await okIn(one.host.neighbour, ['ip', 'addr', 'add', `${prefix}.9/24`, 'dev', 'eth0']);
    assert.ok(await ping(one.at('ns1'), `${prefix}.9`));
  }
}

for (const { seed: number, prefix } of [
  { seed: '001', prefix: '172.18.0' },
  { seed: '002', prefix: '172.15.0' },
] as const) {
  test(`seed ${number}: outward by masquerade, inward by DNAT`, async () => {
    await using seed = await machine();
    await seed.shell.ok(
      outward('ns1', prefix, ['veth1', 'veth0'], '-o eth0') +
        // seed 002 says POSTROUTING, where nothing can be translated inward
        `iptables -t nat -A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination ${prefix}.2:80\n`,
    );
    await byEngine(
      seed,
      ['ns1'],
      { name: 'seed', options: { name: 'br0' }, subnets: [{ subnet: `${prefix}.0/24` }] },
      [{ space: 'ns1', addresses: [`${prefix}.2`], ifname: 'veth1', hostEnd: 'veth0', ports: [parsePublish('80:80')] }],
      async (m, who) => {
        await using web = await tcpServer(m.at('ns1'), '0.0.0.0', 80, 'ns1');
        await using closed = await tcpServer(m.at('ns1'), '0.0.0.0', 81);
        assert.equal(await reach(m.host.outside, ADDRESS.host, 80), ADDRESS.outside, 'the client keeps its address');
        assert.equal(await reach(m.host.neighbour, ADDRESS.host, 80), ADDRESS.neighbour);
        assert.equal(
          await reach(m.host.outside, ADDRESS.host, closed.port),
          'ECONNREFUSED',
          'what is not published stays closed',
        );
        await using internet = await tcpServer(m.host.outside, ADDRESS.internet, 7000);
        assert.equal(await reach(m.at('ns1'), ADDRESS.internet, internet.port), ADDRESS.host);
        assert.equal(await reach(m.at(''), `${prefix}.2`, web.port), `${prefix}.1`, 'the host, directly');

        // on purpose: the seed's rule has no way for the host itself, nor back to the namespace itself
        assert.equal(await reach(m.at(''), ADDRESS.host, 80), who === 'seed' ? 'ECONNREFUSED' : ADDRESS.host);
        assert.equal(await reach(m.at(''), '127.0.0.1', 80), who === 'seed' ? 'ECONNREFUSED' : `${prefix}.1`);
        assert.equal(await reach(m.at('ns1'), ADDRESS.host, 80), who === 'seed' ? 'ETIMEDOUT' : `${prefix}.1`);
        // on purpose: and it takes every connection to port 80 that the host forwards, wherever it was going
        await using elsewhere = await tcpServer(m.host.outside, ADDRESS.internet, 80, 'the internet');
        await okIn(m.host.neighbour, ['ip', 'route', 'replace', ADDRESS.internet, 'via', ADDRESS.host]);
        const answer = await tcpConnect(m.host.neighbour, ADDRESS.internet, elsewhere.port, { timeout: 400 });
        assert.equal(answer.ok ? answer.seen.reply : answer.error, who === 'seed' ? 'ns1' : 'the internet');
        // on purpose: a neighbour that routes to the namespace reaches what is not published
        await okIn(m.host.neighbour, ['ip', 'route', 'add', `${prefix}.0/24`, 'via', ADDRESS.host]);
        assert.equal(
          await reach(m.host.neighbour, `${prefix}.2`, closed.port),
          who === 'seed' ? ADDRESS.neighbour : 'ETIMEDOUT',
        );
      },
    );
  });
}
