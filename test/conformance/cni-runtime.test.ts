/** `netloom cni` as a runtime: the reference plugins, and netloom's own as it is installed. */
// runs: here in one mode (what plugins need, cni-plugin shows in both)
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { ADDRESS } from '../lib/host.ts';
import { buildReference } from '../lib/libcni.ts';
import { ping, tcpConnect, tcpServer } from '../lib/peer.ts';
import { okIn, type RunOptions, type RunResult, runIn, startIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

const NETLOOM = fileURLToPath(new URL('../../bin/netloom', import.meta.url));

interface Runtime {
  readonly confDir: string;
  readonly cacheDir: string;
  readonly binDir: string;
  conf(file: string, content: object): void;
  cni(words: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** As `cni`, for what must succeed; the JSON of it. */
  json<T>(words: readonly string[]): Promise<T>;
}

/** Configurations, plugins and results of a test's own. */
function runtime(bed: EngineBed): Runtime {
  const at = (name: string): string => join(bed.dirs.root, name);
  const [confDir, cacheDir, binDir] = [at('net.d'), at('cache'), at('bin')];
  for (const dir of [confDir, binDir]) mkdirSync(dir, { recursive: true });
  const cni: Runtime['cni'] = ([verb = '', ...words], options = {}) => {
    const cached = verb === 'install' || verb === 'uninstall' ? [] : ['--cache-dir', cacheDir];
    return runIn(bed.host.netns, [NETLOOM, 'cni', verb, ...cached, ...words], {
      ...options,
      env: {
        NETLOOM_STATE_DIR: bed.paths.stateDir,
        NETLOOM_RUN_DIR: bed.paths.runDir,
        NETCONFPATH: confDir,
        CNI_PATH: `${binDir}:/usr/lib/cni`,
        ...options.env,
      },
    });
  };
  return {
    ...{ confDir, cacheDir, binDir, cni },
    conf: (file, content) => writeFileSync(join(confDir, file), JSON.stringify(content)),
    json: async <T>(words: readonly string[]) => {
      const { status, stdout, stderr } = await cni([...words, '--json']);
      assert.equal(status, 0, stderr);
      return JSON.parse(stdout) as T;
    },
  };
}

interface Result {
  readonly interfaces: readonly { readonly name: string; readonly sandbox?: string }[];
  readonly ips: readonly { readonly address: string; readonly interface?: number }[];
}
const bare = (address = ''): string => address.replace(/\/.*/, '');

test('a chain of the reference plugins: added, reached, checked, deleted', async () => {
  await using bed = await makeEngineBed();
  const { confDir, cacheDir, conf, cni, json } = runtime(bed);
  await okIn(bed.host.netns, ['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
  const ipam = {
    type: 'host-local',
    ranges: [[{ subnet: '10.7.0.0/24' }]],
    routes: [{ dst: '0.0.0.0/0' }],
    dataDir: join(bed.dirs.root, 'leases'),
  };
  conf('10-chain.conflist', {
    ...{ name: 'chain', cniVersion: '1.0.0' },
    plugins: [
      {
        type: 'bridge',
        bridge: 'cni0',
        isGateway: true,
        hairpinMode: true,
        capabilities: { ips: true, mac: true },
        ipam,
      },
      { type: 'tuning', sysctl: { 'net.ipv4.conf.eth0.log_martians': '1' } },
      { type: 'bandwidth', capabilities: { bandwidth: true } },
      { type: 'portmap', capabilities: { portMappings: true } },
      { type: 'firewall' },
    ],
  });
  conf('20-lo.conf', { name: 'lo', cniVersion: '0.4.0', type: 'loopback' });
  const [a, b] = [await bed.workload('a'), await bed.workload('b')];

  const rates = 'bandwidth={"ingressRate": 100000000, "ingressBurst": 10000000}';
  const one = await json<Result>([
    'add',
    '-p',
    '8080:80',
    '--mac',
    '02:00:00:00:07:01',
    '--capability',
    rates,
    'chain',
    a.path,
  ]);
  const two = await json<Result>(['add', '--capability', rates, 'chain', b.path]);
  assert.deepEqual(one.interfaces.at(-1), { name: 'eth0', mac: '02:00:00:00:07:01', sandbox: a.path });
  const links = JSON.parse(await okIn(a.netns, ['ip', '-j', 'link', 'show', 'eth0'])) as { address: string }[];
  assert.equal(links[0]?.address, '02:00:00:00:07:01');
  assert.ok(await ping(a.netns, bare(two.ips[0]?.address)), 'one reaches the other');
  assert.equal((await okIn(a.netns, ['sysctl', '-n', 'net.ipv4.conf.eth0.log_martians'])).trim(), '1');
  {
    await using _server = await tcpServer(a.netns, '0.0.0.0', 80, 'served');
    assert.ok((await tcpConnect(bed.host.outside, ADDRESS.host, 8080)).ok, 'the published port');
  }
  const lo = await cni(['add', '-i', 'lo', 'lo', a.path]);
  assert.equal(lo.status, 0, lo.stderr);
  assert.match(lo.stdout, /^INTERFACE +NAMESPACE +MAC ADDRESS\nlo +\/\S+ +00:00/);

  assert.deepEqual(
    (await json<{ ifName: string; network: string }[]>(['ls', '--attachments']))
      .map(({ network, ifName }) => `${network}:${ifName}`)
      .toSorted(),
    ['chain:eth0', 'chain:eth0', 'lo:lo'],
  );
  // not the one with a port: portmap 1.1.1 misses its own rule of the other family
  const checked = await cni(['check', 'chain', b.path]);
  assert.equal(checked.stdout, 'eth0 is on chain as it was added\n', checked.stderr);
  await okIn(b.netns, ['ip', 'addr', 'flush', 'dev', 'eth0']);
  const broken = await cni(['check', 'chain', b.path]);
  assert.equal(broken.status, 1);
  assert.match(broken.stderr, /^netloom: plugin bridge: CHECK: /);

  // the configuration may be gone by then
  const file = join(confDir, '10-chain.conflist');
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace('"chain"', '"another"'));
  assert.equal((await cni(['del', 'chain', a.path])).stdout, 'eth0 is off chain\n');
  writeFileSync(file, text);
  for (let times = 0; times < 2; times++) {
    const deleted = await cni(['del', 'chain', b.path]);
    assert.equal(deleted.status, 0, deleted.stderr);
  }
  assert.equal((await cni(['del', '-i', 'lo', 'lo', a.path])).status, 0);
  assert.deepEqual(readdirSync(join(cacheDir, 'results')), []);
  assert.deepEqual(
    readdirSync(join(bed.dirs.root, 'leases', 'chain')).filter((name) => name.startsWith('10.')),
    [],
  );
  for (const { netns } of [a, b]) assert.notEqual((await runIn(netns, ['ip', 'link', 'show', 'eth0'])).status, 0);
});

test('netloom’s own plugin, installed, from either library', async () => {
  await using bed = await makeEngineBed();
  const { confDir, cacheDir, binDir, cni, json } = runtime(bed);
  const places = ['--bin-dir', binDir, '--conf-dir', confDir, '--network', 'pods', '--subnet', '10.9.0.0/24'];
  const installed = await json<{ done: string; path: string }[]>(['install', ...places]);
  assert.deepEqual(
    installed.map(({ done, path }) => `${done} ${path}`),
    [`installed ${binDir}/netloom`, `installed ${binDir}/netloom-ipam`, `installed ${confDir}/10-netloom.conflist`],
  );
  const again = await json<{ done: string }[]>(['install', ...places]);
  assert.deepEqual(
    again.map(({ done }) => done),
    ['unchanged', 'unchanged', 'unchanged'],
  );
  assert.match(
    (await cni(['ls'])).stdout,
    /^NETWORK.*\npods +1\.1\.0 +netloom +.*portMappings.*10-netloom\.conflist\n$/,
  );
  assert.equal((await cni(['validate'])).stdout, 'pods: netloom speak 1.1.0\n');
  assert.equal((await cni(['status'])).stdout, 'pods: ready\n');

  const [a, b] = [await bed.workload('a'), await bed.workload('b')];
  const { status, stdout, stderr } = await cni(['add', '-p', '8080:80', '--ip', '10.9.0.9/24', 'pods', a.path]);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^ADDRESS +GATEWAY +INTERFACE\n10\.9\.0\.9\/24 +10\.9\.0\.1 +eth0$/m);
  assert.match(stdout, /^ROUTE +GATEWAY\n0\.0\.0\.0\/0 +10\.9\.0\.1$/m);
  {
    await using _server = await tcpServer(a.netns, '0.0.0.0', 80, 'served');
    assert.ok((await tcpConnect(bed.host.outside, ADDRESS.host, 8080)).ok, 'the published port');
  }
  // the reference library goes on where we left off, and we where it did
  const program = await buildReference(bed.dirs.root);
  const env = { NETLOOM_STATE_DIR: bed.paths.stateDir, NETLOOM_RUN_DIR: bed.paths.runDir };
  const [kept] = await json<{ containerID: string }[]>(['ls', '--attachments']);
  const theirs = (verb: string, containerID: string, netns: string): Promise<RunResult> =>
    // release 1.1 of it knows versions up to 1.0.0
    runIn(bed.host.netns, [program, verb, join(bed.dirs.root, 'older'), 'pods', cacheDir, binDir], {
      env,
      input: JSON.stringify({ containerID, netns, ifName: 'eth0' }),
    });
  mkdirSync(join(bed.dirs.root, 'older'));
  const conflist = readFileSync(join(confDir, '10-netloom.conflist'), 'utf8').replace('1.1.0', '1.0.0');
  writeFileSync(join(bed.dirs.root, 'older', 'x.conflist'), conflist);
  const added = await theirs('add', 'theirs', b.path);
  assert.equal(added.status, 0, added.stderr);
  assert.ok(await ping(a.netns, bare((JSON.parse(added.stdout) as Result).ips[0]?.address)));
  const other = ['--conf-dir', join(bed.dirs.root, 'older'), '--container-id', 'theirs', 'pods', b.path];
  assert.equal((await cni(['check', ...other])).status, 0);
  assert.equal((await cni(['del', ...other])).status, 0);
  const ours = JSON.parse((await cni(['add', ...other, '--json'])).stdout) as Result;
  assert.equal(ours.interfaces.at(-1)?.sandbox, b.path);
  assert.equal((await theirs('check', 'theirs', b.path)).status, 0);
  assert.equal((await theirs('del', 'theirs', b.path)).status, 0);
  assert.deepEqual(
    (await bed.engine.endpointList()).map(({ name }) => name),
    [`cni:pods:${kept?.containerID}:eth0`],
  );

  // GC: what nobody keeps
  assert.deepEqual(await json(['gc', 'pods']), []);
  const collected = await cni(['gc', '--keep', 'somebody:eth0', 'pods']);
  assert.equal(collected.stdout, `${kept?.containerID}:eth0\n`, collected.stderr);
  assert.deepEqual(await bed.engine.endpointList(), []);

  const removed = await json<{ done: string }[]>(['uninstall', ...places.slice(0, 4)]);
  assert.deepEqual(
    removed.map(({ done }) => done),
    ['removed', 'removed', 'removed'],
  );
  assert.deepEqual([...readdirSync(binDir), ...readdirSync(confDir)], []);
});

test('what is not ours is neither replaced nor taken away', async () => {
  await using bed = await makeEngineBed();
  const { confDir, binDir, cni, json } = runtime(bed);
  const places = ['--bin-dir', binDir, '--conf-dir', confDir];
  const conflist = join(confDir, '10-netloom.conflist');
  const states = async (): Promise<string[]> =>
    (await json<{ done: string }[]>(['uninstall', ...places])).map(({ done }) => done);

  writeFileSync(join(binDir, 'netloom-ipam'), '#!/bin/sh\n');
  const refused = await cni(['install', ...places]);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, new RegExp(`not ours: ${binDir}/netloom-ipam\n.*--force`));
  assert.deepEqual([...readdirSync(binDir), ...readdirSync(confDir)], ['netloom-ipam'], 'nothing was installed');
  assert.deepEqual(await states(), ['absent', 'absent', 'kept']);
  assert.equal((await cni(['install', ...places, '--force'])).status, 0);

  writeFileSync(conflist, readFileSync(conflist, 'utf8').replace('"mac": true', '"mac": false'));
  assert.equal((await cni(['install', ...places])).status, 1, 'a changed configuration');
  assert.deepEqual(await states(), ['kept', 'removed', 'removed']);
  assert.equal((await cni(['install', ...places, '--force', '--network', 'x'])).status, 0);
  // ours, for another network; and a link to the program, as one may have made by hand
  symlinkSync(NETLOOM, join(binDir, 'link'));
  assert.equal((await cni(['install', ...places, '--network', 'y'])).stdout.split('\n')[2], `replaced ${conflist}`);
  assert.deepEqual(await states(), ['removed', 'removed', 'removed']);
  assert.ok(!existsSync(conflist));
  assert.equal((await cni(['install', '--print', '--network', 'z'])).stdout.match(/"name": "(.*)"/)?.[1], 'z');
  for (const wrong of [
    ['--name', '../x.conflist'],
    ['--name', 'x.conf'],
    ['--network', 'a b'],
    ['--subnet', '10.0.0.1/8'],
  ])
    assert.notEqual((await cni(['install', ...places, ...wrong])).status, 0, wrong.join(' '));
});

test('errors name file, plugin, code and cure', async () => {
  await using bed = await makeEngineBed();
  const { confDir, conf, cni } = runtime(bed);
  const { path } = await bed.workload('a');
  const fails = async (words: readonly string[], ...what: readonly RegExp[]): Promise<void> => {
    const { status, stderr, stdout } = await cni(words);
    assert.notEqual(status, 0, words.join(' '));
    for (const each of what) assert.match(stderr, each, words.join(' '));
    assert.equal(stdout, '');
  };
  await fails(['add', 'none', path], /no configuration in \S+net\.d has the network "none"/, /There is none at all/);
  conf('1.conflist', { name: 'n', cniVersion: '1.0.0', plugins: [{ type: 'nosuch' }] });
  await fails(['add', 'none', path], /There are n\./);
  await fails(['add', 'n', path], /there is no plugin "nosuch" in \S+bin, \/usr\/lib\/cni/, /--plugin-dir/);
  await fails(['add', 'n', 'nobody'], /there is no namespace \/run\/netns\/nobody/, /ip netns add nobody/);
  await fails(['add', 'n'], /NETNS is missing/);
  await fails(['add', '--args', 'x', 'n', path], /"x" is no argument/);
  await fails(['add', '--capability', 'x={', 'n', path], /--capability: /);
  await fails(['add', '-p', '80', 'n', path], /a host port is wanted/);
  await fails(['add', '--container-id', 'a/b', 'n', path], /"a\/b" is no container id/);
  await fails(['check', 'n', path], /nothing is kept of eth0/, /CHECK needs the result of ADD/);
  conf('1.conflist', { name: 'n', cniVersion: '1.0.0', plugins: [{ type: 'bridge', ipam: { type: 'host-local' } }] });
  await fails(
    ['add', '-p', '80:80', 'n', path],
    /warning: no plugin of "n" declares the capability portMappings/,
    /plugin bridge: ADD: /,
  );
  conf('1.conflist', { name: 'n', cniVersion: '9.0.0', plugins: [{ type: 'bridge' }] });
  await fails(['add', 'n', path], /plugin bridge: ADD: incompatible CNI versions \(code 1, incompatible CNI version\)/);
  await fails(['validate', 'n'], /plugin bridge does not speak version 9\.0\.0/, /It speaks .*1\.0\.0/);
  writeFileSync(join(confDir, '0.conflist'), '{ "name": ');
  await fails(['add', 'n', path], /0\.conflist: is no JSON/, /jq \. \S+0\.conflist/);
  const listed = await cni(['ls']);
  assert.equal(listed.status, 0);
  assert.match(listed.stderr, /warning: \S+0\.conflist: is no JSON/);
  assert.match(listed.stdout, /^n +9\.0\.0 +bridge/m);
});

test('the environment says what it says to cnitool', async () => {
  await using bed = await makeEngineBed();
  const { conf, cni, json } = runtime(bed);
  const subnets = [{ subnet: '10.9.0.0/24' }];
  const capabilities = { ips: true };
  conf('1.conflist', { name: 'n', cniVersion: '1.0.0', plugins: [{ type: 'netloom', subnets, capabilities }] });
  symlinkSync(NETLOOM, join(bed.dirs.root, 'bin', 'netloom'));
  const { path } = await bed.workload('a');
  const env = {
    CNI_IFNAME: 'net7',
    CNI_ARGS: 'IgnoreUnknown=1;MAC=02:00:00:00:00:77',
    CAP_ARGS: '{"ips": ["10.9.0.7/24"]}',
  };
  const { status, stdout, stderr } = await cni(['add', '--json', 'n', path], { env });
  assert.equal(status, 0, stderr);
  const { interfaces, ips } = JSON.parse(stdout) as Result;
  assert.deepEqual(interfaces.at(-1), { name: 'net7', mac: '02:00:00:00:00:77', sandbox: path });
  assert.equal(ips[0]?.address, '10.9.0.7/24');
  const digest = (await okIn(bed.host.netns, ['sh', '-c', `printf %s ${path} | sha512sum | cut -c 1-20`])).trim();
  const [attachment] = await json<{ containerID: string; capabilityArgs: object; cniArgs: unknown }[]>([
    'ls',
    '--attachments',
  ]);
  assert.equal(attachment?.containerID, `cnitool-${digest}`);
  assert.deepEqual(attachment.capabilityArgs, { ips: ['10.9.0.7/24'] });
  assert.equal((await cni(['del', '-i', 'net7', 'n', path])).status, 0);
  assert.deepEqual(await bed.engine.endpointList(), []);
});

test('several networks, through the installed plugin and a daemon', async () => {
  await using bed = await makeEngineBed();
  const { confDir, binDir, cni } = runtime(bed);
  const installed = await cni(['install', '--bin-dir', binDir, '--conf-dir', confDir, '--network', 'pods']);
  assert.equal(installed.status, 0, installed.stderr);
  await bed.engine.networkCreate({ name: 'storage', subnets: [{ subnet: '10.2.0.0/24' }] });
  const { path } = await bed.workload('a');
  const env = { NETLOOM_STATE_DIR: bed.paths.stateDir, NETLOOM_RUN_DIR: bed.paths.runDir };
  await using daemon = startIn(bed.host.netns, [NETLOOM, 'daemon'], { env: { ...process.env, ...env } });
  await until(
    'the daemon listens for calls',
    () => {
      if (!existsSync(join(bed.paths.runDir, 'call.sock'))) throw new Error(daemon.output());
      return true;
    },
    { timeout: 20_000 },
  );
  const added = await cni(['add', '--args', 'NETWORKS=storage@data0', 'pods', path]);
  assert.equal(added.status, 0, added.stderr);
  assert.match(added.stdout, /^10\.2\.0\.\d+\/24 +10\.2\.0\.1 +data0$/m);
  assert.equal((await bed.engine.endpointList()).length, 2);
  assert.equal((await cni(['check', 'pods', path])).status, 0, 'told of the same arguments');
  assert.equal((await cni(['del', 'pods', path])).status, 0);
  assert.deepEqual(await bed.engine.endpointList(), []);
});

test('examples/cni-runtime, as its page says', async () => {
  await using bed = await makeEngineBed();
  const { confDir, binDir, cacheDir, cni } = runtime(bed);
  const installed = await cni(['install', '--bin-dir', binDir, '--conf-dir', confDir]);
  assert.equal(installed.status, 0, installed.stderr);
  const { path } = await bed.workload('blue');
  const example = fileURLToPath(new URL('../../examples/cni-runtime/attach.ts', import.meta.url));
  const { status, stdout, stderr } = await runIn(
    bed.host.netns,
    [process.execPath, example, confDir, 'netloom', path],
    {
      env: {
        CNI_PATH: binDir,
        CACHE_DIR: cacheDir,
        NETLOOM_STATE_DIR: bed.paths.stateDir,
        NETLOOM_RUN_DIR: bed.paths.runDir,
      },
    },
  );
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^capabilities: .*portMappings.*\nadded: \d+\.\d+\.\d+\.\d+\/\d+\nkept: eth0\n$/);
  assert.deepEqual(await bed.engine.endpointList(), []);
});
