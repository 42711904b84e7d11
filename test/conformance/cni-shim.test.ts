/** The shim and the daemon's call socket: a static program in the runtime's place, real daemons, real deaths. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeShim } from '../../src/cli/shim-file.ts';
import { askRaw, dial, questionBytes } from '../lib/call-client.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ping } from '../lib/peer.ts';
import { asked, CONF, makeShimBed, type PluginAnswer, type PluginCall, type ShimBed } from '../lib/shim.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

interface Printed {
  readonly interfaces: { name: string; sandbox?: string }[];
  readonly ips: { address: string }[];
}
function printed({ json }: PluginAnswer): Printed {
  return json as unknown as Printed;
}
async function names(site: ShimBed): Promise<(string | undefined)[]> {
  return (await site.bed.engine.endpointList()).map(({ name }) => name);
}
function pins(site: ShimBed): string[] {
  const dir = join(site.bed.paths.runDir, 'callers');
  return existsSync(dir) ? readdirSync(dir) : [];
}

test('the answers through the daemon are those of the program, and the program answers where no daemon is', async () => {
  await using site = await makeShimBed();
  const { path } = await site.bed.workload('a');
  const ports = { runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] } };
  const pod: PluginCall = { id: 'pod', netns: path, conf: ports };
  const calls: readonly (readonly [verb: string, call: PluginCall])[] = [
    ['VERSION', {}],
    ['STATUS', {}],
    ['ADD', pod],
    ['CHECK', pod],
    ['ADD', pod],
    ['DEL', { id: 'pod' }],
    ['DEL', { id: 'pod' }],
    ['GC', { conf: { 'cni.dev/valid-attachments': [] } }],
    ['ADD', { ...pod, netns: '/nonexistent' }],
    ['ADD', { ...pod, id: '../x' }],
    ['ADD', { ...pod, conf: '{' }],
    ['ADD', { ...pod, conf: JSON.stringify({ ...CONF, name: 'x'.repeat(10_000_000) }) }],
    ['ADD', { ...pod, env: { CNI_IFNAME: 'ä ö' } }],
    ['NONSENSE', {}],
  ];
  const all = async (): Promise<unknown[]> => {
    const answers: unknown[] = [];
    let prevResult: unknown;
    for (const [verb, call] of calls) {
      const conf = verb === 'CHECK' ? { ...(call.conf as object), prevResult } : call.conf;
      const { status, json, stderr } = await site.call(verb, { ...call, ...(conf !== undefined && { conf }) });
      if (verb === 'ADD' && status === 0) prevResult = json;
      // drawn at random, and the addresses go round; names are answered by a daemon alone
      const text = JSON.stringify(json)
        .replace(/"ve\w+"/, '"ve"')
        .replace(/"dns":\{[^}]*\}/, '"dns":{}');
      answers.push([verb, status, stderr, text.replace(/10\.1\.0\.\d+|02:42:0a[\w:]+|fd[\w:]+/g, 'its')]);
    }
    return answers;
  };
  const alone = await all();
  assert.deepEqual(
    alone.map((answer) => (answer as [string, number])[1]),
    [0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1],
  );
  const daemon = await site.start();
  assert.deepEqual(await all(), alone);
  await site.end('SIGTERM');
  assert.equal(daemon.output().match(/"level":[56]0/), null, daemon.output());
  assert.ok(!existsSync(site.callSocket));
});

test('it finds the socket by what the installer wrote into it, and says so where the program is missing', async () => {
  await using site = await makeShimBed();
  const elsewhere = { NETLOOM_RUN_DIR: '', NETLOOM_STATE_DIR: '', NETLOOM_PROGRAM: '/nonexistent/netloom' };
  const none = await site.call('STATUS', { env: elsewhere, conf: { cniVersion: '1.0.0' } });
  assert.deepEqual([none.status, none.json['code'], none.json['cniVersion']], [1, 50, '1.0.0']);
  await site.start();
  assert.deepEqual(await site.call('STATUS', { env: elsewhere }), { status: 0, json: {}, stderr: '' });

  // installed again over itself, and under a name that is no path
  const before = readFileSync(site.shim);
  writeShim(site.shim, { program: '/usr/bin/netloom', socket: '/run/netloom/call.sock' });
  assert.equal(statSync(site.shim).mode & 0o7777, 0o755);
  assert.equal(readFileSync(site.shim).length, before.length);
  assert.throws(() => writeShim(site.shim, { program: 'netloom', socket: '/x' }), { code: 'EBADOPTION' });
  assert.throws(() => writeShim(site.shim, { program: '/x', socket: `/${'x'.repeat(120)}` }), { code: 'EBADOPTION' });
  // the program being the shim itself by mistake is told, not tried for ever
  const circle = await site.call('STATUS', { env: { NETLOOM_RUN_DIR: '/nonexistent', NETLOOM_PROGRAM: site.shim } });
  assert.deepEqual([circle.status, circle.json['code']], [1, 50]);
});

test('a namespace that the daemon cannot see has a path as long as endpoints have it', async () => {
  await using site = await makeShimBed();
  await site.start();
  const [a, b] = [await site.bed.workload('a'), await site.bed.workload('b')];
  // a mount namespace of the caller's own, in which the path is there; for the daemon there is nothing, or something else
  const hidden = join(site.bed.dirs.root, 'hidden');
  writeFileSync(hidden, '');
  const inside = (fd: number): string[] => [
    ...['unshare', '-m', '--propagation', 'private', 'sh', '-c'],
    `mount --bind /proc/${process.pid}/fd/${fd} ${hidden} && exec "$0"`,
  ];
  const before = inside(a.netns.fd);
  const added = await site.call('ADD', { id: 'one', netns: hidden, before });
  assert.equal(added.status, 0, JSON.stringify(added.json));
  assert.deepEqual(
    printed(added).interfaces.map(({ sandbox }) => sandbox),
    [undefined, hidden],
  );
  const other = await site.call('ADD', { id: 'two', netns: b.path });
  for (const { address } of printed(other).ips) assert.ok(await ping(a.netns, address.replace(/\/.*/, '')), address);
  // another interface in the same namespace: one path, so that they know of each other
  const conf = { name: 'other', subnets: [{ subnet: '10.2.0.0/16' }], ipv6: false };
  const second = { id: 'one', netns: hidden, before, conf, env: { CNI_IFNAME: 'eth1' } };
  const more = await site.call('ADD', second);
  assert.equal(more.status, 0, JSON.stringify(more.json));
  assert.deepEqual(pins(site), [a.netns.id.replace(':', '-')]);
  const taken = await site.call('ADD', { ...second, id: 'three' });
  assert.deepEqual([taken.status, taken.json['code']], [1, 102], 'eth1 is taken in there');

  // of what a daemon that died left, the next one keeps what is used
  await site.end('SIGKILL');
  await site.start();
  assert.equal((await site.call('DEL', { ...second, before: [] })).status, 0);
  assert.equal(pins(site).length, 1);
  assert.equal((await site.call('DEL', { id: 'one', netns: hidden, before })).status, 0);
  await until('the path is gone', () => pins(site).length === 0);
  assert.equal((await site.call('DEL', { id: 'two' })).status, 0);

  // nothing that leads to a namespace for the daemon alone is taken for the caller's
  const nowhere = ['unshare', '-m', 'sh', '-c', `mount -t tmpfs none ${site.bed.paths.netnsDir} && exec "$0"`];
  const refused = await site.call('ADD', { id: 'four', netns: b.path, before: nowhere });
  assert.deepEqual([refused.status, refused.json['code']], [1, 3], JSON.stringify(refused.json));
  assert.deepEqual(await names(site), []);
});

test('the daemon killed in the middle of a call: the next one answers it, once', async () => {
  await using site = await makeShimBed();
  const { path } = await site.bed.workload('a');
  const pod: PluginCall = { id: 'pod', netns: path };
  const daemon = await site.start();
  daemon.child.kill('SIGSTOP');
  const calling = site.calling('ADD', pod);
  await asked(calling, site.shim);
  await site.end('SIGKILL');
  await site.start();
  const answer = await calling.answer;
  assert.equal(answer.status, 0, JSON.stringify(answer.json));
  assert.deepEqual(await names(site), ['cni:dbnet:pod:eth0']);
  assert.equal((await site.call('DEL', pod)).status, 0);

  // killed after the answer, of which nobody heard
  const env = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'pod', CNI_NETNS: path, CNI_IFNAME: 'eth0' };
  const request = 'feedbeef'.repeat(4);
  const socket = await dial(site.callSocket);
  const lost = await askRaw(socket, questionBytes({ request, env, stdin: JSON.stringify(CONF) }));
  assert.equal(lost?.status, 0, lost?.stdout);
  await site.end('SIGKILL');
  socket.destroy();
  await site.start();
  const again = await site.call('ADD', { ...pod, env: { NETLOOM_REQUEST: request } });
  assert.deepEqual(again.json, JSON.parse(lost.stdout));
  // which another request is not
  const twice = await site.call('ADD', pod);
  assert.deepEqual([twice.status, twice.json['code']], [1, 102]);
  assert.deepEqual(await names(site), ['cni:dbnet:pod:eth0']);
  assert.equal((await site.bed.engine.endpointList())[0]?.request, request);
});

test('a daemon that does not come back: the program does it, by the same token', async () => {
  await using site = await makeShimBed();
  const { path } = await site.bed.workload('a');
  const daemon = await site.start();
  daemon.child.kill('SIGSTOP');
  const calling = site.calling('ADD', { id: 'pod', netns: path });
  await asked(calling, site.shim);
  await site.end('SIGKILL');
  const answer = await calling.answer;
  assert.equal(answer.status, 0, JSON.stringify(answer.json));
  const [endpoint] = await site.bed.engine.endpointList();
  assert.match(endpoint?.request ?? '', /^[0-9a-f]{32}$/);
  assert.equal(endpoint?.phase, 'ready');
});

test('a caller that is gone before it has printed the answer: what was made is taken back', async () => {
  await using site = await makeShimBed();
  const { path } = await site.bed.workload('a');
  const pod: PluginCall = { id: 'pod', netns: path };
  const daemon = await site.start();
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    daemon.child.kill('SIGSTOP');
    const calling = site.calling('ADD', pod);
    await asked(calling, site.shim);
    calling.child.kill(signal);
    assert.deepEqual(await calling.answer, { status: signal === 'SIGTERM' ? 143 : 137, json: {}, stderr: '' });
    daemon.child.kill('SIGCONT');
    const told = signal === 'SIGKILL' ? 1 : 2;
    await until('it is taken back', () => daemon.output().split('is taken back').length > told);
    await until('and gone', async () => (await names(site)).length === 0);
    assert.equal((await site.call('ADD', pod)).status, 0);
    assert.equal((await site.call('DEL', pod)).status, 0);
  }
});

test('the deadline: the runtime is told to try again, and nothing stays', async () => {
  await using site = await makeShimBed();
  const { path } = await site.bed.workload('a');
  const daemon = await site.start();
  daemon.child.kill('SIGSTOP');
  const conf = { cniVersion: '0.4.0' };
  const late = await site.call('ADD', { id: 'pod', netns: path, conf, env: { NETLOOM_CALL_SECONDS: '1' } });
  assert.deepEqual([late.status, late.json['code'], late.json['cniVersion']], [1, 11, '0.4.0']);
  daemon.child.kill('SIGCONT');
  await until('it is taken back', () => daemon.output().includes('is taken back'));
  await until('and gone', async () => (await names(site)).length === 0);
});

test('garbage, torn calls and callers that never finish: told or dropped, and the others are answered', async () => {
  await using site = await makeShimBed();
  const daemon = await site.start();
  const good = questionBytes({ env: { CNI_COMMAND: 'VERSION' }, stdin: '{"cniVersion":"1.1.0"}' });
  const damaged = (at: number, value: number): Buffer => {
    const bytes = Buffer.from(good);
    bytes.writeUInt32LE(value, at);
    return bytes;
  };
  const wrong = [
    Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n'),
    damaged(0, 0),
    ...[4, 8].flatMap((at) => [damaged(at, 0xffff_ffff), damaged(at, 7)]),
    ...[12, 16].map((at) => damaged(at, 0xffff_ffff)),
    questionBytes({ request: 'no token' }),
    questionBytes({ env: { '': 'x' } }),
    questionBytes({ program: 'sh', argv: ['-c', 'true'] }),
  ];
  for (const bytes of wrong) {
    const socket = await dial(site.callSocket);
    const answer = await askRaw(socket, bytes);
    socket.destroy();
    assert.equal(answer?.status, 1, bytes.toString('latin1'));
    const { code, error } = JSON.parse(answer.stdout) as { code: number; error: string };
    assert.ok([4, 199].includes(code), answer.stdout);
    assert.notEqual(error, '');
  }
  // more of them than are kept, each with a part of a call: the oldest go
  const slow = await Promise.all(Array.from({ length: 300 }, () => dial(site.callSocket)));
  let dropped = 0;
  for (const [i, socket] of slow.entries()) {
    socket.on('error', () => undefined).on('close', () => dropped++);
    socket.write(good.subarray(0, i % good.length));
  }
  const ask = async (): Promise<number | undefined> => {
    const socket = await dial(site.callSocket);
    const answer = await askRaw(socket, good);
    socket.destroy();
    return answer?.status;
  };
  assert.deepEqual(
    await Promise.all(Array.from({ length: 50 }, ask)),
    Array.from({ length: 50 }, () => 0),
  );
  await until('some were dropped', () => dropped >= 44);
  // said byte by byte
  const patient = await dial(site.callSocket);
  const answered = askRaw(patient, good.subarray(0, 1));
  for (const byte of good.subarray(1)) {
    await new Promise((resolve) => patient.write(Buffer.of(byte), resolve));
  }
  assert.equal((await answered)?.status, 0);
  for (const socket of [...slow, patient]) socket.destroy();
  await until('all are gone', () => dropped === 300);
  assert.equal(daemon.output().match(/"level":[56]0/), null, daemon.output());
});

test('the program is static: it runs where there is no library', () => {
  const built = new URL('../../native/build/netloom-call', import.meta.url).pathname;
  const { stdout } = spawnSync('readelf', ['-l', built], { encoding: 'utf8' });
  assert.match(stdout, /LOAD/);
  assert.doesNotMatch(stdout, /INTERP/);
});
