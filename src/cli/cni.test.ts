import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { conflist, ownerOfConf } from './cni-files.ts';
import { UsageError } from './errors.ts';
import { ran } from './fixture.test.ts';
import { attachmentOf, confDir, namespacePath, pluginDirs } from './parse/cni.ts';
import { capability, parseArg, parseKept } from './parse/cni-words.ts';

const dir = mkdtempSync(join(tmpdir(), 'nl-'));
after(() => rmSync(dir, { recursive: true }));

test('flags count more than the environment, and that more than the usual places', () => {
  assert.equal(confDir({ confDir: '/a' }, { NETCONFPATH: '/b' }), '/a');
  assert.equal(confDir({}, { NETCONFPATH: '/b' }), '/b');
  assert.equal(confDir({}, { NETCONFPATH: '' }), '/etc/cni/net.d');
  assert.deepEqual(pluginDirs({}, { CNI_PATH: '/a::/b' }), ['/a', '/b']);
  assert.deepEqual(pluginDirs({ pluginDir: ['/c'] }, { CNI_PATH: '/a' }), ['/c']);
  const env = { CNI_IFNAME: 'e1', CNI_ARGS: 'A=1;B=2', CAP_ARGS: '{"ips": ["10.0.0.2/8"], "mac": "x"}' };
  const given = attachmentOf({ ifname: 'e2', args: [['C', '3']], mac: 'y', containerId: 'c' }, env, '/x');
  assert.deepEqual(given, {
    containerID: 'c',
    netns: '/x',
    ifName: 'e2',
    args: [['C', '3']],
    capabilityArgs: { ips: ['10.0.0.2/8'], mac: 'y' },
  });
  assert.deepEqual(attachmentOf({}, env, '/x').args, [
    ['A', '1'],
    ['B', '2'],
  ]);
});

test('a namespace is a name or a path, and the container’s id is of the path, as cnitool has it', () => {
  assert.equal(namespacePath('blue'), '/run/netns/blue');
  assert.equal(namespacePath('/proc/1/ns/net'), '/proc/1/ns/net');
  assert.equal(namespacePath('./x'), join(process.cwd(), 'x'));
  // printf %s /run/netns/blue | sha512sum | cut -c 1-20
  assert.equal(attachmentOf({}, {}, 'blue').containerID, `cnitool-${DIGEST}`);
});
const DIGEST = 'df26705e2e4ffd095eb1';

test('words for plugins', () => {
  assert.deepEqual(parseArg('A=b=c'), ['A', 'b=c']);
  assert.deepEqual(capability('bandwidth={"ingressRate": 1}'), { bandwidth: { ingressRate: 1 } });
  assert.deepEqual(capability('{"a": 1, "b": [2]}'), { a: 1, b: [2] });
  assert.deepEqual(parseKept('c:eth0'), { containerID: 'c', ifname: 'eth0' });
  for (const wrong of [() => parseArg('=x'), () => parseArg('A=1;B=2'), () => capability('[1]'), () => capability('x')])
    assert.throws(wrong, UsageError);
  for (const wrong of ['c', ':e', 'c:', 'c:e:f']) assert.throws(() => parseKept(wrong), UsageError, wrong);
});

test('a published range is a mapping for each port', () => {
  const port = { protocol: 'udp' as const, hostAddress: '192.0.2.1', hostPort: 80, containerPort: 8080, count: 2 };
  assert.deepEqual(attachmentOf({ publish: [[port]] }, {}, 'x').capabilityArgs?.['portMappings'], [
    { hostPort: 80, containerPort: 8080, protocol: 'udp', hostIP: '192.0.2.1' },
    { hostPort: 81, containerPort: 8081, protocol: 'udp', hostIP: '192.0.2.1' },
  ]);
  assert.throws(() => attachmentOf({ publish: [[{ ...port, hostPort: 0 }]] }, {}, 'x'), UsageError);
});

test('a configuration is ours as long as nobody changed it', () => {
  const file = join(dir, 'x.conflist');
  const text = conflist('pods', ['10.88.0.0/16']);
  assert.equal(ownerOfConf(file, text), 'none');
  for (const [content, owner] of [
    [text, 'same'],
    [conflist('other'), 'ours'],
    [text.replace('"mac": true', '"mac": false'), 'foreign'],
    [text.replaceAll('\n', ''), 'foreign'],
    ['{}', 'foreign'],
    ['', 'foreign'],
  ] as const) {
    writeFileSync(file, content);
    assert.equal(ownerOfConf(file, text), owner, content);
  }
  rmSync(file);
});

test('networks of the configuration are completed', async () => {
  writeFileSync(join(dir, '1.conflist'), JSON.stringify({ name: 'dbnet', plugins: [{ type: 'x' }] }));
  writeFileSync(join(dir, '2.conflist'), '{');
  const { stdout } = await ran(['_complete', 'cni', 'add', 'd'], { env: { NETCONFPATH: dir } });
  assert.equal(stdout, `dbnet\t${dir}/1.conflist\n`);
  assert.match((await ran(['_complete', 'cni', ''])).stdout, /^install\t/m);
});
