import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { questionBytes } from '../../test/lib/call-client.ts';
import { fuzzCases } from '../../test/lib/dice.ts';
import { answerFrame, FrameError, INPUT_MAX, type Question, QuestionReader, TEXT_MAX } from './call-frame.ts';

const request = '0123456789abcdef'.repeat(2);

/** What a reader makes of bytes that come in these parts. */
function read(bytes: Buffer, cuts: readonly number[] = []): Question | undefined {
  const reader = new QuestionReader();
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  let found: Question | undefined;
  for (const [i, end] of [...at, bytes.length].entries()) found ??= reader.push(bytes.subarray(at[i - 1] ?? 0, end));
  return found;
}

test('what was written is read, in whatever parts it comes', () => {
  const text = fc.string({ maxLength: 20, unit: 'grapheme' }).map((each) => each.replaceAll('\0', ''));
  const question = fc.record({
    program: text,
    argv: fc.array(text, { maxLength: 4 }),
    env: fc.dictionary(fc.stringMatching(/^[A-Z_]{1,8}$/), text, { maxKeys: 5 }),
    stdin: fc.string({ maxLength: 200, unit: 'grapheme' }),
  });
  fc.assert(
    fc.property(question, fc.array(fc.nat(400), { maxLength: 6 }), (asked, cuts) => {
      const found = read(questionBytes({ ...asked, request }), cuts);
      assert.deepEqual({ ...found, env: { ...found?.env } }, { ...asked, env: { ...asked.env }, request });
    }),
    { numRuns: fuzzCases(2000) },
  );
});

test('damaged, it is refused or not whole, and nothing else', () => {
  const whole = questionBytes({ request, argv: ['setup', '/x'], env: { CNI_COMMAND: 'ADD' }, stdin: '{}' });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 4 }),
      fc.nat(60),
      (marks, cut) => {
        const bytes = Buffer.from(whole.subarray(0, whole.length - cut));
        for (const [at, value] of marks) if (at < bytes.length) bytes[at] = value;
        try {
          read(bytes);
        } catch (error) {
          assert.ok(error instanceof FrameError, String(error));
        }
      },
    ),
    { numRuns: fuzzCases(5000) },
  );
  assert.equal(read(whole.subarray(0, -1)), undefined);
  for (const [at, most] of [
    [12, TEXT_MAX],
    [16, INPUT_MAX],
  ] as const) {
    const large = Buffer.from(whole);
    large.writeUInt32LE(most + 1, at);
    assert.throws(() => read(large), FrameError);
  }
});

test('of a variable that is there twice the first counts, and none is taken for an object’s own', () => {
  const bytes = questionBytes({ request, argv: ['A=1', 'A=2', 'toString=x'] });
  // three words become three variables
  bytes.writeUInt32LE(0, 4);
  bytes.writeUInt32LE(3, 8);
  const env = read(bytes)?.env;
  assert.deepEqual([env?.['A'], env?.['toString'], env?.['constructor']], ['1', 'x', undefined]);
});

test('an answer: its status and both texts, each with its length', () => {
  const frame = answerFrame({ status: 3, stdout: 'ä', stderr: 'no' });
  assert.deepEqual(
    [frame.toString('latin1', 0, 4), frame.readUInt32LE(4), frame.readUInt32LE(8), frame.readUInt32LE(12)],
    ['NLA1', 3, 2, 2],
  );
  assert.equal(frame.toString('utf8', 16), 'äno');
});
