// runs: here in one mode (the store knows no privilege)
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { forgetNetwork, listLeases, releaseAddress } from '../../src/ipam/index.ts';
import { openEmbeddedStore } from '../../src/store/embedded.ts';
import { makeDirs } from '../lib/dirs.ts';

/** What one worker said before it was killed. */
interface Said {
  readonly acknowledged: Set<string>;
  readonly gone: Set<string>;
  /** Asked for, not acknowledged. */
  readonly doubtful: Set<string>;
}

async function work(root: string, name: string, crossEvery: number, milliseconds: number): Promise<Said> {
  const said: Said = { acknowledged: new Set(), gone: new Set(), doubtful: new Set() };
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'store-worker.ts'), root, name, String(crossEvery)],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaints += text));
  const ended = once(child, 'close');
  const lines = createInterface({ input: child.stdout });
  const ready = once(lines, 'line');
  lines.on('line', (line) => {
    const endpoint = line.slice(2);
    if (line.startsWith('+')) said.acknowledged.add(endpoint);
    else if (line.startsWith('?')) said.doubtful.add(endpoint);
    else if (line.startsWith('-')) said.gone.add(endpoint);
  });
  await Promise.race([ready, ended]);
  await Promise.race([sleep(milliseconds, undefined, { ref: false }), ended]);
  child.kill('SIGKILL');
  await ended;
  assert.equal(child.signalCode, 'SIGKILL', `the worker ended by itself: ${complaints}`);
  return said;
}

for (const [what, crossEvery] of [
  ['mostly attaching', 200],
  ['every other transaction in both files', 2],
] as const) {
  test(`two processes on one store, killed again and again: ${what}`, { timeout: 30_000 }, async () => {
    using dirs = makeDirs();
    const { root, stateDir, runDir } = dirs;
    const begun = performance.now();
    const all: Said[] = [];
    const transactions = (): number => all.reduce((sum, said) => sum + said.acknowledged.size + said.gone.size, 0);
    // a slow machine takes longer to do enough of it
    const goesOn = (): boolean => {
      const passed = performance.now() - begun;
      return passed < 3500 || (passed < 20_000 && (all.length < 6 || transactions() <= 100));
    };
    // What dead workers left is given back, as the engine's start does, so that the small network is never used up.
    await using store = await openEmbeddedStore({ stateDir, runDir });
    const reap = async (said: Said): Promise<void> => {
      const kept = new Set(
        [...said.acknowledged].filter((endpoint) => !said.gone.has(endpoint) && !said.doubtful.has(endpoint)),
      );
      await store.transact(async (tx) => {
        for (const endpoint of kept) {
          const record = await tx.get<{ address: string }>(`endpoints/${endpoint}`);
          assert.ok(record, `${endpoint} was acknowledged and is lost`);
          assert.equal(
            await releaseAddress(tx, { id: 'n1' }, record.address, endpoint),
            true,
            `${endpoint} lost its address`,
          );
          await tx.delete(`endpoints/${endpoint}`);
        }
        for (const endpoint of said.gone)
          assert.equal(await tx.get(`endpoints/${endpoint}`), undefined, `${endpoint} came back`);
      });
    };
    const keepWorking = async (name: string): Promise<void> => {
      while (goesOn()) {
        const said = await work(root, name, crossEvery, 30 + Math.random() * 250);
        all.push(said);
        await reap(said);
      }
    };
    const rounds = await Promise.all([keepWorking('a'), keepWorking('b')]).then(() => all.length);
    assert.ok(
      rounds >= 6 && transactions() > 100,
      `${rounds} kills, ${transactions()} transactions: too few to mean anything`,
    );

    await store.transact(async (tx) => {
      const leases = await listLeases(tx, 'n1');
      const endpoints = await tx.list<{ address: string }>('endpoints/');
      const held = new Map(endpoints.map(({ key, value }) => [value.address, key.slice('endpoints/'.length)]));
      assert.equal(held.size, endpoints.length, 'an address held twice');
      assert.deepEqual(
        leases.map(({ address, endpoint }) => `${address.text} ${endpoint}`).sort(),
        [...held].map(([address, endpoint]) => `${address} ${endpoint}`).sort(),
        'leases and endpoints differ',
      );
      assert.ok(endpoints.length <= 2 * rounds, 'more is left than one attach and one detach in doubt for each kill');
      assert.ok(Number(await tx.get('networks/pair')) > 0);
      assert.equal(await tx.get('networks/pair'), await tx.get('pair'));
      await forgetNetwork(tx, 'n1');
    });
    for (const file of [join(stateDir, 'netloom.db'), join(runDir, 'runtime.db')]) {
      using db = new DatabaseSync(file);
      assert.equal(db.prepare('PRAGMA integrity_check').get()?.['integrity_check'], 'ok');
    }
    using db = new DatabaseSync(join(runDir, 'runtime.db'));
    const log = db
      .prepare(
        `SELECT min(rev - json_array_length(ops) + 1) AS least, max(rev) AS most, sum(json_array_length(ops)) AS n
           FROM changes`,
      )
      .get();
    assert.equal(Number(log?.['most']) - Number(log?.['least']) + 1, Number(log?.['n']), 'a gap in the revisions');
  });
}

test('many processes make the store at the same moment', { timeout: 20_000 }, async () => {
  using dirs = makeDirs();
  const stores = await Promise.all(Array.from({ length: 4 }, () => work(dirs.root, 'x', 5, 20)));
  assert.equal(stores.length, 4);
});
