import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import fc from 'fast-check';
import { NlAttrs, NlWriter } from '../../netlink/index.ts';
import { META } from './meta.ts';
import { CT } from './ct.ts';
import { RT } from './rt.ts';
import { LOG_FLAGS, LOG_LEVEL } from './log.ts';
import { NAT_FLAGS } from './nat.ts';
import { decodeExprs, encodeExprs, type Expr, EXPR_CODECS, type ExprName, sameExprs } from './index.ts';

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const register = fc.integer({ min: 1, max: 23 });
const bytes = fc.uint8Array({ minLength: 1, maxLength: 64 });
const name = fc.string({
  minLength: 1,
  maxLength: 30,
  unit: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz_0123456789'.split('')),
});
const key = <T extends object>(table: T) => fc.constantFrom(...(Object.keys(table) as (keyof T)[]));
/** Some of the names of bits, in the table's order. */
const subset = <T extends object>(table: T) => fc.subarray(Object.keys(table) as (keyof T)[]);
/** A property that may be missing. */
const maybe = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: undefined });
/** Leaves out what is undefined: optional properties are absent, not empty. */
const record = <T extends Record<string, fc.Arbitrary<unknown>>>(shape: T): fc.Arbitrary<Expr> =>
  fc
    .record(shape)
    .map((value) => Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as unknown as Expr);
const PLAIN = { noNullPrototype: true } as const;
const is = <T>(value: T): fc.Arbitrary<T> => fc.constant(value);
const verdict = fc.oneof(
  fc.constantFrom({ accept: null }, { drop: null }, { continue: null }, { return: null }),
  name.map((target) => ({ jump: { target } })),
  name.map((target) => ({ goto: { target } })),
);
/** The last one of a range is never its first: the kernel shows a single value twice, and we read it once. */
const rangeOf = (min: string, max: string) =>
  fc.oneof(
    is({}),
    register.map((r) => ({ [min]: r })),
    register.map((r) => ({ [min]: r, [max]: r + 1 })),
  );

const LIMIT = record({
  name: is('limit'),
  rate: u64,
  unit: u64,
  burst: u32,
  type: fc.constantFrom('packets', 'bytes'),
  inv: fc.constantFrom(true, undefined),
});

/** One generator for every codec: a codec without one does not compile. */
const EXPRS: Readonly<Record<ExprName, fc.Arbitrary<Expr>>> = {
  bitwise: fc.oneof(
    record({
      name: is('bitwise'),
      op: is('mask_xor'),
      sreg: register,
      dreg: register,
      len: u8,
      mask: bytes,
      xor: bytes,
    }),
    record({
      name: is('bitwise'),
      op: fc.constantFrom('lshift', 'rshift'),
      sreg: register,
      dreg: register,
      len: u8,
      data: bytes,
    }),
  ),
  byteorder: record({
    name: is('byteorder'),
    sreg: register,
    dreg: register,
    op: fc.constantFrom('ntoh', 'hton'),
    len: u8,
    size: u8,
  }),
  cmp: record({
    name: is('cmp'),
    sreg: register,
    op: fc.constantFrom('eq', 'neq', 'lt', 'lte', 'gt', 'gte'),
    data: bytes,
  }),
  connlimit: record({ name: is('connlimit'), count: u32, inv: fc.constantFrom(true, undefined) }),
  counter: record({ name: is('counter'), bytes: u64, packets: u64 }),
  ct: record({
    name: is('ct'),
    key: key(CT),
    dreg: maybe(register),
    sreg: maybe(register),
    dir: fc.constantFrom('original', 'reply', undefined),
  }),
  dup: record({ name: is('dup'), sregAddr: maybe(register), sregDev: maybe(register) }),
  dynset: record({
    name: is('dynset'),
    set: name,
    op: fc.constantFrom('add', 'update', 'delete'),
    sregKey: register,
    sregData: maybe(register),
    timeout: maybe(fc.integer({ min: 1, max: 1_000_000 }).map((ms) => ms / 1000)),
    exprs: fc.array(LIMIT, { maxLength: 3 }),
    inv: fc.constantFrom(true, undefined),
    setId: maybe(u32),
  }),
  exthdr: record({
    name: is('exthdr'),
    op: fc.constantFrom('ipv6', 'tcpopt', 'ipv4', 'sctp', 'dccp'),
    type: u8,
    offset: u32,
    len: u32,
    present: fc.constantFrom(true, undefined),
    dreg: maybe(register),
    sreg: maybe(register),
  }),
  fib: record({
    name: is('fib'),
    dreg: register,
    result: fc.constantFrom('oif', 'oifname', 'type'),
    flags: fc.subarray(['saddr', 'daddr', 'mark', 'iif', 'oif', 'check']),
  }),
  fwd: record({ name: is('fwd'), sregDev: register, sregAddr: maybe(register), nfproto: maybe(u8) }),
  hash: record({
    name: is('hash'),
    type: fc.constantFrom('jenkins', 'sym'),
    dreg: register,
    modulus: u32,
    offset: u32,
    sreg: maybe(register),
    len: maybe(u32),
    seed: maybe(u32),
  }),
  immediate: fc.oneof(
    record({ name: is('immediate'), dreg: register, data: bytes }),
    record({ name: is('immediate'), dreg: is(0), verdict }),
  ),
  limit: LIMIT,
  log: record({
    name: is('log'),
    prefix: maybe(name),
    group: maybe(u16),
    snaplen: maybe(u32),
    queueThreshold: maybe(u16),
    level: maybe(key(LOG_LEVEL)),
    flags: maybe(subset(LOG_FLAGS).filter((flags) => flags.length > 0)),
  }),
  lookup: record({
    name: is('lookup'),
    set: name,
    sreg: register,
    dreg: maybe(fc.integer({ min: 0, max: 23 })),
    inv: fc.constantFrom(true, undefined),
    setId: maybe(u32),
  }),
  masq: fc
    .tuple(rangeOf('portMin', 'portMax'), subset(NAT_FLAGS))
    .map(([ports, flags]) => ({ name: 'masq' as const, ...ports, flags })),
  meta: record({ name: is('meta'), key: key(META), dreg: maybe(register), sreg: maybe(register) }),
  nat: fc
    .tuple(
      fc.constantFrom('snat' as const, 'dnat' as const),
      fc.constantFrom('ip' as const, 'ip6' as const, 'inet' as const),
      rangeOf('addrMin', 'addrMax'),
      rangeOf('portMin', 'portMax'),
      subset(NAT_FLAGS),
    )
    .map(([type, family, addr, port, flags]) => ({ name: 'nat' as const, type, family, ...addr, ...port, flags })),
  notrack: is({ name: 'notrack' }),
  numgen: record({
    name: is('numgen'),
    dreg: register,
    modulus: u32,
    mode: fc.constantFrom('inc', 'random'),
    offset: u32,
  }),
  payload: fc.oneof(
    record({
      name: is('payload'),
      base: fc.constantFrom('link', 'network', 'transport', 'inner'),
      offset: u32,
      len: u32,
      dreg: register,
    }),
    record({
      name: is('payload'),
      base: fc.constantFrom('link', 'network', 'transport', 'inner'),
      offset: u32,
      len: u32,
      sreg: register,
      checksum: fc.record(
        { type: fc.constantFrom('none', 'inet', 'sctp'), offset: u32, flags: fc.subarray(['pseudohdr']) },
        PLAIN,
      ),
    }),
  ),
  queue: record({
    name: is('queue'),
    num: maybe(u16),
    total: maybe(u16),
    sregQnum: maybe(register),
    flags: fc.subarray(['bypass', 'fanout']),
  }),
  quota: record({ name: is('quota'), bytes: u64, consumed: u64, inv: fc.constantFrom(true, undefined) }),
  range: record({ name: is('range'), sreg: register, op: fc.constantFrom('eq', 'neq'), from: bytes, to: bytes }),
  redir: fc
    .tuple(rangeOf('portMin', 'portMax'), subset(NAT_FLAGS))
    .map(([ports, flags]) => ({ name: 'redir' as const, ...ports, flags })),
  reject: record({ name: is('reject'), type: fc.constantFrom('icmp', 'tcp reset', 'icmpx'), code: u8 }),
  rt: record({ name: is('rt'), dreg: register, key: key(RT) }),
  socket: record({
    name: is('socket'),
    key: fc.constantFrom('transparent', 'mark', 'wildcard', 'cgroupv2'),
    dreg: register,
    level: maybe(u32),
  }),
  tproxy: record({ name: is('tproxy'), family: u8, sregAddr: maybe(register), sregPort: maybe(register) }),
};
const UNKNOWN = fc
  .record({ kind: name.map((text) => `x_${text}`), raw: bytes })
  .map((e): Expr => ({ name: 'unknown', ...e }));
const ANY = fc.oneof(...Object.values(EXPRS), UNKNOWN);

function roundTrip(exprs: readonly Expr[]): Expr[] {
  const writer = new NlWriter();
  encodeExprs(writer, exprs);
  const attrs = new NlAttrs(writer.finish());
  const decoded = decodeExprs(attrs);
  attrs.throwIfMalformed();
  return decoded;
}

test('every codec has a generator here', () => {
  assert.deepEqual(Object.keys(EXPRS).toSorted(), Object.keys(EXPR_CODECS).toSorted());
  for (const [expr, codec] of Object.entries(EXPR_CODECS)) assert.equal(codec.name, expr);
});

for (const [expr, generator] of Object.entries(EXPRS)) {
  test(`${expr} reads back as it was written`, () => {
    fc.assert(fc.property(generator, (e) => assert.deepEqual(roundTrip([e]), [e])));
  });
}

test('lists of expressions, unknown ones among them, read back as they were written', () => {
  fc.assert(
    fc.property(fc.array(ANY, { maxLength: 12 }), (exprs) => {
      const decoded = roundTrip(exprs);
      assert.deepEqual(decoded, exprs);
      assert.ok(sameExprs(decoded, exprs));
    }),
  );
});

test('bytes from anywhere give expressions or a mark of malformation, never an exception', () => {
  const fuzz = (input: Uint8Array): void => {
    const attrs = new NlAttrs(input);
    decodeExprs(attrs);
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fuzz));
  // valid lists with a few bytes changed reach further
  const damaged = fc.tuple(
    fc.array(ANY, { minLength: 1, maxLength: 6 }),
    fc.array(fc.tuple(fc.nat(), u8), { maxLength: 8 }),
  );
  fc.assert(
    fc.property(damaged, ([exprs, changes]) => {
      const writer = new NlWriter();
      encodeExprs(writer, exprs);
      const input = new Uint8Array(writer.finish());
      for (const [at, value] of changes) input[at % input.length] = value;
      fuzz(input);
    }),
    { numRuns: 1000 },
  );
});

test('sameExprs leaves out what changes by itself, and nothing else', () => {
  const counter = (packets: bigint): Expr => ({ name: 'counter', packets, bytes: packets * 10n });
  assert.ok(sameExprs([counter(0n)], [counter(5n)]));
  const lookup = (set: string, more: object = {}): Expr => ({ name: 'lookup', set, sreg: 1, ...more });
  assert.ok(sameExprs([lookup('__set%d', { setId: 4 })], [lookup('__set7')]));
  assert.ok(!sameExprs([lookup('a')], [lookup('b')]));
  assert.ok(!sameExprs([lookup('a')], [lookup('a', { inv: true })]));
  assert.ok(!sameExprs([counter(0n)], []));
  const cmp = (...data: number[]): Expr => ({ name: 'cmp', sreg: 1, op: 'eq', data: Uint8Array.from(data) });
  assert.ok(!sameExprs([cmp(1, 2)], [cmp(1, 3)]));
});

test('a masquerade to ports tells the kernel that there are some', () => {
  // nft 1.0.6, by strace: add rule inet t r meta l4proto udp masquerade to :1024-32767
  const nft = '6d617371000000001c000280080001000000000208000200000000010800030000000002';
  const writer = new NlWriter();
  writer.message(0, 0, 0);
  encodeExprs(writer, [{ name: 'masq', portMin: 1, portMax: 2, flags: [] }]);
  assert.ok(Buffer.from(writer.finish()).toString('hex').includes(nft));
});
