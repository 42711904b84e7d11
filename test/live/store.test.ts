import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
  closeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { openEmbeddedStore } from '../../src/store/embedded.ts';
import type { EmbeddedStoreOptions } from '../../src/store/embedded.ts';
import type { Store } from '../../src/store/store.ts';
import { take } from '../lib/store-contract.ts';

const directories: string[] = [];
function place(extra: Partial<EmbeddedStoreOptions> = {}): EmbeddedStoreOptions & { state: string; runtime: string } {
  const base = mkdtempSync(join(tmpdir(), 'netloom-store-'));
  directories.push(base);
  const stateDir = join(base, 'lib/netloom');
  const runDir = join(base, 'run/netloom');
  return {
    stateDir,
    runDir,
    bootId: 'boot-1',
    state: join(stateDir, 'netloom.db'),
    runtime: join(runDir, 'runtime.db'),
    ...extra,
  };
}
afterEach(() => {
  for (const path of directories.splice(0)) rmSync(path, { recursive: true });
});
const everything = (store: Store): Promise<Record<string, unknown>> =>
  store.read(async (tx) => Object.fromEntries((await tx.list('')).map(({ key, value }) => [key, value])));

// what one space of keys means: test/lib/store-contract.ts
test('one space of keys over two files', async () => {
  const where = place();
  await using store = await openEmbeddedStore(where);
  await store.transact(async (tx) => {
    for (const key of [
      'networks/b',
      'networks/a',
      'leases/n/2',
      'leases/n/1',
      'leases/n/3',
      'zz',
      'meta/seed',
      'netwarks/x',
    ])
      await tx.create(key, { of: key });
    await tx.delete('leases/none');
  });
  const inFile = (file: string): unknown[] => {
    using db = new DatabaseSync(file);
    return db
      .prepare('SELECT k FROM kv ORDER BY k')
      .all()
      .map((row) => row['k']);
  };
  assert.deepEqual(inFile(where.state), ['meta/seed', 'networks/a', 'networks/b'], 'only these survive a power cut');
  assert.equal(inFile(where.runtime).length, 5);
});

test('a new boot drops what was the machine’s, and keeps networks', async () => {
  const where = place();
  let before: number;
  {
    await using store = await openEmbeddedStore(where);
    await store.transact(async (tx) => {
      await tx.put('endpoints/a', 1);
      await tx.put('networks/a', 1);
    });
    before = await store.revision();
  }
  {
    await using store = await openEmbeddedStore(where);
    assert.deepEqual(await everything(store), { 'networks/a': 1, 'endpoints/a': 1 }, 'same boot');
  }
  // As a power cut may leave a file that was never synced.
  writeFileSync(where.runtime, 'torn');
  await using store = await openEmbeddedStore({ ...where, bootId: 'boot-2' });
  assert.deepEqual(await everything(store), { 'networks/a': 1 });
  assert.ok((await store.revision()) >= before, 'revisions go on');
  await store.transact((tx) => tx.put('networks/b', 2));
  assert.deepEqual(await everything(store), { 'networks/a': 1, 'networks/b': 2 });
});

test('a run directory that vanished is begun anew', async () => {
  const where = place();
  await (await openEmbeddedStore(where))[Symbol.asyncDispose]();
  rmSync(where.runDir, { recursive: true });
  await using store = await openEmbeddedStore(where);
  assert.deepEqual(await everything(store), {});
});

test('only the owner may look in; others may pass to the socket beside the files', async () => {
  const where = place();
  const mask = process.umask(0);
  await using store = await openEmbeddedStore(where);
  await store.transact((tx) => tx.put('networks/a', 1));
  process.umask(mask);
  for (const [directory, mode] of [
    [where.stateDir, 0o700],
    [where.runDir, 0o711],
  ] as const) {
    assert.equal(statSync(directory).mode & 0o777, mode);
    const files = readdirSync(directory);
    assert.ok(files.length >= 3);
    for (const file of files) assert.equal(statSync(join(directory, file)).mode & 0o777, 0o600, file);
  }
});

for (const file of ['state', 'runtime'] as const) {
  test(`a ${file} file from a newer version: the versions and what to do, nothing changed`, async () => {
    const where = place();
    await (await openEmbeddedStore(where))[Symbol.asyncDispose]();
    {
      using db = new DatabaseSync(where[file]);
      db.exec('PRAGMA user_version = 7');
    }
    const before = readFileSync(where[file]);
    await assert.rejects(openEmbeddedStore(where), (error: Error & { code?: string; hint?: string }) => {
      assert.equal(error.code, 'ENEWERSTORE');
      assert.ok(
        error.message.includes(where[file]) && error.message.includes('layout 7') && error.message.includes('layout 1'),
        error.message,
      );
      assert.match(error.hint ?? '', /use the newer netloom/);
      return true;
    });
    assert.deepEqual(readFileSync(where[file]), before);
    for (const path of [where.state, where.runtime])
      assert.equal(existsSync(`${path}-wal`), false, 'no connection left behind');
  });

  test(`a ${file} file that is garbage, or damaged inside, is named`, async () => {
    const where = place();
    await (await openEmbeddedStore(where))[Symbol.asyncDispose]();
    const whole = readFileSync(where[file]);
    writeFileSync(where[file], 'this is no database, however long it goes on. '.repeat(200));
    const damaged = { code: 'ESTORECORRUPT', message: new RegExp(`${where[file]} is damaged`) };
    await assert.rejects(openEmbeddedStore(where), damaged);
    writeFileSync(where[file], whole);
    // The first page stays: everything behind it is overwritten.
    const fd = openSync(where[file], 'r+');
    writeSync(fd, Buffer.alloc(whole.length - 4096, 0xa5), 0, whole.length - 4096, 4096);
    closeSync(fd);
    await assert.rejects(async () => {
      await using store = await openEmbeddedStore(where);
      await store.transact(async (tx) => {
        await tx.put('networks/a', 1);
        await tx.put('endpoints/a', 1);
      });
    }, damaged);
    truncateSync(where[file], 0);
    if (file === 'runtime') await assert.rejects(openEmbeddedStore(where), damaged);
  });
}

test('something else where the directory should be', async () => {
  const where = place();
  mkdirSync(join(where.stateDir, '..'), { recursive: true });
  writeFileSync(where.stateDir, '');
  await assert.rejects(openEmbeddedStore(where), { code: 'ENOTDIR', message: new RegExp(where.stateDir) });
});

test('a lock that stays: an error after the deadline, and the event loop goes on meanwhile', async () => {
  const where = place({ deadline: 300 });
  await using store = await openEmbeddedStore(where);
  using other = new DatabaseSync(where.runtime);
  other.exec('BEGIN IMMEDIATE');
  let ticks = 0;
  const timer = setInterval(() => ticks++, 10);
  await assert.rejects(
    store.transact((tx) => tx.put('a', 1)),
    { code: 'ESTOREBUSY', message: new RegExp(where.runtime) },
  );
  clearInterval(timer);
  assert.ok(ticks >= 10, `${ticks} ticks in 300 ms`);
  assert.equal(await store.read((tx) => tx.get('a')), undefined, 'readers do not wait');
  other.exec('ROLLBACK');
  await store.transact((tx) => tx.put('a', 1));
});

for (const first of ['read', 'transact'] as const) {
  test(`died between the two commits: the next ${first} finishes it`, async () => {
    const where = place();
    await using store = await openEmbeddedStore(where);
    await store.transact(async (tx) => {
      await tx.put('networks/a', 1);
      await tx.put('leases/gone', 1);
    });
    const revision = await store.revision();
    // What the state file holds after the first of the two commits.
    using state = new DatabaseSync(where.state);
    state.prepare('INSERT INTO kv VALUES (?, ?)').run('networks/b', '2');
    const ops = [
      ['networks/b', '2'],
      ['leases/b', '2'],
      ['leases/gone', null],
    ];
    state.prepare('UPDATE journal SET rev = ?, ops = ?').run(revision + 3, JSON.stringify(ops));
    await using later = await openEmbeddedStore(where);
    const seen = new AbortController();
    const changes = later.watch('', seen.signal);
    const view =
      first === 'read'
        ? await everything(later)
        : await later.transact(async (tx) =>
            Object.fromEntries((await tx.list('')).map(({ key, value }) => [key, value])),
          );
    assert.deepEqual(view, { 'leases/b': 2, 'networks/a': 1, 'networks/b': 2 });
    assert.equal(await later.revision(), revision + 3);
    assert.deepEqual(await take(changes, 3), [
      { key: 'networks/b', value: 2, revision: revision + 1 },
      { key: 'leases/b', value: 2, revision: revision + 2 },
      { key: 'leases/gone', value: undefined, revision: revision + 3 },
    ]);
    seen.abort();
    assert.deepEqual(await everything(store), view);
  });
}

test('a reader in the middle of another’s two commits waits for the second', async () => {
  const where = place();
  await using store = await openEmbeddedStore(where);
  await store.transact((tx) => (tx.put('networks/a', 1), tx.put('pair', 1)));
  const revision = await store.revision();
  using runtime = new DatabaseSync(where.runtime);
  using state = new DatabaseSync(where.state);
  runtime.exec('BEGIN IMMEDIATE');
  const ops = [
    ['networks/a', '2'],
    ['pair', '2'],
  ];
  runtime.exec(`UPDATE kv SET v = 2 WHERE k = 'pair'; UPDATE joined SET rev = ${revision + 2}`);
  runtime.prepare('INSERT INTO changes VALUES (?, ?)').run(revision + 2, JSON.stringify(ops));
  state.exec(
    `BEGIN; UPDATE kv SET v = 2; UPDATE journal SET rev = ${revision + 2}, ops = '${JSON.stringify(ops)}'; COMMIT`,
  );
  const reading = everything(store);
  await sleep(50);
  runtime.exec('COMMIT');
  assert.deepEqual(await reading, { 'networks/a': 2, pair: 2 });
  assert.equal(await store.revision(), revision + 2, 'and nobody repeated it');
});

test('the log of changes is trimmed, and who slept through it is told', async () => {
  const where = place();
  await using one = await openEmbeddedStore(where);
  await using two = await openEmbeddedStore(where);
  const waiting = one.watch('', new AbortController().signal)[Symbol.asyncIterator]().next();
  const refused = assert.rejects(waiting, { code: 'ESTOREBEHIND' });
  // without a turn of the event loop between them, in which the first could be noticed
  for (let part = 0; part < 3; part++) {
    await two.transact(async (tx) => {
      for (let i = 0; i < 6000; i++) await tx.put(`endpoints/${i}`, part);
    });
  }
  await refused;
  using db = new DatabaseSync(where.runtime);
  assert.ok(Number(db.prepare('SELECT sum(json_array_length(ops)) AS n FROM changes').get()?.['n']) <= 16_000);
});

test('no descriptor stays open', async () => {
  const open = (): number => readdirSync('/proc/self/fd').length;
  const before = open();
  for (let i = 0; i < 5; i++) {
    const where = place();
    await using store = await openEmbeddedStore(where);
    store.watch('', new AbortController().signal);
    await store.transact((tx) => tx.put('networks/a', i));
    writeFileSync(join(where.stateDir, '..', 'x'), '');
    await assert.rejects(openEmbeddedStore({ ...where, stateDir: join(where.stateDir, '..', 'x') }));
  }
  assert.equal(open(), before);
});

test('what nobody waits for comes with the next transaction, or by itself, and is seen by whoever asks', async () => {
  const where = place();
  await using store = await openEmbeddedStore(where);
  await using other = await openEmbeddedStore(where);
  let runs = 0;
  const later = (key: string): void =>
    store.transactSoon((tx) => {
      runs++;
      return tx.put(key, 1);
    });
  later('a');
  assert.equal(await other.read((tx) => tx.get('a')), undefined, 'not begun in the same breath');
  assert.equal(await store.read((tx) => tx.get('a')), 1);
  later('b');
  const before = await other.revision();
  await store.transact((tx) => tx.put('c', 1));
  assert.equal((await other.revision()) - before, 2, 'both at once');
  assert.equal(runs, 2);

  later('d');
  await assert.rejects(
    store.transact(() => {
      throw new Error('no');
    }),
  );
  await turn();
  await turn();
  assert.equal(await other.read((tx) => tx.get('d')), 1, 'another one’s failure is not its own');
  assert.equal(runs, 4);

  later('e');
  later('f');
  await store[Symbol.asyncDispose]();
  assert.equal(await other.read((tx) => tx.count('')), 6, 'nothing is left behind at the end');
  assert.throws(() => later('g'), { code: 'ESTORECLOSED' });
});

test('what nobody waits for stays until the store can take it', async () => {
  const where = place();
  await using store = await openEmbeddedStore({ ...where, deadline: 20 });
  using blocker = new DatabaseSync(where.runtime);
  blocker.exec('BEGIN IMMEDIATE');
  store.transactSoon((tx) => tx.put('a', 1));
  assert.equal(await store.read((tx) => tx.get('a')), undefined, 'a reader is answered all the same');
  blocker.exec('ROLLBACK');
  assert.equal(await store.read((tx) => tx.get('a')), 1);
});

test('what is added while a transaction is under way is not left lying; closing meets one that waits', async () => {
  const where = place();
  const store = await openEmbeddedStore(where);
  await using other = await openEmbeddedStore(where);
  store.transactSoon((tx) => tx.put('a', 1));
  await store.transact(async (tx) => {
    await tx.put('b', 1);
    store.transactSoon((late) => late.put('c', 1));
    store.transactSoon((late) => late.put('d', 1));
  });
  await turn();
  await turn();
  assert.equal(await other.read((tx) => tx.count('')), 4);
  const held = store.transact(async () => {
    store.transactSoon((late) => late.put('e', 1));
    await turn();
    await turn();
  });
  await Promise.all([held, store[Symbol.asyncDispose]()]);
  assert.equal(await other.read((tx) => tx.count('')), 5);
});
