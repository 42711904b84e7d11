import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkDescriptors } from '../lib/fds.ts';
import { run } from '../lib/run.ts';
import { makeContainerBed, traces } from './containers-bed.ts';
import { churn } from './containers-churn.ts';

checkDescriptors();

const WORKER = fileURLToPath(new URL('containers-worker.ts', import.meta.url));

test('fifty containers at once through one engine: no address twice, nothing left', async () => {
  await using bed = await makeContainerBed();
  await bed.engine.networkCreate({ name: 'web', ipv6: true });
  await bed.engine.networkCreate({ name: 'other' });
  const before = await traces(bed);
  const addresses = await churn(bed.engine, 'box', 50);
  assert.equal(addresses.length, 50 * 2 + 25);
  assert.equal(new Set(addresses).size, addresses.length);
  assert.deepEqual(await traces(bed), before);
});

test('fifty containers at once through the engines of two processes on one store', async () => {
  await using bed = await makeContainerBed();
  await bed.engine.networkCreate({ name: 'web', ipv6: true });
  await bed.engine.networkCreate({ name: 'other' });
  const before = await traces(bed);
  const results = await Promise.all(
    ['left', 'right'].map((name) =>
      run([process.execPath, '--no-warnings', WORKER, bed.options, 'many', name, '25'], { timeout: 50_000 }),
    ),
  );
  for (const { status, stderr } of results) assert.equal(status, 0, stderr);
  const addresses = results.map(({ stdout }) => JSON.parse(stdout) as string[]);
  // both have every other container on two networks, and all of their containers at the same time
  for (const own of addresses) assert.equal(new Set(own).size, 25 * 2 + 13);
  assert.deepEqual(await traces(bed), before);
});

test('two processes that start, stop and remove one container take turns', async () => {
  await using bed = await makeContainerBed();
  await using other = await bed.open();
  const { engine } = bed;
  await engine.networkCreate({ name: 'web' });
  const before = await traces(bed);
  const fine = new Set(['ECONTAINERRUNNING', 'ECONTAINERNOTFOUND', 'ENAMETAKEN', 'ECONTAINERNOTRUNNING']);
  for (let round = 0; round < 5; round++) {
    const asked = [engine, other].flatMap((e) => [
      e.containerCreate({ name: 'box', command: ['sleep', '300'], networks: [{ network: 'web' }] }),
      e.containerStart('box'),
      e.containerStop('box', { timeoutSeconds: 2 }),
      e.containerStart('box'),
      e.containerExited('box'),
      e.containerRemove('box', { force: round % 2 === 0 }),
    ]);
    for (const result of await Promise.allSettled(asked)) {
      if (result.status === 'rejected')
        assert.ok(fine.has((result.reason as { code: string }).code), String(result.reason));
    }
    for (const { state, endpoints } of await engine.containerList()) {
      assert.deepEqual([state.status, endpoints.length], ['running', 1], 'what runs has its network');
    }
    await engine
      .containerRemove('box', { force: true })
      .catch((error: { code?: string }) => assert.equal(error.code, 'ECONTAINERNOTFOUND'));
    assert.deepEqual(await traces(bed), before);
  }
});
