import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type DropCounter, DropTotals } from './drops.ts';

const at = (rule: number, packets: number): DropCounter => ({
  rule: BigInt(rule),
  packets: BigInt(packets),
  bytes: BigInt(packets * 60),
});
const packets = (totals: DropTotals, now: Record<string, DropCounter>): Record<string, number> =>
  Object.fromEntries([...totals.add(new Map(Object.entries(now)))].map(([reason, d]) => [reason, Number(d.packets)]));

test('what was counted stays counted when the rule is another, was reset, or is gone', () => {
  const totals = new DropTotals();
  assert.deepEqual(packets(totals, { arp: at(7, 5), mac: at(8, 0) }), { arp: 5, mac: 0 });
  assert.deepEqual(packets(totals, { arp: at(7, 6), mac: at(8, 0) }), { arp: 6, mac: 0 });
  assert.deepEqual(packets(totals, { arp: at(7, 2), mac: at(8, 1) }), { arp: 8, mac: 1 }, 'reset');
  assert.deepEqual(packets(totals, { arp: at(9, 2), mac: at(8, 1) }), { arp: 10, mac: 1 }, 'another rule');
  assert.deepEqual(packets(totals, {}), { arp: 10, mac: 1 }, 'gone');
  assert.deepEqual(packets(totals, {}), { arp: 10, mac: 1 });
  assert.deepEqual(packets(totals, { arp: at(7, 1) }), { arp: 11, mac: 1 }, 'back');
});

test('totals never go back, and are exact where every end is looked at', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('count' as const), by: fc.nat(100) }),
    fc.record({ kind: fc.constantFrom('flush' as const, 'remake' as const, 'remove' as const), by: fc.constant(0) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const totals = new DropTotals();
      let [rule, counter, expected, last] = [1, 0, 0, 0];
      for (const { kind, by } of steps) {
        if (kind === 'count') {
          counter += by;
          expected += by;
        } else {
          counter = 0;
          if (kind === 'remake') rule++;
        }
        const now = packets(totals, kind === 'remove' ? {} : { arp: at(rule, counter) })['arp'] ?? 0;
        assert.ok(now >= last);
        assert.equal(now, expected);
        last = now;
      }
    }),
  );
});
