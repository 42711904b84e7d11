import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FileLock, isAlive, openDescriptors, signalPid, startTime, waitPid } from '../../src/kernel/index.ts';

const dir = mkdtempSync(join(tmpdir(), 'netloom-lock-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const kernel = fileURLToPath(new URL('../../src/kernel/index.ts', import.meta.url));

test('a lock excludes others, in this process as in another', () => {
  const path = join(dir, 'a');
  assert.equal(FileLock.isHeld(path), false);
  {
    using lock = FileLock.tryAcquire(path);
    assert.ok(lock);
    assert.equal(FileLock.tryAcquire(path), undefined);
    assert.equal(FileLock.isHeld(path), true);
  }
  assert.equal(FileLock.isHeld(path), false);
  using again = FileLock.tryAcquire(path);
  assert.equal(again?.released, false);
});

test('a lock of a process that is killed is free again, and a waiter gets it', { timeout: 60_000 }, async () => {
  const path = join(dir, 'b');
  const holder = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    `import { FileLock } from '${kernel}'; globalThis.lock = FileLock.tryAcquire('${path}'); console.log('held'); setInterval(() => {}, 1e6);`,
  ]);
  await once(holder.stdout, 'data');
  assert.equal(FileLock.tryAcquire(path), undefined);
  const waiting = FileLock.acquire(path);
  const order: string[] = [];
  void waiting.then(() => order.push('lock'));
  await new Promise(setImmediate); // the loop goes on
  order.push('loop');
  holder.kill('SIGKILL');
  const lock = await waiting;
  assert.deepEqual(order, ['loop', 'lock']);
  lock.release();
  assert.equal(FileLock.isHeld(path), false);
});

test('waiting can be given up, many times, and leaves nothing behind', { timeout: 60_000 }, async () => {
  const path = join(dir, 'c');
  const lock = FileLock.tryAcquire(path)!;
  const open = openDescriptors().length;
  const early = AbortSignal.abort(new Error('no'));
  await assert.rejects(FileLock.acquire(path, { signal: early }), /no/);
  for (let i = 0; i < 100; i++) {
    const abort = new AbortController();
    const waiting = FileLock.acquire(path, { signal: abort.signal });
    if (i % 2) await new Promise(setImmediate);
    abort.abort(new Error(`given up ${i}`));
    await assert.rejects(waiting, new RegExp(`given up ${i}`));
  }
  assert.equal(openDescriptors().length, open);
  lock.release();
  using next = FileLock.tryAcquire(path); // none of the hundred got it
  assert.ok(next);
});

test('waiters get a lock one after the other', { timeout: 60_000 }, async () => {
  const path = join(dir, 'd');
  let inside = 0;
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      using _lock = await FileLock.acquire(path);
      assert.equal(++inside, 1);
      await new Promise(setImmediate);
      inside--;
    }),
  );
});

test('a lock on a file that was replaced meanwhile is taken on the new one', { timeout: 60_000 }, async () => {
  const path = join(dir, 'e');
  const old = FileLock.tryAcquire(path)!;
  const waiting = FileLock.acquire(path);
  writeFileSync(join(dir, 'e.new'), '');
  renameSync(join(dir, 'e.new'), path);
  old.release();
  using _lock = await waiting;
  assert.equal(FileLock.tryAcquire(path), undefined);
});

async function sleeper(): Promise<ChildProcess & { pid: number }> {
  const child = spawn('sleep', ['1000']);
  await once(child, 'spawn');
  return child as ChildProcess & { pid: number };
}

test('a process is waited for and signalled by its own identity', { timeout: 60_000 }, async () => {
  const child = await sleeper();
  const since = startTime(child.pid);
  assert.ok(since !== undefined && since > 0);
  assert.equal(isAlive(child.pid, since), true);
  assert.equal(isAlive(child.pid, since + 1), false);
  assert.equal(signalPid(child.pid, since + 1, 'SIGKILL'), false, 'another process of the same number');
  const ended = Promise.all([waitPid(child.pid), waitPid(child.pid), once(child, 'exit')]);
  assert.equal(signalPid(child.pid, since, 'SIGTERM'), true);
  await ended;
  assert.equal(child.signalCode, 'SIGTERM');
  assert.equal(signalPid(child.pid, since, 'SIGTERM'), false);
  assert.equal(isAlive(child.pid), false);
  assert.equal(startTime(child.pid), undefined);
  await waitPid(child.pid);
});

test('waiting for a process can be given up', { timeout: 60_000 }, async () => {
  const child = await sleeper();
  const abort = new AbortController();
  const waiting = waitPid(child.pid, { signal: abort.signal });
  abort.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
  assert.equal(isAlive(child.pid), true);
  child.kill('SIGKILL');
  await once(child, 'exit');
});
