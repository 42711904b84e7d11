import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MalformedError, messagesOf, NlAttrs } from './reader.ts';

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const getters = ['u8', 'u16', 'u16be', 'u32', 'u32be', 'i32', 'u64', 'u64be', 'bytes', 'string'] as const;

test('attributes are walked without their flags, and padding ends the walk', () => {
  const attrs = new NlAttrs(bytes('05000180 ff000000 0600024000 01 0000 04000300 0000'));
  const seen: [number, number][] = [];
  for (const a of attrs) seen.push([a.type, a.length]);
  assert.deepEqual(seen, [
    [1, 1],
    [2, 2],
    [3, 0],
  ]);
  attrs.throwIfMalformed();
});

test('the last attribute needs no padding', () => {
  const attrs = new NlAttrs(bytes('05000100 2a'));
  for (const a of attrs) assert.equal(a.u8(), 0x2a);
  attrs.throwIfMalformed();
});

const broken: readonly (readonly [string, string, RegExp])[] = [
  ['a length below the header', '03000100', /says 3 bytes/],
  ['a length of zero, which would never end', '00000100 00000000', /says 0 bytes/],
  ['a length beyond the end', '0c000100 00000000', /says 12 bytes, 8 are left/],
];
for (const [what, text, message] of broken) {
  test(`${what} is malformed and ends the walk`, () => {
    const attrs = new NlAttrs(bytes(text));
    assert.equal([...attrs].length, 0);
    assert.equal(attrs.malformed, true);
    assert.throws(
      () => attrs.throwIfMalformed(),
      (e) => e instanceof MalformedError && e.code === 'EBADMSG' && message.test(e.message),
    );
  });
}

test('a value that is too short yields zero and is reported at the root', () => {
  const attrs = new NlAttrs(bytes('0c000180 06000200 01020000'));
  for (const a of attrs) {
    for (const inner of a.nested()) assert.equal(inner.u32(), 0);
  }
  assert.throws(() => attrs.throwIfMalformed(), /attribute 2 holds 2 bytes, 4 wanted/);
});

test('a nested walk stays inside its attribute', () => {
  // the inner attribute claims eight bytes more than the outer one has
  const attrs = new NlAttrs(bytes('08000180 0c000200 08000300 aabbccdd'));
  const inner: number[] = [];
  for (const a of attrs) if (a.type === 1) for (const b of a.nested()) inner.push(b.type);
  assert.deepEqual(inner, []);
  assert.equal(attrs.malformed, true);
});

test('a string ends at its first NUL, or with its attribute', () => {
  const read = (text: string): string => {
    for (const a of new NlAttrs(bytes(text))) return a.string();
    return '-';
  };
  assert.equal(read('0a000100 6c6f00787900'), 'lo');
  assert.equal(read('06000100 6c6f0000'), 'lo');
  assert.equal(read('04000100'), '');
  assert.equal(read('05000100 ff000000'), '\ufffd');
});

test('messages that contradict their bytes are malformed', () => {
  assert.throws(() => [...messagesOf(bytes('0f000000 0100 0000 00000000 00000000'))], MalformedError);
  assert.throws(() => [...messagesOf(bytes('00000000 0100 0000 00000000 00000000'))], MalformedError);
  assert.throws(() => [...messagesOf(bytes('11000000 0100 0000 00000000 00000000'))], MalformedError);
  assert.throws(() => [...messagesOf(bytes('ffffffff 0100 0000 00000000 00000000'))], MalformedError);
  assert.deepEqual([...messagesOf(bytes('10000000 0100'))], [], 'less than a header is no message');
});

/** Reads all there is, as deep as it goes; the number of steps shows that it ends. */
function readAll(attrs: NlAttrs, source: Uint8Array, depth: number): number {
  let steps = 0;
  for (const a of attrs) {
    steps++;
    for (const get of getters) {
      const value = a[get]();
      if (value instanceof Uint8Array) {
        assert.equal(value.buffer, source.buffer);
        assert.ok(value.byteOffset >= source.byteOffset, 'begins inside');
        assert.ok(value.byteOffset + value.length <= source.byteOffset + source.length, 'ends inside');
      }
    }
    if (depth > 0) steps += readAll(a.nested(), source, depth - 1) + readAll(a.nested(depth * 3), source, depth - 1);
  }
  return steps;
}

/** Random bytes hardly ever look like netlink: lengths that nearly fit go deeper. */
const nearly = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 48 }), fc.nat(0xffff), fc.uint8Array({ maxLength: 44 })), { maxLength: 12 })
  .map((parts) => {
    const out: number[] = [];
    for (const [length, type, value] of parts) out.push(length & 255, length >> 8, type & 255, type >> 8, ...value);
    return Uint8Array.from(out);
  });

test('whatever the bytes, reading ends, stays inside, and throws nothing but MalformedError', () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), nearly), fc.nat(40), fc.nat(20), (input, before, start) => {
      // a view into something larger: a read outside would be seen as foreign bytes, not as an exception
      const room = new Uint8Array(input.length + before + 64).fill(0x41);
      room.set(input, before);
      const view = room.subarray(before, before + input.length);
      const attrs = new NlAttrs(view, start);
      assert.ok(readAll(attrs, view, 3) <= 20_000);
      try {
        attrs.throwIfMalformed();
        for (const m of messagesOf(view)) {
          assert.ok(m.payload.length <= view.length - 16);
          readAll(new NlAttrs(m.payload, start), m.payload, 1);
        }
      } catch (error) {
        assert.ok(error instanceof MalformedError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});
