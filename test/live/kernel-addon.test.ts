import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { native } from '../../src/kernel/index.ts';

const kernel = new URL('../../src/kernel/index.ts', import.meta.url).href;
/** Runs source in a process of its own: a crash of the addon is a signal there, not the end of the suite. */
function runs(source: string): void {
  const { status, signal, stderr, stdout } = spawnSync(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import * as k from '${kernel}'; import { Worker, isMainThread } from 'node:worker_threads'; const { native } = k; ${source}`,
    ],
    { encoding: 'utf8', timeout: 30_000 },
  );
  assert.deepEqual({ status, signal, stderr }, { status: 0, signal: null, stderr: '' }, stdout);
}

// what would change this process rather than fail: a random number must not happen to be a descriptor or pid in use
const closed = openSync('/dev/null', 'r');
closeSync(closed);
/** More than the kernel's largest pid (linux/threads.h PID_MAX_LIMIT), and than any descriptor. */
const NOBODY = 2 ** 22 + 1;
const odd = fc.oneof(
  fc.constantFrom(
    undefined,
    null,
    true,
    Number.NaN,
    Infinity,
    -1,
    0.5,
    2 ** 31,
    2 ** 32,
    -(2 ** 40),
    NOBODY,
    '',
    '\0',
    {},
    [],
    Symbol.iterator,
    1n,
  ),
  fc.constantFrom(
    new Uint8Array(0),
    new Uint8Array(3),
    new Uint32Array(2),
    new Float64Array(1),
    new DataView(new ArrayBuffer(4)),
    new ArrayBuffer(8),
  ),
  fc.constantFrom('x'.repeat(1 << 20), '/'.repeat(5000), 'ä'.repeat(2047), '/no/such/\ud800', () => undefined),
  fc.string().map((text) => `/no/such/${text}`), // never a path that is there: umount takes it
);

test('no argument, however wrong, brings the process down or goes unnoticed', async () => {
  const names = Object.keys(native).filter((name) => name !== 'netnsCreate') as (keyof typeof native)[];
  assert.ok(names.length >= 20);
  const harmless = new Set<string>(['flockCancel', 'pollStop', 'pollRef', 'relayStop', 'random']);
  const pending: Promise<unknown>[] = [];
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.array(odd, { maxLength: 6 }), (name, args) => {
      let result: unknown;
      try {
        result = (native[name] as (...args: unknown[]) => unknown)(...args);
      } catch (error) {
        assert.ok(error instanceof Error);
        const { errno, syscall } = error as Error & { errno?: unknown; syscall?: unknown };
        assert.ok(typeof errno === 'number' && errno > 0 && typeof syscall === 'string', `${name}: ${error.stack}`);
        return;
      }
      if (result instanceof Promise) pending.push(result.catch(() => undefined));
      else assert.ok(harmless.has(name), `${name}(${fc.stringify(args)}) gave ${fc.stringify(result)}`);
    }),
    { numRuns: 5000 },
  );
  await Promise.all(pending);
});

test('a missing argument is refused, not guessed', () => {
  for (const [name, call] of Object.entries(native)) {
    if (name === 'netnsCreate') continue;
    assert.throws(() => (call as () => unknown)(), { errno: 22, syscall: 'argument' }, name);
  }
});

test('a socket without a path is refused: its name would be open to everybody', () => {
  assert.throws(() => native.unixListen('', 1), { errno: 22, syscall: 'argument' });
});

test('an operation that is no lock is refused', () => {
  assert.throws(() => native.flock(closed + 1000, 32), { errno: 22 }); // LOCK_MAND: the kernel alone would say yes
  assert.throws(() => native.flockWait(closed + 1000, 32, 1), { errno: 22 });
});

test('a poll survives its descriptor, and stopping inside its callback', () => {
  runs(`
    const fd = native.netlinkOpen(-1, 0);
    native.socketOption(fd, 270, 1, 1);
    const id = native.pollStart(fd, 1, () => {});
    (await import('node:fs')).closeSync(fd);
    const a = k.listenIn(undefined, { address: '127.0.0.1', port: 0 });
    let calls = 0;
    const udp = k.bindUdpIn(undefined, { address: '0.0.0.0', port: 0 });
    await new Promise((resolve) => {
      const poll = k.Poll.start(udp, k.POLL.WRITABLE, () => { calls++; poll.stop(); poll.stop(); resolve(); }).ref();
    });
    await new Promise(setImmediate);
    if (calls !== 1) throw new Error('called ' + calls);
    if (!native.pollStop(id) || native.pollStop(id)) throw new Error('stop');
  `);
});

test('an exception in a poll callback is an uncaught exception', () => {
  runs(`
    const udp = k.bindUdpIn(undefined, { address: '0.0.0.0', port: 0 });
    const poll = k.Poll.start(udp, k.POLL.WRITABLE, () => { poll.stop(); throw new Error('mine'); }).ref();
    process.on('uncaughtException', (error) => { if (error.message !== 'mine') throw error; console.log('seen'); });
  `);
});

test('the process may end while polls, exchanges, relays and waits for locks are under way', () => {
  const busy = `
    const request = new Uint8Array(32); const view = new DataView(request.buffer);
    view.setUint32(0, 32, true); view.setUint16(4, 18, true); view.setUint16(6, 0x301, true);
    const start = () => {
      const fd = native.netlinkOpen(-1, 0);
      for (let i = 0; i < 20; i++) native.exchange(fd, request, 0).catch(() => {});
      const lock = k.FileLock.tryAcquire(path);
      for (let i = 0; i < 5; i++) k.FileLock.acquire(path).catch(() => {});
      for (let i = 0; i < 5; i++) native.pollStart(fd, 2, () => {});
      const ns = k.Netns.create();
      const device = k.tunCreate(ns, 'tun0', { mode: 'tun' });
      const relay = k.RelayThreads.start(ns, device, { v4: k.relaySocketIn(ns, { address: '127.0.0.1', port: 8285 }) });
      globalThis.keep = { lock, relay };
    };`;
  const path = `const path = '/dev/shm/netloom-test-' + process.pid; const { rmSync } = await import('node:fs'); process.on('exit', () => rmSync(path, { force: true }));`;
  runs(`${path} ${busy} start(); process.exit(0);`);
  runs(`${path} ${busy} start(); setImmediate(() => process.exit(0));`);
  // descriptors are the addon's: Node, which did not open them, would warn of each that is closed
  const inWorker = `import * as k from '${kernel}'; import { workerData as path } from 'node:worker_threads'; const { native } = k; ${busy} start();`;
  runs(`${path}
    for (let i = 0; i < 5; i++) {
      const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(inWorker)} + (i % 2 ? '' : ' process.exit(0);'))), { workerData: path + i, trackUnmanagedFds: false });
      await new Promise((resolve, reject) => { worker.on('error', reject); worker.on('message', resolve); worker.on('exit', resolve); setTimeout(() => worker.terminate(), 100); });
      await worker.terminate();
      rmSync(path + i, { force: true });
    }`);
});

test('exchanges that are not awaited keep the process alive until they are done, and no longer', () => {
  runs(`
    const request = new Uint8Array(32); const view = new DataView(request.buffer);
    view.setUint32(0, 32, true); view.setUint16(4, 18, true); view.setUint16(6, 0x301, true); view.setUint32(8, 5, true);
    const fd = native.netlinkOpen(-1, 0);
    let done = false;
    native.exchange(fd, request, 5).then(() => (done = true));
    process.on('exit', () => { if (!done) process.exitCode = 9; });
  `);
});
