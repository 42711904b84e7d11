import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KINDS } from '../../src/facts/index.ts';
import { DAMAGES, inflict } from '../fault/damages.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ping } from '../lib/peer.ts';
import { until } from '../lib/wait.ts';
import { okIn } from '../lib/run.ts';
import { makeRepairBed } from './repair-bed.ts';

checkDescriptors();

const AT_ONCE = 5;

test('pain 2 (moby#12294): nft flush ruleset: complete again, and it is told who did it', async () => {
  await using bed = await makeRepairBed();
  await bed.heals('flush', () => okIn(bed.host.netns, ['nft', 'flush', 'ruleset']));
  const told = bed.events.filter((e) => e.type === 'repair');
  assert.ok(told.length >= 1);
  for (const { attributes } of told) {
    assert.match(attributes['by'] ?? '', /^nft \(pid \d+\)$/, JSON.stringify(told));
    assert.equal(attributes['kind'], 'nft-table', 'what follows from it is not told of by itself');
  }
  assert.ok(await ping(bed.a.netns, bed.gateway));
});

for (const kind of [...new Set(DAMAGES.map((damage) => damage.kind))]) {
  const damages = DAMAGES.filter((d) => d.kind === kind);
  // ten times in ten seconds at the same fact is a quarrel, in which repair waits: see the back-off's own test
  for (let at = 0; at < damages.length; at += AT_ONCE) {
    test(`damage to every ${kind}, part ${at / AT_ONCE + 1}: right again`, { timeout: 120_000 }, async () => {
      await using bed = await makeRepairBed();
      for (const damage of damages.slice(at, at + AT_ONCE)) {
        bed.events.length = 0;
        await bed.heals(damage.what, async () => {
          await inflict(bed.victim, damage);
          if (damage.silent) await bed.engine.gc();
        });
        if (!damage.silent)
          await bed.told(damage.what, (e) => e.type === 'repair' && e.attributes['kind'] !== undefined);
        for (const address of bed.a.endpoint.addresses)
          // a queue that is made anew loses what was in it
          await until(`ping after: ${damage.what}`, () =>
            ping(bed.a.netns, address.includes(':') ? bed.gateway6 : bed.gateway),
          );
      }
    });
  }
}

test('every kind of fact has damage done to it', () => {
  assert.deepEqual(
    Object.keys(KINDS).filter((kind) => !DAMAGES.some((damage) => damage.kind === kind)),
    // a namespace's name goes with a container, below; the others are of networks that hosts share, which this bed has none of
    ['netns', 'fdb', 'shortcut', 'wg-device', 'wg-peer', 'xfrm-state', 'xfrm-policy'],
  );
});
