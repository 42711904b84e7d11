import assert from 'node:assert/strict';
import { test } from 'node:test';
import { damaged, dice } from '../../test/lib/dice.ts';
import { MalformedError } from './errors.ts';
import { arpClaim, arpProbe, icmp6Frame, readIcmp6, readUdp4, readUdp6, udp4Frame, udp6Frame } from './frame.ts';
import { leaseOf } from './lease.ts';
import { DhcpMachine } from './machine.ts';
import { decodeMessage, encodeMessage } from './message.ts';
import { Dhcp6Machine } from './machine6.ts';
import { decodeMessage6, encodeMessage6 } from './message6.ts';
import * as option from './option.ts';
import { decodeAdvertisement, decodeSolicitation, encodeAdvertisement, encodeSolicitation } from './ra.ts';
import { advertisement } from './router.ts';
import { destinationOf, replyTo, sizeFor } from './server.ts';
import { replyTo6 } from './server6.ts';

const { OPTION } = option;
const REPLY = encodeMessage(
  {
    ...{ op: 2, xid: 1, secs: 0, broadcast: false, chaddr: '02:00:00:00:00:01' },
    ...{ ciaddr: '0.0.0.0', yiaddr: '10.0.0.5', siaddr: '0.0.0.0', giaddr: '0.0.0.0' },
    options: new Map([
      [OPTION.MESSAGE_TYPE, Uint8Array.of(5)],
      [OPTION.SERVER_ID, option.ofIps(['10.0.0.1'])],
      [OPTION.LEASE_TIME, option.ofU32(3600)],
      [OPTION.SUBNET_MASK, option.ofU32(0xffff_ff00)],
      [OPTION.DNS, option.ofIps(['10.0.0.1', '9.9.9.9'])],
      [OPTION.DOMAIN, option.ofText('a.example')],
      [OPTION.SEARCH, Uint8Array.of(1, 97, 7, ...Buffer.from('example'), 0, 1, 98, 0xc0, 2)],
      [
        OPTION.CLASSLESS_ROUTES,
        option.ofRoutes([
          { dst: '10.0.0.0/8', gateway: '10.0.0.2' },
          { dst: '0.0.0.0/0', gateway: '10.0.0.1' },
        ]),
      ],
      [OPTION.MTU, option.ofU16(1400)],
      [200, new Uint8Array(110)],
    ]),
  },
  { maxSize: 548 },
);
const RA = encodeAdvertisement(
  advertisement(
    {
      prefixes: ['fd00::/64'],
      slaac: true,
      managed: true,
      gateway: true,
      dns: ['fd00::1'],
      search: ['a.example'],
      mtu: 1400,
    },
    '02:00:00:00:00:01',
  ),
);
const AROUND = { srcMac: '02:00:00:00:00:01', dstMac: '02:00:00:00:00:02' };
const ASSIGNMENT = { address: '10.0.0.5/24', dns: ['10.0.0.1'], search: ['a.example'], leaseSeconds: 60 };

const REPLY6 = encodeMessage6({
  ...{
    type: 7,
    xid: 9,
    clientId: '00030001020000000001',
    serverId: '000300010200000000fe',
    preference: 1,
    rapidCommit: true,
  },
  ...{
    wanted: [23, 24],
    elapsed: 5,
    status: { code: 0, text: 'ok' },
    dns: ['fd00::1'],
    search: ['a.example', 'b.example'],
  },
  ias: [
    {
      iaid: 1,
      t1: 5,
      t2: 8,
      addresses: [{ address: 'fd00::5', preferred: 9, valid: 9 }],
      status: { code: 0, text: '' },
    },
  ],
});

/** Everything that anybody on the link can reach by a packet. */
const READERS: readonly (readonly [
  name: string,
  whole: Uint8Array,
  read: (bytes: Uint8Array, turn: number) => void,
])[] = [
  [
    'reply',
    REPLY,
    (bytes, turn) => {
      const message = decodeMessage(bytes);
      // the machine does the same once more: a part of the packets is enough
      if (turn % 4 === 0) {
        const machine = new DhcpMachine(
          { mac: '02:00:00:00:00:01', clientId: 'x' },
          { kind: 'acquire', requested: '10.0.0.5', probe: false },
          () => 1 / 0x1_0000_0000,
        );
        machine.start(0);
        machine.receive(message, '', 1);
      }
      const lease = leaseOf(message, 0, '');
      assert.ok(
        lease.search.every((name) => /^[\w.-]+$/.test(name)),
        'nothing but names in a resolv.conf',
      );
      assert.ok(lease.renewAt < lease.rebindAt || lease.renewAt === lease.expiresAt);
    },
  ],
  [
    'request',
    REPLY.slice().fill(1, 0, 1),
    (bytes) => {
      const request = decodeMessage(bytes);
      const reply = replyTo(request, ASSIGNMENT, '10.0.0.1')?.message;
      if (!reply) return;
      destinationOf(request, reply, AROUND.srcMac);
      assert.ok(encodeMessage(reply, { maxSize: sizeFor(request) }).length <= 1472);
    },
  ],
  [
    'DHCPv6',
    REPLY6,
    (bytes, turn) => {
      const message = decodeMessage6(bytes);
      assert.ok(message.search.every((name) => /^[\w.-]+$/.test(name)));
      const reply = replyTo6(message, { ...ASSIGNMENT, address6: 'fd00::5/64' }, '0004');
      if (reply) encodeMessage6(reply.message);
      if (turn % 4 !== 0) return;
      for (const kind of ['acquire', 'info'] as const) {
        const machine = new Dhcp6Machine({ duid: '00030001020000000001', iaid: 1 }, { kind }, () => 9 / 0x100_0000);
        machine.start(0);
        machine.receive(message, '', 1);
      }
    },
  ],
  ['udp4', udp4Frame({ ...AROUND, src: '10.0.0.1', dst: '10.0.0.2', sport: 67, dport: 68, payload: RA }), readUdp4],
  ['udp6', udp6Frame({ ...AROUND, src: 'fe80::1', dst: 'ff02::1', sport: 547, dport: 546, payload: RA }), readUdp6],
  ['icmp6', icmp6Frame({ ...AROUND, src: 'fe80::1', dst: 'ff02::1', payload: RA }), readIcmp6],
  ['arp', arpProbe(AROUND.srcMac, '10.0.0.5'), (bytes) => arpClaim(bytes, AROUND.dstMac, '10.0.0.5')],
  ['advertisement', RA, decodeAdvertisement],
  ['solicitation', encodeSolicitation({ sourceMac: AROUND.srcMac }), decodeSolicitation],
];

test('a million damaged packets: typed errors only, and none takes long', { timeout: 60_000 }, () => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 0xffff_ffff);
  const roll = dice(seed);
  const began = process.cpuUsage();
  const counts = { read: 0, refused: 0 };
  // building a stack for each of a million errors would be most of the time
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    for (let i = 0; i < 1_000_000; i++) {
      const [name, whole, read] = READERS[i % READERS.length]!;
      const cut = damaged(whole, roll);
      try {
        read(cut, Math.floor(i / READERS.length));
        counts.read++;
      } catch (error) {
        if (!(error instanceof MalformedError)) {
          assert.fail(
            `${name} with FUZZ_SEED=${seed}, packet ${i}: ${Buffer.from(cut).toString('hex')}: ${String(error)}`,
          );
        }
        counts.refused++;
      }
    }
  } finally {
    Error.stackTraceLimit = limit;
  }
  assert.ok(counts.read > 100_000 && counts.refused > 100_000, JSON.stringify(counts));
  // of the processor's time, since the clock on the wall tells of others: it takes about 5
  const { user } = process.cpuUsage(began);
  assert.ok(user < 30_000_000, `${user / 1e6} s`);
});
