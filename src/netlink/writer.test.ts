import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Request } from './conn.ts';
import { writtenOnce } from './memo.ts';
import { messagesOf, NlAttrs } from './reader.ts';
import { NLA_F_NESTED, NlWriter } from './writer.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

// iproute2 6.1.0, kernel 6.18, in unshare -nm: strace -e trace=sendmsg -e write=3 ip link add vx0 type vxlan id 42 dstport 4789
test('a link request is byte for byte what ip(8) sends', () => {
  const writer = new NlWriter(16);
  writer.message(16, 0x605, 0x6b0155ce).rawU8(0).rawU8(0).rawU16(0).rawI32(0).rawU32(0).rawU32(0);
  writer.string(3, 'vx0').nest(18, (info) => {
    info.bytes(1, Buffer.from('vxlan'));
    info.nest(2, (data) => data.u32(1, 42).u8(7, 1).u16be(15, 4789));
  });
  assert.equal(
    hex(writer.finish()),
    '5400000010000506ce55016b00000000' +
      '00000000000000000000000000000000' +
      '08000300767830002c00120009000100' + // NLA_F_NESTED is not set on IFLA_LINKINFO
      '76786c616e0000001c00020008000100' +
      '2a000000050007000100000006000f00' +
      '12b50000',
  );
});

test('values written while the buffer grows are not lost', () => {
  for (let capacity = 0; capacity < 64; capacity++) {
    const writer = new NlWriter(capacity);
    writer.message(1, 0, 0);
    writer.u8(1, 0x81).u16(2, 0x8182).u16be(3, 0x8182).u32(4, 0x81828384).u32be(5, 0x81828384).i32(6, -2);
    writer
      .u64(7, 0x8182838485868788n)
      .u64be(8, 0x8182838485868788n)
      .bytes(9, Uint8Array.of(1, 2, 3))
      .string(10, 'ä');
    const [message] = [...messagesOf(writer.finish())];
    const seen = new NlAttrs(message!.payload);
    const values: unknown[] = [];
    for (const a of seen) {
      const read: Record<number, () => unknown> = {
        1: () => a.u8(),
        2: () => a.u16(),
        3: () => a.u16be(),
        4: () => a.u32(),
        5: () => a.u32be(),
        6: () => a.i32(),
        7: () => a.u64(),
        8: () => a.u64be(),
        9: () => hex(a.bytes()),
        10: () => a.string(),
      };
      values.push(read[a.type]!());
    }
    seen.throwIfMalformed();
    const u64 = 0x8182838485868788n;
    assert.deepEqual(values, [0x81, 0x8182, 0x8182, 0x81828384, 0x81828384, -2, u64, u64, '010203', 'ä']);
  }
});

test('an attribute longer than its length field is refused, whatever its form', () => {
  const writer = new NlWriter();
  assert.throws(() => writer.bytes(1, new Uint8Array(0x10000 - 4)), RangeError);
  assert.throws(() => writer.string(1, 'x'.repeat(0xffff)), RangeError);
  assert.throws(
    () => writer.nest(1, (w) => w.bytes(1, new Uint8Array(40000)).bytes(2, new Uint8Array(40000))),
    RangeError,
  );
  writer
    .reset()
    .message(1, 0, 0)
    .bytes(1, new Uint8Array(0xffff - 4));
  assert.equal(writer.finish().length, 16 + 0x10000);
});

test('memory that is used again carries nothing over', () => {
  const writer = new NlWriter(256);
  writer.message(1, 0, 0).bytes(1, new Uint8Array(100).fill(0xff)).finish();
  writer.reset().message(1, 0, 0).bytes(1, Uint8Array.of(7));
  assert.equal(hex(writer.finish()), '180000000100000000000000000000000500010007000000');
});

/** An attribute, or attributes inside one. */
type Tree = { type: number; value: Uint8Array | Tree[] };
const { tree } = fc.letrec<{ tree: Tree; value: Uint8Array | Tree[] }>((tie) => ({
  tree: fc.record({ type: fc.integer({ min: 1, max: 0x3fff }), value: tie('value') }, { noNullPrototype: true }),
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.uint8Array({ maxLength: 40 }),
    fc.array(tie('tree'), { minLength: 1, maxLength: 4 }),
  ),
}));

test('what is written reads back the same, aligned, with exact lengths', () => {
  const write = (writer: NlWriter, node: Tree): void => {
    if (node.value instanceof Uint8Array) writer.bytes(node.type, node.value);
    else {
      const inner = node.value;
      writer.nest(NLA_F_NESTED | node.type, (w) => inner.forEach((child) => write(w, child)));
    }
  };
  const read = (attrs: NlAttrs, shape: readonly Tree[]): Tree[] => {
    const found: Tree[] = [];
    for (const a of attrs) {
      const like = shape[found.length]!;
      const value = like.value instanceof Uint8Array ? a.bytes().slice() : read(a.nested(), like.value);
      found.push({ type: like.type === a.type ? a.type : -1, value });
    }
    return found;
  };
  const messages = fc.array(
    fc.record({
      type: fc.nat(0xffff),
      header: fc.uint8Array({ maxLength: 20 }),
      attrs: fc.array(tree, { maxLength: 4 }),
    }),
    {
      maxLength: 4,
    },
  );
  fc.assert(
    fc.property(messages, fc.nat(200), (list, capacity) => {
      const writer = new NlWriter(capacity);
      list.forEach((m, i) => {
        writer
          .message(m.type, i, i + 7)
          .rawBytes(m.header)
          .align();
        m.attrs.forEach((node) => write(writer, node));
      });
      const bytes = writer.finish();
      assert.equal(bytes.length % 4, 0);
      const back = [...messagesOf(bytes)];
      assert.deepEqual(
        back.map((m) => [m.type, m.flags, m.seq, m.pid]),
        list.map((m, i) => [m.type, i, i + 7, 0]),
      );
      list.forEach((m, i) => {
        const { payload } = back[i]!;
        assert.deepEqual(payload.subarray(0, m.header.length), m.header);
        const attrs = new NlAttrs(payload, (m.header.length + 3) & ~3);
        assert.deepEqual(read(attrs, m.attrs), m.attrs);
        attrs.throwIfMalformed();
      });
    }),
  );
});

test('a body that is written once is the same wherever it is copied to, and asked for once', () => {
  let asked = 0;
  const request: Request = {
    type: 16,
    flags: 0,
    label: '',
    body(writer) {
      asked++;
      // of odd length, and longer than the room that it is first given
      writer.rawU8(7).align().string(1, 'x'.repeat(300)).rawBytes(Buffer.from('abc'));
    },
  };
  const once = writtenOnce(request);
  const written = (body: Request): string => {
    const writer = new NlWriter(16);
    for (const seq of [1, 2]) {
      writer.message(body.type, body.flags, seq);
      body.body(writer);
    }
    return hex(writer.finish());
  };
  const expected = written(request);
  asked = 0;
  assert.equal(written(once), expected);
  assert.equal(written(once), expected);
  assert.equal(asked, 1);
});
