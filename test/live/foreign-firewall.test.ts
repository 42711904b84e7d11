// runs: here in one mode (rules of others, whoever wrote them)
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { OUR_TABLES } from '../../src/facts/index.ts';
import { type ForeignVerdict, hostSays, judge, legacyTables, pathsOf, readForeign } from '../../src/firewall/index.ts';
import type { Netns } from '../../src/kernel/index.ts';
import { parsePublish } from '../../src/model/index.ts';
import { denialElement } from '../../src/nat/index.ts';
import { elementAdd, elementDelete, NftConn } from '../../src/nftables/index.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { tcpConnect, tcpServer, udpConnect, udpEcho } from '../lib/peer.ts';
import { okIn, runIn, startIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

/** What can be reached by a network's three ways, tried with packets. */
interface Reach {
  readonly outward: boolean;
  readonly published: boolean;
  readonly resolver: boolean;
}

interface Town extends AsyncDisposable {
  readonly host: Netns;
  readonly bridge: string;
  try(): Promise<Reach>;
  /** What netloom says of the same ways, in the same words. */
  judge(): Promise<{ readonly [K in keyof Reach]: ForeignVerdict }>;
}

async function town(): Promise<Town> {
  await using undo = new AsyncDisposableStack();
  const bed = undo.use(await makeEngineBed({ neighbour: true }));
  const { netns: host, outside, neighbour } = bed.host;
  const { value: network } = await bed.engine.networkCreate({ name: 'web' });
  const { netns, path } = await bed.workload('a');
  const { value: endpoint } = await bed.engine.endpointAttach({
    netns: path,
    network: 'web',
    ports: [parsePublish('8080:80')],
  });
  const ip = endpoint.addresses[0]!.replace(/\/.*/, '');
  const { gateway } = network.subnets[0]!;
  const bridge = network.options.driver === 'bridge' ? network.options.bridge : '';
  undo.use(await tcpServer(outside, ADDRESS.outside, 443));
  undo.use(await tcpServer(netns, '0.0.0.0', 80));
  undo.use(await udpEcho(host, gateway, 53));
  const timeout = 700;
  const nft = undo.use(NftConn.open(host));
  const kept = undo.move();
  return {
    host,
    bridge,
    async try() {
      const [outward, published, resolver] = await Promise.all([
        tcpConnect(netns, ADDRESS.outside, 443, { timeout }),
        tcpConnect(neighbour, ADDRESS.host, 8080, { timeout }),
        udpConnect(netns, gateway, 53, { timeout }),
      ]);
      return { outward: outward.ok, published: published.ok, resolver: resolver.ok };
    },
    async judge() {
      const firewall = await readForeign(nft, OUR_TABLES);
      assert.deepEqual(firewall.unread, []);
      const ways = { object: 'network web', bridge, uplink: 'eth0', endpoint: ip, outside: ADDRESS.outside, gateway };
      const paths = pathsOf({ ...ways, published: [{ protocol: 'tcp', containerPort: 80 }] });
      const [outward, published, resolver] = paths.map((each) => judge(firewall, each));
      return { outward: outward!, published: published!, resolver: resolver! };
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

const golden = (name: string): string => readFileSync(new URL(`../golden/firewalls/${name}`, import.meta.url), 'utf8');

interface Case {
  readonly name: string;
  /** Loads the rule set. */
  readonly load: (t: Town) => Promise<unknown>;
  readonly owner: string;
  /** Ways that are held up: where, by which rule (none: by the policy). */
  readonly held: Partial<Record<keyof Reach, { readonly at: string; readonly rule?: RegExp; readonly remedy: RegExp }>>;
  /** What the remedy does where the tool that it names cannot run here. */
  readonly stands?: (t: Town) => readonly string[];
}

const restore = (name: string) => (t: Town) =>
  okIn(t.host, ['iptables-nft-restore'], { input: golden(name), env: { XTABLES_LOCKFILE: '/dev/null' } });
const nft = (text: string) => (t: Town) => okIn(t.host, ['nft', '-f', '-'], { input: text });

const CASES: readonly Case[] = [
  {
    name: "pain 11 (moby#39439): Docker's policy of dropping what it does not forward itself",
    load: restore('docker.rules'),
    owner: 'docker',
    held: {
      outward: { at: 'ip filter FORWARD', remedy: /^iptables -I DOCKER-USER -i br-\w+ -j ACCEPT$/ },
      published: { at: 'ip filter FORWARD', remedy: /^iptables -I DOCKER-USER -o br-\w+ -j ACCEPT$/ },
    },
  },
  {
    name: 'ufw, as it is when it is enabled',
    load: restore('ufw.rules'),
    owner: 'ufw',
    held: {
      outward: { at: 'ip filter FORWARD', remedy: /^ufw route allow in on br-\w+$/ },
      published: { at: 'ip filter FORWARD', remedy: /^ufw route allow out on br-\w+$/ },
      resolver: { at: 'ip filter INPUT', remedy: /^ufw allow in on br-\w+ to any port 53 proto udp$/ },
    },
    stands: ({ bridge }) => [
      `iptables -A ufw-user-forward -i ${bridge} -j ACCEPT`,
      `iptables -A ufw-user-forward -o ${bridge} -j ACCEPT`,
      `iptables -A ufw-user-input -i ${bridge} -p udp --dport 53 -j ACCEPT`,
    ],
  },
  {
    name: 'pain 33 (netavark#230): firewalld, as it is when it is started',
    load: nft(golden('firewalld.nft')),
    owner: 'firewalld',
    held: {
      outward: {
        at: 'inet firewalld filter_FWD_public',
        rule: /^reject$/,
        remedy: /^firewall-cmd --permanent --zone=trusted --change-interface=br-\w+$/,
      },
      resolver: { at: 'inet firewalld filter_IN_public', rule: /^reject$/, remedy: /^firewall-cmd .*trusted/ },
    },
    // what the zone `trusted` comes to
    stands: ({ bridge }) => [
      `nft insert rule inet firewalld filter_FORWARD iifname ${bridge} accept`,
      `nft insert rule inet firewalld filter_INPUT iifname ${bridge} accept`,
    ],
  },
  {
    name: 'libvirt, which minds its own bridge',
    load: restore('libvirt.rules'),
    owner: '',
    held: {},
  },
  {
    name: 'rules by hand, in sets and verdict maps',
    load: nft(`table inet mine {
  set closed { type inet_service; flags interval; elements = { 50-60, 100-200 } }
  chain ways {
    tcp dport vmap { 443 : goto refuse, 22 : accept }
  }
  chain refuse {
    counter reject with icmpx type admin-prohibited
  }
  chain ways_through {
    type filter hook forward priority 10; policy accept;
    ct state established,related accept
    oifname "eth0" jump ways
    iifname "eth0" ip daddr 172.16.0.0/12 tcp dport { 80, 8080 } counter drop comment "nothing from there"
  }
  chain ways_in {
    type filter hook input priority 0; policy accept;
    iifname "br-*" udp dport @closed drop
  }
}
`),
    owner: 'nftables',
    held: {
      outward: {
        at: 'inet mine refuse',
        rule: /^reject$/,
        remedy: /^nft insert rule inet mine ways_through iifname br-\w+ accept$/,
      },
      published: {
        at: 'inet mine ways_through',
        rule: /iifname "eth0".*ip daddr 172\.16\.0\.0\/12|iifname "eth0".*ip daddr.*drop comment "nothing from there"/,
        remedy: /^nft insert rule inet mine ways_through oifname br-\w+ accept$/,
      },
      resolver: {
        at: 'inet mine ways_in',
        rule: /^iifname "br-\*" udp dport @closed drop$/,
        remedy: /^nft insert rule inet mine ways_in iifname br-\w+ udp dport 53 accept$/,
      },
    },
  },
  {
    name: 'iptables by hand, with extensions',
    load: async (t) => {
      for (const line of [
        '-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
        '-A FORWARD -o eth0 -p tcp -m multiport --dports 80,443 -m comment --comment "no web" -j REJECT',
        '-A FORWARD -i eth0 -m addrtype --dst-type UNICAST -p tcp --dport 80:90 -j DROP',
        '-A INPUT -p udp --dport 53 -j DROP',
      ])
        await okIn(t.host, ['sh', '-c', `iptables-nft ${line}`], { env: { XTABLES_LOCKFILE: '/dev/null' } });
    },
    owner: 'iptables',
    held: {
      outward: {
        at: 'ip filter FORWARD',
        rule: /^oifname "eth0".*xt match multiport \/\* no web \*\/ reject$/,
        remedy: /^iptables -I FORWARD -i br-\w+ -j ACCEPT$/,
      },
      published: {
        at: 'ip filter FORWARD',
        rule: /^iifname "eth0" .*drop$/,
        remedy: /^iptables -I FORWARD -o br-\w+ -j ACCEPT$/,
      },
      resolver: {
        at: 'ip filter INPUT',
        rule: /^udp dport 53 drop$/,
        remedy: /^iptables -I INPUT -i br-\w+ -p udp --dport 53 -j ACCEPT$/,
      },
    },
  },
];

const WAYS = ['outward', 'published', 'resolver'] as const;

for (const { name, load, owner, held, stands } of CASES) {
  test(name, async () => {
    await using t = await town();
    assert.deepEqual(await t.try(), { outward: true, published: true, resolver: true }, 'before');
    const nobody = await t.judge();
    for (const way of WAYS) assert.equal(nobody[way].verdict, 'accept', `${way}, before`);

    await load(t);
    const reached = await t.try();
    const found = await t.judge();
    for (const way of WAYS) {
      const want = held[way];
      const say = found[way];
      assert.equal(reached[way], want === undefined, `${way}: packets`);
      assert.equal(say.verdict, want ? 'drop' : 'accept', `${way}: ${say.chain} ${say.rule}`);
      if (!want) continue;
      assert.equal(`${say.table} ${say.chain}`, want.at, way);
      assert.equal(say.owner, owner, way);
      if (want.rule) assert.match(say.rule ?? '', want.rule, way);
      else assert.equal(say.rule, undefined, `${way}: by the policy`);
      assert.match(say.remedy[0] ?? '', want.remedy, way);
    }

    // a person runs it; we never do
    const commands = stands?.(t) ?? WAYS.flatMap((way) => found[way].remedy);
    for (const command of commands) {
      const { status, stderr } = await runIn(t.host, ['sh', '-c', command], { env: { XTABLES_LOCKFILE: '/dev/null' } });
      assert.equal(status, 0, `${command}: ${stderr}`);
    }
    assert.deepEqual(await t.try(), { outward: true, published: true, resolver: true }, 'after the remedy');
    const after = await t.judge();
    for (const way of WAYS) assert.equal(after[way].verdict, 'accept', `${way}, after: ${after[way].rule}`);
  });
}

test("pain 1 (moby#22054): a published port that the host's firewall denies is not opened, and one that it allows is", async () => {
  await using t = await town();
  const at = { hostAddress: '0.0.0.0', hostPort: 8080, protocol: 'tcp', containerPort: 80, count: 1 } as const;
  await restore('ufw.rules')(t);
  for (const way of ['-i', '-o'])
    await okIn(t.host, ['iptables-nft', '-A', 'ufw-user-forward', way, t.bridge, '-j', 'ACCEPT'], {
      env: { XTABLES_LOCKFILE: '/dev/null' },
    });
  assert.equal((await t.try()).published, true, 'a translation passes by what INPUT says');
  using conn = NftConn.open(t.host);
  const says = async (): Promise<ForeignVerdict> =>
    hostSays(await readForeign(conn, OUR_TABLES), {
      uplink: 'eth0',
      address: ADDRESS.host,
      protocol: 'tcp',
      port: at.hostPort,
    });
  assert.equal((await says()).verdict, 'drop');
  assert.equal((await says()).chain, 'INPUT');

  const { set, element } = denialElement(at, 'endpoint eth0 of a');
  await conn.commit(elementAdd(set, [element]));
  assert.equal((await t.try()).published, false, 'the host says no');
  assert.ok((await tcpConnect(t.host, '127.0.0.1', 8080)).ok, 'to the outside, not to itself');
  await conn.commit(elementDelete(set, [element]));
  await okIn(t.host, ['iptables-nft', '-A', 'ufw-user-input', '-p', 'tcp', '--dport', '8080', '-j', 'ACCEPT'], {
    env: { XTABLES_LOCKFILE: '/dev/null' },
  });
  assert.equal((await says()).verdict, 'accept');
  assert.equal((await t.try()).published, true);
});

test('what cannot be told is not guessed', async () => {
  await using t = await town();
  await nft(`table ip mine {
  chain ways_through {
    type filter hook forward priority 0; policy accept;
    meta mark 7 drop
    tcp sport 1000-2000 oifname "eth0" drop
    limit rate over 10/second iifname "eth0" drop
  }
}
`)(t);
  const { outward, published, resolver } = await t.judge();
  assert.deepEqual([outward.verdict, published.verdict, resolver.verdict], ['unknown', 'unknown', 'accept']);
  assert.match(outward.rule ?? '', /mark/);
  assert.deepEqual(outward.remedy, []);
});

test('pain 34 (kubernetes#71305): tables of the old interface beside those of the new', async (t) => {
  await using bed = await makeEngineBed();
  const { netns } = bed.host;
  const { status } = await runIn(netns, ['iptables-legacy', '-A', 'FORWARD', '-j', 'DROP'], {
    env: { XTABLES_LOCKFILE: '/dev/null' },
  });
  // its files in /proc belong to the machine's root
  const seen = await okIn(netns, ['sh', '-c', 'cat /proc/self/net/ip_tables_names 2>/dev/null || true']);
  t.diagnostic(`iptables-legacy: status ${status}, ${seen.trim()}`);
  await using holder = startIn(netns, ['sleep', '60']);
  await until('it is in its namespace', () => readFileSync(`/proc/${holder.child.pid}/comm`, 'utf8') === 'sleep\n');
  const found = legacyTables(`/proc/${holder.child.pid}/net`);
  if (found.readable) assert.deepEqual(found.tables, status === 0 ? ['ip filter'] : []);
  else assert.deepEqual(found.tables, []);
});
