import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseRate, rateText } from './rate.ts';

const table: [text: string, bits: number][] = [
  ['10mbit', 10_000_000],
  ['10Mbit', 10_000_000],
  ['1gbit', 1_000_000_000],
  ['1.5gbit', 1_500_000_000],
  ['500kbit', 500_000],
  ['2tbit', 2_000_000_000_000],
  ['64kibit', 65_536],
  ['1gibit', 1_073_741_824],
  ['800', 800],
  ['800bit', 800],
  ['100bps', 800],
  ['10mbps', 80_000_000],
  ['1kibps', 8192],
  ['0', 0],
  ['0mbit', 0],
  ['none', 0],
];
for (const [text, bits] of table) test(`rate ${text}`, () => assert.equal(parseRate(text), bits));

for (const bad of [
  '',
  '1',
  '10MB',
  '10M',
  '10m',
  '10 mbit',
  '-1mbit',
  '1e6',
  '.5mbit',
  '10mbits',
  '10%',
  'NONE',
  'ibit',
])
  test(`rate "${bad}" is refused`, () => assert.throws(() => parseRate(bad), { name: 'UsageError' }));

test('property: what is printed is read as the same rate', () => {
  fc.assert(
    fc.property(fc.integer({ min: 8, max: Number.MAX_SAFE_INTEGER }), (bits) => parseRate(rateText(bits)) === bits),
  );
  assert.equal(rateText(0), 'none');
  assert.equal(rateText(10_000_000), '10mbit');
  assert.equal(rateText(1_500_000), '1500kbit');
});
