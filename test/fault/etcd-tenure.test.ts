/** A host's name in the cluster: frozen, killed, cut off, its earlier self. Whoever lost it changes nothing any more. */
// runs: here in one mode (loopback)
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openEtcdStore } from '../../src/store/index.ts';
import { type Etcd, startEtcd } from '../lib/etcd.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { type Background, start } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

let etcd: Etcd;
before(async () => (etcd = await startEtcd()));
after(() => etcd[Symbol.asyncDispose]());
checkDescriptors();

const TTL = 2;
const WORKER = fileURLToPath(new URL('tenure-worker.ts', import.meta.url));
const host = (name: string): Background =>
  start([process.execPath, '--no-warnings', WORKER, etcd.endpoints[0]!, name, String(TTL)]);
const says = (worker: Background, pattern: RegExp): Promise<boolean> =>
  until(String(pattern), () => pattern.test(worker.output()), { timeout: 15_000 });

test('frozen past its time and thawed: another has the name by then, and it leases nothing any more', async () => {
  await using store = await openEtcdStore({ endpoints: etcd.endpoints, prefix: '/tenure/' });
  await using first = host('a');
  await says(first, /leased 20/);
  await using refused = host('a');
  await says(refused, /failed ETENURETAKEN/);

  first.child.kill('SIGSTOP');
  await until('its time is over', () => store.read(async (tx) => (await tx.get('nodes/a/alive')) === undefined), {
    timeout: 15_000,
  });
  await using second = host('a');
  await says(second, /leased 20/);
  first.child.kill('SIGCONT');
  await says(first, /failed ETENURELOST/);
  assert.match(first.output(), /lost/);
  const before = second.output();
  await until('the second goes on', () => second.output() !== before);
  second.child.kill('SIGKILL');
  await until('the second is gone', () => second.child.signalCode);
  const leases = await store.read((tx) => tx.list<{ pid: number }>('leases/'));
  const pids = leases.map(({ value }) => value.pid);
  // all of the first's are before all of the second's: nothing was written after the name had changed hands
  const order = (key: string): number => Number(key.slice('leases/'.length));
  const ofFirst = leases.filter(({ value }) => value.pid === first.child.pid).map(({ key }) => order(key));
  const ofSecond = leases.filter(({ value }) => value.pid === second.child.pid).map(({ key }) => order(key));
  assert.equal(ofFirst.length + ofSecond.length, pids.length);
  assert.ok(Math.max(...ofFirst) < Math.min(...ofSecond));
});

test('cut off from etcd: it stops by its own clock, before etcd gives the name away', async () => {
  await using alone = await startEtcd();
  await using store = await openEtcdStore({ endpoints: alone.endpoints, prefix: '/x/', deadline: 300 });
  const tenure = await store.hold('nodes/a/alive', 1, { ttl: 3 });
  await store.transact((tx) => tx.put('leases/1', 1));
  const cut = performance.now();
  let lostAt = Infinity;
  tenure.lost.addEventListener('abort', () => (lostAt = performance.now()));
  alone.signal(0, 'SIGSTOP');
  await until('it is lost', () => tenure.lost.aborted, { timeout: 10_000 });
  assert.ok(lostAt - cut < 3000, 'not later than etcd could have given it away');
  await assert.rejects(
    store.transact((tx) => tx.put('leases/2', 1)),
    { code: 'ETENURELOST', message: /etcd was not reached for 3 seconds/ },
  );
  alone.signal(0, 'SIGCONT');
  await until('etcd answers', () => store.read((tx) => tx.get('leases/1')));
  await assert.rejects(
    store.transact((tx) => tx.put('leases/2', 1)),
    { code: 'ETENURELOST' },
  );
  await tenure[Symbol.asyncDispose]();
  // and begins anew: what it had is its own earlier self's
  await using again = await store.hold('nodes/a/alive', 1, { ttl: 3, mayReplace: (value) => value === 1 });
  await store.transact((tx) => tx.put('leases/2', 1));
  assert.equal(again.lost.aborted, false);
});

test('given back: the name is free at once, and outlives its time while it is held', async () => {
  await using one = await openEtcdStore({ endpoints: etcd.endpoints, prefix: '/y/' });
  await using two = await openEtcdStore({ endpoints: etcd.endpoints, prefix: '/y/' });
  {
    await using tenure = await one.hold('nodes/a/alive', 'one', { ttl: TTL });
    await assert.rejects(two.hold('nodes/a/alive', 'two', { ttl: TTL }), {
      code: 'ETENURETAKEN',
      message: /nodes\/a\/alive/,
    });
    await assert.rejects(one.hold('nodes/b/alive', 'one', { ttl: TTL }), { code: 'ESTORETX' });
    const end = performance.now() + 2500 * TTL;
    await until('its time is over, and it is there', () => performance.now() > end, { timeout: 10_000 });
    assert.equal(tenure.lost.aborted, false);
    assert.equal(await two.read((tx) => tx.get('nodes/a/alive')), 'one');
  }
  await using tenure = await two.hold('nodes/a/alive', 'two', { ttl: TTL });
  await two.transact((tx) => tx.put('leases/1', 1));
  await two.transact((tx) => tx.put('leases/2', 1));
  // an operator takes it away
  await etcd.ctl('del', '/y/keys/nodes/a/alive');
  await assert.rejects(
    two.transact((tx) => tx.put('leases/3', 1)),
    { code: 'ETENURELOST' },
  );
  assert.ok(tenure.lost.aborted);
  assert.equal(await one.read((tx) => tx.count('leases/')), 2);
});
