import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseNetworkSpec } from '../model/index.ts';
import { FixtureEngine, PEERS, ran, SHARED, WEB } from './fixture.test.ts';
import { DRIVER_OPTIONS } from './option-words.ts';

function sharing(): FixtureEngine {
  const engine = new FixtureEngine();
  engine.networks = [WEB, SHARED];
  return engine;
}

test('options of the driver overlay reach the engine as they are', async () => {
  const typed =
    'network create -d overlay -o backend=host-gw -o node_prefix=25 -o direct_routing=true --attachable --subnet 10.244.0.0/16 shared';
  assert.deepEqual((await ran(typed.split(' '))).calls, [
    [
      'networkCreate',
      {
        name: 'shared',
        driver: 'overlay',
        subnets: [{ subnet: '10.244.0.0/16' }],
        options: { backend: 'host-gw', node_prefix: '25', direct_routing: 'true' },
      },
      {},
    ],
  ]);
});

test('the scope is global where hosts share the network', async () => {
  const engine = sharing();
  assert.equal(
    (await ran(['network', 'ls', '--format', '{{.Name}} {{.Driver}} {{.Scope}}'], { engine })).stdout,
    'web bridge local\nshared overlay global\n',
  );
  assert.match((await ran(['network', 'ls'], { engine })).stdout, /^9{12} +shared +overlay +global /m);
  assert.equal(
    (await ran(['network', 'inspect', '-f', '{{.Scope}}', 'web', 'shared'], { engine })).stdout,
    'local\nglobal\n',
  );
});

test('network inspect shows what a network is between hosts, and which have it', async () => {
  const engine = sharing();
  const { stdout } = await ran(['network', 'inspect', 'shared'], { engine });
  const [shown] = JSON.parse(stdout) as [Record<string, unknown>];
  assert.deepEqual(shown['Peers'], [
    { Name: 'a', IP: '192.0.2.1', Prefixes: '10.244.1.0/24', Backend: 'wireguard' },
    { Name: 'b', IP: '2001:db8::2', Prefixes: '10.244.2.0/24', Backend: 'vxlan' },
  ]);
  const { plan, backend, ranges, vni, port, directRouting, bridge } = shown['Options'] as Record<string, string>;
  assert.deepEqual(
    { plan, backend, ranges, vni, port, directRouting, bridge },
    {
      plan: 'node',
      backend: 'wireguard',
      ranges: '10.244.0.0/16,fd00:244::/56',
      vni: '4097',
      port: '51820',
      directRouting: 'false',
      bridge: 'br-web',
    },
  );
  const json = JSON.parse((await ran(['--json', 'network', 'inspect', 'shared'], { engine })).stdout) as unknown;
  assert.deepEqual(json, [{ ...SHARED, endpoints: [], peers: PEERS }]);
});

const complete = async (...words: string[]): Promise<string[]> =>
  (await ran(['_complete', '--', 'network', 'create', ...words])).stdout.split('\n').slice(0, -1);

test('drivers and their options are completed', async () => {
  assert.deepEqual(await complete('-d', ''), ['bridge', 'overlay', 'macvlan', 'ipvlan']);
  assert.deepEqual(await complete('--driver=o'), ['--driver=overlay']);
  for (const driver of [['-d', 'overlay'], ['-doverlay'], ['--driver', 'overlay'], ['--driver=overlay']]) {
    assert.deepEqual(await complete(...driver, '-o', 'backend=w'), ['backend=wireguard']);
    assert.deepEqual(await complete(...driver, '-o', 'v'), ['vni=']);
  }
  assert.deepEqual(await complete('-o', 'backend='), []);
  assert.deepEqual(await complete('-o', 'gateway_mode=r'), ['gateway_mode=routed']);
  assert.deepEqual(await complete('-d', 'macvlan', '-o', 'mode=p'), ['mode=private', 'mode=passthru']);
  assert.deepEqual(await complete('-o', 'mtu='), []);
});

/** What is right beside something else only. */
const BESIDE: Readonly<Record<string, object>> = { isolated: { internal: true } };

test('every value that is completed is one', () => {
  // an overlay's are read by what makes networks of a cluster
  const { overlay: _, ...drivers } = DRIVER_OPTIONS;
  for (const [driver, options] of Object.entries(drivers)) {
    for (const [key, values] of Object.entries(options)) {
      for (const value of values) {
        const spec = { name: 'x', driver, options: { [key]: value }, ...BESIDE[value] };
        assert.doesNotThrow(() => parseNetworkSpec(spec, { id: WEB.id }), `-d ${driver} -o ${key}=${value}`);
      }
    }
  }
});
