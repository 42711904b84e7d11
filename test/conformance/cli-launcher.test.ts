/** bin/netloom as people start it: through links, into pipes, with signals, on machines without a Node of their own. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const launcher = join(root, 'bin/netloom');
const fixture = fileURLToPath(new URL('cli-fixture.ts', import.meta.url));
let dir = '';
before(() => (dir = mkdtempSync(join(tmpdir(), 'netloom-launcher-'))));
after(() => rmSync(dir, { recursive: true }));

function run(
  file: string,
  args: readonly string[],
  env?: Record<string, string>,
): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(file, [...args], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', HOME: dir, NETLOOM_RUN_DIR: join(dir, 'run'), ...env },
    timeout: 60_000,
  });
}

test('it starts without a note, and keeps compiled code below the home directory', () => {
  const { status, stdout, stderr } = run(launcher, ['version', '--json']);
  assert.equal(stderr, '');
  assert.equal(status, 0);
  assert.equal((JSON.parse(stdout) as { mode: string }).mode, 'in-process');
  assert.ok(readdirSync(join(dir, '.cache/netloom/node')).length > 0);
});
test('a home that belongs to somebody else gets no cache', () => {
  const { status } = run(launcher, ['version'], { HOME: '/nonexistent' });
  assert.equal(status, 0);
});
test('it finds itself through a chain of links, relative and absolute, and from any directory', () => {
  mkdirSync(join(dir, 'links'));
  symlinkSync(launcher, join(dir, 'links/one'));
  symlinkSync('one', join(dir, 'links/two'));
  symlinkSync('links/two', join(dir, 'netloom'));
  assert.equal(run(join(dir, 'netloom'), ['version']).status, 0);
  assert.equal(run('sh', ['-c', 'cd "$0" && ./netloom version', dir]).status, 0);
  assert.equal(run('sh', ['-c', 'cd "$0" && PATH=$PWD:$PATH && netloom version', dir]).status, 0);
});
test('arguments arrive as they were typed', () => {
  const { stderr, status } = run(launcher, [
    'run',
    '--network',
    'name=a b\'c"$x',
    '--ip',
    '10.0.0.1 *',
    '--bogus',
    'true',
  ]);
  assert.equal(status, 125);
  assert.match(stderr, /^netloom: unknown flag --bogus/);
});
for (const [args, status] of [
  [['--help'], 0],
  [['network'], 0],
  [['version'], 0],
  [['nonsense'], 2],
  [['ps', '--bogus'], 2],
  [['--socket', '/nonexistent', 'ps'], 1],
  [['run', '--bogus', 'true'], 125],
  [['--socket', '/nonexistent', 'run', 'true'], 125],
] as const) {
  test(`netloom ${args.join(' ')} ends with ${status}`, () => assert.equal(run(launcher, args).status, status));
}

test('a published package runs its dist, on a Node that npm has put further up', () => {
  const app = join(dir, 'app');
  const home = join(app, 'node_modules/netloom');
  mkdirSync(join(home, 'dist/cli'), { recursive: true });
  cpSync(join(root, 'bin'), join(home, 'bin'), { recursive: true });
  writeFileSync(join(home, 'package.json'), '{"type":"module"}');
  writeFileSync(
    join(home, 'dist/cli/main.js'),
    'console.log(JSON.stringify([process.argv.slice(2), process.version]));',
  );
  const arch = process.arch === 'arm64' ? 'arm64' : 'x64';
  mkdirSync(join(app, `node_modules/node-linux-${arch}/bin`), { recursive: true });
  symlinkSync(process.execPath, join(app, `node_modules/node-linux-${arch}/bin/node`));
  const { stdout, stderr } = run(join(home, 'bin/netloom'), ['a', 'b c']);
  assert.equal(stderr, '');
  assert.deepEqual(JSON.parse(stdout), [['a', 'b c'], process.version]);
});
test("without a Node of its own it takes the machine's, unless that is too old: then it says what to do", () => {
  const home = join(dir, 'alone');
  mkdirSync(join(home, 'dist/cli'), { recursive: true });
  cpSync(join(root, 'bin'), join(home, 'bin'), { recursive: true });
  writeFileSync(join(home, 'package.json'), '{"type":"module"}');
  writeFileSync(join(home, 'dist/cli/main.js'), 'console.log("started");');
  const bin = join(dir, 'machine');
  mkdirSync(bin);
  symlinkSync(process.execPath, join(bin, 'node'));
  const tools = '/usr/bin:/bin';
  const good = run(join(home, 'bin/netloom'), [], { PATH: `${bin}:${tools}` });
  assert.equal(good.stdout, 'started\n', good.stderr);
  rmSync(join(bin, 'node'));
  writeFileSync(join(bin, 'node'), '#!/bin/sh\n[ "$1" = --version ] && echo v20.1.0 && exit\nexit 1\n', {
    mode: 0o755,
  });
  const old = run(join(home, 'bin/netloom'), [], { PATH: `${bin}:${tools}` });
  assert.equal(old.status, 125);
  assert.match(old.stderr, /^netloom: needs Node 24\.15 or later, and found only v20\.1\.0[^]*\n {2}npm install/);
});

test('a reader that goes away ends it quietly', () => {
  const { stderr, status } = run('bash', ['-c', `'${launcher}' --help | true; exit "\${PIPESTATUS[0]}"`]);
  assert.equal(stderr, '');
  assert.equal(status, 0);
});

/** Starts the fixture and waits until the command that it runs has said `ready`. */
async function started(
  script: string,
  args: readonly string[],
): Promise<{ child: ReturnType<typeof spawn>; said: () => string }> {
  const child = spawn(process.execPath, [fixture, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, FIXTURE_RUN: script },
  });
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.once('exit', () => reject(new Error(`ended early, saying "${said}"`)));
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes('ready')) resolve();
    });
  });
  return { child, said: () => said };
}
for (const [signal, status] of [
  ['SIGTERM', 43],
  ['SIGINT', 43],
  ['SIGHUP', 43],
] as const) {
  test(`run hands ${signal} to its command and ends with the command's status`, async () => {
    const { child } = await started(
      'trap "exit 43" TERM INT HUP; echo ready; while :; do read line || read line < /dev/zero; done',
      ['run', '-i', 'x'],
    );
    child.kill(signal);
    const [code] = (await once(child, 'exit')) as [number];
    assert.equal(code, status);
  });
}
test('standard input reaches the command with -i, and is empty without', async () => {
  const without = spawnSync(process.execPath, [fixture, 'run', 'x'], {
    input: 'hello',
    encoding: 'utf8',
    env: { ...process.env, FIXTURE_RUN: 'cat' },
  });
  assert.equal(without.stdout, '');
  const given = spawnSync(process.execPath, [fixture, 'run', '-i', 'x'], {
    input: 'hello',
    encoding: 'utf8',
    env: { ...process.env, FIXTURE_RUN: 'cat; exit 9' },
  });
  assert.equal(given.stdout, 'hello');
  assert.equal(given.status, 9);
});
