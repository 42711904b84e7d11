/** Coming into a cluster, being refused, and leaving it: hosts with daemons. */
// runs: here in one mode (hosts with daemons)
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { JoinSpec, NetworkSpec } from '../../src/model/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { type LabHost, makeLab, type TestLab } from '../lib/lab.ts';
import { until } from '../lib/wait.ts';

const HEAL = { timeout: 30_000 };
let lab: TestLab;
let url = '';
before(async () => {
  lab = await makeLab({ hosts: 3, etcd: 1, join: false });
  url = `http://${lab.host('etcd1').address4}:2379`;
});
after(() => lab?.[Symbol.asyncDispose]());
checkDescriptors();

const names = async (host: LabHost): Promise<readonly string[]> =>
  (await host.client.networkList()).filter(({ overlay }) => overlay).map(({ name }) => name);
const gone = (host: LabHost, name: string): Promise<boolean> =>
  until(`${name} is gone on ${host.name}`, async () => !(await names(host)).includes(name), HEAL);
const there = (host: LabHost, name: string): Promise<boolean> =>
  until(`${name} is on ${host.name}`, async () => (await names(host)).includes(name), HEAL);
const connected = (host: LabHost): Promise<boolean> =>
  until('connected', async () => (await host.client.clusterStatus()).state === 'connected', HEAL);

async function refused(host: LabHost, spec: JoinSpec, code: string): Promise<void> {
  const before = await host.client.clusterStatus();
  await assert.rejects(host.client.nodeJoin(spec), (error: { code: string; message: string }) => {
    assert.equal(error.code, code, error.message);
    assert.ok(!error.message.includes('\n'));
    return true;
  });
  assert.deepEqual(await host.client.clusterStatus(), before, 'nothing was changed');
}

test('a join that cannot be: one line, and nothing was changed', async () => {
  const [one, two, three] = [lab.host('host1'), lab.host('host2'), lab.host('host3')];
  await refused(two, { etcd: ['http://198.18.0.99:2379'] }, 'EETCDAWAY');
  await refused(two, { etcd: [url.replace('http', 'https')] }, 'EETCDAWAY');
  await refused(two, { etcd: [url], caFile: '/nowhere' }, 'EBADETCD');
  await one.client.nodeJoin({ etcd: [url], name: 'host1' });
  await refused(two, { etcd: [url], name: 'host1' }, 'ENODETAKEN');
  // both at once: one of them has it
  const both = await Promise.allSettled(
    [two, three].map((host) => host.client.nodeJoin({ etcd: [url], name: 'same' })),
  );
  const lost = both.filter((each) => each.status === 'rejected');
  assert.deepEqual(
    lost.map(({ reason }) => (reason as { code: string }).code),
    ['ENODETAKEN'],
  );
  await (both[0]!.status === 'fulfilled' ? two : three).client.nodeRemove('same');
  for (const host of [two, three]) {
    assert.equal((await host.client.clusterStatus()).state, 'none');
    await host.client.nodeJoin({ etcd: [url], name: host.name });
  }
});

test('a range that is used up or taken is told; a host without a part of it is told so, the others go on', async () => {
  const one = lab.host('host1');
  const spec = { driver: 'overlay', options: { backend: 'host-gw', plan: 'node' } } as const;
  await one.client.networkCreate({ ...spec, name: 'wide', subnets: [{ subnet: '10.99.0.0/16' }] });
  await assert.rejects(one.client.networkCreate({ ...spec, name: 'over', subnets: [{ subnet: '10.99.4.0/22' }] }), {
    code: 'ESUBNETOVERLAP',
  });
  // the first of a range is left alone: there is one for one host; where another is faster, it is not made
  const narrow: NetworkSpec = {
    ...{ name: 'narrow', driver: 'overlay', subnets: [{ subnet: '10.98.0.0/23' }] },
    options: { backend: 'host-gw', plan: 'node', node_prefix: '24' },
  };
  const made = await one.client.networkCreate(narrow).then(
    () => true,
    (error: { code: string }) => (assert.equal(error.code, 'ERANGEEXHAUSTED'), false),
  );
  await one.client.networkCreate({ ...spec, name: 'after' });
  const others = [lab.host('host2'), lab.host('host3')];
  for (const host of others) await there(host, 'after');
  for (const host of others) await gone(host, 'narrow');
  assert.equal((await names(one)).includes('narrow'), made);
  for (const name of ['wide', 'after', ...(made ? ['narrow'] : [])]) await one.client.networkRemove(name);
  for (const host of ['host1', 'host2', 'host3']) await gone(lab.host(host), 'wide');
});

test('a network that is removed while a host is away goes when it is back, with its last endpoint', async () => {
  const [one, two] = [lab.host('host1'), lab.host('host2')];
  const spec = { driver: 'overlay', options: { backend: 'vxlan' } } as const;
  await one.client.networkCreate({ ...spec, name: 'empty' });
  await one.client.networkCreate({ ...spec, name: 'used' });
  for (const name of ['empty', 'used']) await there(two, name);
  await lab.cut('host2', 'etcd1');
  const { path } = await two.workload('w1');
  const { value } = await two.client.endpointAttach({ netns: path, network: 'used' });
  await until('cut off', async () => (await two.client.clusterStatus()).state !== 'connected', HEAL);
  for (const name of ['empty', 'used']) await one.client.networkRemove(name);
  // started anew while etcd is away: what it had it has
  await two.signal('SIGKILL');
  await lab.up();
  assert.deepEqual([...(await names(two))].toSorted(), ['empty', 'used']);
  await lab.heal();
  await connected(two);
  await gone(two, 'empty');
  assert.deepEqual(await names(two), ['used']);
  await two.client.endpointDetach(value.id);
  await gone(two, 'used');
});

test('a host leaves: what it had is nobody’s, and not there again; not while it has endpoints', async () => {
  const [one, three] = [lab.host('host1'), lab.host('host3')];
  await one.client.networkCreate({ name: 'left', driver: 'overlay', options: { backend: 'vxlan' } });
  await there(three, 'left');
  const { path } = await three.workload('w3');
  const { value } = await three.client.endpointAttach({ netns: path, network: 'left' });
  await assert.rejects(three.client.nodeRemove('host3', { force: true }), { code: 'ENETWORKINUSE' });
  assert.deepEqual(await names(three), ['left']);
  await three.client.endpointDetach(value.id);
  await until('it leaves', async () => (await three.client.nodeRemove('host3'), true), HEAL);
  assert.equal((await three.client.clusterStatus()).state, 'none');
  assert.deepEqual(await names(three), []);
  assert.doesNotMatch(await lab.etcdctl('get', '--prefix', '/netloom/keys/'), /host3/);
  assert.deepEqual(
    (await one.client.nodeList()).map(({ name }) => name),
    ['host1', 'host2'],
  );
});
