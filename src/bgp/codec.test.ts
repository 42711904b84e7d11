import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ipFromBytes, makePrefix, network } from '../addr/index.ts';
import { type AsPath, countAs, decodePath, encodePath, firstAs, mergePaths, pathLength, pathText } from './as-path.ts';
import { announceFrames, endOfRibFrame, type Outgoing, withdrawFrames } from './encode.ts';
import { BgpError } from './errors.ts';
import { type Frame, Framer } from './framer.ts';
import { decodePrefixes, encodePrefix } from './nlri.ts';
import { CEASE, decodeNotification, encodeNotification, ERROR, shutdown, wordsOf } from './notification.ts';
import { decodeOpen, encodeOpen, type Open } from './open.ts';
import { decodeUpdate, type Update, type UpdateContext } from './update.ts';
import { concat, frameOf, HEADER, MAX_MESSAGE, of16, of32, TYPE } from './wire.ts';

const asn = fc.integer({ min: 1, max: 4_294_967_294 });
const family = fc.constantFrom(4 as const, 6 as const);
const prefix = (of: 4 | 6): fc.Arbitrary<string> =>
  fc
    .tuple(fc.uint8Array({ minLength: of === 4 ? 4 : 16, maxLength: of === 4 ? 4 : 16 }), fc.nat(of === 4 ? 32 : 128))
    .map(([bytes, length]) => network(makePrefix(ipFromBytes(bytes), length)).text);
const path: fc.Arbitrary<AsPath> = fc.array(
  fc.record({
    kind: fc.constantFrom('sequence' as const, 'set' as const),
    asns: fc.array(asn, { minLength: 1, maxLength: 20 }),
  }),
  { maxLength: 4 },
);
const EXTERNAL: UpdateContext = {
  ...{ internal: false, peerAs: 65001, as4: true, families: [4, 6], extendedNextHop: false },
};
const INTERNAL: UpdateContext = { ...EXTERNAL, internal: true };

function framesIn(...chunks: readonly Uint8Array[]): Frame[] {
  const framer = new Framer();
  const found: Frame[] = [];
  for (const chunk of chunks)
    framer.push(chunk, (frame) => {
      found.push(frame);
      return true;
    });
  return found;
}
function read(frame: Uint8Array, context: UpdateContext): Update {
  return decodeUpdate(frame.subarray(HEADER), context);
}
const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

describe('what is written is read again', () => {
  test('prefixes', () => {
    fc.assert(
      fc.property(
        family.chain((of) => fc.tuple(fc.constant(of), fc.uniqueArray(prefix(of), { maxLength: 50 }))),
        ([of, list]) => assert.deepEqual(decodePrefixes(concat(list.map(encodePrefix)), of), list),
      ),
    );
  });

  test('OPEN', () => {
    const open: fc.Arbitrary<Open> = fc
      .record({
        asn,
        holdTime: fc.oneof(fc.constant(0), fc.integer({ min: 3, max: 65_535 })),
        id: fc.integer({ min: 1, max: 0xffff_ffff }).map((id) => of32(id).join('.')),
        families: fc.uniqueArray(family, { minLength: 1, maxLength: 2 }),
        as4: fc.constant(true),
        refresh: fc.boolean(),
        extendedNextHop: fc.boolean(),
        restart: fc.option(
          fc.record({
            restarting: fc.boolean(),
            time: fc.nat(4095),
            families: fc.uniqueArray(fc.record({ family, forwarding: fc.boolean() }), {
              selector: (one) => one.family,
            }),
          }),
          { nil: undefined },
        ),
      })
      .map(({ restart, ...rest }) => (restart ? { ...rest, restart } : rest));
    fc.assert(fc.property(open, (one) => assert.deepEqual(decodeOpen(encodeOpen(one)), structuredClone(one))));
  });

  test('announcements of any number of prefixes, in messages of 4096 bytes at most', () => {
    const what: fc.Arbitrary<[4 | 6, string[], Outgoing, boolean]> = fc.tuple(family, fc.boolean()).chain(([of, as4]) =>
      fc.tuple(
        fc.constant(of),
        // what no peer may be told of is passed over by who reads it
        fc.uniqueArray(
          prefix(of)
            .map((text) => (of === 4 ? text.replace(/^\d+/, '10') : text.replace(/^[^:]*/, 'fd00')))
            .filter((text) => !/\/[0-7]$/.test(text))
            .map((text) => network(makePrefix(ipFromBytes(encodeHost(text)), Number(text.split('/')[1]))).text),
          { minLength: 1, maxLength: 1000 },
        ),
        fc.record({
          path: fc.array(asn, { minLength: 1, maxLength: 30 }).map((asns) => [{ kind: 'sequence' as const, asns }]),
          nextHop: fc.constant(of === 4 ? '192.0.2.1' : '2001:db8::1'),
          med: fc.nat(),
          localPref: fc.nat(),
          communities: fc.array(
            fc.tuple(fc.nat(65_535), fc.nat(65_535)).map((pair) => pair.join(':')),
            {
              minLength: 1,
              maxLength: 100,
            },
          ),
        }),
        fc.constant(as4),
      ),
    );
    fc.assert(
      fc.property(what, ([of, prefixes, outgoing, as4]) => {
        const frames = announceFrames(prefixes, outgoing, as4);
        assert.ok(frames.every(({ length }) => length <= MAX_MESSAGE));
        const updates = frames.map((frame) => read(frame, { ...INTERNAL, as4 }));
        assert.deepEqual(
          updates.flatMap(({ reached }) => reached.flatMap((each) => each.prefixes)),
          prefixes,
        );
        for (const { attributes, faults, withdrawn, reached } of updates) {
          assert.deepEqual([faults, withdrawn, reached.map(({ nextHop }) => nextHop)], [[], [], [outgoing.nextHop]]);
          const { nextHop: _, ...told } = outgoing;
          assert.deepEqual(attributes, { ...told, origin: 0 });
        }
        const back = withdrawFrames(prefixes);
        assert.ok(back.every(({ length }) => length <= MAX_MESSAGE));
        assert.deepEqual(
          back.flatMap((frame) => read(frame, INTERNAL).withdrawn),
          prefixes,
        );
        assert.deepEqual(read(endOfRibFrame(of), EXTERNAL).endOfRib, of);
      }),
      { numRuns: 60 },
    );
  });

  test('paths, of four bytes and of two with what they lose', () => {
    fc.assert(
      fc.property(path.map(structuredClone<AsPath>), (one) => {
        assert.deepEqual(decodePath(encodePath(one, 4), 4), one);
        const short = decodePath(encodePath(one, 2), 2)!;
        assert.equal(pathLength(short), pathLength(one));
        assert.deepEqual(mergePaths(short, one), one);
      }),
    );
    const two: AsPath = [{ kind: 'sequence', asns: [65001, 23456] }];
    const merged = mergePaths(
      [{ kind: 'sequence', asns: [7, 65001, 23456] }],
      [{ kind: 'sequence', asns: [65001, 70000] }],
    );
    assert.equal(pathText(merged), '7 65001 70000');
    assert.equal(mergePaths(two, [{ kind: 'sequence', asns: [1, 2, 3] }]), two, 'one that is longer is not believed');
    const sets: AsPath = [
      { kind: 'sequence', asns: [1, 2] },
      { kind: 'set', asns: [3, 2] },
    ];
    assert.deepEqual([pathLength(sets), firstAs(sets), countAs(sets, 2), pathText(sets)], [3, 1, 2, '1 2 {3,2}']);
    assert.equal(firstAs([{ kind: 'set', asns: [1] }]), undefined);
    for (const wrong of ['0101', '02', '0202 0000 0001', '0200', '0301 0000 0001', '0201 0000 0000'])
      assert.equal(decodePath(bytes(wrong), 4), undefined, wrong);
  });

  test('notifications, and what they say to people', () => {
    const words = (code: number, subcode: number, data?: Uint8Array): string =>
      wordsOf(decodeNotification(encodeNotification({ code, subcode, ...(data ? { data } : {}) })));
    assert.equal(words(2, 2), 'OPEN: bad peer AS');
    assert.equal(words(ERROR.HOLD, 0), 'hold timer expired');
    assert.equal(words(77, 3), 'error 77: subcode 3');
    assert.equal(words(3, 200), 'UPDATE: subcode 200');
    const text = (word: string): string => wordsOf(decodeNotification(encodeNotification(shutdown(word))));
    assert.equal(text('back at 5'), 'cease: administrative shutdown: "back at 5"');
    assert.equal(text(''), 'cease: administrative shutdown');
    assert.equal(text('\u001b[31mred\n'), 'cease: administrative shutdown: "?[31mred?"');
    assert.match(text('ä'.repeat(500)), /"ä{127}"$/);
    assert.equal(words(6, CEASE.SHUTDOWN, bytes('ff 41')), 'cease: administrative shutdown', 'longer than it is');
    const hostile = fc.uint8Array({ maxLength: 300 });
    fc.assert(fc.property(hostile, (data) => assert.match(words(6, 2, data), /^[^\p{Cc}]*$/u)));
  });
});

function encodeHost(text: string): Uint8Array {
  const bytesOf = encodePrefix(text).subarray(1);
  const out = new Uint8Array(text.includes(':') ? 16 : 4);
  out.set(bytesOf);
  return out;
}

describe('a stream', () => {
  const all = concat([
    frameOf(TYPE.KEEPALIVE),
    endOfRibFrame(4),
    endOfRibFrame(6),
    frameOf(TYPE.NOTIFICATION, of16(0x0602)),
  ]);
  const whole = framesIn(all);

  test('cut anywhere gives the same messages', () => {
    assert.deepEqual(
      whole.map(({ type }) => type),
      [4, 2, 2, 3],
    );
    assert.deepEqual(framesIn(...Array.from(all, (byte) => Uint8Array.of(byte))), whole);
    for (let at = 0; at < all.length; at++) assert.deepEqual(framesIn(all.subarray(0, at), all.subarray(at)), whole);
  });

  test('what is no message ends it, with the right word; what came before is handed over', () => {
    for (const [head, code, data] of [
      ['00' + 'ff'.repeat(15) + '0013 04', 'not synchronised', ''],
      ['ff'.repeat(16) + '0012 04', 'bad length', '0012'],
      ['ff'.repeat(16) + '1001 02', 'bad length', '1001'],
      ['ff'.repeat(16) + '0014 04', 'bad length', '0014'],
      ['ff'.repeat(16) + '001c 01', 'bad length', '001c'],
      ['ff'.repeat(16) + '0016 02', 'bad length', '0016'],
      ['ff'.repeat(16) + '0014 03', 'bad length', '0014'],
      ['ff'.repeat(16) + '0013 09', 'bad type', '09'],
      ['ff'.repeat(16) + '0000 00', 'bad length', '0000'],
    ] as const) {
      const framer = new Framer();
      let before = 0;
      const take = (): boolean => ++before > 0;
      const failed = (error: unknown): boolean =>
        error instanceof BgpError &&
        error.message.includes(code) &&
        Buffer.from(error.notification.data ?? []).toString('hex') === data;
      assert.throws(() => framer.push(concat([frameOf(TYPE.KEEPALIVE), bytes(head)]), take), failed, head);
      assert.equal(before, 1);
    }
  });

  test('whoever wants no more gets no more', () => {
    let count = 0;
    new Framer().push(all, () => ++count < 2);
    assert.equal(count, 2);
  });
});

describe('OPEN of others', () => {
  const head = '04 fde9 005a c0000202';
  const open = (parameters: string, length = bytes(parameters).length): Open =>
    decodeOpen(bytes(`${head} ${length.toString(16).padStart(2, '0')} ${parameters}`));

  test('without capabilities: IPv4, AS numbers of two bytes, and nothing else', () => {
    assert.deepEqual(open(''), {
      ...{
        asn: 65001,
        holdTime: 90,
        id: '192.0.2.2',
        families: [4],
        as4: false,
        refresh: false,
        extendedNextHop: false,
      },
    });
  });

  test('capabilities together, apart, twice, unknown, and of a wrong size', () => {
    const as4 = '4104 00011170';
    assert.equal(open(`0206 ${as4}`).asn, 70_000);
    const both = open(`0208 0104 0001 0001 0200 020e 0104 0002 0001 0104 0002 0001 4600`);
    assert.deepEqual([both.families, both.refresh], [[4, 6], true]);
    assert.deepEqual(open('0206 0104 0019 0046').families, [], 'L2VPN alone');
    assert.equal(open('0205 4103 000111').as4, false);
    assert.equal(open('0204 4002 8078').restart?.time, 120);
    assert.deepEqual(open('0208 0506 0001 0001 0002').extendedNextHop, true);
    // RFC 9072: lengths of two bytes
    assert.equal(decodeOpen(bytes(`${head} ff ff 0009 02 0006 ${as4}`)).asn, 70_000);
  });

  test('what RFC 4271 section 6.2 refuses, by its own word', () => {
    for (const [hex, word] of [
      ['03 fde9 005a c0000202 00', 'unsupported version'],
      ['04 0000 005a c0000202 00', 'bad peer AS'],
      ['04 5ba0 005a c0000202 00', 'bad peer AS'],
      ['04 fde9 0002 c0000202 00', 'unacceptable hold time'],
      ['04 fde9 005a 00000000 00', 'bad BGP identifier'],
      [`${head} 02 0100`, 'unsupported optional parameter'],
      [`${head} 05 0203 4104 00`, 'OPEN: a capability ends behind'],
      [`${head} 03 0200`, 'optional parameters of 3 bytes in 2'],
      [`${head} 03 0202 41`, 'an optional parameter ends behind'],
      [`${head} 01 02`, 'an optional parameter ends behind'],
      [`${head} ff ff`, 'optional parameters'],
    ] as const)
      assert.throws(
        () => decodeOpen(bytes(hex)),
        (error) => error instanceof BgpError && error.message.includes(word),
        hex,
      );
    assert.throws(
      () => decodeOpen(bytes('03 fde9 005a c0000202 00')),
      ({ notification }: BgpError) => notification.data?.[1] === 4,
    );
  });
});

export const ATTRIBUTES = {
  origin: '4001 0100',
  path: '4002 06 0201 0000fde9',
  hop: '4003 04 c0000202',
} as const;

/** An UPDATE of hexadecimal parts. */
export function updateOf(attributes: readonly string[], nlri = '18 0a0100', gone = ''): Uint8Array {
  const [withdrawn, all] = [bytes(gone), bytes(attributes.join(''))];
  return concat([of16(withdrawn.length), withdrawn, of16(all.length), all, bytes(nlri)]);
}

describe('UPDATE', () => {
  const { origin, path: asPath, hop } = ATTRIBUTES;
  const good = [origin, asPath, hop];
  const mp = (nlri = '40 fd00000100000000', nextHop = '10 20010db8000000000000000000000002'): string => {
    const value = `0002 01 ${nextHop} 00 ${nlri}`;
    return `800e ${bytes(value).length.toString(16).padStart(2, '0')} ${value}`;
  };

  test('a whole one', () => {
    const { reached, attributes, withdrawn, faults } = decodeUpdate(
      updateOf([...good, '8004 04 00000005', 'c008 08 fde90001 ffffff01', mp()], '18 0a0100 10 0a02', '08 0b'),
      EXTERNAL,
    );
    assert.deepEqual(reached, [
      { prefixes: ['10.1.0.0/24', '10.2.0.0/16'], nextHop: '192.0.2.2' },
      { prefixes: ['fd00:1::/64'], nextHop: '2001:db8::2' },
    ]);
    const { path: told, ...rest } = attributes;
    assert.deepEqual([pathText(told), rest], ['65001', { origin: 0, med: 5, communities: ['65001:1', '65535:65281'] }]);
    assert.deepEqual([withdrawn, faults], [['11.0.0.0/8'], []]);
  });

  test('what RFC 7606 takes for withdrawn: the session lives, the prefixes go', () => {
    const rest = (without: string): string[] => good.filter((each) => each !== without);
    const cases: readonly (readonly [string, readonly string[], string, UpdateContext?])[] = [
      ['ORIGIN of two bytes', [...rest(origin), '4001 02 0000'], 'ORIGIN has 2 bytes'],
      ['ORIGIN 3', [...rest(origin), '4001 01 03'], 'ORIGIN is 3'],
      ['ORIGIN empty', [...rest(origin), '4001 00'], 'ORIGIN has 0 bytes'],
      ['no ORIGIN', rest(origin), 'ORIGIN is missing'],
      ['no AS_PATH', rest(asPath), 'AS_PATH is missing'],
      ['no NEXT_HOP', rest(hop), 'NEXT_HOP is missing'],
      ['AS_PATH with a segment of type 5', [...rest(asPath), '4002 06 0501 0000fde9'], 'AS_PATH is malformed'],
      ['a confederation', [...rest(asPath), '4002 06 0301 0000fde9'], 'AS_PATH is malformed'],
      ['AS_PATH cut', [...rest(asPath), '4002 06 0202 0000fde9'], 'AS_PATH is malformed'],
      ['AS_PATH with one byte more', [...rest(asPath), '4002 07 0201 0000fde9 02'], 'AS_PATH is malformed'],
      ['an empty segment', [...rest(asPath), '4002 02 0200'], 'AS_PATH is malformed'],
      ['AS 0', [...rest(asPath), '4002 0a 0202 0000fde9 00000000'], 'AS_PATH is malformed'],
      ['an empty AS_PATH from outside', [...rest(asPath), '4002 00'], 'begins with AS none'],
      ["another's AS first", [...rest(asPath), '4002 06 0201 0000fdea'], 'begins with AS 65002'],
      ['NEXT_HOP of three bytes', [...rest(hop), '4003 03 c00002'], 'NEXT_HOP has 3 bytes'],
      ['NEXT_HOP 0.0.0.0', [...rest(hop), '4003 04 00000000'], 'NEXT_HOP is 0.0.0.0'],
      ['NEXT_HOP of a group', [...rest(hop), '4003 04 e0000001'], 'NEXT_HOP is 224.0.0.1'],
      ['MED of five bytes', [...good, '8004 05 0000000000'], 'MULTI_EXIT_DISC has 5 bytes'],
      ['COMMUNITIES of six bytes', [...good, 'c008 06 000100010001'], 'COMMUNITIES has 6 bytes'],
      ['COMMUNITIES empty', [...good, 'c008 00'], 'COMMUNITIES has 0 bytes'],
      ['EXTENDED COMMUNITIES of four', [...good, 'c010 04 00010001'], 'EXTENDED COMMUNITIES has 4 bytes'],
      ['LARGE_COMMUNITY of four', [...good, 'c020 04 00010001'], 'LARGE_COMMUNITY has 4 bytes'],
      ['LOCAL_PREF of three bytes within', [...good, '4005 03 000000'], 'LOCAL_PREF has 3 bytes', INTERNAL],
      ['ORIGINATOR_ID of three bytes', [...good, '8009 03 000000'], 'ORIGINATOR_ID has 3 bytes', INTERNAL],
      ['CLUSTER_LIST of three bytes', [...good, '800a 03 000000'], 'CLUSTER_LIST has 3 bytes', INTERNAL],
      ['flags of another kind', [...rest(origin), 'c001 01 00'], 'attribute 1 has wrong flags'],
      ['an attribute longer than what is left', [...good, '8004 09 00'], 'attribute 4 is longer than what is left'],
      ['half an attribute', [...good, '80'], 'the attributes end within one'],
      [
        'MP_REACH via a link-local address',
        [...good, mp(undefined, '10 fe800000000000000000000000000001')],
        'the next hop is fe80::1',
      ],
    ];
    for (const [name, attributes, word, context = EXTERNAL] of cases) {
      const update = decodeUpdate(updateOf(attributes, '18 0a0100', '08 0b'), context);
      assert.deepEqual(update.reached, [], name);
      assert.deepEqual(update.withdrawn.slice(0, 1), ['11.0.0.0/8'], name);
      assert.ok(update.withdrawn.includes('10.1.0.0/24'), name);
      assert.ok(
        update.faults.some((line) => line === `taken for withdrawn: ${line.slice(21)}` && line.includes(word)),
        `${name}: ${update.faults.join()}`,
      );
    }
  });

  test('what it only leaves out', () => {
    for (const [attributes, word] of [
      [['4006 01 00'], 'ATOMIC_AGGREGATE with contents'],
      [['c007 06 fde9 c0000202'], 'AGGREGATOR of a wrong size'],
      [[origin], 'attribute 1 a second time'],
      [['4011 06 0201 0000fde9'], 'attribute 17 with wrong flags'],
    ] as const) {
      const { reached, faults } = decodeUpdate(updateOf([...good, ...attributes]), EXTERNAL);
      assert.deepEqual([reached.length, faults], [1, [`left out: ${word}`]]);
    }
    // from outside nobody's business: whatever they look like
    const quiet = decodeUpdate(updateOf([...good, '4005 01 00', '8009 01 00', '800a 01 00', 'c0ee 01 00']), EXTERNAL);
    assert.deepEqual([quiet.reached.length, quiet.faults, quiet.attributes.localPref], [1, [], undefined]);
    // an AS4_PATH that is none, of a peer with two bytes
    const two = decodeUpdate(updateOf([origin, '4002 04 0201 fde9', hop, 'c011 02 0900']), { ...EXTERNAL, as4: false });
    assert.deepEqual([two.reached.length, two.faults], [1, ['left out: a malformed AS4_PATH']]);
    // the wide form of a length says the same
    assert.equal(decodeUpdate(updateOf(['5001 0001 00', asPath, hop]), EXTERNAL).reached.length, 1);
  });

  test('what ends the session, since it is not certain which prefixes are meant', () => {
    for (const [name, body, word] of [
      ['withdrawn routes too long', bytes('0005 0000'), 'malformed attribute list'],
      ['attributes too long', bytes('0000 0009 40'), 'malformed attribute list'],
      ['no room for their length', bytes('0001 08 00'), 'malformed attribute list'],
      ['a prefix of 33 bits', updateOf(good, '21 0a01000000'), 'invalid network field'],
      ['a prefix cut', updateOf(good, '18 0a01'), 'invalid network field'],
      ['a withdrawn prefix cut', updateOf([], '', '18 0a01'), 'invalid network field'],
      ['MP_REACH twice', updateOf([...good, mp(), mp()]), 'malformed attribute list'],
      ['an unknown well-known attribute', updateOf([...good, '4063 00']), 'unrecognised well-known'],
      ['MP_REACH of two bytes', updateOf([...good, '800e 02 0002']), 'optional attribute'],
      ['MP_REACH with a next hop of 7 bytes', updateOf([...good, mp('', '07 00000000000000')]), 'optional attribute'],
      ['MP_REACH with a prefix of 129 bits', updateOf([...good, mp('81')]), 'optional attribute'],
      ['MP_UNREACH cut', updateOf([...good, '800f 02 0002']), 'optional attribute'],
      ['MP_UNREACH with a prefix cut', updateOf([...good, '800f 04 0002 01 40']), 'optional attribute'],
      [
        'an IPv6 next hop that nobody offered',
        updateOf([...good, '800e 15 0001 01 10 20010db8000000000000000000000002 00']),
        'optional attribute',
      ],
      ['an error, and no prefix', updateOf(['4001 01 09'], ''), 'malformed attribute list'],
    ] as const)
      assert.throws(
        () => decodeUpdate(body, EXTERNAL),
        (error) => error instanceof BgpError && error.code === 'EBADBGP' && error.message.includes(word),
        name,
      );
  });

  test('prefixes that nobody can route, and families that were not agreed upon, are passed over', () => {
    const odd = decodeUpdate(updateOf(good, '08 7f 04 e0 20 00000001 18 0a0100 00'), EXTERNAL);
    assert.deepEqual(odd.reached[0]?.prefixes, ['10.1.0.0/24', '0.0.0.0/0']);
    const six = decodeUpdate(updateOf([origin, asPath, mp('08ff 0afe80 40fd00000100000000 00')], ''), EXTERNAL);
    assert.deepEqual(six.reached[0]?.prefixes, ['fd00:1::/64', '::/0']);
    assert.deepEqual(decodeUpdate(updateOf([origin, asPath, mp()], ''), { ...EXTERNAL, families: [4] }).reached, []);
    assert.deepEqual(decodeUpdate(updateOf([...good, '800e 05 0019 46 00 00']), EXTERNAL).reached.length, 1);
    // bits behind the length do not make another prefix, and twice is once
    assert.deepEqual(decodeUpdate(updateOf(good, '14 0a01ff 14 0a01f0'), EXTERNAL).reached[0]?.prefixes, [
      '10.1.240.0/20',
    ]);
  });

  test('ends of RIB, IPv4 by the extended next hop, and the path of a peer with two bytes', () => {
    assert.equal(decodeUpdate(bytes('0000 0000'), EXTERNAL).endOfRib, 4);
    assert.equal(decodeUpdate(updateOf(['800f 03 0002 01'], ''), EXTERNAL).endOfRib, 6);
    assert.equal(decodeUpdate(updateOf(['800f 03 0019 46'], ''), EXTERNAL).endOfRib, undefined);
    const extended = { ...EXTERNAL, extendedNextHop: true };
    const four = '800e 19 0001 01 10 20010db8000000000000000000000002 00 18 0a0100';
    assert.deepEqual(decodeUpdate(updateOf([origin, asPath, four], ''), extended).reached, [
      { prefixes: ['10.1.0.0/24'], nextHop: '2001:db8::2' },
    ]);
    const old = updateOf([origin, '4002 06 0202 fde9 5ba0', hop, 'c011 06 0201 00011170']);
    assert.equal(pathText(decodeUpdate(old, { ...EXTERNAL, as4: false }).attributes.path), '65001 70000');
  });
});
