import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import {
  isAlive,
  Netns,
  readShimExit,
  readShimPid,
  SHIM_STATUS,
  shimArgs,
  type ShimEnter,
  shimPath,
  type ShimRun,
  signalPid,
  waitPid,
} from '../../src/kernel/index.ts';

const root = mkdtempSync(join(tmpdir(), 'netloom-shim-'));
const pin = join(root, 'netns');
{
  using netns = Netns.create();
  netns.pin(pin);
}
after(() => {
  Netns.unpin(pin);
  rmSync(root, { recursive: true, force: true });
});
const fresh = (): string => mkdtempSync(join(root, 'c-'));
const shim = (options: ShimRun | ShimEnter): { status: number | null; out: string; err: string } => {
  const { status, stdout, stderr } = spawnSync(shimPath(), shimArgs(options), { encoding: 'utf8', timeout: 15_000 });
  return { status, out: stdout, err: stderr };
};
/** Waits for a file to be there, told by the kernel. */
async function appears(dir: string, name: string): Promise<void> {
  const watcher = watch(dir);
  const signal = AbortSignal.timeout(15_000);
  try {
    while (!existsSync(join(dir, name))) await once(watcher, 'change', { signal });
  } finally {
    watcher.close();
  }
}
const file = (dir: string, name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};

test('a command sees its own network, names and files, and ends with its own status', () => {
  const dir = fresh();
  const resolv = file(dir, 'resolv', 'nameserver 192.0.2.53\n');
  const hosts = file(dir, 'hosts', '192.0.2.1 web\n');
  const script =
    'readlink /proc/self/ns/net; uname -n; cat /etc/resolv.conf /etc/hosts; ls /sys/class/net; pwd; exit 7';
  const { status, out, err } = shim({
    dir,
    netns: pin,
    hostname: 'web',
    resolv,
    hosts,
    cwd: '/',
    command: ['sh', '-c', script],
  });
  using netns = Netns.open(pin);
  assert.equal(err, '');
  assert.equal(out, `net:[${netns.inode}]\nweb\nnameserver 192.0.2.53\n192.0.2.1 web\nlo\n/\n`);
  assert.equal(status, 7);
  const exit = readShimExit(dir);
  assert.equal(exit?.status, 7);
  assert.ok(Math.abs(Date.now() - exit.time) < 15_000);
  assert.notEqual(hostname(), 'web');
  assert.notEqual(readFileSync('/etc/resolv.conf', 'utf8'), 'nameserver 192.0.2.53\n');
});

test('what cannot be started says so in one line, with the statuses of a shell', () => {
  const cases: readonly (readonly [Partial<ShimRun>, number, RegExp])[] = [
    [{ command: [join(root, 'no-such-command')] }, SHIM_STATUS.NOT_FOUND, /no-such-command: No such file/],
    [{ command: [root] }, SHIM_STATUS.CANNOT_RUN, /Permission denied/],
    [{ netns: join(root, 'gone') }, SHIM_STATUS.FAILED, /gone: No such file/],
    [{ netns: '/dev/null' }, SHIM_STATUS.FAILED, /enter \/dev\/null: Invalid argument/],
    [{ resolv: join(root, 'gone') }, SHIM_STATUS.FAILED, /gone: No such file/],
    [{ hostname: 'x'.repeat(65) }, SHIM_STATUS.FAILED, /hostname x+: Invalid argument/],
    [{ cwd: '/gone' }, SHIM_STATUS.FAILED, /\/gone: No such file/],
  ];
  for (const detach of [false, true]) {
    for (const [change, wanted, message] of cases) {
      const dir = fresh();
      const marker = join(dir, 'marker');
      const { status, err } = shim({ dir, detach, exitCommand: ['touch', marker], command: ['true'], ...change });
      assert.equal(status, wanted, err);
      assert.match(err, message);
      assert.equal(err.trim().split('\n').length, 1);
      assert.equal(existsSync(marker), false, 'no exit command where nothing ran');
      if (detach) continue; // there the file comes a moment later
      assert.equal(readShimExit(dir)?.status, wanted);
      assert.match(readShimExit(dir)?.reason ?? '', message);
    }
  }
  assert.equal(shim({ dir: join(root, 'none'), command: ['true'] }).status, SHIM_STATUS.FAILED);
  for (const args of [[], ['--'], ['--dir'], ['--dir', root, '--'], ['--what', '--', 'true'], ['--', 'true']]) {
    const { status, stderr } = spawnSync(shimPath(), args, { encoding: 'utf8' });
    assert.equal(status, SHIM_STATUS.FAILED);
    assert.match(stderr, /^netloom-shim: .+\n$/);
  }
});

test(
  'a detached command outlives its caller, is signalled, and leaves its end behind',
  { timeout: 30_000 },
  async () => {
    const dir = fresh();
    const log = join(dir, 'log');
    const script = 'trap "echo told; exit 5" TERM; echo ready; read x; echo "input: $x"; while :; do sleep 0.05; done';
    const { status } = shim({
      dir,
      netns: pin,
      hostname: 'web',
      detach: true,
      log,
      command: ['sh', '-c', script],
      exitCommand: ['sh', '-c', `uname -n >${dir}/.after; mv ${dir}/.after ${dir}/after`],
    });
    assert.equal(status, 0);
    const shimmed = readShimPid(dir);
    assert.ok(shimmed && isAlive(shimmed.pid, shimmed.startTime));
    assert.equal(readShimExit(dir), undefined);

    const inside = shim({
      enter: shimmed.pid,
      startTime: shimmed.startTime,
      command: ['sh', '-c', 'uname -n; readlink /proc/self/ns/net; exit 3'],
    });
    using netns = Netns.open(pin);
    assert.deepEqual(inside, { status: 3, out: `web\nnet:[${netns.inode}]\n`, err: '' });
    assert.equal(shim({ enter: shimmed.pid, command: [join(root, 'gone')] }).status, SHIM_STATUS.NOT_FOUND);
    const other = shim({ enter: shimmed.pid, startTime: shimmed.startTime + 1, command: ['true'] });
    assert.equal(other.status, SHIM_STATUS.FAILED);
    assert.match(other.err, /No such process/);

    while (!readFileSync(log, 'utf8').includes('input:')) await new Promise(setImmediate);
    assert.equal(signalPid(shimmed.pid, shimmed.startTime, 'SIGTERM'), true);
    await Promise.all([waitPid(shimmed.pid), appears(dir, 'after')]);
    assert.equal(readShimExit(dir)?.status, 5);
    assert.equal(readFileSync(log, 'utf8'), 'ready\ninput: \ntold\n');
    assert.equal(readFileSync(join(dir, 'after'), 'utf8').trim(), hostname(), 'the exit command is back in our world');
    assert.equal(shim({ enter: shimmed.pid, command: ['true'] }).status, SHIM_STATUS.FAILED);
  },
);

test('the shim passes signals on, and a signal that kills is 128 more', { timeout: 60_000 }, async () => {
  for (const [signal, wanted] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGHUP', 129],
    ['SIGUSR1', 138],
  ] as const) {
    const dir = fresh();
    const child = spawn(shimPath(), shimArgs({ dir, command: ['sh', '-c', 'echo ready; exec sleep 1000'] }));
    await once(child.stdout, 'data');
    child.kill(signal);
    const [status] = (await once(child, 'exit')) as [number];
    assert.equal(status, wanted);
    assert.equal(readShimExit(dir)?.status, wanted);
  }
});

test('a killed shim leaves a command that can still be found', { timeout: 60_000 }, async () => {
  const dir = fresh();
  const child = spawn(shimPath(), shimArgs({ dir, command: ['sleep', '1000'] }));
  await appears(dir, 'pid');
  child.kill('SIGKILL');
  await once(child, 'exit');
  const { pid, startTime } = readShimPid(dir)!;
  assert.equal(isAlive(pid, startTime), true);
  assert.equal(readShimExit(dir), undefined);
  signalPid(pid, startTime, 'SIGKILL');
  await waitPid(pid);
});

test('a caller that ignores SIGCHLD and SIGPIPE still gets the status, and the command its own defaults', async () => {
  const dir = fresh();
  const script = `trap '' CHLD; exec "$0" "$@"`;
  const { stdout } = await promisify(execFile)('sh', [
    '-c',
    script,
    shimPath(),
    ...shimArgs({ dir, command: ['sh', '-c', 'yes | head -1'] }),
  ]);
  assert.equal(stdout, 'y\n');
  assert.equal(readShimExit(dir)?.status, 0);
});
