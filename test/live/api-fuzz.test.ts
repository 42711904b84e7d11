// runs: here in one mode (a parser behind a socket)
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import fc from 'fast-check';
import { dice, type Dice, fuzzCases, mutate, mutateText } from '../../src/api/mutate.test.ts';
import { OPERATIONS } from '../../src/api/server.ts';
import { within } from '../lib/wait.ts';
import { rig, type Rig } from './api-fixture.ts';

const BODY = {
  name: 'web',
  network: 'web',
  netns: '/run/netns/a',
  command: ['true'],
  subnets: [{ subnet: '10.0.0.0/8' }],
  ports: [{ protocol: 'tcp', hostPort: 80, containerPort: 80, count: 1 }],
  labels: { a: 'b' },
  steps: [{ verb: 'networkCreate', spec: { name: 'web' } }],
};
/** Waits for somebody else, by its very meaning. */
const ENDLESS = /\/(wait|logs|events)\b/;

async function ask(it: Rig, roll: Dice): Promise<void> {
  const operation = OPERATIONS[roll(OPERATIONS.length)];
  const path = (operation?.path ?? '/').replaceAll(
    /:\w+/g,
    () => encodeURIComponent(mutateText('blog', roll).toWellFormed()) || 'x',
  );
  const query = ['', '?dryRun', '?explain=1&force', '?tail=3', '?types=dns', '?checks=a'][roll(6)] ?? '';
  // What cannot stand in a request line never leaves a client.
  const url = (roll(4) === 0 ? mutateText(path + query, roll) : path + query).replaceAll(/[^\u0021-\u007e]/g, '%');
  if (ENDLESS.test(url)) return;
  const body = roll(3) === 0 ? mutateText(JSON.stringify(BODY), roll) : JSON.stringify(mutate(BODY, roll));
  const headers = {
    'content-type':
      roll(12) === 0 ? mutateText('application/json', roll).replaceAll(/[^!-~]/g, 'x') : 'application/json',
  };
  const payload = body ?? '';
  const method = roll(12) === 0 ? 'PUT' : operation?.method;
  const framed = { ...headers, 'content-length': Buffer.byteLength(payload) };
  const sent = request({
    socketPath: it.socketPath,
    method,
    path: url.startsWith('/') ? url : `/${url}`,
    headers: framed,
  });
  sent.end(payload);
  const [response] = await within(`the answer to ${method} ${url} ${body}`, once(sent, 'response'));
  const answered = await text(response);
  const about = `${method} ${url} ${body}: ${response.statusCode} ${answered}`;
  assert.ok(response.statusCode < 500, about);
  if (response.statusCode < 400) return;
  const { code, message } = JSON.parse(answered) as { code: string; message: string };
  assert.match(code, /^E[A-Z]+$/, about);
  assert.match(message, /^[^\n\r]+$/, about);
}

test('requests of every kind of wrong: an answer each, none of them 5xx, and the next one is served', async () => {
  await using it = await rig();
  const property = fc.asyncProperty(fc.integer(), async (seed) => {
    const roll = dice(seed);
    await Promise.all(Array.from({ length: 20 }, () => ask(it, roll)));
  });
  await fc.assert(property, { numRuns: Math.ceil(fuzzCases(1500) / 20), endOnFailure: true });
  assert.equal((await it.client.version()).mode, 'daemon');
});

test('bytes that are no HTTP end their own connection and nothing else', async () => {
  await using it = await rig();
  const whole =
    'POST /v1/networks?dryRun HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{"name":"web"}';
  const property = fc.asyncProperty(fc.integer(), async (seed) => {
    const roll = dice(seed);
    let bytes = whole;
    for (let times = 1 + roll(4); times > 0; times--) bytes = mutateText(bytes, roll, '\r\n\0: /?\u00ff0-');
    const socket = connect(it.socketPath);
    socket.on('error', () => undefined);
    const closed = once(socket, 'close');
    socket.resume().end(Buffer.from(bytes, 'latin1'));
    await within(`the end of ${JSON.stringify(bytes)}`, closed);
  });
  await fc.assert(property, { numRuns: fuzzCases(300), endOnFailure: true });
  assert.deepEqual(await it.client.endpointList(), []);
});

test('what is no HTTP, or too much of it, is answered in the form of every failure', async () => {
  await using it = await rig();
  for (const [bytes, status, code] of [
    ['nonsense\r\n\r\n', 400, 'EBADREQUEST'],
    [`GET / HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`, 413, 'ETOOLARGE'],
  ] as const) {
    const socket = connect(it.socketPath);
    socket.end(bytes);
    const answer = await within('the answer', text(socket));
    assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `));
    assert.equal((JSON.parse(answer.slice(answer.indexOf('{'))) as { code: string }).code, code);
  }
});
