/** Addresses that another plugin gives: the CNI project's own host-local and static; and those that netloom gives to its bridge. */
// runs: here in one mode (the store’s addresses; cni-plugin and cni-shim show what a user’s plugin does)
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { callCni, type CniAnswer, type CniCall, installAs, PLUGINS } from '../lib/cni.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ping } from '../lib/peer.ts';
import { jsonIn, okIn, startIn } from '../lib/run.ts';
import { makeShimBed } from '../lib/shim.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

type Ips = { address: string; gateway?: string; interface?: number }[];
interface Bench extends EngineBed {
  call(verb: string, call: CniCall): Promise<CniAnswer>;
  /** What host-local has given out. */
  given(): string[];
}

async function bench(name: string, ipam: object): Promise<Bench> {
  const bed = await makeEngineBed();
  const dataDir = `${bed.dirs.root}/host-local`;
  const base = { cniVersion: '1.0.0', name, type: 'netloom', ipam: { dataDir, ...ipam } };
  return {
    ...bed,
    call: (verb, call) => callCni(bed, base, verb, call),
    given: () =>
      existsSync(`${dataDir}/${name}`)
        ? readdirSync(`${dataDir}/${name}`).filter((each) => /^[0-9a-f.:]+$/.test(each))
        : [],
    [Symbol.asyncDispose]: () => bed[Symbol.asyncDispose](),
  };
}
const ranges = [
  [{ subnet: '10.3.0.0/24', rangeStart: '10.3.0.20', rangeEnd: '10.3.0.21' }],
  [{ subnet: 'fd03::/64', rangeStart: 'fd03::20' }],
];

test('host-local: exactly its addresses, of both families; given back at DEL, with or without endpoint', async () => {
  await using bed = await bench('dbnet', {
    type: 'host-local',
    ranges,
    routes: [{ dst: '0.0.0.0/0' }, { dst: '192.0.2.0/24' }],
  });
  const [a, b, c] = [await bed.workload('a'), await bed.workload('b'), await bed.workload('c')];
  const one = { id: 'pod-a', netns: a.path };
  const added = await bed.call('ADD', one);
  assert.equal(added.status, 0, JSON.stringify(added.json));
  assert.deepEqual(
    (added.json['ips'] as Ips).map(({ address, gateway }) => [address, gateway]),
    [
      ['10.3.0.20/24', '10.3.0.1'],
      ['fd03::20/64', 'fd03::1'],
    ],
  );
  const routes = added.json['routes'] as { dst: string }[];
  assert.deepEqual(routes.map(({ dst }) => dst).sort(), ['0.0.0.0/0', '192.0.2.0/24', '::/0']);
  assert.match(await okIn(a.netns, ['ip', 'route', 'show', '192.0.2.0/24']), /via 10\.3\.0\.1 dev eth0/);
  assert.deepEqual(bed.given(), ['10.3.0.20', 'fd03::20']);
  const second = await bed.call('ADD', { id: 'pod-b', netns: b.path });
  assert.equal(second.status, 0, JSON.stringify(second.json));
  assert.ok(await ping(b.netns, '10.3.0.20'));
  assert.equal((await bed.call('CHECK', { ...one, conf: { prevResult: added.json } })).status, 0);

  // its own error, under its own number, and nothing is left
  const none = await bed.call('ADD', { id: 'pod-c', netns: c.path });
  assert.equal(none.status, 1);
  assert.match(String(none.json['msg']), /^host-local: .*no IP addresses available/);
  assert.equal(bed.given().length, 4);
  assert.equal((await bed.engine.endpointList()).length, 2);

  // a second ADD costs the first nothing
  const twice = await bed.call('ADD', one);
  assert.deepEqual([twice.status, twice.json['code']], [1, 102]);
  assert.equal(bed.given().length, 4);
  assert.ok(await ping(b.netns, '10.3.0.20'));

  // the endpoint went by another way: the address is given back all the same
  await bed.engine.endpointDetach('cni:dbnet:pod-a:eth0');
  for (let times = 0; times < 2; times++) assert.deepEqual((await bed.call('DEL', { id: 'pod-a' })).json, {});
  assert.equal(bed.given().length, 2);
  assert.equal((await bed.call('DEL', { id: 'pod-b', netns: b.path })).status, 0);
  assert.deepEqual(bed.given(), []);
});

test('host-local: what cannot be attached gives its addresses back', async () => {
  await using bed = await bench('dbnet', { type: 'host-local', ranges });
  const a = await bed.workload('a');
  const call = { id: 'pod', netns: a.path };
  const refused = await bed.call('ADD', { ...call, conf: { network: 'nosuch' } });
  assert.deepEqual([refused.status, refused.json['code']], [1, 100]);
  const gone = await bed.call('ADD', { id: 'pod', netns: '/run/netns/nosuch' });
  assert.deepEqual([gone.status, gone.json['code']], [1, 3]);
  assert.deepEqual(bed.given(), []);
  assert.deepEqual(await bed.engine.endpointList(), []);
  // no default route is none
  const plain = await bed.call('ADD', call);
  assert.equal(plain.status, 0, JSON.stringify(plain.json));
  assert.equal(plain.json['routes'], undefined);
  assert.equal(await okIn(a.netns, ['ip', 'route', 'show', 'default']), '');
});

test('static: addresses that the configuration or the runtime names, several of a family', async () => {
  const addresses = [{ address: '10.4.0.9/24', gateway: '10.4.0.1' }, { address: '10.4.0.10/24' }];
  await using bed = await bench('fixed', { type: 'static', addresses });
  const a = await bed.workload('a');
  const added = await bed.call('ADD', { id: 'pod', netns: a.path });
  assert.equal(added.status, 0, JSON.stringify(added.json));
  assert.deepEqual(
    (added.json['ips'] as Ips).map(({ address }) => address),
    ['10.4.0.9/24', '10.4.0.10/24'],
  );
  const [{ addr_info }] = await jsonIn<[{ addr_info: { local: string; family: string }[] }]>(a.netns, [
    'ip',
    '-j',
    'addr',
    'show',
    'eth0',
  ]);
  assert.deepEqual(
    addr_info.filter(({ family }) => family === 'inet').map(({ local }) => local),
    ['10.4.0.9', '10.4.0.10'],
  );
  const elsewhere = await bed.call('ADD', {
    id: 'pod2',
    netns: a.path,
    ifname: 'eth1',
    conf: { ipam: { type: 'static', addresses: [{ address: '10.99.0.9/24' }] } },
  });
  assert.deepEqual([elsewhere.status, elsewhere.json['code']], [1, 7], 'the network has its subnets');
});

test('through the daemon: host-local as without it, and a segment’s DHCP server', async () => {
  await using site = await makeShimBed();
  const { bed } = site;
  const a = await bed.workload('a');
  const answers = async (verb: string, conf: object): Promise<readonly [number, unknown]> => {
    const said = { cniVersion: '1.0.0', subnets: undefined, ipv6: undefined, ...conf };
    const { status, json } = await site.call(verb, {
      id: 'pod',
      netns: a.path,
      conf: said,
      env: { CNI_PATH: PLUGINS },
    });
    return [status, json['code'] ?? (json['ips'] as Ips | undefined)?.map(({ address }) => address)] as const;
  };
  const dataDir = `${bed.dirs.root}/host-local`;
  const local = { name: 'dbnet', ipam: { type: 'host-local', dataDir, ranges } };
  const lan = { name: 'lan', driver: 'macvlan', options: { parent: 'eth0' }, ipam: { type: 'dhcp' } };

  assert.deepEqual(await answers('ADD', lan), [1, 100], 'nobody would be there to renew the lease');
  await site.start();
  assert.deepEqual(await answers('ADD', local), [0, ['10.3.0.20/24', 'fd03::20/64']]);
  const given = (): string[] => readdirSync(`${dataDir}/dbnet`).filter((each) => /^[0-9a-f.:]+$/.test(each));
  assert.deepEqual(given(), ['10.3.0.20', 'fd03::20']);
  assert.deepEqual(await answers('ADD', local), [1, 102]);
  assert.deepEqual(await answers('ADD', { ...local, ipam: { type: 'nosuch' } }), [1, 102]);
  for (let times = 0; times < 2; times++) assert.deepEqual(await answers('DEL', local), [0, undefined]);
  assert.deepEqual(given(), []);
  assert.deepEqual(await answers('ADD', { ...local, ipam: { type: 'nosuch' } }), [1, 4]);

  await using server = startIn(bed.host.outside, [
    ...['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--port=0', '--user=', '--group=', '--pid-file='],
    ...['--interface=eth0', '--bind-interfaces', '--no-ping', '--log-facility=-', '--dhcp-authoritative'],
    ...[`--dhcp-leasefile=${bed.dirs.root}/leases`, '--dhcp-range=192.0.2.100,192.0.2.100,255.255.255.0'],
    ...['--dhcp-option=3,192.0.2.2', '--dhcp-option=6,192.0.2.9', '--dhcp-option=15,lan.test'],
  ]);
  await until('dnsmasq serves', () => server.output().includes('DHCP, IP range'));
  const call = { id: 'pod', netns: a.path, conf: { ...lan, subnets: undefined, ipv6: undefined } };
  const { status, json } = await site.call('ADD', call);
  assert.equal(status, 0, JSON.stringify(json));
  assert.deepEqual(json['ips'], [{ address: '192.0.2.100/24', gateway: '192.0.2.2', interface: 0 }]);
  assert.deepEqual(json['routes'], [{ dst: '0.0.0.0/0', gw: '192.0.2.2' }]);
  assert.deepEqual(json['dns'], { nameservers: ['192.0.2.9'], search: ['lan.test'] });
  assert.ok(await ping(a.netns, '192.0.2.2'));
  assert.equal((await site.call('CHECK', { ...call, conf: { ...call.conf, prevResult: json } })).status, 0);
  assert.deepEqual(await answers('DEL', lan), [0, undefined]);
  await until('the lease is given back', () => server.output().includes('DHCPRELEASE'));

  // words of the plugin that is not called, a network that is on no segment, a network that is there
  for (const [conf, code] of [
    [{ ...lan, ipam: { type: 'dhcp', daemonSocketPath: '/run/cni/dhcp.sock' } }, 2],
    [{ ...lan, name: 'inner', options: {} }, 7],
    [{ name: 'x', network: 'lan', ipam: { type: 'dhcp' } }, 7],
  ] as const)
    assert.deepEqual(await answers('ADD', conf), [1, code], JSON.stringify(conf));
  assert.deepEqual(await bed.engine.endpointList(), []);
});

test('netloom-ipam: addresses for the project’s own bridge plugin', async () => {
  await using bed = await makeEngineBed();
  installAs(bed, 'netloom-ipam');
  const [a, b] = [await bed.workload('a'), await bed.workload('b')];
  const base = {
    cniVersion: '1.0.0',
    name: 'theirs',
    type: 'bridge',
    bridge: 'cni9',
    isGateway: true,
    ipam: {
      type: 'netloom-ipam',
      subnets: [{ subnet: '10.5.0.0/29' }, { subnet: 'fd05::/64' }],
      routes: [{ dst: '0.0.0.0/0' }],
    },
  };
  const bridge = (verb: string, call: CniCall): Promise<CniAnswer> =>
    callCni(bed, base, verb, { ...call, file: `${PLUGINS}/bridge` });
  const own = (verb: string, call: CniCall): Promise<CniAnswer> =>
    callCni(bed, base, verb, { ...call, file: `${bed.dirs.root}/cni/netloom-ipam` });
  const added = await bridge('ADD', { id: 'pod-a', netns: a.path });
  assert.equal(added.status, 0, JSON.stringify(added.json));
  assert.deepEqual(
    (added.json['ips'] as Ips).map(({ address, gateway }) => [address, gateway]),
    [
      ['10.5.0.2/29', '10.5.0.1'],
      ['fd05::2/64', 'fd05::1'],
    ],
  );
  const asked = await bridge('ADD', { id: 'pod-b', netns: b.path, env: { CNI_ARGS: 'IgnoreUnknown=1;IP=10.5.0.6' } });
  assert.equal((asked.json['ips'] as Ips)[0]?.address, '10.5.0.6/29', JSON.stringify(asked.json));
  assert.ok(await ping(b.netns, '10.5.0.2'));
  assert.equal((await bridge('CHECK', { id: 'pod-a', netns: a.path, conf: { prevResult: added.json } })).status, 0);
  // a plugin alone, as the bridge calls it
  const taken = await own('ADD', { id: 'pod-c', netns: a.path, env: { CNI_ARGS: 'IP=10.5.0.6' } });
  assert.deepEqual([taken.status, taken.json['code']], [1, 102], JSON.stringify(taken.json));
  const outside = await own('ADD', { id: 'pod-c', netns: a.path, env: { CNI_ARGS: 'IP=10.9.0.6' } });
  assert.deepEqual([outside.status, outside.json['code']], [1, 7]);
  const wrong = await own('ADD', { id: 'pod-c', netns: a.path, conf: { ipam: { type: 'netloom-ipam', ranges: [] } } });
  assert.deepEqual([wrong.status, wrong.json['code']], [1, 2]);
  const valid = { cniVersion: '1.1.0', 'cni.dev/valid-attachments': [{ containerID: 'pod-a', ifname: 'eth0' }] };
  assert.deepEqual(await own('GC', { conf: valid }), { status: 0, json: {}, stderr: '' });
  const unknown = await own('CHECK', { id: 'pod-b', netns: b.path, conf: { prevResult: asked.json } });
  assert.deepEqual([unknown.status, unknown.json['code']], [1, 3], 'collected');
  assert.deepEqual((await own('STATUS', { conf: { cniVersion: '1.1.0' } })).status, 0);
  for (const id of ['pod-a', 'pod-b', 'pod-a']) assert.equal((await bridge('DEL', { id, netns: a.path })).status, 0);
  for (const { id } of await bed.engine.poolList())
    assert.deepEqual((await bed.engine.poolInspect(id)).allocations, []);
});
