/** What no runtime says, or should: always an error of the specification, and nothing is changed. */
// runs: here in one mode (what is refused before anything is done)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CNI_CODES, runIpam, runPlugin } from '../../src/cni/index.ts';
import { lent } from '../../src/daemon/lent.ts';
import { runProgram } from '../../src/daemon/programs.ts';
import type { ProgramAnswer } from '../../src/model/index.ts';
import { callCni } from '../lib/cni.ts';
import { fuzzCases } from '../lib/dice.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { stateOf } from '../lib/kernel-state.ts';

checkDescriptors();

const CONF = { cniVersion: '1.1.0', name: 'dbnet', type: 'netloom', subnets: [{ subnet: '10.1.0.0/16' }] };
const with_ = (change: object): string => JSON.stringify({ ...CONF, ...change });
const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;

/** What stands in the environment or the input, the code, and what the message names. */
const TABLE: readonly (readonly [
  string,
  { env?: Record<string, string>; stdin?: string; verb?: string },
  number,
  RegExp,
])[] = [
  ['no verb', { env: { CNI_COMMAND: '' } }, 4, /CNI_COMMAND/],
  ['a verb of the prototype', { env: { CNI_COMMAND: '__proto__' } }, 4, /CNI_COMMAND/],
  ['a path in the id', { env: { CNI_CONTAINERID: '../../etc' } }, 4, /CNI_CONTAINERID/],
  ['a NUL in the id', { env: { CNI_CONTAINERID: 'a\0b' } }, 4, /CNI_CONTAINERID/],
  ['an id of a thousand', { env: { CNI_CONTAINERID: 'a'.repeat(1000) } }, 4, /CNI_CONTAINERID/],
  ['a space in the interface', { env: { CNI_IFNAME: 'eth 0' } }, 4, /CNI_IFNAME/],
  ['a slash in the interface', { env: { CNI_IFNAME: 'a/b' } }, 4, /CNI_IFNAME/],
  ['dots for an interface', { env: { CNI_IFNAME: '..' } }, 4, /CNI_IFNAME/],
  ['lo', { env: { CNI_IFNAME: 'lo' } }, 7, /lo/],
  ['a relative namespace', { env: { CNI_NETNS: 'run/netns/a' } }, 4, /CNI_NETNS/],
  ['a namespace by way of dots', { env: { CNI_NETNS: '/run/netns/../../etc/passwd' } }, 4, /CNI_NETNS/],
  ['a file for a namespace', { env: { CNI_NETNS: '/etc/passwd' } }, 4, /^CNI_NETNS: \/etc\/passwd/],
  ['a directory for a namespace', { env: { CNI_NETNS: '/' } }, 4, /^CNI_NETNS/],
  ['an argument without a name', { env: { CNI_ARGS: '=x' } }, 4, /CNI_ARGS/],
  ['an escape in an argument', { env: { CNI_ARGS: '\u001b[31mred' } }, 4, /CNI_ARGS/],
  ['nothing', { stdin: '' }, 6, /JSON/],
  ['no JSON, with control characters', { stdin: '{"a": \u001b[2J\0}' }, 6, /JSON/],
  ['ten megabytes', { stdin: with_({ labels: { a: 'x'.repeat(10_000_000) } }) }, 6, /characters/],
  ['fifty thousand lists', { stdin: `{"cniVersion":"1.1.0","name":"a","type":"b","x":${deep}}` }, 6, /deep/],
  ['a key twice', { stdin: '{"cniVersion":"1.1.0","name":"a","name":"b","type":"netloom"}' }, 6, /"name" stands twice/],
  [
    'a key twice, once escaped',
    { stdin: '{"cniVersion":"1.1.0","name":"a","n\\u0061me":"b","type":"netloom"}' },
    6,
    /twice/,
  ],
  ['a list', { stdin: '[]' }, 7, /object/],
  ['a version to come', { stdin: with_({ cniVersion: '9.0.0' }) }, 1, /cniVersion/],
  ['a number for a version', { stdin: with_({ cniVersion: 1.1 }) }, 1, /cniVersion/],
  ['a version before', { stdin: with_({ cniVersion: '0.2.0' }) }, 1, /cniVersion/],
  ['STATUS before there was one', { verb: 'STATUS', stdin: with_({ cniVersion: '1.0.0' }) }, 1, /STATUS/],
  ['a path for a name', { stdin: with_({ name: '../dbnet' }) }, 7, /^name/],
  ['a name with an end of line', { stdin: with_({ name: 'a\nb' }) }, 7, /^name/],
  ['a name of a thousand', { stdin: with_({ name: 'a'.repeat(1000) }) }, 7, /name/],
  [
    'a prototype for a key',
    { stdin: '{"cniVersion":"1.1.0","name":"a","type":"netloom","__proto__":{"network":"x"}}' },
    2,
    /__proto__/,
  ],
  ['a field that nobody has', { stdin: with_({ bridge: 'cni\u001b[0m0' }) }, 2, /^bridge: "cni/],
  ['a path for an IPAM plugin', { stdin: with_({ ipam: { type: '../../bin/sh' } }) }, 7, /^ipam\.type/],
  ['an IPAM plugin that is nowhere', { stdin: with_({ ipam: { type: 'nosuch' } }) }, 4, /CNI_PATH/],
  ['a number for an IPAM plugin', { stdin: with_({ ipam: { type: 7 } }) }, 7, /^ipam\.type/],
  [
    'a huge port',
    { stdin: with_({ runtimeConfig: { portMappings: [{ hostPort: 1e308, containerPort: 80 }] } }) },
    7,
    /hostPort/,
  ],
  ['a huge rate', { stdin: `${with_({}).slice(0, -1)},"bandwidth":{"ingressRate":1e999}}` }, 7, /ingressRate/],
  ['a rate below nothing', { stdin: with_({ bandwidth: { egressRate: -1 } }) }, 7, /egressRate/],
  ['an unknown capability', { stdin: with_({ runtimeConfig: { teleport: true } }) }, 2, /teleport: true/],
  [
    'a sysctl of the machine',
    { stdin: with_({ sysctl: { 'kernel.core_pattern': '|/bin/sh' } }) },
    7,
    /kernel\.core_pattern/,
  ],
  ['a sysctl by way of dots', { stdin: with_({ sysctl: { 'net/../kernel/core_pattern': 'x' } }) }, 7, /core_pattern/],
  ['a sysctl by way of hidden dots', { stdin: with_({ sysctl: { 'net.//.kernel': 'x' } }) }, 7, /kernel/],
  ['a sysctl that no kernel has', { stdin: with_({ sysctl: { 'net.no.such': '1' } }) }, 103, /net\.no\.such/],
  ['a sysctl of two lines', { stdin: with_({ sysctl: { 'net.core.somaxconn': '1\n2' } }) }, 7, /somaxconn/],
  [
    'a route to nowhere',
    { stdin: with_({ routes: [{ dst: '192.0.2.0/24', gw: '203.0.113.9' }] }) },
    100,
    /192\.0\.2\.0/,
  ],
  [
    'a default route of its own',
    { stdin: with_({ routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.9' }] }) },
    7,
    /default route/,
  ],
  [
    'a route’s field that is none',
    { stdin: with_({ routes: [{ dst: '192.0.2.0/24', dev: 'eth9' }] }) },
    7,
    /^routes\[0\]\.dev/,
  ],
  ['an MTU that is none', { stdin: with_({ mtu: 1e9 }) }, 7, /mtu/],
  ['labels that are no texts', { stdin: with_({ labels: { a: { b: 1 } } }) }, 7, /^labels\.a/],
  [
    'a range that is none',
    {
      stdin: with_({
        subnets: [],
        runtimeConfig: { ipRanges: [[{ subnet: '10.1.0.0/24', rangeStart: '10.1.0.5', rangeEnd: '10.1.0.9' }]] },
      }),
    },
    7,
    /ipRanges\[0\]\[0\]/,
  ],
  [
    'an interface of prevResult that is not there',
    { stdin: with_({ prevResult: { interfaces: [{ name: 'a' }], ips: [{ address: '10.0.0.1/8', interface: 9 }] } }) },
    7,
    /interface 9/,
  ],
  ['CHECK without what to check', { verb: 'CHECK' }, 7, /prevResult/],
  ['GC without what is valid', { verb: 'GC' }, 7, /valid-attachments/],
];

function verdict(answer: ProgramAnswer): { code: number; msg: string; details?: string } {
  assert.equal(answer.status, 1, answer.stdout.slice(0, 300));
  const json = JSON.parse(answer.stdout) as { cniVersion: string; code: number; msg: string; details?: string };
  assert.deepEqual(
    Object.keys(json).filter((key) => key !== 'details'),
    ['cniVersion', 'code', 'msg'],
  );
  for (const text of [json.msg, json.details ?? '']) {
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(text, /[\0-\x09\x0b-\x1f\x7f-\x9f]/, 'nothing that a terminal would obey');
    assert.ok(text.length <= 2100, `${text.length} characters`);
  }
  return json;
}

test('a table of what is wrong: each its number, and nothing is changed', async () => {
  await using bed = await makeEngineBed();
  const a = await bed.workload('a');
  const state = async (): Promise<unknown> => [
    await stateOf([bed.host.netns, a.netns]),
    await bed.engine.endpointList(),
    (await bed.engine.networkList()).map(({ name }) => name).filter((name) => name !== 'dbnet'),
  ];
  await bed.engine.networkCreate({ name: 'dbnet', subnets: [{ subnet: '10.1.0.0/16' }] });
  const before = await state();
  const wrong: string[] = [];
  for (const [what, { env, stdin = with_({}), verb = 'ADD' }, code, message] of TABLE) {
    const answer = await runProgram({
      program: 'netloom',
      argv: [],
      env: {
        CNI_COMMAND: verb,
        CNI_CONTAINERID: 'pod',
        CNI_NETNS: a.path,
        CNI_IFNAME: 'eth0',
        CNI_PATH: '/opt/cni/bin',
        ...env,
      },
      stdin,
      open: () => Promise.resolve(lent(bed.engine)),
    });
    const said = verdict(answer);
    if (said.code !== code || !message.test(said.msg)) wrong.push(`${what}: ${said.code}, ${said.msg}`);
  }
  assert.deepEqual(wrong, []);
  const after = (await state()) as unknown[];
  assert.deepEqual(after, before);
});

test('a process, too: ten megabytes and no JSON', async () => {
  await using bed = await makeEngineBed();
  const { path } = await bed.workload('a');
  for (const conf of [with_({ labels: { a: 'x'.repeat(10_000_000) } }), deep]) {
    const { status, json } = await callCni(bed, {}, 'ADD', { id: 'pod', netns: path, conf });
    assert.deepEqual([status, json['code']], [1, 6]);
  }
});

test('a network called as something of the prototype is one like any other', async () => {
  await using bed = await makeEngineBed();
  const { path } = await bed.workload('a');
  const conf = { ...CONF, name: 'constructor', runtimeConfig: { aliases: { other: ['x'] } } };
  const { status, json } = await callCni(bed, conf, 'ADD', { id: 'toString', netns: path });
  assert.equal(status, 0, JSON.stringify(json));
  assert.equal((await callCni(bed, conf, 'DEL', { id: 'toString', netns: path })).status, 0);
});

test('whatever is said by both programs, in environment and input: a number of the table', async () => {
  const codes = new Set<number>(Object.values(CNI_CODES));
  const key = fc.constantFrom(
    ...[
      'cniVersion',
      'name',
      'type',
      'prevResult',
      'runtimeConfig',
      'args',
      'ipam',
      'dns',
      'subnets',
      'options',
      'labels',
    ],
    ...['sysctl', 'routes', 'promisc', 'mtu', 'bandwidth', 'portMappings', 'ips', 'mac', 'aliases', '__proto__', 'x'],
  );
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom('netloom', '10.0.0.0/8', '../x', '\0', -1, 1e300),
  );
  const words = fc.oneof(
    fc.constantFrom('', 'ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'eth0', '/run/netns/a', '../x', 'a\0'),
    fc.string(),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(runPlugin, runIpam),
      fc.record({ CNI_COMMAND: words, CNI_CONTAINERID: words, CNI_NETNS: words, CNI_IFNAME: words, CNI_ARGS: words }),
      fc.array(fc.tuple(key, value), { maxLength: 4 }),
      async (run, env, changes) => {
        const stdin = JSON.stringify({ ...CONF, ...Object.fromEntries(changes) });
        const answer = await run({
          program: '',
          argv: [],
          env,
          stdin,
          open: () => Promise.reject(new Error('no engine')),
        });
        if (answer.status === 0) return assert.match(env.CNI_COMMAND, /^(VERSION|STATUS)$/);
        const { code } = verdict(answer);
        assert.ok(codes.has(code), `${code}`);
      },
    ),
    { numRuns: fuzzCases(3000) },
  );
});
