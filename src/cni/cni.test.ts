import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fuzzCases } from '../../test/lib/dice.ts';
import { NetloomError } from '../errors.ts';
import {
  CniError,
  CONFIGURATION_MAX,
  errorAnswer,
  parseConfiguration,
  parseParameters,
  parseResult,
  Place,
  printResult,
  SPEC_VERSIONS,
  versionIn,
} from './index.ts';

/** The specification's own example of what `bridge` prints: appendix, "Add example". */
const EXAMPLE = {
  cniVersion: '1.1.0',
  ips: [{ address: '10.1.0.5/16', gateway: '10.1.0.1', interface: 2 }],
  routes: [{ dst: '0.0.0.0/0' }],
  interfaces: [
    { name: 'cni0', mac: '00:11:22:33:44:55' },
    { name: 'veth3243', mac: '55:44:33:22:11:11' },
    { name: 'eth0', mac: '99:88:77:66:55:44', sandbox: '/var/run/netns/blue' },
  ],
  dns: { nameservers: ['10.1.0.1'] },
};
const ENV = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c1', CNI_NETNS: '/run/netns/c1', CNI_IFNAME: 'eth0' };
const CONF = { cniVersion: '1.1.0', name: 'dbnet', type: 'netloom' };

/** Its number and what it says. */
function refusal(body: () => unknown): readonly [number, string] {
  try {
    body();
  } catch (error) {
    assert.ok(error instanceof CniError, String(error));
    return [error.cni, error.message];
  }
  throw new Error('nothing was refused');
}

test('the specification’s example is printed as it stands, and read again', () => {
  const result = parseResult(EXAMPLE, new Place());
  assert.deepEqual(printResult(result, '1.1.0'), EXAMPLE);
  for (const version of SPEC_VERSIONS) {
    const printed = printResult(result, version);
    assert.equal(printed['cniVersion'], version);
    assert.deepEqual(parseResult(printed, new Place()), result, version);
  }
});

test('older versions are told the family, and nothing that they do not know', () => {
  const result = parseResult(
    {
      interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', mtu: 1450, sandbox: '/n', socketPath: '/s', pciID: '0' }],
      ips: [
        { address: '10.0.0.2/24', interface: 0 },
        { address: 'fd00::2/64', gateway: 'fd00::1' },
      ],
      routes: [{ dst: '::/0', gw: 'fd00::1', mtu: 1400, advmss: 1300, priority: 5, table: 7, scope: 0 }],
    },
    new Place(),
  );
  for (const version of ['0.3.0', '0.3.1', '0.4.0'] as const) {
    assert.deepEqual(printResult(result, version), {
      cniVersion: version,
      interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', sandbox: '/n' }],
      ips: [
        { version: '4', address: '10.0.0.2/24', interface: 0 },
        { version: '6', address: 'fd00::2/64', gateway: 'fd00::1' },
      ],
      routes: [{ dst: '::/0', gw: 'fd00::1' }],
      dns: {},
    });
  }
  assert.deepEqual(printResult(result, '1.0.0')['ips'], result.ips);
  assert.deepEqual(printResult(result, '1.1.0')['routes'], result.routes);
});

test('a result that is wrong is refused with its place', () => {
  const wrong: readonly [object, string][] = [
    [{ ips: {} }, 'prevResult.ips: a list is wanted'],
    [{ ips: [7] }, 'prevResult.ips[0]: an object is wanted'],
    [{ ips: [{}] }, 'prevResult.ips[0].address: is missing'],
    [{ ips: [{ address: '10.0.0.1' }] }, 'prevResult.ips[0].address: "10.0.0.1" is no address with a prefix length'],
    [
      { interfaces: [{ name: 'a' }], ips: [{ address: '10.0.0.1/8', interface: 1 }] },
      'prevResult.ips[0].interface: there is no interface 1',
    ],
    [{ routes: [{ dst: 'x' }] }, 'prevResult.routes[0].dst: "x" is no prefix'],
    [{ dns: { search: 'x' } }, 'prevResult.dns.search: a list is wanted'],
    [{ interfaces: [{ name: 'a', mtu: 'x' }] }, 'prevResult.interfaces[0].mtu: a number is wanted'],
  ];
  for (const [json, message] of wrong)
    assert.deepEqual(
      refusal(() => parseResult(json, new Place('prevResult'))),
      [7, message],
    );
});

test('the environment: what each verb needs, and what is no name', () => {
  const read = parseParameters({ ...ENV, CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=a=b;', CNI_PATH: '/opt/cni/bin::/x' });
  assert.deepEqual(
    [...read.args],
    [
      ['IgnoreUnknown', '1'],
      ['K8S_POD_NAME', 'a=b'],
    ],
  );
  assert.deepEqual(read.path, ['/opt/cni/bin', '/x']);
  assert.equal(parseParameters({ ...ENV, CNI_COMMAND: 'DEL', CNI_NETNS: '' }).netns, '');
  for (const verb of ['VERSION', 'STATUS', 'GC']) assert.equal(parseParameters({ CNI_COMMAND: verb }).verb, verb);
  const wrong: readonly [Record<string, string>, RegExp][] = [
    [{ CNI_COMMAND: '' }, /^CNI_COMMAND is not set$/],
    [{ CNI_COMMAND: 'toString' }, /^CNI_COMMAND is "toString"$/],
    [{ CNI_NETNS: '' }, /^CNI_NETNS is not set, and ADD needs it$/],
    [{ CNI_CONTAINERID: '../x' }, /^CNI_CONTAINERID is "\.\.\/x"$/],
    [{ CNI_IFNAME: 'eth 0' }, /^CNI_IFNAME is "eth 0"$/],
    [{ CNI_IFNAME: 'eth0:1' }, /^CNI_IFNAME is/],
    [{ CNI_IFNAME: '..' }, /^CNI_IFNAME is/],
    [{ CNI_IFNAME: 'x'.repeat(16) }, /^CNI_IFNAME is/],
    [{ CNI_ARGS: 'A=1;B' }, /^CNI_ARGS has "B"$/],
  ];
  for (const [change, message] of wrong) {
    const [code, text] = refusal(() => parseParameters({ ...ENV, ...change }));
    assert.equal(code, 4, text);
    assert.match(text, message);
  }
});

test('the configuration: what all of them have, and a number for each fault', () => {
  const text = JSON.stringify({
    ...CONF,
    bridge: 'cni0',
    args: { cni: { ips: ['10.0.0.9'] } },
    runtimeConfig: { portMappings: [] },
    prevResult: EXAMPLE,
  });
  const read = parseConfiguration(text, 'CHECK');
  assert.deepEqual(read.own, { bridge: 'cni0' });
  assert.deepEqual(read.args, { ips: ['10.0.0.9'] });
  assert.equal(read.prevResult?.ips[0]?.address, '10.1.0.5/16');
  const valid = { 'cni.dev/valid-attachments': [{ containerID: 'a', ifname: 'eth0' }] };
  assert.deepEqual(parseConfiguration(JSON.stringify({ ...CONF, ...valid }), 'GC').validAttachments, [
    { containerID: 'a', ifname: 'eth0' },
  ]);
  const wrong: readonly [string, number, RegExp][] = [
    ['', 6, /no JSON/],
    ['{', 6, /no JSON/],
    [`"${'x'.repeat(CONFIGURATION_MAX)}"`, 6, /more than/],
    ['[]', 7, /an object is wanted/],
    ['{}', 1, /cniVersion is missing/],
    ['{"cniVersion":"9.9.9"}', 1, /cniVersion is "9\.9\.9"/],
    ['{"cniVersion":1}', 1, /cniVersion is 1/],
    ['{"cniVersion":"1.1.0"}', 7, /^name: is missing/],
    ['{"cniVersion":"1.1.0","name":"../etc"}', 7, /^name: "\.\.\/etc" is no name/],
    ['{"cniVersion":"1.1.0","name":"a"}', 7, /^type: is missing/],
    [JSON.stringify({ ...CONF, runtimeConfig: 7 }), 7, /^runtimeConfig: an object/],
    [JSON.stringify({ ...CONF, args: { cni: [] } }), 7, /^args\.cni: an object/],
  ];
  for (const [given, code, message] of wrong) {
    const [number, said] = refusal(() => parseConfiguration(given, 'ADD'));
    assert.equal(number, code, said);
    assert.match(said, message);
  }
  assert.deepEqual(
    refusal(() => parseConfiguration(JSON.stringify({ ...CONF, cniVersion: '0.3.1' }), 'CHECK')),
    [1, 'cniVersion 0.3.1 has no CHECK'],
  );
});

test('errors: the specification’s number, one line, what to do', () => {
  assert.deepEqual(errorAnswer(new NetloomError('EADDRTAKEN', 'taken', { hint: 'ask for another' }), '0.4.0'), {
    cniVersion: '0.4.0',
    code: 102,
    msg: 'taken',
    details: 'ask for another',
  });
  const code = (name: string): number => errorAnswer(new NetloomError(name, '')).code;
  assert.deepEqual(
    ['EBADSUBNET', 'EBADNETNS', 'ESTOREBUSY', 'ENOSPC', 'EPOOLEXHAUSTED', 'EUNSUPPORTED', 'EPERM', 'EPREDEFINED'].map(
      code,
    ),
    [7, 3, 11, 5, 101, 103, 104, 100],
  );
  assert.equal(errorAnswer(new TypeError('x')).code, 199);
  assert.equal(versionIn('{"cniVersion": "0.4.0", broken'), '0.4.0');
  assert.equal(versionIn('{}'), undefined);
});

test('whatever a runtime says, the answer is a result or an error with a number', () => {
  const json = fc.jsonValue({ maxDepth: 4 });
  const mutated = fc
    .tuple(fc.constantFrom(...Object.keys({ ...CONF, ...EXAMPLE, prevResult: 0, args: 0, runtimeConfig: 0 })), json)
    .map(([key, value]) => JSON.stringify({ ...CONF, prevResult: EXAMPLE, [key]: value }));
  const broken = fc
    .tuple(fc.constant(JSON.stringify({ ...CONF, prevResult: EXAMPLE })), fc.nat(400), fc.string({ maxLength: 3 }))
    .map(([text, at, noise]) => text.slice(0, at) + noise + text.slice(at + noise.length));
  fc.assert(
    fc.property(
      fc.oneof(mutated, broken, fc.string()),
      fc.constantFrom('ADD', 'DEL', 'CHECK', 'GC', 'STATUS'),
      (text, verb) => {
        try {
          const { prevResult, cniVersion } = parseConfiguration(text, verb);
          if (prevResult) printResult(prevResult, cniVersion);
        } catch (error) {
          assert.ok(error instanceof CniError && error.cni <= 11, String(error));
        }
      },
    ),
    { numRuns: fuzzCases(5000) },
  );
});
