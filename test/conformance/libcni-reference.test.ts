/** Ours beside the reference library: the same documents reach the plugins, and each goes on where the other left off. */
// runs: here in one mode (two libraries, compared by what they write)
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CNIConfig, loadNetworkConf, type RuntimeConf } from '../../src/libcni/index.ts';
import { buildReference, recorded, type Recorded, recordingPlugin, reference } from '../lib/libcni.ts';
import { checkDescriptors } from '../lib/fds.ts';

checkDescriptors();

const root = mkdtempSync(join(tmpdir(), 'nl-'));
const [confDir, bin] = [join(root, 'net.d'), join(root, 'bin')];
let program = '';
before(async () => {
  mkdirSync(confDir);
  mkdirSync(bin);
  program = await buildReference(root);
});
after(() => rmSync(root, { recursive: true }));

const INTERFACES = [{ name: 'br0' }, { name: 'eth0', mac: '02:00:00:00:00:01', sandbox: '/run/netns/x' }];
/** What the first, the second and the third plugin of a chain come to. */
const RESULTS: Readonly<Record<string, readonly object[]>> = {
  '0.2.0': [
    { ip4: { ip: '10.1.2.3/24', gateway: '10.1.2.1', routes: [{ dst: '0.0.0.0/0', gw: '10.1.2.1' }] } },
    { ip4: { ip: '10.1.2.3/24' }, ip6: { ip: 'fd00::3/64' }, dns: { nameservers: ['10.1.2.1'] } },
    { ip4: { ip: '10.1.2.9/24' } },
  ],
  '0.3.1': [
    { interfaces: INTERFACES, ips: [{ version: '4', address: '10.1.2.3/24', interface: 1 }] },
    { ips: [{ version: '6', address: 'fd00::3/64', gateway: 'fd00::1' }], routes: [{ dst: '::/0', gw: 'fd00::1' }] },
    { interfaces: INTERFACES, ips: [{ version: '4', address: '10.1.2.3/24', interface: 1 }], unknown: 'left out' },
  ],
  '1.0.0': [
    { interfaces: INTERFACES, ips: [{ address: '10.1.2.3/24', gateway: '10.1.2.1', interface: 1 }] },
    {
      interfaces: INTERFACES,
      ips: [{ address: '10.1.2.3/24', interface: 0 }, { address: 'fd00::3/64' }],
      routes: [{ dst: '0.0.0.0/0' }, { dst: '10.9.0.0/16', gw: '10.1.2.254' }],
      dns: { nameservers: ['10.1.2.1'], domain: 'test', search: ['a.test', 'b.test'], options: ['ndots:2'] },
    },
    // none: what is missing is of the configuration's version
    {},
  ],
};

interface Case {
  readonly what: string;
  readonly version: string;
  readonly plugins: readonly object[];
  readonly list?: object;
  readonly rt?: Partial<RuntimeConf>;
  /** The results' own version, where it is another than the configuration's; empty: none at all. */
  readonly says?: string;
}
const PORTS = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIP: '' }];
const CASES: readonly Case[] = [
  { what: 'one plugin', version: '1.0.0', plugins: [{}] },
  { what: 'a chain of three', version: '1.0.0', plugins: [{}, { own: { deep: [1, 2, { x: null }] } }, {}] },
  { what: 'a chain of three, 0.4.0', version: '0.4.0', plugins: [{ isGateway: true }, {}, {}] },
  { what: 'a chain of three, 0.3.1, where DEL gets no prevResult', version: '0.3.1', plugins: [{}, {}, {}] },
  { what: 'a chain of two, 0.2.0', version: '0.2.0', plugins: [{}, {}] },
  { what: 'results without a version', version: '0.4.0', plugins: [{}, {}], says: '' },
  { what: 'results of an older version', version: '1.0.0', plugins: [{}, {}], says: '0.4.0' },
  { what: 'results of the oldest version', version: '0.4.0', plugins: [{}, {}], says: '0.2.0' },
  {
    what: 'capabilities, each plugin those that it declares',
    version: '1.0.0',
    plugins: [
      { capabilities: { portMappings: true, ips: false, mac: true } },
      { capabilities: { ips: true, bandwidth: true } },
      { capabilities: {}, runtimeConfig: { of: 'the file' } },
    ],
    rt: { capabilityArgs: { portMappings: PORTS, ips: ['10.1.2.3/24'], mac: '02:00:00:00:00:09', other: { a: 1 } } },
  },
  {
    what: 'a runtimeConfig of the file gives way',
    version: '0.4.0',
    plugins: [{ capabilities: { dns: true }, runtimeConfig: { dns: {}, more: 1 } }],
    rt: { capabilityArgs: { dns: { servers: ['192.0.2.1'], searches: ['é.test', '<&>'] } } },
  },
  {
    what: 'arguments, in their order',
    version: '1.0.0',
    plugins: [{ args: { cni: { ips: ['10.1.2.3'] } } }, {}],
    rt: {
      args: [
        ['IgnoreUnknown', '1'],
        ['K8S_POD_NAMESPACE', 'default'],
        ['K8S_POD_NAME', 'a pod'],
        ['A', ''],
      ],
    },
  },
  { what: 'no CHECK', version: '1.0.0', plugins: [{}, {}], list: { disableCheck: true } },
  {
    what: 'a name and a version of the plugin give way',
    version: '1.0.0',
    plugins: [{ name: 'x', cniVersion: '0.2.0' }],
  },
  { what: 'no namespace', version: '1.0.0', plugins: [{}], rt: { netns: '' } },
];

type Library = 'reference' | 'ours';

for (const each of CASES) {
  test(each.what, async (t) => {
    const { version, plugins, list = {}, says = version } = each;
    const types = plugins.map((_, i) => `plugin${i}`);
    const results = RESULTS[says] ?? RESULTS[{ '': version, '0.4.0': '0.3.1' }[says] ?? says] ?? RESULTS['0.3.1'] ?? [];
    for (const [i, type] of types.entries())
      recordingPlugin(bin, type, JSON.stringify({ ...(says !== '' && { cniVersion: says }), ...results[i] }));
    const document = {
      name: 'net-1',
      cniVersion: version,
      ...list,
      plugins: plugins.map((own, i) => ({ type: types[i], ...own })),
    };
    writeFileSync(join(confDir, 'x.conflist'), JSON.stringify(document, undefined, 2));
    const rt: RuntimeConf = { containerID: 'c_1.x-y', netns: '/run/netns/x', ifName: 'eth0', ...each.rt };

    let expected: { calls: unknown; kept: unknown } | undefined;
    const libraries: readonly Library[] = ['reference', 'ours'];
    for (const adder of libraries) {
      for (const other of libraries) {
        await t.test(`${adder} adds, ${other} goes on`, async () => {
          const cacheDir = mkdtempSync(join(root, 'cache-'));
          const call = { confDir, network: 'net-1', cacheDir, path: bin };
          const added = await perform(adder, 'add', call, rt);
          assert.equal(added.error, '');
          const file = join(cacheDir, 'results', 'net-1-c_1.x-y-eth0');
          assert.deepEqual(readdirSync(join(cacheDir, 'results')), ['net-1-c_1.x-y-eth0']);
          assert.equal(statSync(file).mode & 0o777, 0o600);
          const { config, ...kept } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
          assert.equal(
            Buffer.from(String(config), 'base64').toString(),
            readFileSync(join(confDir, 'x.conflist'), 'utf8'),
          );
          const result = await perform(other, 'result', call, rt);
          assert.deepEqual(result, await perform(adder, 'result', call, rt));
          if (says === version || says === '') assert.deepEqual(result, added);
          const asked = { ...rt, args: [], capabilityArgs: { not: 'these' } };
          const [had, has] = [await perform(adder, 'config', call, asked), await perform(other, 'config', call, asked)];
          assert.deepEqual(has, had);
          const checked = await perform(other, 'check', call, rt);
          assert.equal(checked.error === '', version >= '0.4.0', checked.error);
          assert.equal((await perform(other, 'del', call, rt)).error, '');
          assert.deepEqual(readdirSync(join(cacheDir, 'results')), [], 'DEL forgets');
          const seen = { calls: recorded(bin).map(plain), kept: plain(kept) };
          expected ??= seen;
          assert.deepEqual(seen, expected);
        });
      }
    }
  });
}

interface Performed {
  readonly value: unknown;
  readonly error: string;
}

async function perform(
  library: Library,
  verb: 'add' | 'check' | 'del' | 'result' | 'config',
  call: Parameters<typeof reference>[2],
  rt: RuntimeConf,
): Promise<Performed> {
  if (library === 'reference') {
    const { status, stdout, stderr } = await reference(program, verb, call, rt);
    return { value: stdout === '' ? undefined : plain(JSON.parse(stdout)), error: status === 0 ? '' : stderr };
  }
  const cni = new CNIConfig([call.path], { cacheDir: call.cacheDir });
  const list = loadNetworkConf(call.confDir, call.network);
  try {
    const value = await {
      add: () => cni.addNetworkList(list, rt),
      check: () => cni.checkNetworkList(list, rt),
      del: () => cni.delNetworkList(list, rt),
      result: () => cni.getNetworkListCachedResult(list, rt),
      config: async () => {
        const kept = await cni.getNetworkListCachedConfig(list, rt);
        return { config: kept?.config, args: kept?.runtime.args, capabilityArgs: kept?.runtime.capabilityArgs };
      },
    }[verb]();
    return { value: value === undefined ? undefined : plain(value), error: '' };
  } catch (error) {
    return { value: undefined, error: (error as Error).message };
  }
}

/**
 * Without what releases of the reference library do differently, and what says the same: an empty `dns`, an empty list or
 * object of arguments, the namespace of a kept attachment.
 */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value as Recorded | Record<string, unknown>).filter(([key, each]) => {
    if (key === 'netns') return false;
    const empty = each === null || (typeof each === 'object' && Object.keys(each as object).length === 0);
    return !((key === 'dns' || key === 'args' || key === 'capabilityArgs') && empty);
  });
  return Object.fromEntries(entries.map(([key, each]) => [key, plain(each)]));
}

test('what is declared, by both', async () => {
  for (const type of ['plugin0', 'plugin1']) recordingPlugin(bin, type, '{}');
  const plugins = [
    { type: 'plugin0', capabilities: { a: true, b: false } },
    { type: 'plugin1', capabilities: { c: true, a: true } },
  ];
  writeFileSync(join(confDir, 'x.conflist'), JSON.stringify({ name: 'n', cniVersion: '1.0.0', plugins }));
  const call = { confDir, network: 'n', cacheDir: root, path: bin };
  const theirs = await reference(program, 'validate', call, { containerID: '', netns: '', ifName: '' });
  const ours = await new CNIConfig([bin]).validateNetworkList(loadNetworkConf(confDir, 'n'));
  assert.deepEqual(ours, (JSON.parse(theirs.stdout) as string[]).toSorted());
  assert.deepEqual(ours, ['a', 'c']);
});
