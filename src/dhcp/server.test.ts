import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Budget } from './budget.ts';
import { leaseOf } from './lease.ts';
import { decodeMessage, type DhcpMessage, encodeMessage, typeName, typeOf } from './message.ts';
import * as option from './option.ts';
import { advertisement } from './router.ts';
import { type DhcpAssignment, destinationOf, encodeFitting, replyTo, sizeFor } from './server.ts';

const { OPTION, TYPE } = option;
const MAC = '02:00:00:00:00:05';
const SERVER = '172.30.0.1';
const ASSIGNMENT: DhcpAssignment = {
  ...{ address: '172.30.0.5/24', router: SERVER, dns: [SERVER, 'fd00::1'], search: ['a.example', 'b.example'] },
  ...{ mtu: 1400, hostname: 'vm', leaseSeconds: 3600, routes: [{ dst: '10.0.0.0/8', gateway: '172.30.0.2' }] },
};
const ip = (address: string): Uint8Array => option.ofIps([address]);

function request(
  type: number | undefined,
  fields: Partial<DhcpMessage> = {},
  options: [number, Uint8Array][] = [],
): DhcpMessage {
  const all = new Map<number, Uint8Array>([[OPTION.CLIENT_ID, Uint8Array.of(1, 2, 3)], ...options]);
  if (type !== undefined) all.set(OPTION.MESSAGE_TYPE, Uint8Array.of(type));
  const none = '0.0.0.0';
  return {
    ...{
      op: 1,
      xid: 9,
      secs: 3,
      broadcast: false,
      chaddr: MAC,
      ciaddr: none,
      yiaddr: none,
      siaddr: none,
      giaddr: none,
    },
    options: all,
    ...fields,
  };
}
function said(message: DhcpMessage, assignment: DhcpAssignment = ASSIGNMENT): string {
  const reply = replyTo(message, assignment, SERVER);
  if (!reply) return 'silence';
  return reply.message ? `${typeName(typeOf(reply.message))} ${reply.message.yiaddr}` : reply.outcome;
}

test('an offer and an acknowledgement carry all that the assignment has, as a client reads it', () => {
  for (const [type, options] of [
    [TYPE.DISCOVER, []],
    [
      TYPE.REQUEST,
      [
        [OPTION.SERVER_ID, ip(SERVER)],
        [OPTION.REQUESTED_IP, ip('172.30.0.5')],
      ],
    ],
  ] as const) {
    const reply = replyTo(
      request(type, {}, options as unknown as [number, Uint8Array][]),
      ASSIGNMENT,
      SERVER,
    )!.message!;
    const read = decodeMessage(encodeMessage(reply));
    assert.deepEqual([read.op, read.xid, read.chaddr], [2, 9, MAC]);
    assert.deepEqual(leaseOf(read, 0, 'm'), {
      ...{ address: '172.30.0.5/24', router: SERVER, routes: [{ dst: '10.0.0.0/8', gateway: '172.30.0.2' }] },
      ...{ dns: [SERVER], search: ['a.example', 'b.example'], mtu: 1400, server: SERVER, serverMac: 'm' },
      ...{ obtained: 0, renewAt: 1_800_000, rebindAt: 3_150_000, expiresAt: 3_600_000 },
    });
    assert.equal(option.text(read.options, OPTION.HOSTNAME), 'vm');
    assert.deepEqual([...read.options.get(OPTION.CLIENT_ID)!], [1, 2, 3], 'RFC 6842');
  }
  const forever = replyTo(request(TYPE.DISCOVER), { ...ASSIGNMENT, leaseSeconds: 0xffff_ffff }, SERVER)!.message!;
  assert.equal(leaseOf(forever, 0, '').expiresAt, 8_640_000_000_000_000);
  assert.equal(forever.options.has(OPTION.T1), false);
});

test('every state of a client gets its answer: RFC 2131 section 4.3.2', () => {
  const own: [number, Uint8Array] = [OPTION.REQUESTED_IP, ip('172.30.0.5')];
  const other: [number, Uint8Array] = [OPTION.REQUESTED_IP, ip('172.30.0.6')];
  const us: [number, Uint8Array] = [OPTION.SERVER_ID, ip(SERVER)];
  const them: [number, Uint8Array] = [OPTION.SERVER_ID, ip('172.30.0.99')];
  const table: readonly (readonly [what: string, message: DhcpMessage, want: string])[] = [
    ['discover', request(TYPE.DISCOVER), 'OFFER 172.30.0.5'],
    ['discover with another wish', request(TYPE.DISCOVER, {}, [other]), 'OFFER 172.30.0.5'],
    ['selecting', request(TYPE.REQUEST, {}, [us, own]), 'ACK 172.30.0.5'],
    ['selecting another address', request(TYPE.REQUEST, {}, [us, other]), 'NAK 0.0.0.0'],
    ['selecting another server', request(TYPE.REQUEST, {}, [them, own]), 'silence'],
    ['rebooting', request(TYPE.REQUEST, {}, [own]), 'ACK 172.30.0.5'],
    ['rebooting from elsewhere', request(TYPE.REQUEST, {}, [other]), 'NAK 0.0.0.0'],
    ['renewing', request(TYPE.REQUEST, { ciaddr: '172.30.0.5' }), 'ACK 172.30.0.5'],
    ['renewing what was taken away', request(TYPE.REQUEST, { ciaddr: '172.30.0.6' }), 'NAK 0.0.0.0'],
    ['neither', request(TYPE.REQUEST), 'NAK 0.0.0.0'],
    ['informing', request(TYPE.INFORM, { ciaddr: '172.30.0.200' }), 'ACK 0.0.0.0'],
    ['declining', request(TYPE.DECLINE, {}, [us, own]), 'declined'],
    ['declining another', request(TYPE.DECLINE, {}, [them, own]), 'silence'],
    ['releasing', request(TYPE.RELEASE, { ciaddr: '172.30.0.5' }, [us]), 'released'],
    ['releasing another', request(TYPE.RELEASE, { ciaddr: '172.30.0.5' }, [them]), 'silence'],
    ['an offer', request(TYPE.OFFER), 'silence'],
    ['BOOTP', request(undefined), 'silence'],
    ['a reply', request(TYPE.DISCOVER, { op: 2 }), 'silence'],
    ['by a relay', request(TYPE.DISCOVER, { giaddr: '172.30.9.9' }), 'silence'],
  ];
  for (const [what, message, want] of table) assert.equal(said(message), want, what);
  const { address: _, ...without } = ASSIGNMENT;
  assert.equal(said(request(TYPE.DISCOVER), without), 'silence', 'IPv6 only');
  const inform = replyTo(request(TYPE.INFORM), ASSIGNMENT, SERVER)!.message!;
  assert.equal(inform.options.has(OPTION.LEASE_TIME), false);
  assert.ok(inform.options.has(OPTION.DNS));
});

test('where a reply goes: RFC 2131 section 4.1', () => {
  const all = { mac: 'ff:ff:ff:ff:ff:ff', ip: '255.255.255.255' };
  const to = (fields: Partial<DhcpMessage>, type: number = TYPE.DISCOVER) => {
    const message = request(type, fields);
    return destinationOf(message, replyTo(message, ASSIGNMENT, SERVER)!.message!, MAC);
  };
  assert.deepEqual(to({}), { mac: MAC, ip: '172.30.0.5' });
  assert.deepEqual(to({ broadcast: true }), all);
  assert.deepEqual(to({ ciaddr: '172.30.0.5', broadcast: true }, TYPE.REQUEST), { mac: MAC, ip: '172.30.0.5' });
  assert.deepEqual(to({ ciaddr: '172.30.0.6' }, TYPE.REQUEST), all, 'a NAK is for all to hear');
});

test('how much a client takes', () => {
  const size = (value: Uint8Array): number => sizeFor(request(TYPE.DISCOVER, {}, [[OPTION.MAX_SIZE, value]]));
  assert.deepEqual(
    [0, 576, 1000, 1500, 65535].map((n) => size(option.ofU16(n))),
    [548, 548, 972, 1472, 1472],
  );
  assert.equal(size(Uint8Array.of(1)), 548);
  assert.equal(sizeFor(request(TYPE.DISCOVER)), 548);
});

test('what does not fit is left out, the least needed first', () => {
  const search = Array.from({ length: 30 }, (_, i) => `a-rather-long-name-${i}.example`);
  const codes = (assignment: DhcpAssignment, maxSize: number): number[] => {
    const reply = replyTo(request(TYPE.DISCOVER), assignment, SERVER)!.message!;
    const bytes = encodeFitting(reply, maxSize);
    assert.ok(bytes.length <= maxSize);
    return [...decodeMessage(bytes).options.keys()];
  };
  const whole = codes(ASSIGNMENT, 548);
  assert.ok(whole.includes(OPTION.SEARCH));
  assert.deepEqual(
    codes({ ...ASSIGNMENT, search }, 548),
    whole.filter((code) => code !== OPTION.SEARCH),
  );
  assert.deepEqual(codes({ ...ASSIGNMENT, search }, 1472), whole, 'whoever takes more gets more');
  assert.throws(() => codes({ ...ASSIGNMENT, dns: Array.from({ length: 200 }, () => SERVER) }, 548), {
    code: 'EBADPACKET',
  });
});

test('a client has a burst, then a rate; many of them need no memory without end', () => {
  const budget = new Budget();
  const taken = (client: string, times: number, now: number): number =>
    Array.from({ length: times }, () => budget.take(client, now)).filter(Boolean).length;
  assert.equal(taken('a', 100, 0), 20);
  assert.equal(taken('a', 100, 1000), 10);
  assert.equal(taken('b', 5, 1000), 5);
  assert.equal(taken('a', 100, 60_000), 20);
  for (let i = 0; i < 20_000; i++) budget.take(`c${i}`, 60_000);
  assert.ok(budget.size <= 4096);
});

test('advertisements follow from the network: lifetimes, flags, families', () => {
  const options = {
    prefixes: ['fd00::/64', 'fd01::/80'],
    slaac: true,
    managed: false,
    gateway: true,
    dns: ['fd00::1', '10.0.0.1'],
    search: ['a.example'],
  };
  const ra = advertisement(options, MAC);
  assert.deepEqual(
    [ra.lifetime, ra.dns, ra.managed, ra.other, ra.mtu],
    [1800, { servers: ['fd00::1'], lifetime: 1800 }, false, false, undefined],
  );
  assert.deepEqual(
    ra.prefixes.map((p) => p.autonomous),
    [true, false],
    'SLAAC is for /64: RFC 4862 section 5.5.3',
  );
  assert.equal(advertisement({ ...options, gateway: false }, MAC).lifetime, 0);
  assert.deepEqual(
    advertisement({ ...options, managed: true, slaac: false }, MAC).prefixes.map((p) => p.autonomous),
    [false, false],
  );
  assert.equal(advertisement({ ...options, interval: 1800 }, MAC).lifetime, 9000, 'RFC 4861 section 6.2.1');
});
