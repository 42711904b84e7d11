import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cutsOf, cutText, partitionOf, withCuts, withoutCuts } from './cuts.ts';
import { LabFileError, parseDelay, parseLabFile, parseLoss } from './file.ts';
import { planLab } from './plan.ts';
import { type LabSpec, plainSpec } from './spec.ts';

const read = (text: string): Promise<LabSpec> => parseLabFile('lab.yaml', text);
async function problems(text: string): Promise<string[]> {
  const error = await read(text).then(
    () => assert.fail('no problem found'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof LabFileError);
  assert.equal(error.code, 'ELABFILE');
  return error.message.split('\n');
}

test('an empty file is what lab up makes without one', async () => {
  assert.deepEqual(await read(''), plainSpec({}));
  assert.deepEqual(await read('hosts: 2\netcd: 3'), plainSpec({ hosts: 2, etcd: 3 }));
  assert.deepEqual(await read('hosts: [host1, host2]\netcd: {}'), plainSpec({ hosts: 2, etcd: 1 }));
});

test('every key', async () => {
  const spec = await read(`
name: demo
segments:
  lan: { prefixes: [192.0.2.0/24, '2001:db8:1::/64'], loss: 1% }
  far: { prefixes: 198.51.100.0/28, mtu: 1400, delay: 5ms }
hosts:
  a: {}
  b: { segment: far, address: 198.51.100.9, rate: 10mbit, delay: 1.5s, daemon: false }
  c:
    links:
      - { segment: far, loss: 0.5% }
      - { segment: lan, address: ['192.0.2.9', '2001:db8:1::9'], mtu: 9000 }
    daemon: { log-level: debug, published-ports: open }
etcd: { members: 3, segment: far }
router: false
join: false
`);
  const plain = { rate: 0, delay: 0, loss: 0, addresses: [], mtu: 1500 };
  assert.deepEqual(spec, {
    name: 'demo',
    segments: [
      { name: 'lan', prefixes: ['192.0.2.0/24', '2001:db8:1::/64'], mtu: 1500 },
      { name: 'far', prefixes: ['198.51.100.0/28'], mtu: 1400 },
    ],
    hosts: [
      { name: 'a', links: [{ ...plain, segment: 'lan', loss: 0.01 }], daemon: [] },
      {
        name: 'b',
        links: [{ ...plain, segment: 'far', addresses: ['198.51.100.9'], mtu: 1400, rate: 10e6, delay: 1500 }],
        daemon: undefined,
      },
      {
        name: 'c',
        links: [
          { ...plain, segment: 'far', mtu: 1400, delay: 5, loss: 0.005 },
          { ...plain, segment: 'lan', addresses: ['192.0.2.9', '2001:db8:1::9'], mtu: 9000, loss: 0.01 },
        ],
        daemon: ['--log-level=debug', '--published-ports=open'],
      },
    ],
    etcd: { members: 3, segment: 'far' },
    router: false,
    join: false,
  });
});

const wrong: readonly (readonly [text: string, ...expected: RegExp[]])[] = [
  ['name: Bad', /^lab\.yaml:1:7: name: "Bad" is no name here; use/],
  ['hosts: 0', /^lab\.yaml:1:8: hosts: expected a whole number from 1 to 100, found "0"$/],
  ['hosts: {}', /^lab\.yaml:1:8: hosts: a lab has one host at least/],
  ['hosts: { etcd1: {} }', /hosts\.etcd1: etcd1 is what the lab calls one of its own/],
  ['hosts: [a, "b c"]', /hosts\[1\]: "b c" is no name here/],
  ['hosts: { a: { sgment: x } }', /^lab\.yaml:1:15: hosts\.a\.sgment: unknown key; did you mean segment\?$/],
  ['hosts: { a: { segment: x } }', /there is no segment x; the file has lan/],
  ['hosts:\n  a:\n    rate: 10m', /^lab\.yaml:3:11: hosts\.a\.rate: "10m" is no rate/],
  ['hosts: { a: { delay: 5 } }', /"5" is no delay/],
  ['hosts: { a: { loss: 101% } }', /"101%" is no loss/],
  ['hosts: { a: { mtu: 100 } }', /mtu: expected a whole number from 1280 to 65535/],
  ['hosts: { a: { address: 10.0.0.1 } }', /10\.0\.0\.1 is no address of lan, which has 198\.18\.0\.0\/24 and/],
  ['hosts: { a: { address: 198.18.0.255 } }', /198\.18\.0\.255 is no address of lan/],
  ['hosts: { a: { address: [198.18.0.5, 198.18.0.6] } }', /one address a family at most/],
  ['hosts: { a: { links: [], rate: 1mbit } }', /one link at least/, /says it of each of them/],
  ['hosts: { a: { daemon: { log-level: loud } } }', /it cannot be "loud"; it is one of trace/],
  ['segments: { a: { prefixes: [10.0.0.1/24] } }', /host bits set/, /one family at least/],
  ['segments: { a: { prefixes: [10.0.0.0/31] } }', /no room for two machines; write \/30/],
  ['segments: { a: { prefixes: [10.0.0.0/24, 10.0.1.0/24] } }', /one prefix a family at most/],
  [
    'segments: { a: { prefixes: 10.0.0.0/24 }, b: { prefixes: 10.0.0.0/16 } }',
    /10\.0\.0\.0\/16 overlaps 10\.0\.0\.0\/24 of a/,
  ],
  ['segments: { verylongname1: {} }', /"verylongname1" is no name here/],
  ['etcd: 2', /2 members bear no more losses than 1; write 1, 3 or 5/],
  ['etcd: { segment: x }', /there is no segment x/],
  ['join: perhaps', /join: expected true or false/],
  ['hosts: [', /no valid YAML/],
  ['- a', /expected a map of keys and values, found a list/],
];
for (const [text, ...expected] of wrong) {
  test(`refused: ${text.replaceAll('\n', ' ')}`, async () => {
    const found = await problems(text);
    assert.equal(found.length, expected.length, found.join('\n'));
    for (const [i, pattern] of expected.entries()) assert.match(found[i]!, pattern);
  });
}

test('all that is wrong is told, in the order of the file', async () => {
  const found = await problems('hosts:\n  B: {}\n  a: { mtu: 1, x: 1 }\netcd: 9\nname: B!');
  assert.deepEqual(
    found.map((line) => line.split(':', 2)[1]),
    ['2', '3', '3', '4', '5'],
  );
});

test('delays and losses', () => {
  assert.deepEqual(['200us', '10ms', '1.5s'].map(parseDelay), [0.2, 10, 1500]);
  assert.deepEqual(['0%', '0.5%', '100%'].map(parseLoss), [0, 0.005, 1]);
});

test('addresses: the router first, hosts from the eleventh on, etcd from the end; the same number in both families', async () => {
  const plan = planLab(
    await read(`
segments: { lan: { prefixes: [192.0.2.0/24, '2001:db8::/64'] }, far: { prefixes: 198.51.100.0/28 } }
hosts: { a: {}, b: { address: 192.0.2.12 }, c: {}, d: { segment: far } }
etcd: 1`),
  );
  const addresses = Object.fromEntries(
    plan.machines.map(({ name, links }) => [name, links.flatMap((link) => link.addresses).join(' ')]),
  );
  assert.deepEqual(addresses, {
    router: '192.0.2.1/24 2001:db8::1/64 198.51.100.1/28',
    a: '192.0.2.11/24 2001:db8::b/64',
    b: '192.0.2.12/24 2001:db8::c/64',
    c: '192.0.2.13/24 2001:db8::d/64',
    d: '198.51.100.2/28',
    etcd1: '192.0.2.254/24 2001:db8::fe/64',
  });
  assert.deepEqual(plan.machines.find(({ name }) => name === 'd')!.links[0]!.gateways, ['198.51.100.1']);
  assert.deepEqual(plan.etcd, ['http://192.0.2.254:2379']);
  const macs = plan.machines.flatMap(({ links }) => links.map(({ mac }) => mac));
  assert.equal(new Set(macs).size, macs.length);
});

test('IPv6 alone', () => {
  const spec = plainSpec({ hosts: 2, etcd: 1 });
  const plan = planLab({ ...spec, segments: [{ name: 'lan', prefixes: ['2001:db8::/64'], mtu: 1500 }] });
  assert.deepEqual(
    plan.machines.map(({ links }) => links[0]!.addresses),
    [['2001:db8::b/64'], ['2001:db8::c/64'], ['2001:db8::fe/64']],
  );
  assert.deepEqual(plan.etcd, ['http://[2001:db8::fe]:2379']);
});

test('a segment that is full, an address that is given twice', () => {
  const spec = plainSpec({ hosts: 5 });
  const segments = [{ name: 'lan', prefixes: ['192.0.2.0/29'], mtu: 1500 }];
  assert.equal(planLab({ ...spec, segments }).machines.length, 5);
  assert.throws(() => planLab({ ...plainSpec({ hosts: 6 }), segments }), { code: 'ELAB', message: /no address left/ });
  const link = spec.hosts[0]!.links[0]!;
  const hosts = ['a', 'b'].map((name) => ({ name, links: [{ ...link, addresses: ['198.18.0.5'] }], daemon: [] }));
  assert.throws(() => planLab({ ...spec, hosts }), { code: 'ELAB', message: /198\.18\.0\.5 is given to b, and to a/ });
});

test('cuts add up, are undone one by one, and are told in words', () => {
  const plan = planLab(plainSpec({ hosts: 3 }));
  const text = (cuts: readonly { from: string; to: string }[]): string[] =>
    plan.machines.map(({ name }) => cutText(plan, cuts, name));
  const one = cutsOf(plan, { a: 'host1', b: 'host2', oneWay: true });
  assert.deepEqual(text(one), ['to host2', 'from host1', '']);
  const both = withCuts(one, cutsOf(plan, { a: 'host2', b: 'host1' }));
  assert.deepEqual(text(both), ['host2', 'host1', '']);
  const alone = withCuts(both, cutsOf(plan, { a: 'host1' }));
  assert.deepEqual(text(alone), ['everybody', 'host1', 'host1']);
  assert.deepEqual(withoutCuts(alone, cutsOf(plan, { a: 'host1' })), []);
  assert.deepEqual(text(partitionOf(plan, [['host1', 'host2'], ['host3']])), ['host3', 'host3', 'everybody']);
  assert.throws(() => cutsOf(plan, { a: 'host9' }), { code: 'ENOLABHOST' });
  assert.throws(() => cutsOf(plan, { a: 'host1', b: 'host1' }), { code: 'ELAB' });
  assert.throws(() => partitionOf(plan, [['host1']]), { code: 'ELAB' });
  assert.throws(() => partitionOf(plan, [['host1'], ['host1']]), { code: 'ELAB' });
});
