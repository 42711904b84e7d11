/** What is published, as its users have it: no sources, the program in few files, modules for those who import it. */
// runs: here in one mode (what is published)
import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client } from '../../src/api/client.ts';
import { Netns } from '../../src/kernel/index.ts';
import { writeShim } from '../../src/cli/shim-file.ts';
import { makeDirs } from '../lib/dirs.ts';
import { makeHost } from '../lib/host.ts';
import { okIn, run, runIn, startIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'netloom-package-'));
const unpacked = join(dir, 'package');
const launcher = join(unpacked, 'bin/netloom');
after(() => rmSync(dir, { recursive: true }));
before(async () => {
  const { files } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { files: string[] };
  // what is built goes beside what is copied: the checkout itself may belong to somebody else
  for (const file of ['package.json', ...files.filter((each) => !/^(dist|prebuilt|native)\b/.test(each))])
    cpSync(join(root, file), join(unpacked, file), { recursive: true });
  // of the sources, in whose place tests may see what is bundled already (test/lib/in-namespace.sh)
  const compile = 'umount src/cli/main.ts src/cli/called.ts 2>/dev/null; exec sh tools/compile.sh "$0"';
  const argv = ['unshare', '--mount', 'sh', '-c', compile, join(unpacked, 'dist')];
  const compiled = await run(argv, { cwd: root, timeout: 60_000 });
  assert.equal(compiled.status, 0, compiled.stderr);
  const prebuilt = join(unpacked, 'prebuilt', process.arch);
  for (const file of ['netloom.node', 'netloom-shim', 'netloom-call', 'netloom-line'])
    cpSync(join(root, 'native/build', file), join(prebuilt, file), { recursive: true });
  // what npm would install beside it, for those who import it: the Node that is brought along too
  symlinkSync(join(root, 'node_modules'), join(unpacked, 'node_modules'));
});

test('the program runs a container with a published port, by a daemon and without', async () => {
  await using host = await makeHost();
  using dirs = makeDirs();
  const env = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: dir,
    NETLOOM_STATE_DIR: dirs.stateDir,
    NETLOOM_RUN_DIR: dirs.runDir,
  };
  const ok = async (line: string): Promise<string> => {
    const { status, stdout, stderr } = await runIn(host.netns, [launcher, ...line.split(' ')], { env });
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' }, line);
    return stdout;
  };
  assert.match(await ok('version'), /in this process/);
  await ok('network create web');
  await ok('run -d --name one --network web -p 8080:80 sleep 1000');

  const socket = join(dirs.runDir, 'netloom.sock');
  await using daemon = startIn(host.netns, [launcher, 'daemon'], { env });
  await using client = await until('the daemon answers', async () => {
    if (daemon.child.exitCode !== null) throw new Error(daemon.output());
    return await Client.connect(socket);
  });
  assert.equal((await client.version()).mode, 'daemon');
  assert.match(await ok('port one'), /^80\/tcp -> 0\.0\.0\.0:8080$/m);
  // the end of its command is told by the program to itself
  await ok('kill one');
  await until('the container has ended', async () => /Exited/.test(await ok('ps -a')));
  await ok('rm one');
  await ok('network rm web');
});

test('the template of a CNI configuration is found', async () => {
  const { status, stdout, stderr } = await run([launcher, 'cni', 'install', '--print', '--network', 'pods']);
  assert.equal(status, 0, stderr);
  assert.equal((JSON.parse(stdout) as { name: string }).name, 'pods');
});

test('its modules are imported under the names that it says', async () => {
  const file = join(unpacked, 'probe.mjs');
  const names = ['', '/addr', '/kernel', '/netlink', '/rtnetlink', '/nftables', '/conntrack', '/client', '/cni'];
  writeFileSync(file, names.map((name) => `await import('netloom${name}');`).join('\n'));
  const { status, stderr } = await run([process.execPath, file]);
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
});

/** Types as whoever imports them has them, and no others. */
async function checkTypes(dir: string, files: readonly string[]): Promise<void> {
  const options = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2024', '--types', 'node'];
  const argv = [join(root, 'node_modules/.bin/tsc'), ...options, '--lib', 'es2024,esnext.disposable', ...files];
  const { status, stdout } = await run(argv, { cwd: dir, timeout: 60_000 });
  assert.equal(status, 0, stdout);
}

test('the lines that the README shows run as they stand, and leave nothing', async () => {
  await using host = await makeHost();
  const [, lines] = /```ts\n(import [^]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? [];
  assert.ok(lines);
  writeFileSync(join(unpacked, 'readme.ts'), lines);
  await checkTypes(unpacked, ['readme.ts']);
  const { status, stdout, stderr } = await runIn(host.netns, [process.execPath, join(unpacked, 'readme.ts')]);
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  assert.match(stdout, /172\.\d+\.0\.2\/\d+.*port \d+/s);
  const links = JSON.parse(await okIn(host.netns, ['ip', '-j', 'link'])) as { ifname: string }[];
  assert.deepEqual(links.map((link) => link.ifname).toSorted(), ['eth0', 'lo']);
});

test('the example of a sandbox service needs no more than what is published', async () => {
  const names = {
    '../../src/index.ts': 'netloom',
    '../../src/addr/index.ts': 'netloom/addr',
    '../../src/nftables/index.ts': 'netloom/nftables',
  };
  for (const file of ['sandbox.ts', 'demo.ts']) {
    let text = readFileSync(join(root, 'examples/sandbox', file), 'utf8');
    for (const [path, name] of Object.entries(names)) text = text.replaceAll(`'${path}'`, `'${name}'`);
    assert.doesNotMatch(text, /src\//);
    writeFileSync(join(unpacked, file), text.replaceAll("'./sandbox.ts'", "'./sandbox.js'"));
  }
  await checkTypes(unpacked, ['sandbox.ts', 'demo.ts']);
});

test('it carries the notices of what became part of it, and no source or test', () => {
  assert.ok(existsSync(join(unpacked, 'dist/NOTICES')));
  assert.ok(!existsSync(join(unpacked, 'src')) && !existsSync(join(unpacked, 'test')));
  assert.ok(readdirSync(join(unpacked, 'dist/cli')).length < 130);
});

test('the shim of calls becomes the program where no daemon is, and what that compiles is kept', async () => {
  await using host = await makeHost();
  using dirs = makeDirs();
  const shim = join(dirs.root, 'netloom');
  writeShim(shim, { program: launcher, socket: join(dirs.runDir, 'call.sock') });
  using pod = Netns.create();
  const netns = join(dirs.root, 'pod');
  pod.pin(netns);
  using undo = new DisposableStack();
  undo.defer(() => Netns.unpin(netns));
  const call = async (verb: string): Promise<void> => {
    const { status, stdout } = await runIn(host.netns, [shim], {
      env: {
        ...{ HOME: '', NODE_COMPILE_CACHE: '' }, // what a service starts has none
        NETLOOM_STATE_DIR: dirs.stateDir,
        NETLOOM_RUN_DIR: dirs.runDir,
        ...{ CNI_COMMAND: verb, CNI_CONTAINERID: 'pod', CNI_NETNS: netns, CNI_IFNAME: 'eth0', CNI_PATH: '/x' },
      },
      input: JSON.stringify({ cniVersion: '1.1.0', name: 'pods', type: 'netloom' }),
    });
    assert.equal(status, 0, stdout);
  };
  const cache = '/var/cache/netloom/node';
  const kept = (): string[] => readdirSync(cache).filter((name) => name.startsWith('called-'));
  mkdirSync(cache, { recursive: true });
  writeFileSync(join(cache, 'called-OLD.cjs-ADD'), 'of an earlier release');
  await call('ADD');
  assert.match((await runIn(pod, ['ip', '-o', 'link', 'show', 'eth0'])).stdout, /eth0/);
  await call('DEL');
  assert.deepEqual(
    kept()
      .map((name) => name.replace(/.*-/, ''))
      .toSorted(),
    ['ADD', 'DEL'],
  );
  const first = kept().map((name) => [name, statSync(join(cache, name)).mtimeMs]);
  await call('ADD');
  assert.deepEqual(
    kept().map((name) => [name, statSync(join(cache, name)).mtimeMs]),
    first,
  );
  // what another Node left there is not taken, and replaced
  for (const name of kept()) writeFileSync(join(cache, name), 'spoiled');
  await call('DEL');
  assert.ok(kept().some((name) => name.endsWith('-DEL') && statSync(join(cache, name)).size > 100_000));
});
