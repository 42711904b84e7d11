/** The store of several hosts while its etcd dies, loses its majority, forgets, and does not say what it did. */
// runs: here in one mode (loopback)
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { hasCode } from '../../src/errors.ts';
import { EtcdAwayError } from '../../src/etcd/index.ts';
import { openEtcdStore } from '../../src/store/index.ts';
import type { Store } from '../../src/store/index.ts';
import { type Etcd, startEtcd } from '../lib/etcd.ts';
import { between } from '../lib/etcd-proxy.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { take } from '../lib/store-contract.ts';
import { until } from '../lib/wait.ts';

let etcd: Etcd;
before(async () => (etcd = await startEtcd({ members: 3 })));
after(() => etcd[Symbol.asyncDispose]());
checkDescriptors();

let places = 0;
const place = (): string => `/place-${++places}/`;
const count = (store: Store): Promise<number> => store.read(async (tx) => (await tx.get<number>('n')) ?? 0);
const add = (store: Store): Promise<void> =>
  store.transact(async (tx) => {
    await tx.put('n', ((await tx.get<number>('n')) ?? 0) + 1);
  });

test('members die one after the other under two who count: what was answered is there once, and a watch misses nothing', async () => {
  const prefix = place();
  await using one = await openEtcdStore({ endpoints: etcd.endpoints, prefix });
  await using two = await openEtcdStore({ endpoints: etcd.endpoints.toReversed(), prefix });
  const end = new AbortController();
  const seen: number[] = [];
  const watching = (async () => {
    for await (const { value } of one.watch('n', end.signal)) seen.push(value as number);
  })();
  let made = 0;
  let unsure = 0;
  let stop = false;
  const counting = [one, two].map(async (store) => {
    while (!stop) {
      try {
        await add(store);
        made++;
      } catch (error) {
        assert.ok(hasCode(error, 'EETCDAWAY', 'ESTOREBUSY'), String(error));
        if (error instanceof EtcdAwayError && error.unsure) unsure++;
      }
    }
  });
  for (let member = 0; member < 3; member++) {
    const before = made;
    await until('both count', () => made > before + 20, { timeout: 20_000 });
    // one of them ends in order, as for an upgrade
    await etcd.kill(member, member === 1 ? 'SIGTERM' : 'SIGKILL');
    const without = made;
    await until('they go on with two members', () => made > without + 20, { timeout: 20_000 });
    etcd.start(member);
    await until('it is back', async () => /is healthy/.test(await etcd.ctl('endpoint', 'health', '--cluster')), {
      timeout: 20_000,
    });
  }
  stop = true;
  await Promise.all(counting);
  const total = await count(two);
  assert.ok(total >= made && total <= made + unsure, `${total} of ${made} and perhaps ${unsure}`);
  await until('the watch has seen all', () => seen.at(-1) === total, { timeout: 10_000 });
  assert.deepEqual(
    seen,
    Array.from({ length: total }, (_, i) => i + 1),
  );
  end.abort();
  await watching;
});

test('without a majority: nothing is changed, one clear line; with it, all goes on', async () => {
  const prefix = place();
  await using store = await openEtcdStore({ endpoints: etcd.endpoints, prefix, deadline: 1500 });
  await add(store);
  const changes = store.watch('', new AbortController().signal);
  await etcd.kill(0);
  await etcd.kill(1);
  await assert.rejects(add(store), { code: 'EETCDAWAY', message: /^etcd does not answer at 127\.0\.0\.1:/ });
  await assert.rejects(count(store), { code: 'EETCDAWAY' });
  store.transactSoon((tx) => tx.put('soon', 1));
  etcd.start(0);
  etcd.start(1);
  await until('it answers again', () => count(store), { timeout: 20_000 });
  await until('what nobody waited for is made', () => store.read((tx) => tx.get('soon')), { timeout: 10_000 });
  const total = await count(store);
  assert.ok(total === 1 || total === 2, 'what was refused may have been on its way');
  const got = await take(changes, total);
  assert.ok(got.some(({ key }) => key === 'soon'));
});

test('an answer that is lost: what was made is not made twice, and is not taken for a refusal', async () => {
  await using middle = await between(etcd.endpoints[0]!);
  await using store = await openEtcdStore({ endpoints: [middle.endpoint], prefix: place() });
  for (let i = 1; i <= 5; i++) {
    middle.next = 'swallow';
    await add(store);
    assert.equal(middle.next, 'pass');
    assert.equal(await count(store), i);
    middle.next = 'swallow';
    // made by itself it would find itself there
    await store.transact((tx) => tx.create(`leases/${i}`, i));
  }
  assert.equal(await store.read((tx) => tx.count('leases/')), 5);
});

test('an answer that is there is taken, however long this process was held up', async () => {
  await using store = await openEtcdStore({ endpoints: etcd.endpoints, prefix: place(), deadline: 1000 });
  await add(store);
  const counted = count(store);
  await setImmediate(); // it is on its way
  // as one that gets no processor
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
  assert.equal(await counted, 1);
});

test('what was compacted: who slept is told, who only just read goes on', async () => {
  const prefix = place();
  await using store = await openEtcdStore({ endpoints: etcd.endpoints, prefix });
  await add(store);
  const changes = store.watch('', new AbortController().signal)[Symbol.asyncIterator]();
  await using other = await openEtcdStore({ endpoints: etcd.endpoints, prefix });
  for (let i = 0; i < 5; i++) await add(other);
  const revision = await other.revision();
  await etcd.ctl('compact', String(revision));
  await assert.rejects(changes.next(), { code: 'ESTOREBEHIND' });
  let runs = 0;
  assert.equal(
    await store.read(async (tx) => {
      const first = await tx.get<number>('n');
      if (++runs === 1) {
        await add(other);
        await etcd.ctl('compact', String(await other.revision()));
      }
      assert.equal(await tx.get('m'), undefined);
      return first;
    }),
    7,
  );
  assert.equal(runs, 2);
  await add(store);
  assert.equal(await count(other), 8);
});

test('a transaction that is too large is refused whole', async () => {
  await using store = await openEtcdStore({ endpoints: etcd.endpoints, prefix: place() });
  await assert.rejects(
    store.transact(async (tx) => {
      for (let i = 0; i < 200; i++) await tx.put(`endpoints/${i}`, i);
    }),
    { code: 'ESTOREBIG', message: /201 parts: etcd takes 128/ },
  );
  assert.equal(await store.read((tx) => tx.count('')), 0);
});
