// runs: here and in the guest (vxlan, udp; ipip, gre, wireguard, ipsec)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OUR_TABLES } from '../../src/facts/index.ts';
import { readForeign, untrackedRefusal } from '../../src/firewall/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import { NftConn } from '../../src/nftables/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { type Host, type Machines, makeMachines, makeNetwork, pings, type Workload } from '../lib/machines.ts';
import { ipBatch, okIn } from '../lib/run.ts';
import { transfer } from '../lib/transfer.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

const GUEST = process.env['NETLOOM_TEST_GUEST'] === '1';
/** What connection tracking has of each. @see conntrack(8) */
const ENTRIES: Readonly<Record<string, RegExp>> = GUEST
  ? {
      ipip: /^unknown +4 /m,
      gre: /^gre /m,
      wireguard: /^udp .* dport=51820 /m,
      ipsec: /^(esp|unknown +50) /m,
    }
  : { vxlan: /^udp .* dport=8472 /m, udp: /^udp .* dport=8285 /m };

const entries = (netns: Netns): Promise<string> => okIn(netns, ['sh', '-c', 'conntrack -L 2>/dev/null']);
const tables = (netns: Netns): Promise<string> => okIn(netns, ['nft', 'list', 'tables']);
const rules = (netns: Netns, text: string): Promise<string> => okIn(netns, ['nft', text]);

async function pair(
  machines: Machines,
  name: string,
  options: Record<string, string>,
): Promise<readonly [Workload, Workload]> {
  const [one, two] = machines.hosts as [Host, Host];
  await makeNetwork(machines, { name, driver: 'overlay', options: { plan: 'node', ...options } });
  const [a, b] = [await one.workload(`${name}a`, name), await two.workload(`${name}b`, name)];
  await reach(a, b);
  return [a, b];
}
const reach = (a: Workload, b: Workload): Promise<unknown> =>
  until(`${a.name} reaches ${b.name}`, () => pings(a.netns, b.addresses[0]!));
/** Their workloads leave it. */
async function leave(hosts: readonly Host[], name: string): Promise<void> {
  for (const { engine } of hosts) {
    const { id } = await engine.networkInspect(name);
    for (const each of await engine.endpointList()) if (each.network === id) await engine.endpointDetach(each.id);
  }
}
const why = async ({ engine }: Host, name: string): Promise<string | undefined> =>
  (await engine.networkInspect(name)).overlay?.self.whyTracked;

test('connection tracking sees nothing of what tunnels put around packets, unless it is asked to', async (t) => {
  await using machines = await makeMachines(2);
  const [one, two] = machines.hosts as [Host, Host];
  for (const [backend, entry] of Object.entries(ENTRIES)) {
    await t.test(backend, async () => {
      const [a, b] = await pair(machines, backend, { backend });
      for (const host of [one, two]) assert.equal(await why(host, backend), '');
      assert.ok(await transfer(a.netns, b.netns, b.addresses[0]!, 300_000));
      assert.ok(await pings(b.netns, a.addresses[0]!));
      for (const { netns } of [one, two]) assert.doesNotMatch(await entries(netns), entry);
    });
  }
  for (const backend of Object.keys(ENTRIES)) {
    await leave([one, two], backend);
    await one.engine.networkRemove(backend);
  }
  const gone = async (): Promise<boolean> => !/^table ip6? netloom$/m.test(await tables(two.netns));
  await until('the tables went with them', gone);
  for (const [backend, entry] of Object.entries(ENTRIES)) {
    await t.test(`${backend}, tracked`, async () => {
      const [a, b] = await pair(machines, `${backend}2`, { backend, tracked: 'true' });
      assert.ok(await transfer(a.netns, b.netns, b.addresses[0]!, 300_000));
      for (const { netns } of [one, two]) assert.match(await entries(netns), entry);
    });
  }
  assert.ok(await gone());
});

if (!GUEST) {
  test('what a host only forwards is tracked, to the same port, too', async () => {
    await using machines = await makeMachines(2);
    const [one, two] = machines.hosts as [Host, Host];
    await pair(machines, 'pods', { backend: 'vxlan' });
    await one.engine.networkCreate({ name: 'web' });
    const workload = await one.workload('nested', 'web');
    await okIn(workload.netns, ['bash', '-c', 'echo x > /dev/udp/192.0.2.2/8472']);
    assert.match(await entries(one.netns), /^udp .* dst=192.0.2.2 sport=\d+ dport=8472 /m);
    assert.doesNotMatch(await entries(two.netns), /dport=8472/);
  });

  test('a firewall that needs the state of a tunnel’s packets has it, and reason is given; without it they are untracked', async () => {
    await using machines = await makeMachines(2);
    const [one, two] = machines.hosts as [Host, Host];
    const [a, b] = await pair(machines, 'pods', { backend: 'vxlan' });
    const firewall = async (lines: readonly string[]): Promise<void> => {
      const chain = (hook: string): string =>
        `chain ${hook} { type filter hook ${hook} priority 0; policy drop; meta l4proto { tcp, icmp, ipv6-icmp } accept; ${lines.find((line) => line.startsWith(hook))?.slice(hook.length + 1) ?? 'accept'}; }`;
      await rules(
        two.netns,
        `table inet fw {}; delete table inet fw; table inet fw { ${chain('input')}; ${chain('output')}; }`,
      );
    };
    const cases: readonly (readonly [lines: readonly string[], why: RegExp])[] = [
      [['input udp dport 8472 accept'], /^$/],
      [
        ['input ct state new udp dport 8472 accept'],
        /^nftables refuses untracked udp 8472 from others to 192\.0\.2\.2 \(table inet fw, chain input, its policy\)$/,
      ],
      [
        ['input ct state vmap { invalid : drop, untracked : drop }; udp dport 8472 accept'],
        /chain input, rule \d+: ct state/,
      ],
      [
        ['output ct state established,new accept'],
        /^nftables refuses untracked udp 8472 from 192\.0\.2\.2 to others .*output/,
      ],
      // of one sender: what it says of others is taken for what it says of all
      [['input ip saddr 192.0.2.1 udp dport 8472 accept'], /^nftables refuses most untracked udp 8472/],
      [['input ct state untracked accept'], /^$/],
    ];
    for (const [lines, reason] of cases) {
      await firewall(lines);
      await until(lines.join(), async () => reason.test((await why(two, 'pods')) ?? 'not asked'));
      // as it was before, whatever connection tracking knew
      for (const { netns } of [one, two]) await okIn(netns, ['sh', '-c', 'conntrack -F 2>/dev/null']);
      assert.ok(await pings(a.netns, b.addresses[0]!), lines.join());
      assert.ok(await pings(b.netns, a.addresses[0]!), lines.join());
      const tracked = (await why(two, 'pods')) !== '';
      assert.equal(/dport=8472 /.test(await entries(two.netns)), tracked, lines.join());
      assert.doesNotMatch(await entries(one.netns), /dport=8472 /);
    }
    // told by inspect, and known after a restart
    await firewall(['input ct state new udp dport 8472 accept']);
    await until('tracked', async () => ((await why(two, 'pods')) ?? '') !== '');
    await two.restart();
    await until('it is back', async () => (await two.engine.nodeList()).every(({ state }) => state === 'ready'));
    assert.match((await why(two, 'pods'))!, /refuses/);
    assert.ok(await pings(a.netns, b.addresses[0]!));
    await rules(two.netns, 'delete table inet fw');
    await until('untracked', async () => (await why(two, 'pods')) === '');
    assert.ok(await pings(a.netns, b.addresses[0]!));
  });

  test('what keeps them out is put back, and stays as long as a network needs it', async () => {
    await using machines = await makeMachines(2);
    const [one, two] = machines.hosts as [Host, Host];
    const [a, b] = await pair(machines, 'pods', { backend: 'vxlan' });
    await pair(machines, 'more', { backend: 'vxlan' });
    const table = (): Promise<string> => okIn(two.netns, ['nft', 'list', 'table', 'ip', 'netloom']);
    const before = await table();
    assert.match(before, /elements = \{ 8472 \}/);
    await rules(two.netns, 'delete table ip netloom');
    await until('it is back', async () => (await table()) === before);
    await rules(two.netns, 'flush chain ip netloom output_udp_c0000202');
    await until('it is back', async () => (await table()) === before);
    await leave([one, two], 'more');
    await one.engine.networkRemove('more');
    await until('one network went', async () => (await two.engine.networkList()).every(({ name }) => name !== 'more'));
    assert.equal(await table(), before);
    await reach(a, b);
    for (const { netns } of [one, two]) assert.doesNotMatch(await entries(netns), /dport=8472 /);
  });

  const ASK = { uplink: 'eth0', address: '192.0.2.2', protocol: 'udp', port: 8472 } as const;
  const CASES: readonly (readonly [rules: readonly string[], through: boolean])[] = [
    [['-P INPUT DROP'], false],
    [['-P INPUT DROP', '-A INPUT -m conntrack --ctstate NEW -j ACCEPT'], false],
    [['-P INPUT DROP', '-A INPUT -m conntrack --ctstate NEW,UNTRACKED -j ACCEPT'], true],
    [['-P INPUT DROP', '-A INPUT -m conntrack ! --ctstate INVALID -j ACCEPT'], true],
    [['-A INPUT -m conntrack ! --ctstate NEW,ESTABLISHED -j DROP'], false],
    [['-A INPUT -m conntrack --ctstate INVALID -j DROP'], true],
    [['-P INPUT DROP', '-A INPUT -m state --state NEW,UNTRACKED -j ACCEPT'], true],
    [['-P INPUT DROP', '-A INPUT -m state --state NEW -j ACCEPT'], false],
    // without a connection there is none that was translated, or not
    [['-P INPUT DROP', '-A INPUT -m conntrack --ctstatus NONE -j ACCEPT'], false],
    [['-P INPUT DROP', '-A INPUT -p udp --dport 8472 -j ACCEPT'], true],
    [['-P INPUT DROP', '-A INPUT -p udp -m multiport --dports 53,8472 -j ACCEPT'], true],
    [['-P INPUT DROP', '-A INPUT -p gre -j ACCEPT'], false],
  ];
  /** With packets that go in one piece: what routers say of them. */
  const ERRORS: readonly (readonly [rules: readonly string[], through: boolean])[] = [
    [['-P INPUT DROP', '-A INPUT -p udp -j ACCEPT'], false],
    [['-P INPUT DROP', '-A INPUT -p udp -j ACCEPT', '-A INPUT -p icmp -j ACCEPT'], true],
    [['-P INPUT DROP', '-A INPUT -p udp -j ACCEPT', '-A INPUT -p icmp --icmp-type echo-request -j ACCEPT'], false],
    [
      ['-P INPUT DROP', '-A INPUT -p udp -j ACCEPT', '-A INPUT -p icmp --icmp-type fragmentation-needed -j ACCEPT'],
      true,
    ],
    [['-A INPUT -m conntrack --ctstate INVALID -j DROP'], false],
  ];
  test('what is said of untracked packets is what the kernel does with them', async () => {
    using wire = Netns.create();
    using netns = Netns.create();
    await ipBatch(wire, [`link add eth0 up type veth peer name eth0 netns /proc/${process.pid}/fd/${netns.fd}`]);
    await ipBatch(netns, ['link set lo up', 'link set eth0 up', 'addr add 192.0.2.2/24 dev eth0']);
    await ipBatch(wire, ['addr add 192.0.2.1/24 dev eth0']);
    await rules(
      netns,
      'table ip netloom { chain in { type filter hook prerouting priority -300; udp dport 8472 notrack; }; chain out { type filter hook output priority -300; udp dport 8472 notrack; }; }',
    );
    using conn = NftConn.open(netns);
    for (const [lines, through] of CASES) {
      const env = { XTABLES_LOCKFILE: '/dev/null' };
      for (const line of ['-P INPUT ACCEPT', '-F INPUT', ...lines])
        await okIn(netns, ['sh', '-c', `iptables-nft ${line}`], { env });
      const firewall = await readForeign(conn, [...OUR_TABLES, { family: 'ip', name: 'seen' }]);
      assert.equal(untrackedRefusal(firewall, ASK) === undefined, through, `said: ${lines.join('; ')}`);
      await rules(
        netns,
        'table ip seen {}; delete table ip seen; table ip seen { chain in { type filter hook input priority 300; udp dport 8472 counter; }; }',
      );
      await okIn(wire, ['bash', '-c', 'echo x > /dev/udp/192.0.2.2/8472']);
      // what was sent before it has been seen by then
      await pings(wire, '192.0.2.2');
      const [, packets] = /packets (\d+)/.exec(await okIn(netns, ['nft', 'list', 'table', 'ip', 'seen']))!;
      assert.equal(Number(packets), through ? 1 : 0, `done: ${lines.join('; ')}`);
    }
    for (const [lines, through] of ERRORS) {
      for (const line of ['-P INPUT ACCEPT', '-F INPUT', ...lines])
        await okIn(netns, ['sh', '-c', `iptables-nft ${line}`], { env: { XTABLES_LOCKFILE: '/dev/null' } });
      const firewall = await readForeign(conn, [...OUR_TABLES, { family: 'ip', name: 'seen' }]);
      assert.equal(untrackedRefusal(firewall, { ...ASK, whole: true }) === undefined, through, lines.join('; '));
    }
    // what others say of untracked packets belongs to no connection
    await rules(
      netns,
      'delete table ip seen; table ip seen { chain in { type filter hook input priority -10; ct state invalid icmp type destination-unreachable counter; }; }',
    );
    await okIn(netns, ['bash', '-c', 'echo x > /dev/udp/192.0.2.1/8472']);
    await until('nobody is there', async () =>
      / packets 1 /.test(await okIn(netns, ['nft', 'list', 'table', 'ip', 'seen'])),
    );
  });
}
