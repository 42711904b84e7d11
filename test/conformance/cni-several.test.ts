/** Several networks by one attachment of the CNI plugin: chosen by arguments and files, all or nothing, gone as one. */
// runs: here in one mode (names and their order)
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runProgram } from '../../src/daemon/programs.ts';
import type { Netns } from '../../src/kernel/index.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { ping, tcpConnect, tcpServer } from '../lib/peer.ts';
import { jsonIn } from '../lib/run.ts';

checkDescriptors();

interface Call {
  readonly id?: string;
  readonly netns?: string;
  readonly args?: string;
  readonly conf?: object;
}
interface Result {
  readonly code?: number;
  readonly msg?: string;
  readonly interfaces: readonly { readonly name: string; readonly sandbox?: string }[];
  readonly ips: readonly { readonly address: string; readonly gateway?: string; readonly interface: number }[];
  readonly routes: readonly { readonly dst: string; readonly gw?: string }[];
}
const CONF = { cniVersion: '1.1.0', name: 'pods', type: 'netloom', subnets: [{ subnet: '10.1.0.0/24' }] };

async function plugin(
  bed: EngineBed,
  verb: string,
  { id = 'pod', netns = '', args = '', conf = {} }: Call,
): Promise<Result> {
  const { stdout, status } = await runProgram({
    program: 'netloom',
    argv: [],
    env: {
      CNI_COMMAND: verb,
      ...(verb !== 'GC' && { CNI_CONTAINERID: id, CNI_NETNS: netns, CNI_IFNAME: 'eth0' }),
      CNI_ARGS: args,
      CNI_PATH: '/nonexistent',
    },
    stdin: JSON.stringify({ ...CONF, ...conf }),
    open: () => bed.open(),
  });
  const answer = (stdout === '' ? {} : JSON.parse(stdout)) as Result;
  assert.equal(status === 0, answer.code === undefined, stdout);
  return answer;
}
async function ok(bed: EngineBed, verb: string, call: Call): Promise<Result> {
  const answer = await plugin(bed, verb, call);
  assert.equal(answer.code, undefined, answer.msg);
  return answer;
}

async function networks(bed: EngineBed): Promise<void> {
  await bed.engine.networkCreate({ name: 'storage', subnets: [{ subnet: '10.2.0.0/24' }] });
  await bed.engine.networkCreate({ name: 'backup', subnets: [{ subnet: '10.3.0.0/24' }] });
}
async function names(bed: EngineBed): Promise<string[]> {
  return (await bed.engine.endpointList()).flatMap(({ name }) => name ?? []).toSorted();
}
async function defaultRoutes(netns: Netns): Promise<string[]> {
  const routes = await jsonIn<{ gateway: string; dev: string }[]>(netns, [
    'ip',
    '-j',
    '-4',
    'route',
    'show',
    'default',
  ]);
  return routes.map(({ gateway, dev }) => `${gateway} ${dev}`);
}
/** `eth0 10.1.0.2/24` of each address. */
function placed({ interfaces, ips }: Result): string[] {
  return ips.map(({ address, interface: at }) => `${interfaces[at]?.name} ${address}`);
}

/** `eth0 10.1` of each: an address that was given back is not given out again at once. */
function onNetworks(result: Result): string[] {
  return placed(result).map((text) => text.split('.').slice(0, 2).join('.'));
}

test('a result of all interfaces, the default route by the first, and each of them gone with it', async () => {
  await using bed = await makeEngineBed();
  await networks(bed);
  const [a, b] = [await bed.workload('a'), await bed.workload('b')];
  const asked = [
    {
      name: 'storage',
      ips: ['10.2.0.20/24'],
      mac: '02:00:00:00:02:20',
      portMappings: [{ hostPort: 9000, containerPort: 90 }],
    },
    { name: 'backup', interface: 'bak0', bandwidth: { ingressRate: 8_000_000 } },
  ];
  const one: Call = { id: 'pod-a', netns: a.path, conf: { args: { cni: { networks: asked } } } };
  const added = await ok(bed, 'ADD', one);
  assert.deepEqual(placed(added), ['eth0 10.1.0.2/24', 'net1 10.2.0.20/24', 'bak0 10.3.0.2/24']);
  assert.deepEqual(
    added.interfaces.flatMap(({ name, sandbox }) => (sandbox === undefined ? [] : `${name} ${sandbox}`)),
    [`eth0 ${a.path}`, `net1 ${a.path}`, `bak0 ${a.path}`],
  );
  assert.deepEqual(added.routes, [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }]);
  assert.deepEqual(await defaultRoutes(a.netns), ['10.1.0.1 eth0']);
  assert.deepEqual(await names(bed), ['cni:pods:pod-a:eth0', 'cni:pods:pod-a:eth0:1', 'cni:pods:pod-a:eth0:2']);

  const other = await ok(bed, 'ADD', {
    id: 'pod-b',
    netns: b.path,
    args: 'IgnoreUnknown=1;NETWORKS=backup,default/storage@s0',
  });
  assert.deepEqual(placed(other), ['eth0 10.1.0.3/24', 'net1 10.3.0.3/24', 's0 10.2.0.2/24']);
  for (const address of ['10.1.0.2', '10.2.0.20', '10.3.0.2']) assert.ok(await ping(b.netns, address), address);
  {
    await using _server = await tcpServer(a.netns, '0.0.0.0', 90, 'served');
    assert.ok((await tcpConnect(bed.host.outside, ADDRESS.host, 9000)).ok, 'a port published by the second network');
  }

  await ok(bed, 'CHECK', { ...one, conf: { ...one.conf, prevResult: added } });
  // what somebody took away of it is missed, with the list and without
  await bed.engine.endpointDetach('cni:pods:pod-a:eth0:1');
  const missing = await plugin(bed, 'CHECK', { ...one, conf: { ...one.conf, prevResult: added } });
  assert.equal(missing.code, 3, missing.msg);

  // GC knows whose each is, and DEL needs neither list nor namespace
  const valid = [{ containerID: 'pod-b', ifname: 'eth0' }];
  await ok(bed, 'GC', { conf: { 'cni.dev/valid-attachments': valid } });
  assert.deepEqual(await names(bed), ['cni:pods:pod-b:eth0', 'cni:pods:pod-b:eth0:1', 'cni:pods:pod-b:eth0:2']);
  for (let times = 0; times < 2; times++) await ok(bed, 'DEL', { id: 'pod-b' });
  assert.deepEqual(await names(bed), []);
  assert.deepEqual(await jsonIn<unknown[]>(b.netns, ['ip', '-j', 'link', 'show', 'type', 'veth']), []);
});

test('the default route by another one, where that is said', async () => {
  await using bed = await makeEngineBed();
  await networks(bed);
  const { netns, path } = await bed.workload('a');
  const by = (routers: unknown): Call => ({
    netns: path,
    conf: { args: { cni: { networks: ['backup', { name: 'storage', 'default-route': routers }] } } },
  });
  const wrong = await plugin(bed, 'ADD', by(['10.2.0.77']));
  assert.deepEqual([wrong.code, await names(bed)], [7, []], wrong.msg);
  assert.match(wrong.msg ?? '', /^args\.cni\.networks\[1\]\.default-route: 10\.2\.0\.77 is no router/);
  const { routes } = await ok(bed, 'ADD', by(['10.2.0.1']));
  assert.deepEqual(routes, [{ dst: '0.0.0.0/0', gw: '10.2.0.1' }]);
  assert.deepEqual(await defaultRoutes(netns), ['10.2.0.1 net2']);
  await ok(bed, 'DEL', {});
  assert.deepEqual(await names(bed), []);
});

test('all or nothing', async () => {
  await using bed = await makeEngineBed();
  await networks(bed);
  const { netns, path } = await bed.workload('a');
  const taken = await bed.workload('b');
  await bed.engine.endpointAttach({ netns: taken.path, network: 'backup', addresses: ['10.3.0.50'] });
  const before = (await bed.engine.endpointList()).length;
  const fails: readonly [unknown, number, RegExp][] = [
    [['storage', 'nosuch'], 100, /networks\[1\]: .*nosuch/],
    [['storage', { name: 'backup', ips: ['10.3.0.50'] }], 102, /networks\[1\]: .*10\.3\.0\.50/],
    [['storage', { name: 'backup', mac: 'x' }], 7, /networks\[1\]: .*"x"/],
    [['storage', { name: 'backup', ips: 7 }], 7, /networks\[1\]: .*ips/],
  ];
  for (const [asked, code, message] of fails) {
    const answer = await plugin(bed, 'ADD', { netns: path, conf: { args: { cni: { networks: asked } } } });
    assert.equal(answer.code, code, answer.msg);
    assert.match(answer.msg ?? '', message);
    assert.equal((await bed.engine.endpointList()).length, before);
    assert.deepEqual(await jsonIn<unknown[]>(netns, ['ip', '-j', 'link', 'show', 'type', 'veth']), []);
  }
});

test('files choose, and a configuration says which may be chosen', async () => {
  await using bed = await makeEngineBed();
  await networks(bed);
  const dir = join(bed.dirs.root, 'selection');
  mkdirSync(dir);
  const conf = { selection: { dir, allow: ['storage'] } };
  const pod = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=x';
  const { path } = await bed.workload('a');
  const call: Call = { netns: path, args: pod, conf };

  assert.deepEqual(onNetworks(await ok(bed, 'ADD', call)), ['eth0 10.1'], 'no file, no further network');
  await ok(bed, 'DEL', call);
  writeFileSync(join(dir, 'shop_web-0'), 'shop/storage@data0\n');
  const added = await ok(bed, 'ADD', call);
  assert.deepEqual(onNetworks(added), ['eth0 10.1', 'data0 10.2']);
  // the file may say something else by then, and somebody may have had a hand in it
  writeFileSync(join(dir, 'shop_web-0'), 'backup');
  await bed.engine.endpointDetach('cni:pods:pod:eth0');
  await ok(bed, 'DEL', call);
  assert.deepEqual(await names(bed), []);

  const refused = await plugin(bed, 'ADD', call);
  assert.deepEqual([refused.code, await names(bed)], [7, []]);
  assert.match(refused.msg ?? '', /shop_web-0\[0\]: network "backup" may not be named/);
  writeFileSync(join(dir, 'pod'), JSON.stringify([{ name: 'storage' }]));
  assert.deepEqual(onNetworks(await ok(bed, 'ADD', call)), ['eth0 10.1', 'net1 10.2'], 'the container’s own');
  await ok(bed, 'DEL', call);
  // what is no file of reasonable length
  rmSync(join(dir, 'pod'));
  writeFileSync(join(dir, 'pod'), ' '.repeat(100_000));
  assert.equal((await plugin(bed, 'ADD', call)).code, 5);
  rmSync(join(dir, 'pod'));
  mkdirSync(join(dir, 'pod'));
  assert.equal((await plugin(bed, 'ADD', call)).code, 5);
  assert.deepEqual(await names(bed), []);
});

test('many at once, with an address each on every network, and all of it gone', async () => {
  await using bed = await makeEngineBed();
  await networks(bed);
  const workloads = await Promise.all(Array.from({ length: 12 }, (_, i) => bed.workload(`w${i}`)));
  const call = (i: number): Call => ({ id: `pod-${i}`, netns: workloads[i]!.path, args: 'NETWORKS=storage,backup' });
  const added = await Promise.all(workloads.map((_, i) => ok(bed, 'ADD', call(i))));
  const addresses = added.flatMap(placed).map((text) => text.split(' ')[1]);
  assert.equal(new Set(addresses).size, 36);
  await Promise.all(workloads.map((_, i) => ok(bed, 'DEL', call(i))));
  assert.deepEqual(await names(bed), []);
});
