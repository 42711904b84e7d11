// runs: here in one mode (hosts side by side, which take their time)
/** `netloom lab`: hosts that are there, that reach each other, that are cut off and healed, and that leave nothing. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { hasCode } from '../../src/errors.ts';
import { isAlive, Netns, readProcNet, startTime } from '../../src/kernel/index.ts';
import { labDown, type LabSpec, labStatus, Place } from '../../src/lab/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { type LabHost, makeLab, PROGRAM, type TestLab } from '../lib/lab.ts';
import { type Party, type Row, table } from '../lib/lan.ts';
import { jsonIn, okIn, run, type RunResult, start } from '../lib/run.ts';
import { namesIn } from '../lib/snapshot.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

const IDEAL = { addresses: [], mtu: 1500, rate: 0, delay: 0, loss: 0 };

/** Two hosts with daemons on one segment, two without on another, a router between, and an etcd. */
function twoSegments(plain: LabSpec): LabSpec {
  return {
    ...plain,
    segments: [
      { name: 'lan', prefixes: ['192.0.2.0/24', '2001:db8:1::/64'], mtu: 1500 },
      { name: 'far', prefixes: ['198.51.100.0/24', '2001:db8:2::/64'], mtu: 1400 },
    ],
    hosts: [
      ...plain.hosts.map((host) => ({ ...host, links: [{ ...IDEAL, segment: 'lan' }] })),
      { name: 'slow', links: [{ ...IDEAL, segment: 'far', mtu: 1400, rate: 8e6 }], daemon: undefined },
      { name: 'lossy', links: [{ ...IDEAL, segment: 'far', mtu: 1400, loss: 0.3 }], daemon: undefined },
    ],
    etcd: { members: 1, segment: 'lan' },
  };
}

/** Everybody that a test knows of; gone when the last test is done. */
let lab: TestLab;
/** By it processes of this very test are known. */
const NUMBER = `10${process.pid}`;
const mounts = (): string => readFileSync('/proc/self/mountinfo', 'utf8');
let links = '';
before(async () => {
  using own = Netns.current();
  links = await okIn(own, ['ip', '-br', 'link']);
  lab = await makeLab({ hosts: 2, spec: twoSegments, join: false });
});

after(() => lab[Symbol.asyncDispose]());

const answers = async (from: LabHost, to: string): Promise<boolean> =>
  (await from.exec(['ping', '-c1', '-W5', to])).status === 0;
/** Who reaches whom, in both families: `host1 host2`, or not where `!` stands before it. */
async function reach(...pairs: readonly string[]): Promise<void> {
  const party = (name: string): Party => {
    const { netns, address4, address6 } = lab.host(name);
    return { netns, addresses: [address4, address6] };
  };
  await table(
    pairs.map((pair): Row => {
      const [from = '', to = ''] = pair.replace('!', '').split(' ');
      return [pair, party(from), party(to), !pair.startsWith('!')];
    }),
  );
}

test('hosts reach each other, directly and by the router, by address and by name', async () => {
  const [a, b, slow] = [lab.host('host1'), lab.host('host2'), lab.host('slow')];
  await reach('host1 host2', 'host1 slow', 'slow host2');
  assert.equal(await answers(a, 'slow'), true);
  assert.equal(await a.ok(['hostname']), 'host1\n');
  assert.match(await a.ok(['ip', 'route', 'get', b.address4]), new RegExp(`^${b.address4} dev eth0`));
  assert.match(await a.ok(['ip', 'route', 'get', slow.address4]), /via 192\.0\.2\.1 dev eth0/);
});

test('each has a daemon, files and workloads of its own', async () => {
  const [a, b] = [lab.host('host1'), lab.host('host2')];
  assert.equal((await a.client.version()).mode, 'daemon');
  assert.match((await a.cli('version')).stdout, /the daemon/);
  const { path, netns } = await a.workload('w1');
  await a.client.networkCreate({ name: 'web', subnets: [{ subnet: '10.9.0.0/24' }] });
  const { value } = await a.client.endpointAttach({ netns: path, network: 'web' });
  assert.equal(value.netns, path);
  const [link] = await jsonIn<{ addr_info: { local: string }[] }[]>(netns, ['ip', '-j', '-4', 'addr', 'show', 'eth0']);
  assert.equal(link?.addr_info[0]?.local, value.addresses[0]!.replace(/\/.*/, ''));
  const { status, stderr } = await a.cli('run', '-d', '--name', 'c1', 'sleep', `${NUMBER}1`);
  assert.equal(status, 0, stderr);
  assert.deepEqual((await b.client.networkList()).map(({ name }) => name).sort(), ['host', 'none']);
  assert.equal((await b.exec(['test', '-e', path])).status, 1);
  await a.ok(['sh', '-c', 'echo mine >/etc/lab-test && echo mine >/var/lib/lab-test']);
  for (const file of ['/etc/lab-test', '/var/lib/lab-test']) {
    assert.equal((await b.exec(['test', '-e', file])).status, 1);
    assert.equal(existsSync(file), false);
  }
  assert.equal((await a.exec(['sh', '-c', 'exit 7'])).status, 7);
});

test('etcd is reached from every host, and not by who is cut off from it', async () => {
  const a = lab.host('host1');
  await lab.etcdctl('put', 'x', 'of etcd');
  assert.match(await a.ok(['etcdctl', 'get', 'x']), /of etcd/);
  await lab.cut('host1');
  assert.notEqual((await a.exec(['etcdctl', '--command-timeout=1s', '--dial-timeout=1s', 'get', 'x'])).status, 0);
  await lab.heal();
  assert.match(await a.ok(['etcdctl', 'get', 'x']), /of etcd/);
});

/** Datagrams that have come to the host for a port that nobody listens on. */
function heard(host: LabHost): number {
  const [names = '', values = ''] = readProcNet(host.netns, 'snmp')
    .split('\n')
    .filter((line) => line.startsWith('Udp:'));
  return Number(values.split(' ')[names.split(' ').indexOf('NoPorts')]);
}
/** Frames that the wire has dropped. */
async function dropped(): Promise<number> {
  using wire = Netns.open(lab.place.netns('wire'));
  const text = await okIn(wire, ['nft', 'list', 'table', 'bridge', 'lab']);
  return [...text.matchAll(/counter packets (\d+)/g)].reduce((sum, [, packets]) => sum + Number(packets), 0);
}
test('a cut is exactly what was asked for, and heals', async () => {
  const cuts = async (): Promise<Record<string, string>> =>
    Object.fromEntries((await lab.status()).machines.map(({ name, cut }) => [name, cut]));
  await lab.cut('host1', 'host2');
  await reach('!host1 host2', '!host2 host1', 'host1 slow', 'host2 slow');
  await lab.heal();
  // across the router
  await lab.cut('host1', 'slow');
  await reach('!host1 slow', '!slow host1', 'host2 slow', 'host1 host2');
  await lab.cut('host2');
  await reach('!host1 host2', '!host2 slow', '!host1 slow', '!etcd1 host2', 'host1 etcd1');
  const { host1, host2, etcd1, slow } = await cuts();
  assert.deepEqual([host1, host2, etcd1, slow], ['host2, slow', 'everybody', 'host2', 'host1, host2']);
  await lab.heal('host2', 'host1');
  await reach('host1 host2', '!host2 slow', '!host1 slow');
  await lab.heal();
  await lab.partition(['host1', 'slow'], ['host2']);
  await reach('host1 slow', '!host1 host2', '!slow host2', 'host2 etcd1', 'host1 etcd1');
  await lab.heal();
  await reach('host1 host2', 'slow host2');
  assert.deepEqual(new Set(Object.values(await cuts())), new Set(['']));
});

test('a cut of one way: what the other says still arrives', async () => {
  const [a, b] = [lab.host('host1'), lab.host('host2')];
  await reach('host1 host2'); // both have learned where the other is
  await lab.cut('host1', 'host2', { oneWay: true });
  const [atA, atB] = [heard(a), heard(b)];
  await bash(b, a, 1);
  await until('what host2 says', () => heard(a) === atA + 1);
  const lost = await dropped();
  await bash(a, b, 1);
  await until('what host1 says, dropped', async () => (await dropped()) > lost);
  assert.equal(heard(b), atB);
  assert.deepEqual((await lab.status()).cuts, [{ from: 'host1', to: 'host2' }]);
  await lab.heal('host1', 'host2');
  await bash(a, b, 1);
  await until('what host1 says', () => heard(b) === atB + 1);
});

const bash = async (from: LabHost, to: LabHost, count: number): Promise<void> =>
  void (await from.ok(['bash', '-c', `for ((i = 0; i < ${count}; i++)); do echo x >/dev/udp/${to.address4}/9; done`]));

test('a cable loses about as much as it should, and what it loses is counted', async () => {
  const [slow, lossy] = [lab.host('slow'), lab.host('lossy')];
  const mac = (name: string): string => lab.plan.machines.find((machine) => machine.name === name)!.links[0]!.mac;
  await slow.ok(['ip', 'neigh', 'replace', lossy.address4, 'lladdr', mac('lossy'), 'dev', 'eth0']);
  await lossy.ok(['sysctl', '-qw', 'net.ipv4.icmp_ratelimit=0']);
  const [at, lost] = [heard(lossy), await dropped()];
  await bash(slow, lossy, 300);
  // 300 datagrams, of which 210 are to arrive: eight standard deviations are 64; ICMP answers are lost as well
  await until('what is not lost', () => heard(lossy) - at >= 146);
  await until('everything', async () => heard(lossy) - at + ((await dropped()) - lost) >= 300);
  const arrived = heard(lossy) - at;
  assert.ok(arrived >= 146 && arrived <= 274, `${arrived} of 300 arrived`);
});

test('a rate holds at both ends of the cable', async () => {
  const slow = lab.host('slow');
  using wire = Netns.open(lab.place.netns('wire'));
  type Queue = { kind: string; dev?: string; overlimits: number; options: { rate?: number } };
  const queues = async (netns: Netns, dev: string): Promise<Queue[]> =>
    (await jsonIn<Queue[]>(netns, ['tc', '-s', '-j', 'qdisc', 'show', 'dev', dev])).filter(
      ({ kind }) => kind === 'tbf',
    );
  const [inside] = await queues(slow.netns, 'eth0');
  const [outside] = await queues(wire, 'slow.0');
  assert.equal(inside?.options.rate, outside?.options.rate);
  // bytes a second of 8 Mbit/s, with the headers of full datagrams on top
  assert.ok(inside!.options.rate! >= 1e6 && inside!.options.rate! < 1.05e6, String(inside?.options.rate));
  await slow.ok([
    'sh',
    '-c',
    `head -c 500000 /dev/zero | socat -u -b1000 - UDP-SENDTO:${lab.host('host1').address4}:9`,
  ]);
  await until('packets that had to wait', async () => (await queues(slow.netns, 'eth0'))[0]!.overlimits > 0);
});

test('a daemon that was killed is shown as dead, and up starts it; a host that is gone is made again', async () => {
  const a = lab.host('host1');
  const pid = a.pid();
  const states = async (): Promise<Record<string, string>> =>
    Object.fromEntries((await lab.status()).machines.map(({ name, state }) => [name, state]));
  await a.signal('SIGKILL');
  assert.equal((await states())['host1'], 'dead');
  await reach('host2 host1'); // its kernel goes on
  await lab.cut('host1', 'slow');
  await lab.up();
  assert.equal((await states())['host1'], 'up');
  assert.notEqual(a.pid(), pid);
  assert.deepEqual((await a.client.endpointList()).length, 2, 'what it had is still known');
  await reach('!host1 slow'); // what was cut stays cut
  await lab.heal();

  // etcd, the wire, and all that holds a host
  await lab.host('etcd1').signal('SIGKILL');
  const init = readFileSync(lab.place.of('slow', 'init/pid'), 'utf8').split(' ')[0]!;
  process.kill(Number(init), 'SIGKILL');
  await until('the host to be gone', async () => (await states())['slow'] === 'down');
  await assert.rejects(lab.host('slow').exec(['true']), { code: 'ELABDOWN' });
  using wire = Netns.open(lab.place.netns('wire'));
  await okIn(wire, ['ip', 'link', 'delete', 'host2.0']);
  await okIn(wire, ['nft', 'flush', 'ruleset']);
  await lab.up();
  assert.deepEqual(new Set(Object.values(await states())), new Set(['up']));
  await reach('host2 slow');
  assert.match(await lab.etcdctl('get', 'x'), /of etcd/);
});

test('down leaves nothing: no process, no namespace, no mount, no file', async () => {
  const a = lab.host('host1');
  // what was started there by anybody, and has left everything behind
  const [left, away] = [`setsid sleep ${NUMBER}2`, `setsid unshare -n sleep ${NUMBER}3`];
  await a.ok(['sh', '-c', `${left} >/dev/null 2>&1 & ${away} >/dev/null 2>&1 &`]);
  const processes = await until('the processes', async () => {
    const all = (await run(['ps', '-eo', 'pid=,args='])).stdout.split('\n').map((line) => line.trim().split(' '));
    const ours = all.filter((words) => words.join(' ').includes(lab.place.dir) || words.at(-1)!.startsWith(NUMBER));
    const there = [1, 2, 3].every((n) => ours.some(([, , last]) => last === `${NUMBER}${n}`));
    return there && ours.map(([pid]) => Number(pid));
  });
  const services = (await lab.status()).machines.flatMap(({ pid }) => (pid === 0 ? [] : [pid]));
  const since = new Map([...processes, ...services].map((pid) => [pid, startTime(pid)!]));
  const { place } = lab;
  await lab[Symbol.asyncDispose]();
  for (const [pid, time] of since) assert.equal(isAlive(pid, time), false, String(pid));
  assert.equal(existsSync(place.dir), false);
  assert.deepEqual(
    namesIn('/run/netns').filter((name) => name.startsWith(place.name)),
    [],
  );
  assert.doesNotMatch(mounts(), new RegExp(place.name));
  using own = Netns.current();
  assert.equal(await okIn(own, ['ip', '-br', 'link']), links, "the machine's own network has nothing of it");
  await assert.rejects(labStatus(place), { code: 'ENOLAB' });
});

// ---- the command ----

const dir = mkdtempSync(join(tmpdir(), 'lab-cli-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const [node, ...nodeFlags] = PROGRAM.node;
const argv = (...words: readonly string[]): [string, ...string[]] => [node!, ...nodeFlags, PROGRAM.main, ...words];
const netloom = (...words: readonly string[]): Promise<RunResult> => run(argv(...words), { cwd: dir });

test('the command: up, status, exec, cut, heal, logs, down', async () => {
  writeFileSync(join(dir, 'lab.yaml'), 'name: cli\nhosts: { a: { daemon: false }, b: { daemon: false } }\netcd: 1\n');
  const up = await netloom('lab', 'up');
  assert.equal(up.status, 0, up.stderr);
  assert.match(up.stdout, /^NAME +STATE +SEGMENT +ADDRESSES\na +up +lan +198\.18\.0\.11\/24 fd6e:6c61:62::b\/64\n/);
  const [ping, exit, bad, cut, status, heal, logs, ls] = [
    await netloom('lab', 'exec', 'a', '--', 'ping', '-c1', '-W2', 'b'),
    await netloom('lab', 'exec', '-n', 'cli', 'a', 'sh', '-c', 'exit 9'),
    await netloom('lab', 'exec', 'c', 'true'),
    await netloom('lab', 'cut', 'a', '--one-way', 'b'),
    await netloom('lab', 'status', '--json'),
    await netloom('lab', 'heal', '--json'),
    await netloom('lab', 'logs', '--tail', '1', 'etcd1'),
    await netloom('lab', 'ls'),
  ];
  assert.equal(ping.status, 0, ping.stderr);
  assert.equal(exit.status, 9);
  assert.deepEqual([bad.status, bad.stderr], [125, 'netloom: the lab cli has no machine c\n  It has a, b, etcd1.\n']);
  assert.equal(cut.stdout, 'a -> b\n');
  const shown = JSON.parse(status.stdout) as { machines: { name: string; cut: string }[] };
  assert.deepEqual(
    shown.machines.map(({ cut }) => cut),
    ['to b', 'from a', ''],
  );
  assert.equal(heal.stdout, '[]\n');
  assert.equal(logs.stdout.split('\n').length, 2);
  assert.match(ls.stdout, /^cli +3\/3 +2 +1 +0 +\/run\/netloom-lab\/cli$/m);

  // another file: what it has no longer goes, what is new comes, what stays is not touched
  const pid = readFileSync('/run/netloom-lab/cli/a/init/pid', 'utf8');
  writeFileSync(
    join(dir, 'lab.yaml'),
    'name: cli\nhosts: { a: { daemon: false }, d: { daemon: false, rate: 1mbit } }\n',
  );
  const again = await netloom('lab', 'up');
  assert.equal(again.status, 0, again.stderr);
  assert.match(again.stdout, /^NAME +STATE +SEGMENT +ADDRESSES +CABLE\na .*\nd .*198\.18\.0\.12.* 1mbit\n$/);
  assert.equal(readFileSync('/run/netloom-lab/cli/a/init/pid', 'utf8'), pid);
  assert.deepEqual(
    namesIn('/run/netns').filter((name) => name.startsWith('cli-')),
    ['cli-a', 'cli-d', 'cli-wire'],
  );
  const down = await netloom('lab', 'down');
  assert.deepEqual([down.status, down.stdout], [0, 'cli\n']);
  assert.deepEqual((await netloom('lab', 'down')).stderr.split('\n')[0], 'netloom: there is no lab cli');
});

test('a bad file, a bad folder, a daemon that does not start: a clear line each', async () => {
  writeFileSync(join(dir, 'bad.yaml'), 'hosts:\n  a: { sgment: x }\n');
  const file = await netloom('lab', 'up', '-f', 'bad.yaml');
  assert.equal(file.status, 1);
  assert.equal(file.stderr, 'netloom: bad.yaml:2:8: hosts.a.sgment: unknown key; did you mean segment?\n');
  const folder = await netloom('lab', 'up', '--hosts', '1', '--dir', dir);
  assert.equal(folder.stderr, `netloom: ${dir} is not empty, and no lab\n  Give another --dir.\n`);
  writeFileSync(join(dir, 'slow.yaml'), 'name: slow\nhosts: { a: { daemon: false, delay: 10ms } }\n');
  const without = 'mount --bind /dev/null /dev/net/tun && exec "$@"';
  const slow = await run(['unshare', '-m', 'sh', '-c', without, 'sh', ...argv('lab', 'up', '-f', 'slow.yaml')], {
    cwd: dir,
  });
  assert.equal(slow.status, 1);
  assert.match(
    slow.stderr,
    /: cables cannot be given a delay: the running kernel has no netem, and TAP device a\+0: .*\n/,
  );
  writeFileSync(join(dir, 'port.yaml'), 'name: slow\nhosts: { a: { daemon: { metrics-listen: nowhere } } }\n');
  const port = await netloom('lab', 'up', '-f', 'port.yaml');
  assert.equal(port.status, 1);
  assert.match(port.stderr, /netloom: the daemon of a has ended: "?nowhere/);
  assert.equal((await netloom('lab', 'down', '-n', 'slow')).status, 0);
});

test('killed at any step, up leaves nothing that down does not remove', async () => {
  writeFileSync(join(dir, 'lab.yaml'), 'name: kill\nhosts: { a: { daemon: false }, b: { daemon: false } }\netcd: 1\n');
  const place = new Place('kill');
  const steps: readonly (readonly [what: string, reached: () => boolean])[] = [
    ['the record', () => place.read() !== undefined],
    ['the wire', () => existsSync(place.netns('wire'))],
    ['a namespace', () => existsSync(place.netns('b'))],
    ['a host', () => existsSync(place.of('a', 'init/pid'))],
    ['the service', () => existsSync(place.of('etcd1', 'service/log'))],
  ];
  for (const [what, reached] of steps) {
    await using up = start(argv('lab', 'up'), { cwd: dir });
    await until(what, reached, { every: 1 });
    up.child.kill('SIGKILL');
    await until('the end of up', () => up.child.signalCode !== null || up.child.exitCode !== null);
    await labDown(place);
    assert.equal(existsSync(place.dir), false, what);
    assert.deepEqual(
      namesIn('/run/netns').filter((name) => name.startsWith('kill-')),
      [],
      what,
    );
    const left = (await run(['ps', '-eo', 'args='])).stdout.split('\n').filter((line) => line.includes(place.dir));
    assert.deepEqual(left, [], what);
  }
  // and down killed half way is done by the next
  assert.equal((await netloom('lab', 'up')).status, 0);
  {
    await using down = start(argv('lab', 'down'), { cwd: dir });
    await until('the first to go', () => !existsSync(place.netns('a')) || !place.read(), { every: 1 });
    down.child.kill('SIGKILL');
  }
  if (place.read()) await labDown(place);
  await assert.rejects(place.lock(), (error) => hasCode(error, 'ENOLAB'));
});
