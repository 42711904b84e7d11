// runs: here in one mode (what is refused before anything is done)
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Netns } from '../../src/kernel/index.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { ADDRESS } from '../lib/host.ts';
import { tcpServer, udpEcho } from '../lib/peer.ts';
import { ipBatch, okIn, run, runIn, type RunResult } from '../lib/run.ts';
import { snapshot } from '../lib/snapshot.ts';

const NETLOOM = fileURLToPath(new URL('../../bin/netloom', import.meta.url));

/** The command line as a person types it, on the test's own machine, without a daemon. */
function netloom(bed: EngineBed, ...args: string[]): Promise<RunResult> {
  return runIn(bed.host.netns, [NETLOOM, ...args], {
    env: { NETLOOM_STATE_DIR: bed.paths.stateDir, NETLOOM_RUN_DIR: bed.paths.runDir },
  });
}

/** Fails with a status, says why in one line and what to do in at most one more, and changes nothing. */
async function refuses(bed: EngineBed, args: readonly string[], why: RegExp, status = 1): Promise<void> {
  const before = await everything(bed);
  const result = await netloom(bed, ...args);
  const said = `netloom ${args.join(' ')}: ${result.stderr}`;
  assert.equal(result.status, status, said);
  assert.equal(result.stdout, '', said);
  const lines = result.stderr.trimEnd().split('\n');
  assert.match(lines[0] ?? '', /^netloom: /, said);
  assert.match(lines[0] ?? '', why, said);
  assert.ok(lines.length <= 2, said);
  assert.deepEqual(await everything(bed), before, `${said} changed something`);
}

async function everything(bed: EngineBed): Promise<unknown> {
  return {
    host: await snapshot(bed.host.netns),
    networks: (await bed.engine.networkList()).map((n) => n.name),
    containers: (await bed.engine.containerList({ all: true })).map((c) => c.name),
    endpoints: (await bed.engine.endpointList()).map((e) => e.addresses),
  };
}

test('networks: what cannot be is refused by one clear line and changes nothing', async () => {
  await using bed = await makeEngineBed();
  await bed.engine.networkCreate({ name: 'web', subnets: [{ subnet: '172.30.0.0/24' }] });
  await ipBatch(bed.host.netns, [
    `route add 10.8.0.0/16 via ${ADDRESS.outside}`,
    `route add 10.9.0.0/16 via ${ADDRESS.outside} table 77`,
  ]);
  const create = (...rest: string[]): string[] => ['network', 'create', ...rest];
  await refuses(
    bed,
    create('--subnet', '172.30.0.128/25', 'x'),
    /172\.30\.0\.128\/25 overlaps 172\.30\.0\.0\/24 of network web/,
  );
  await refuses(bed, create('--subnet', '10.8.4.0/24', 'x'), /10\.8\.4\.0\/24 overlaps .*route to 10\.8\.0\.0\/16/);
  await refuses(bed, create('--subnet', '10.9.0.0/24', 'x'), /10\.9\.0\.0\/24 overlaps .*route to 10\.9\.0\.0\/16/);
  await refuses(bed, create('--subnet', '192.0.2.0/24', 'x'), /overlaps .*192\.0\.2\.(0|1)\/24/);
  await refuses(
    bed,
    create('--subnet', '172.31.0.0/24', '--gateway', '172.31.1.1', 'x'),
    /gateway 172\.31\.1\.1 is outside/,
  );
  await refuses(bed, create('--subnet', '172.31.0.7/24', 'x'), /172\.31\.0\.7\/24/);
  await refuses(bed, create('--subnet', '172.31.0.0/33', 'x'), /172\.31\.0\.0\/33/);
  await refuses(bed, create('web'), /"web" exists already/);
  await refuses(bed, create('a/b'), /a\/b/);
  await refuses(bed, create('x'.repeat(64)), /x{64}/);
  await refuses(bed, create('-o', 'mtv=1400', 'x'), /no option "mtv"/);
  await refuses(bed, create('-o', 'mtu=12', 'x'), /mtu/);
  await refuses(bed, create('--driver', 'brigde', 'x'), /no driver "brigde".*bridge/);
  await refuses(bed, create('-o', 'name=a-very-long-bridge-name', 'x'), /a-very-long-bridge-name/);
  await refuses(bed, ['network', 'rm', 'nosuch'], /no network "nosuch"/);
  await refuses(bed, ['network', 'rm', 'host'], /built in|predefined/);
  // other drivers, and what is below them
  const on = (driver: string, ...options: string[]): string[] =>
    create('--driver', driver, ...options.flatMap((option) => ['-o', option]), 'x');
  await refuses(bed, on('macvlan', 'parent=eth7'), /no interface "eth7".*did you mean "eth0"/);
  await refuses(bed, on('macvlan', 'parent=lo'), /loopback/);
  await refuses(bed, on('macvlan', 'parent=eth0', 'vlan=5000'), /1 to 4094/);
  await refuses(bed, on('macvlan', 'parent=eth0', 'macvlan_mode=brigde'), /did you mean "bridge"/);
  await refuses(bed, on('macvlan', 'parent=eth0', 'mtu=9000'), /eth0 carries 1500/);
  await refuses(bed, on('macvlan', 'parent=eth0', 'sources=02:00:00:00:00:01'), /only the mode source/);
  await refuses(bed, on('macvlan', 'ipam=dhcp'), /give parent/);
  await refuses(bed, on('ipvlan', 'parent=eth0', 'ipvlan_mode=l3', 'ipam=dhcp'), /carries no broadcasts/);
  await refuses(bed, on('ipvlan', 'parent=eth0', 'ipvlan_flag=open'), /one of bridge, private, vepa/);
  await refuses(bed, on('ipvlan', 'parent=eth0', 'macvlan_mode=bridge'), /no option "macvlan_mode"/);
  await refuses(bed, on('bridge', 'gateway_mode=isolated'), /only an internal network/);
  await refuses(bed, on('bridge', 'gateway_mode_ipv6=router'), /did you mean "routed"/);
  await refuses(bed, on('bridge', 'ipam=dhpc'), /did you mean "dhcp"/);
  // a bridge of that name that is not ours
  await ipBatch(bed.host.netns, ['link add theirs type bridge']);
  await refuses(bed, create('-o', 'name=theirs', 'x'), /theirs/);
});

test('endpoints: what cannot be is refused by one clear line and changes nothing', async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web', subnets: [{ subnet: '172.30.0.0/24' }] });
  await engine.networkCreate({ name: 'tiny', subnets: [{ subnet: '172.31.0.0/30' }] });
  await engine.networkCreate({ name: 'inside', internal: true, subnets: [{ subnet: '172.31.1.0/24' }] });
  const [a, b] = [await bed.workload('a'), await bed.workload('b')];
  await engine.endpointAttach({
    netns: a.path,
    network: 'web',
    addresses: ['172.30.0.9'],
    ports: [{ protocol: 'tcp', hostPort: 8080, containerPort: 80, count: 1 }],
  });
  await engine.endpointAttach({ netns: a.path, network: 'tiny' });
  const attach = (...rest: string[]): string[] => ['endpoint', 'attach', ...rest];
  await refuses(bed, attach('--ip', '172.30.0.9', b.path, 'web'), /172\.30\.0\.9 .*taken/);
  await refuses(bed, attach('--ip', '172.30.0.1', b.path, 'web'), /172\.30\.0\.1 .*taken.*gateway/);
  await refuses(bed, attach('--ip', '172.40.0.9', b.path, 'web'), /172\.40\.0\.9 is outside network web/);
  await refuses(bed, attach(b.path, 'tiny'), /tiny has no free address left/);
  await refuses(bed, attach('--ip', '172.30.0.300', b.path, 'web'), /172\.30\.0\.300/);
  await refuses(bed, attach('-p', '8080:80', b.path, 'web'), /8080.*published by/);
  await refuses(bed, attach('-p', '8000-8100:8000-8100', b.path, 'web'), /published by/);
  await refuses(bed, attach('-p', '80:80', b.path, 'inside'), /"inside" is internal/);
  await refuses(bed, attach('-p', '99999:80', b.path, 'web'), /99999/, 2);
  await refuses(
    bed,
    attach('-p', `${ADDRESS.internet}:80:80`, b.path, 'web'),
    new RegExp(ADDRESS.internet.replaceAll('.', '\\.')),
  );
  await using _tcp = await tcpServer(host.netns, '127.0.0.1', 9000);
  await using _udp = await udpEcho(host.netns, ADDRESS.host, 9001);
  await refuses(bed, attach('-p', '9000:80', b.path, 'web'), /tcp port 9000 .*in use by another program/);
  await refuses(bed, attach('-p', '9001:80/udp', b.path, 'web'), /udp port 9001 .*in use by another program/);
  await refuses(bed, attach(`${b.path}-gone`, 'web'), /-gone/);
  await refuses(bed, attach('/etc/passwd', 'web'), /\/etc\/passwd is not a network namespace/);
  await refuses(bed, attach(b.path, 'nosuch'), /no network "nosuch"/);
  await refuses(bed, ['network', 'rm', 'web'], /"web" has 1 endpoint/);
  await refuses(bed, ['endpoint', 'detach', 'f00'], /no endpoint "f00"/);
  // a name inside that is taken by something that is not ours
  await ipBatch(b.netns, ['link add eth0 type bridge']);
  await refuses(bed, attach(b.path, 'web'), /eth0/);
});

test('a namespace that vanished after it was attached can still be detached', async () => {
  await using bed = await makeEngineBed();
  await bed.engine.networkCreate({ name: 'web' });
  const path = `${bed.paths.netnsDir}/short`;
  {
    using netns = Netns.create();
    netns.pin(path);
  }
  const before = await snapshot(bed.host.netns);
  const { value } = await bed.engine.endpointAttach({
    netns: path,
    network: 'web',
    ports: [{ protocol: 'tcp', hostPort: 0, containerPort: 80, count: 1 }],
  });
  Netns.unpin(path);
  const { status, stderr } = await netloom(bed, 'endpoint', 'detach', value.id);
  assert.equal(status, 0, stderr);
  assert.deepEqual(await snapshot(bed.host.netns), before);
});

test('no privilege, a store of a newer version and a full disk are each one clear line', async () => {
  await using bed = await makeEngineBed();
  // an unprivileged user who can write where it is told to, but not touch the kernel
  const dir = `${bed.dirs.root}/unprivileged`;
  mkdirSync(dir, { mode: 0o777 });
  const unprivileged = process.getuid?.() === 0 && !(await inUserNamespace());
  if (unprivileged) {
    await run(['chmod', '0755', bed.dirs.root]);
    await run(['chmod', '0777', dir]);
    const drop = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    const env = { NETLOOM_STATE_DIR: `${dir}/state`, NETLOOM_RUN_DIR: `${dir}/run`, XDG_CACHE_HOME: dir };
    const { status, stderr } = await runIn(bed.host.netns, [...drop, NETLOOM, 'network', 'create', 'x'], { env });
    assert.equal(status, 1, stderr);
    assert.match(stderr, /^netloom: .*(EPERM|EACCES|not permitted|privilege|root)/);
    assert.ok(stderr.trimEnd().split('\n').length <= 2, stderr);
  }

  const newer = `${bed.dirs.root}/newer`;
  mkdirSync(newer);
  const env = { NETLOOM_STATE_DIR: newer, NETLOOM_RUN_DIR: `${newer}/run` };
  assert.equal((await runIn(bed.host.netns, [NETLOOM, 'network', 'ls'], { env })).status, 0);
  const database = new DatabaseSync(`${newer}/netloom.db`);
  database.exec('PRAGMA user_version = 9999');
  database.close();
  const before = await snapshot(bed.host.netns);
  const result = await runIn(bed.host.netns, [NETLOOM, 'network', 'create', 'x'], { env });
  assert.equal(result.status, 1, result.stderr);
  assert.match(result.stderr, /^netloom: .*newer/);
  assert.deepEqual(await snapshot(bed.host.netns), before);

  const small = `${bed.dirs.root}/small`;
  mkdirSync(small);
  await run(['mount', '-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', small]);
  try {
    await run(['dd', 'if=/dev/zero', `of=${small}/filler`, 'bs=4k']);
    const full = await runIn(bed.host.netns, [NETLOOM, 'network', 'create', 'x'], {
      env: { NETLOOM_STATE_DIR: small, NETLOOM_RUN_DIR: `${bed.dirs.root}/run2` },
    });
    assert.equal(full.status, 1, full.stderr);
    assert.match(full.stderr, /^netloom: .*(full|ENOSPC|no space|room)/i);
    assert.deepEqual(await snapshot(bed.host.netns), before);
  } finally {
    await run(['umount', small]);
  }
});

async function inUserNamespace(): Promise<boolean> {
  using own = Netns.current();
  return !(await okIn(own, ['cat', '/proc/self/uid_map'])).trim().endsWith('4294967295');
}

test('a choice about published ports that is none is refused, by flag and by environment, before anything is opened', async () => {
  await using bed = await makeEngineBed();
  const { stateDir, runDir } = bed.paths;
  const env = { NETLOOM_STATE_DIR: stateDir, NETLOOM_RUN_DIR: runDir };
  const daemon = (...args: string[]): Promise<RunResult> =>
    runIn(bed.host.netns, [NETLOOM, 'daemon', ...args], { env: { ...env, NETLOOM_PUBLISHED_PORTS: 'maybe' } });
  const byEnvironment = await daemon();
  assert.equal(byEnvironment.status, 2, byEnvironment.stderr);
  assert.match(byEnvironment.stderr, /^netloom: NETLOOM_PUBLISHED_PORTS is "maybe"\n.*obey or open/);
  const byFlag = await daemon('--published-ports', 'perhaps');
  assert.equal(byFlag.status, 2, byFlag.stderr);
  assert.match(byFlag.stderr, /^netloom: .*perhaps/);
});
