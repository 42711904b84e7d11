/** Docker's plugin protocol by its bytes, without Docker: who may connect, calls that come twice, and what nobody should send. */
// runs: here in one mode (a protocol)
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { serveDocker } from '../../src/daemon/docker-listener.ts';
import { openLog } from '../../src/daemon/log.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { stateOf } from '../lib/kernel-state.ts';

checkDescriptors();

interface Answer {
  readonly status: number;
  readonly json: Readonly<Record<string, unknown>>;
}
interface Door extends AsyncDisposable {
  readonly path: string;
  ask(method: string, body?: object | string, verb?: string): Promise<Answer>;
}

async function open(bed: EngineBed, scope?: 'global'): Promise<Door> {
  const path = join(bed.dirs.root, 'plugins', 'netloom.sock');
  const serving = await serveDocker(bed.engine, path, scope, openLog({ level: 'silent' }));
  return {
    path,
    ask: (method, body = {}, verb = 'POST') =>
      new Promise((resolve, reject) => {
        const asked = request({ socketPath: path, path: `/${method}`, method: verb, agent: false }, (answer) => {
          let said = '';
          answer.on('data', (part: Buffer) => (said += part.toString()));
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, json: JSON.parse(said) as Answer['json'] }));
        });
        asked.on('error', reject);
        asked.end(typeof body === 'string' ? body : JSON.stringify(body));
      }),
    [Symbol.asyncDispose]: () => serving[Symbol.asyncDispose](),
  };
}

const NETWORK = 'a1'.repeat(32);
const POOL = { IPv4Data: [{ Pool: '10.6.0.0/24', Gateway: '10.6.0.1/24' }], IPv6Data: [], Options: {} };
const endpoint = (n: number): object => ({
  NetworkID: NETWORK,
  EndpointID: n.toString(16).padStart(64, '0'),
  Interface: { Address: `10.6.0.${n}/24`, AddressIPv6: '', MacAddress: '' },
  Options: {},
});

test('root alone may connect; the first call says what there is', async () => {
  await using bed = await makeEngineBed();
  await using door = await open(bed);
  assert.equal(statSync(door.path).mode & 0o777, 0o600);
  assert.equal(statSync(join(door.path, '..')).mode & 0o777, 0o711);
  assert.deepEqual(await door.ask('Plugin.Activate', ''), {
    status: 200,
    json: { Implements: ['NetworkDriver', 'IpamDriver'] },
  });
  assert.deepEqual((await door.ask('NetworkDriver.GetCapabilities', 'null')).json, {
    Scope: 'local',
    ConnectivityScope: 'local',
    GwAllocChecker: true,
  });
});

test('every call may come twice, or fifty at a time: one network, one endpoint each, and nothing at the end', async () => {
  await using bed = await makeEngineBed();
  await using door = await open(bed);
  const before = withoutForwarding(await stateOf([bed.host.netns]));
  const ok = async (method: string, body: object): Promise<Answer['json']> => {
    const { status, json } = await door.ask(`NetworkDriver.${method}`, body);
    assert.equal(status, 200, JSON.stringify(json));
    return json;
  };
  const create = { NetworkID: NETWORK, ...POOL };
  await ok('CreateNetwork', create);
  await ok('CreateNetwork', create);
  const numbers = Array.from({ length: 25 }, (_, i) => i + 2);
  await Promise.all([...numbers, ...numbers].map((n) => ok('CreateEndpoint', endpoint(n))));
  const joined = await Promise.all(numbers.map((n) => ok('Join', { ...endpoint(n), SandboxKey: '/x' })));
  assert.equal(new Set(joined.map((each) => (each['InterfaceName'] as { SrcName: string }).SrcName)).size, 25);
  assert.deepEqual([joined[0]?.['Gateway'], joined[0]?.['DisableGatewayService']], ['10.6.0.1', false]);
  const ports = {
    'com.docker.network.portmap': [{ Proto: 6, IP: '', Port: 80, HostIP: '', HostPort: 0, HostPortEnd: 0 }],
  };
  const publish = { ...endpoint(2), Options: ports };
  await ok('ProgramExternalConnectivity', publish);
  const info = (): Promise<unknown> => ok('EndpointOperInfo', endpoint(2)).then((json) => json['Value']);
  const published = await info();
  assert.match(JSON.stringify(published), /"Port":80,"HostIP":"0\.0\.0\.0","HostPort":\d+/);
  await ok('ProgramExternalConnectivity', publish);
  assert.deepEqual(await info(), published);
  await ok('RevokeExternalConnectivity', endpoint(2));
  await ok('RevokeExternalConnectivity', endpoint(2));
  await Promise.all(
    [...numbers, ...numbers].map(async (n) => {
      await ok('Leave', endpoint(n));
      await ok('DeleteEndpoint', endpoint(n));
    }),
  );
  await ok('DeleteNetwork', create);
  await ok('DeleteNetwork', create);
  assert.deepEqual([await bed.engine.endpointList(), withoutForwarding(await stateOf([bed.host.netns]))], [[], before]);
});

test('what Docker forgot goes with its network; what is somebody else’s keeps it', async () => {
  await using bed = await makeEngineBed();
  await using door = await open(bed);
  await door.ask('NetworkDriver.CreateNetwork', { NetworkID: NETWORK, ...POOL });
  await door.ask('NetworkDriver.CreateEndpoint', endpoint(7));
  const box = await bed.workload('box');
  const { value } = await bed.engine.endpointAttach({ network: `docker-${NETWORK.slice(0, 12)}`, netns: box.path });
  const { status, json } = await door.ask('NetworkDriver.DeleteNetwork', { NetworkID: NETWORK });
  assert.equal(status, 500);
  assert.match(String(json['Err']), /has 1 endpoint \(.*inspect/);
  await bed.engine.endpointDetach(value.id);
  assert.equal((await door.ask('NetworkDriver.DeleteNetwork', { NetworkID: NETWORK })).status, 200);
  assert.equal((await bed.engine.networkList()).length, 2);
});

test('a swarm’s manager checks what a node makes; rates and other options of an endpoint', async () => {
  await using bed = await makeEngineBed();
  await using door = await open(bed, 'global');
  assert.equal((await door.ask('NetworkDriver.GetCapabilities')).json['Scope'], 'global');
  // a manager's options stand by themselves, a node's below the label
  const manager = { ...POOL, NetworkID: NETWORK, Options: { mtu: '1400' } };
  assert.deepEqual((await door.ask('NetworkDriver.AllocateNetwork', manager)).json, { Options: { mtu: '1400' } });
  const before = await stateOf([bed.host.netns]);
  const wrong = await door.ask('NetworkDriver.AllocateNetwork', { ...manager, Options: { mtuu: '1400' } });
  assert.equal(wrong.status, 500);
  assert.match(String(wrong.json['Err']), /mtuu/);
  assert.deepEqual([(await bed.engine.networkList()).length, await stateOf([bed.host.netns])], [2, before]);
  const node = { ...manager, Options: { 'com.docker.network.generic': { mtu: '1400' } } };
  assert.equal((await door.ask('NetworkDriver.CreateNetwork', node)).status, 200);
  const rates = { 'netloom.egress_rate': '10mbit', 'com.docker.network.endpoint.exposedports': [] };
  assert.equal((await door.ask('NetworkDriver.CreateEndpoint', { ...endpoint(2), Options: rates })).status, 200);
  const [made] = await bed.engine.endpointList();
  assert.deepEqual(made?.rates, { egress: 10_000_000, ingress: 0 });
  const unknown = { ...endpoint(3), Options: { 'netloom.rate': '10mbit' } };
  assert.match(
    String((await door.ask('NetworkDriver.CreateEndpoint', unknown)).json['Err']),
    /no option netloom\.rate \(there are netloom\.ingress_rate/,
  );
  assert.equal((await door.ask('NetworkDriver.DeleteNetwork', node)).status, 200);
  assert.deepEqual((await door.ask('NetworkDriver.FreeNetwork', { NetworkID: NETWORK })).json, {});
  assert.equal((await bed.engine.networkList()).length, 2);
});

test('an endpoint of nobody, a network of nobody, an address of another', async () => {
  await using bed = await makeEngineBed();
  await using door = await open(bed);
  const refused = async (method: string, body: object, message: RegExp): Promise<void> => {
    const { status, json } = await door.ask(method, body);
    assert.equal(status, 500);
    assert.match(String(json['Err']), message);
    assert.equal(json['Error'], json['Err']);
  };
  await refused('NetworkDriver.CreateEndpoint', endpoint(2), /netloom has no network of Docker’s a1a1/);
  await refused('NetworkDriver.Join', endpoint(2), /no endpoint "docker:0+2"/);
  await refused('IpamDriver.RequestAddress', { PoolID: 'ff', Address: '', Options: {} }, /no address pool "ff"/);
  await door.ask('NetworkDriver.CreateNetwork', { NetworkID: NETWORK, ...POOL });
  await door.ask('NetworkDriver.CreateEndpoint', endpoint(2));
  await refused(
    'NetworkDriver.CreateEndpoint',
    { ...endpoint(2), EndpointID: 'ee'.repeat(32) },
    /10\.6\.0\.2 .*is taken/,
  );
  await refused(
    'NetworkDriver.CreateEndpoint',
    { ...endpoint(3), Interface: { Address: '10.9.0.3/24' } },
    /outside network/,
  );
  assert.equal((await bed.engine.endpointList()).length, 1);
  assert.equal((await door.ask('IpamDriver.ReleasePool', { PoolID: 'ff' })).status, 200);
});

test('malformed, huge and unknown requests are refused, and change nothing', async () => {
  await using bed = await makeEngineBed();
  await using door = await open(bed);
  const before = await stateOf([bed.host.netns]);
  for (const body of [
    '{',
    '[]',
    '"x"',
    '{"NetworkID":3}',
    '{"NetworkID":"x","Options":[]}',
    '\0',
    `{"NetworkID":"../../etc"`,
  ]) {
    const { status, json } = await door.ask('NetworkDriver.CreateNetwork', body);
    assert.equal(status, 500, body);
    assert.notEqual(json['Err'], '');
  }
  assert.match(String((await door.ask('NetworkDriver.CreateNetwork', '')).json['Err']), /NetworkID is missing/);
  assert.equal((await door.ask('NetworkDriver.Evil')).status, 404);
  assert.equal((await door.ask('../etc/passwd')).status, 404);
  assert.equal((await door.ask('Plugin.Activate', '', 'GET')).status, 500);
  const huge = await door
    .ask('NetworkDriver.CreateNetwork', `{"x":"${'x'.repeat(2 << 20)}"}`)
    .catch((error: Error) => error);
  assert.ok(huge instanceof Error || huge.status === 500);
  assert.deepEqual([(await bed.engine.networkList()).length, await stateOf([bed.host.netns])], [2, before]);
});

/** Forwarding is never set back (docs/architecture.md). */
function withoutForwarding(state: unknown): unknown {
  return (state as Record<string, unknown>[]).map(({ parameters: _parameters, ...rest }) => rest);
}
