import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dice, type Dice, fuzzCases } from '../../test/lib/dice.ts';

export { dice, type Dice, fuzzCases };

const STRINGS = [
  '',
  ' ',
  '\0',
  '\n',
  '\u001b[2J',
  '\ud800',
  'ü网🙂',
  '__proto__',
  'constructor',
  'toString',
  '../..',
  '/',
  '%s%n',
  '$(id)',
  "'; --",
  '-1',
  '0',
  '1e309',
  '0x10',
  '10.0.0.0/8',
  '10.0.0.1',
  '255.255.255.255/32',
  'fd00::/64',
  '::ffff:1.2.3.4',
  'fe80::1%eth0',
  '02:00:00:00:00:01',
  'ff:ff:ff:ff:ff:ff',
  'host',
  'none',
  'container:',
  'true',
  'x'.repeat(300),
  'a.'.repeat(200),
];
const NUMBERS = [0, -0, 1, -1, 0.5, 65_535, 65_536, 2 ** 31, 2 ** 53, -(2 ** 53), 1e300, 5e-324];
const KEYS = ['__proto__', 'constructor', 'name', 'x', '', 'length', 'driver', 'ref'];

function anyValue(roll: Dice, depth = 0): unknown {
  switch (roll(depth > 3 ? 5 : 8)) {
    case 0:
      return null;
    case 1:
      return roll(2) === 0;
    case 2:
      return NUMBERS[roll(NUMBERS.length)];
    case 3:
    case 4:
      return STRINGS[roll(STRINGS.length)];
    case 5:
      return Array.from({ length: roll(4) }, () => anyValue(roll, depth + 1));
    case 6:
      return nested(roll(60));
    default:
      return made(Array.from({ length: roll(3) }, () => [KEYS[roll(KEYS.length)] ?? '', anyValue(roll, depth + 1)]));
  }
}
function nested(depth: number): unknown {
  let value: unknown = 0;
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}
/** As JSON.parse makes it: `__proto__` is a property like any other. */
function made(entries: readonly (readonly [string, unknown])[]): object {
  const object: Record<string, unknown> = {};
  for (const [key, value] of entries) {
    if (key === '__proto__')
      Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
    else object[key] = value;
  }
  return object;
}

/** A document with one to four things in it changed: values, kinds, keys; left out, doubled, exchanged. */
export function mutate(document: unknown, roll: Dice): unknown {
  let value = document;
  for (let times = 1 + roll(4); times > 0; times--) value = once(value, roll);
  return value;
}
function once(value: unknown, roll: Dice): unknown {
  if (typeof value !== 'object' || value === null) return roll(3) === 0 ? value : bent(value, roll);
  // Mostly deeper, so that what is inside is tried as often as what is outside.
  const keys = Object.keys(value);
  if (keys.length > 0 && roll(10) < 7) {
    const key = keys[roll(keys.length)] ?? '';
    const inner = (value as Readonly<Record<string, unknown>>)[key];
    if (Array.isArray(value)) return value.with(Number(key), once(inner, roll));
    return made(Object.entries(value).map(([name, each]) => [name, name === key ? once(inner, roll) : each]));
  }
  if (Array.isArray(value)) {
    const at = roll(value.length + 1);
    const how = roll(4);
    if (how === 0) return value.toSpliced(at, 1);
    if (how === 1) return value.toSpliced(at, 0, anyValue(roll));
    if (how === 2) return [...value, ...value];
    return anyValue(roll);
  }
  const entries = Object.entries(value);
  const at = roll(entries.length + 1);
  const how = roll(4);
  if (how === 0) return made(entries.toSpliced(at, 1));
  if (how === 1) return made([...entries, [KEYS[roll(KEYS.length)] ?? '', anyValue(roll)]]);
  if (how === 2) return made(entries.map(([key, each]) => [key, entries[at]?.[1] ?? each]));
  return anyValue(roll);
}
function bent(value: unknown, roll: Dice): unknown {
  if (typeof value === 'string' && roll(2) === 0) return mutateText(value, roll);
  if (typeof value === 'number' && roll(2) === 0) return value + roll(5) - 2;
  return anyValue(roll);
}

/** A text with letters left out, put in, doubled, or exchanged for others that mean something somewhere. */
export function mutateText(
  text: string,
  roll: Dice,
  letters: string = '0:/.,-@[]{}"\'\\#&*!|>%$ \n\t\u0000é\ud83d',
): string {
  const at = roll(text.length + 1);
  const length = roll(6);
  switch (roll(5)) {
    case 0:
      return text.slice(0, at) + text.slice(at + length);
    case 1:
      return text.slice(0, at) + (letters[roll(letters.length)] ?? '') + text.slice(at);
    case 2:
      return text.slice(0, at) + text.slice(at, at + length).repeat(1 + roll(20)) + text.slice(at + length);
    case 3:
      return text.slice(0, at) + (letters[roll(letters.length)] ?? '') + text.slice(at + 1);
    default: {
      const other = roll(text.length + 1);
      return text.slice(0, at) + text.slice(other, other + length * 4) + text.slice(at);
    }
  }
}

test('a seed gives the same case again, and changes something nearly always', () => {
  const document = { name: 'web', subnets: [{ subnet: '10.0.0.0/8' }], labels: { a: 'b' } };
  const before = JSON.stringify(document);
  let same = 0;
  for (let seed = 1; seed <= 1000; seed++) {
    const text = JSON.stringify(mutate(document, dice(seed)));
    assert.equal(JSON.stringify(mutate(document, dice(seed))), text);
    if (text === before) same++;
  }
  assert.equal(JSON.stringify(document), before);
  assert.ok(same < 150, `${same} of 1000 changed nothing`);
});
