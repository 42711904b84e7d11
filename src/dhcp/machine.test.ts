import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressOf, type DhcpLease, leaseOf } from './lease.ts';
import { type DhcpAction, type DhcpGoal, DhcpMachine, releaseMessage } from './machine.ts';
import { decodeMessage, type DhcpMessage, encodeMessage, typeName, typeOf } from './message.ts';
import * as option from './option.ts';

const { OPTION, TYPE } = option;
const WHO = { mac: '02:00:00:00:00:01', clientId: '01:02:00:00:00:00:01', hostname: 'box' };
const SERVER_MAC = '02:00:00:00:00:fe';
const ACQUIRE: DhcpGoal = { kind: 'acquire', probe: false };

/** A machine with a clock that the test moves, and dice that always show the middle: no jitter. */
class Bench {
  now = 1_000_000;
  readonly machine: DhcpMachine;
  /** What the machine did last. */
  did: readonly DhcpAction[] = [];

  constructor(goal: DhcpGoal, who = WHO, random: () => number = () => 0.5) {
    this.machine = new DhcpMachine(who, goal, random);
    this.did = this.machine.start(this.now);
  }
  /** Lets the machine sleep until it wants to wake; the milliseconds that took. */
  sleep(): number {
    const { wake } = this.machine;
    assert.ok(Number.isFinite(wake), 'it never wakes');
    assert.deepEqual(this.machine.tick(wake - 1), [], 'nothing sooner');
    const slept = wake - this.now;
    this.now = wake;
    this.did = this.machine.tick(wake);
    return slept;
  }
  hear(
    type: number,
    more: { [K in keyof DhcpMessage]?: DhcpMessage[K] } = {},
    options: [number, Uint8Array][] = [],
  ): void {
    const defaults: [number, Uint8Array][] = [
      [OPTION.MESSAGE_TYPE, Uint8Array.of(type)],
      [OPTION.SERVER_ID, option.ofIps(['10.0.0.1'])],
      ...(type === TYPE.NAK ? [] : [[OPTION.LEASE_TIME, option.ofU32(100)] as [number, Uint8Array]]),
    ];
    const message: DhcpMessage = {
      ...{ op: 2, xid: this.sent.xid, secs: 0, broadcast: false, chaddr: WHO.mac },
      ...{
        ciaddr: '0.0.0.0',
        yiaddr: type === TYPE.NAK ? '0.0.0.0' : '10.0.0.5',
        siaddr: '0.0.0.0',
        giaddr: '0.0.0.0',
      },
      options: new Map([...defaults, ...options]),
      ...more,
    };
    this.did = this.machine.receive(decodeMessage(encodeMessage(message)), SERVER_MAC, this.now);
    this.note();
  }
  #last: DhcpMessage | undefined;
  note(): void {
    const action = this.did.findLast((a) => a.kind === 'send');
    if (action?.kind === 'send') this.#last = action.message;
  }
  /** The message sent last. */
  get sent(): DhcpMessage {
    this.note();
    return this.#last!;
  }
  /** One line for what was done last. */
  get line(): string {
    return this.did
      .map((action) => {
        if (action.kind === 'send') {
          const { options, ciaddr } = action.message;
          const of = option.ip(options, OPTION.REQUESTED_IP) ?? ciaddr;
          const chosen = option.ip(options, OPTION.SERVER_ID);
          return `${typeName(typeOf(action.message))} ${of}${chosen ? ` of ${chosen}` : ''} to ${action.to === 'everybody' ? 'all' : action.to.server}`;
        }
        if (action.kind === 'bound') return `bound ${action.lease.address}`;
        return action.kind === 'probe' ? `probe ${action.address}` : `refused: ${action.reason}`;
      })
      .join(', ');
  }
}

const LEASE: DhcpLease = {
  ...{ address: '10.0.0.5/8', routes: [], dns: [], search: [], server: '10.0.0.1', serverMac: SERVER_MAC },
  ...{ obtained: 0, renewAt: 1, rebindAt: 2, expiresAt: 3 },
};

test('init → selecting → requesting → bound, and the messages on the way', () => {
  const bench = new Bench(ACQUIRE);
  assert.equal(bench.machine.state, 'selecting');
  assert.equal(bench.line, 'DISCOVER 0.0.0.0 to all');
  const discover = bench.sent;
  assert.deepEqual([discover.op, discover.broadcast, discover.chaddr, discover.secs], [1, false, WHO.mac, 0]);
  assert.equal(Buffer.from(discover.options.get(OPTION.CLIENT_ID)!).toString('hex'), '01020000000001');
  assert.equal(option.text(discover.options, OPTION.HOSTNAME), 'box');
  const wanted = [...discover.options.get(OPTION.PARAMETERS)!];
  assert.ok(wanted.indexOf(121) < wanted.indexOf(3), 'RFC 3442: classless routes first');
  bench.hear(TYPE.OFFER);
  assert.equal(bench.machine.state, 'requesting');
  assert.equal(bench.line, 'REQUEST 10.0.0.5 of 10.0.0.1 to all');
  assert.equal(bench.sent.xid, discover.xid);
  bench.hear(TYPE.ACK);
  assert.equal(bench.line, 'bound 10.0.0.5/8');
  assert.deepEqual([bench.machine.state, bench.machine.wake], ['bound', Infinity]);
  const [action] = bench.did;
  assert.ok(action?.kind === 'bound');
  assert.equal(action.lease.obtained, 1_000_000);
  assert.equal(action.lease.serverMac, SERVER_MAC);
  assert.deepEqual(bench.machine.tick(Infinity), []);
});

test('selecting: waits double up to a minute, jitter is a quarter of the first wait', () => {
  const bench = new Bench(ACQUIRE);
  const waits = Array.from({ length: 9 }, () => {
    const slept = bench.sleep();
    assert.equal(bench.line, 'DISCOVER 0.0.0.0 to all');
    return slept;
  });
  assert.deepEqual(
    waits,
    [1, 2, 4, 8, 16, 32, 64, 64, 64].map((s) => s * 1000),
  );
  assert.equal(bench.sent.secs, 255);
  assert.deepEqual(
    [new Bench(ACQUIRE, WHO, () => 0).sleep(), new Bench(ACQUIRE, WHO, () => 0.999_999).sleep().toFixed(0)],
    [750, '1250'],
  );
  assert.equal(bench.machine.sent, 10);
});

test('requesting: four times, then another offer is looked for with a new number', () => {
  let next = 0;
  const bench = new Bench(ACQUIRE, WHO, () => (next += 0.001));
  bench.hear(TYPE.OFFER);
  const { xid } = bench.sent;
  for (let i = 0; i < 3; i++) {
    bench.sleep();
    assert.equal(bench.line, 'REQUEST 10.0.0.5 of 10.0.0.1 to all');
    assert.equal(bench.sent.xid, xid);
  }
  bench.sleep();
  assert.equal(bench.line, 'DISCOVER 0.0.0.0 to all');
  assert.notEqual(bench.sent.xid, xid);
});

test('the lease counts from the first REQUEST, however late its answer', () => {
  const bench = new Bench(ACQUIRE);
  bench.hear(TYPE.OFFER);
  const asked = bench.now;
  bench.sleep();
  bench.hear(TYPE.ACK);
  assert.ok(bench.did[0]?.kind === 'bound');
  assert.equal(bench.did[0].lease.expiresAt, asked + 100_000);
});

test('what is not for us, not now, or not from whom we chose, changes nothing', () => {
  const bench = new Bench(ACQUIRE);
  const state = (): string => `${bench.machine.state} ${bench.line}`;
  bench.hear(TYPE.OFFER, { xid: 1 });
  bench.hear(TYPE.OFFER, { chaddr: '02:00:00:00:00:02' });
  bench.hear(TYPE.OFFER, { op: 1 });
  bench.hear(TYPE.ACK);
  bench.hear(TYPE.NAK);
  bench.hear(99);
  bench.hear(TYPE.OFFER, { yiaddr: '0.0.0.0' });
  bench.hear(TYPE.OFFER, {}, [[OPTION.LEASE_TIME, option.ofU32(0)]]);
  assert.equal(state(), 'selecting ');
  assert.deepEqual(bench.machine.heard, [
    '10.0.0.1 sent an OFFER of no use: the address 0.0.0.0, which no host can have',
    '10.0.0.1 sent an OFFER of no use: no lease time',
  ]);
  bench.hear(TYPE.OFFER);
  const other: [number, Uint8Array][] = [[OPTION.SERVER_ID, option.ofIps(['10.0.0.2'])]];
  bench.hear(TYPE.ACK, {}, other);
  bench.hear(TYPE.NAK, {}, other);
  bench.hear(TYPE.OFFER);
  bench.hear(TYPE.ACK, { yiaddr: '10.0.0.6' });
  assert.equal(state(), 'requesting ');
  assert.match(bench.machine.heard[2]!, /10\.0\.0\.1 acknowledged 10\.0\.0\.6 where 10\.0\.0\.5 was asked for/);
  bench.hear(TYPE.ACK);
  assert.equal(state(), 'bound bound 10.0.0.5/8');
  bench.hear(TYPE.NAK);
  assert.equal(state(), 'bound ');
});

test('NAK: from the start, at once; after that every ten seconds', () => {
  const bench = new Bench(ACQUIRE);
  bench.hear(TYPE.OFFER);
  bench.hear(TYPE.NAK, {}, [[OPTION.MESSAGE, option.ofText('no\nmore')]]);
  assert.equal(bench.line, 'DISCOVER 0.0.0.0 to all');
  bench.hear(TYPE.OFFER);
  bench.hear(TYPE.NAK);
  assert.deepEqual([bench.machine.state, bench.line], ['waiting', '']);
  assert.equal(bench.sleep(), 10_000);
  assert.equal(bench.line, 'DISCOVER 0.0.0.0 to all');
  assert.deepEqual(bench.machine.heard, ['10.0.0.1 refused: "no?more"', '10.0.0.1 refused']);
});

test('a remembered address: asked for without an offer; silence and refusal lead to a discovery', () => {
  const goal: DhcpGoal = { ...ACQUIRE, requested: '10.0.0.5' };
  const kept = new Bench(goal);
  assert.equal(kept.machine.state, 'rebooting');
  assert.equal(kept.line, 'REQUEST 10.0.0.5 to all');
  kept.hear(TYPE.ACK, { yiaddr: '10.0.0.9' });
  assert.equal(kept.machine.state, 'rebooting', 'not the one that was asked for');
  kept.hear(TYPE.ACK);
  assert.equal(kept.line, 'bound 10.0.0.5/8');

  const silent = new Bench(goal);
  assert.equal(silent.sleep(), 2000);
  assert.equal(silent.line, 'DISCOVER 10.0.0.5 to all', 'still wished for');
  silent.hear(TYPE.OFFER, { yiaddr: '10.0.0.9' });
  silent.hear(TYPE.ACK, { yiaddr: '10.0.0.9' });
  assert.equal(silent.line, 'bound 10.0.0.9/8');

  const refused = new Bench(goal);
  refused.hear(TYPE.NAK);
  assert.equal(refused.line, 'DISCOVER 0.0.0.0 to all', 'no longer wished for');
});

test('probing: free is bound; taken is declined, and another address asked for', () => {
  const goal: DhcpGoal = { kind: 'acquire', probe: true };
  const bench = new Bench(goal);
  bench.hear(TYPE.OFFER);
  bench.hear(TYPE.ACK);
  assert.deepEqual([bench.machine.state, bench.line, bench.machine.wake], ['probing', 'probe 10.0.0.5', Infinity]);
  bench.hear(TYPE.ACK); // a second copy
  assert.equal(bench.line, '');
  bench.did = bench.machine.probed('02:00:00:00:00:77', bench.now);
  assert.equal(bench.line, 'DECLINE 10.0.0.5 of 10.0.0.1 to all, DISCOVER 0.0.0.0 to all');
  assert.deepEqual(bench.machine.probed(undefined, bench.now), [], 'late');
  bench.hear(TYPE.OFFER, { yiaddr: '10.0.0.6' });
  bench.hear(TYPE.ACK, { yiaddr: '10.0.0.6' });
  bench.did = bench.machine.probed(undefined, bench.now);
  assert.equal(bench.line, 'bound 10.0.0.6/8');
  assert.deepEqual(bench.machine.heard, ['10.0.0.1 gave 10.0.0.5, but 02:00:00:00:00:77 has it already: declined']);
});

test('renewing: to its server, four seconds at first; rebinding: to all, and any server may answer', () => {
  const bench = new Bench({ kind: 'renew', lease: LEASE });
  assert.deepEqual([bench.machine.state, bench.line], ['renewing', 'REQUEST 10.0.0.5 to 10.0.0.1']);
  assert.equal(bench.sent.ciaddr, '10.0.0.5');
  assert.equal(bench.sent.options.has(OPTION.REQUESTED_IP), false, 'RFC 2131 table 5');
  assert.deepEqual([bench.sleep(), bench.sleep()], [4000, 8000]);
  bench.hear(TYPE.ACK, { yiaddr: '10.0.0.9' });
  assert.equal(bench.machine.state, 'renewing', 'another address is no renewal');
  bench.hear(TYPE.ACK);
  assert.equal(bench.line, 'bound 10.0.0.5/8');

  const any = new Bench({ kind: 'rebind', lease: LEASE }, { ...WHO, ...{ broadcast: true } });
  assert.deepEqual([any.machine.state, any.line, any.sent.broadcast], ['rebinding', 'REQUEST 10.0.0.5 to all', false]);
  any.hear(TYPE.ACK, {}, [[OPTION.SERVER_ID, option.ofIps(['10.0.0.2'])]]);
  assert.ok(any.did[0]?.kind === 'bound' && any.did[0].lease.server === '10.0.0.2');

  for (const kind of ['renew', 'rebind'] as const) {
    const refused = new Bench({ kind, lease: LEASE });
    refused.hear(TYPE.NAK, {}, [[OPTION.MESSAGE, option.ofText('lease not found')]]);
    assert.deepEqual(
      [refused.machine.state, refused.line],
      ['refused', 'refused: 10.0.0.1 refused: "lease not found"'],
    );
    assert.deepEqual(refused.machine.tick(Infinity), []);
  }
});

test('who we are: identifiers, broadcast, release', () => {
  const id = (clientId: string): string => {
    const bench = new Bench(ACQUIRE, { mac: WHO.mac, clientId, hostname: '' });
    assert.equal(bench.sent.options.has(OPTION.HOSTNAME), false);
    return Buffer.from(bench.sent.options.get(OPTION.CLIENT_ID)!).toString('hex');
  };
  assert.equal(id('FF:00:00:00:01:00:02'), 'ff000000010002');
  assert.equal(id('box'), `00${Buffer.from('box').toString('hex')}`);
  assert.equal(id('ab'), `00${Buffer.from('ab').toString('hex')}`);
  assert.equal(id('x'.repeat(400)).length, 510);
  const broadcast = new DhcpMachine({ ...WHO, broadcast: true }, ACQUIRE, () => 0).start(0)[0];
  assert.ok(broadcast?.kind === 'send' && broadcast.message.broadcast);
  const release = releaseMessage(WHO, LEASE, () => 0.5);
  assert.equal(typeOf(release), TYPE.RELEASE);
  assert.equal(release.ciaddr, addressOf(LEASE));
  assert.equal(option.ip(release.options, OPTION.SERVER_ID), '10.0.0.1');
  assert.equal(release.options.has(OPTION.PARAMETERS), false, 'RFC 2131 table 5');
  // what is heard does not grow without end
  const bench = new Bench(ACQUIRE);
  for (let i = 1; i < 100; i++) bench.hear(TYPE.OFFER, { yiaddr: `224.0.0.${i}` });
  assert.equal(bench.machine.heard.length, 8);
  assert.throws(() => leaseOf({ ...bench.sent, yiaddr: '10.0.0.1' }, 0, ''), { code: 'EBADPACKET' });
});
