// runs: here in one mode (the store knows no privilege)
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openEmbeddedStore } from '../../src/store/embedded.ts';
import { makeDirs } from '../lib/dirs.ts';
import type { TestDirs } from '../lib/dirs.ts';

const CALLS = 'pwrite64,fsync,fdatasync';

/** One transaction in both files, of a process that has the store open already. */
const program = (dirs: TestDirs): string => `
  import { writeSync } from 'node:fs';
  import { openEmbeddedStore } from ${JSON.stringify(join(import.meta.dirname, '../../src/store/embedded.ts'))};
  const store = await openEmbeddedStore(${JSON.stringify({ stateDir: dirs.stateDir, runDir: dirs.runDir })});
  writeSync(2, 'netloom-open');
  await store.transact((tx) => {
    tx.put('networks/n', 2); tx.delete('networks/gone'); tx.put('endpoints/n', 2); tx.delete('endpoints/gone');
  });
  writeSync(2, 'netloom-done');
  process.exit();`;

const before = { 'networks/n': 1, 'networks/gone': 1, 'endpoints/n': 1, 'endpoints/gone': 1 };
const after = { 'networks/n': 2, 'endpoints/n': 2 };

/** The `nth` call of that name. */
interface Place {
  readonly name: string;
  readonly nth: number;
}

/** Runs it under strace(1), which kills it on entering the call at `place`; the calls that it made. */
async function traced(dirs: TestDirs, place?: Place): Promise<string[]> {
  {
    await using store = await openEmbeddedStore({ stateDir: dirs.stateDir, runDir: dirs.runDir });
    await store.transact(async (tx) => {
      for (const [key, value] of Object.entries(before)) await tx.put(key, value);
    });
  }
  const log = join(dirs.root, 'strace');
  const file = join(dirs.root, 'program.ts');
  writeFileSync(file, program(dirs));
  // One thread writes; the others are not followed, so that `when` counts its calls alone.
  const inject = place ? ['-e', `inject=${place.name}:signal=SIGKILL:when=${place.nth}`] : [];
  const child = spawn('strace', ['-o', log, '-e', `trace=${CALLS},write`, ...inject, process.execPath, file], {
    stdio: 'ignore',
  });
  await once(child, 'close');
  return readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => /^(pwrite64|fsync|fdatasync)\(|netloom-/.test(line));
}

test(
  'killed at each write and sync of a transaction in both files: all of it or nothing, for whoever comes next',
  { timeout: 60_000 },
  async (t) => {
    let calls: string[];
    {
      using dirs = makeDirs();
      calls = await traced(dirs);
    }
    const opened = calls.findIndex((line) => line.includes('netloom-open'));
    const done = calls.findIndex((line) => line.includes('netloom-done'));
    assert.ok(opened >= 0 && done - opened > 5, calls.join('\n'));
    const names = calls.map((line) => line.slice(0, line.indexOf('(')));
    const places = names
      .map((name, i): Place => ({ name, nth: names.slice(0, i + 1).filter((other) => other === name).length }))
      .slice(opened + 1, done);
    const outcomes = new Set<string>();
    const kill = async (place: Place): Promise<void> => {
      using dirs = makeDirs();
      const made = await traced(dirs, place);
      assert.ok(!made.some((line) => line.includes('netloom-done')), `${place.name} ${place.nth} was not the end`);
      await using store = await openEmbeddedStore({ stateDir: dirs.stateDir, runDir: dirs.runDir });
      const found = await store.read(async (tx) =>
        Object.fromEntries((await tx.list('')).map(({ key, value }) => [key, value])),
      );
      const whole = 'networks/gone' in found ? before : after;
      assert.deepEqual(found, whole, `killed at ${made.at(-1)}`);
      outcomes.add(whole === before ? 'nothing' : 'all');
      await store.transact((tx) => (tx.put('networks/n', 3), tx.put('endpoints/n', 3)));
    };
    const waiting = [...places];
    const worker = async (): Promise<void> => {
      for (let place = waiting.shift(); place; place = waiting.shift()) await kill(place);
    };
    await Promise.all([worker(), worker()]);
    assert.deepEqual([...outcomes].sort(), ['all', 'nothing']);
    t.diagnostic(`${places.length} places: ${places.map(({ name }) => name).join(' ')}`);
  },
);
