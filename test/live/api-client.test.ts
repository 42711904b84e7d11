import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { Client } from '../../src/api/client.ts';
import { rig, withCode } from './api-fixture.ts';

/** In a user namespace with a single user mapped (user_namespaces(7)) nobody else can be become. */
const ONE_USER = process.getuid?.() !== 0 || /^\s*\d+\s+\d+\s+1$/m.test(readFileSync('/proc/self/uid_map', 'utf8'));

/** A folder that goes at the end of the scope. */
function folder(): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'netloom-client-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

/** A socket file whose listener was killed. */
function staleSocket(path: string): void {
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  assert.equal(spawnSync(process.execPath, ['-e', script]).signal, 'SIGKILL');
}

/** Something else than netloom on a socket. */
async function stranger(path: string, listener: RequestListener): Promise<AsyncDisposable> {
  const server = createServer(listener);
  server.listen(path);
  await once(server, 'listening');
  return {
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function drain(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  let all = '';
  for await (const chunk of bytes) all += Buffer.from(chunk).toString();
  return all;
}

test('connect: a client where a daemon listens, nothing where none does', async () => {
  using dir = folder();
  const missing = join(dir.path, 'none.sock');
  assert.equal(await Client.connect(missing), undefined);
  const stale = join(dir.path, 'stale.sock');
  staleSocket(stale);
  assert.equal(await Client.connect(stale), undefined);
  assert.equal(await Client.connect(join(stale, 'below')), undefined);
  await using it = await rig();
  const client = await Client.connect(it.socketPath);
  assert.equal((await client?.version())?.mode, 'daemon');
  await client?.[Symbol.asyncDispose]();
});

test('ENODAEMON with a hint where nobody listens, for every kind of answer', async () => {
  using dir = folder();
  const stale = join(dir.path, 'stale.sock');
  staleSocket(stale);
  for (const path of [stale, join(dir.path, 'none.sock')]) {
    const client = new Client(path);
    const expected = { code: 'ENODAEMON', message: `no daemon listens on ${path}`, hint: /netloom daemon/ };
    await assert.rejects(client.networkList(), expected);
    await assert.rejects(client.networkCreate({ name: 'web' }), expected);
    await assert.rejects(client.containerWait('web'), expected);
    await assert.rejects(drain(client.containerLogs('web')), expected);
  }
});

test('EDAEMONLOST when it goes away before the answer; a change is not asked twice', async () => {
  using dir = folder();
  const path = join(dir.path, 'netloom.sock');
  const seen: (string | undefined)[] = [];
  await using _server = await stranger(path, (request) => {
    seen.push(request.method);
    request.socket.destroy();
  });
  const client = new Client(path);
  await assert.rejects(client.networkCreate({ name: 'web' }), withCode('EDAEMONLOST'));
  assert.deepEqual(seen, ['POST']);
});

test('EDAEMONLOST when the answer breaks off in the middle', async () => {
  using dir = folder();
  const path = join(dir.path, 'netloom.sock');
  await using _server = await stranger(path, (request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write('[{"id":', () => request.socket.destroy());
  });
  const client = new Client(path);
  await assert.rejects(client.networkList(), withCode('EDAEMONLOST'));
  await assert.rejects(drain(client.containerLogs('web')), withCode('EDAEMONLOST'));
});

test('a question on a connection that was closed meanwhile is asked again', async () => {
  using dir = folder();
  const path = join(dir.path, 'netloom.sock');
  const sockets = new Set<Socket>();
  await using _server = await stranger(path, (request, response) => {
    // The second request on a connection is met by its end, as if the server's idle timeout had just run out.
    if (sockets.has(request.socket)) return void request.socket.destroy();
    sockets.add(request.socket);
    response.end('[]');
  });
  const client = new Client(path);
  await client.networkList();
  assert.deepEqual(await client.networkList(), []);
  assert.equal(sockets.size, 2);
  await client[Symbol.asyncDispose]();
});

test('EBADANSWER from whoever is not netloom', async () => {
  using dir = folder();
  const path = join(dir.path, 'netloom.sock');
  const answers: [number, string][] = [
    [200, '<html>'],
    [404, 'page not found'],
    [500, '{"error":"x"}'],
    [200, ''],
  ];
  await using _server = await stranger(path, (_request, response) => {
    const [status, text] = answers[0] as [number, string];
    response.writeHead(status);
    response.end(text);
  });
  const client = new Client(path);
  while (answers.length > 0) {
    await assert.rejects(client.networkList(), withCode('EBADANSWER'));
    answers.shift();
  }
  await client[Symbol.asyncDispose]();
});

test('EACCES where the socket is not for this user', async () => {
  await using it = await rig();
  // with one user only, it is for nobody, and the client goes without the capability to pass over that
  chmodSync(it.socketPath, ONE_USER ? 0 : 0o600);
  chmodSync(dirname(it.socketPath), 0o755);
  const module = JSON.stringify(new URL('../../src/api/client.ts', import.meta.url).href);
  const script = `const { Client } = await import(${module});
    ${ONE_USER ? '' : 'process.setgroups([]); process.setgid(65534); process.setuid(65534);'}
    const codes = [];
    await Client.connect(process.argv[1]).catch((error) => codes.push(error.code));
    await new Client(process.argv[1]).version().catch((error) => codes.push(error.code));
    process.stdout.write(codes.join());`;
  const drop = ONE_USER ? ['setpriv', '--bounding-set=-all', '--inh-caps=-all'] : [];
  const [file, ...args] = [...drop, process.execPath, '--input-type=module', '-e', script, it.socketPath];
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  assert.equal(await text(child.stdout), 'EACCES,EACCES');
});

test('an idle client does not keep its process alive', async () => {
  await using it = await rig();
  const module = JSON.stringify(new URL('../../src/api/client.ts', import.meta.url).href);
  const script = `const { Client } = await import(${module}); await new Client(process.argv[1]).networkList();`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, it.socketPath], { timeout: 20_000 });
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

test('the client brings neither fastify nor typebox nor the addon with it', () => {
  const module = new URL('../../src/api/client.ts', import.meta.url).href;
  const script = `await import(${JSON.stringify(module)}); const { registerHooks } = await import('node:module');`;
  const hook = `data:text/javascript,import{registerHooks}from'node:module';registerHooks({resolve(s,c,n){const r=n(s,c);console.log(r.url);return r}})`;
  const { stdout } = spawnSync(process.execPath, ['--import', hook, '--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  const files = new Set(
    stdout
      .split('\n')
      .filter((url) => url.startsWith('file:'))
      .map((url) => url.replace(/.*\/src\//, '')),
  );
  assert.deepEqual([...files].toSorted(), ['api/client.ts', 'api/streams.ts', 'api/transport.ts', 'errors.ts']);
});
