import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply, type Change, removalOf } from '../../src/engine/apply.ts';
import { missing } from '../../src/engine/diff.ts';
import { Kernel, type KernelScope } from '../../src/engine/kernel.ts';
import {
  type Fact,
  factKey,
  kindOf,
  KINDS,
  type LinkFact,
  type LinkOrigin,
  type NftChainFact,
  OUR_TABLE,
  type Verb,
} from '../../src/facts/index.ts';
import { Netns } from '../../src/kernel/index.ts';
import type { NftSet } from '../../src/nftables/index.ts';
import { networkElements, rulesetFacts } from '../../src/nat/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { makeHost } from '../lib/host.ts';
import { ipBatch, okIn } from '../lib/run.ts';
import { openShell } from '../lib/shell.ts';
import { linksOf, namesIn, queues, wholeOf } from '../lib/snapshot.ts';
import { FIRST, STRIDE } from '../lib/stride.ts';
import type { Network } from '../../src/model/index.ts';

checkDescriptors();

/** Names of this process's own, for `ip -n`: test files share the wrapper's /run/netns. */
const WEB = `/run/netns/web-${process.pid}`;
const at = (ns: string): { ns: string; object: string } => ({ ns, object: 'test' });
const link = (fact: Partial<LinkFact> & Pick<LinkFact, 'name' | 'origin'>): LinkFact => ({
  ...at(''),
  kind: 'link',
  mac: '',
  mtu: 1500,
  master: '',
  up: true,
  alias: 'netloom test',
  addrGenMode: 'none',
  ...fact,
});

const netns: Fact = { ...at(''), kind: 'netns', path: WEB };
const bridge = link({ name: 'br0', origin: { type: 'bridge' }, mac: '02:42:0a:00:00:01' });
const pair = link({
  name: 've0',
  origin: { type: 'veth', peer: { ns: WEB, name: 'eth0', mac: '02:42:0a:00:00:02' } },
  master: 'br0',
});
const ifb = link({ name: 'ifb0', origin: { type: 'ifb' } });
const lo = link({ ...at(WEB), name: 'lo', origin: { type: 'there', by: '' }, mtu: 0, alias: '', addrGenMode: 'eui64' });
const inside = link({
  ...at(WEB),
  name: 'eth0',
  origin: { type: 'there', by: 'link  ve0' },
  mac: '02:42:0a:00:00:02',
  alias: '',
});
const address: Fact = { ...at(WEB), kind: 'address', dev: 'eth0', address: '10.0.0.2/24' };
const stacked = link({
  ns: WEB,
  name: 'mac0',
  mac: '02:42:0a:00:00:05',
  origin: { type: 'macvlan', parent: 'br0', mode: 'bridge', sources: [] },
});
const privately: LinkOrigin = { type: 'macvlan', parent: 'br0', mode: 'private', sources: [] };
const fromOne: LinkOrigin = { type: 'macvlan', parent: 'br0', mode: 'source', sources: ['02:00:00:00:00:01'] };
const fromNobody: LinkOrigin = { type: 'macvlan', parent: 'br0', mode: 'source', sources: [] };
const tap = link({ name: 'tap0', origin: { type: 'tap', uid: 0 }, master: 'br0' });
const tun = link({ name: 'tun0', origin: { type: 'tun' } });
const gateway: Fact = { ...at(''), kind: 'address', dev: 'br0', address: '10.0.0.1/24' };
const neighbour: Fact & { kind: 'neighbour' } = {
  ...at(''),
  kind: 'neighbour',
  dev: 'br0',
  address: '10.0.0.2',
  mac: '02:42:0a:00:00:02',
};
const under = link({ name: 'under', origin: { type: 'bridge' }, mac: '02:42:0a:00:00:08' });
const vxlan = link({
  name: 'vx0',
  origin: { type: 'vxlan', id: 77, local: '192.0.2.1', parent: 'under', port: 8472 },
  mac: '02:42:0a:00:00:07',
  mtu: 1450,
});
const vxlanElsewhere: LinkOrigin = { type: 'vxlan', id: 77, local: '192.0.2.9', parent: 'br0', port: 8472 };
const vxlanOther: LinkOrigin = { type: 'vxlan', id: 78, local: '192.0.2.1', parent: 'under', port: 4789 };
const vxlan6: LinkOrigin = { type: 'vxlan', id: 77, local: '2001:db8::1', parent: 'under', port: 8472 };
const tunnel: Fact & { kind: 'port' } = {
  ...at(''),
  kind: 'port',
  dev: 'vx0',
  hairpin: false,
  isolated: false,
  tunnel: true,
};
const entry: Fact & { kind: 'fdb' } = {
  ...at(''),
  kind: 'fdb',
  dev: 'vx0',
  mac: '02:42:0a:00:00:06',
  table: 'self',
  dst: '192.0.2.2',
};
const table: Fact = { ...at(''), kind: 'nft-table', table: OUR_TABLE };
const ports: NftSet = {
  ...OUR_TABLE,
  table: OUR_TABLE.name,
  name: 'ports',
  type: ['inet_proto', 'inet_service'],
  map: ['ipv4_addr', 'inet_service'],
};
const chain = (statements: NftChainFact['rules'][number]['statements'][]): NftChainFact => ({
  ...at(''),
  kind: 'nft-chain',
  chain: {
    family: 'inet',
    table: OUR_TABLE.name,
    name: 'in',
    base: { type: 'nat', hook: 'prerouting', priority: -100, policy: 'accept' },
  },
  rules: statements.map((all) => ({ family: 'inet', table: OUR_TABLE.name, chain: 'in', statements: all })),
  sets: [ports],
});
const element = (to: string): Fact => ({
  ...at(''),
  kind: 'nft-element',
  set: ports,
  element: { key: { concat: ['tcp', 80] }, data: { concat: [to, 8080] } },
});

const policy: Fact & { kind: 'xfrm-policy' } = {
  ...at(''),
  kind: 'xfrm-policy',
  dir: 'out',
  src: '0.0.0.0/0',
  dst: '10.2.0.0/16',
  ifId: 0x6e000001,
  tunnel: { src: '192.0.2.1', dst: '192.0.2.2' },
};

const SPECIAL = { table: 0x4000_0001, metric: 5, scope: 253, mtu: 1400, advmss: 1300 } as const;

interface Case {
  /** What it stands on. */
  readonly on: readonly Fact[];
  readonly fact: Fact;
  /** What it is changed to, in place or by making it anew. */
  readonly changed?: Fact;
  /** What an addition does where it is there with another value: nothing but a refusal, or the new value. */
  readonly again?: 'refused' | 'set';
  /** Why a fact made by its command does not read back as ours. */
  readonly unmarked?: string;
  /** Why it is not gone after its deletion. */
  readonly stays?: string;
}

/** What this kernel may lack: test/live/wireguard.test.ts, ipsec.test.ts and ipsec-state.test.ts have them, in the guest. And what users may not: shortcut.test.ts. */
const ELSEWHERE = ['wg-device', 'wg-peer', 'xfrm-state', 'shortcut'] as const;
type Elsewhere = (typeof ELSEWHERE)[number];
/** Every kind but those. */
const HERE = Object.keys(KINDS)
  .filter((kind) => !ELSEWHERE.includes(kind as Elsewhere))
  .sort();

/** By kind: one that is not here fails. */
const CASES: { readonly [K in Exclude<Fact['kind'], Elsewhere>]: readonly Case[] } = {
  netns: [{ on: [], fact: netns }],
  link: [
    {
      on: [],
      fact: bridge,
      changed: {
        ...bridge,
        mtu: 1400,
        mac: '02:42:0a:00:00:09',
        up: false,
        alias: 'netloom other',
        addrGenMode: 'eui64',
      },
      again: 'refused',
    },
    { on: [netns, bridge], fact: pair, changed: { ...pair, mtu: 1300, master: '' }, again: 'refused' },
    {
      on: [netns],
      fact: lo,
      changed: { ...lo, up: false },
      again: 'set',
      stays: 'lo was there before, and others may use it',
    },
    {
      on: [netns, bridge, pair],
      fact: { ...inside, mtu: 1450, promisc: true, allmulti: true, txQueueLength: 77 },
      changed: { ...inside, mtu: 1400, promisc: false, allmulti: true, txQueueLength: 78 },
      stays: 'its end of the pair goes with the other end',
    },
    { on: [netns, bridge], fact: stacked, changed: { ...stacked, origin: privately, mtu: 1400 }, again: 'refused' },
    { on: [netns, bridge], fact: { ...stacked, ns: '', name: 'shim0', mac: '' } },
    { on: [netns, bridge], fact: { ...stacked, origin: fromOne }, changed: { ...stacked, origin: fromNobody } },
    { on: [bridge], fact: tap, changed: { ...tap, mtu: 1400, master: '', alias: 'netloom other', up: false } },
    { on: [], fact: tun, changed: { ...tun, mtu: 1400, alias: 'netloom other', up: false } },
    { on: [], fact: ifb, changed: { ...ifb, alias: 'netloom other', up: false } },
    { on: [], fact: link({ name: 'va', origin: { type: 'veth', peer: { ns: '', name: 'vb', mac: '' } } }) },
    {
      on: [bridge, under],
      fact: vxlan,
      changed: { ...vxlan, origin: vxlanElsewhere, mac: '02:42:0a:00:00:09', mtu: 1400, up: false },
      again: 'refused',
    },
    { on: [under], fact: vxlan, changed: { ...vxlan, origin: vxlanOther }, again: 'refused' },
    { on: [under, bridge], fact: vxlan, changed: { ...vxlan, master: 'br0' }, again: 'refused' },
    { on: [under], fact: { ...vxlan, origin: vxlan6, mtu: 1430 } },
  ],
  port: [
    {
      on: [netns, bridge, pair],
      fact: { ...at(''), kind: 'port', dev: 've0', hairpin: true, isolated: false },
      changed: { ...at(''), kind: 'port', dev: 've0', hairpin: true, isolated: true },
      again: 'set',
    },
    {
      on: [netns, bridge, pair],
      fact: { ...at(''), kind: 'port', dev: 've0', hairpin: false, isolated: false, mac: '02:42:0a:00:00:02' },
      changed: { ...at(''), kind: 'port', dev: 've0', hairpin: true, isolated: true, mac: '02:42:0a:00:00:02' },
      again: 'set',
    },
    {
      on: [netns, bridge, pair],
      fact: { ...at(''), kind: 'port', dev: 've0', hairpin: false, isolated: false, mac: '02:42:0a:00:00:02' },
      changed: {
        ...{ ...at(''), kind: 'port', dev: 've0', hairpin: false, isolated: false },
        ...{ mac: '02:42:0a:00:00:02', asked: true },
      },
      again: 'set',
    },
    {
      on: [under, bridge, { ...vxlan, master: 'br0' }],
      fact: tunnel,
      changed: { ...tunnel, isolated: true },
      again: 'set',
    },
  ],
  fdb: [
    { on: [under, vxlan], fact: entry, changed: { ...entry, dst: '192.0.2.3' }, again: 'set' },
    { on: [under, { ...vxlan, origin: vxlan6, mtu: 1430 }], fact: { ...entry, dst: '2001:db8::2' } },
    {
      on: [under, bridge, { ...vxlan, master: 'br0' }, tunnel],
      fact: { ...entry, table: 'master', dst: '' },
    },
  ],
  neighbour: [
    { on: [bridge, gateway], fact: neighbour, changed: { ...neighbour, mac: '02:42:0a:00:00:03' }, again: 'set' },
  ],
  address: [
    { on: [netns, bridge, pair, inside], fact: address, unmarked: 'ip address add … proto came after iproute2 6.1' },
    {
      on: [bridge],
      fact: { ...at(''), kind: 'address', dev: 'br0', address: 'fd00::1/64' },
      changed: { ...at(''), kind: 'address', dev: 'br0', address: 'fd00::1/64', deprecated: true },
      unmarked: 'as above',
    },
  ],
  route: [
    {
      on: [netns, bridge, pair, inside, address],
      fact: { ...at(WEB), kind: 'route', family: 4, dst: 'default', via: '10.0.0.1', dev: 'eth0' },
      changed: { ...at(WEB), kind: 'route', family: 4, dst: 'default', via: '10.0.0.9', dev: 'eth0' },
      again: 'refused',
    },
    { on: [bridge], fact: { ...at(''), kind: 'route', family: 6, dst: 'fd00:1::/64', via: '', dev: 'br0' } },
    {
      on: [bridge, gateway],
      fact: {
        ...at(''),
        kind: 'route',
        family: 4,
        dst: '10.9.0.0/16',
        via: '10.0.0.9',
        dev: 'br0',
        ...SPECIAL,
        scope: 0,
      },
      changed: { ...at(''), kind: 'route', family: 4, dst: '10.9.0.0/16', via: '', dev: 'br0', ...SPECIAL, mtu: 1300 },
      again: 'refused',
    },
    {
      on: [bridge, { ...at(''), kind: 'address', dev: 'br0', address: 'fd00::1/64' }],
      fact: { ...at(''), kind: 'route', family: 6, dst: 'default', via: 'fd00::9', dev: 'br0', table: 1000, metric: 7 },
    },
    {
      on: [under, vxlan, { ...at(''), kind: 'address', dev: 'vx0', address: '10.1.0.0/32' }],
      fact: { ...at(''), kind: 'route', family: 4, dst: '10.2.0.0/24', via: '10.2.0.0', dev: 'vx0', onlink: true },
    },
    {
      on: [under, vxlan, { ...at(''), kind: 'address', dev: 'vx0', address: 'fd00:1::/128' }],
      fact: { ...at(''), kind: 'route', family: 6, dst: 'fd00:2::/64', via: 'fd00:2::', dev: 'vx0', onlink: true },
    },
    {
      on: [bridge, { ...at(''), kind: 'address', dev: 'br0', address: 'fd00::1/64' }],
      fact: { ...at(''), kind: 'route', family: 4, dst: '10.2.0.0/24', via: 'fd00::9', dev: 'br0' },
    },
  ],
  rule: [
    {
      on: [netns],
      fact: { ...at(WEB), kind: 'rule', family: 4, from: '10.0.0.2/32', priority: 28268, table: 1000 },
      changed: { ...at(WEB), kind: 'rule', family: 4, from: '10.0.0.2/32', priority: 28268, table: 1001 },
    },
    {
      on: [],
      fact: { ...at(''), kind: 'rule', family: 6, from: 'fd00::2/128', priority: 28268, table: 0x4000_0001 },
    },
  ],
  sysctl: [
    {
      on: [bridge],
      fact: { ...at(''), kind: 'sysctl', name: 'net.ipv4.conf.br0.route_localnet', value: '1', dev: 'br0' },
      changed: { ...at(''), kind: 'sysctl', name: 'net.ipv4.conf.br0.route_localnet', value: '0', dev: 'br0' },
      again: 'set',
      stays: 'it goes with its link, or others may rely on it',
    },
  ],
  qdisc: [
    {
      on: [netns, bridge, pair],
      fact: { ...at(''), kind: 'qdisc', dev: 've0', tbf: { rate: 10_285_320, burst: 6428, limit: 71_964 } },
      changed: { ...at(''), kind: 'qdisc', dev: 've0', tbf: { rate: 41_142_857_136, burst: 25_714_285, limit: 2e8 } },
      again: 'refused',
    },
  ],
  redirect: [
    {
      on: [netns, bridge, pair, ifb],
      fact: { ...at(''), kind: 'redirect', dev: 've0', to: 'ifb0' },
    },
  ],
  'xfrm-policy': [
    { on: [], fact: policy, changed: { ...policy, tunnel: { src: '192.0.2.1', dst: '192.0.2.3' } }, again: 'refused' },
    {
      on: [netns],
      fact: {
        ...policy,
        ns: WEB,
        dir: 'fwd',
        src: 'fd00:2::/64',
        dst: '::/0',
        tunnel: { src: '2001:db8::2', dst: '2001:db8::1' },
      },
    },
  ],
  'nft-table': [{ on: [], fact: table }],
  'nft-set': [
    {
      on: [table],
      fact: { ...at(''), kind: 'nft-set', set: ports },
      changed: { ...at(''), kind: 'nft-set', set: { ...ports, flags: ['interval'] } },
      again: 'refused',
    },
  ],
  'nft-chain': [
    {
      on: [table, { ...at(''), kind: 'nft-set', set: ports }],
      fact: chain([[{ counter: null }, { accept: null }]]),
      changed: chain([
        [{ match: { op: '==', left: { meta: { key: 'iifname' } }, right: 'eth0' } }, { return: null }],
        [
          { match: { op: '==', left: { payload: { protocol: 'tcp', field: 'dport' } }, right: 80 } },
          { counter: null },
          { drop: null },
        ],
      ]),
      again: 'refused',
    },
  ],
  'nft-element': [
    {
      on: [table, { ...at(''), kind: 'nft-set', set: ports }],
      fact: element('10.0.0.2'),
      changed: element('10.0.0.3'),
      again: 'refused',
    },
  ],
};

const adds = (facts: readonly Fact[]): Change[] => facts.map((fact) => ({ verb: 'add', fact }));

/** A namespace to work in, by us; and one to work in by hand, whose names of namespaces are apart. */
async function bench(): Promise<
  {
    ours: Netns;
    kernel: KernelScope;
    byHand: Netns;
    type: (changes: readonly (readonly [Fact, Verb])[]) => Promise<void>;
    open: (path: string) => Netns;
  } & AsyncDisposable
> {
  await using undo = new AsyncDisposableStack();
  undo.defer(() => Netns.unpin(WEB));
  const ours = undo.use(Netns.create());
  const byHand = undo.use(Netns.create());
  const shell = undo.use(await openShell(byHand));
  const kernel = undo.use(undo.use(new Kernel(Netns.open(`/proc/self/fd/${ours.fd}`))).scope());
  const kept = undo.move();
  return {
    ours,
    kernel,
    byHand,
    open: (path) => shell.open(path),
    async type(changes) {
      await shell.ok(changes.map(([fact, verb]) => kindOf(fact).command(fact, verb)).join('\n') + '\n');
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Everything that a tool can see, in the namespace and in WEB. */
async function seen(netns: Netns, open: () => Netns | undefined, macs = true): Promise<unknown> {
  // a veth's end that nobody gave an address has one by chance
  const macOf = (l: { address?: string }): boolean => macs && l.address?.startsWith('02:42:0a') === true;
  using web = open();
  return {
    host: await wholeOf(netns, { macOf }),
    queues: await queues(netns),
    web: web && (await wholeOf(web, { macOf })),
  };
}

test('every kind has a case, and every verb of it is tried', () => {
  assert.deepEqual(Object.keys(CASES).sort(), HERE);
  for (const [kind, cases] of Object.entries(CASES)) {
    assert.ok(cases.length > 0, kind);
    for (const { fact } of cases) assert.equal(fact.kind, kind);
    const changes = cases.some(({ fact, changed }) => changed && kindOf(fact).change(changed, fact));
    const possible = !['netns', 'rule', 'redirect', 'nft-table', 'nft-set'].includes(kind);
    assert.equal(changes, possible, `${kind}: changed in place`);
  }
});

for (const one of Object.values(CASES).flat()) {
  const { on, fact, changed, again, unmarked, stays } = one;
  const kind = kindOf(fact);
  const name = factKey(fact).replace(String(process.pid), 'PID');

  test(`${name}: add, read, change, delete; the same by its commands`, async () => {
    await using b = await bench();
    const { kernel, ours, byHand } = b;
    const mine = (): Promise<unknown> =>
      seen(ours, () => (namesIn('/run/netns').includes(WEB.slice(11)) ? Netns.open(WEB) : undefined));
    const theirs = (): Promise<unknown> => seen(byHand, () => tryOpen(b.open));
    const reads = async (want: Fact, where: KernelScope = kernel): Promise<Fact | undefined> =>
      (await kind.read(where, want.ns, [want])).find((have) => kind.key(have) === kind.key(want));
    const right = async (want: Fact, what: string): Promise<void> => {
      const have = await reads(want);
      assert.ok(have, `${what}: it is there, and ours`);
      assert.deepEqual(kind.differences(want, have), [], what);
    };
    const retype = async (steps: readonly (readonly [Fact, Verb])[], what: string): Promise<void> => {
      await b.type(steps);
      assert.deepEqual(await theirs(), await mine(), what);
    };

    if (fact.ns === '')
      assert.deepEqual(
        (await missing(kernel, [fact])).map((c) => c.verb),
        ['add'],
        'nothing is there, not even what it stands on',
      );
    await apply(kernel, adds(on));
    await b.type(on.map((f) => [f, 'add'] as const));
    const before = await mine();
    assert.deepEqual(await theirs(), before, 'what it stands on');

    await apply(kernel, adds([fact]));
    await right(fact, 'added');
    const added = await mine();
    assert.notDeepEqual(added, before, 'tools see it');
    await retype([[fact, 'add']], 'added by hand');
    {
      using there = new Kernel(Netns.open(`/proc/self/fd/${byHand.fd}`));
      using scope = there.scope();
      // namespaces go by their path, which is another's here: only the host's facts can be read
      if (fact.ns === '' && fact.kind !== 'netns') {
        const have = await reads(fact, scope);
        if (unmarked !== undefined) assert.equal(have, undefined, unmarked);
        else assert.ok(have && kind.differences(fact, have).length === 0, 'made by hand, it reads back the same');
      }
    }

    if (fact.kind !== 'netns') {
      await apply(kernel, adds([fact]));
      assert.deepEqual(await mine(), added, 'adding it again is no error, and changes nothing');
    } else {
      await assert.rejects(apply(kernel, adds([fact])), { code: 'EEXIST' }, 'a namespace is never taken over');
      assert.deepEqual(await mine(), added, 'nor removed for it');
    }

    if (again === 'refused') {
      assert.ok(changed);
      await assert.rejects(apply(kernel, adds([changed])), { code: 'ECONFLICT' });
      assert.deepEqual(await mine(), added, 'refused, it changes nothing');
    } else if (again === 'set') {
      assert.ok(changed);
      await apply(kernel, adds([changed]));
      await right(changed, 'set');
      await apply(kernel, adds([fact]));
      assert.deepEqual(await mine(), added);
    }

    if (changed) {
      const changes = await missing(kernel, [changed]);
      assert.deepEqual(
        changes.map((c) => c.verb),
        kind.change(changed, fact) ? ['change'] : ['delete', 'add'],
      );
      await apply(kernel, changes);
      await right(changed, 'changed');
      assert.notDeepEqual(await mine(), added, 'tools see the change');
      await retype(
        changes.map((c) => [c.fact, c.verb] as const),
        'changed by hand',
      );
      assert.deepEqual(await missing(kernel, [changed]), []);
      await apply(kernel, await missing(kernel, [fact]));
      assert.deepEqual(await mine(), added, 'and back');
      await b.type((await backwards(changed, fact)).map(([f, v]) => [f, v] as const));
    }

    const removal = removalOf([fact]);
    if (stays !== undefined && removal.length === 0) return; // nothing deletes it
    assert.equal(removal.length, 1);
    await apply(kernel, removal);
    await retype([[fact, 'delete']], 'deleted by hand');
    if (stays !== undefined) return;
    assert.equal(await reads(fact), undefined, 'gone');
    assert.deepEqual(await mine(), before, 'nothing is left of it');
    if (fact.kind === 'port') return; // its deletion is a setting
    await apply(kernel, removal);
    assert.deepEqual(await mine(), before, 'deleting it again is no error');
  });
}

function tryOpen(open: (path: string) => Netns): Netns | undefined {
  try {
    return open(WEB);
  } catch {
    return undefined;
  }
}

/** The steps by hand that lead from `have` to `want`. */
async function backwards(have: Fact, want: Fact): Promise<(readonly [Fact, Verb])[]> {
  return kindOf(want).change(want, have)
    ? [[want, 'change']]
    : [
        [have, 'delete'],
        [want, 'add'],
      ];
}

/** A network and an endpoint with one published port, every kind of fact among them. */
function everyKind(): Fact[] {
  const mac = '02:42:0a:00:00:02';
  const port: Fact = { ...at(''), kind: 'port', dev: 've0', hairpin: true, isolated: false, mac };
  const addresses: Fact[] = ['10.0.0.1/24', 'fd00::1/64'].map((text) => ({
    ...at(''),
    kind: 'address',
    dev: 'br0',
    address: text,
  }));
  const sysctl: Fact = { ...at(''), kind: 'sysctl', name: 'net.ipv4.conf.br0.route_localnet', value: '1', dev: 'br0' };
  const route: Fact = { ...at(WEB), kind: 'route', family: 4, dst: 'default', via: '10.0.0.1', dev: 'eth0' };
  const own: Fact[] = [{ ...at(''), kind: 'nft-set', set: ports }, chain([[{ accept: null }]]), element('10.0.0.2')];
  return [
    ...rulesetFacts(),
    netns,
    bridge,
    ...addresses,
    sysctl,
    pair,
    port,
    neighbour,
    lo,
    inside,
    address,
    route,
    { ...under, mtu: 1550 },
    { ...vxlan, master: 'br0', mtu: 1500 }, // a bridge takes the smallest of its ports'
    tunnel,
    entry,
    { ...entry, table: 'master', dst: '' },
    ifb,
    { ...at(''), kind: 'qdisc', dev: 'ifb0', tbf: { rate: 8e6, burst: 5000, limit: 70_000 } },
    { ...at(''), kind: 'redirect', dev: 've0', to: 'ifb0' },
    policy,
    { ...at(WEB), kind: 'rule', family: 4, from: '10.0.0.2/32', priority: 28268, table: 1000 },
    ...own,
    ...networkElements(network),
  ];
}
const network: Network = {
  id: 'f'.repeat(64),
  name: 'web',
  driver: 'bridge',
  created: '',
  internal: false,
  subnets: [{ subnet: '10.0.0.0/24', gateway: '10.0.0.1' }],
  options: { driver: 'bridge', bridge: 'br0', mtu: 1500, icc: true, masquerade: true, hairpin: false, hostBinding: '' },
  labels: {},
  phase: 'ready',
  owner: '',
};
/** Facts that the kernel refuses, each by another way to it. */
const IMPOSSIBLE: readonly Fact[] = [
  { ...at(''), kind: 'route', family: 4, dst: '10.99.0.0/24', via: '10.98.0.1', dev: 'lo' },
  {
    ...at(''),
    kind: 'nft-element',
    set: { ...ports, name: 'nowhere' },
    element: { key: { concat: ['tcp', 1] }, data: { concat: ['10.0.0.2', 1] } },
  },
  { ...at(''), kind: 'sysctl', name: 'net.ipv4.ip_forward', value: 'nonsense', dev: '' },
  link({ name: 've9', origin: { type: 'veth', peer: { ns: '', name: 'lo', mac: '' } } }),
];

test('every kind of fact is among those that are rolled back', () => {
  assert.deepEqual([...new Set(everyKind().map((f) => f.kind))].sort(), HERE);
});

for (const [i, bad] of IMPOSSIBLE.entries()) {
  test(`a refused ${bad.kind} (${i}), wherever it stands, leaves nothing`, async () => {
    await using b = await bench();
    const { ours, kernel } = b;
    await ipBatch(ours, ['link set lo up', 'link add foreign type bridge']);
    const whole = (): Promise<unknown> =>
      seen(ours, () => undefined).then((state) => [state, namesIn('/run/netns').filter((n) => WEB.endsWith(n))]);
    const before = await whole();
    const facts = everyKind();
    for (let at = FIRST - 1; at <= facts.length; at += STRIDE) {
      await assert.rejects(apply(kernel, adds(facts.toSpliced(at, 0, bad))), `position ${at}`);
      assert.deepEqual(
        await whole(),
        before,
        `position ${at}, ${at === 0 ? 'first' : `after ${factKey(facts[at - 1] ?? bad)}`}`,
      );
    }
    await apply(kernel, adds(facts));
    assert.deepEqual(
      (await missing(kernel, facts)).map((c) => `${c.verb} ${factKey(c.fact)}`),
      [],
      'without it, all of it is there',
    );
    await apply(kernel, removalOf(facts));
    assert.deepEqual(await whole(), before);
  });
}

test('what was there before, ours, survives a refusal', async () => {
  await using b = await bench();
  const { ours, kernel } = b;
  await ipBatch(ours, ['link set lo up']);
  const facts = everyKind().filter((f) => f.kind !== 'netns');
  await apply(kernel, adds([netns, ...facts]));
  const before = await seen(ours, () => Netns.open(WEB));
  // what is set rather than made cannot say that it was so already: whoever applies asks `missing` first
  const made = facts.filter(
    (f) => !['port', 'neighbour', 'fdb'].includes(f.kind) && !(f.kind === 'link' && f.origin.type === 'there'),
  );
  for (const bad of IMPOSSIBLE) {
    await assert.rejects(apply(kernel, adds([...made, bad])));
    assert.deepEqual(await seen(ours, () => Netns.open(WEB)), before, bad.kind);
  }
  await apply(kernel, removalOf([netns, ...facts]));
});

test('a link of the same name that is not ours is refused and left alone', async () => {
  // the host's end of a pair has a name that is drawn: only its other end can meet a stranger
  for (const [what, line, fact] of [
    ['a bridge', 'link add br0 type bridge', bridge],
    ['something else', 'link add br0 type veth peer name br1', bridge],
    [
      'the other end',
      'link add y type bridge',
      link({ name: 've0', origin: { type: 'veth', peer: { ns: '', name: 'y', mac: '' } } }),
    ],
  ] as const) {
    await using b = await bench();
    await ipBatch(b.ours, [line]);
    const before = await linksOf(b.ours);
    await assert.rejects(apply(b.kernel, adds([fact])), { code: 'ECONFLICT' }, what);
    assert.deepEqual(await linksOf(b.ours), before, what);
  }
});

test('addresses and routes that are not ours are refused and left alone', async () => {
  await using b = await bench();
  const { ours, kernel } = b;
  await ipBatch(ours, [
    'link add br0 type bridge',
    'link set br0 up',
    'addr add 10.0.0.1/24 dev br0',
    'route add 10.1.0.0/24 dev br0',
    'addr add fd00::1/64 dev br0 nodad',
  ]);
  const before = await seen(ours, () => undefined);
  for (const fact of [
    { ...at(''), kind: 'address', dev: 'br0', address: '10.0.0.1/24' },
    { ...at(''), kind: 'address', dev: 'br0', address: 'fd00::1/64' },
    { ...at(''), kind: 'route', family: 4, dst: '10.1.0.0/24', via: '', dev: 'br0' },
  ] as const) {
    await assert.rejects(apply(kernel, adds([fact])), { code: 'ECONFLICT' }, fact.kind);
    assert.deepEqual(await kindOf<Fact>(fact).read(kernel, '', [fact]), [], 'and never read as ours');
  }
  assert.deepEqual(await seen(ours, () => undefined), before);
});

test('rule sets of others stay as they are, byte by byte', async () => {
  await using host = await makeHost();
  using kernel = new Kernel(Netns.open(`/proc/self/fd/${host.netns.fd}`));
  using scope = kernel.scope();
  // one in our own family, one of the same name in another, and one that iptables made
  const foreign = `
    table inet filter {
      set a { type ipv4_addr; elements = { 10.0.0.1 }; }
      chain forward { type filter hook forward priority 0; policy drop; ip saddr @a counter packets 7 bytes 99 accept; }
    }
    table arp netloom {
      chain in { type filter hook input priority 5; counter comment "not ours"; }
    }
  `;
  await okIn(host.netns, ['nft', '-f', '-'], { input: foreign });
  await okIn(host.netns, ['iptables', '-t', 'nat', '-A', 'POSTROUTING', '-s', '10.0.0.0/8', '-j', 'MASQUERADE']);
  const others = async (): Promise<string> => {
    const tables = ['inet filter', 'arp netloom', 'ip nat'];
    // with handles: nothing was made anew either
    return (
      await Promise.all(tables.map((t) => okIn(host.netns, ['nft', '-a', 'list', 'table', ...t.split(' ')])))
    ).join('');
  };
  const before = await others();
  const facts = [...rulesetFacts(), ...networkElements(network)];
  await apply(scope, adds(facts));
  assert.equal(await others(), before);
  // what packets fill has an end, though nobody says where
  const filled = (await scope.nft('').sets(OUR_TABLE)).filter(({ flags }) => flags?.includes('dynamic'));
  assert.deepEqual(
    filled.map(({ name, size }) => `${name} ${size}`),
    ['flows4 65535', 'flows6 65535', 'busy4 65535', 'busy6 65535'],
  );
  await assert.rejects(apply(scope, adds([...facts, ...IMPOSSIBLE])));
  assert.equal(await others(), before);
  await apply(scope, removalOf(facts));
  assert.equal(await others(), before);
});
