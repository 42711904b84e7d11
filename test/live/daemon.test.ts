import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, linkSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { Client } from '../../src/api/client.ts';
import { openLog, runDaemon } from '../../src/daemon/index.ts';
import { MemoryEngine, withCode } from './api-fixture.ts';

const CHILD = new URL('./daemon-child.ts', import.meta.url).pathname;

/** A folder for a socket; goes at the end of the scope. */
function folder(): { socket: string; path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'netloom-daemon-'));
  return { path, socket: join(path, 'run', 'netloom.sock'), [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

interface Daemon extends Disposable {
  readonly child: ChildProcess;
  readonly log: () => string;
  /** The next line that the child tells. */
  line(): Promise<string>;
  exit(): Promise<[number | null, NodeJS.Signals | null]>;
}
function start(
  command: readonly string[],
  options?: { readonly fd3?: number; readonly env?: Record<string, string> },
): Daemon {
  const [file = '', ...args] = command;
  const stdio = [
    'ignore' as const,
    'pipe' as const,
    'pipe' as const,
    ...(options?.fd3 === undefined ? [] : [options.fd3]),
  ];
  const child = spawn(file, args, { stdio, env: { ...process.env, ...options?.env } });
  let log = '';
  child.stderr?.on('data', (part: Buffer) => (log += part.toString()));
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  return {
    child,
    log: () => log,
    exit: () => exited,
    async line() {
      const { value, done } = await lines.next();
      assert.ok(done !== true, `the daemon ended: ${log}`);
      return value;
    },
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  };
}
function startDaemon(socket: string, mode = ''): Daemon {
  return start([process.execPath, CHILD, socket, mode]);
}

test('it listens with mode 0660, answers, and takes its socket file away', async () => {
  using dir = folder();
  using daemon = startDaemon(dir.socket);
  assert.equal(await daemon.line(), 'listening');
  assert.equal((statSync(dir.socket).mode & 0o7777).toString(8), '660');
  const client = await Client.connect(dir.socket);
  assert.equal((await client?.version())?.mode, 'daemon');
  await client?.[Symbol.asyncDispose]();
  daemon.child.kill('SIGTERM');
  assert.equal(await daemon.line(), 'disposed 1');
  assert.deepEqual(await daemon.exit(), [0, null]);
  assert.equal(existsSync(dir.socket), false);
  const messages = daemon
    .log()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).msg);
  assert.deepEqual(messages, ['listening', 'stopping', 'stopped']);
});

test('a socket that a killed daemon left behind is replaced', async () => {
  using dir = folder();
  using first = startDaemon(dir.socket);
  await first.line();
  first.child.kill('SIGKILL');
  await first.exit();
  assert.ok(statSync(dir.socket).isSocket());
  using second = startDaemon(dir.socket);
  assert.equal(await second.line(), 'listening');
  assert.ok(await Client.connect(dir.socket));
});

test('a second daemon on one socket: EDAEMONRUNNING, and the first goes on', async () => {
  using dir = folder();
  using first = startDaemon(dir.socket);
  await first.line();
  using second = startDaemon(dir.socket);
  assert.equal(await second.line(), 'EDAEMONRUNNING');
  assert.deepEqual(await second.exit(), [3, null]);
  assert.ok(await Client.connect(dir.socket));
});

test('of four that start at once over a stale socket, one listens', async () => {
  using dir = folder();
  using dead = startDaemon(dir.socket);
  await dead.line();
  dead.child.kill('SIGKILL');
  await dead.exit();
  const daemons = Array.from({ length: 4 }, () => startDaemon(dir.socket));
  try {
    const told = await Promise.all(daemons.map((daemon) => daemon.line()));
    assert.deepEqual(told.toSorted(), [...Array<string>(3).fill('EDAEMONRUNNING'), 'listening']);
    assert.ok(await Client.connect(dir.socket));
  } finally {
    for (const daemon of daemons) daemon[Symbol.dispose]();
  }
});

test('somebody else listens there, or a file stands there: neither is touched', async () => {
  using dir = folder();
  const foreign = join(dir.path, 'foreign.sock');
  const server = createServer().listen(foreign);
  await once(server, 'listening');
  await assert.rejects(runDaemon({ engine: new MemoryEngine(), socketPath: foreign }), withCode('EDAEMONRUNNING'));
  server.close();
  await once(server, 'close');
  const file = join(dir.path, 'notes.txt');
  writeFileSync(file, 'mine');
  await assert.rejects(runDaemon({ engine: new MemoryEngine(), socketPath: file }), withCode('ENOTSOCK'));
  const link = join(dir.path, 'link.sock');
  symlinkSync(file, link);
  await assert.rejects(runDaemon({ engine: new MemoryEngine(), socketPath: link }), withCode('ENOTSOCK'));
  assert.equal(readFileSync(file, 'utf8'), 'mine');
  await assert.rejects(
    runDaemon({ engine: new MemoryEngine(), socketPath: `/tmp/${'x'.repeat(120)}` }),
    withCode('ENAMETOOLONG'),
  );
});

test('the engine is not opened when the socket cannot be had', async () => {
  using dir = folder();
  using first = startDaemon(dir.socket);
  await first.line();
  const engine = async (): Promise<never> => assert.fail('opened');
  await assert.rejects(runDaemon({ engine, socketPath: dir.socket }), withCode('EDAEMONRUNNING'));
});

test('a stop lets a request in flight finish', async () => {
  using dir = folder();
  using daemon = startDaemon(dir.socket, 'slow');
  assert.equal(await daemon.line(), 'listening');
  const client = new Client(dir.socket);
  const attached = client.endpointAttach({ network: 'web', netns: '/run/netns/a' });
  assert.equal(await daemon.line(), 'attaching');
  daemon.child.kill('SIGTERM');
  // Not accepting any more: the file is gone while the request still runs.
  const deadline = AbortSignal.timeout(4000);
  while ((await Client.connect(dir.socket)) !== undefined) deadline.throwIfAborted();
  daemon.child.kill('SIGUSR2');
  assert.equal((await attached).value.netns, '/run/netns/a');
  assert.equal(await daemon.line(), 'disposed 1');
  assert.deepEqual(await daemon.exit(), [0, null]);
});

test('what does not end in time is cut, with EDAEMONLOST for its caller', async () => {
  using dir = folder();
  const stop = new AbortController();
  const listening = Promise.withResolvers<void>();
  const lines: string[] = [];
  const engine = new MemoryEngine();
  engine.gate = new Promise(() => undefined);
  const log = openLog({
    to: { write: (line: string) => void lines.push(JSON.parse(line).msg) } as never,
    human: false,
  });
  const run = runDaemon({
    engine,
    socketPath: dir.socket,
    signal: stop.signal,
    log,
    stopDeadline: 50,
    onListening: listening.resolve,
  });
  await listening.promise;
  const client = new Client(dir.socket);
  const attached = assert.rejects(client.endpointAttach({ network: 'web', netns: '/a' }), withCode('EDAEMONLOST'));
  await client.version();
  stop.abort();
  await Promise.all([run, attached]);
  assert.deepEqual(lines.slice(-2), ['requests did not end in time and were cut', 'stopped']);
  assert.equal(engine.disposed, 1);
  assert.equal(process.listenerCount('SIGTERM'), 0);
});

test('a second signal ends it at once', async () => {
  using dir = folder();
  using daemon = startDaemon(dir.socket, 'slow');
  await daemon.line();
  const lost = assert.rejects(
    new Client(dir.socket).endpointAttach({ network: 'web', netns: '/a' }),
    withCode('EDAEMONLOST'),
  );
  assert.equal(await daemon.line(), 'attaching');
  daemon.child.kill('SIGTERM');
  const deadline = AbortSignal.timeout(4000);
  while ((await Client.connect(dir.socket)) !== undefined) deadline.throwIfAborted();
  daemon.child.kill('SIGINT');
  assert.deepEqual(await daemon.exit(), [130, null]);
  await lost;
});

test('a promise that nobody caught is logged and ends the process with 1', async () => {
  using dir = folder();
  using daemon = startDaemon(dir.socket, 'reject');
  await daemon.line();
  await new Client(dir.socket).networkList().catch(() => undefined);
  assert.deepEqual(await daemon.exit(), [1, null]);
  const last = JSON.parse(daemon.log().trim().split('\n').at(-1) as string);
  assert.equal(last.level, 60);
  assert.match(last.err.stack, /Error: forgotten\n/);
});

test('an unknown log level', async () => {
  await assert.rejects(runDaemon({ engine: new MemoryEngine(), logLevel: 'loud' }), {
    code: 'EINVAL',
    message: "no log level 'loud'",
  });
});

test('socket activation: systemd listens, the daemon answers, the socket file stays', async () => {
  using dir = folder();
  const path = join(dir.path, 'activated.sock');
  const server = createServer().listen(join(dir.path, 'mine.sock'));
  await once(server, 'listening');
  // The file under its first name goes with our own descriptor.
  linkSync(join(dir.path, 'mine.sock'), path);
  const fd3 = (server as unknown as { _handle: { fd: number } })._handle.fd;
  // LISTEN_PID must be the pid of what is exec'd: sd_listen_fds(3).
  const script = 'LISTEN_PID=$$ exec "$0" "$@"';
  using daemon = start(['sh', '-c', script, process.execPath, CHILD, '/nonexistent/netloom.sock'], {
    fd3,
    env: { LISTEN_FDS: '1' },
  });
  server.close();
  // The first request comes before the daemon is up: it waits in the backlog.
  const client = new Client(path);
  assert.equal((await client.version()).mode, 'daemon');
  assert.equal(await daemon.line(), 'listening');
  // A workload must not inherit the socket: close-on-exec is 02000000 in fdinfo(5).
  const flags = /flags:\s+(\d+)/.exec(readFileSync(`/proc/${daemon.child.pid}/fdinfo/3`, 'utf8'))?.[1];
  assert.equal(Number.parseInt(flags ?? '', 8) & 0o2000000, 0o2000000);
  daemon.child.kill('SIGTERM');
  assert.equal(await daemon.line(), 'disposed 1');
  assert.deepEqual(await daemon.exit(), [0, null]);
  assert.ok(statSync(path).isSocket());
  await client[Symbol.asyncDispose]();
});

test(
  'the units say what systemd understands',
  { skip: spawnSync('systemd-analyze', ['--version']).status !== 0 && 'no systemd here' },
  () => {
    const unit = (name: string): string => new URL(`../../systemd/${name}`, import.meta.url).pathname;
    using dir = folder();
    // The program is not installed here: any that exists will do for the check.
    const service = readFileSync(unit('netloom.service'), 'utf8').replace(
      /^ExecStart=\S+/m,
      `ExecStart=${process.execPath}`,
    );
    writeFileSync(join(dir.path, 'netloom.service'), service);
    writeFileSync(join(dir.path, 'netloom.socket'), readFileSync(unit('netloom.socket')));
    const files = [join(dir.path, 'netloom.service'), join(dir.path, 'netloom.socket')];
    const { stderr, status } = spawnSync('systemd-analyze', ['verify', '--man=no', '--recursive-errors=no', ...files], {
      encoding: 'utf8',
    });
    assert.deepEqual([stderr.split('\n').filter((line) => line.includes('netloom')), status], [[], 0]);
  },
);
