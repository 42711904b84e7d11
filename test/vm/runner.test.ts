// runs: here in one mode (the guest is the same for everybody)
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run, type RunOptions, type RunResult } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

// What tools/vm/run.sh runs, on the snapshot that the beginning of the suite has prepared.

const MAIN = fileURLToPath(new URL('../../tools/vm/main.ts', import.meta.url));

function vm(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return run([process.execPath, MAIN, ...args], { timeout: 50_000, ...options });
}

test('a command in the guest: its words, directory, variables, outputs and status', async () => {
  const script = `printf '%s\\n' "$1" "$PWD" "$NETLOOM_WORD $NETLOOM_TEST_GUEST"; echo error >&2; exit 7`;
  const word = `it's "a \\ word" of $two\nlines`;
  const result = await vm(['--', 'sh', '-c', script, 'sh', word], { env: { NETLOOM_WORD: "ab 'c'" }, cwd: '/usr/bin' });
  assert.deepEqual(result, { status: 7, stdout: `${word}\n/usr/bin\nab 'c' 1\n`, stderr: 'error\n' });
});

test("the guest has this machine's files and cannot change them; its output comes whole", async () => {
  const file = '/usr/netloom-vm-test';
  const command = `echo new >${file} && cat ${file}; sha256sum <"$0"; head -c 5000000 /dev/zero`;
  const { status, stdout } = await vm(['sh', '-c', command, '/bin/bash']);
  assert.equal(status, 0);
  const sum = createHash('sha256').update(readFileSync('/bin/bash')).digest('hex');
  assert.equal(stdout.slice(0, 72), `new\n${sum}  -\n`);
  assert.equal(stdout.slice(72), '\0'.repeat(5_000_000));
  assert.ok(!existsSync(file));
});

// ten seconds where nine others want two processors, measured: what takes a minute hangs
test('two guests at once know nothing of each other', { timeout: 120_000 }, async () => {
  const command =
    'cat /proc/sys/kernel/random/boot_id; head -c 16 /dev/urandom | od -x; echo mine >/run/who; cat /run/who';
  const [a, b] = await Promise.all([1, 2].map(() => vm(['sh', '-c', command], { timeout: 100_000 })));
  assert.ok(a && b);
  assert.equal(a.status, 0, a.stderr);
  assert.equal(b.status, 0, b.stderr);
  assert.notEqual(a.stdout.split('\n')[1], b.stdout.split('\n')[1], 'they draw different random numbers');
});

test('a command that hangs is ended by the deadline; one that leaves something running is not waited for', async () => {
  const late = await vm(['--timeout', '5', '--', 'sh', '-c', 'echo begun; sleep 600']);
  assert.deepEqual(late, {
    status: 124,
    stdout: 'begun\n',
    stderr: 'netloom vm: ended: the command was not over after 5 s\n',
  });
  const left = await vm(['--', 'sh', '-c', 'sleep 600 & exit 3']);
  assert.deepEqual(left, { status: 3, stdout: '', stderr: '' });
});

test('a guest whose kernel dies, or powers off, is no success', async () => {
  for (const command of ['echo c >/proc/sysrq-trigger; sleep 600', 'busybox poweroff -f; sleep 600']) {
    const { status, stderr } = await vm(['--', 'sh', '-c', command]);
    assert.equal(status, 125, command);
    assert.match(stderr, /^netloom vm: the guest went away: .*\n$/);
  }
});

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test(`nothing is left of a guest when its runner gets ${signal}`, async () => {
    const runner = spawn(process.execPath, [MAIN, '--', 'sh', '-c', 'echo begun; sleep 600'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const gone = once(runner, 'close');
    await once(runner.stdout, 'data');
    const children = readFileSync(`/proc/${runner.pid}/task/${runner.pid}/children`, 'utf8').trim().split(' ');
    assert.equal(children.length, 1);
    const command = (): string => readFileSync(`/proc/${children[0]}/cmdline`, 'utf8');
    assert.match(command(), /^qemu-system-x86_64\0/);
    runner.kill(signal);
    assert.deepEqual(await gone, signal === 'SIGTERM' ? [143, null] : [null, signal]);
    await until('QEMU is gone', () => {
      try {
        return command() === ''; // a zombie, until somebody has asked for its status
      } catch {
        return true;
      }
    });
  });
}

test('what is wrong is said in one line', async () => {
  const cases: readonly (readonly [args: string[], env: Record<string, string>, says: RegExp])[] = [
    [[], {}, /no command given; usage: sh tools\/vm\/run\.sh /],
    [['--timeout', 'soon', '--', 'true'], {}, /--timeout soon: a number of seconds was expected; usage: /],
    [['--what', '--', 'true'], {}, /--what.*; usage: /],
    [
      ['true'],
      { PATH: '/nonexistent' },
      /packages are missing; as root: apt-get install .*qemu-system-x86 busybox-static/,
    ],
    [
      ['true'],
      { NETLOOM_VM_CACHE: '/dev/null/here' },
      /the cache \/dev\/null\/here cannot be written \(ENOTDIR\): set NETLOOM_VM_CACHE/,
    ],
  ];
  for (const [args, env, says] of cases) {
    const { status, stdout, stderr } = await vm(args, { env });
    assert.equal(status, 125);
    assert.equal(stdout, '');
    assert.match(stderr, says);
    assert.match(stderr, /^netloom vm: [^\n]*\n$/);
  }
});

test('a command that is not there has the status that a shell gives it', async () => {
  assert.equal((await vm(['nosuchcommand'])).status, 127);
});
