import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { rig, type Rig, withCode } from './api-fixture.ts';

async function withBlog(lines: readonly string[]): Promise<Rig> {
  const made = await rig();
  await made.engine.containerCreate({ name: 'blog', command: ['true'] });
  made.engine.lines.push(...lines);
  return made;
}
async function drain(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const parts = [];
  for await (const part of bytes) parts.push(part);
  return Buffer.concat(parts).toString();
}

test('a log that ends comes whole, and is put away', async () => {
  await using it = await withBlog(['one\n', 'zwei ü\n', 'x'.repeat(3_000_000)]);
  assert.equal(await drain(it.client.containerLogs('blog', { tail: 7 })), 'one\nzwei ü\n' + 'x'.repeat(3_000_000));
  assert.deepEqual(it.engine.calls.at(-1), ['containerLogs', 'blog', { tail: 7 }]);
  await it.engine.logsReturned.promise;
});

test('an empty log is no error', async () => {
  await using it = await withBlog([]);
  assert.equal(await drain(it.client.containerLogs('blog')), '');
});

test('logs of a container that is not there: the error of the engine', async () => {
  await using it = await withBlog([]);
  for (const follow of [true, false]) {
    await assert.rejects(drain(it.client.containerLogs('other', { follow })), withCode('ENOENT'));
  }
});

test('a followed log: lines come when they are written, and leaving ends it in the engine', async () => {
  await using it = await withBlog(['one\n']);
  for await (const bytes of it.client.containerLogs('blog', { follow: true })) {
    assert.equal(Buffer.from(bytes).toString(), 'one\n');
    break;
  }
  await it.engine.logsReturned.promise;
});

test('the reader may leave while it waits for a line that never comes', async () => {
  await using it = await withBlog(['one\n']);
  const reader = it.client.containerLogs('blog', { follow: true })[Symbol.asyncIterator]();
  await reader.next();
  const pending = reader.next();
  await reader.return?.();
  assert.deepEqual(await pending, { done: true, value: undefined });
  await it.engine.logsReturned.promise;
});

test('a client that dies in the middle frees the stream; headers come before the first line', async () => {
  await using it = await withBlog([]);
  const asked = request({ socketPath: it.socketPath, path: '/v1/containers/blog/logs?follow' });
  asked.end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  assert.equal(response.statusCode, 200);
  assert.equal(response.headers['content-type'], 'application/octet-stream');
  response.on('error', () => undefined);
  asked.destroy();
  await it.engine.logsReturned.promise;
});

test('a reader that takes nothing is not read ahead for', async () => {
  const chunk = 'x'.repeat(65_536);
  await using it = await withBlog(Array.from({ length: 1000 }, () => chunk));
  const asked = request({ socketPath: it.socketPath, path: '/v1/containers/blog/logs' });
  asked.end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  // A quick question behind it is answered only after what the stream does in the meantime.
  for (let round = 0; round < 50; round++) await it.client.version();
  assert.ok(it.engine.logPulls < 100, `${it.engine.logPulls} of 1000 chunks were read`);
  let size = 0;
  for await (const part of response) size += (part as Buffer).length;
  assert.equal(size, 65_536_000);
});

test('a stop of the server ends waits and followed logs at once', async () => {
  await using it = await withBlog(['one\n']);
  const reader = it.client.containerLogs('blog', { follow: true })[Symbol.asyncIterator]();
  await reader.next();
  const waiting = assert.rejects(it.client.containerWait('blog'), withCode('ESTOPPING'));
  await it.engine.waited.promise;
  const broken = assert.rejects(Promise.resolve(reader.next()), withCode('EDAEMONLOST'));
  assert.equal(await it.api.stop(10_000), 0);
  await Promise.all([waiting, broken, it.engine.logsReturned.promise]);
});
