import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hasCode, type NetloomError } from '../errors.ts';
import { confListFromBytes, injectConf, pluginConfFromBytes } from './conf.ts';
import { confFiles, listConfs, loadConf, loadNetworkConf } from './conf-files.ts';
import { convertResult, readResult } from './result.ts';
import { compareVersions } from './version.ts';

function directory(files: Readonly<Record<string, unknown>>): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'nl-'));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(path, name, '..'), { recursive: true });
    writeFileSync(join(path, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}
const refused = (code: string, message: RegExp) => (error: unknown) =>
  hasCode(error, code) && message.test(`${error.message} / ${error.hint}`);
const list = (fields: object): string =>
  JSON.stringify({ name: 'n', cniVersion: '1.0.0', plugins: [{ type: 'a' }], ...fields });

test('versions are ordered by their numbers, and none is 0.1.0', () => {
  const mixed = ['1.1.0', '0.10.0', '', '1.0', '0.4.0', '0.1.1'];
  assert.deepEqual(mixed.toSorted(compareVersions), ['', '0.1.1', '0.4.0', '0.10.0', '1.0', '1.1.0']);
  for (const bad of ['1.0.0.0', 'v1', '1..0', ' 1', '1.0.0-rc1'])
    assert.throws(() => compareVersions(bad, '1.0.0'), refused('ECNICONFIG', /is no version/), bad);
});

test('of cniVersions the latest that is spoken is taken, cniVersion among them', () => {
  const of = (fields: object): string => confListFromBytes(list(fields)).cniVersion;
  assert.equal(of({ cniVersions: ['0.3.1', '0.4.0'] }), '1.0.0');
  assert.equal(of({ cniVersions: ['0.4.0', '1.1.0', '9.0.0'] }), '1.1.0');
  assert.equal(of({ cniVersion: undefined, cniVersions: ['0.3.1', '0.4.0'] }), '0.4.0');
  assert.equal(of({ cniVersion: '0.4.0', cniVersions: ['2.0.0'] }), '0.4.0');
  assert.equal(of({ cniVersion: undefined }), '');
  for (const [cniVersions, why] of [
    ['1.0.0', /list of strings/],
    [[1], /list of strings/],
    [['x'], /no version/],
  ] as const)
    assert.throws(() => of({ cniVersions }), refused('ECNICONFIG', why));
});

test('flags are booleans, or the words for them', () => {
  const { disableCheck, disableGC, loadOnlyInlinedPlugins } = confListFromBytes(
    list({ disableCheck: 'TRUE', disableGC: true, loadOnlyInlinedPlugins: 'false' }),
  );
  assert.deepEqual([disableCheck, disableGC, loadOnlyInlinedPlugins], [true, true, false]);
  assert.throws(() => confListFromBytes(list({ disableGC: 1 })), refused('ECNICONFIG', /^disableGC: true or false/));
});

test('what is wrong with a list is said with its place', () => {
  const wrong: readonly [string, RegExp][] = [
    ['{', /is no JSON/],
    ['[]', /no JSON object/],
    ['null', /no JSON object/],
    ['{}', /^name: is missing/],
    ['{"name": 1}', /^name: a string/],
    [list({ cniVersion: 1 }), /^cniVersion: a string/],
    [list({ plugins: [] }), /^plugins: is empty/],
    [list({ plugins: {} }), /^plugins: a list/],
    [list({ plugins: ['bridge'] }), /^plugins\[0\]: an object/],
    [list({ plugins: [{ type: 'a' }, {}] }), /^plugins\[1\]\.type: is missing/],
    [list({ plugins: [{ type: 'a', capabilities: { ips: 'yes' } }] }), /^plugins\[0\]\.capabilities\.ips: true/],
    [list({ plugins: undefined, loadOnlyInlinedPlugins: true }), /^plugins: is missing/],
  ];
  for (const [text, why] of wrong) assert.throws(() => confListFromBytes(text), refused('ECNICONFIG', why), text);
});

test('injecting keeps what nobody reads, and changes no other document', () => {
  const plugin = pluginConfFromBytes('{"type": "a", "x": {"y": [1]}}');
  assert.deepEqual(JSON.parse(injectConf(plugin, { name: 'n' }).bytes), { type: 'a', x: { y: [1] }, name: 'n' });
  assert.equal(plugin.bytes, '{"type": "a", "x": {"y": [1]}}');
});

test('the search goes by the files’ names, lists before single plugins', () => {
  using dir = directory({
    '20-b.conflist': { name: 'both', cniVersion: '1.0.0', plugins: [{ type: 'second' }] },
    '10-a.conflist': { name: 'both', cniVersion: '0.4.0', plugins: [{ type: 'first' }] },
    '00-c.conf': { name: 'both', cniVersion: '0.3.1', type: 'single' },
    'd.json': { name: 'json', type: 'of-json', cniVersion: '0.3.1' },
    'e.txt': 'not looked at',
    'f.conflist/x': 'a directory',
  });
  assert.deepEqual(
    confFiles(dir.path, ['.conf', '.conflist', '.json']).map((file) => file.slice(dir.path.length + 1)),
    ['00-c.conf', '10-a.conflist', '20-b.conflist', 'd.json'],
  );
  assert.equal(loadNetworkConf(dir.path, 'both').plugins[0]?.network.type, 'first');
  assert.equal(loadConf(dir.path, 'both').network.type, 'single');
  const { name, cniVersion, plugins } = loadNetworkConf(dir.path, 'json');
  assert.deepEqual([name, cniVersion, plugins.map(({ network }) => network.type)], ['json', '0.3.1', ['of-json']]);
  assert.throws(
    () => loadNetworkConf(dir.path, 'none'),
    refused('ECNINONETWORK', /"none".*There are both, both, both, json/),
  );
  assert.throws(() => loadNetworkConf(`${dir.path}/gone`, 'n'), refused('ECNINONETWORK', /none at all/));
  assert.equal(listConfs(dir.path).length, 4);
});

test('a file that cannot be read is named, also where another is wanted', () => {
  using dir = directory({ '1.conflist': '{"name": "x",', '2.conflist': list({}) });
  const why = new RegExp(`^${dir.path}/1.conflist: is no JSON.*jq \\. ${dir.path}/1.conflist`);
  assert.throws(() => loadNetworkConf(dir.path, 'n'), refused('ECNICONFIG', why));
  assert.deepEqual(
    listConfs(dir.path).map(({ list: found, error }) => found?.name ?? error?.code),
    ['ECNICONFIG', 'n'],
  );
});

test('plugins of the directory beside a list come after its own, unless it wants none', () => {
  const others = { 'n/2.conf': { type: 'c' }, 'n/1.conf': { type: 'b' }, 'n/3.json': { type: 'no' } };
  const typesOf = (fields: object): string[] => {
    using dir = directory({ ...others, 'n.conflist': list(fields) });
    return loadNetworkConf(dir.path, 'n').plugins.map(({ network }) => network.type);
  };
  assert.deepEqual(typesOf({}), ['a', 'b', 'c']);
  assert.deepEqual(typesOf({ plugins: undefined }), ['b', 'c']);
  assert.deepEqual(typesOf({ loadOnlyInlinedPlugins: true }), ['a']);
  using bad = directory({ 'n.conflist': list({}), 'n/1.conf': '{}' });
  assert.throws(() => loadNetworkConf(bad.path, 'n'), refused('ECNICONFIG', new RegExp(`^${bad.path}/n/1.conf: type`)));
  using none = directory({ 'n.conflist': list({ plugins: undefined }) });
  assert.throws(
    () => loadNetworkConf(none.path, 'n'),
    refused('ECNICONFIG', /n\.conflist: there are no plugins.*n\/\*\.conf/),
  );
});

test('a network’s name leads to no directory elsewhere', () => {
  using dir = directory({ 'x/n.conflist': list({ name: '../y' }), 'y/1.conf': { type: 'b' } });
  assert.throws(() => loadNetworkConf(`${dir.path}/x`, '../y'), refused('ECNICONFIG', /"\.\.\/y" is no name/));
});

test('results are converted as far as versions have words for them', () => {
  const result = {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'eth0', mtu: 1400, sandbox: '/x' }],
    ips: [
      { address: '10.0.0.2/8', gateway: '10.0.0.1', interface: 0 },
      { address: 'fd00::2/64' },
      { address: '10.0.0.3/8' },
    ],
    routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.1', mtu: 1400 }],
    dns: {},
  };
  const latest = readResult(result, '');
  assert.deepEqual(convertResult(latest, '0.4.0'), {
    cniVersion: '0.4.0',
    interfaces: [{ name: 'eth0', sandbox: '/x' }],
    ips: [
      { version: '4', address: '10.0.0.2/8', gateway: '10.0.0.1', interface: 0 },
      { version: '6', address: 'fd00::2/64' },
      { version: '4', address: '10.0.0.3/8' },
    ],
    routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.1' }],
    dns: {},
  });
  const oldest = convertResult(latest, '0.2.0');
  assert.deepEqual(oldest, {
    cniVersion: '0.2.0',
    ip4: { ip: '10.0.0.2/8', gateway: '10.0.0.1', routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.1' }] },
    ip6: { ip: 'fd00::2/64' },
    dns: {},
  });
  assert.deepEqual(convertResult(oldest, '1.0.0'), {
    cniVersion: '1.0.0',
    ips: [{ address: '10.0.0.2/8', gateway: '10.0.0.1' }, { address: 'fd00::2/64' }],
    routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.1' }],
  });
  assert.throws(() => convertResult(readResult({}, '1.0.0'), '0.1.0'), refused('ECNIRESULT', /no address/));
  for (const [bad, why] of [
    [[], /no JSON object/],
    [{ cniVersion: '3.0.0' }, /"3\.0\.0" is not spoken/],
    [{ ips: [{ address: 'x' }] }, /ips\[0\]\.address/],
    [{ cniVersion: '0.2.0', ip4: 7 }, /ip4 or ip6/],
    [{ cniVersion: '0.2.0', ip4: { ip: '10.0.0.1' } }, /address/],
  ] as const)
    assert.throws(
      () => readResult(bad, '1.0.0'),
      (error: NetloomError) => why.test(error.message),
      JSON.stringify(bad),
    );
});
