/** Docker's words and what becomes of them: requests as dockerd 20.10 and 28 write them, and such as nobody should. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NetloomError } from '../errors.ts';
import { parseRequest } from './message.ts';
import { gatewaysToSkip, networkSpecOf } from './network-spec.ts';
import { portChanges, portMapOf, portSpecsOf } from './ports.ts';

const ID = '8ccf5ea739ba036891fa02780987a92b8c5bfe0466325b3a4074463cc8db60cf';
const GENERIC = 'com.docker.network.generic';

test('a network as Docker asks for it', () => {
  const request = {
    NetworkID: ID,
    Options: {
      'com.docker.network.enable_ipv6': true,
      'com.docker.network.internal': true,
      [GENERIC]: { mtu: '1400' },
    },
    IPv4Data: [
      {
        AddressSpace: 'LocalDefault',
        Pool: '10.8.0.0/24',
        Gateway: '10.8.0.254/24',
        AuxAddresses: { printer: '10.8.0.9/24' },
      },
    ],
    IPv6Data: [{ Pool: 'fd00:8::/64', Gateway: 'fd00:8::1/64' }],
  };
  assert.deepEqual(networkSpecOf(ID, request), {
    name: 'docker-8ccf5ea739ba',
    driver: 'bridge',
    internal: true,
    ipv4: true,
    ipv6: true,
    subnets: [
      { subnet: '10.8.0.0/24', gateway: '10.8.0.254', auxAddresses: { printer: '10.8.0.9' } },
      { subnet: 'fd00:8::/64', gateway: 'fd00:8::1' },
    ],
    options: { mtu: '1400' },
    labels: { 'netloom.docker': ID },
  });
});

test('names, drivers, pools that are nobody’s, gateways that nobody needs', () => {
  const spec = (options: object, pool: object): ReturnType<typeof networkSpecOf> =>
    networkSpecOf(ID, { Options: { [GENERIC]: options }, IPv4Data: [pool], IPv6Data: null });
  const named = spec({ 'netloom.network': 'web', 'netloom.driver': 'macvlan', parent: 'eth0' }, { Pool: '0.0.0.0/0' });
  assert.deepEqual(
    [named.name, named.driver, named.options, named.subnets, named.ipv4, named.ipv6],
    ['web', 'macvlan', { parent: 'eth0' }, [], true, false],
  );
  const l3 = { 'netloom.driver': 'ipvlan', mode: 'l3' };
  assert.deepEqual(spec(l3, { Pool: '10.8.0.0/24', Gateway: '10.8.0.1/24' }).subnets, [
    { subnet: '10.8.0.0/24', auxAddresses: { 'docker-gateway': '10.8.0.1' } },
  ]);
  assert.deepEqual(spec({}, { Pool: '10.8.0.0/24' }).subnets, [{ subnet: '10.8.0.0/24', gateway: 'none' }]);
  const skip = (options: object): object => gatewaysToSkip({ Options: { [GENERIC]: options } });
  assert.deepEqual(skip({}), { SkipIPv4: false, SkipIPv6: false });
  assert.deepEqual(skip(l3), { SkipIPv4: true, SkipIPv6: true });
  assert.deepEqual(skip({ 'com.docker.network.bridge.gateway_mode_ipv6': 'isolated' }), {
    SkipIPv4: false,
    SkipIPv6: true,
  });
  const two = { IPv4Data: [{ Pool: '10.8.0.0/24' }, { Pool: '10.9.0.0/24' }] };
  assert.throws(() => networkSpecOf(ID, two), { code: 'EBADSUBNET', message: /10\.8\.0\.0\/24 and 10\.9\.0\.0\/24/ });
});

const binding = (more: object): object => ({
  Proto: 6,
  IP: '',
  Port: 80,
  HostIP: '',
  HostPort: 8080,
  HostPortEnd: 8080,
  ...more,
});
const map = (...bindings: readonly object[]): { 'com.docker.network.portmap': readonly object[] } => ({
  'com.docker.network.portmap': bindings,
});

test('ports: protocols, ranges to choose from, addresses', () => {
  assert.deepEqual(portSpecsOf(map(binding({}), binding({ Proto: 17, HostIP: '::', HostPort: 0, HostPortEnd: 0 }))), [
    { protocol: 'tcp', hostPort: 8080, containerPort: 80, count: 1 },
    { protocol: 'udp', hostAddress: '::', hostPort: 0, containerPort: 80, count: 1 },
  ]);
  assert.deepEqual(portSpecsOf(map(binding({ HostPortEnd: 8090 })))[0]?.hostPortEnd, 8090);
  // another endpoint of the container has the ports of IPv6
  const only4 = { 'com.docker.network.endpoint.noproxy6to4': true };
  assert.deepEqual(
    portSpecsOf({ ...map(binding({}), binding({ HostIP: '::' })), ...only4 }).map(({ hostAddress }) => hostAddress),
    ['0.0.0.0'],
  );
  assert.throws(() => portSpecsOf(map(binding({ Proto: 1 }))), { code: 'EBADPORT' });
  assert.deepEqual(portSpecsOf({}), []);
});

test('said again, ports stay; what is no longer said goes', () => {
  const published = { protocol: 'tcp', hostPort: 8080, containerPort: 80, count: 1 } as const;
  const have = ['0.0.0.0', '::'].map((hostAddress) => ({ ...published, hostAddress }));
  assert.equal(portChanges(have, portSpecsOf(map(binding({})))), undefined);
  // any free one was asked for, and there is one
  assert.equal(portChanges(have, portSpecsOf(map(binding({ HostPort: 0, HostPortEnd: 0 })))), undefined);
  assert.deepEqual(
    portChanges(
      have,
      portSpecsOf(map(binding({ HostIP: '0.0.0.0' }), binding({ Port: 81, HostPort: 81, HostPortEnd: 0 }))),
    ),
    {
      publish: [{ protocol: 'tcp', hostPort: 81, containerPort: 81, count: 1 }],
      unpublish: [{ protocol: 'tcp', hostAddress: '::', hostPort: 8080, count: 1 }],
    },
  );
  assert.deepEqual(
    portMapOf([{ ...published, hostAddress: '0.0.0.0', count: 2 }])[1],
    binding({ Port: 81, HostIP: '0.0.0.0', HostPort: 8081, HostPortEnd: 8081 }),
  );
});

test('what is no request of Docker’s is refused, whatever it is', () => {
  const edocker = (error: unknown): boolean => error instanceof NetloomError && error.code === 'EDOCKER';
  for (const body of ['[]', '3', '"x"', '{', '\u0000']) assert.throws(() => parseRequest(body), edocker, body);
  for (const body of ['', ' \n', 'null', '{}']) assert.deepEqual(parseRequest(body), {});
  for (const request of [
    { Options: [] },
    { Options: 'x' },
    { Options: { [GENERIC]: 3 } },
    { IPv4Data: {} },
    { IPv4Data: ['x'] },
    { IPv4Data: [{ Pool: 3 }] },
    { IPv4Data: [{ Pool: '10.0.0.0/8', AuxAddresses: 'x' }] },
  ])
    assert.throws(() => networkSpecOf(ID, request), edocker, JSON.stringify(request));
  for (const bad of [{ Port: '80' }, { HostIP: 3 }, { Proto: 'tcp' }])
    assert.throws(
      () => portSpecsOf(map(binding(bad))),
      (error: NetloomError) => ['EDOCKER', 'EBADPORT'].includes(error.code),
      JSON.stringify(bad),
    );
});
