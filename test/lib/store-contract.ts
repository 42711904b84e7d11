import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import type { Change, ReadTx, Store } from '../../src/store/store.ts';

/** Where the stores of one test lie: each `store()` is another handle on the same. */
export interface StorePlace extends AsyncDisposable {
  store(): Promise<Store>;
}

/** What every store keeps, whatever lies below. */
export function storeContract(name: string, place: () => Promise<StorePlace>): void {
  test(`${name}: one space of keys, sorted by their bytes`, async () => {
    await using open = await place();
    await using store = await open.store();
    const all = [
      'leases/n/1',
      'leases/n/2',
      'leases/n/3',
      'meta/seed',
      'networks/a',
      'networks/b',
      'netwarks/x',
      'zz',
    ].sort();
    await store.transact(async (tx) => {
      for (const key of all.toReversed()) await tx.create(key, { of: key });
      await tx.delete('leases/none');
    });
    const keys = (prefix: string, options?: { start?: string; limit?: number }): Promise<string[]> =>
      store.read(async (tx) => (await tx.list(prefix, options)).map(({ key }) => key));
    assert.deepEqual(await keys(''), all);
    assert.deepEqual(await keys('net'), ['networks/a', 'networks/b', 'netwarks/x'].sort());
    assert.deepEqual(await keys('networks/'), ['networks/a', 'networks/b']);
    assert.deepEqual(await keys('leases/n/', { start: 'leases/n/2' }), ['leases/n/2', 'leases/n/3']);
    assert.deepEqual(await keys('leases/n/', { start: 'leases/n/2', limit: 1 }), ['leases/n/2']);
    assert.deepEqual(await keys('', { start: 'm', limit: 2 }), ['meta/seed', 'netwarks/x']);
    assert.equal(await store.read((tx) => tx.count('leases/')), 3);
    assert.equal(await store.read((tx) => tx.count('')), 8);
    assert.deepEqual(await store.read((tx) => tx.get('networks/a')), { of: 'networks/a' });
    assert.equal(await store.read((tx) => tx.get('networks/c')), undefined);
    // and the same where some of it is the transaction's own
    await assert.rejects(
      store.transact(async (tx) => {
        await tx.delete('leases/n/1');
        await tx.put('leases/n/0', 0);
        await tx.put('leases/n/2', 'new');
        const { length } = await tx.list('leases/n/', { limit: 2 });
        assert.equal(length, 2);
        assert.deepEqual(await tx.list('leases/n/'), [
          { key: 'leases/n/0', value: 0 },
          { key: 'leases/n/2', value: 'new' },
          { key: 'leases/n/3', value: { of: 'leases/n/3' } },
        ]);
        assert.equal(await tx.count('leases/'), 3);
        throw new Error('no');
      }),
      /^Error: no$/,
    );
    assert.equal(await store.read((tx) => tx.count('leases/n/')), 3);
  });

  test(`${name}: what a body saw stands when its writes are made, lists and what is missing among it`, async () => {
    await using open = await place();
    await using one = await open.store();
    await using two = await open.store();
    await one.transact((tx) => tx.put('leases/n/1', 1));
    // each takes the lowest number that is free
    const lease = (store: Store): Promise<void> =>
      store.transact(async (tx) => {
        const taken = new Set((await tx.list('leases/n/')).map(({ key }) => key));
        await turn();
        let i = 1;
        while (taken.has(`leases/n/${i}`)) i++;
        await tx.create(`leases/n/${i}`, store === one ? 1 : 2);
      });
    await Promise.all(Array.from({ length: 24 }, (_, i) => lease(i % 2 === 0 ? one : two)));
    assert.equal(await one.read((tx) => tx.count('leases/n/')), 25);
    // who is the last to go sees it: of two that each go where another is left, one stays
    await one.transact(async (tx) => {
      for (const { key } of await tx.list('leases/n/')) await tx.delete(key);
      await tx.put('leases/n/a', 1);
      await tx.put('leases/n/b', 1);
    });
    const leave = (store: Store, key: string): Promise<void> =>
      store.transact(async (tx) => {
        const others = (await tx.list('leases/n/')).filter((entry) => entry.key !== key);
        await turn();
        if (others.length > 0) await tx.delete(key);
      });
    await Promise.all([leave(one, 'leases/n/a'), leave(two, 'leases/n/b')]);
    assert.equal(await two.read((tx) => tx.count('leases/n/')), 1);
  });

  test(`${name}: all or nothing`, async () => {
    await using open = await place();
    await using store = await open.store();
    await store.transact(async (tx) => {
      await tx.put('networks/a', 1);
      await tx.put('leases/a', 1);
    });
    const before = await store.revision();
    await assert.rejects(
      store.transact(async (tx) => {
        await tx.put('networks/a', 2);
        await tx.delete('leases/a');
        await tx.put('leases/b', 2);
        await turn();
        assert.equal(await tx.get('networks/a'), 2, 'sees its own changes');
        throw new Error('no');
      }),
      /^Error: no$/,
    );
    assert.deepEqual(await everything(store), { 'networks/a': 1, 'leases/a': 1 });
    assert.equal(await store.revision(), before);
  });

  test(`${name}: create is the guard against a double lease, and the body may go on`, async () => {
    await using open = await place();
    await using store = await open.store();
    await store.transact((tx) => tx.create('leases/a', 'first'));
    await store.transact(async (tx) => {
      await assert.rejects(async () => await tx.create('leases/a', 'second'), { code: 'EEXIST', message: /leases\/a/ });
      await tx.put('leases/b', 'second');
    });
    assert.deepEqual(await everything(store), { 'leases/a': 'first', 'leases/b': 'second' });
  });

  test(`${name}: bodies that wait never interleave, in one handle or in two`, async () => {
    await using open = await place();
    await using one = await open.store();
    await using two = await open.store();
    await Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        (i % 2 === 0 ? one : two).transact(async (tx) => {
          const key = i % 3 === 0 ? 'networks/n' : 'endpoints/n';
          const seen = (await tx.get<number>(key)) ?? 0;
          await turn();
          await tx.put(key, seen + 1);
        }),
      ),
    );
    assert.deepEqual(await everything(two), { 'networks/n': 20, 'endpoints/n': 40 });
  });

  test(`${name}: a reader sees one moment`, async () => {
    await using open = await place();
    await using one = await open.store();
    await using two = await open.store();
    const put = (value: number): Promise<void> =>
      two.transact((tx) => (tx.put('networks/a', value), tx.put('endpoints/a', value)));
    await put(1);
    await one.read(async (tx) => {
      assert.equal(await tx.get('endpoints/a'), 1);
      await put(2);
      assert.equal(await tx.get('networks/a'), 1);
      assert.equal(await tx.get('endpoints/a'), 1);
    });
    assert.deepEqual(await everything(one), { 'networks/a': 2, 'endpoints/a': 2 });
  });

  test(`${name}: misuse is told, not waited for`, async () => {
    await using open = await place();
    const store = await open.store();
    let kept: ReadTx | undefined;
    await store.transact(async (tx) => {
      kept = tx;
      await assert.rejects(
        store.transact(() => {}),
        { code: 'ESTORETX', message: /inside another/ },
      );
      await assert.rejects(
        store.read(() => {}),
        { code: 'ESTORETX' },
      );
    });
    await assert.rejects(async () => await kept?.get('a'), { code: 'ESTORETX', message: /ended/ });
    await assert.rejects(
      store.read((tx) => (tx as unknown as { put(key: string, value: unknown): void }).put('a', 1)),
      { code: 'ESTORETX', message: /only read/ },
    );
    await store[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    await assert.rejects(
      store.read(() => {}),
      { code: 'ESTORECLOSED' },
    );
    assert.throws(() => store.watch('', new AbortController().signal), { code: 'ESTORECLOSED' });
  });

  test(`${name}: watch: from now on, in order, by prefix, deletions too`, async () => {
    await using open = await place();
    await using store = await open.store();
    await store.transact((tx) => tx.put('endpoints/before', 0));
    const end = new AbortController();
    const changes = store.watch('endpoints/', end.signal);
    await store.transact(async (tx) => {
      await tx.put('endpoints/a', 1);
      await tx.put('leases/a', 1);
      await tx.put('networks/a', 1);
      await tx.put('endpoints/b', 1);
      await tx.put('endpoints/a', 2);
    });
    await store.transact(async (tx) => {
      await tx.delete('endpoints/b');
      await tx.delete('endpoints/none');
    });
    const got = await take(changes, 3);
    assert.deepEqual(
      got.map(({ key, value }) => [key, value]),
      [
        ['endpoints/b', 1],
        ['endpoints/a', 2],
        ['endpoints/b', undefined],
      ],
    );
    assert.deepEqual(
      got.map(({ revision }) => revision),
      got.map(({ revision }) => revision).sort((a, b) => a - b),
    );
    assert.equal(got.at(-1)?.revision, await store.revision());
    const waiting = changes[Symbol.asyncIterator]().next();
    end.abort();
    assert.deepEqual(await waiting, { done: true, value: undefined });
  });

  test(`${name}: watch: other handles’ changes within the poll, mixed with one’s own in order`, async () => {
    await using open = await place();
    await using one = await open.store();
    await using two = await open.store();
    const end = new AbortController();
    const changes = one.watch('', end.signal);
    for (let i = 0; i < 20; i++) await (i % 2 === 0 ? one : two).transact((tx) => tx.put(`endpoints/${i}`, i));
    const got = await take(changes, 20);
    assert.deepEqual(
      got.map(({ value }) => value),
      Array.from({ length: 20 }, (_, i) => i),
    );
    const asked = performance.now();
    await two.transact((tx) => tx.put('networks/n', 'x'));
    assert.equal((await take(changes, 1))[0]?.value, 'x');
    assert.ok(performance.now() - asked < 1000);
    end.abort();
  });

  test(`${name}: watch: ends with an error when the store is closed; aborted before, it ends at once`, async () => {
    await using open = await place();
    const store = await open.store();
    const waiting = store.watch('', new AbortController().signal)[Symbol.asyncIterator]().next();
    assert.deepEqual(await store.watch('', AbortSignal.abort())[Symbol.asyncIterator]().next(), {
      done: true,
      value: undefined,
    });
    const refused = assert.rejects(waiting, { code: 'ESTORECLOSED' });
    await store[Symbol.asyncDispose]();
    await refused;
  });
}

const everything = (store: Store): Promise<Record<string, unknown>> =>
  store.read(async (tx) => Object.fromEntries((await tx.list('')).map(({ key, value }) => [key, value])));

/** The next `count` changes. */
export async function take(changes: AsyncIterable<Change>, count: number): Promise<Change[]> {
  const taken: Change[] = [];
  const iterator = changes[Symbol.asyncIterator]();
  const late = sleep(3000, undefined, { ref: false }).then(() =>
    assert.fail(`only ${taken.length} of ${count} changes came in time`),
  );
  while (taken.length < count) {
    const { value } = await Promise.race([iterator.next(), late]);
    taken.push(value as Change);
  }
  return taken;
}
