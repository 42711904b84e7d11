/** The program as netavark: a process per call with JSON on standard input, as Podman makes them, and beside the real one. */
// runs: here in one mode (compared with a program of root's)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Netns } from '../../src/kernel/index.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { ADDRESS } from '../lib/host.ts';
import {
  callNetavark,
  linkNetavark,
  type NetavarkAnswer,
  podmanNetwork,
  podmanRequest,
  REAL_NETAVARK,
} from '../lib/netavark.ts';
import { ping, tcpConnect, tcpServer } from '../lib/peer.ts';
import { jsonIn } from '../lib/run.ts';

interface Block {
  readonly dns_search_domains: readonly string[];
  readonly dns_server_ips: readonly string[];
  readonly interfaces: Readonly<
    Record<string, { mac_address: string; subnets: readonly { gateway?: string; ipnet: string }[] }>
  >;
}

interface Bed extends EngineBed {
  netavark(words: readonly string[], input: object | string): Promise<NetavarkAnswer>;
}
async function makeBed(): Promise<Bed> {
  const bed = await makeEngineBed();
  const program = linkNetavark(`${bed.dirs.root}/bin`);
  return Object.assign(bed, {
    netavark: (words: readonly string[], input: object | string) => callNetavark(bed, program, words, input),
  });
}
function blocks({ status, json }: NetavarkAnswer): Readonly<Record<string, Block>> {
  assert.equal(status, 0, JSON.stringify(json));
  return json as Readonly<Record<string, Block>>;
}

test('two containers are set up, reach each other and are reached, and leave nothing', async () => {
  await using bed = await makeBed();
  const [a, b] = [await bed.workload('a'), await bed.workload('b')];
  const web = podmanNetwork('web');
  const one = podmanRequest('c1', [[web, { static_ips: ['10.89.0.2'], static_mac: '02:11:22:33:44:55' }]], {
    port_mappings: [{ container_port: 80, host_ip: '', host_port: 8080, protocol: 'tcp', range: 1 }],
  });
  const two = podmanRequest('c2', [[web, { static_ips: ['10.89.0.3'] }]]);
  // both are the first of their network
  const [first, second] = await Promise.all([
    bed.netavark(['setup', a.path], one),
    bed.netavark(['setup', b.path], two),
  ]);
  assert.deepEqual(blocks(first), {
    web: {
      dns_search_domains: [],
      dns_server_ips: [],
      interfaces: {
        eth0: { mac_address: '02:11:22:33:44:55', subnets: [{ gateway: '10.89.0.1', ipnet: '10.89.0.2/24' }] },
      },
    },
  });
  assert.match(first.stderr, /names of containers are answered by netloom daemon/);
  assert.equal(blocks(second)['web']?.interfaces['eth0']?.subnets[0]?.ipnet, '10.89.0.3/24');
  assert.ok(await ping(a.netns, '10.89.0.3'));
  assert.ok(await ping(b.netns, ADDRESS.internet));
  await using _server = await tcpServer(a.netns, '0.0.0.0', 80, 'served');
  assert.ok((await tcpConnect(bed.host.outside, ADDRESS.host, 8080)).ok, 'the published port');

  // the same again is the same container, started anew
  assert.deepEqual((await bed.netavark(['setup', a.path], one)).json, first.json);
  assert.deepEqual((await bed.engine.endpointList()).map(({ name = '' }) => name).toSorted(), [
    'podman:c1:web:eth0',
    'podman:c2:web:eth0',
  ]);

  // without the namespace, and again
  for (const request of [one, two, two]) {
    assert.deepEqual(await bed.netavark(['teardown', '/run/netns/gone'], request), {
      status: 0,
      json: undefined,
      stderr: '',
    });
  }
  assert.deepEqual(await bed.engine.endpointList(), []);
  assert.ok(!(await bed.engine.networkList()).some(({ name }) => name === 'web'), 'it went with its last container');
  const links = await jsonIn<{ ifname: string }[]>(bed.host.netns, ['ip', '-j', 'link']);
  assert.deepEqual(
    links.map(({ ifname }) => ifname),
    ['lo', 'eth0'],
  );
});

test('what the real one answers, ours answers', async () => {
  const dual = podmanNetwork('dual', {
    ipv6_enabled: true,
    dns_enabled: false,
    subnets: [
      { subnet: '10.90.0.0/16', gateway: '10.90.0.1' },
      { subnet: 'fd00:90::/64', gateway: 'fd00:90::1' },
    ],
  });
  const web = podmanNetwork('web', { options: { mtu: '1400', isolate: 'true' } });
  const inner = podmanNetwork('inner', { internal: true, subnets: [{ subnet: '10.91.0.0/24' }], dns_enabled: false });
  const wire = podmanNetwork('wire', {
    driver: 'macvlan',
    network_interface: 'eth0',
    dns_enabled: false,
    subnets: [{ subnet: '192.0.2.0/24', gateway: '192.0.2.2' }],
  });
  const requests: readonly (readonly [string, object])[] = [
    ['one network', podmanRequest('c1', [[web, { static_ips: ['10.89.0.9'], static_mac: '02:11:22:33:44:55' }]])],
    ['dual stack', podmanRequest('c1', [[dual, { static_ips: ['10.90.7.7', 'fd00:90::7'] }]])],
    ['no gateway', podmanRequest('c1', [[inner, { static_ips: ['10.91.0.7'] }]])],
    ['macvlan', podmanRequest('c1', [[wire, { static_ips: ['192.0.2.77'] }]])],
    [
      'several networks and ports',
      podmanRequest(
        'c1',
        [
          [web, { static_ips: ['10.89.0.9'] }],
          [dual, { static_ips: ['10.90.0.9', 'fd00:90::9'] }],
        ],
        {
          port_mappings: [
            { container_port: 80, host_ip: '', host_port: 8080, protocol: 'tcp', range: 3 },
            { container_port: 53, host_ip: '192.0.2.1', host_port: 53, protocol: 'udp', range: 1 },
          ],
        },
      ),
    ],
  ];
  for (const [what, request] of requests) {
    const seen = [];
    for (const real of [true, false]) {
      await using bed = await makeBed();
      const { netns, path } = await bed.workload('a');
      const call = (words: readonly string[]): Promise<NetavarkAnswer> =>
        real ? callNetavark(bed, REAL_NETAVARK, words, request) : bed.netavark(words, request);
      const answer = blocks(await call(['setup', path]));
      const links = await jsonIn<{ ifname: string; mtu: number; address: string }[]>(netns, ['ip', '-j', 'link']);
      const addresses = await jsonIn<
        { ifname: string; addr_info: { local: string; prefixlen: number; scope: string }[] }[]
      >(netns, ['ip', '-j', 'addr']);
      const routes = await jsonIn<{ dst: string; gateway?: string; dev: string }[]>(netns, ['ip', '-j', 'route']);
      seen.push({
        answer: Object.entries(answer)
          .map(([name, { interfaces }]) => [
            name,
            Object.entries(interfaces).map(([ifname, { mac_address: mac, subnets }]) => {
              const link = links.find((each) => each.ifname === ifname);
              assert.equal(mac, link?.address, `${what}: ${ifname}`);
              // an older one writes null for no gateway
              return [ifname, subnets.map(({ gateway, ipnet }) => [ipnet, gateway ?? ''])];
            }),
          ])
          .toSorted(([a], [b]) => String(a).localeCompare(String(b))),
        links: links.map(({ ifname, mtu }) => `${ifname} ${mtu}`).toSorted(),
        addresses: addresses
          .flatMap(({ ifname, addr_info: info }) =>
            info
              .filter(({ scope }) => scope === 'global')
              .map(({ local, prefixlen }) => `${ifname} ${local}/${prefixlen}`),
          )
          .toSorted(),
        routes: new Set(routes.map(({ dst, gateway = '' }) => `${dst} ${gateway === '' ? '' : 'via'}`)),
      });
      const gone = await call(['teardown', path]);
      assert.equal(gone.status, 0, JSON.stringify(gone.json));
    }
    assert.deepEqual(seen[1], seen[0], what);
  }
});

test('several addresses, static routes, metrics, and a network that offers no default route', async () => {
  await using bed = await makeBed();
  const { netns, path } = await bed.workload('a');
  const far = podmanNetwork('far', {
    subnets: [{ subnet: '10.92.0.0/24', gateway: '10.92.0.1' }],
    routes: [
      { destination: '10.200.0.0/16', gateway: '10.92.0.254' },
      { destination: '10.201.0.0/16', gateway: '10.92.0.253', metric: 7 },
    ],
  });
  const second = podmanNetwork('second', {
    subnets: [{ subnet: '10.93.0.0/24', gateway: '10.93.0.1' }],
    options: { metric: '50' },
  });
  const third = podmanNetwork('third', {
    subnets: [{ subnet: '10.94.0.0/24', gateway: '10.94.0.1' }],
    options: { no_default_route: '1', metric: '1' },
  });
  const request = podmanRequest('c1', [
    [far, { static_ips: ['10.92.0.7', '10.92.0.8'] }],
    [second, { static_ips: ['10.93.0.7'] }],
    [third, { static_ips: ['10.94.0.7'] }],
  ]);
  const status = blocks(await bed.netavark(['setup', path], request));
  assert.deepEqual(
    status['far']?.interfaces['eth0']?.subnets.map(({ ipnet }) => ipnet),
    ['10.92.0.7/24', '10.92.0.8/24'],
  );
  const routes = await jsonIn<{ dst: string; gateway?: string; metric?: number }[]>(netns, ['ip', '-j', 'route']);
  assert.deepEqual(
    routes
      .flatMap(({ dst, gateway, metric = 0 }) => (gateway === undefined ? [] : [`${dst} ${gateway} ${metric}`]))
      .toSorted(),
    ['10.200.0.0/16 10.92.0.254 100', '10.201.0.0/16 10.92.0.253 7', 'default 10.93.0.1 0'],
  );
  assert.equal((await bed.netavark(['teardown', path], request)).status, 0);
});

test('a network that was defined anew, whose containers died unheard, is made anew', async () => {
  await using bed = await makeBed();
  {
    const { netns, path } = await bed.workload('dead');
    const web = podmanNetwork('web');
    blocks(await bed.netavark(['setup', path], podmanRequest('c1', [[web, { static_ips: ['10.89.0.2'] }]])));
    Netns.unpin(path);
    netns[Symbol.dispose]();
  }
  const { path } = await bed.workload('b');
  const web = podmanNetwork('web', { subnets: [{ subnet: '10.96.0.0/24', gateway: '10.96.0.1' }] });
  const request = podmanRequest('c2', [[web, { static_ips: ['10.96.0.2'] }]]);
  blocks(await bed.netavark(['setup', path], request));
  assert.deepEqual((await bed.engine.networkInspect('web')).subnets, [
    { subnet: '10.96.0.0/24', gateway: '10.96.0.1' },
  ]);
  // while somebody lives on it, it stays
  const { path: other } = await bed.workload('c');
  const again = podmanNetwork('web', { subnets: [{ subnet: '10.97.0.0/24', gateway: '10.97.0.1' }] });
  const refused = await bed.netavark(['setup', other], podmanRequest('c3', [[again, { static_ips: ['10.97.0.2'] }]]));
  assert.equal(refused.status, 1);
  assert.match(JSON.stringify(refused.json), /network \\"web\\" was defined anew/);
  // nor is anything taken that is netloom's own
  await bed.engine.networkCreate({ name: 'mine', subnets: [{ subnet: '10.98.0.0/24' }] });
  const mine = podmanNetwork('mine', { subnets: [{ subnet: '10.98.0.0/24', gateway: '10.98.0.1' }] });
  const { json } = await bed.netavark(['setup', other], podmanRequest('c3', [[mine, { static_ips: ['10.98.0.2'] }]]));
  assert.match(JSON.stringify(json), /netloom's own, not Podman's: call one of the two otherwise/);
});

test('what cannot be is one line of JSON that says where, and changes nothing', async () => {
  await using bed = await makeBed();
  const { path } = await bed.workload('a');
  const web = podmanNetwork('web');
  const per = { static_ips: ['10.89.0.2'] };
  const good = podmanRequest('c1', [[web, per]]);
  const one = (more: object): object => podmanRequest('c1', [[podmanNetwork('web', more), per]]);
  const wrong: readonly (readonly [readonly string[], object | string, RegExp])[] = [
    [['setup', path], '{', /no JSON/],
    [['setup', path], '[]', /an object is wanted/],
    [['setup', path], {}, /^container_id: is missing/],
    [['setup', path], { ...good, container_id: '../x' }, /^container_id: "\.\.\/x" is no id/],
    [['setup', path], { ...good, networks: 7 }, /^networks: an object is wanted/],
    [['setup', path], { ...good, network_info: {} }, /^network_info\.web: is missing/],
    [['setup', path], one({ driver: 'overlay' }), /driver: there is no "overlay": it is bridge/],
    [['setup', path], one({ options: { vlan: '7' } }), /options\.vlan: "7" is not served/],
    [['setup', path], one({ options: { colour: 'red' } }), /options\.colour: "red" is not known/],
    [['setup', path], one({ options: { mtu: 'x' } }), /mtu=x/],
    [['setup', path], one({ subnets: [{ subnet: '10.89.0.0/99' }] }), /10\.89\.0\.0\/99/],
    [['setup', path], one({ subnets: [] }), /subnets: there is none/],
    [['setup', path], one({ ipam_options: { driver: 'none' } }), /ipam_options\.driver: "none"/],
    [
      ['setup', path],
      { ...good, port_mappings: [{ host_port: 0, container_port: 1 }] },
      /port_mappings\[0\]\.host_port/,
    ],
    [['setup', path], podmanRequest('c1', [[web, { static_ips: ['10.1.0.2'] }]]), /10\.1\.0\.2/],
    [['setup', path], podmanRequest('c1', [[web, { ...per, interface_name: 'a/b' }]]), /a\/b/],
    [['setup', '/nonexistent'], good, /nonexistent/],
    [['setup'], good, /setup needs the path of a namespace/],
    [['seutp', path], good, /no command "seutp"/],
    [['--colour', 'setup', path], good, /no option --colour/],
    [['dhcp-proxy'], '', /netloom asks DHCP servers itself/],
  ];
  for (const [words, input, message] of wrong) {
    const { status, json } = await bed.netavark(words, input);
    assert.equal(status, 1, message.source);
    const { error, ...rest } = json as { error: string };
    assert.deepEqual(rest, {});
    assert.match(error, message);
    assert.doesNotMatch(error, /\n/);
  }
  assert.deepEqual(await bed.engine.endpointList(), []);
  assert.ok(!(await bed.engine.networkList()).some(({ name }) => name === 'web'));
});
