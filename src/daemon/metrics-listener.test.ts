import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EngineApi } from '../model/index.ts';
import type { Logger } from './log.ts';
import { parseMetricsAddress, serveMetrics } from './metrics-listener.ts';

test('addresses to serve at', () => {
  assert.deepEqual(parseMetricsAddress('127.0.0.1:9464'), { host: '127.0.0.1', port: 9464 });
  assert.deepEqual(parseMetricsAddress('[::1]:0'), { host: '::1', port: 0 });
  assert.deepEqual(parseMetricsAddress(':9464'), { host: undefined, port: 9464 });
  for (const bad of ['', '9464', '127.0.0.1', '::1:9464', '127.0.0.1:99999', '[::1]', 'a:b'])
    assert.throws(() => parseMetricsAddress(bad), { code: 'EBADADDRESS' }, bad);
});

test('metrics by TCP, and nothing else', async () => {
  const told: Record<string, unknown>[] = [];
  const log = { info: (o: Record<string, unknown>) => told.push(o), error: () => undefined } as unknown as Logger;
  let fail = false;
  const engine = {
    metrics: () => (fail ? Promise.reject(new Error('no')) : Promise.resolve('netloom_x 1\n')),
  } as unknown as EngineApi;
  await using _server = await serveMetrics(engine, { host: '127.0.0.1', port: 0 }, log);
  const base = `http://${String(told[0]?.['metrics'])}`;
  const answer = await fetch(`${base}/metrics`);
  assert.equal(await answer.text(), 'netloom_x 1\n');
  assert.match(answer.headers.get('content-type') ?? '', /version=0\.0\.4/);
  assert.equal((await fetch(`${base}/v1/networks`)).status, 404);
  assert.equal((await fetch(`${base}/metrics`, { method: 'POST' })).status, 404);
  fail = true;
  assert.equal((await fetch(`${base}/metrics`)).status, 500);
  const port = Number(base.split(':').at(-1));
  await assert.rejects(serveMetrics(engine, { host: '127.0.0.1', port }, log), { code: 'EADDRINUSE' });
});
