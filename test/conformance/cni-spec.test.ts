/** The specification's own examples, kept as data (test/golden/cni): what it shows is read, and what we print is what it shows. */
// runs: here in one mode (documents)
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  CNI_CODES,
  CniError,
  errorAnswer,
  parseConfiguration,
  parseResult,
  Place,
  printResult,
  SPEC_VERSIONS,
  type SpecVersion,
} from '../../src/cni/index.ts';

type Json = Readonly<Record<string, unknown>>;
interface Example {
  readonly heading: string;
  readonly kind: 'configuration' | 'list' | 'result' | 'error' | 'version';
  readonly json: Json;
}

const VERSIONS: readonly SpecVersion[] = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'];
const examples = new Map(
  VERSIONS.map((version) => {
    const file = new URL(`../golden/cni/spec-${version}.json`, import.meta.url);
    return [version, (JSON.parse(readFileSync(file, 'utf8')) as { examples: Example[] }).examples];
  }),
);
/** What a runtime makes of a list: of each plugin a configuration. @see the specification's section 3 */
function* configurations(all: readonly Example[]): Generator<Json> {
  for (const { kind, json } of all) {
    if (kind === 'configuration') yield json;
    if (kind !== 'list') continue;
    const { cniVersion, name, plugins } = json as { cniVersion: string; name: string; plugins: Json[] };
    for (const plugin of plugins) yield { ...plugin, cniVersion, name };
  }
}

for (const [version, all] of examples) {
  test(`${version}: every configuration is read, with the result before it`, () => {
    let read = 0;
    let before = 0;
    for (const json of configurations(all)) {
      const conf = parseConfiguration(JSON.stringify(json), 'ADD');
      assert.deepEqual([conf.cniVersion, conf.name, conf.type], [json['cniVersion'], json['name'], json['type']]);
      const { cniVersion: _v, name: _n, type: _t, prevResult, runtimeConfig = {}, args: _a, ...own } = json;
      assert.deepEqual(conf.own, own, 'what is a plugin’s own is left alone');
      assert.deepEqual(conf.runtimeConfig, runtimeConfig);
      read++;
      if (prevResult === undefined) continue;
      before++;
      assert.ok(conf.prevResult && conf.prevResult.ips.length > 0);
      // an example of 0.3.1 still has the form of the versions before it
      if ('ips' in (prevResult as Json)) {
        assert.deepEqual(printResult(conf.prevResult, version), { cniVersion: version, ...(prevResult as Json) });
      } else assert.deepEqual(conf.prevResult.ips, [{ address: '10.1.0.3/16', gateway: '10.1.0.1' }]);
    }
    assert.ok(read >= 9 && before >= 1, `${read} ${before}`);
  });

  test(`${version}: every result is printed as it stands, to whatever version`, () => {
    const results = all.flatMap(({ kind, json }) => (kind === 'result' ? [json] : []));
    if (version >= '1.0.0') assert.ok(results.length >= 3);
    for (const json of results) {
      const result = parseResult(json, new Place());
      assert.deepEqual(printResult(result, version), { cniVersion: version, ...json });
      for (const other of SPEC_VERSIONS)
        assert.deepEqual(parseResult(printResult(result, other), new Place()), result, other);
    }
  });

  test(`${version}: errors and versions have the fields that it shows`, () => {
    for (const { kind, json } of all) {
      if (kind === 'error') {
        const { code, msg, details } = json as { code: number; msg: string; details: string };
        assert.deepEqual(errorAnswer(new CniError(code, msg, { hint: details }), version), {
          ...json,
          cniVersion: version,
        });
      }
      if (kind === 'version')
        for (const spoken of json['supportedVersions'] as string[])
          assert.ok(spoken < '0.3.0' || (SPEC_VERSIONS as readonly string[]).includes(spoken), spoken);
    }
  });
}

test('results of the versions before 0.3.0 are read', () => {
  const old = {
    cniVersion: '0.2.0',
    ip4: { ip: '10.0.0.2/24', gateway: '10.0.0.1', routes: [{ dst: '0.0.0.0/0' }] },
    ip6: { ip: 'fd00::2/64', routes: [{ dst: '::/0', gw: 'fd00::1' }] },
    dns: { nameservers: ['10.0.0.1'] },
  };
  assert.deepEqual(parseResult(old, new Place()), {
    interfaces: [],
    ips: [{ address: '10.0.0.2/24', gateway: '10.0.0.1' }, { address: 'fd00::2/64' }],
    routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0', gw: 'fd00::1' }],
    dns: { nameservers: ['10.0.0.1'] },
  });
});

test('the page has every code, and no other', () => {
  const page = readFileSync(new URL('../../docs/cni.md', import.meta.url), 'utf8');
  const codes = [...page.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code));
  assert.deepEqual(codes, Object.values(CNI_CODES));
});
