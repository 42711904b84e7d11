import assert from 'node:assert/strict';
import { test } from 'node:test';
import { damaged, dice, fuzzCases } from '../../test/lib/dice.ts';
import { LEAST, type Message, readMessage, writeMessage } from './message.ts';

const KEY = '7f8d1c52-0f6b-4f1d-9a35-0b6d2f1f0a11';
const NONCE = '0011223344556677';
const MESSAGES: readonly Message[] = [
  { kind: 'question', nonce: NONCE, want: 1472 },
  { kind: 'question', nonce: NONCE, want: 64, bare: true },
  { kind: 'answer', nonce: NONCE, size: 9216, clock: 1_795_000_000_123.5, address: '192.0.2.1', port: 65535 },
  { kind: 'answer', nonce: NONCE, size: 64, clock: 0, address: '2001:db8::1', port: 1 },
];

function written(message: Message, key = KEY): Uint8Array {
  const bytes = new Uint8Array(LEAST + 8).fill(0xee);
  writeMessage(bytes, message, key);
  assert.deepEqual([...bytes.subarray(LEAST)], Array(8).fill(0xee), 'what fills it up is left alone');
  return bytes;
}

for (const message of MESSAGES) {
  test(`${message.kind} of ${JSON.stringify(message)} is read as it was written`, () => {
    assert.deepEqual(readMessage(written(message), KEY), message);
    assert.equal(readMessage(written(message), `${KEY.slice(0, -1)}2`), undefined, 'another key');
    assert.equal(readMessage(written(message).subarray(0, LEAST - 1), KEY), undefined, 'cut short');
  });
  test(`no bit of a sealed ${message.kind} may change, from ${JSON.stringify(message)}`, () => {
    for (let bit = 0; bit < LEAST * 8; bit++) {
      const bytes = written(message);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      assert.equal(readMessage(bytes, KEY), undefined, `bit ${bit}`);
    }
  });
}

test('whatever comes, none of it is taken for a message', () => {
  const roll = dice(8284);
  const whole = MESSAGES.map((message) => written(message));
  for (let i = 0; i < fuzzCases(2000); i++) {
    const bytes = damaged(whole[i % whole.length]!, roll);
    const same = whole.some(
      (each) => LEAST <= bytes.length && each.every((byte, at) => at >= LEAST || byte === bytes[at]),
    );
    assert.equal(readMessage(bytes, KEY) !== undefined, same);
  }
});
