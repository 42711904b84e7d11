import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encode, type Packet } from 'dns-packet';
import fc from 'fast-check';
import { Question, readQuestion, SILENCE, writeEmpty } from './question.ts';
import { RCODE } from './wire.ts';

const label = fc.stringMatching(/^[a-zA-Z0-9_-]{1,63}$/);
const name = fc
  .array(label, { minLength: 1, maxLength: 6 })
  .map((labels) => labels.join('.'))
  .filter((text) => text.length <= 253);

function read(bytes: Uint8Array, at = 0): { verdict: number; q: Question } {
  const q = new Question();
  return { verdict: readQuestion(bytes, at, bytes.length - at, q), q };
}

test('any question is read as it was written', () => {
  fc.assert(
    fc.property(
      name,
      fc.constantFrom('A', 'AAAA', 'PTR', 'SRV', 'TXT', 'MX'),
      fc.option(fc.record({ udpPayloadSize: fc.integer({ min: 1, max: 65_535 }), dnssecOk: fc.boolean() })),
      fc.boolean(),
      fc.nat(40),
      (text, type, edns, desired, shift) => {
        const flags = edns?.dnssecOk ? 0x8000 : 0;
        const additionals: Packet['additionals'] = edns
          ? [{ type: 'OPT', name: '.', udpPayloadSize: edns.udpPayloadSize, flags, options: [] } as never]
          : [];
        const packet = encode({
          type: 'query',
          id: 7,
          flags: desired ? 0x100 : 0,
          questions: [{ name: text, type, class: 'IN' }],
          additionals,
        });
        const { verdict, q } = read(Buffer.concat([Buffer.alloc(shift, 0xff), packet]), shift);
        assert.equal(verdict, 0);
        assert.equal(q.name, text.toLowerCase());
        assert.ok(q.plain);
        assert.equal(q.end, 12 + text.length + 2 + 4);
        assert.equal(q.class, 1);
        assert.equal(q.edns, edns !== null);
        assert.equal(q.dnssecOk, edns?.dnssecOk ?? false);
        assert.equal(q.room, edns ? Math.min(Math.max(edns.udpPayloadSize, 512), 1232) : 512);
        assert.equal(q.flags, desired ? 0x100 : 0);
      },
    ),
  );
});

test('names that are one text but not one name stay apart', () => {
  const query = (...labels: string[]): Uint8Array =>
    Buffer.concat([
      Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
      ...labels.map((text) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text, 'latin1')])),
      Buffer.from([0, 0, 1, 0, 1]),
    ]);
  const dotted = read(query('a.b')).q;
  const two = read(query('A', 'b')).q;
  assert.equal(two.name, 'a.b');
  assert.ok(!dotted.plain && dotted.name !== two.name);
  assert.equal(read(query('X.Y')).q.name, read(query('x.y')).q.name, 'case does not matter there either');
  assert.ok(!read(query('\0')).q.plain);
  const root = read(query());
  assert.deepEqual([root.verdict, root.q.name, root.q.plain], [0, '', true]);
});

const QUERY = [0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 119, 101, 98, 0, 0, 1, 0, 1];
const OPT = [0, 0, 41, 16, 0, 0, 0, 128, 0, 0, 0];
const with_ = (changes: Record<number, number>, bytes: readonly number[] = QUERY): number[] =>
  bytes.map((byte, i) => changes[i] ?? byte);

for (const [what, bytes, verdict] of [
  ['nothing', [], SILENCE],
  ['less than a header', QUERY.slice(0, 11), SILENCE],
  ['a response', with_({ 2: 0x81 }), SILENCE],
  ['another operation', with_({ 2: 0x29 }), RCODE.NOTIMP],
  ['no question', with_({ 5: 0 }), RCODE.FORMERR],
  ['two questions', with_({ 5: 2 }), RCODE.FORMERR],
  ['an answer beside the question', with_({ 7: 1 }), RCODE.FORMERR],
  ['an authority beside the question', with_({ 9: 1 }), RCODE.FORMERR],
  ['a header without its question', QUERY.slice(0, 12), RCODE.FORMERR],
  ['half a label', QUERY.slice(0, 14), RCODE.FORMERR],
  ['a name without an end', QUERY.slice(0, 16), RCODE.FORMERR],
  ['a question without a class', QUERY.slice(0, 20), RCODE.FORMERR],
  ['a pointer in a question', with_({ 12: 0xc0, 13: 12 }), RCODE.FORMERR],
  ['a label longer than 63', with_({ 12: 64 }), RCODE.FORMERR],
  ['an additional record that is not there', with_({ 11: 1 }), RCODE.FORMERR],
  ['an OPT record that says more than there is', [...with_({ 11: 1 }), ...with_({ 10: 1 }, OPT)], RCODE.FORMERR],
  ['an OPT record of a name', [...with_({ 11: 1 }), 1, 97, ...OPT], RCODE.FORMERR],
  ['two OPT records', [...with_({ 11: 2 }), ...OPT, ...OPT], RCODE.FORMERR],
  ['another version of EDNS', [...with_({ 11: 1 }), ...with_({ 6: 1 }, OPT)], RCODE.BADVERS],
  ['a whole question', QUERY, 0],
  ['a question with EDNS', [...with_({ 11: 1 }), ...OPT], 0],
] as const) {
  test(`${what}: ${verdict}`, () => {
    const bytesRead = Uint8Array.from(bytes);
    assert.equal(read(bytesRead).verdict, verdict);
  });
}

test('a name of 255 bytes is one, a longer one is none', () => {
  const of = (last: number): Uint8Array => {
    const labels = [63, 63, 63, last].map((size) => Buffer.concat([Buffer.from([size]), Buffer.alloc(size, 0x61)]));
    return Buffer.concat([Buffer.from(QUERY.slice(0, 12)), ...labels, Buffer.from([0, 0, 1, 0, 1])]);
  };
  assert.equal(read(of(61)).verdict, 0);
  assert.equal(read(of(62)).verdict, RCODE.FORMERR);
});

test('an empty answer keeps id, question, operation and what was desired', () => {
  const bytes = new Uint8Array(100);
  bytes.set([...with_({ 11: 1, 3: 0x30 }), ...OPT]);
  const q = new Question();
  assert.equal(readQuestion(bytes, 0, QUERY.length + OPT.length, q), 0);
  const length = writeEmpty(bytes, 0, q, RCODE.BADVERS);
  assert.deepEqual(
    [...bytes.subarray(0, length)],
    [0, 9, 0x81, 0x90, 0, 1, 0, 0, 0, 0, 0, 1, ...QUERY.slice(12), 0, 0, 41, 4, 208, 1, 0, 128, 0, 0, 0],
  );
});
