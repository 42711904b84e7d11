import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fuzzCases } from '../../test/lib/dice.ts';
import { NetloomError } from '../errors.ts';
import type { EngineApi } from '../model/index.ts';
import { parseCommand } from './command.ts';
import { createNetwork } from './create.ts';
import { parseRequest } from './input.ts';
import { runNetavark } from './netavark.ts';
import { runNetavarkPlugin } from './plugin.ts';
import { isPluginCall } from './words.ts';

const ID = 'abc123def4567890123456789012345678901234567890123456789012345678';
const NOW = '2026-11-21T10:00:00.000Z';

interface Made {
  readonly network_interface?: string;
  readonly subnets?: readonly { readonly subnet: string; readonly gateway?: string }[];
  readonly ipam_options?: { readonly driver: string };
  readonly ipv6_enabled: boolean;
  readonly dns_enabled: boolean;
  readonly created: string;
  readonly [key: string]: unknown;
}

/** As the document of `netavark create` has its input; `around` takes the place of a part of it. */
function create(network: object, around: { readonly used?: object; readonly options?: object } = {}): Made {
  return createNetwork(
    JSON.stringify({
      network: {
        name: 'n',
        id: ID,
        driver: 'bridge',
        dns_enabled: false,
        internal: false,
        ipv6_enabled: false,
        ...network,
      },
      used: { interfaces: [], names: {}, subnets: [], ...around.used },
      options: {
        subnet_pools: [{ base: '10.89.0.0/16', size: 24 }],
        default_interface_name: 'podman',
        check_used_subnets: true,
        ...around.options,
      },
    }),
    NOW,
  ) as Made;
}
function refusal(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    assert.ok(error instanceof NetloomError, String(error));
    return error.message;
  }
  throw new Error('nothing was refused');
}

test('a definition is completed as netavark does it', () => {
  assert.deepEqual(create({ labels: { a: 'b' } }), {
    name: 'n',
    id: ID,
    driver: 'bridge',
    dns_enabled: false,
    internal: false,
    ipv6_enabled: false,
    labels: { a: 'b' },
    network_interface: 'podman1',
    subnets: [{ subnet: '10.89.0.0/24', gateway: '10.89.0.1' }],
    ipam_options: { driver: 'host-local' },
    created: NOW,
  });
  const used = { interfaces: ['podman1'], names: { podman2: ID }, subnets: ['10.89.0.0/23', '10.89.3.128/25'] };
  const busy = create({}, { used });
  assert.equal(busy.network_interface, 'podman3');
  assert.equal(busy.subnets?.[0]?.subnet, '10.89.2.0/24');
  const gateways = (network: object): unknown => create(network).subnets?.map(({ gateway }) => gateway);
  assert.deepEqual(gateways({ subnets: [{ subnet: '10.1.0.0/24' }] }), ['10.1.0.1']);
  assert.deepEqual(gateways({ subnets: [{ subnet: '10.1.0.0/24', gateway: '10.1.0.50' }] }), ['10.1.0.50']);
  assert.deepEqual(gateways({ internal: true }), [undefined]);
  assert.deepEqual(gateways({ internal: true, dns_enabled: true }), ['10.89.0.1']);

  const dual = create({ ipv6_enabled: true, subnets: [{ subnet: '10.1.0.0/24' }] });
  assert.equal(dual.subnets?.length, 2);
  assert.match(dual.subnets[1]?.subnet ?? '', /^fd[0-9a-f:]+::\/64$/);
  assert.equal(create({ subnets: [{ subnet: 'fdcc::/64' }] }).ipv6_enabled, true);
  const docker = { 'com.docker.network.driver.mtu': '1400', 'com.docker.network.bridge.name': 'br7' };
  const named = create({ options: docker });
  assert.deepEqual([named['options'], named.network_interface], [{ mtu: '1400' }, 'br7']);

  const lan = { driver: 'macvlan', network_interface: 'eth0', dns_enabled: true };
  assert.deepEqual([create(lan).ipam_options, create(lan).dns_enabled], [{ driver: 'dhcp' }, false]);
  assert.deepEqual(create({ ...lan, driver: 'ipvlan', subnets: [{ subnet: '10.1.0.0/24' }] }).ipam_options, {
    driver: 'host-local',
  });
});

test('a definition that cannot be is refused', () => {
  const wrong: readonly (readonly [object, RegExp, object?])[] = [
    [{ name: 'bad!' }, /network\.name: "bad!" is no name/],
    [{ id: '' }, /network\.id: 64 hexadecimal digits/],
    [{}, /already exists: n/, { used: { names: { n: ID } } }],
    [{ network_interface: 'br0' }, /bridge name br0 already in use/, { used: { interfaces: ['br0'] } }],
    [
      { subnets: [{ subnet: '10.1.0.0/24', gateway: '10.2.0.1' }] },
      /gateway 10\.2\.0\.1 not in subnet 10\.1\.0\.0\/24/,
    ],
    [
      { subnets: [{ subnet: '10.1.0.0/24', lease_range: { start_ip: '10.2.0.1' } }] },
      /lease range start_ip 10\.2\.0\.1 not in subnet/,
    ],
    [{ network_dns_servers: ['1.1.1.1'] }, /DNS is not enabled/],
    [{ dns_enabled: true, network_dns_servers: ['x'] }, /"x"/],
    [{ options: { vrf: 'blue' } }, /options\.vrf/],
    [{ driver: 'overlay' }, /there is no "overlay"/],
    [{ driver: 'ipvlan', network_interface: 'eth0' }, /ipvlan needs one/],
    [
      {},
      /could not find a free subnet/,
      { options: { subnet_pools: [{ base: '10.9.0.0/24', size: 24 }] }, used: { subnets: ['10.0.0.0/8'] } },
    ],
  ];
  for (const [network, message, around] of wrong)
    assert.match(
      refusal(() => create(network, around)),
      message,
    );
});

test('the command line, as Podman and people write it', () => {
  const podman = ['--config', '/run/c', '--rootless=false', '--aardvark-binary=/a', 'setup', '/run/netns/x'];
  const { verb, operands, config, rootless } = parseCommand(podman);
  assert.deepEqual([verb, operands, config, rootless], ['setup', ['/run/netns/x'], '/run/c', false]);
  assert.deepEqual(parseCommand(['update', 'web', '--network-dns-servers', '1.1.1.1,9.9.9.9']).dnsServers, [
    '1.1.1.1',
    '9.9.9.9',
  ]);
  assert.equal(parseCommand(['-f', '-', '--rootless', 'true', 'teardown', '/x']).rootless, true);
  assert.equal(parseCommand(['--version']).verb, 'version');
  for (const words of [[], ['setup'], ['setup', ''], ['setup', '/a', '/b'], ['--file'], ['--no', 'x']])
    assert.throws(() => parseCommand(words), { code: 'EUSAGE' });
});

test('a plugin is called by its own words, which are nobody else’s', () => {
  for (const words of [['info'], ['create'], ['setup', '/run/netns/x'], ['teardown', '/x']])
    assert.ok(isPluginCall(words));
  for (const words of [[], ['version'], ['setup'], ['setup', 'x'], ['network', 'create'], ['create', 'x']])
    assert.ok(!isPluginCall(words));
});

test('networks are a map, or a list that keeps its order', () => {
  const networks = [
    { name: 'z', interface_name: 'eth0', static_ips: ['10.0.0.2'] },
    { name: 'a', interface_name: 'eth1' },
  ];
  const text = JSON.stringify({ container_id: 'c', networks, network_info: {} });
  assert.deepEqual(
    parseRequest(text, 'setup').attachments.map(({ network, ifname }) => [network, ifname]),
    [
      ['z', 'eth0'],
      ['a', 'eth1'],
    ],
  );
});

test('whatever is said, the answer is one document, and a failure is one line', async () => {
  const whole = {
    container_id: 'c',
    container_name: 'n',
    networks: { web: { interface_name: 'eth0', static_ips: ['10.0.0.2'], aliases: ['x'] } },
    network_info: {
      web: { name: 'web', id: ID, driver: 'bridge', network_interface: 'b', subnets: [{ subnet: '10.0.0.0/24' }] },
    },
    port_mappings: [{ host_ip: '', host_port: 1, container_port: 1, range: 1, protocol: 'tcp' }],
  };
  const value = fc.jsonValue({ maxDepth: 4 });
  const mutated = fc.oneof(
    fc
      .tuple(fc.constantFrom(...Object.keys(whole)), value)
      .map(([key, each]) => JSON.stringify({ ...whole, [key]: each })),
    fc
      .tuple(
        fc.constantFrom(...Object.keys(whole.network_info.web), 'options', 'routes', 'ipam_options', 'dns_enabled'),
        value,
      )
      .map(([key, each]) =>
        JSON.stringify({ ...whole, network_info: { web: { ...whole.network_info.web, [key]: each } } }),
      ),
    fc.tuple(fc.nat(300), fc.string({ maxLength: 3 })).map(([at, noise]) => {
      const text = JSON.stringify(whole);
      return text.slice(0, at) + noise + text.slice(at + noise.length);
    }),
    fc.string(),
  );
  // what is understood gets as far as the engine, of which there is none
  const open = (): Promise<EngineApi> => Promise.reject(new NetloomError('ENODAEMON', 'no engine'));
  await fc.assert(
    fc.asyncProperty(
      mutated,
      fc.constantFrom('setup', 'teardown', 'create'),
      fc.boolean(),
      async (stdin, verb, plugin) => {
        const argv = verb === 'create' ? [verb] : [verb, '/x'];
        const run = plugin ? runNetavarkPlugin : runNetavark;
        const { stdout, status } = await run({ program: 'netavark', argv, env: {}, stdin, open });
        const { error } = JSON.parse(stdout) as { error?: string };
        assert.ok(status === 1 ? typeof error === 'string' && !error.includes('\n') : verb === 'create');
        assert.doesNotMatch(error ?? '', /undefined|is not a function|Cannot read/);
      },
    ),
    { numRuns: fuzzCases(2000) },
  );
});
