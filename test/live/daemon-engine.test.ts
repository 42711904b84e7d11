import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Client } from '../../src/api/client.ts';
import { openLog, runDaemon } from '../../src/daemon/index.ts';
import type { EngineApi } from '../../src/model/index.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ping } from '../lib/peer.ts';
import { jsonIn } from '../lib/run.ts';
import { withCode } from './api-fixture.ts';

checkDescriptors();

/** A daemon over a real engine on the bed's store, beside the bed's own engine; with its client. */
async function serve(bed: EngineBed): Promise<{ client: Client } & AsyncDisposable> {
  const socketPath = join(bed.dirs.root, 'api.sock');
  const stop = new AbortController();
  const listening = Promise.withResolvers<void>();
  const run = runDaemon({
    engine: () => bed.open({ mode: 'daemon', resident: true }),
    socketPath,
    signal: stop.signal,
    log: openLog({ level: 'silent' }),
    onListening: listening.resolve,
  });
  await Promise.race([listening.promise, run]);
  const client = await Client.connect(socketPath);
  assert.ok(client);
  return {
    client,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      stop.abort();
      await run;
    },
  };
}

test('a network and endpoints through the socket: the kernel has them, and an engine beside sees the same', async () => {
  await using bed = await makeEngineBed();
  await using daemon = await serve(bed);
  const api: EngineApi = daemon.client;
  const [a, b] = [await bed.workload('a'), await bed.workload('b')];

  const planned = await api.networkCreate({ name: 'web', ipv6: true }, { dryRun: true });
  assert.ok((planned.plan ?? []).some(({ command }) => /^ip .*link add/.test(command)));
  await assert.rejects(api.networkInspect('web'), withCode('ENETWORKNOTFOUND'));

  const { value: network } = await api.networkCreate({ name: 'web', ipv6: true });
  const { value: one } = await api.endpointAttach({ network: 'web', netns: a.path });
  const { value: two } = await api.endpointAttach({ network: network.id.slice(0, 12), netns: b.path });
  for (const address of two.addresses)
    assert.ok(await ping(a.netns, address.replace(/\/.*/, '')), `a reaches b at ${address}`);
  const links = await jsonIn<{ ifname: string; address: string }[]>(a.netns, [
    'ip',
    '-j',
    'link',
    'show',
    'dev',
    one.ifname,
  ]);
  assert.equal(links[0]?.address, one.mac);

  assert.deepEqual(await api.networkInspect('web'), await bed.engine.networkInspect('web'));
  assert.deepEqual(await api.networkList(), await bed.engine.networkList());
  assert.deepEqual(await api.endpointList(), await bed.engine.endpointList());

  await assert.rejects(api.networkRemove('web'), withCode('ENETWORKINUSE'));
  for (const { id } of [one, two]) await api.endpointDetach(id);
  assert.equal((await api.networkRemove('web')).value.name, 'web');
  assert.deepEqual(await bed.engine.endpointList(), []);
});

test('bad input: the client raises what the engine raises, word for word', async () => {
  await using bed = await makeEngineBed();
  await using daemon = await serve(bed);
  const { path } = await bed.workload('a');
  await bed.engine.networkCreate({ name: 'web', subnets: [{ subnet: '10.9.0.0/24' }] });
  const tries: ((api: EngineApi) => Promise<unknown>)[] = [
    (api) => api.networkCreate({ name: 'web' }),
    (api) => api.networkCreate({ name: 'a/b' }),
    (api) => api.networkCreate({ name: 'other', subnets: [{ subnet: '10.9.0.0/16' }] }),
    (api) => api.networkCreate({ name: 'other', subnets: [{ subnet: '10.8.0.0/24', gateway: '10.7.0.1' }] }),
    (api) => api.networkCreate({ name: 'other', driver: 'warp' }),
    (api) => api.networkCreate({ name: 'other', options: { 'no.such': '1' } }),
    (api) => api.networkRemove('bridge'),
    (api) => api.endpointAttach({ network: 'none-such', netns: path }),
    (api) => api.endpointAttach({ network: 'web', netns: `${path}-gone` }),
    (api) => api.endpointAttach({ network: 'web', netns: path, addresses: ['10.10.0.1'] }),
    (api) => api.endpointAttach({ network: 'web', netns: path, addresses: ['10.9.0.1'] }),
    (api) => api.endpointDetach('ffff'),
    (api) => api.containerInspect('nobody'),
    (api) => api.containerLogs('nobody')[Symbol.asyncIterator]().next(),
  ];
  for (const attempt of tries) {
    const said = await raised(attempt(bed.engine));
    assert.deepEqual(await raised(attempt(daemon.client)), said, attempt.toString());
    assert.ok(!['EINTERNAL', 'EBADREQUEST'].includes(said.code), JSON.stringify(said));
  }
  assert.deepEqual(await bed.engine.endpointList(), []);
});

async function raised(work: Promise<unknown>): Promise<{ code: string; message: string; hint: string }> {
  const error = await work.then(
    () => assert.fail('nothing was raised'),
    (reason: unknown) => reason,
  );
  const { code, message, hint } = error as { code: string; message: string; hint: string };
  return { code, message, hint };
}

test('a command through the socket: start, follow its log, wait for its end', async () => {
  await using bed = await makeEngineBed();
  await using daemon = await serve(bed);
  const { client: api } = daemon;
  await api.networkCreate({ name: 'web' });
  await api.containerCreate({
    name: 'blog',
    command: ['sh', '-c', 'echo one; read -r line < "$0"; echo "$line"; exit 7', fifo(bed)],
    networks: [{ network: 'web' }],
  });
  const { value: started } = await api.containerStart('blog');
  assert.equal(started.state.status, 'running');
  const waiting = api.containerWait('blog');
  let log = '';
  for await (const bytes of api.containerLogs('blog', { follow: true })) {
    log += Buffer.from(bytes).toString();
    if (log === 'one\n') writeFileSync(fifo(bed), 'two\n');
  }
  assert.equal(log, 'one\ntwo\n');
  assert.equal(await waiting, 7);
  await api.containerExited('blog');
  await api.containerRemove('blog');
  assert.deepEqual(await api.containerList({ all: true }), []);
});

/** A pipe that holds the command until the test writes. */
function fifo(bed: EngineBed): string {
  const path = join(bed.dirs.root, 'fifo');
  if (!existsSync(path)) execFileSync('mkfifo', [path]);
  return path;
}

test('a reader that leaves a followed log while nothing is written frees the engine', async () => {
  await using bed = await makeEngineBed();
  await using daemon = await serve(bed);
  const { client: api } = daemon;
  await api.containerCreate({ name: 'blog', command: ['sleep', '60'], networkMode: 'none' });
  await api.containerStart('blog');
  const reader = api.containerLogs('blog', { follow: true })[Symbol.asyncIterator]();
  const pending = reader.next();
  await api.version();
  await reader.return?.();
  assert.equal((await pending).done, true);
  await api.containerRemove('blog', { force: true });
});
