import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Frame } from './framer.ts';
import { type MachineSettings, PeerMachine, type PeerAction } from './machine.ts';
import { CEASE, decodeNotification, encodeNotification, ERROR, wordsOf } from './notification.ts';
import { encodeOpen, type Open } from './open.ts';
import { HEADER, of16, TYPE } from './wire.ts';

const OPEN: Open = {
  ...{ asn: 65010, id: '192.0.2.1', holdTime: 9, families: [4, 6], as4: true, refresh: true, extendedNextHop: false },
};
const THEIRS: Open = { ...OPEN, asn: 65001, id: '192.0.2.2' };
const RESTARTS: Open = {
  ...THEIRS,
  restart: { restarting: false, time: 10, families: [{ family: 4, forwarding: true }] },
};

function machine(settings: Partial<MachineSettings> = {}, random = () => 1): PeerMachine {
  return new PeerMachine({ peerAs: 65001, passive: false, retry: 1000, open: () => OPEN, ...settings }, random);
}
/** What is done, in short: `send OPEN 1`, `close 1`. */
function told(actions: readonly PeerAction[]): string[] {
  return actions.map((action) => {
    if (action.kind === 'send') {
      const { frame, link } = action;
      const names = ['', 'OPEN', 'UPDATE', 'NOTIFICATION', 'KEEPALIVE'];
      const words = frame[18] === TYPE.NOTIFICATION ? ` (${wordsOf(decodeNotification(frame.subarray(HEADER)))})` : '';
      return `send ${names[frame[18]!]} ${link}${words}`;
    }
    if (action.kind === 'down') return `down${action.restarts ? ', restarts' : ''}: ${action.ending.words}`;
    if (action.kind === 'failed') return `failed: ${action.ending.words}`;
    return 'link' in action ? `${action.kind} ${action.link}` : action.kind;
  });
}
const open = (of: Open = THEIRS): Frame => ({ type: TYPE.OPEN, body: encodeOpen(of) });
const keepalive: Frame = { type: TYPE.KEEPALIVE, body: new Uint8Array() };
const notification = (code: number, subcode: number): Frame => ({
  type: TYPE.NOTIFICATION,
  body: encodeNotification({ code, subcode }),
});

function established(of: Open = THEIRS): PeerMachine {
  const one = machine();
  one.start(0);
  one.connected(1, 0);
  one.received(1, open(of), 0);
  one.received(1, keepalive, 0);
  assert.equal(one.state, 'established');
  return one;
}

test('a peer that rests after an error is not refused in turn: it is tried again, and taken when it comes', () => {
  const one = machine();
  one.start(0);
  one.connected(1, 10);
  one.received(1, notification(ERROR.CEASE, CEASE.REJECTED), 20);
  assert.equal(one.state, 'active');
  assert.deepEqual(told(one.accepted(2, 30)), ['send OPEN 2']);
  one.received(2, notification(ERROR.CEASE, CEASE.REJECTED), 40);
  assert.deepEqual([one.wake, told(one.tick(1040))], [1040, ['connect']]);
});

describe('a session', () => {
  test('comes up, is kept alive at a third of the hold time, and ends when nothing is heard', () => {
    const one = machine();
    assert.equal(one.state, 'idle');
    assert.deepEqual([told(one.start(0)), one.state], [['connect'], 'connect']);
    assert.deepEqual([told(one.connected(1, 10)), one.state], [['send OPEN 1'], 'opensent']);
    assert.deepEqual(told(one.received(1, open({ ...THEIRS, holdTime: 6 }), 20)), ['send KEEPALIVE 1']);
    assert.equal(one.state, 'openconfirm');
    assert.deepEqual([told(one.received(1, keepalive, 30)), one.state], [['up 1'], 'established']);
    assert.equal(one.session?.holdTime, 6);
    assert.equal(one.wake, 2020);
    assert.deepEqual(told(one.tick(2020)), ['send KEEPALIVE 1']);
    one.received(1, keepalive, 5000);
    assert.deepEqual(told(one.tick(6031)), ['send KEEPALIVE 1'], 'what was heard counts');
    assert.deepEqual(told(one.tick(11_000)), [
      'send NOTIFICATION 1 (hold timer expired)',
      'close 1',
      'down: hold timer expired: nothing was heard for 6 s',
    ]);
    assert.equal(one.state, 'idle');
    assert.deepEqual(told(one.tick(one.wake)), ['connect']);
  });

  test('with a hold time of 0 nobody waits and nobody is kept alive', () => {
    const one = machine();
    one.start(0);
    one.connected(1, 0);
    one.received(1, open({ ...THEIRS, holdTime: 0 }), 0);
    one.received(1, keepalive, 0);
    assert.equal(one.wake, Infinity);
  });

  test('tries again and again, and gives up a try that takes too long', () => {
    const one = machine();
    one.start(0);
    assert.deepEqual(told(one.unreachable('refused', 5)), ['failed: refused']);
    assert.deepEqual([one.state, one.wake], ['active', 1005]);
    assert.deepEqual([told(one.tick(1005)), one.state], [['connect'], 'connect']);
    assert.deepEqual(told(one.tick(2005)), ['abandon', 'connect']);
    // a quarter less at the most
    const early = machine({}, () => 0);
    early.start(0);
    assert.equal(early.wake, 750);
  });

  test('passive: waits, and never connects', () => {
    const one = machine({ passive: true });
    assert.deepEqual([told(one.start(0)), one.state, one.wake], [[], 'active', Infinity]);
    assert.deepEqual(told(one.accepted(1, 0)), ['send OPEN 1']);
    one.lost(1, 'gone', 5);
    assert.deepEqual([one.state, one.wake], ['active', Infinity]);
  });

  test('stopped: says why, or nothing at all', () => {
    const quiet = established();
    assert.deepEqual(told(quiet.stop(undefined, 'ends')), ['close 1', 'down: ends']);
    assert.deepEqual([quiet.state, quiet.wake], ['idle', Infinity]);
    const loud = established();
    assert.deepEqual(told(loud.stop({ code: ERROR.CEASE, subcode: CEASE.SHUTDOWN }, 'ends')).slice(0, 1), [
      'send NOTIFICATION 1 (cease: administrative shutdown)',
    ]);
    assert.deepEqual(told(loud.accepted(2, 1)), ['send NOTIFICATION 2 (cease: connection rejected)', 'close 2']);
    const trying = machine();
    trying.start(0);
    assert.deepEqual(told(trying.stop(undefined, 'ends')), ['abandon']);
    assert.deepEqual(told(trying.connected(3, 1)), ['close 3'], 'one that came all the same');
  });
});

describe('who is not welcome', () => {
  const refused = (of: Open): string[] => {
    const one = machine();
    one.start(0);
    one.connected(1, 0);
    const actions = told(one.received(1, open(of), 0));
    assert.equal(one.state, 'idle');
    return actions;
  };
  test('another AS, our own identifier, no family in common', () => {
    assert.deepEqual(refused({ ...THEIRS, asn: 65002 }), [
      'send NOTIFICATION 1 (OPEN: bad peer AS)',
      'close 1',
      'failed: OPEN: bad peer AS: it is AS 65002, and AS 65001 is expected',
    ]);
    const six = machine({ open: () => ({ ...OPEN, families: [6] }) });
    six.start(0);
    six.connected(1, 0);
    assert.match(told(six.received(1, open({ ...THEIRS, families: [4] }), 0))[0]!, /unsupported capability/);
    const inside = machine({ peerAs: 65010 });
    inside.start(0);
    inside.connected(1, 0);
    assert.match(told(inside.received(1, open(OPEN), 0))[0]!, /bad BGP identifier/);
  });

  test('messages out of turn, in each state', () => {
    for (const [frames, words] of [
      [[keepalive], 'unexpected message in OpenSent'],
      [[open(), open()], 'unexpected message in OpenConfirm'],
      [[open(), { type: TYPE.UPDATE, body: of16(0, 0) }], 'unexpected message in OpenConfirm'],
      [[open(), keepalive, open()], 'unexpected message in Established'],
      [[open(), keepalive, { type: TYPE.UPDATE, body: of16(9, 0) }], 'malformed attribute list'],
      [[open(), keepalive, { type: TYPE.REFRESH, body: of16(9) }], 'ROUTE-REFRESH: invalid message length'],
    ] as const) {
      const one = machine();
      one.start(0);
      one.connected(1, 0);
      const actions = frames.map((frame) => told(one.received(1, frame, 0)));
      assert.ok(actions.at(-1)![0]!.includes(words), `${words}: ${actions.at(-1)!.join()}`);
      assert.equal(one.state, 'idle');
    }
  });

  test('is left alone for longer each time, up to a minute; one that was steady is not', () => {
    const one = machine();
    let now = 0;
    one.start(now);
    const waits: number[] = [];
    for (let i = 1; i <= 9; i++) {
      one.connected(i, now);
      one.received(i, notification(2, 2), now);
      waits.push(one.wake - now);
      now = one.wake;
      assert.deepEqual(told(one.tick(now)), ['connect']);
    }
    assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
    one.connected(20, now);
    one.received(20, open({ ...THEIRS, holdTime: 0 }), now);
    one.received(20, keepalive, now);
    one.received(20, notification(6, 4), now + 130_000);
    assert.equal(one.wake, now + 131_000);
  });

  test('says nothing after the connection: the OPEN is waited for four minutes', () => {
    const one = machine();
    one.start(0);
    one.connected(1, 0);
    assert.equal(one.wake, 240_000);
    assert.match(told(one.tick(240_000))[0]!, /hold timer expired/);
  });
});

describe('two connections at once', () => {
  /** Ours is 1, the peer's is 2. */
  const both = (ours: Open, theirs: Open): PeerMachine => {
    const one = machine({ open: () => ours, peerAs: theirs.asn });
    one.start(0);
    one.connected(1, 0);
    one.accepted(2, 0);
    return one;
  };
  test('that of the higher identifier stays, whichever speaks first', () => {
    const higher: Open = { ...THEIRS, id: '192.0.3.0' };
    const lower: Open = { ...THEIRS, id: '10.0.0.1' };
    const cease = (link: number): string[] => [
      `send NOTIFICATION ${link} (cease: connection collision)`,
      `close ${link}`,
    ];
    for (const [theirs, order, expected] of [
      [higher, [1, 2], [...cease(1), 'send KEEPALIVE 2']],
      [higher, [2, 1], cease(1)],
      [lower, [1, 2], cease(2)],
      [lower, [2, 1], [...cease(2), 'send KEEPALIVE 1']],
      // the same identifier in another AS: the higher AS (RFC 6286)
      [{ ...lower, id: OPEN.id }, [1, 2], cease(2)],
      [{ ...lower, id: OPEN.id, asn: 70_000 }, [1, 2], [...cease(1), 'send KEEPALIVE 2']],
    ] as const) {
      const one = both(OPEN, theirs);
      const [first, second] = order;
      assert.deepEqual(told(one.received(first, open(theirs), 0)), [`send KEEPALIVE ${first}`]);
      assert.deepEqual(told(one.received(second, open(theirs), 0)), expected, JSON.stringify([theirs.id, order]));
      assert.equal(one.state, 'openconfirm');
    }
  });

  test('once one is up, the other goes, and so does the try to connect', () => {
    const one = both(OPEN, THEIRS);
    one.received(2, open(), 0);
    assert.deepEqual(told(one.received(2, keepalive, 0)), [
      'send NOTIFICATION 1 (cease: connection collision)',
      'close 1',
      'up 2',
    ]);
    const trying = machine();
    trying.start(0);
    trying.accepted(2, 0);
    trying.received(2, open(), 0);
    assert.deepEqual(told(trying.received(2, keepalive, 0)), ['abandon', 'up 2']);
    assert.deepEqual(told(trying.connected(3, 0)), ['close 3']);
  });

  test('the peer that loses a collision does not make us rest', () => {
    const one = both(OPEN, THEIRS);
    one.received(2, open(), 0);
    one.received(1, notification(ERROR.CEASE, CEASE.COLLISION), 0);
    assert.equal(one.state, 'openconfirm');
    assert.deepEqual(told(one.received(2, keepalive, 0)), ['up 2']);
  });

  test('a peer that connects anew while we wait for its OPEN is believed', () => {
    const one = machine({ passive: true });
    one.start(0);
    one.accepted(1, 0);
    assert.deepEqual(told(one.accepted(2, 1)), ['close 1', 'failed: the peer connected anew', 'send OPEN 2']);
    one.received(2, open(), 2);
    assert.deepEqual(told(one.accepted(3, 3)), ['send NOTIFICATION 3 (cease: connection collision)', 'close 3']);
  });

  test('beside a session: refused, unless the peer announced restarts; then its OPEN ends the old one', () => {
    const plain = established();
    assert.deepEqual(told(plain.accepted(2, 1)), ['send OPEN 2']);
    assert.deepEqual(told(plain.received(2, open(), 1)), [
      'send NOTIFICATION 2 (cease: connection collision)',
      'close 2',
    ]);
    assert.equal(plain.state, 'established');
    const restarts = established(RESTARTS);
    restarts.accepted(2, 1);
    assert.equal(restarts.state, 'established', 'a mere connection ends nothing');
    assert.deepEqual(told(restarts.received(2, open(RESTARTS), 1)), [
      'close 1',
      'down, restarts: the peer connected anew',
      'send KEEPALIVE 2',
    ]);
    assert.deepEqual(told(restarts.received(2, keepalive, 1)), ['up 2']);
  });
});

test('only a silent end leaves the routes, and only of a peer that announced restarts', () => {
  for (const [of, end, kept] of [
    [RESTARTS, (one: PeerMachine) => one.lost(1, 'reset', 1), true],
    [THEIRS, (one: PeerMachine) => one.lost(1, 'reset', 1), false],
    [RESTARTS, (one: PeerMachine) => one.received(1, notification(6, 2), 1), false],
    [RESTARTS, (one: PeerMachine) => one.tick(60_000), false],
  ] as const) {
    const one = established(of);
    const down = end(one).find((action) => action.kind === 'down');
    assert.equal(down?.kind === 'down' && down.restarts, kept);
  }
  // and the peer may come back at once: no rest
  const one = established(RESTARTS);
  one.lost(1, 'reset', 1);
  assert.equal(one.state, 'active');
  assert.deepEqual(told(one.accepted(2, 2)), ['send OPEN 2']);
});

test('ROUTE-REFRESH is heard for families that were agreed upon, other subtypes are not', () => {
  const one = established();
  const refresh = (hex: string): PeerAction[] =>
    one.received(1, { type: TYPE.REFRESH, body: Uint8Array.from(Buffer.from(hex, 'hex')) }, 1);
  assert.deepEqual(refresh('00010001'), [{ kind: 'refresh', family: 4 }]);
  assert.deepEqual(refresh('00020001'), [{ kind: 'refresh', family: 6 }]);
  for (const other of ['00010101', '00190046', '00010002']) assert.deepEqual(refresh(other), []);
  assert.equal(one.state, 'established');
});
