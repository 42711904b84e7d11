import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isDomain } from './domain.ts';
import { type Dhcp6Action, type Dhcp6Goal, type Dhcp6Lease, Dhcp6Machine } from './machine6.ts';
import { decodeMessage6, type Dhcp6Message, duidOf, encodeMessage6, type Ia6, STATUS6, TYPE6 } from './message6.ts';
import { replyTo6 } from './server6.ts';

const WHO = { duid: duidOf('02:00:00:00:00:01'), iaid: 7 };
const SERVER = '000100012a2b2c2d0200000000fe';
const u32 = fc.nat(0xffff_ffff);
const ip6 = fc.constantFrom('fd00::5', '2001:db8::1:2', 'fe80::1');
const status = fc.record({ code: fc.nat(6), text: fc.constantFrom('', 'no more') }, { noNullPrototype: true });
const duid = fc.uint8Array({ minLength: 3, maxLength: 130 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const ia = fc.record(
  {
    ...{ iaid: u32, t1: u32, t2: u32, status },
    addresses: fc.array(fc.record({ address: ip6, preferred: u32, valid: u32 }, { noNullPrototype: true }), {
      maxLength: 3,
    }),
  },
  { requiredKeys: ['iaid', 't1', 't2', 'addresses'], noNullPrototype: true },
);
const message = fc.record(
  {
    ...{ type: fc.integer({ min: 1, max: 11 }), xid: fc.nat(0xff_ffff), clientId: duid, serverId: duid, status },
    ...{
      ias: fc.array(ia, { maxLength: 3 }),
      wanted: fc.array(fc.nat(65535), { maxLength: 5 }),
      elapsed: fc.nat(65535),
    },
    ...{ preference: fc.nat(255), rapidCommit: fc.boolean(), dns: fc.array(ip6, { maxLength: 3 }) },
    search: fc.array(fc.domain().filter(isDomain), { maxLength: 3 }),
  },
  { requiredKeys: ['type', 'xid', 'ias', 'wanted', 'rapidCommit', 'dns', 'search'], noNullPrototype: true },
);

test('messages: what was written is read', () => {
  fc.assert(fc.property(message, (m) => assert.deepEqual(decodeMessage6(encodeMessage6(m)), m)));
});

test('messages: lengths that lie', () => {
  const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
  for (const bad of [
    ...['', '010000', '00000000', '0c000000', '01000000 00', '01000000 0001 0005 0000', '01000000 0001 0002 0000'],
    ...[
      '01000000 0003 000b 0000000000000000000000',
      '01000000 0006 0001 00',
      '01000000 0008 0001 00',
      '01000000 000d 0001 00',
    ],
    ...['01000000 0017 000f 000000000000000000000000000000', '01000000 0018 0002 0161', '01000000 0007 0000'],
    '01000000 0003 0012 000000000000000000000000 0005 0002 0000',
  ]) {
    assert.throws(() => decodeMessage6(bytes(bad)), { code: 'EBADPACKET' }, bad);
  }
  assert.throws(() => decodeMessage6(bytes(`01000000 0001 0083 ${'00'.repeat(131)}`)), { code: 'EBADPACKET' });
  // a relay's message, and options that nobody knows
  assert.throws(() => decodeMessage6(bytes('0c'.padEnd(80, '0'))), { code: 'EBADPACKET' });
  assert.equal(decodeMessage6(bytes('0b abcdef fff0 0002 0102')).xid, 0xabcdef);
});

const LEASE: Dhcp6Lease = {
  ...{ address: 'fd00::5/128', dns: [], search: [], server: SERVER, iaid: 7 },
  ...{ obtained: 0, renewAt: 1, rebindAt: 2, preferredUntil: 3, expiresAt: 4 },
};

class Bench {
  now = 1_000_000;
  readonly machine: Dhcp6Machine;
  did: readonly Dhcp6Action[];
  sent!: Dhcp6Message;

  constructor(goal: Dhcp6Goal) {
    this.machine = new Dhcp6Machine(WHO, goal, () => 0.5);
    this.did = this.#note(this.machine.start(this.now));
  }
  #note(actions: readonly Dhcp6Action[]): readonly Dhcp6Action[] {
    for (const action of actions) {
      if (action.kind === 'send') this.sent = decodeMessage6(encodeMessage6(action.message));
    }
    return actions;
  }
  sleep(): number {
    const slept = this.machine.wake - this.now;
    this.now = this.machine.wake;
    this.did = this.#note(this.machine.tick(this.now));
    return slept;
  }
  hear(type: number, more: Partial<Dhcp6Message> = {}, inIa: Partial<Ia6> = {}): string {
    const one = { iaid: 7, t1: 50, t2: 80, addresses: [{ address: 'fd00::5', preferred: 100, valid: 200 }], ...inIa };
    const said = {
      ...{ type, xid: this.sent.xid, clientId: WHO.duid, serverId: SERVER, ias: [one] },
      ...NOTHING,
      ...more,
    };
    this.did = this.#note(this.machine.receive(decodeMessage6(encodeMessage6(said)), '', this.now));
    return this.line;
  }
  get line(): string {
    return this.did
      .map((action) => {
        if (action.kind === 'send') return `${Object.entries(TYPE6).find(([, n]) => n === action.message.type)?.[0]}`;
        return action.kind === 'bound' ? `bound ${action.lease.address}` : action.kind;
      })
      .join();
  }
}
const NOTHING = { wanted: [], rapidCommit: false, dns: [], search: [] };

test('soliciting: advertisements are collected for a second, the best preference is asked', () => {
  const bench = new Bench({ kind: 'acquire' });
  assert.deepEqual(
    [bench.line, bench.sent.rapidCommit, bench.sent.elapsed, bench.sent.serverId],
    ['SOLICIT', true, 0, undefined],
  );
  assert.equal(bench.hear(TYPE6.ADVERTISE, { serverId: '000300000001' }), '');
  assert.equal(bench.hear(TYPE6.ADVERTISE, { preference: 9 }), '');
  assert.equal(bench.hear(TYPE6.ADVERTISE, { serverId: '000300000002', preference: 8 }), '');
  assert.equal(bench.sleep(), 1000);
  assert.deepEqual(
    [bench.line, bench.sent.serverId, bench.sent.ias[0]?.addresses[0]?.address],
    ['REQUEST', SERVER, 'fd00::5'],
  );
  assert.equal(bench.hear(TYPE6.REPLY, { serverId: '000300000002' }), '', 'of another server');
  assert.equal(bench.hear(TYPE6.REPLY), 'bound fd00::5/128');
  assert.ok(bench.did[0]?.kind === 'bound');
  const { renewAt, rebindAt, preferredUntil, expiresAt } = bench.did[0].lease;
  assert.deepEqual(
    [renewAt, rebindAt, preferredUntil, expiresAt].map((at) => at - bench.now),
    [50_000, 80_000, 100_000, 200_000],
  );
});

test('soliciting: the highest preference and a rapid commit do not wait; waits double; later answers count at once', () => {
  const high = new Bench({ kind: 'acquire' });
  assert.equal(high.hear(TYPE6.ADVERTISE, { preference: 255 }), 'REQUEST');
  const rapid = new Bench({ kind: 'acquire' });
  assert.equal(rapid.hear(TYPE6.REPLY), '', 'a commit that was not said to be one');
  assert.equal(rapid.hear(TYPE6.REPLY, { rapidCommit: true }), 'bound fd00::5/128');
  const late = new Bench({ kind: 'acquire' });
  assert.deepEqual([late.sleep(), late.sleep(), late.sleep()], [1000, 2000, 4000]);
  assert.equal(late.hear(TYPE6.ADVERTISE), 'REQUEST');
  for (let i = 0; i < 9; i++) assert.ok(late.sleep() > 0 && late.line === 'REQUEST');
  assert.ok(late.sleep() <= 30_000, 'at most half a minute');
  assert.equal(late.line, 'SOLICIT', 'and from the start after ten');
});

test('what is not for us, or of no use, changes nothing; refusals are heard', () => {
  const bench = new Bench({ kind: 'acquire' });
  const bad = {
    addresses: [
      { address: 'fe80::5', preferred: 1, valid: 1 },
      { address: 'fd00::6', preferred: 2, valid: 1 },
      { address: 'fd00::7', preferred: 0, valid: 0 },
    ],
  };
  assert.equal(bench.hear(TYPE6.ADVERTISE, { preference: 255, xid: 1 }), '');
  assert.equal(bench.hear(TYPE6.ADVERTISE, { preference: 255, clientId: '00030001ffff' }), '');
  assert.equal(bench.hear(TYPE6.ADVERTISE, { preference: 255 }, bad), '');
  assert.equal(bench.hear(TYPE6.ADVERTISE, { preference: 255 }, { iaid: 8 }), '');
  const full = { status: { code: STATUS6.NO_ADDRS, text: 'pool is\nempty' } };
  assert.equal(bench.hear(TYPE6.ADVERTISE, { preference: 255 }, full), '');
  assert.equal(bench.machine.state, 'soliciting');
  assert.deepEqual(bench.machine.heard, [`${SERVER} said NoAddrsAvail: "pool is?empty"`]);
  bench.hear(TYPE6.ADVERTISE, { preference: 255 });
  assert.equal(bench.hear(TYPE6.REPLY, { status: { code: STATUS6.FAILURE, text: '' } }), '', 'asked again later');
  assert.equal(bench.hear(TYPE6.REPLY, { status: { code: STATUS6.NOT_ON_LINK, text: '' } }), 'SOLICIT');
});

test('renewing, rebinding, releasing, asking for information', () => {
  const renew = new Bench({ kind: 'renew', lease: LEASE });
  assert.deepEqual(
    [renew.line, renew.sent.serverId, renew.sent.ias[0]?.addresses[0]?.address],
    ['RENEW', SERVER, 'fd00::5'],
  );
  assert.deepEqual([renew.sleep(), renew.sleep()], [10_000, 20_000]);
  assert.equal(
    renew.hear(TYPE6.REPLY, {}, { addresses: [{ address: 'fd00::9', preferred: 9, valid: 9 }] }),
    '',
    'another address',
  );
  assert.equal(renew.hear(TYPE6.REPLY), 'bound fd00::5/128');
  const gone = new Bench({ kind: 'renew', lease: LEASE });
  assert.equal(gone.hear(TYPE6.REPLY, {}, { addresses: [{ address: 'fd00::5', preferred: 0, valid: 0 }] }), 'refused');
  const rebind = new Bench({ kind: 'rebind', lease: LEASE });
  assert.deepEqual([rebind.line, rebind.sent.serverId], ['REBIND', undefined]);
  assert.equal(rebind.hear(TYPE6.REPLY, {}, { status: { code: STATUS6.NO_BINDING, text: 'who?' } }), 'refused');
  const release = new Bench({ kind: 'release', lease: LEASE });
  assert.deepEqual([release.line, release.sent.wanted], ['RELEASE', []]);
  for (let i = 0; i < 3; i++) assert.ok(release.sleep() > 0 && release.line === 'RELEASE');
  release.sleep();
  assert.equal(release.line, 'released', 'nobody answers: gone all the same');
  const answered = new Bench({ kind: 'release', lease: LEASE });
  assert.equal(answered.hear(TYPE6.REPLY, { ias: [] }), 'released');
  const info = new Bench({ kind: 'info' });
  assert.deepEqual([info.line, info.sent.ias], ['INFORMATION_REQUEST', []]);
  assert.equal(info.hear(TYPE6.REPLY, { ias: [], dns: ['fd00::1'], search: ['a.example'] }), 'informed');
  assert.deepEqual(info.did, [{ kind: 'informed', info: { dns: ['fd00::1'], search: ['a.example'], server: SERVER } }]);
  const forever = new Bench({ kind: 'acquire' });
  forever.hear(
    TYPE6.REPLY,
    { rapidCommit: true },
    { t1: 0, t2: 0, addresses: [{ address: 'fd00::5', preferred: 0xffff_ffff, valid: 0xffff_ffff }] },
  );
  assert.ok(forever.did[0]?.kind === 'bound');
  assert.equal(forever.did[0].lease.renewAt, 8_640_000_000_000_000);
});

test('the server: one address for whoever names us rightly, nothing for others', () => {
  const assignment = {
    address6: 'fd00::5/64',
    dns: ['fd00::1', '10.0.0.1'],
    search: ['a.example'],
    leaseSeconds: 1000,
  };
  const ask = (type: number, more: Partial<Dhcp6Message> = {}, addresses: string[] = []) => {
    const ias = [
      { iaid: 7, t1: 0, t2: 0, addresses: addresses.map((address) => ({ address, preferred: 0, valid: 0 })) },
    ];
    return replyTo6({ type, xid: 1, clientId: WHO.duid, ias, ...NOTHING, ...more }, assignment, SERVER);
  };
  const us = { serverId: SERVER };
  const given = (reply: ReturnType<typeof ask>): unknown =>
    reply?.message.ias.map((one) => one.addresses.map((a) => `${a.address} ${a.valid}`));
  const advertise = ask(TYPE6.SOLICIT);
  assert.deepEqual(
    [advertise?.outcome, advertise?.message.type, given(advertise)],
    ['offer', TYPE6.ADVERTISE, [['fd00::5 1000']]],
  );
  assert.deepEqual([advertise?.message.dns, advertise?.message.search], [['fd00::1'], ['a.example']]);
  const rapid = ask(TYPE6.SOLICIT, { rapidCommit: true });
  assert.deepEqual([rapid?.outcome, rapid?.message.type, rapid?.message.rapidCommit], ['ack', TYPE6.REPLY, true]);
  assert.deepEqual(given(ask(TYPE6.REQUEST, us, ['fd00::99'])), [['fd00::5 1000', 'fd00::99 0']]);
  assert.deepEqual(given(ask(TYPE6.RENEW, us, ['fd00::5'])), [['fd00::5 1000']]);
  assert.deepEqual(given(ask(TYPE6.REBIND, {}, ['fd00::5'])), [['fd00::5 1000']]);
  const two = ask(TYPE6.REQUEST, { ...us, ias: [1, 2].map((iaid) => ({ iaid, t1: 0, t2: 0, addresses: [] })) });
  assert.deepEqual([given(two), two?.message.ias[1]?.status?.code], [[['fd00::5 1000'], []], STATUS6.NO_ADDRS]);
  assert.equal(ask(TYPE6.CONFIRM, {}, ['fd00::5'])?.message.status?.code, STATUS6.SUCCESS);
  assert.equal(ask(TYPE6.CONFIRM, {}, ['fd00::6'])?.message.status?.code, STATUS6.NOT_ON_LINK);
  assert.equal(ask(TYPE6.RELEASE, us, ['fd00::5'])?.outcome, 'released');
  assert.equal(ask(TYPE6.DECLINE, us, ['fd00::5'])?.outcome, 'declined');
  const { clientId: _, ...nameless } = { clientId: undefined };
  assert.equal(
    replyTo6({ type: TYPE6.INFORMATION_REQUEST, xid: 1, ias: [], ...NOTHING, ...nameless }, assignment, SERVER)
      ?.outcome,
    'inform',
  );
  for (const [what, reply] of [
    ['a solicit that names a server', ask(TYPE6.SOLICIT, us)],
    ['a request that names none', ask(TYPE6.REQUEST)],
    ['a request of another server', ask(TYPE6.REQUEST, { serverId: '000300010000' })],
    ['a rebind that names a server', ask(TYPE6.REBIND, us)],
    ['a confirm of nothing', ask(TYPE6.CONFIRM)],
    ['a solicit for nothing', ask(TYPE6.SOLICIT, { ias: [] })],
    ['an advertisement', ask(TYPE6.ADVERTISE)],
    ['information of another server', ask(TYPE6.INFORMATION_REQUEST, { serverId: '000300010000' })],
  ] as const)
    assert.equal(reply, undefined, what);
  const without = replyTo6(
    { type: TYPE6.SOLICIT, xid: 1, clientId: WHO.duid, ias: [], ...NOTHING },
    { ...assignment, address6: 'fd00::5/64' },
    SERVER,
  );
  assert.equal(without, undefined);
});
