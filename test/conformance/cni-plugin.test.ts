/** The program as a CNI plugin: a process per call, its environment and standard input, as a runtime makes them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CniAnswer, type CniCall, callCni } from '../lib/cni.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { ADDRESS } from '../lib/host.ts';
import { ping, tcpConnect, tcpServer } from '../lib/peer.ts';

const CONF = { cniVersion: '1.1.0', name: 'dbnet', type: 'netloom', subnets: [{ subnet: '10.1.0.0/16' }], ipv6: true };
type Answer = Omit<CniAnswer, 'stderr'>;

/** One call, as a runtime makes it, of which nothing is said on standard error. */
async function plugin(bed: EngineBed, verb: string, call: CniCall): Promise<Answer> {
  const { stderr, ...answer } = await callCni(bed, CONF, verb, call);
  assert.equal(stderr, '');
  return answer;
}

test('two workloads are added, reach each other and are reached, are checked, collected and deleted', async () => {
  await using bed = await makeEngineBed();
  const [a, b] = [await bed.workload('a'), await bed.workload('b')];
  const ports = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }];
  const one = { id: 'pod-a', netns: a.path, conf: { runtimeConfig: { portMappings: ports, ips: ['10.1.0.9/16'] } } };
  // both are the first of their network
  const [added, other] = await Promise.all([
    plugin(bed, 'ADD', one),
    plugin(bed, 'ADD', { id: 'pod-b', netns: b.path, conf: { cniVersion: '0.3.1' } }),
  ]);
  assert.equal(added.status, 0, JSON.stringify(added.json));
  assert.equal(other.status, 0, JSON.stringify(other.json));
  const { interfaces, ips, routes } = added.json as {
    interfaces: { name: string; sandbox?: string; mac?: string }[];
    ips: { address: string; gateway?: string; interface: number }[];
    routes: { dst: string; gw: string }[];
  };
  assert.deepEqual(
    interfaces.map(({ name, sandbox }) => [name.replace(/^ve.*/, 've'), sandbox]),
    [
      ['ve', undefined],
      ['eth0', a.path],
    ],
  );
  assert.equal(ips[0]?.address, '10.1.0.9/16');
  assert.deepEqual([ips[0]?.gateway, ips[0]?.interface], ['10.1.0.1', 1]);
  assert.deepEqual(routes[0], { dst: '0.0.0.0/0', gw: '10.1.0.1' });
  assert.equal(added.json['cniVersion'], '1.1.0');
  const older = other.json as { cniVersion: string; ips: { version: string; address: string }[] };
  assert.equal(older.cniVersion, '0.3.1');
  assert.deepEqual(
    older.ips.map(({ version }) => version),
    ['4', '6'],
  );

  for (const { address } of older.ips) assert.ok(await ping(a.netns, address.replace(/\/.*/, '')), address);
  await using _server = await tcpServer(a.netns, '0.0.0.0', 80, 'served');
  assert.ok((await tcpConnect(bed.host.outside, ADDRESS.host, 8080)).ok, 'the published port');

  const check = (prevResult: object): Promise<Answer> =>
    plugin(bed, 'CHECK', { ...one, conf: { ...one.conf, prevResult } });
  assert.deepEqual(await check(added.json), { status: 0, json: {} });
  const moved = await check({ ...added.json, ips: [{ address: '10.1.0.77/16', interface: 1 }] });
  assert.deepEqual([moved.status, moved.json['code']], [1, 105]);

  const twice = await plugin(bed, 'ADD', one);
  assert.deepEqual([twice.status, twice.json['code']], [1, 102]);

  const valid = { 'cni.dev/valid-attachments': [{ containerID: 'pod-a', ifname: 'eth0' }] };
  assert.deepEqual(await plugin(bed, 'GC', { conf: valid }), { status: 0, json: {} });
  assert.deepEqual(
    (await bed.engine.endpointList()).map(({ name }) => name),
    ['cni:dbnet:pod-a:eth0'],
  );

  // without namespace, and again
  for (let times = 0; times < 2; times++)
    assert.deepEqual(await plugin(bed, 'DEL', { id: 'pod-a' }), { status: 0, json: {} });
  assert.deepEqual(await bed.engine.endpointList(), []);
  const gone = await plugin(bed, 'CHECK', { ...one, conf: { prevResult: added.json } });
  assert.deepEqual([gone.status, gone.json['code']], [1, 3]);
});

test('what it is, and that it can serve', async () => {
  await using bed = await makeEngineBed();
  assert.deepEqual(await plugin(bed, 'VERSION', { conf: { cniVersion: '0.4.0' } }), {
    status: 0,
    json: { cniVersion: '0.4.0', supportedVersions: ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] },
  });
  assert.deepEqual(await plugin(bed, 'STATUS', {}), { status: 0, json: {} });
});

test('what cannot be is the specification’s error, and changes nothing', async () => {
  await using bed = await makeEngineBed();
  const { path } = await bed.workload('a');
  const call = { id: 'pod', netns: path };
  const wrong: readonly [CniCall, number, RegExp][] = [
    [{ ...call, conf: '{' }, 6, /no JSON/],
    [{ ...call, conf: { cniVersion: '2.0.0' } }, 1, /cniVersion/],
    [{ ...call, conf: { name: '../x' } }, 7, /^name:/],
    [{ ...call, conf: { bridge: 'cni0' } }, 2, /^bridge:/],
    [{ ...call, conf: { ipam: { type: 'nosuch' } } }, 4, /^CNI_PATH: no plugin "nosuch"/],
    [{ ...call, conf: { ipam: { type: '../bridge' } } }, 7, /^ipam\.type:/],
    [{ ...call, conf: { subnets: [{ subnet: '10.1.0.0/99' }] } }, 7, /10\.1\.0\.0\/99/],
    [
      { ...call, conf: JSON.stringify({ cniVersion: '1.1.0', name: 'dbnet', network: 'nosuch', type: 'netloom' }) },
      100,
      /nosuch/,
    ],
    [{ ...call, conf: { network: 'nosuch' } }, 7, /^subnets: "nosuch" is there already|^ipv6: /],
    [{ ...call, conf: { runtimeConfig: { portMappings: [{ hostPort: 0, containerPort: 80 }] } } }, 7, /hostPort/],
    [{ ...call, netns: '/nonexistent' }, 3, /nonexistent/],
    [{ ...call, id: '' }, 4, /CNI_CONTAINERID/],
    [{ ...call, env: { CNI_IFNAME: 'a b' } }, 4, /CNI_IFNAME/],
  ];
  for (const [given, code, message] of wrong) {
    const { status, json } = await plugin(bed, 'ADD', given);
    assert.equal(status, 1);
    assert.equal(json['code'], code, JSON.stringify(json));
    assert.match(String(json['msg']), message);
  }
  assert.deepEqual(await bed.engine.endpointList(), []);
});
