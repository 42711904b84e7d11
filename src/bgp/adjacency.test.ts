import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Adjacency, type AdjacencySettings, type LinkAction } from './adjacency.ts';
import { best, type LearnedRoute } from './best.ts';
import { announceFrames, endOfRibFrame, type Outgoing, withdrawFrames } from './encode.ts';
import type { Frame } from './framer.ts';
import type { Ending } from './machine.ts';
import { decodeNotification, wordsOf } from './notification.ts';
import { decodeOpen, encodeOpen, type Open } from './open.ts';
import type { Announcement } from './rib-out.ts';
import { RouteTable } from './table.ts';
import { decodeUpdate } from './update.ts';
import { HEADER, TYPE } from './wire.ts';

const SETTINGS: AdjacencySettings = {
  ...{ localAs: 65010, routerId: '192.0.2.1', allowOwnAs: 0, accept: [], address: '192.0.2.2', asn: 65001 },
  ...{ passive: true, holdTime: 0, families: [4, 6], extendedNextHop: false, retry: 1000, maxPrefixes: 100 },
  ...{ restartTime: 60, restartingUntil: 0 },
};
const OPEN: Open = {
  ...{ asn: 65001, id: '192.0.2.2', holdTime: 0, families: [4, 6], as4: true, refresh: true, extendedNextHop: false },
};
const restarting = (forwarding: readonly (4 | 6)[], time = 10, now = false): Open => ({
  ...OPEN,
  restart: {
    ...{ restarting: now, time },
    families: ([4, 6] as const).map((family) => ({ family, forwarding: forwarding.includes(family) })),
  },
});
const PATH: Outgoing = { path: [{ kind: 'sequence', asns: [65001] }], nextHop: '192.0.2.2' };

class Bench {
  readonly own: Map<string, Announcement> = new Map();
  readonly endings: (Ending | undefined)[] = [];
  readonly faults: string[] = [];
  readonly changed: Set<string> = new Set();
  readonly one: Adjacency;
  link = 0;

  constructor(settings: Partial<AdjacencySettings> = {}) {
    this.one = new Adjacency({ ...SETTINGS, ...settings }, this.own, () => 1, {
      changed: (prefixes) => prefixes.forEach((prefix) => this.changed.add(prefix)),
      turned: (ending) => this.endings.push(ending),
      fault: (line) => this.faults.push(line),
    });
    this.one.start(0);
  }
  up(open: Open, now = 0): LinkAction[] {
    const actions = this.one.accepted(++this.link, now);
    this.hear({ type: TYPE.OPEN, body: encodeOpen(open) }, now);
    this.hear({ type: TYPE.KEEPALIVE, body: new Uint8Array() }, now);
    assert.equal(this.one.state, 'established');
    return actions;
  }
  hear(frame: Frame, now = 0): LinkAction[] {
    return this.one.received(this.link, frame, ['192.0.2.1'], now);
  }
  learn(prefixes: readonly string[], what: Outgoing = PATH, now = 0): LinkAction[] {
    return announceFrames(prefixes, what, true).flatMap((frame) => this.update(frame, now));
  }
  update(frame: Uint8Array, now = 0): LinkAction[] {
    return this.hear({ type: TYPE.UPDATE, body: frame.slice(HEADER) }, now);
  }
  has(prefix: string): string {
    const route = this.one.routes.get(prefix);
    return route ? (route.stale ? 'stale' : 'fresh') : 'none';
  }
}

describe('what is taken', () => {
  test('not through our own AS, not by ourselves, not what we brought in, not beyond what is accepted', () => {
    const bench = new Bench({ accept: ['10.0.0.0/8', 'fd00::/8'] });
    bench.up(OPEN);
    bench.learn(['10.1.0.0/24', '11.1.0.0/24', '0.0.0.0/0']);
    bench.learn(['10.2.0.0/24'], { ...PATH, path: [{ kind: 'sequence', asns: [65001, 65010] }] });
    bench.learn(['10.3.0.0/24'], { ...PATH, nextHop: '192.0.2.1' });
    bench.learn(['fd00:1::/64'], { ...PATH, nextHop: '2001:db8::2' });
    const has = (...prefixes: string[]): string[] => prefixes.map((prefix) => bench.has(prefix));
    assert.deepEqual(has('10.1.0.0/24', '11.1.0.0/24', '0.0.0.0/0'), ['fresh', 'none', 'none']);
    assert.deepEqual(has('10.2.0.0/24', '10.3.0.0/24', 'fd00:1::/64'), ['none', 'none', 'fresh']);
    // one that is replaced by what is not taken goes
    bench.learn(['10.1.0.0/24'], { ...PATH, path: [{ kind: 'sequence', asns: [65001, 65010] }] });
    assert.equal(bench.has('10.1.0.0/24'), 'none');
    const several = new Bench({ allowOwnAs: 1 });
    several.up(OPEN);
    several.learn(['10.2.0.0/24'], { ...PATH, path: [{ kind: 'sequence', asns: [65001, 65010] }] });
    assert.equal(several.has('10.2.0.0/24'), 'fresh');
  });

  test('a malformed UPDATE takes its prefixes away, and says so', () => {
    const bench = new Bench();
    bench.up(OPEN);
    bench.learn(['10.1.0.0/24']);
    bench.learn(['10.1.0.0/24'], { ...PATH, path: [{ kind: 'sequence', asns: [65009] }] });
    assert.equal(bench.has('10.1.0.0/24'), 'none');
    assert.match(bench.faults[0]!, /begins with AS 65009/);
    assert.equal(bench.one.state, 'established');
  });

  test('one prefix too many ends the session, and what came goes', () => {
    const bench = new Bench({ maxPrefixes: 3 });
    bench.up(OPEN);
    const prefixes = Array.from({ length: 4 }, (_, i) => `10.${i}.0.0/24`);
    assert.deepEqual(bench.learn(prefixes.slice(0, 3)), []);
    const [sent] = bench.learn(prefixes);
    assert.ok(sent?.kind === 'send');
    const told = decodeNotification(sent.frame.subarray(HEADER));
    assert.equal(wordsOf(told), 'cease: maximum number of prefixes reached');
    assert.equal(Buffer.from(told.data!).toString('hex'), '00010100000003');
    assert.deepEqual([bench.one.routes.size, bench.one.state, bench.one.wake], [0, 'idle', 300_000]);
    assert.equal(bench.endings.at(-1)?.words, 'more than 3 IPv4 prefixes');
  });
});

describe('a neighbour that restarts', () => {
  const kept = (open: Open = restarting([])): Bench => {
    const bench = new Bench();
    bench.up(open);
    bench.learn(['10.1.0.0/24', '10.2.0.0/24']);
    bench.learn(['fd00:1::/64'], { ...PATH, nextHop: '2001:db8::2' });
    bench.changed.clear();
    bench.one.lost(bench.link, 'reset', 1000);
    return bench;
  };
  const states = (bench: Bench): string[] =>
    ['10.1.0.0/24', '10.2.0.0/24', 'fd00:1::/64'].map((each) => bench.has(each));

  test('its routes stay, and those that it does not tell again go at the end of each family', () => {
    const bench = kept();
    assert.deepEqual([states(bench), [...bench.changed]], [['stale', 'stale', 'stale'], []]);
    bench.up(restarting([4, 6], 10, true), 5000);
    bench.learn(['10.1.0.0/24'], PATH, 6000);
    assert.deepEqual(states(bench), ['fresh', 'stale', 'stale']);
    bench.update(endOfRibFrame(4), 6000);
    assert.deepEqual(states(bench), ['fresh', 'none', 'stale']);
    bench.update(endOfRibFrame(6), 6000);
    assert.deepEqual([states(bench), bench.one.routes.stale], [['fresh', 'none', 'none'], 0]);
    assert.equal(bench.one.toldAll, true);
  });
  test('too late: they go', () => {
    const bench = kept();
    assert.equal(bench.one.wake, 11_000);
    bench.one.tick(11_000);
    assert.deepEqual([states(bench), bench.changed.size], [['none', 'none', 'none'], 3]);
  });
  test('without having forwarded meanwhile, or without the family: they go at once', () => {
    const bench = kept();
    bench.up(restarting([4]), 2000);
    assert.deepEqual(states(bench), ['stale', 'stale', 'none']);
    const forgetful = kept();
    forgetful.up(OPEN, 2000);
    assert.deepEqual(states(forgetful), ['none', 'none', 'none']);
  });
  test('never ends its tale: they go after six minutes', () => {
    const bench = kept();
    bench.up(restarting([4, 6]), 2000);
    bench.one.tick(362_000);
    assert.deepEqual(states(bench), ['none', 'none', 'none']);
  });
  test('dies again before it told them: they go', () => {
    const bench = kept();
    bench.up(restarting([4, 6]), 2000);
    bench.learn(['10.1.0.0/24'], PATH, 2000);
    bench.one.lost(bench.link, 'reset', 3000);
    assert.deepEqual(states(bench), ['stale', 'none', 'none']);
  });
  test('says goodbye, or never spoke of restarts: they go at once', () => {
    const polite = new Bench();
    polite.up(restarting([4, 6]));
    polite.learn(['10.1.0.0/24']);
    polite.hear({ type: TYPE.NOTIFICATION, body: Uint8Array.of(6, 2) });
    assert.equal(polite.one.routes.size, 0);
    assert.deepEqual(states(kept(OPEN)), ['none', 'none', 'none']);
  });
});

test('what we say of our own restarts', () => {
  const said = (bench: Bench, now: number): Open['restart'] => {
    const action = bench.one.accepted(++bench.link, now).find(({ kind }) => kind === 'send');
    assert.ok(action?.kind === 'send');
    return decodeOpen(action.frame.subarray(HEADER)).restart;
  };
  const flags = (restart: Open['restart']): unknown => [
    restart?.restarting,
    restart?.time,
    restart?.families.map(({ forwarding }) => forwarding),
  ];
  assert.deepEqual(flags(said(new Bench(), 0)), [false, 60, [false, false]]);
  const resumed = new Bench({ restartingUntil: 60_000 });
  assert.deepEqual(flags(said(resumed, 0)), [true, 60, [true, true]]);
  assert.deepEqual(flags(said(resumed, 60_000)), [false, 60, [false, false]]);
  const lost = new Bench({ restartingUntil: 60_000 });
  lost.up(OPEN);
  lost.one.lost(lost.link, 'reset', 1);
  assert.deepEqual(flags(said(lost, 2)), [false, 60, [true, true]], 'a cut is no restart, and packets went on');
  assert.equal(said(new Bench({ restartTime: 0 }), 0), undefined);
});

describe('what is told', () => {
  const heard = (frames: readonly Uint8Array[]): string[] =>
    frames.map((frame) => {
      const context = { internal: true, peerAs: 0, as4: true, families: [4, 6] as const, extendedNextHop: true };
      const { reached, withdrawn, endOfRib, attributes } = decodeUpdate(frame.subarray(HEADER), context);
      if (endOfRib) return `end ${endOfRib}`;
      const told = reached.map(({ prefixes, nextHop }) => `${prefixes.join()} via ${nextHop}`);
      const as = attributes.path.map(({ asns }) => ` as ${asns.join()}`).join('');
      const pref = attributes.localPref === undefined ? '' : ` pref ${attributes.localPref}`;
      return [...told, ...withdrawn.map((prefix) => `not ${prefix}`)].join() + as + pref;
    });
  const drain = (bench: Bench, self = '192.0.2.1'): string[] => {
    const lines: string[] = [];
    while (!bench.one.out.empty) lines.push(...heard(bench.one.outgoing(self)));
    return lines;
  };

  test('everything at first, then the end; later what differs', () => {
    const bench = new Bench();
    const how: Announcement = { nextHop: ['192.0.2.1'] };
    bench.own
      .set('10.10.0.0/24', how)
      .set('10.11.0.0/24', how)
      .set('10.12.0.0/24', { nextHop: ['192.0.2.9'] });
    bench.own.set('fd00:10::/64', how);
    bench.up(restarting([4, 6]));
    assert.deepEqual(drain(bench), [
      '10.10.0.0/24,10.11.0.0/24 via 192.0.2.1 as 65010',
      '10.12.0.0/24 via 192.0.2.9 as 65010',
      'end 4',
      'end 6',
    ]);
    assert.deepEqual([bench.one.out.sent, bench.one.out.unsendable], [3, 1], 'no next hop of IPv6');
    bench.own.delete('10.10.0.0/24');
    bench.own.set('10.12.0.0/24', how);
    // what is gone before it was told is nobody's business, and what comes back the same neither
    bench.own.set('10.11.0.0/24', how);
    bench.one.out.changed(['10.10.0.0/24', '10.11.0.0/24', '10.12.0.0/24', '10.99.0.0/24']);
    assert.deepEqual(drain(bench), ['not 10.10.0.0/24', '10.12.0.0/24 via 192.0.2.1 as 65010']);
    bench.hear({ type: TYPE.REFRESH, body: Uint8Array.of(0, 1, 0, 1) });
    assert.deepEqual(drain(bench), ['10.11.0.0/24,10.12.0.0/24 via 192.0.2.1 as 65010']);
    bench.own.set('10.12.0.0/24', {});
    bench.one.out.changed(['10.12.0.0/24']);
    assert.deepEqual(drain(bench, '2001:db8::1'), ['not 10.12.0.0/24'], 'its next hop is none any more');
  });

  test('within the AS: no path, a preference; and IPv4 by IPv6 where that was agreed upon', () => {
    const bench = new Bench({ asn: 65010, extendedNextHop: true });
    bench.own.set('10.10.0.0/24', {}).set('10.11.0.0/24', { localPref: 7 });
    bench.up({ ...OPEN, asn: 65010, extendedNextHop: true });
    assert.deepEqual(drain(bench, '2001:db8::1'), [
      '10.10.0.0/24 via 2001:db8::1 pref 100',
      '10.11.0.0/24 via 2001:db8::1 pref 7',
    ]);
  });
});

describe('the best way', () => {
  const route = (
    over: Partial<LearnedRoute['attributes']> & { from?: Partial<LearnedRoute['from']> } = {},
  ): LearnedRoute => {
    const { from, ...attributes } = over;
    return {
      ...{ prefix: '10.0.0.0/8', nextHop: '192.0.2.2', stale: false },
      attributes: { origin: 0, path: [{ kind: 'sequence', asns: [65001, 65005] }], communities: [], ...attributes },
      from: { address: '192.0.2.2', asn: 65001, id: '192.0.2.2', internal: false, ...from },
    };
  };
  test('by each step of the rule, in its order', () => {
    const long = [{ kind: 'sequence' as const, asns: [65001, 65002, 65003] }];
    const through = (asn: number): LearnedRoute['attributes']['path'] => [{ kind: 'sequence', asns: [asn, 65005] }];
    const [low, high] = ['10.0.0.9', '192.0.2.1'];
    for (const [better, worse] of [
      [{ localPref: 101, path: long }, {}],
      [{ origin: 2, localPref: 100 }, { path: long }],
      [{ path: [{ kind: 'set' as const, asns: [1, 2, 3] }], origin: 2 }, {}],
      [{ med: 9 }, { origin: 1 }],
      [
        { med: 1, from: { id: high } },
        { med: 2, from: { id: low } },
      ],
      // the MED of different AS is not compared
      [
        { med: 9, from: { id: low } },
        { med: 1, path: through(65002), from: { id: high } },
      ],
      [{ from: { id: high } }, { from: { id: low, internal: true } }],
      [{ from: { id: low } }, { from: { id: high } }],
      [{ originatorId: low, from: { id: high, internal: true } }, { from: { id: '10.0.0.10', internal: true } }],
      [{ from: { address: '192.0.2.2' } }, { from: { address: '192.0.2.10' } }],
    ] as const) {
      const [one, other] = [route(better), route(worse)];
      assert.equal(best([one, other]), one, JSON.stringify([better, worse]));
      assert.equal(best([other, one]), one, JSON.stringify([worse, better]));
    }
    assert.equal(best([]), undefined);
  });
  test('does not depend on the order in which they came, with MED among several AS', () => {
    const path = (asn: number): LearnedRoute['attributes']['path'] => [{ kind: 'sequence', asns: [asn] }];
    const a = route({ path: path(1), med: 2, from: { id: '0.0.0.1' } });
    const b = route({ path: path(2), med: 0, from: { id: '0.0.0.2' } });
    const c = route({ path: path(1), med: 1, from: { id: '0.0.0.3' } });
    for (const order of [
      [a, b, c],
      [a, c, b],
      [b, a, c],
      [b, c, a],
      [c, a, b],
      [c, b, a],
    ])
      assert.equal(best(order), b);
  });

  test('the table tells only what is different for packets, and nothing of what is ours', () => {
    const own = new Map<string, unknown>();
    const table = new RouteTable(own);
    const [one, two] = [new Bench(), new Bench({ address: '192.0.2.3', asn: 65002 })];
    one.up(OPEN);
    two.up({ ...OPEN, asn: 65002, id: '192.0.2.3' });
    const settle = (): string[] =>
      table
        .settle(['10.1.0.0/24'], [one.one.routes, two.one.routes])
        .map(({ prefix, route: way }) => `${prefix} ${way?.nextHop ?? 'gone'}`);
    one.learn(['10.1.0.0/24']);
    two.learn(['10.1.0.0/24'], { path: [{ kind: 'sequence', asns: [65002, 65003] }], nextHop: '192.0.2.3' });
    assert.deepEqual(settle(), ['10.1.0.0/24 192.0.2.2']);
    one.learn(['10.1.0.0/24'], { ...PATH, communities: ['1:1'] });
    assert.deepEqual(settle(), []);
    one.update(withdrawFrames(['10.1.0.0/24'])[0]!);
    assert.deepEqual(settle(), ['10.1.0.0/24 192.0.2.3']);
    own.set('10.1.0.0/24', {});
    assert.deepEqual(settle(), ['10.1.0.0/24 gone']);
    own.clear();
    assert.deepEqual([settle(), table.routes.length], [['10.1.0.0/24 192.0.2.3'], 1]);
  });
});
