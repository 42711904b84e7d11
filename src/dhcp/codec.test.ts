import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeDomains, encodeDomains, isDomain } from './domain.ts';
import { MalformedError } from './errors.ts';
import { arpClaim, arpProbe, icmp6Frame, readIcmp6, readUdp4, readUdp6, udp4Frame, udp6Frame } from './frame.ts';
import { leaseOf } from './lease.ts';
import { decodeMessage, type DhcpMessage, encodeMessage } from './message.ts';
import * as option from './option.ts';
import { decodeAdvertisement, decodeSolicitation, encodeAdvertisement, encodeSolicitation } from './ra.ts';

const { OPTION, TYPE } = option;
const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));

const ip4 = fc.ipV4();
const mac = fc
  .uint8Array({ minLength: 6, maxLength: 6 })
  .map((bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join(':'));
const codes = fc.integer({ min: 1, max: 254 }).filter((code) => code !== OPTION.OVERLOAD);
const options = fc.uniqueArray(fc.tuple(codes, fc.uint8Array({ maxLength: 40 })), {
  selector: ([code]) => code,
  maxLength: 12,
});
const message: fc.Arbitrary<DhcpMessage> = fc.record({
  op: fc.constantFrom(1 as const, 2 as const),
  xid: fc.nat(0xffff_ffff),
  secs: fc.nat(0xffff),
  broadcast: fc.boolean(),
  ciaddr: ip4,
  yiaddr: ip4,
  siaddr: ip4,
  giaddr: ip4,
  chaddr: mac,
  options: options.map((list) => new Map(list)),
});

/** The message type is written first, wherever it stands. */
function ordered(m: DhcpMessage): unknown {
  return {
    ...m,
    options: [...m.options].map(([code, value]) => [code, [...value]] as const).sort(([a], [b]) => a - b),
  };
}

test('messages: what was written is read', () => {
  fc.assert(
    fc.property(message, (m) => {
      const bytes = encodeMessage(m, { maxSize: 1472 });
      assert.ok(bytes.length >= 300 && bytes.length <= 1472);
      assert.deepEqual(ordered(decodeMessage(bytes)), ordered(m));
    }),
  );
});

test('messages: long options are split, and spill into file and sname where there is no room', () => {
  const long = fc.tuple(codes, fc.uint8Array({ minLength: 200, maxLength: 620 }));
  fc.assert(
    fc.property(message, long, fc.integer({ min: 548, max: 1472 }), (m, [code, value], maxSize) => {
      const whole = { ...m, options: new Map([...m.options, [code, value] as const]) };
      let bytes: Uint8Array;
      try {
        bytes = encodeMessage(whole, { maxSize });
      } catch (error) {
        assert.ok(error instanceof MalformedError);
        const least = [...whole.options.values()].reduce((sum, v) => sum + v.length + 2, 0);
        assert.ok(least + 240 > 548 - 255, `${least} bytes would have fitted`);
        return;
      }
      assert.ok(bytes.length <= maxSize);
      assert.deepEqual(ordered(decodeMessage(bytes)), ordered(whole));
    }),
  );
  // 250 in the options, the second in file, the third in sname
  const three = new Map([
    [200, new Uint8Array(290).fill(1)],
    [201, new Uint8Array(120).fill(2)],
    [202, new Uint8Array(60).fill(3)],
  ]);
  const bytes = encodeMessage({ ...fc.sample(message, 1)[0]!, options: three }, { maxSize: 548 });
  assert.deepEqual([...bytes.subarray(240 + 294, 240 + 298)], [OPTION.OVERLOAD, 1, 3, OPTION.END]);
  assert.deepEqual(
    [...decodeMessage(bytes).options].map(([code, v]) => [code, v.length]),
    [
      [200, 290],
      [201, 120],
      [202, 60],
    ],
  );
});

// busybox 1.35.0 udhcpc -i eth0 -x hostname:anything, as tcpdump 4.99 -xx shows it on the other end of a veth (kernel 6.18)
const DISCOVER = hex(`ffffffffffff 020000003005 0800 4500014800000000401179a600000000ffffffff 0044004301345b7c
  01010600 4e0d9a5a 0000 0000 00000000 00000000 00000000 00000000 020000003005 ${'00'.repeat(10)} ${'00'.repeat(192)}
  63825363 350101 39020240 37070103060c0f1c2a 0c08616e797468696e67 3c0c756468637020312e33352e30 3d0701020000003005 ff
  ${'00'.repeat(10)}`);

test('a real client: read, and written again, byte by byte', () => {
  const datagram = readUdp4(DISCOVER)!;
  assert.deepEqual(
    { ...datagram, payload: datagram.payload.length },
    {
      ...{
        srcMac: '02:00:00:00:30:05',
        dstMac: 'ff:ff:ff:ff:ff:ff',
        src: '0.0.0.0',
        dst: '255.255.255.255',
        sport: 68,
        dport: 67,
      },
      payload: 300,
    },
  );
  assert.deepEqual(udp4Frame(datagram), DISCOVER);
  const m = decodeMessage(datagram.payload);
  assert.deepEqual([m.op, m.xid, m.secs, m.broadcast, m.chaddr], [1, 0x4e0d9a5a, 0, false, '02:00:00:00:30:05']);
  assert.equal(option.u8(m.options, OPTION.MESSAGE_TYPE), TYPE.DISCOVER);
  assert.equal(option.u16(m.options, OPTION.MAX_SIZE), 576);
  assert.equal(option.text(m.options, OPTION.HOSTNAME), 'anything');
  assert.equal(option.text(m.options, 60), 'udhcp 1.35.0');
  assert.deepEqual(encodeMessage(m), datagram.payload);
});

test('messages: lengths that lie, overload in a circle, no cookie, other hardware', () => {
  const plain = encodeMessage({
    ...fc.sample(message, 1)[0]!,
    options: new Map([[OPTION.MESSAGE_TYPE, Uint8Array.of(1)]]),
  });
  const damaged = (change: (bytes: Uint8Array) => void): Uint8Array => {
    const bytes = plain.slice();
    change(bytes);
    return bytes;
  };
  for (const [what, bytes] of [
    ['short', plain.subarray(0, 239)],
    ['cookie', damaged((b) => (b[236] = 0))],
    ['operation', damaged((b) => (b[0] = 3))],
    ['hardware', damaged((b) => (b[2] = 16))],
    ['option past the end', damaged((b) => b.set([12, 200], 240))],
    ['option without a length', damaged((b) => (b.fill(0, 240), (b[b.length - 1] = 12)))],
    ['overload 4', damaged((b) => b.set([52, 1, 4, 255], 240))],
    ['overload of two bytes', damaged((b) => b.set([52, 2, 1, 1, 255], 240))],
    ['overload inside file', damaged((b) => (b.set([52, 1, 1, 255], 240), b.set([52, 1, 2, 255], 108)))],
  ] as const)
    assert.throws(() => decodeMessage(bytes), { code: 'EBADPACKET' }, what);
  // without END, and with zeros between
  const bytes = damaged((b) => (b.fill(0, 240), b.set([53, 1, 2], 260)));
  assert.equal(option.u8(decodeMessage(bytes).options, 53), 2);
});

test('options: routes, names, sizes', () => {
  // RFC 3442's own examples: default, 10/8, 10.17/16, 10.27.129/24, 10.229.0.128/25, 10.198.122.47/32
  const routes = hex(
    '00 0a000001 08 0a 0a000001 10 0a11 0a000001 18 0a1b81 0a000001 19 0ae50080 00000000 20 0ac67a2f 0a000001',
  );
  const map = new Map([[OPTION.CLASSLESS_ROUTES, routes]]);
  const via = { gateway: '10.0.0.1' };
  const want = [
    { dst: '0.0.0.0/0', ...via },
    { dst: '10.0.0.0/8', ...via },
    { dst: '10.17.0.0/16', ...via },
    { dst: '10.27.129.0/24', ...via },
    { dst: '10.229.0.128/25' },
    { dst: '10.198.122.47/32', ...via },
  ];
  assert.deepEqual(option.classlessRoutes(map), want);
  assert.deepEqual(option.ofRoutes(want), routes);
  for (const bad of ['21 0a000000 0a000001', '08 0a 0a0000', '18 0a1b']) {
    assert.throws(() => option.classlessRoutes(new Map([[OPTION.CLASSLESS_ROUTES, hex(bad)]])), MalformedError, bad);
  }
  const host = (length: number): string =>
    option.classlessRoutes(
      new Map([[121, Uint8Array.of(length, ...[255, 255, 255, 255].slice(0, (length + 7) >> 3), 0, 0, 0, 0)]]),
    )![0]!.dst;
  assert.deepEqual(
    [host(1), host(9), host(31), host(32)],
    ['128.0.0.0/1', '255.128.0.0/9', '255.255.255.254/31', '255.255.255.255/32'],
  );
  // RFC 3397 section 2: eng.apple.com. and marketing.apple.com, the second with a pointer to byte 4
  const search = hex('03656e67 056170706c65 03636f6d 00 096d61726b6574696e67 c004');
  assert.deepEqual(decodeDomains(search, { pointers: true }), ['eng.apple.com', 'marketing.apple.com']);
  assert.throws(() => decodeDomains(search, { pointers: false }), MalformedError);
  for (const bad of ['c000', '0161c000', '0161c002', '0161', '80', '41', 'c0', '0161c000c000']) {
    assert.throws(() => decodeDomains(hex(bad), { pointers: true }), MalformedError, bad);
  }
  // a newline in a name is a directive in resolv.conf
  assert.deepEqual(decodeDomains(hex('03610a62 00 0162 00 0120 00'), { pointers: true }), ['b']);
  assert.equal(option.domain(new Map([[15, option.ofText('evil\nnameserver 6.6.6.6')]]), 15), undefined);
  assert.equal(option.text(new Map([[56, option.ofText('go\x1b[2Jaway\0\0')]]), 56), 'go?[2Jaway');
  fc.assert(
    fc.property(fc.array(fc.domain().filter(isDomain), { maxLength: 8 }), (names) =>
      assert.deepEqual(decodeDomains(encodeDomains(names), { pointers: true }), names),
    ),
  );
});

test('leases: what is needed, what is left out, what is made up', () => {
  const base: [number, Uint8Array][] = [
    [OPTION.SERVER_ID, Uint8Array.of(10, 0, 0, 1)],
    [OPTION.LEASE_TIME, option.ofU32(100)],
  ];
  const of = (yiaddr: string, more: [number, Uint8Array][] = [], from = base) =>
    leaseOf({ ...fc.sample(message, 1)[0]!, yiaddr, options: new Map([...from, ...more]) }, 1000, 'aa:aa:aa:aa:aa:aa');
  assert.deepEqual(of('10.0.0.9'), {
    ...{ address: '10.0.0.9/8', routes: [], dns: [], search: [], server: '10.0.0.1', serverMac: 'aa:aa:aa:aa:aa:aa' },
    ...{ obtained: 1000, renewAt: 51_000, rebindAt: 88_500, expiresAt: 101_000 },
  });
  const mask = (value: number): [number, Uint8Array] => [OPTION.SUBNET_MASK, option.ofU32(value)];
  assert.equal(of('10.0.0.9', [mask(0xffff_fff0)]).address, '10.0.0.9/28');
  assert.equal(of('10.0.0.9', [mask(0xffff_ffff)]).address, '10.0.0.9/32');
  for (const wrong of [0, 0xff00_ff00, 0x0000_00ff])
    assert.equal(of('192.168.0.9', [mask(wrong)]).address, '192.168.0.9/24');
  const t = (t1: number, t2: number) =>
    of('10.0.0.9', [
      [OPTION.T1, option.ofU32(t1)],
      [OPTION.T2, option.ofU32(t2)],
    ]);
  assert.deepEqual([t(10, 20).renewAt, t(10, 20).rebindAt], [11_000, 21_000]);
  for (const [t1, t2] of [
    [0, 20],
    [30, 20],
    [10, 200],
  ] as const)
    assert.equal(t(t1, t2).renewAt, 51_000);
  assert.equal(of('10.0.0.9', [[OPTION.LEASE_TIME, option.ofU32(0xffff_ffff)]]).expiresAt, 8_640_000_000_000_000);
  assert.equal(of('10.0.0.9', [[OPTION.MTU, option.ofU16(67)]]).mtu, undefined);
  assert.equal(of('10.0.0.9', [[OPTION.MTU, Uint8Array.of(1)]]).mtu, undefined);
  assert.deepEqual(of('10.0.0.9', [[OPTION.DNS, option.ofIps(['0.0.0.0', '9.9.9.9', '255.255.255.255'])]]).dns, [
    '9.9.9.9',
  ]);
  // option 121 takes the place of option 3, even where it has no default
  const only = option.ofRoutes([{ dst: '10.9.0.0/16', gateway: '10.0.0.2' }]);
  const both = of('10.0.0.9', [
    [OPTION.ROUTER, option.ofIps(['10.0.0.1'])],
    [OPTION.CLASSLESS_ROUTES, only],
  ]);
  assert.deepEqual([both.router, both.routes], [undefined, [{ dst: '10.9.0.0/16', gateway: '10.0.0.2' }]]);
  for (const address of ['0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255'])
    assert.throws(() => of(address), MalformedError);
  assert.throws(() => of('10.0.0.9', [], base.slice(1)), { message: /no server identifier/ });
  assert.throws(() => of('10.0.0.9', [], base.slice(0, 1)), { message: /no lease time/ });
});

test('frames: what was written is read, checksums hold, and damage is noticed', () => {
  const around = {
    srcMac: mac,
    dstMac: mac,
    sport: fc.nat(65535),
    dport: fc.nat(65535),
    payload: fc.uint8Array({ maxLength: 600 }),
  };
  const four = fc.record({ ...around, src: ip4, dst: ip4 }, { noNullPrototype: true });
  const six = fc.record(
    { ...around, src: fc.constant('fe80::1'), dst: fc.constantFrom('ff02::1', '2001:db8::5') },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(four, fc.nat(), fc.integer({ min: 1, max: 255 }), (d, where, flip) => {
      const frame = udp4Frame(d);
      assert.deepEqual(readUdp4(frame), d);
      // everything behind the MAC addresses and the type is covered by one checksum or another
      frame[14 + (where % (frame.length - 14))]! ^= flip;
      const read = readUdp4(frame);
      if (read) assert.equal(frame[40]! | frame[41]!, 0, 'only a checksum that was left out lets damage through');
    }),
  );
  fc.assert(fc.property(six, (d) => assert.deepEqual(readUdp6(udp6Frame(d)), d)));
  // a checksum left to the hardware, as veth and bridges pass it on: the pseudo header's sum alone
  const partial = udp4Frame({
    ...fc.sample(four, 1)[0]!,
    src: '10.0.0.1',
    dst: '10.0.0.2',
    payload: new Uint8Array(8),
  });
  partial.set([0x14, 0x24], 40); // 0a00+0001+0a00+0002+0011+0010
  assert.ok(readUdp4(partial));
  partial.set([0x14, 0x25], 40);
  assert.equal(readUdp4(partial), undefined);
  // fragments, other protocols, cut off
  const whole = udp4Frame(fc.sample(four, 1)[0]!);
  for (const size of [0, 13, 14, 33, 41, whole.length - 1]) assert.equal(readUdp4(whole.subarray(0, size)), undefined);
});

test('frames: ARP probes and claims', () => {
  const probe = arpProbe('02:00:00:00:00:01', '10.0.0.5');
  assert.equal(
    Buffer.from(probe.subarray(0, 42)).toString('hex'),
    'ffffffffffff02000000000108060001080006040001020000000001000000000000000000000a000005',
  );
  assert.equal(arpClaim(probe, '02:00:00:00:00:01', '10.0.0.5'), undefined, 'our own');
  assert.equal(
    arpClaim(probe, '02:00:00:00:00:02', '10.0.0.5'),
    '02:00:00:00:00:01',
    'another that is about to take it',
  );
  assert.equal(arpClaim(probe, '02:00:00:00:00:02', '10.0.0.6'), undefined);
  const reply = probe.slice();
  reply.set([0, 2], 20);
  reply.set([10, 0, 0, 5], 28);
  assert.equal(arpClaim(reply, '02:00:00:00:00:02', '10.0.0.5'), '02:00:00:00:00:01');
  assert.equal(arpClaim(reply.subarray(0, 41), '02:00:00:00:00:02', '10.0.0.5'), undefined);
});

const u32 = fc.nat(0xffff_ffff);
const prefix6 = fc.constantFrom('fd00::/64', '2001:db8:1::/48', '::/0', 'fd00:1:2:3:8000::/65', 'fd00::5/128');
test('router advertisements and solicitations: what was written is read', () => {
  const ra = fc.record(
    {
      hopLimit: fc.nat(255),
      managed: fc.boolean(),
      other: fc.boolean(),
      lifetime: fc.nat(65535),
      reachable: u32,
      retransmit: u32,
      prefixes: fc.array(
        fc.record({ prefix: prefix6, onLink: fc.boolean(), autonomous: fc.boolean(), valid: u32, preferred: u32 }),
        { maxLength: 3 },
      ),
      routes: fc.array(fc.record({ prefix: prefix6, lifetime: u32 }), { maxLength: 3 }),
      dns: fc.record({
        servers: fc.array(fc.constantFrom('fd00::1', '2001:db8::53'), { minLength: 1, maxLength: 4 }),
        lifetime: u32,
      }),
      search: fc.record({
        domains: fc.array(fc.domain().filter(isDomain), { minLength: 1, maxLength: 4 }),
        lifetime: u32,
      }),
      sourceMac: mac,
      mtu: u32,
    },
    {
      requiredKeys: [
        'hopLimit',
        'managed',
        'other',
        'lifetime',
        'reachable',
        'retransmit',
        'prefixes',
        'routes',
        'dns',
        'search',
      ],
    },
  );
  fc.assert(
    fc.property(ra, (value) => {
      const bytes = encodeAdvertisement(value);
      assert.equal(bytes.length % 8, 0);
      assert.deepEqual(decodeAdvertisement(bytes), JSON.parse(JSON.stringify(value)));
      const packet = {
        srcMac: '02:00:00:00:00:01',
        dstMac: '33:33:00:00:00:01',
        src: 'fe80::1',
        dst: 'ff02::1',
        payload: bytes,
      };
      const read = readIcmp6(icmp6Frame(packet))!;
      read.payload.fill(0, 2, 4);
      assert.deepEqual(read, packet);
    }),
  );
  for (const rs of [{}, { sourceMac: '02:00:00:00:00:05' }])
    assert.deepEqual(decodeSolicitation(encodeSolicitation(rs)), rs);
  const whole = encodeAdvertisement(fc.sample(ra, 1)[0]!);
  const bad = (tail: string): Uint8Array => Uint8Array.from([...whole.subarray(0, 16), ...hex(tail)]);
  for (const tail of [
    '0100',
    '01',
    '0102000000000000',
    '03010000000000',
    '0301000000000000',
    '1901000000000000',
    '1f01000000000000',
  ]) {
    assert.throws(() => decodeAdvertisement(bad(tail)), MalformedError, tail);
  }
});
