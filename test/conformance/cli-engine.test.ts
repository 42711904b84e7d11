/** The real launcher on the real engine, in a host of the test's own: what people type, from seed 004 on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeDirs } from '../lib/dirs.ts';
import { makeHost } from '../lib/host.ts';
import { run, runIn } from '../lib/run.ts';
import type { RunResult } from '../lib/run.ts';

const launcher = fileURLToPath(new URL('../../bin/netloom', import.meta.url));

test("seed 004's commands, and the life of a container", async (t) => {
  await using host = await makeHost();
  using dirs = makeDirs();
  // A directory of PATH that may not be read would make 126 of every 127: execvp(3).
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', NETLOOM_STATE_DIR: dirs.stateDir, NETLOOM_RUN_DIR: dirs.runDir };
  const netloom = (...args: string[]): Promise<RunResult> => runIn(host.netns, [launcher, ...args], { env });
  const ok = async (...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await netloom(...args);
    assert.equal(stderr, '');
    assert.equal(status, 0);
    return stdout;
  };

  await t.test('network create, run -itd, ps, port, exec', async () => {
    const id = await ok(
      ...'network create --driver bridge --subnet 192.168.0.0/16 --gateway 192.168.0.1 mynet'.split(' '),
    );
    assert.match(id, /^[0-9a-f]{64}\n$/);
    for (const name of ['busybox-01', 'busybox-02']) {
      assert.match(await ok('run', '-itd', '--name', name, '--network', 'mynet', 'sleep', '1000'), /^[0-9a-f]{64}\n$/);
    }
    assert.match(await ok(...'run -itd --name=mynginx -p 8888:80 sleep 1000'.split(' ')), /^[0-9a-f]{64}\n$/);
    assert.deepEqual((await ok('ps', '--format', '{{.Names}}')).trim().split('\n').toSorted(), [
      'busybox-01',
      'busybox-02',
      'mynginx',
    ]);
    assert.match(await ok('port', 'mynginx'), /^80\/tcp -> 0\.0\.0\.0:8888$/m);
    const address = await ok('inspect', '-f', '{{.NetworkSettings.Networks.mynet.IPAddress}}', 'busybox-02');
    assert.match(address, /^192\.168\.0\.\d+\n$/);
    assert.match(await ok('exec', 'busybox-01', 'ping', '-c', '1', '-W', '5', address.trim()), / 0% packet loss/);
  });

  await t.test('run in the foreground passes status and signals', async () => {
    assert.equal((await netloom('run', '--rm', 'sh', '-c', 'exit 5')).status, 5);
    assert.equal((await netloom('run', '--rm', 'sh', '-c', 'kill -9 $$')).status, 137);
    assert.equal((await netloom('run', '--rm', 'nosuchcommand')).status, 127);
    assert.equal((await netloom('run', '--rm', '/etc/passwd')).status, 126);
    assert.equal((await netloom('run', '--rm', '--network', 'nosuch', 'true')).status, 125);
    assert.equal((await netloom('run', '-d', 'nosuchcommand')).status, 127);
    const left = await netloom('run', '--name', 'left', 'nosuchcommand');
    assert.equal(left.status, 127);
    assert.equal(await ok('endpoint', 'ls', '--format', '{{.Container}}').then((text) => text.includes('left')), false);
    await ok('rm', 'left');
    assert.equal(await ok('ps', '-a', '--format', '{{.Names}}').then((text) => text.trim().split('\n').length), 3);
  });

  await t.test('exec has its own directory and environment', async () => {
    const result = await netloom('exec', '-w', '/tmp', '-e', 'X=7', 'busybox-01', 'sh', '-c', 'pwd; exit $X');
    assert.deepEqual(result, { status: 7, stdout: '/tmp\n', stderr: '' });
  });

  await t.test('--dry-run changes nothing, and is a script', async () => {
    const before = await ok('--json', 'network', 'ls');
    const script = await ok('network', 'create', '--dry-run', '--subnet', '10.77.0.0/24', 'trial');
    assert.match(script, /^# .*\n/);
    assert.equal(await ok('--json', 'network', 'ls'), before);
    assert.equal((await run(['sh', '-n', '-c', script])).status, 0);
  });

  await t.test('pool create, ls, inspect, rm', async () => {
    const id = await ok('pool', 'create', '--subnet', '10.78.0.0/24', '--gateway', 'none', 'lab');
    assert.equal(await ok('pool', 'create', 'lab'), id);
    assert.equal(await ok('pool', 'ls', '--format', '{{.Name}} {{.Subnet}}{{.Gateway}}'), 'lab 10.78.0.0/24\n');
    assert.deepEqual(JSON.parse(await ok('pool', 'inspect', '-f', '{{json .Allocations}}', id.slice(0, 9))), []);
    const other = await netloom('pool', 'create', '--subnet', '10.78.0.0/25');
    assert.deepEqual([other.status, other.stdout], [1, '']);
    assert.match(other.stderr, /^netloom: subnet 10\.78\.0\.0\/25 overlaps 10\.78\.0\.0\/24 of address pool lab\n/);
    assert.equal(await ok('pool', 'rm', 'lab'), 'lab\n');
    assert.equal((await netloom('pool', 'rm', 'lab')).stderr.split('\n')[0], 'netloom: no address pool "lab"');
  });

  await t.test('bad input is one clear line with its own status, and changes nothing', async () => {
    const before = await ok('--json', 'network', 'ls');
    for (const args of [
      'network create --subnet 192.168.5.0/24 x',
      'network create --subnet 10.1.0.0/24 --gateway 10.2.0.1 x',
      'network rm mynet',
      'network rm nosuch',
      'network create -o nosuch=1 x',
    ]) {
      const { status, stdout, stderr } = await netloom(...args.split(' '));
      assert.equal(status, 1, args);
      assert.equal(stdout, '');
      assert.match(stderr, /^netloom: [^\n]+\n( {2}[^\n]+\n)?$/);
    }
    assert.equal(await ok('--json', 'network', 'ls'), before);
  });

  await t.test('logs, wait, stop, start, rm, prune', async () => {
    await ok('run', '-d', '--name', 'job', 'sh', '-c', 'echo out; echo err >&2; exit 3');
    assert.equal(await ok('wait', 'job'), '3\n');
    assert.equal(await ok('logs', '-f', 'job'), 'out\nerr\n');
    assert.equal(await ok('start', 'job'), 'job\n');
    assert.equal(await ok('wait', 'job'), '3\n');
    assert.equal(await ok('stop', '-t', '5', 'busybox-01', 'busybox-02'), 'busybox-01\nbusybox-02\n');
    assert.equal((await netloom('rm', 'mynginx')).status, 1);
    assert.equal(
      await ok('rm', '-f', 'mynginx', 'busybox-01', 'busybox-02', 'job'),
      'mynginx\nbusybox-01\nbusybox-02\njob\n',
    );
    assert.match(await ok('network', 'prune'), /^Deleted Networks:\n[^]*mynet\n/);
    assert.equal(await ok('ps', '-aq'), '');
  });
});
