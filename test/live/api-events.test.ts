import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request, type IncomingMessage } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { Client } from '../../src/api/client.ts';
import type { EngineEvent, EventType } from '../../src/model/index.ts';
import { until, within } from '../lib/wait.ts';
import { rig, type Rig, withCode } from './api-fixture.ts';

/** The number of an event is its name. */
function publish(it: Rig, from: number, to: number, type: EventType = 'network'): void {
  for (let number = from; number < to; number++)
    it.engine.hub.publish({ type, action: 'create', name: String(number) });
}
function listens(it: Rig, type: EventType = 'network'): Promise<unknown> {
  return until(`a listener for ${type}`, () => it.engine.hub.wants(type));
}
function nobodyListens(it: Rig, type: EventType = 'network'): Promise<unknown> {
  return until('nobody to listen', () => !it.engine.hub.wants(type));
}
async function take(events: AsyncIterable<EngineEvent>, count: number): Promise<EngineEvent[]> {
  const taken: EngineEvent[] = [];
  for await (const event of events) if (taken.push(event) === count) break;
  return taken;
}
/** The answer's head; its body is not read until somebody does. */
async function openStream(it: Rig, path: string): Promise<IncomingMessage> {
  const asked = request({ socketPath: it.socketPath, path, agent: false });
  asked.end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  response.on('error', () => undefined);
  return response;
}

test('events arrive whole and in order, and leaving ends them in the engine', async () => {
  await using it = await rig();
  const events = it.client.events();
  await listens(it);
  it.engine.hub.publish({
    type: 'endpoint',
    action: 'attach',
    id: '7f',
    name: 'eth0 of bläg',
    attributes: { a: 'b\n"' },
  });
  it.engine.hub.publish({ type: 'dns', action: 'query', name: 'unasked' });
  publish(it, 0, 500);
  const [first, ...rest] = await take(events, 501);
  assert.match(first?.time ?? '', /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.deepEqual(
    { ...first, time: '' },
    { time: '', type: 'endpoint', action: 'attach', id: '7f', name: 'eth0 of bläg', attributes: { a: 'b\n"' } },
  );
  assert.deepEqual(
    rest.map(({ name }) => Number(name)),
    Array.from({ length: 500 }, (_, index) => index),
  );
  await nobodyListens(it);
});

test('only the types asked for; dns where it is asked for', async () => {
  await using it = await rig();
  const events = it.client.events({ types: ['dns', 'gc'] });
  await listens(it, 'dns');
  assert.deepEqual(it.engine.calls.at(-1)?.[1], { types: ['dns', 'gc'] });
  publish(it, 0, 3);
  publish(it, 3, 4, 'dns');
  publish(it, 4, 5, 'gc');
  assert.deepEqual(
    (await take(events, 2)).map(({ name }) => name),
    ['3', '4'],
  );
});

test('the signal ends the events: before they begin, while one is awaited, and in the engine', async () => {
  await using it = await rig();
  assert.deepEqual(await take(it.client.events({}, AbortSignal.abort()), 1), []);
  const stop = new AbortController();
  const waiting = take(it.client.events({}, stop.signal), 1);
  await listens(it);
  stop.abort();
  assert.deepEqual(await within('the end', waiting), []);
  await nobodyListens(it);
});

test('of two clients one dies; the other goes on', async () => {
  await using it = await rig();
  const dying = await openStream(it, '/v1/events?types=gc');
  const events = it.client.events({ types: ['network'] });
  await Promise.all([listens(it, 'gc'), listens(it)]);
  assert.equal(dying.headers['content-type'], 'application/x-ndjson');
  dying.socket.destroy();
  await nobodyListens(it, 'gc');
  publish(it, 0, 2);
  assert.equal((await take(events, 2)).length, 2);
});

test('a reader that takes nothing holds a bounded backlog, and is told how many it missed; others miss none', async () => {
  await using it = await rig();
  const slow = await openStream(it, '/v1/events?types=network');
  const quick = it.client.events({ types: ['network'] })[Symbol.asyncIterator]();
  await until('both', () => it.engine.calls.filter(([verb]) => verb === 'events').length === 2);
  const total = 25_000;
  for (let at = 0; at < total; at += 1000) {
    publish(it, at, at + 1000);
    const taken = async (): Promise<void> => {
      for (let each = at; each < at + 1000; each++) assert.equal((await quick.next()).value?.name, String(each));
    };
    await within('a thousand events', taken());
  }
  await quick.return?.();
  // What the sockets and the engine's backlog hold comes first, then the number of those that were dropped.
  let seen = 0;
  let lost = 0;
  let rest = '';
  for await (const chunk of slow) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const event of lines.map((line) => JSON.parse(line) as EngineEvent)) {
      if (event.action === 'behind') lost += Number(event.attributes['lost']);
      else assert.equal(event.name, String(seen++ + lost));
    }
    if (seen + lost >= total) break;
  }
  assert.equal(seen + lost, total);
  assert.ok(seen < 16_000 && lost > 0, `${seen} events were kept for a reader that took none`);
});

test('a stop of the server ends the events in good order; so does the end of the engine', async () => {
  await using it = await rig();
  const [one, other] = [it.client.events(), it.client.events()];
  await until('both', () => it.engine.calls.filter(([verb]) => verb === 'events').length === 2);
  publish(it, 0, 1);
  const readers = [one, other].map((events) => events[Symbol.asyncIterator]());
  for (const reader of readers) assert.equal((await reader.next()).value?.name, '0');
  const ends = Promise.all(readers.map((reader) => reader.next()));
  assert.equal(await it.api.stop(10_000), 0);
  for (const end of await within('the end', ends)) assert.deepEqual(end, { done: true, value: undefined });
  await using ended = await rig();
  const events = take(ended.client.events(), 9);
  await listens(ended);
  ended.engine.hub[Symbol.dispose]();
  assert.deepEqual(await within('the end', events), []);
});

test('EDAEMONLOST when the daemon dies in between; EBADANSWER for lines that are none', async () => {
  await using it = await rig();
  const events = take(it.client.events(), 1);
  await listens(it);
  it.api.http.closeAllConnections();
  await assert.rejects(events, withCode('EDAEMONLOST'));

  const folder = mkdtempSync(join(tmpdir(), 'netloom-events-'));
  const stranger = createServer((_request, response) => response.end('{"time":\n'));
  stranger.listen(join(folder, 's'));
  await once(stranger, 'listening');
  const client = new Client(join(folder, 's'));
  await assert.rejects(take(client.events(), 1), withCode('EBADANSWER'));
  await client[Symbol.asyncDispose]();
  stranger.close();
  rmSync(folder, { recursive: true });
});

test('nobody to ask, or nothing that there is: told by the first look, and by nothing where nobody looks', async () => {
  await using it = await rig();
  const nobody = new Client(join(it.socketPath, 'none'));
  nobody.events();
  const events = nobody.events();
  await assert.rejects(take(events, 1), withCode('EDAEMONLOST'));
  await assert.rejects(take(new Client(`${it.socketPath}x`).events(), 1), withCode('ENODAEMON'));
  await assert.rejects(take(it.client.events({ types: ['nosuch' as EventType] }), 1), {
    code: 'EBADREQUEST',
    message: /query\/types\/0 must be one of network,/,
  });
});

test('metrics: on both paths, in the form and with the type that Prometheus asks for', async () => {
  await using it = await rig();
  const expected = await it.engine.metrics();
  for (const path of ['/metrics', '/v1/metrics']) {
    const response = await openStream(it, path);
    assert.equal(response.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    assert.equal(await text(response), expected);
  }
  it.engine.failure = Object.assign(new Error('x'), { code: 'ENOSPC' });
  await assert.rejects(it.client.metrics(), withCode('ENOSPC'));
});
