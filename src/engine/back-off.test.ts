import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackOff } from './back-off.ts';

/** Asks every millisecond, as an enemy that undoes each repair at once makes us do; when repairs were allowed. */
function fight(backOff: BackOff, from: number, until: number): number[] {
  const at: number[] = [];
  for (let now = from; now < until; now++) if (backOff.ask('x', now).wait === 0) at.push(now);
  return at;
}

test('a few repairs go at once, then each wait is twice the one before, up to half a minute', () => {
  const at = fight(new BackOff(), 0, 120_000);
  assert.deepEqual(at.slice(0, 10), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const gaps = at.slice(10).map((now, i) => now - (at[9 + i] ?? 0));
  assert.deepEqual(
    gaps.slice(0, 8).map((gap) => Math.round(gap / 100) * 100),
    [100, 200, 400, 800, 1600, 3200, 6400, 12_800],
  );
  assert.ok(Math.max(...gaps) <= 30_000);
});

test('who is left alone for long enough is repaired at once again', () => {
  const backOff = new BackOff();
  fight(backOff, 0, 2000);
  assert.ok(backOff.ask('x', 2000).wait > 0);
  assert.equal(backOff.ask('x', 60_000).wait, 0);
  assert.equal(backOff.ask('x', 60_001).wait, 0, 'and with some room again');
});

test('one fact waits, another does not', () => {
  const backOff = new BackOff();
  fight(backOff, 0, 50);
  assert.ok(backOff.ask('x', 50).wait > 0);
  assert.equal(backOff.ask('y', 50).wait, 0);
  assert.equal(backOff.waiting(50), 1);
});

test('a refusal makes the next try wait, longer each time', () => {
  const backOff = new BackOff();
  assert.equal(backOff.refused('x', 0), 100);
  assert.ok(backOff.ask('x', 50).wait > 0);
  assert.equal(backOff.refused('x', 100), 200);
});

test('a repair now and then, once a second, never waits', () => {
  const backOff = new BackOff();
  for (let now = 0; now < 600_000; now += 1000) assert.equal(backOff.ask('x', now).wait, 0, String(now));
});
