import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { hasCode } from '../../src/errors.ts';
import { Netns } from '../../src/kernel/index.ts';
import { NetlinkError } from '../../src/netlink/index.ts';
import {
  chainAdd,
  chainDelete,
  chainFlush,
  elementAdd,
  elementDelete,
  elementId,
  NftConn,
  type NftChain,
  type NftElement,
  type NftSet,
  type NftSnapshot,
  type NftTable,
  printCommand,
  ruleAdd,
  ruleDelete,
  ruleInsert,
  ruleReplace,
  sameElement,
  setAdd,
  setDelete,
  setFlush,
  tableAdd,
  tableDelete,
} from '../../src/nftables/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { jsonIn, okIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

const TABLE: NftTable = { family: 'inet', name: 't', comment: 'all of it' };
const here = { family: 'inet', table: 't' } as const;
const CHAINS: readonly NftChain[] = [
  { ...here, name: 'plain', comment: 'called by others' },
  { ...here, name: 'raw', base: { type: 'filter', hook: 'prerouting', priority: -300, policy: 'accept' } },
  { ...here, name: 'forward', base: { type: 'filter', hook: 'forward', priority: 0, policy: 'drop' } },
  { ...here, name: 'out', base: { type: 'nat', hook: 'output', priority: -100, policy: 'accept' } },
  { ...here, name: 'reroute', base: { type: 'route', hook: 'output', priority: -150, policy: 'accept' } },
  { ...here, name: 'atlo', base: { type: 'filter', hook: 'ingress', device: 'lo', priority: -7, policy: 'accept' } },
];
const COUNTER = { name: 'counter', bytes: 0n, packets: 0n } as const;

/**
 * Every kind of set, with elements in the shape in which they read back. (A set of `policy memory` has one element: the
 * kernel, 6.18, makes a tree of it and takes neighbours for overlapping intervals, from nft too.)
 */
const SETS: readonly (readonly [NftSet, readonly NftElement[]])[] = [
  [
    { ...here, name: 'addresses', type: 'ipv4_addr', comment: 'a set' },
    [{ key: '10.0.0.1' }, { key: '10.0.0.2', comment: 'ours: eth0' }],
  ],
  [{ ...here, name: 'names', type: 'ifname', size: 64, policy: 'memory' }, [{ key: 'br-0123456789ab' }]],
  [{ ...here, name: 'pairs', type: ['ifname', 'ifname'] }, [{ key: { concat: ['a', 'b'] }, comment: 'x' }]],
  [
    { ...here, name: 'nets', type: 'ipv4_addr', flags: ['interval'] },
    [
      { key: { prefix: { addr: '0.0.0.0', len: 8 } } },
      { key: { prefix: { addr: '10.0.0.0', len: 24 } }, comment: 'first' },
      { key: { prefix: { addr: '10.0.1.0', len: 24 } }, comment: 'next to it' },
      { key: { range: ['10.9.0.3', '10.9.0.17'] } },
      { key: '192.168.0.1' },
      { key: { prefix: { addr: '240.0.0.0', len: 4 } } },
    ],
  ],
  [
    { ...here, name: 'nets6', type: 'ipv6_addr', flags: ['interval'] },
    [
      { key: { prefix: { addr: '2001:db8::', len: 32 } } },
      { key: 'fd00::1' },
      { key: { prefix: { addr: 'ff00::', len: 8 } } },
    ],
  ],
  [{ ...here, name: 'marks', type: 'mark', flags: ['interval'] }, [{ key: 1 }, { key: { range: [256, 70_000] } }]],
  [
    {
      ...here,
      name: 'ranges',
      type: ['ipv4_addr', 'inet_proto', 'inet_service'],
      map: 'ipv4_addr',
      flags: ['interval'],
    },
    [
      { key: { concat: ['1.2.3.4', 'tcp', { range: [80, 90] }] }, data: '10.0.0.1', comment: 'web' },
      { key: { concat: [{ prefix: { addr: '1.2.4.0', len: 24 } }, 'udp', 53] }, data: '10.0.0.2' },
    ],
  ],
  [
    {
      ...here,
      name: 'ranges6',
      type: ['ipv6_addr', 'inet_proto', 'inet_service'],
      map: 'ipv6_addr',
      flags: ['interval'],
    },
    [{ key: { concat: [{ prefix: { addr: '::', len: 0 } }, 'sctp', { range: [1000, 1999] }] }, data: 'fd00::2' }],
  ],
  [
    { ...here, name: 'publish', type: ['ipv4_addr', 'inet_proto', 'inet_service'], map: ['ipv4_addr', 'inet_service'] },
    [{ key: { concat: ['192.0.2.1', 'tcp', 8080] }, data: { concat: ['172.18.0.2', 80] }, comment: 'web' }],
  ],
  [
    { ...here, name: 'publish6', type: ['inet_proto', 'inet_service'], map: ['ipv6_addr', 'inet_service'] },
    [{ key: { concat: ['udp', 53] }, data: { concat: ['fd00::2', 5353] } }],
  ],
  [
    { ...here, name: 'verdicts', type: 'inet_service', map: 'verdict' },
    [
      { key: 80, data: { accept: null } },
      { key: 443, data: { jump: { target: 'plain' } } },
      { key: 444, data: { goto: { target: 'plain' } } },
    ],
  ],
  [{ ...here, name: 'timed', type: 'ipv4_addr', timeout: 3600, gcInterval: 30 }, [{ key: '10.0.0.1', timeout: 7200 }]],
  [
    { ...here, name: 'optional', type: 'ipv4_addr', flags: ['timeout'] },
    [{ key: '10.0.0.1' }, { key: '10.0.0.2', timeout: 7200 }],
  ],
  [{ ...here, name: 'counted', type: 'ipv4_addr', exprs: [COUNTER] }, [{ key: '10.0.0.1', exprs: [COUNTER] }]],
  [
    { ...here, name: 'rest', type: 'ipv4_addr', map: 'mark' },
    [
      { key: '10.0.0.1', data: 5 },
      { key: '*', data: 6 },
    ],
  ],
  [
    { ...here, name: 'macs', type: ['ether_addr', 'ipv4_addr'] },
    [{ key: { concat: ['02:42:ac:11:00:02', '172.17.0.2'] } }],
  ],
];

function build(): Parameters<NftConn['commit']>[0] {
  return [
    tableAdd(TABLE),
    ...CHAINS.map((chain) => chainAdd(chain)),
    ...SETS.map(([set]) => setAdd(set)),
    ...SETS.flatMap(([set, elements]) => elementAdd(set, elements)),
  ];
}

test('everything reads back as it was written', async () => {
  using netns = Netns.create();
  using conn = NftConn.open(netns);
  await conn.commit(build());
  const snapshot = await conn.snapshot(TABLE);
  assert.deepEqual(withoutHandle(snapshot.table!), TABLE);
  assert.deepEqual(snapshot.chains.map(withoutHandle), CHAINS);
  assert.deepEqual(
    snapshot.sets.map(withoutHandle),
    SETS.map(([set]) => set),
  );
  for (const [set, elements] of SETS) {
    const read = snapshot.elements.get(set.name)!.map(({ expires: _, ...element }) => element);
    assert.deepEqual(read, elements, set.name);
    for (const [i, element] of elements.entries()) assert.ok(sameElement(set, element, read[i]!));
  }
});

test('nft lists what we made exactly as what it made from our printed commands', async () => {
  using ours = Netns.create();
  using theirs = Netns.create();
  using conn = NftConn.open(ours);
  using reader = NftConn.open(theirs);
  await conn.commit(build());
  const lines = [
    printCommand({ table: TABLE }, 'add'),
    ...CHAINS.map((chain) => printCommand({ chain }, 'add')),
    ...SETS.map(([set]) => printCommand({ set }, 'add')),
    ...SETS.map(([set, elements]) => printCommand({ set, elements }, 'add')),
  ];
  await okIn(theirs, ['sh', '-e'], { input: lines.join('\n') });
  assert.deepEqual(await listing(ours), await listing(theirs));
  assert.deepEqual(stable(await conn.snapshot(TABLE)), stable(await reader.snapshot(TABLE)));
});

test('elements are deleted by their keys, in the same words and by printed commands', async () => {
  using netns = Netns.create();
  using conn = NftConn.open(netns);
  for (const how of ['ours', 'printed'] as const) {
    await conn.commit(build());
    for (const [set, elements] of SETS) {
      for (const element of elements) {
        if (how === 'ours') await conn.commit(elementDelete(set, [element]));
        else await okIn(netns, ['sh', '-e'], { input: printCommand({ set, elements: [element] }, 'delete') });
      }
      assert.deepEqual(await conn.elements(set), [], `${set.name}, ${how}`);
    }
    await conn.commit([tableDelete(TABLE)]);
  }
});

test('a batch is done as a whole or not at all, and the refusal names the request', async () => {
  using netns = Netns.create();
  using conn = NftConn.open(netns);
  await conn.commit([tableAdd(TABLE)]);
  const set: NftSet = { ...here, name: 's', type: 'ipv4_addr' };
  const before = await conn.generation();
  await assert.rejects(
    conn.commit([setAdd(set), ...elementDelete(set, [{ key: '10.0.0.1' }]), chainDelete({ ...here, name: 'missing' })]),
    (error) =>
      error instanceof NetlinkError && error.code === 'ENOENT' && /NFT_MSG_DELSETELEM inet t s/.test(error.message),
  );
  assert.deepEqual(await conn.sets(TABLE), []);
  assert.equal(await conn.generation(), before);
  await conn.commit([setAdd(set), ...elementAdd(set, [{ key: '10.0.0.1' }])]);
  const exclusive = conn.commit(elementAdd(set, [{ key: '10.0.0.1' }], { exclusive: true }));
  await assert.rejects(exclusive, (error) => hasCode(error, 'EEXIST'));
  await conn.commit([]);
});

test('a commit for a stale generation is refused with ERESTART, and changes nothing', async () => {
  using netns = Netns.create();
  using conn = NftConn.open(netns);
  const seen = await conn.generation();
  await conn.commit([tableAdd(TABLE)], { genid: seen });
  assert.notEqual(await conn.generation(), seen);
  await assert.rejects(conn.commit([tableDelete(TABLE)], { genid: seen }), (error) => hasCode(error, 'ERESTART'));
  assert.equal((await conn.tables()).length, 1);
  await conn.commit([tableDelete(TABLE)], { genid: await conn.generation() });
  assert.deepEqual(await conn.tables('inet'), []);
  assert.equal((await conn.snapshot(TABLE)).table, undefined);
});

test('rules are added, inserted, replaced, deleted and flushed in their order', async () => {
  using netns = Netns.create();
  using conn = NftConn.open(netns);
  const rule = (comment: string) => ({
    ...here,
    chain: 'c',
    exprs: [{ name: 'counter' as const, bytes: 7n, packets: 1n }],
    comment,
  });
  const order = async (): Promise<string> => (await conn.rules(TABLE, 'c')).map((r) => r.comment).join(' ');
  await conn.commit([
    tableAdd(TABLE),
    chainAdd({ ...here, name: 'c' }),
    ruleAdd(rule('b')),
    ruleAdd(rule('d')),
    ruleInsert(rule('a')),
  ]);
  const [, b] = await conn.rules(TABLE, 'c');
  await conn.commit([ruleAdd(rule('c'), { after: b!.handle! })]);
  await conn.commit([ruleInsert(rule('ab'), { before: b!.handle! })]);
  assert.equal(await order(), 'a ab b c d');
  await conn.commit([ruleReplace(rule('B'), b!.handle!)]);
  assert.equal(await order(), 'a ab B c d');
  const [a] = await conn.rules(TABLE, 'c');
  await conn.commit([ruleDelete({ ...here, chain: 'c', handle: a!.handle! })]);
  assert.equal(await order(), 'ab B c d');
  assert.deepEqual(withoutHandle((await conn.rules(TABLE))[0]!), rule('ab'));
  await conn.commit([chainFlush({ ...here, name: 'c' }), chainDelete({ ...here, name: 'c' })]);
  assert.deepEqual(await conn.chains(TABLE), []);
});

test('two thousand elements travel in one commit, and read back all', async () => {
  using netns = Netns.create();
  using conn = NftConn.open(netns);
  const set: NftSet = {
    ...here,
    name: 's',
    type: ['ipv4_addr', 'inet_proto', 'inet_service'],
    map: ['ipv4_addr', 'inet_service'],
  };
  const elements = Array.from({ length: 2000 }, (_, i): NftElement => ({
    key: { concat: ['192.0.2.1', 'tcp', i + 1] },
    data: { concat: ['172.18.0.2', 80] },
    comment: `port ${i + 1}`,
  }));
  const requests = elementAdd(set, elements);
  assert.ok(requests.length > 1, 'more than one attribute holds');
  await conn.commit([tableAdd(TABLE), setAdd(set), ...requests]);
  // the kernel's hash table grows in the background, and a dump that walks it meanwhile misses some or brings some twice
  const holds = async (wanted: readonly NftElement[]): Promise<boolean> =>
    isDeepStrictEqual(await conn.elements(set), wanted);
  await until('all two thousand are read back', () => holds(elements));
  await conn.commit(elementDelete(set, elements.slice(1)));
  await until('one is left', () => holds(elements.slice(0, 1)));
  await conn.commit([setFlush(set), setDelete(set)]);
});

test('a snapshot is of one generation while another connection changes the table', async () => {
  using netns = Netns.create();
  using conn = NftConn.open(netns);
  using other = NftConn.open(netns);
  const [a, b]: NftSet[] = [
    { ...here, name: 'a', type: 'mark' },
    { ...here, name: 'b', type: 'mark' },
  ];
  await conn.commit([tableAdd(TABLE), setAdd(a!), setAdd(b!)]);
  // both sets change together: a snapshot that sees them differ is of two generations
  const change = (i: number): Promise<void> =>
    other.commit([setFlush(a!), setFlush(b!), ...elementAdd(a!, [{ key: i }]), ...elementAdd(b!, [{ key: i }])]);
  let going = true;
  let took = 3;
  const changes = (async () => {
    for (let i = 0; i < 100; i++) {
      await change(i);
      await pause(2 + 2 * took); // so that some snapshots see a change, and most do not
    }
    going = false;
  })();
  let snapshots = 0;
  for (; going; snapshots++) {
    const begun = performance.now();
    const { elements } = await conn.snapshot(TABLE);
    assert.deepEqual(elements.get('a'), elements.get('b'));
    took = performance.now() - begun;
  }
  await changes;
  assert.ok(snapshots > 10, `only ${snapshots} snapshots beside 100 changes`);
  assert.deepEqual((await conn.snapshot(TABLE)).elements.get('a'), [{ key: 99 }]);
});

test('an element’s identity is what it covers, not how it is written', () => {
  const nets: NftSet = { ...here, name: 'n', type: 'ipv4_addr', flags: ['interval'] };
  const id = (key: NftElement['key']): string => elementId(nets, { key });
  assert.equal(id({ range: ['10.0.0.0', '10.0.0.255'] }), id({ prefix: { addr: '10.0.0.0', len: 24 } }));
  assert.equal(id({ prefix: { addr: '10.0.0.7', len: 24 } }), id({ prefix: { addr: '10.0.0.0', len: 24 } }));
  assert.notEqual(id('10.0.0.1'), id('10.0.0.2'));
});

function withoutHandle<T extends { readonly handle?: bigint }>({ handle: _, ...rest }: T): Omit<T, 'handle'> {
  return rest;
}

/** A snapshot without what the kernel gives out by itself. */
function stable({ table, chains, rules, sets, elements }: NftSnapshot): unknown {
  const still = [...elements].map(([name, all]) => [name, all.map(({ expires: _, ...element }) => element)]);
  return {
    table: table && withoutHandle(table),
    chains: chains.map(withoutHandle),
    rules,
    sets: sets.map(withoutHandle),
    still,
  };
}

async function listing(netns: Netns): Promise<unknown> {
  const listed = await jsonIn<unknown>(netns, ['nft', '-j', 'list', 'ruleset']);
  return JSON.parse(
    JSON.stringify(listed, (key, value: unknown) => (key === 'handle' || key === 'expires' ? undefined : value)),
  );
}
