import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import type { EngineApi, RehearsalStep } from '../../src/model/index.ts';
import { NetloomError, UnsupportedError } from '../../src/errors.ts';
import { ERROR_TABLE } from '../../src/api/error-table.ts';
import { OPERATIONS } from '../../src/api/server.ts';
import { type Rig, rig, withCode } from './api-fixture.ts';

const STEPS: readonly RehearsalStep[] = [
  { verb: 'networkCreate', spec: { name: 'front', driver: 'macvlan', options: { parent: 'eth0' } } },
  { verb: 'containerRemove', ref: 'blog', force: true },
  { verb: 'containerCreate', spec: { name: 'blog', command: ['true'], networks: [{ network: 'front' }] } },
  { verb: 'containerStart', ref: 'blog' },
  { verb: 'containerStop', ref: 'blog' },
  { verb: 'networkRemove', ref: 'front' },
];

/** Every verb of the contract but events, logs and wait, as the client is asked, and what must reach the engine. */
const VERBS: Record<string, { ask: (api: EngineApi) => Promise<unknown>; call: unknown[] }> = {
  version: { ask: (api) => api.version(), call: ['version'] },
  networkCreate: {
    ask: (api) => api.networkCreate({ name: 'web', labels: { a: 'ü' } }, { explain: true }),
    call: ['networkCreate', { name: 'web', labels: { a: 'ü' } }, { explain: true }],
  },
  networkList: { ask: (api) => api.networkList(), call: ['networkList'] },
  networkInspect: { ask: (api) => api.networkInspect('web'), call: ['networkInspect', 'web'] },
  networkPrune: { ask: (api) => api.networkPrune({ dryRun: true }), call: ['networkPrune', { dryRun: true }] },
  networkConnect: {
    ask: (api) => api.networkConnect('blog', { network: 'web', gatewayPriority: -1 }),
    call: ['networkConnect', 'blog', { network: 'web', gatewayPriority: -1 }, {}],
  },
  networkDisconnect: {
    ask: (api) => api.networkDisconnect('blog', 'web'),
    call: ['networkDisconnect', 'blog', 'web', {}],
  },
  containerCreate: {
    ask: (api) =>
      api.containerCreate({
        name: 'blog',
        command: ['sleep', '1'],
        networkMode: 'container:web',
        dns: { search: ['x'] },
      }),
    call: [
      'containerCreate',
      { name: 'blog', command: ['sleep', '1'], networkMode: 'container:web', dns: { search: ['x'] } },
      {},
    ],
  },
  networkUpdate: {
    ask: (api) => api.networkUpdate('web', { options: { mtu: '1400' }, internal: false, labels: { ü: '' } }),
    call: ['networkUpdate', 'web', { options: { mtu: '1400' }, internal: false, labels: { ü: '' } }, {}],
  },
  containerStart: {
    ask: (api) => api.containerStart('blog', { dryRun: true, explain: true }),
    call: ['containerStart', 'blog', { dryRun: true, explain: true }],
  },
  containerUpdate: {
    ask: (api) =>
      api.containerUpdate(
        'blog',
        {
          network: 'web',
          publish: [{ protocol: 'tcp', hostPort: 8080, hostPortEnd: 8090, containerPort: 80, count: 1 }],
          unpublish: [{ protocol: 'udp', hostAddress: '::1', hostPort: 53, count: 2 }],
          ingressRate: 0,
          egressRate: 40_000_000_000,
        },
        { explain: true },
      ),
    call: [
      'containerUpdate',
      'blog',
      {
        network: 'web',
        publish: [{ protocol: 'tcp', hostPort: 8080, hostPortEnd: 8090, containerPort: 80, count: 1 }],
        unpublish: [{ protocol: 'udp', hostAddress: '::1', hostPort: 53, count: 2 }],
        ingressRate: 0,
        egressRate: 40_000_000_000,
      },
      { explain: true },
    ],
  },
  containerSpawnPlan: {
    ask: (api) => api.containerSpawnPlan('blog', { foreground: true }),
    call: ['containerSpawnPlan', 'blog', { foreground: true }],
  },
  containerExecPlan: {
    ask: (api) => api.containerExecPlan('blog', ['ls', '-l']),
    call: ['containerExecPlan', 'blog', ['ls', '-l']],
  },
  containerList: { ask: (api) => api.containerList({ all: true }), call: ['containerList', { all: true }] },
  containerInspect: { ask: (api) => api.containerInspect('blog'), call: ['containerInspect', 'blog'] },
  containerStop: {
    ask: (api) => api.containerStop('blog', { timeoutSeconds: 0.5, dryRun: true }),
    call: ['containerStop', 'blog', { timeoutSeconds: 0.5, dryRun: true }],
  },
  containerKill: {
    ask: (api) => api.containerKill('blog', '9', { explain: true }),
    call: ['containerKill', 'blog', '9', { explain: true }],
  },
  containerExited: { ask: (api) => api.containerExited('blog'), call: ['containerExited', 'blog'] },
  containerRemove: {
    ask: (api) => api.containerRemove('blog', { force: true }),
    call: ['containerRemove', 'blog', { force: true }],
  },
  endpointAttach: {
    ask: (api) =>
      api.endpointAttach({
        network: 'web',
        netns: '/run/netns/a',
        ports: [{ protocol: 'udp', hostPort: 0, containerPort: 53, count: 1 }],
      }),
    call: [
      'endpointAttach',
      { network: 'web', netns: '/run/netns/a', ports: [{ protocol: 'udp', hostPort: 0, containerPort: 53, count: 1 }] },
      {},
    ],
  },
  endpointUpdate: {
    ask: (api) => api.endpointUpdate('7f', { egressRate: 1000 }, { dryRun: true }),
    call: ['endpointUpdate', '7f', { egressRate: 1000 }, { dryRun: true }],
  },
  endpointList: { ask: (api) => api.endpointList(), call: ['endpointList'] },
  endpointCheck: { ask: (api) => api.endpointCheck('7f'), call: ['endpointCheck', '7f'] },
  endpointInspect: { ask: (api) => api.endpointInspect('7f'), call: ['endpointInspect', '7f'] },
  endpointDetach: {
    ask: (api) => api.endpointDetach('7f', { behind: true }),
    call: ['endpointDetach', '7f', { behind: true }],
  },
  poolCreate: {
    ask: (api) => api.poolCreate({ name: 'lab', subnet: '10.7.0.0/24', family: 4, gateway: 'none' }),
    call: ['poolCreate', { name: 'lab', subnet: '10.7.0.0/24', family: 4, gateway: 'none' }],
  },
  poolList: { ask: (api) => api.poolList(), call: ['poolList'] },
  poolInspect: { ask: (api) => api.poolInspect('lab'), call: ['poolInspect', 'lab'] },
  poolRemove: { ask: (api) => api.poolRemove('lab', { force: true }), call: ['poolRemove', 'lab', { force: true }] },
  addressAllocate: {
    ask: (api) => api.addressAllocate({ pool: 'lab', owner: 'a b', as: 'gateway' }),
    call: ['addressAllocate', { pool: 'lab', owner: 'a b', as: 'gateway' }],
  },
  addressRelease: {
    ask: (api) => api.addressRelease({ pool: 'lab', owner: 'a b' }),
    call: ['addressRelease', { pool: 'lab', owner: 'a b' }],
  },
  nodeJoin: {
    ask: (api) =>
      api.nodeJoin(
        {
          etcd: ['https://192.0.2.10:2379', 'https://[2001:db8::10]:2379'],
          prefix: '/lab/',
          caFile: '/etc/netloom/ca.pem',
          certFile: '/etc/netloom/a.pem',
          keyFile: '/etc/netloom/a.key',
          username: 'netloom',
          passwordFile: '/etc/netloom/password',
          name: 'a',
          addresses: ['192.0.2.1', '2001:db8::1'],
        },
        { force: true },
      ),
    call: [
      'nodeJoin',
      {
        etcd: ['https://192.0.2.10:2379', 'https://[2001:db8::10]:2379'],
        prefix: '/lab/',
        caFile: '/etc/netloom/ca.pem',
        certFile: '/etc/netloom/a.pem',
        keyFile: '/etc/netloom/a.key',
        username: 'netloom',
        passwordFile: '/etc/netloom/password',
        name: 'a',
        addresses: ['192.0.2.1', '2001:db8::1'],
      },
      { force: true },
    ],
  },
  nodeCheck: { ask: (api) => api.nodeCheck(['a', 'b c']), call: ['nodeCheck', ['a', 'b c']] },
  nodeList: { ask: (api) => api.nodeList(), call: ['nodeList'] },
  nodeInspect: { ask: (api) => api.nodeInspect('a b'), call: ['nodeInspect', 'a b'] },
  nodeDrain: { ask: (api) => api.nodeDrain('a', { undo: true }), call: ['nodeDrain', 'a', { undo: true }] },
  nodeRemove: { ask: (api) => api.nodeRemove('a', { force: true }), call: ['nodeRemove', 'a', { force: true }] },
  nodeRotateKeys: { ask: (api) => api.nodeRotateKeys(['a', 'b c']), call: ['nodeRotateKeys', ['a', 'b c']] },
  clusterStatus: { ask: (api) => api.clusterStatus(), call: ['clusterStatus'] },
  rehearse: {
    ask: (api) => api.rehearse(STEPS),
    call: ['rehearse', STEPS],
  },
  gc: { ask: (api) => api.gc({ dryRun: true }), call: ['gc', { dryRun: true }] },
  doctor: {
    ask: (api) => api.doctor({ checks: ['clock', 'mtu-path'] }),
    call: ['doctor', { checks: ['clock', 'mtu-path'] }],
  },
  metrics: { ask: (api) => api.metrics(), call: ['metrics'] },
  networkRemove: {
    ask: (api) => api.networkRemove('web', { dryRun: true, explain: true }),
    call: ['networkRemove', 'web', { dryRun: true, explain: true }],
  },
};

/** Objects for the verbs that look something up. */
async function filled(): Promise<Rig> {
  const made = await rig();
  await made.engine.networkCreate({ name: 'web' });
  await made.engine.containerCreate({ name: 'blog', command: ['true'] });
  const { value } = await made.engine.endpointAttach({ network: 'web', netns: '/run/netns/a' });
  made.engine.endpoints.set('7f', { ...value, id: '7f' });
  made.engine.calls.length = 0;
  return made;
}

test('every operation of the API is tried', () => {
  const tried = [...Object.keys(VERBS), 'containerWait', 'containerLogs', 'events', 'scrape'].toSorted();
  assert.deepEqual(OPERATIONS.map(({ id }) => id).toSorted(), tried);
});

for (const [verb, { ask, call }] of Object.entries(VERBS)) {
  test(`${verb} reaches the engine whole, and its answer comes back whole`, async () => {
    await using remote = await filled();
    await using local = await filled();
    const answer = await ask(remote.client);
    assert.deepEqual(
      remote.engine.calls.map((seen) => JSON.parse(JSON.stringify(seen))),
      [call],
    );
    const expected = await ask(local.engine);
    const settled = verb === 'version' ? { ...(expected as object), mode: 'daemon' } : expected;
    assert.deepEqual(withoutIds(answer), withoutIds(settled));
  });
}

/** Ids are random in the two engines. */
function withoutIds(value: unknown): unknown {
  if (value === undefined) return undefined;
  return JSON.parse(JSON.stringify(value).replace(/[0-9a-f]{64}/g, 'ID'));
}

test('names with every kind of character arrive as they are', async () => {
  await using it = await rig();
  for (const ref of ['a/b', 'a b', '..', '?x=1', '#1', '%41', 'grün', '网', 'a&b', 'x'.repeat(300)]) {
    await assert.rejects(it.client.networkInspect(ref), withCode('ENOENT'));
    assert.deepEqual(it.engine.calls.at(-1), ['networkInspect', ref]);
  }
  await assert.rejects(it.client.networkInspect('\ud800'), withCode('ENOENT'));
});

test('an error keeps its code, message and hint', async () => {
  await using it = await rig();
  for (const code of Object.keys(ERROR_TABLE)) {
    it.engine.failure = new NetloomError(code, `message of ${code}`, { hint: `hint of ${code}` });
    await assert.rejects(it.client.networkCreate({ name: 'web' }), {
      name: 'NetloomError',
      code,
      message: `message of ${code}`,
      hint: `hint of ${code}`,
    });
  }
  it.engine.failure = new UnsupportedError('ipvlan', 'Linux 3.19 has it');
  await assert.rejects(it.client.networkList(), { code: 'EUNSUPPORTED', hint: 'Linux 3.19 has it' });
  it.engine.failure = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  await assert.rejects(it.client.networkList(), withCode('ENOSPC'));
  it.engine.failure = new TypeError('x is not a function');
  await assert.rejects(it.client.networkList(), { code: 'EINTERNAL', message: 'internal error: x is not a function' });
});

test('a wait outlives the idle timeout of the server many times over', async () => {
  await using it = await rig({ keepAliveTimeout: 20 });
  // What node:http would cut a slow answer with.
  assert.equal(it.api.http.timeout, 0);
  const waiting = it.client.containerWait('blog');
  await it.engine.waited.promise;
  // Idle connections are closed by the server while the wait stays.
  for (let round = 0; round < 2; round++) {
    const idle = connect(it.socketPath);
    idle.write('GET /v1/version HTTP/1.1\r\nhost: netloom\r\n\r\n');
    idle.resume();
    await once(idle, 'close', { signal: AbortSignal.timeout(10_000) });
  }
  it.engine.exit.resolve(137);
  assert.equal(await waiting, 137);
});

test('200 requests at once', async () => {
  await using it = await rig();
  const gate = Promise.withResolvers<void>();
  it.engine.gate = gate.promise;
  const waits = Array.from({ length: 100 }, () => it.client.containerWait('blog'));
  const attaches = Array.from({ length: 200 }, (_, index) =>
    it.client.endpointAttach({ network: 'web', netns: `/run/netns/n${index}` }),
  );
  gate.resolve();
  const made = await Promise.all(attaches);
  assert.equal(new Set(made.map(({ value }) => value.netns)).size, 200);
  assert.equal((await it.client.endpointList()).length, 200);
  it.engine.exit.resolve(0);
  assert.deepEqual(new Set(await Promise.all(waits)), new Set([0]));
});
