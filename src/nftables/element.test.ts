import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../errors.ts';
import { ipFromBytes } from '../addr/index.ts';
import { messagesOf, NlWriter, type Request } from '../netlink/index.ts';
import { decodeElements, elementAdd, elementDelete, elementId, type NftElement } from './element.ts';
import type { NftField } from './key.ts';
import type { NftTypeName } from './datatype.ts';
import type { NftSet } from './set.ts';

const set = (more: Partial<NftSet>): NftSet => ({ family: 'inet', table: 't', name: 's', type: 'ipv4_addr', ...more });

function encode(requests: readonly Request[]): Uint8Array {
  const writer = new NlWriter();
  requests.forEach((request, i) => {
    writer.message(request.type, request.flags, i);
    request.body(writer);
  });
  return writer.finish();
}

function roundTrip(s: NftSet, elements: readonly NftElement[]): NftElement[] {
  return decodeElements(s, [...messagesOf(encode(elementAdd(s, elements)))]);
}

/** Values of each data type, in the shape in which they read back. */
const SCALARS = {
  ipv4_addr: fc.uint8Array({ minLength: 4, maxLength: 4 }).map((b) => ipFromBytes(b).text),
  ipv6_addr: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((b) => ipFromBytes(b).text),
  inet_service: fc.integer({ min: 0, max: 65_535 }),
  inet_proto: fc.constantFrom('tcp', 'udp', 'sctp', 200),
  mark: fc.integer({ min: 0, max: 0xffff_ffff }),
  ifname: fc.string({
    minLength: 1,
    maxLength: 15,
    unit: fc.constantFrom(...'abcdefghijklmnop-_.@0123456789'.split('')),
  }),
  ether_addr: fc
    .uint8Array({ minLength: 6, maxLength: 6 })
    .map((b) => Array.from(b, (x) => x.toString(16).padStart(2, '0')).join(':')),
} satisfies Partial<Record<NftTypeName, fc.Arbitrary<string | number>>>;
const typeName = fc.constantFrom(...(Object.keys(SCALARS) as (keyof typeof SCALARS)[]));

test('keys of any types read back as they were written, sorted', () => {
  const keys = fc
    .array(typeName, { minLength: 1, maxLength: 4 })
    .chain((type) =>
      fc.tuple(
        fc.constant(type),
        fc.array(fc.tuple(...type.map((t) => SCALARS[t] as fc.Arbitrary<string | number>)), { maxLength: 20 }),
      ),
    );
  fc.assert(
    fc.property(keys, ([type, rows]) => {
      const [s, toKey] = shape(type);
      const elements = unique(
        s,
        rows.map((row) => ({ key: toKey(row) })),
      );
      assert.deepEqual(
        new Set(roundTrip(s, elements).map((e) => elementId(s, e))),
        new Set(elements.map((e) => elementId(s, e))),
      );
      for (const element of elements) assert.deepEqual(roundTrip(s, [element]), [element]);
    }),
  );
});

test('intervals that do not touch read back as they were written', () => {
  const cuts = fc.uniqueArray(fc.integer({ min: 0, max: 0xffff }), { minLength: 2, maxLength: 40 });
  fc.assert(
    fc.property(cuts, fc.constantFrom('inet_service' as const, 'mark' as const), (numbers, type) => {
      const sorted = numbers.toSorted((a, b) => a - b);
      const elements: NftElement[] = [];
      for (let i = 0; i + 1 < sorted.length; i += 2) {
        const [first, last] = [sorted[i]!, sorted[i + 1]!];
        elements.push({ key: { range: [first, last] }, ...(i % 4 === 0 && { comment: `from ${first}` }) });
      }
      const s = set({ type, flags: ['interval'] });
      assert.deepEqual(roundTrip(s, elements), elements);
    }),
  );
});

test('a range of addresses that is a prefix reads back as one', () => {
  const s = set({ flags: ['interval'] });
  const prefix = fc.tuple(SCALARS.ipv4_addr, fc.integer({ min: 0, max: 31 }));
  fc.assert(
    fc.property(prefix, ([addr, len]) => {
      const [element] = roundTrip(s, [{ key: { prefix: { addr, len } } }]);
      assert.equal((element!.key as { prefix: { len: number } }).prefix.len, len);
      assert.equal(elementId(s, element!), elementId(s, { key: { prefix: { addr, len } } }));
    }),
  );
  assert.deepEqual(roundTrip(s, [{ key: { range: ['10.0.0.0', '10.0.0.255'] } }]), [
    { key: { prefix: { addr: '10.0.0.0', len: 24 } } },
  ]);
  assert.deepEqual(roundTrip(s, [{ key: { prefix: { addr: '10.0.0.1', len: 32 } } }]), [{ key: '10.0.0.1' }]);
});

test('concatenated ranges read back field by field', () => {
  const s = set({ type: ['ipv4_addr', 'inet_proto', 'inet_service'], map: 'ipv4_addr', flags: ['interval'] });
  const port: fc.Arbitrary<NftField> = fc
    .tuple(SCALARS.inet_service, SCALARS.inet_service)
    .map(([a, b]) => (a === b ? a : { range: [Math.min(a, b), Math.max(a, b)] as const }));
  fc.assert(
    fc.property(SCALARS.ipv4_addr, SCALARS.inet_proto, port, SCALARS.ipv4_addr, (addr, proto, ports, data) => {
      const element: NftElement = { key: { concat: [addr, proto, ports] }, data, comment: 'c' };
      assert.deepEqual(roundTrip(s, [element]), [element]);
    }),
  );
});

test('values of maps read back as they were written', () => {
  const verdicts = set({ type: 'inet_service', map: 'verdict' });
  const elements: NftElement[] = [
    { key: 1, data: { accept: null } },
    { key: 2, data: { jump: { target: 'c' } } },
    { key: 3, data: { return: null } },
  ];
  assert.deepEqual(roundTrip(verdicts, elements), elements);
  const pairs = set({ type: 'mark', map: ['ipv6_addr', 'inet_service'] });
  assert.deepEqual(roundTrip(pairs, [{ key: 1, data: { concat: ['fd00::2', 80] } }]), [
    { key: 1, data: { concat: ['fd00::2', 80] } },
  ]);
});

test('a list of any length is split below the length of an attribute', () => {
  const s = set({ type: ['ipv6_addr', 'inet_service'] });
  const elements = Array.from({ length: 3000 }, (_, i): NftElement => ({
    key: { concat: ['2001:db8::1', i] },
    comment: 'x'.repeat(i % 120),
  }));
  const requests = elementAdd(s, elements);
  assert.ok(requests.length > 4);
  for (const request of requests) assert.ok(encode([request]).length < 65_535 + 100);
  assert.deepEqual(decodeElements(s, [...messagesOf(encode(requests))]), elements);
  assert.deepEqual(elementAdd(s, []), []);
  assert.equal(elementDelete(s, elements.slice(0, 1)).length, 1);
});

test('what is no key is refused by name', () => {
  const bad = (s: NftSet, key: NftElement['key'], text: RegExp): void =>
    assert.throws(
      () => elementAdd(s, [{ key }]),
      (error) => hasCode(error, 'EBADVALUE', 'EBADADDRESS') && text.test(error.message),
    );
  bad(set({}), '10.0.0', /10\.0\.0/);
  bad(set({}), 'fd00::1', /fd00::1.*ipv4_addr/);
  bad(set({}), { prefix: { addr: '10.0.0.0', len: 8 } }, /interval/);
  bad(set({ flags: ['interval'] }), { prefix: { addr: '10.0.0.0', len: 33 } }, /prefix/);
  bad(set({ flags: ['interval'] }), { range: ['10.0.0.9', '10.0.0.1'] }, /ends before it starts/);
  bad(set({ type: 'inet_service' }), 65_536, /65536.*inet_service/);
  bad(set({ type: 'inet_service' }), 'http', /http/);
  bad(set({ type: 'inet_service' }), 1.5, /1\.5/);
  bad(set({ type: 'ifname' }), 'a-name-that-is-too-long', /ifname/);
  bad(set({ type: ['ipv4_addr', 'inet_service'] }), '10.0.0.1', /ipv4_addr \. inet_service/);
  bad(set({ type: 'mark' }), { concat: [1, 2] }, /where one is wanted/);
});

test('bytes from anywhere give elements or MalformedError', () => {
  const sets = [
    set({}),
    set({ flags: ['interval'] }),
    set({ type: ['ipv4_addr', 'inet_service'], map: 'verdict', flags: ['interval'] }),
  ];
  const valid = sets.map((s) => {
    const key = typeof s.type === 'string' ? '10.0.0.1' : { concat: ['10.0.0.1', 80] };
    return new Uint8Array(encode(elementAdd(s, [{ key, comment: 'c', ...(s.map && { data: { accept: null } }) }])));
  });
  const damage = fc.tuple(
    fc.nat({ max: 2 }),
    fc.array(fc.tuple(fc.integer({ min: 20, max: 200 }), fc.integer({ min: 0, max: 255 })), { maxLength: 6 }),
  );
  fc.assert(
    fc.property(damage, ([which, changes]) => {
      const input = new Uint8Array(valid[which]!);
      for (const [at, value] of changes) if (at < input.length) input[at] = value;
      try {
        decodeElements(sets[which]!, [...messagesOf(input)]);
      } catch (error) {
        assert.ok(hasCode(error, 'EBADMSG'), String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

function shape(
  type: readonly (keyof typeof SCALARS)[],
): [NftSet, (row: readonly (string | number)[]) => NftElement['key']] {
  if (type.length === 1) return [set({ type: type[0]! }), (row) => row[0]!];
  return [set({ type }), (row) => ({ concat: row })];
}

function unique(s: NftSet, elements: readonly NftElement[]): NftElement[] {
  return [...new Map(elements.map((element) => [elementId(s, element), element])).values()];
}
