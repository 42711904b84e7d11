import assert from 'node:assert/strict';
import { test } from 'node:test';
import { damaged, dice, fuzzCases } from '../../test/lib/dice.ts';
import { Adjacency } from './adjacency.ts';
import { announceFrames } from './encode.ts';
import { BgpError } from './errors.ts';
import { type Frame, Framer } from './framer.ts';
import { decodeNotification, wordsOf } from './notification.ts';
import { decodeOpen, encodeOpen } from './open.ts';
import { decodeUpdate } from './update.ts';
import { concat, HEADER, MAX_MESSAGE, TYPE } from './wire.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
/** As FRR 8.4 and BIRD 2.0 sent them to us, without their headers. */
const OPENS = [
  '04fde90003c00002025402060104000100010206010400020001020280000202020002024600020641040000fde902020600020a450800010101000201010206490402766d0002044002c0780210470e0001018000000000020180000000',
  '04fde90003c00002022602240104000100010104000200010200400a8078000101800002018041040000fde946004700',
].map(hex);
const UPDATES = [
  '0000001c400101005002000602010000fde9400304c000020280040400000000180a0100',
  '00000037900e001e0002011020010db80000000000000000000000020040fd00000100000000400101005002000602010000fde980040400000000',
  '00000020400101005002000a02020000fde90000fdf2400304c0000202c00804fdf20001180a0a00',
  '000000144001010040020602010000fde9400304c0000202180a0100',
  '0000002f900e001e0002011020010db80000000000000000000000020040fd000001000000004001010040020602010000fde9',
  '00000006800f03000201',
  '00000000',
].map(hex);
const OWN = announceFrames(
  Array.from({ length: 40 }, (_, i) => `10.${i}.0.0/16`),
  {
    ...{ nextHop: '192.0.2.2', med: 1, localPref: 2, communities: ['1:2', '3:4'] },
    path: [
      { kind: 'sequence', asns: [65001, 70_000, 3] },
      { kind: 'set', asns: [4, 5] },
    ],
  },
  false,
).map((frame) => frame.slice(HEADER));

function frame(type: number, body: Uint8Array): Uint8Array {
  const head = new Uint8Array(HEADER).fill(0xff, 0, 16);
  const size = HEADER + body.length;
  head.set([size >> 8, size & 0xff, type], 16);
  return concat([head, body]);
}

test('damaged messages: a typed error or a sane reading, and none takes long', { timeout: 60_000 }, () => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 0xffff_ffff);
  const roll = dice(seed);
  const counts = { read: 0, faults: 0, refused: 0, sessions: 0 };
  const settings = {
    ...{ localAs: 65010, routerId: '192.0.2.1', allowOwnAs: 0, accept: [], address: '192.0.2.2', asn: 65001 },
    ...{ passive: true, holdTime: 90, families: [4, 6] as const, extendedNextHop: true, retry: 10, maxPrefixes: 60 },
    ...{ restartTime: 60, restartingUntil: 0 },
  };
  let adjacency: Adjacency | undefined;
  let link = 0;
  let now = 0;
  const session = (open: Uint8Array): Adjacency => {
    // one that rests is woken; whatever happened before, a right OPEN brings it up
    if (!adjacency || counts.sessions % 50 === 0) {
      adjacency = new Adjacency(settings, new Map([['10.10.0.0/24', {}]]), () => 1, {
        changed: () => undefined,
        turned: () => undefined,
        fault: () => counts.faults++,
      });
      adjacency.start(now);
    }
    if (adjacency.state === 'established') return adjacency;
    counts.sessions++;
    while (adjacency.state === 'idle') adjacency.tick((now = Math.max(now, adjacency.wake)));
    adjacency.accepted(++link, now);
    adjacency.received(link, { type: TYPE.OPEN, body: open }, [], now);
    adjacency.received(link, { type: TYPE.KEEPALIVE, body: new Uint8Array() }, [], now);
    return adjacency;
  };
  const READERS: readonly (readonly [string, readonly Uint8Array[], (bytes: Uint8Array, turn: number) => void])[] = [
    [
      'OPEN',
      OPENS,
      (bytes) => {
        if (bytes.length < 10) return; // the framer refuses it
        const open = decodeOpen(bytes);
        assert.ok(open.asn > 0 && open.families.length <= 2 && decodeOpen(encodeOpen(open)).asn === open.asn);
      },
    ],
    [
      'UPDATE',
      [...UPDATES, ...OWN],
      (bytes, turn) => {
        if (bytes.length < 4) return;
        const update = decodeUpdate(bytes, {
          ...{ internal: turn % 2 === 0, peerAs: 65001, as4: turn % 3 !== 0, extendedNextHop: turn % 5 === 0 },
          families: turn % 7 === 0 ? [4] : [4, 6],
        });
        const all = [...update.withdrawn, ...update.reached.flatMap(({ prefixes }) => prefixes)];
        assert.ok(all.length <= MAX_MESSAGE * 2 && all.every((prefix) => /^[0-9a-f.:]+\/\d+$/.test(prefix)));
        assert.ok(update.faults.length < 50);
      },
    ],
    ['NOTIFICATION', [hex('0602056279652e2e')], (bytes) => assert.ok(wordsOf(decodeNotification(bytes)).length < 400)],
    [
      'a stream',
      [concat([...UPDATES.map((body) => frame(TYPE.UPDATE, body)), frame(TYPE.KEEPALIVE, new Uint8Array())])],
      (bytes, turn) => {
        const framer = new Framer();
        const cut = turn % (bytes.length + 1);
        for (const part of [bytes.subarray(0, cut), bytes.subarray(cut)])
          framer.push(part, ({ body }) => body.length <= MAX_MESSAGE - HEADER);
      },
    ],
    [
      'a session',
      [...UPDATES, ...OWN, ...OPENS],
      (bytes, turn) => {
        const one = session(OPENS[turn % 2]!);
        assert.equal(one.state, 'established');
        const types = [
          TYPE.UPDATE,
          TYPE.UPDATE,
          TYPE.UPDATE,
          TYPE.REFRESH,
          TYPE.NOTIFICATION,
          TYPE.OPEN,
          TYPE.KEEPALIVE,
        ];
        const type = types[turn % types.length]!;
        if (bytes.length < (type === TYPE.OPEN ? 10 : type === TYPE.NOTIFICATION ? 2 : 4)) return;
        const message: Frame = { type, body: bytes };
        const actions = one.received(link, message, ['192.0.2.1'], ++now);
        for (const frameOut of one.outgoing('192.0.2.1')) assert.ok(frameOut.length <= MAX_MESSAGE);
        assert.ok(one.routes.size <= 2 * settings.maxPrefixes && actions.length < 10);
        assert.ok(one.routes.count(4) + one.routes.count(6) === one.routes.size);
      },
    ],
  ];
  const began = process.cpuUsage();
  const cases = fuzzCases(100_000);
  // building a stack for each error would be most of the time
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    for (let i = 0; i < cases; i++) {
      const [name, wholes, read] = READERS[i % READERS.length]!;
      const bytes = damaged(wholes[roll(wholes.length)]!, roll);
      try {
        read(bytes, Math.floor(i / READERS.length));
        counts.read++;
      } catch (error) {
        if (!(error instanceof BgpError))
          assert.fail(
            `${name} with FUZZ_SEED=${seed}, case ${i}: ${Buffer.from(bytes).toString('hex')}: ${String(error)}`,
          );
        counts.refused++;
      }
    }
  } finally {
    Error.stackTraceLimit = limit;
  }
  assert.ok(
    counts.read > cases / 5 && counts.refused > cases / 10 && counts.sessions > cases / 1000,
    JSON.stringify(counts),
  );
  assert.ok(counts.faults > cases / 1000, JSON.stringify(counts));
  // of the processor's time, since the clock on the wall tells of others
  const { user } = process.cpuUsage(began);
  assert.ok(user < 30_000_000, `${user / 1e6} s`);
});
