/** How plugins are run: what they say wrong, how they end, what they are told. Shell scripts stand for plugins here. */
// runs: here in one mode (programs and files, whoever starts them)
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hasCode } from '../../src/errors.ts';
import {
  CNIConfig,
  confListFromBytes,
  type NetworkConfigList,
  PluginError,
  type RuntimeConf,
} from '../../src/libcni/index.ts';
import { isAlive } from '../../src/kernel/index.ts';
import { makeDirs, type TestDirs } from '../lib/dirs.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { recorded, recordingPlugin } from '../lib/libcni.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

const RT: RuntimeConf = { containerID: 'c', netns: '/run/netns/c', ifName: 'eth0' };

function script(dirs: TestDirs, type: string, body: string): string {
  const file = join(dirs.root, type);
  writeFileSync(file, `#!/bin/sh\n${body}\n`);
  chmodSync(file, 0o755);
  return file;
}
function network(types: readonly string[], fields: object = {}): NetworkConfigList {
  const plugins = types.map((type) => ({ type }));
  return confListFromBytes(JSON.stringify({ name: 'n', cniVersion: '1.1.0', plugins, ...fields }));
}
function runtime(dirs: TestDirs): CNIConfig {
  return new CNIConfig([dirs.root], { cacheDir: join(dirs.root, 'cache') });
}

test('a plugin’s error arrives with code, message and details', async () => {
  using dirs = makeDirs();
  script(dirs, 'p', `echo '{"cniVersion": "1.1.0", "code": 11, "msg": "busy", "details": "come back"}'; exit 3`);
  await assert.rejects(runtime(dirs).addNetworkList(network(['p']), RT), (error: unknown) => {
    assert.ok(error instanceof PluginError);
    assert.deepEqual(
      [error.code, error.plugin, error.command, error.cniCode, error.msg, error.details, error.hint],
      ['ECNIPLUGIN', 'p', 'ADD', 11, 'busy', 'come back', 'come back'],
    );
    assert.equal(error.message, 'plugin p: ADD: busy (code 11, try again later)');
    return true;
  });
});

const ENDS: readonly (readonly [what: string, body: string, why: RegExp])[] = [
  ['a word on standard error', 'echo sorry >&2; exit 1', /ended with status 1: sorry$/],
  ['no word at all', 'exit 7', /ended with status 7 and said nothing$/],
  ['a signal', 'kill -9 $$', /was ended by SIGKILL and said nothing$/],
  ['garbage and a status', 'echo "%%%"; exit 1', /printed no error that can be read: "%%%"$/],
  ['a list and a status', 'echo "[1]"; exit 1', /printed no error that can be read: "\[1\]"$/],
  ['an error without a message', 'echo "{}"; exit 1', /ended with status 1 without a message$/],
  ['a code that is none', `echo '{"code": "x", "msg": "m"}'; exit 1`, /ADD: m$/],
  ['garbage', 'echo hello', /printed what is no result: it is no JSON: "hello"$/],
  ['nothing', 'exit 0', /printed nothing$/],
  ['a wrong result', `echo '{"cniVersion": "1.0.0", "ips": [{"address": "1.2.3"}]}'`, /ips\[0\]\.address: "1\.2\.3"/],
  ['a version of the future', `echo '{"cniVersion": "7.0.0"}'`, /"7\.0\.0" is not spoken/],
  ['a flood', 'exec yes', /printed more than \d+ bytes$/],
];
for (const [what, body, why] of ENDS) {
  test(`a plugin that ends with ${what}`, async () => {
    using dirs = makeDirs();
    script(dirs, 'p', body);
    await assert.rejects(runtime(dirs).addNetworkList(network(['p']), RT), (error: unknown) => {
      assert.ok(error instanceof PluginError, String(error));
      assert.match(error.message, /^plugin p: ADD: /);
      assert.match(error.message, why);
      return true;
    });
    assert.equal(existsSync(join(dirs.root, 'cache', 'results', 'n-c-eth0')), false);
  });
}

test('what is no plugin', async () => {
  using dirs = makeDirs();
  const file = script(dirs, 'closed', '');
  chmodSync(file, 0o644);
  mkdirSync(join(dirs.root, 'directory'));
  writeFileSync(join(dirs.root, 'data'), 'ELF?');
  chmodSync(join(dirs.root, 'data'), 0o755);
  writeFileSync(join(dirs.root, 'lost'), '#!/nonexistent/sh\n');
  chmodSync(join(dirs.root, 'lost'), 0o755);
  symlinkSync('/nonexistent', join(dirs.root, 'dangling'));
  for (const [type, why] of [
    ['missing', /there is no plugin "missing" in/],
    ['directory', /there is no plugin "directory" in/],
    ['dangling', /there is no plugin "dangling" in/],
    ['closed', /closed may not be run/],
    ['data', /data cannot be run/],
    ['lost', /lost cannot be run/],
    ['../p', /is no name of a plugin/],
  ] as const) {
    await assert.rejects(runtime(dirs).addNetworkList(network([type]), RT), (error: unknown) => {
      assert.ok(hasCode(error, 'ECNINOPLUGIN'), String(error));
      assert.match(error.message, why);
      assert.notEqual(error.hint, '');
      return true;
    });
  }
});

test('names that lead elsewhere are refused before any plugin runs', async () => {
  using dirs = makeDirs();
  recordingPlugin(dirs.root, 'p', '{}');
  const cni = runtime(dirs);
  const bad: readonly (readonly [Partial<RuntimeConf>, object])[] = [
    [{ containerID: '../../etc' }, {}],
    [{ containerID: '' }, {}],
    [{ ifName: 'a/b' }, {}],
    [{ ifName: 'sixteen-letters-' }, {}],
    [{}, { name: '../n' }],
    [{}, { name: '' }],
  ];
  for (const [rt, fields] of bad) {
    const list = network(['p'], fields);
    const given = { ...RT, ...rt };
    for (const call of [
      cni.addNetworkList(list, given),
      cni.checkNetworkList(list, given),
      cni.delNetworkList(list, given),
      cni.getNetworkListCachedResult(list, given),
    ])
      await assert.rejects(call, (error: unknown) => hasCode(error, 'ECNI'), JSON.stringify([rt, fields]));
  }
  assert.deepEqual(readdirSync(dirs.root).toSorted(), ['p', 'p.result']);
});

test('a time limit and a signal end a plugin with what it started', async () => {
  using dirs = makeDirs();
  const pids = join(dirs.root, 'pids');
  script(dirs, 'slow', `sleep 1000 & echo $$ $! >'${pids}'; wait`);
  recordingPlugin(dirs.root, 'after', '{}');
  const cni = runtime(dirs);
  const gone = async (): Promise<void> => {
    for (const pid of readFileSync(pids, 'utf8').trim().split(' ').map(Number))
      await until(`process ${pid} gone`, () => !isAlive(pid));
  };
  await assert.rejects(cni.addNetworkList(network(['slow']), RT, { timeout: 300 }), (error: unknown) =>
    hasCode(error, 'ECNITIMEOUT'),
  );
  await gone();
  const controller = new AbortController();
  const call = cni.delNetworkList(network(['after', 'slow']), RT, { signal: controller.signal });
  await Promise.all([
    assert.rejects(call, (error: unknown) => hasCode(error, 'ECNIABORTED')),
    until('it runs', () => existsSync(pids)).then(() => controller.abort()),
  ]);
  assert.equal(existsSync(join(dirs.root, 'log')), false, 'the next one was not run');
});

test('a plugin that reads nothing, and one that inherits CNI_* and a shell’s words', async () => {
  using dirs = makeDirs();
  const big = 'x'.repeat(300_000);
  script(dirs, 'deaf', `echo '{"cniVersion": "1.1.0"}'`);
  const cni = runtime(dirs);
  assert.deepEqual(await cni.addNetworkList(network(['deaf'], { big, plugins: [{ type: 'deaf', big }] }), RT), {
    cniVersion: '1.1.0',
  });
  script(dirs, 'env', `printf '{"dns": {"search": ["%s", "%s", "%s"]}}' "$CNI_ARGS" "$OWN" "$CNI_NETNS"`);
  const given = new CNIConfig([dirs.root], {
    cacheDir: dirs.root,
    exec: { env: { PATH: process.env['PATH'], OWN: 'mine', CNI_ARGS: 'A=inherited', CNI_NETNS: '/inherited' } },
  });
  const rt: RuntimeConf = { ...RT, netns: '', args: [['A', '$(reboot);`x`']] };
  const { dns } = await given.addNetworkList(network(['env']), rt);
  assert.deepEqual(dns?.search, ['A=$(reboot);`x`', 'mine', '']);
});

test('a chain that fails in the middle ends there, and DEL runs all of it backwards', async () => {
  using dirs = makeDirs();
  const result = '{"cniVersion": "1.1.0", "ips": [{"address": "10.0.0.2/8"}]}';
  for (const type of ['a', 'b', 'c']) recordingPlugin(dirs.root, type, result);
  const cni = runtime(dirs);
  const list = network(['a', 'b', 'c']);
  writeFileSync(join(dirs.root, 'b.result'), 'no');
  await assert.rejects(cni.addNetworkList(list, RT), /plugin b: ADD/);
  assert.deepEqual(
    recorded(dirs.root).map(({ plugin }) => plugin),
    ['a', 'b'],
  );
  await cni.delNetworkList(list, RT);
  const calls = recorded(dirs.root);
  assert.deepEqual(
    calls.map(({ plugin, env }) => [plugin, env['CNI_COMMAND']]),
    [
      ['c', 'DEL'],
      ['b', 'DEL'],
      ['a', 'DEL'],
    ],
  );
  assert.ok(calls.every(({ stdin }) => !('prevResult' in stdin)));
});

test('GC deletes what the cache has and nobody wants, and tells the plugins from 1.1.0 on', async () => {
  using dirs = makeDirs();
  recordingPlugin(dirs.root, 'a', '{"cniVersion": "1.1.0"}');
  const cni = runtime(dirs);
  const list = network(['a']);
  const ids = ['one', 'two', 'three'];
  const rt = (containerID: string): RuntimeConf => ({ ...RT, containerID, args: [['K', containerID]] });
  for (const id of ids) await cni.addNetworkList(list, rt(id));
  await cni.addNetworkList(network(['a'], { name: 'other' }), rt('one'));
  recorded(dirs.root);
  const validAttachments = [
    { containerID: 'two', ifname: 'eth0' },
    { containerID: 'one', ifname: 'eth1' },
  ];
  await cni.gcNetworkList(list, { validAttachments });
  const calls = recorded(dirs.root);
  assert.deepEqual(
    calls.map(({ env }) => [env['CNI_COMMAND'], env['CNI_CONTAINERID'], env['CNI_NETNS'], env['CNI_ARGS']]),
    [
      ['DEL', 'one', RT.netns, 'K=one'],
      ['DEL', 'three', RT.netns, 'K=three'],
      ['GC', '', '', ''],
    ],
  );
  assert.deepEqual(calls.at(-1)?.stdin['cni.dev/valid-attachments'], validAttachments);
  assert.deepEqual(calls.at(-1)?.stdin['cni.dev/attachments'], validAttachments);
  assert.deepEqual(
    (await cni.getCachedAttachments()).map(({ network: of, containerID }) => `${of}/${containerID}`),
    ['n/two', 'other/one'],
  );
  assert.deepEqual(
    (await cni.getCachedAttachments('one')).map(({ network: of }) => of),
    ['other'],
  );

  await cni.gcNetworkList(network(['a'], { disableGC: true }), { validAttachments: [] });
  await cni.gcNetworkList(network(['a'], { cniVersion: '1.0.0' }), { validAttachments });
  await cni.getStatusNetworkList(network(['a'], { cniVersion: '1.0.0' }));
  assert.throws(() => recorded(dirs.root), /ENOENT/, 'no plugin was called');

  // one that fails does not keep the others from being tried
  for (const id of ids) await cni.addNetworkList(list, rt(id));
  recorded(dirs.root);
  script(dirs, 'a', `echo "$CNI_COMMAND" >>'${dirs.root}/order'; echo '{"code": 100, "msg": "no"}'; exit 1`);
  await assert.rejects(cni.gcNetworkList(list, { validAttachments: [] }), (error: unknown) => {
    assert.ok(error instanceof AggregateError);
    return error.errors.length === 4;
  });
  assert.equal(readFileSync(join(dirs.root, 'order'), 'utf8'), 'DEL\nDEL\nDEL\nGC\n');
});

test('STATUS and VERSION, and what old plugins say to them', async () => {
  using dirs = makeDirs();
  const cni = runtime(dirs);
  script(dirs, 'down', `echo '{"code": 50, "msg": "no engine"}'; exit 1`);
  await assert.rejects(cni.getStatusNetworkList(network(['down'])), (error: unknown) => {
    assert.ok(error instanceof PluginError);
    return error.cniCode === 50 && error.command === 'STATUS';
  });
  script(dirs, 'old', `echo '{"code": 4, "msg": "unknown CNI_COMMAND: VERSION"}'; exit 1`);
  assert.deepEqual((await cni.getVersionInfo('old')).supportedVersions, ['0.1.0']);
  script(dirs, 'older', `echo '{"cniVersion": "0.2.0"}'`);
  assert.deepEqual((await cni.getVersionInfo('older')).supportedVersions, ['0.1.0', '0.2.0']);
  script(dirs, 'mute', `echo '{"cniVersion": "1.0.0"}'`);
  await assert.rejects(cni.getVersionInfo('mute'), /supportedVersions is missing/);
  const list = network(['old', 'missing']);
  await assert.rejects(cni.validateNetworkList(list), (error: unknown) => {
    assert.ok(error instanceof AggregateError);
    return error.errors.map(({ code }: { code: string }) => code).join() === 'ECNIVERSION,ECNINOPLUGIN';
  });
});

test('a damaged result keeps nobody from DEL, and is forgotten', async () => {
  using dirs = makeDirs();
  recordingPlugin(dirs.root, 'a', '{"cniVersion": "1.1.0"}');
  const cni = runtime(dirs);
  const list = network(['a']);
  await cni.addNetworkList(list, RT);
  const file = join(dirs.root, 'cache', 'results', 'n-c-eth0');
  writeFileSync(file, '{"kind": "cniCac');
  await assert.rejects(cni.checkNetworkList(list, RT), (error: unknown) => hasCode(error, 'ECNICACHE'));
  await cni.delNetworkList(list, RT);
  assert.equal(existsSync(file), false);
  // as releases before the cache wrote it: the result alone
  writeFileSync(file, '{"cniVersion": "0.2.0", "ip4": {"ip": "10.0.0.2/8"}}');
  assert.deepEqual(await cni.getNetworkListCachedResult(list, RT), {
    cniVersion: '1.1.0',
    ips: [{ address: '10.0.0.2/8' }],
  });
});

test('a plugin that is being written is tried again', async () => {
  using dirs = makeDirs();
  // the kernel refuses a program that somebody has open for writing; a script's own file it does not mind
  const file = join(dirs.root, 'busy');
  writeFileSync(file, readFileSync('/bin/busybox'));
  chmodSync(file, 0o755);
  const { openSync, closeSync } = await import('node:fs');
  const fd = openSync(file, 'r+');
  const call = assert.rejects(
    runtime(dirs).addNetworkList(network(['busy']), RT),
    /plugin busy: ADD: ended with status 127/,
  );
  setImmediate(() => closeSync(fd));
  await call;
});
