import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { translate } from './argv.ts';
import { COMMANDS } from './commands/index.ts';
import type { BgpSession, BgpStatus } from '../model/index.ts';
import { DOWN, FixtureEngine, NODE, ran } from './fixture.test.ts';

const ETCD = 'http://192.0.2.10:2379';
const WARNING = "netloom: warning: clock: the clock is 3 s behind etcd's: set it by NTP\n";

const asked: [typed: string, ...call: unknown[]][] = [
  [`node join --etcd ${ETCD}`, 'nodeJoin', { etcd: [ETCD] }, {}],
  [`node join -f --etcd ${ETCD}`, 'nodeJoin', { etcd: [ETCD] }, { force: true }],
  ['node check', 'nodeCheck', []],
  ['node check a b', 'nodeCheck', ['a', 'b']],
  [
    `node join --etcd ${ETCD},http://b:2379 --etcd http://[2001:db8::1]:2379`,
    'nodeJoin',
    { etcd: [ETCD, 'http://b:2379', 'http://[2001:db8::1]:2379'] },
    {},
  ],
  [
    `node join --etcd ${ETCD} --prefix /lab/ --ca ca.pem --cert /etc/a.pem --key /etc/a.key --user u --password-file p --name a --address 192.0.2.1 --address 2001:db8::1`,
    'nodeJoin',
    {
      etcd: [ETCD],
      prefix: '/lab/',
      caFile: resolve('ca.pem'),
      certFile: '/etc/a.pem',
      keyFile: '/etc/a.key',
      username: 'u',
      passwordFile: resolve('p'),
      name: 'a',
      addresses: ['192.0.2.1', '2001:db8::1'],
    },
    {},
  ],
  [
    `node join --etcd ${ETCD} --ttl 60 --bgp-asn 64601 --bgp-neighbor 192.0.2.254:64513 --bgp-neighbor [2001:db8::fe]:64513,192.0.2.253:1`,
    'nodeJoin',
    {
      etcd: [ETCD],
      ttl: 60,
      bgp: { asn: 64_601, neighbors: ['192.0.2.254:64513', '[2001:db8::fe]:64513', '192.0.2.253:1'] },
    },
    {},
  ],
  ['node drain', 'nodeDrain', 'a', {}],
  ['node drain b', 'nodeDrain', 'b', {}],
  ['node drain --undo b', 'nodeDrain', 'b', { undo: true }],
  ['node rotate-keys', 'nodeRotateKeys', []],
  ['node rotate-keys a b', 'nodeRotateKeys', ['a', 'b']],
  ['node rm b', 'nodeRemove', 'b', {}],
  ['node remove -f b', 'nodeRemove', 'b', { force: true }],
];
for (const [typed, ...call] of asked) {
  test(`netloom ${typed}`, async () => {
    const { calls, status } = await ran(typed.split(' '));
    assert.deepEqual([calls, status], [[call], 0]);
  });
}

test("NETLOOM_ETCD stands for --etcd, and etcdctl's own variables for nothing", async () => {
  const env = { NETLOOM_ETCD: `${ETCD}, http://b:2379`, ETCDCTL_ENDPOINTS: 'http://c:2379', ETCDCTL_CACERT: '/ca.pem' };
  assert.deepEqual((await ran(['node', 'join'], { env })).calls, [['nodeJoin', { etcd: [ETCD, 'http://b:2379'] }, {}]]);
  const given = await ran(['node', 'join', '--etcd', 'http://d:2379'], { env });
  assert.deepEqual(given.calls, [['nodeJoin', { etcd: ['http://d:2379'] }, {}]]);
  const { ETCDCTL_ENDPOINTS } = env;
  assert.equal((await ran(['node', 'join'], { env: { ETCDCTL_ENDPOINTS } })).status, 2);
});

const printed: [typed: readonly string[], stdout: string, stderr?: string][] = [
  [['join', '--etcd', ETCD], 'a\n192.0.2.1, 2001:db8::1 on eth0: towards etcd at 192.0.2.10\n', WARNING],
  [
    ['ls'],
    'NAME   STATUS   ADDRESS                  DEV    MTU    VERSION   NETWORKS\n' +
      'a *    ready    192.0.2.1, 2001:db8::1   eth0   1500   0.0.1     web\n' +
      'b      down     192.0.2.2                eth0   1500   0.0.1\n',
  ],
  [['ls', '-q'], 'a\nb\n'],
  [
    ['ls', '--format', '{{.ID}} {{.Name}} {{.Self}} {{.Endpoints}} {{.Reason}}'],
    '777777777777 a true 2 towards etcd at 192.0.2.10\n888888888888 b false 0 as asked\n',
  ],
  [
    ['inspect', '-f', '{{.Reason}}{{range .Networks}} {{.Backend}} {{join .Prefixes ","}}{{end}}', 'a'],
    'towards etcd at 192.0.2.10 vxlan 10.244.1.0/24\n',
  ],
  [
    ['check'],
    "ok    reachable  all of 1 node answer\nwarn  clock      the clock is 3 s behind etcd's: set it by NTP\n",
  ],
  [['drain'], 'a\n'],
  [['rm', '-f', 'b', 'a'], 'b\na\n'],
  [['status'], `a: connected\netcd: ${ETCD}\n`],
  [['status', '--format', '{{.State}}'], 'connected\n'],
];
for (const [typed, expected, warning = ''] of printed) {
  test(`netloom node ${typed.join(' ')} prints`, async () => {
    const { stdout, stderr, status } = await ran(['node', ...typed]);
    assert.deepEqual({ stdout, stderr, status }, { stdout: expected, stderr: warning, status: 0 });
  });
}

test('a long name is whole in -q, and the table fits 80 columns', async () => {
  const engine = new FixtureEngine();
  const name = 'a-host-with-a-rather-long-name.example.org';
  engine.nodes = [
    { ...NODE, name, networks: ['one', 'two', 'three', 'four'].map((each) => ({ ...NODE.networks[0]!, name: each })) },
  ];
  assert.equal((await ran(['node', 'ls', '-q'], { engine })).stdout, `${name}\n`);
  const { stdout } = await ran(['node', 'ls'], { engine, columns: 80 });
  for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line);
  assert.match(stdout, /^a-host.*… .*ready/m);
});

test('node status tells what is wrong, and of a host that is in no cluster', async () => {
  const engine = new FixtureEngine();
  engine.status = { ...engine.status, state: 'away', reason: 'no member answers' };
  assert.equal((await ran(['node', 'status'], { engine })).stdout, `a: away: no member answers\netcd: ${ETCD}\n`);
  assert.deepEqual(JSON.parse((await ran(['--json', 'node', 'status'], { engine })).stdout), engine.status);
  engine.status = { node: '', etcd: [], state: 'none', reason: '', faults: [] };
  const none = await ran(['node', 'status'], { engine });
  assert.deepEqual([none.stdout, none.status], ['in no cluster\n', 0]);
  const drained = await ran(['node', 'drain'], { engine });
  assert.deepEqual([drained.status, drained.calls], [1, []]);
  assert.match(drained.stderr, /this host is in no cluster\n {2}netloom node join/);
});

test('node status has a line for each BGP neighbor, and for what does not work', async () => {
  const engine = new FixtureEngine();
  const router: BgpSession = {
    ...{
      address: '192.0.2.254',
      asn: 64_513,
      node: '',
      since: NODE.joined,
      received: 4,
      stale: 0,
      sent: 2,
      reason: '',
    },
    state: 'established',
  };
  const peer: BgpSession = {
    ...{ address: '192.0.2.2', asn: 64_512, node: 'b', since: NODE.joined, received: 2, stale: 2, sent: 0 },
    ...{ state: 'active', reason: 'gone' },
  };
  const faults = ['BGP neighbor 192.0.2.2 (AS 64512, node b): gone'];
  const bgp: BgpStatus = {
    asn: 64_512,
    routerId: '192.0.2.1',
    listening: [],
    announced: [],
    neighbors: [router, peer],
  };
  engine.status = { ...engine.status, faults, bgp };
  const { stdout } = await ran(['node', 'status'], { engine });
  const ago = stdout.match(/established, (.+?), /)?.[1];
  assert.equal(
    stdout,
    `a: connected\netcd: ${ETCD}\nbgp: AS 64512, router 192.0.2.1\n` +
      `  192.0.2.254 AS 64513: established, ${ago}, 4 received, 2 sent\n` +
      `  192.0.2.2 AS 64512 b: active, ${ago}, 2 received, 2 of them kept, 0 sent\n` +
      `fault: ${faults[0]}\n`,
  );
  const template = '{{.BGP.ASN}}{{range .BGP.Neighbors}} {{.Address}} {{.State}}{{end}}';
  assert.equal(
    (await ran(['node', 'status', '--format', template], { engine })).stdout,
    '64512 192.0.2.254 established 192.0.2.2 active\n',
  );
});

test('without a daemon nobody knows of a cluster', async () => {
  const engine = new FixtureEngine();
  engine.mode = 'in-process';
  engine.status = { node: '', etcd: [], state: 'none', reason: '', faults: [] };
  for (const verb of ['status', 'drain']) {
    const { stdout, stderr, status, calls } = await ran(['node', verb], { engine });
    assert.deepEqual([stdout, status, calls], ['', 1, []]);
    assert.match(stderr, /no daemon runs/);
  }
});

test('--json prints the records of the API, and all findings', async () => {
  const one = async (...words: string[]): Promise<unknown> =>
    JSON.parse((await ran(['--json', 'node', ...words])).stdout) as unknown;
  assert.deepEqual(await one('ls'), [NODE, DOWN]);
  assert.deepEqual(await one('inspect', 'b'), [DOWN]);
  assert.deepEqual(await one('rm', 'b'), [DOWN]);
  assert.deepEqual(await one('drain', 'a'), { ...NODE, state: 'draining' });
  const { node, findings } = (await one('join', '--etcd', ETCD)) as { node: unknown; findings: { severity: string }[] };
  assert.deepEqual(node, NODE);
  assert.deepEqual(
    findings.map(({ severity }) => severity),
    ['ok', 'warn'],
  );
});

test('what is removed is told, and then what is not there', async () => {
  const { stdout, stderr, status } = await ran(['node', 'rm', 'b', 'c']);
  assert.deepEqual([stdout, status], ['b\n', 1]);
  assert.match(stderr, /no node "c"/);
});

test('names of nodes are completed, and files of join', async () => {
  const complete = async (...words: string[]): Promise<string> => (await ran(['_complete', '--', ...words])).stdout;
  assert.equal(await complete('node', 'rm', ''), 'a\tready 192.0.2.1 2001:db8::1\nb\tdown 192.0.2.2\n');
  assert.equal(await complete('node', 'drain', 'b'), 'b\tdown 192.0.2.2\n');
  assert.equal(await complete('node', 'join', '--ca', ''), ':files\n');
});

const refused: [typed: string, message: RegExp][] = [
  ['node join', /which etcd\?[^]*--etcd URL/],
  ['node join --etcd ,', /which etcd\?/],
  [`node join --etcd ${ETCD} --cert a.pem`, /--cert is nothing without --key/],
  [`node join --etcd ${ETCD} --password-file p`, /--password-file is nothing without --user/],
  ['node rm', /NODE is missing/],
  ['node drain a b', /b/],
];
for (const [typed, message] of refused) {
  test(`netloom ${typed} is refused`, async () => {
    const { stderr, status, calls } = await ran(typed.split(' '));
    assert.equal(status, 2);
    assert.match(stderr, message);
    assert.deepEqual(calls, []);
  });
}

test('the commands of docs/nodes.md are command lines', () => {
  const page = readFileSync(new URL('../../docs/nodes.md', import.meta.url), 'utf8');
  const blocks = [...page.matchAll(/^```sh[a-z ]*\n([^]*?)^```$/gm)].map(([, text]) => text).join('');
  const lines = [...blocks.matchAll(/^netloom (.+)$/gm)].map(([, words]) => words!.split(' '));
  assert.ok(lines.length >= 8);
  for (const words of lines) {
    const { command } = translate(words, COMMANDS);
    assert.deepEqual(words.slice(0, command?.path.length), command?.path, words.join(' '));
  }
});
