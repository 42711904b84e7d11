import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isAlive, Netns, readShimPid, signalPid, startTime } from '../../src/kernel/index.ts';
import { parsePublish } from '../../src/model/index.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { tcpConnect, tcpServer } from '../lib/peer.ts';
import { okIn } from '../lib/run.ts';
import { until, within } from '../lib/wait.ts';
import { execIn, logOf, makeContainerBed, namespaceOf, runPlan, traces } from './containers-bed.ts';

checkDescriptors();

/** A promise to be refused with one clear line that says `message` and has `code`. */
async function refused(promise: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  await assert.rejects(promise, (error: Error & { code: string }) => {
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    assert.ok(!error.message.includes('\n'), 'one line');
    return true;
  });
}

test('a container lives: created, running, exited, removed, and leaves nothing', async () => {
  await using bed = await makeContainerBed();
  const { telling: engine } = bed;
  await engine.networkCreate({ name: 'web' });
  const before = await traces(bed);
  const { value: made } = await engine.containerCreate({
    name: 'box',
    command: [
      'sh',
      '-c',
      'echo begun; echo "$0 $HOSTNAME $GREETING" >&2; pwd; cat; ls /proc/self/fd | wc -l; exec sleep 300',
      'zero',
    ],
    env: { GREETING: 'hello' },
    workingDir: '/proc',
    networks: [{ network: 'web' }],
  });
  assert.equal(made.state.status, 'created');
  assert.equal(made.hostname, made.id.slice(0, 12));
  const { value: running } = await engine.containerStart('box');
  assert.equal(running.state.status, 'running');
  assert.ok(isAlive(running.state.pid));
  assert.ok(Date.parse(running.state.startedAt) > Date.now() - 60_000);
  assert.deepEqual(
    (await engine.containerList()).map((c) => c.name),
    ['box'],
  );
  // standard input is empty; of our descriptors none is inherited: ls has its own fourth
  const expected = `begun\nzero ${made.hostname} hello\n/proc\n4\n`;
  await until('the log', async () => (await logOf(engine, 'box')).split('\n').length > 4);
  assert.equal(await logOf(engine, 'box'), expected);
  assert.equal((await execIn(engine, 'box', ['hostname'])).trim(), made.hostname);
  assert.match(
    await execIn(engine, 'box', ['ip', '-o', 'addr', 'show', 'eth0']),
    new RegExp(made.endpoints[0]!.addresses[0]!),
  );

  const waiting = engine.containerWait('box');
  await engine.containerKill(made.id.slice(0, 12), 'term');
  assert.equal(await within('the end', waiting), 128 + 15);
  // the shim's exit command takes the network away
  await until('endpoints gone', async () => (await engine.containerInspect('box')).endpoints.length === 0);
  const exited = await engine.containerInspect('box');
  assert.equal(exited.state.status, 'exited');
  assert.equal(exited.state.exitCode, 143);
  assert.ok(Date.parse(exited.state.finishedAt) >= Date.parse(exited.state.startedAt));
  assert.ok(!existsSync(join(bed.paths.netnsDir, 'box')));
  assert.deepEqual(await engine.containerList(), []);
  assert.equal((await engine.containerList({ all: true })).length, 1);
  assert.equal(await logOf(engine, 'box'), expected, 'the log stays as long as the container');
  await engine.containerRemove('box');
  assert.deepEqual(await traces(bed), before);
});

test('exit statuses, in the background and in the foreground, with standard input', async () => {
  await using bed = await makeContainerBed();
  const { engine } = bed;
  for (const [script, status] of [
    ['exit 0', 0],
    ['exit 7', 7],
    ['kill -KILL $$', 137],
  ] as const) {
    const { value } = await engine.containerCreate({ command: ['sh', '-c', script], networkMode: 'none' });
    await engine.containerStart(value.id);
    assert.equal(await within(script, engine.containerWait(value.id)), status);
    assert.equal((await engine.containerInspect(value.id)).state.exitCode, status);
    assert.equal((await engine.containerInspect(value.id)).state.status, 'exited');
    await engine.containerRemove(value.id);
  }
  const { value } = await engine.containerCreate({ command: ['sh', '-c', 'tr a-z A-Z; exit 3'], networkMode: 'none' });
  const plan = await engine.containerSpawnPlan(value.id, { foreground: true });
  assert.deepEqual(await runPlan(plan, 'quiet'), { status: 3, stdout: 'QUIET', stderr: '' });
  assert.equal((await engine.containerInspect(value.id)).state.exitCode, 3);
  assert.equal(await logOf(engine, value.id), '', 'the output went to the terminal');
});

test('a command that cannot be run: the reason, 126 or 127, exited, and its network released', async () => {
  await using bed = await makeContainerBed();
  const { engine } = bed;
  await engine.networkCreate({ name: 'web' });
  const idle = await traces(bed);
  for (const [command, workingDir, code, status, reason] of [
    [
      ['no-such-command'],
      '/',
      'ECOMMANDNOTFOUND',
      127,
      /^container "box": no-such-command: No such file or directory$/,
    ],
    [['/etc/passwd'], '/', 'ECOMMAND', 126, /^container "box": \/etc\/passwd: Permission denied$/],
    [
      ['true'],
      '/no/such/place',
      'ECOMMAND',
      125,
      /^container "box": working directory \/no\/such\/place: No such file or directory$/,
    ],
  ] as const) {
    await engine.containerCreate({
      name: 'box',
      command,
      workingDir,
      networks: [{ network: 'web' }],
      ports: [parsePublish('8080:80')],
    });
    await refused(engine.containerStart('box'), code, reason);
    const { state, endpoints } = await engine.containerInspect('box');
    assert.deepEqual([state.status, state.exitCode, endpoints.length], ['exited', status, 0]);
    assert.equal(await engine.containerWait('box'), status);
    assert.ok(!existsSync(join(bed.paths.netnsDir, 'box')));
    // again, and with the same end
    await refused(engine.containerStart('box'), code, reason);
    await engine.containerRemove('box');
    assert.deepEqual(await traces(bed), idle);
  }
  await engine.containerCreate({
    name: 'box',
    command: ['no-such-command'],
    networks: [{ network: 'web' }],
    autoRemove: true,
  });
  await refused(engine.containerStart('box'), 'ECOMMANDNOTFOUND', /no-such-command/);
  assert.deepEqual(await traces(bed), idle, 'one that asked to be removed at its end is');
});

test('--rm removes everything at the end, told by the shim or by a stop', async () => {
  await using bed = await makeContainerBed();
  const { telling: engine } = bed;
  await engine.networkCreate({ name: 'web' });
  const before = await traces(bed);
  const spec = { name: 'box', command: ['sleep', '300'], networks: [{ network: 'web' }], autoRemove: true };
  const gone = (): Promise<boolean> =>
    engine.containerInspect('box').then(
      () => false,
      (error: { code?: string }) => error.code === 'ECONTAINERNOTFOUND',
    );

  await engine.containerCreate({ ...spec, command: ['true'] });
  await engine.containerStart('box');
  await until('removed by the shim', gone, { timeout: 10_000 });
  assert.deepEqual(await traces(bed), before);

  await engine.containerCreate(spec);
  await engine.containerStart('box');
  const waiting = engine.containerWait('box');
  const { value: stopped } = await engine.containerStop('box', { timeoutSeconds: 5 });
  assert.deepEqual([stopped.state.status, stopped.state.exitCode], ['exited', 143]);
  assert.equal(await within('the status', waiting), 143);
  assert.ok(await gone());

  // removal by force and by itself may meet: both are content
  for (let i = 0; i < 3; i++) {
    await engine.containerCreate(spec);
    await engine.containerStart('box');
    assert.equal((await engine.containerRemove('box', { force: true })).value.name, 'box');
    assert.ok(await gone());
  }
  await until('exit commands ended', async () => assert.deepEqual(await traces(bed), before) ?? true, {
    timeout: 10_000,
  });
});

test('stop asks, then kills; a stopped container starts again with namespace, address and ports', async () => {
  await using bed = await makeContainerBed();
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web' });
  const before = await traces(bed);
  await engine.containerCreate({
    name: 'box',
    command: ['sh', '-c', 'trap "" TERM; echo up; while :; do sleep 300 & wait; done'],
    networks: [{ network: 'web', mac: '02:00:00:00:00:77' }],
    ports: ['8888:80', '81'].map(parsePublish),
  });
  for (let round = 1; round <= 3; round++) {
    const { endpoints } = (await engine.containerStart('box')).value;
    const [endpoint] = endpoints;
    assert.equal(endpoint?.mac, '02:00:00:00:00:77');
    const random = endpoint.ports.find((p) => p.containerPort === 81);
    assert.ok(random && random.hostPort >= 49152, 'a random port is shown');
    {
      using inside = namespaceOf(bed, 'box');
      await using _server = await tcpServer(inside, '0.0.0.0', 80);
      await using _other = await tcpServer(inside, '0.0.0.0', 81);
      assert.ok((await tcpConnect(host.outside, ADDRESS.host, 8888)).ok, `round ${round}`);
      assert.ok((await tcpConnect(host.outside, ADDRESS.host, random.hostPort)).ok);
    }
    await until(
      'the trap',
      async () =>
        (await logOf(engine, 'box', { tail: 1 })) === 'up\n' && (await logOf(engine, 'box')).length === 3 * round,
    );
    const began = performance.now();
    const { state, endpoints: left } = (await engine.containerStop('box', { timeoutSeconds: 0.3 })).value;
    assert.ok(performance.now() - began > 280, 'it had its time');
    assert.deepEqual([state.status, state.exitCode, left.length], ['exited', 137, 0]);
    assert.deepEqual(await tcpConnect(host.outside, ADDRESS.host, 8888), { ok: false, error: 'ECONNREFUSED' });
  }
  assert.equal((await engine.containerStop('box')).value.state.status, 'exited', 'stopping twice is no error');
  await engine.containerRemove('box');
  assert.deepEqual(await traces(bed), before);
});

test('a start that the network refuses leaves the container as it was', async () => {
  await using bed = await makeContainerBed();
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web' });
  await engine.containerCreate({
    name: 'box',
    command: ['true'],
    networks: [{ network: 'web' }],
    ports: [parsePublish('8888:80')],
  });
  await engine.containerStart('box');
  assert.equal(await engine.containerWait('box'), 0);
  await engine.containerExited('box');
  const idle = await traces(bed);
  {
    await using _listener = await tcpServer(host.netns, '0.0.0.0', 8888);
    await refused(engine.containerStart('box'), 'EPORTTAKEN', /8888/);
  }
  assert.deepEqual(await traces(bed), idle);
  assert.deepEqual((await engine.containerInspect('box')).state.status, 'exited');
  // a namespace that somebody else made in between is not ours to use, or to remove
  using foreign = namespaceMade(bed.paths.netnsDir);
  await refused(
    engine.containerStart('box'),
    'ENAMETAKEN',
    /network namespace "box" exists already, and is not netloom's/,
  );
  await engine.containerRemove('box');
  assert.ok(existsSync(join(bed.paths.netnsDir, 'box')));
  await refused(engine.containerCreate({ name: 'box', command: ['true'] }), 'ENAMETAKEN', /namespace "box"/);
  assert.ok(existsSync(join(bed.paths.netnsDir, 'box')), foreign.label);
});

function namespaceMade(dir: string): Netns {
  const netns = Netns.create();
  netns.pin(join(dir, 'box'));
  return netns;
}

test('the log: tail, follow to the end, a reader that goes away in the middle, a log that is removed', async () => {
  await using bed = await makeContainerBed();
  const { engine } = bed;
  const gate = join(bed.dirs.root, 'gate');
  const script = `for i in 1 2 3; do echo line $i; done; while [ ! -e ${gate} ]; do sleep 0.02; done; printf 'the end'`;
  await engine.containerCreate({ name: 'box', command: ['sh', '-c', script], networkMode: 'none' });
  assert.equal(await logOf(engine, 'box', { follow: true }), '', 'never started');
  await engine.containerStart('box');
  await until('three lines', async () => (await logOf(engine, 'box')).includes('line 3\n'));
  assert.equal(await logOf(engine, 'box', { tail: 2 }), 'line 2\nline 3\n');
  assert.equal(await logOf(engine, 'box', { tail: 0 }), '');
  assert.equal(await logOf(engine, 'box', { tail: 99 }), 'line 1\nline 2\nline 3\n');

  // waits for a line that does not come, and is told to stop
  const leaver = engine.containerLogs('box', { follow: true, tail: 1 })[Symbol.asyncIterator]();
  assert.equal(Buffer.from((await leaver.next()).value as Uint8Array).toString(), 'line 3\n');
  const never = leaver.next();
  await new Promise(setImmediate);
  await within('leaving', leaver.return!(), 1000);
  assert.deepEqual(await within('the waiting step', never, 1000), { done: true, value: undefined });

  const followed = logOf(engine, 'box', { follow: true });
  // it has found its place in the log when it gives the first line
  const tail = engine.containerLogs('box', { follow: true, tail: 1 })[Symbol.asyncIterator]();
  assert.equal(Buffer.from((await tail.next()).value as Uint8Array).toString(), 'line 3\n');
  writeFileSync(gate, '');
  assert.equal(await within('the whole log', followed), 'line 1\nline 2\nline 3\nthe end');
  assert.equal(Buffer.from((await within('the new part', tail.next())).value as Uint8Array).toString(), 'the end');
  assert.equal((await within('its end', tail.next())).done, true);
  assert.equal(await logOf(engine, 'box', { tail: 1 }), 'the end', 'a last line without a newline is one');

  rmSync(gate);
  await engine.containerStart('box');
  const orphaned = logOf(engine, 'box', { follow: true });
  await engine.containerRemove('box', { force: true });
  assert.match(await within('a log that is gone', orphaned), /^line 1/);
  await refused(logOf(engine, 'box'), 'ECONTAINERNOTFOUND', /no container "box"/);
});

test('a long log is read whole and from its end', async () => {
  await using bed = await makeContainerBed();
  const { engine } = bed;
  await engine.containerCreate({ name: 'box', command: ['seq', '1', '200000'], networkMode: 'none' });
  await engine.containerStart('box');
  await engine.containerWait('box');
  const whole = await logOf(engine, 'box');
  assert.equal(whole.split('\n').length, 200_001);
  for (const tail of [1, 7, 9361, 9362, 150_000]) {
    const lines = (await logOf(engine, 'box', { tail })).trimEnd().split('\n');
    assert.equal(lines.length, tail);
    assert.equal(lines[0], String(200_000 - tail + 1));
  }
});

test('a container whose shim was killed is dead, and reaped by the next start of an engine', async () => {
  await using bed = await makeContainerBed();
  const { telling: engine } = bed;
  await engine.networkCreate({ name: 'web' });
  await engine.containerCreate({ name: 'box', command: ['sleep', '300'], networks: [{ network: 'web' }] });
  const { value: idle } = await engine.containerStart('box');
  // the command's parent is the shim
  const shim = Number(readFileSync(`/proc/${idle.state.pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[1]);
  assert.ok(signalPid(shim, startTime(shim)!, 'SIGKILL'));
  assert.equal((await engine.containerInspect('box')).state.status, 'running', 'the command goes on');
  const waiting = engine.containerWait('box');
  await engine.containerKill('box', 'KILL');
  await until('dead', async () => (await engine.containerInspect('box')).state.status === 'dead');
  assert.equal(await within('its status', waiting, 8000), 125, 'nobody knows its status, and it was no success');
  assert.equal((await engine.endpointList()).length, 1);
  {
    await using _next = await bed.open({ resident: true });
    assert.deepEqual((await engine.containerInspect('box')).endpoints, []);
    assert.ok(!existsSync(join(bed.paths.netnsDir, 'box')));
  }
  assert.equal((await engine.containerStart('box')).value.state.status, 'running', 'and can be started again');
});

test('what a command leaves running in the background ends with it', async () => {
  await using bed = await makeContainerBed();
  const { engine } = bed;
  const file = join(bed.dirs.root, 'pid');
  await engine.containerCreate({
    name: 'box',
    command: ['sh', '-c', `setsid sleep 300 & echo $! > ${file}; exit 5`],
    networkMode: 'none',
  });
  await engine.containerStart('box');
  assert.equal(await within('the command', engine.containerWait('box')), 5);
  const daemon = Number(readFileSync(file, 'utf8'));
  assert.ok(daemon > 1);
  assert.ok(!isAlive(daemon), 'its daemon went before its status was told');
  assert.equal((await engine.containerInspect('box')).state.status, 'exited');
});

test('one clear line for everything that cannot be', async () => {
  await using bed = await makeContainerBed();
  const { engine } = bed;
  await engine.containerCreate({ name: 'box', command: ['sleep', '300'], networkMode: 'none' });
  const before = await traces(bed);
  await refused(
    engine.containerCreate({ name: 'box', command: ['true'] }),
    'ENAMETAKEN',
    /container "box" exists already/,
  );
  await refused(
    engine.containerCreate({ name: 'other', command: ['true'], networks: [{ network: 'no' }] }),
    'ENETWORKNOTFOUND',
    /no network "no"/,
  );
  await refused(engine.containerKill('box', 'TERM'), 'ECONTAINERNOTRUNNING', /"box" is not running/);
  await refused(engine.containerExecPlan('box', ['true']), 'ECONTAINERNOTRUNNING', /"box" is not running/);
  await engine.containerStart('box');
  await refused(engine.containerStart('box'), 'ECONTAINERRUNNING', /"box" is running already/);
  await refused(
    engine.containerSpawnPlan('box', { foreground: true }),
    'ECONTAINERRUNNING',
    /"box" is running already/,
  );
  await refused(engine.containerRemove('box'), 'ECONTAINERRUNNING', /"box" is running/);
  await refused(engine.containerKill('box', 'NOPE'), 'EBADSIGNAL', /no signal "NOPE"/);
  await refused(engine.containerKill('box', '65'), 'EBADSIGNAL', /no signal "65"/);
  assert.ok(readShimPid(join(bed.paths.runDir, 'containers', (await engine.containerInspect('box')).id)));
  await engine.containerStop('box', { timeoutSeconds: 1 });
  for (const call of [
    engine.containerStart('nobody'),
    engine.containerStop('nobody'),
    engine.containerKill('nobody', 'TERM'),
    engine.containerWait('nobody'),
    engine.containerRemove('nobody', { force: true }),
    engine.containerInspect('nobody'),
    engine.networkConnect('nobody', { network: 'host' }),
  ]) {
    await refused(call, 'ECONTAINERNOTFOUND', /no container "nobody"/);
  }
  await engine.containerExited('nobody'); // removed meanwhile: nothing to say
  await engine.containerStart('box');
  await engine.containerKill('box', '9');
  await engine.containerWait('box');
  assert.deepEqual(
    { ...((await traces(bed)) as object), netns: 0, etc: 0 },
    { ...(before as object), netns: 0, etc: 0 },
  );
});

test('a namespace without a bed is one clear line, too', async () => {
  await using bed = await makeEngineBed();
  mkdirSync(bed.paths.netnsDir, { recursive: true });
  writeFileSync(join(bed.paths.netnsDir, 'box'), '');
  await refused(
    bed.engine.containerCreate({ name: 'box', command: ['true'], networkMode: 'none' }),
    'ENAMETAKEN',
    /namespace "box" exists already/,
  );
  assert.equal((await okIn(bed.host.netns, ['nft', 'list', 'ruleset'])).trim(), '');
});
