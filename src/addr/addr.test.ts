import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Address4, Address6 } from 'ip-address';
import {
  broadcastOf,
  compareIp,
  contains,
  formatMac,
  ifName,
  ipFromBytes,
  ipFromValue,
  macFor,
  makePrefix,
  network,
  overlaps,
  parseIp,
  parseMac,
  parsePort,
  parsePortRange,
  parsePrefix,
  prefixSize,
  tryParseIp,
} from './index.ts';

const value4 = fc.bigInt({ min: 0n, max: 0xffff_ffffn });
const value6 = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
  // Runs of zero groups, where the canonical form is decided.
  fc
    .array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
    .map((groups) => groups.reduce((sum, group) => (sum << 16n) | BigInt(group), 0n)),
);

test('IPv4 reads and prints as ip-address does', () => {
  fc.assert(
    fc.property(value4, (value) => {
      const ip = ipFromValue(4, value);
      const other = Address4.fromBigInt(value);
      assert.equal(ip.text, other.correctForm());
      assert.deepEqual(parseIp(ip.text), ip);
      assert.deepEqual(ipFromBytes(ip.bytes), ip);
      assert.deepEqual([...ip.bytes], other.toArray());
    }),
  );
});

test('IPv6 reads every form and prints the canonical one', () => {
  fc.assert(
    fc.property(value6, (value) => {
      const ip = ipFromValue(6, value);
      const other = Address6.fromBigInt(value);
      // ip-address writes IPv4-mapped addresses in hexadecimal; RFC 5952 section 5 and the kernel's %pI6c do not.
      if (value >> 32n !== 0xffffn) assert.equal(ip.text, other.correctForm());
      for (const form of [ip.text, other.canonicalForm(), other.canonicalForm().toUpperCase(), other.to4in6()])
        assert.deepEqual(parseIp(form), ip);
      assert.deepEqual(ipFromBytes(ip.bytes), ip);
    }),
  );
});

test('whatever text: accepted only if ip-address accepts it, and the same address then', () => {
  const alphabet = fc.constantFrom(
    '0',
    '1',
    '2',
    '5',
    '9',
    'a',
    'f',
    'F',
    ':',
    '::',
    '.',
    '/',
    '%',
    ' ',
    '255',
    '256',
    '01',
    'g',
  );
  fc.assert(
    fc.property(
      fc.array(alphabet, { maxLength: 20 }).map((parts) => parts.join('')),
      (text) => {
        const ip = tryParseIp(text);
        if (!ip) return;
        const other = ip.family === 4 ? new Address4(text) : new Address6(text);
        assert.equal(ip.value, other.bigInt());
      },
    ),
    { numRuns: 2000 },
  );
});

test('canonical texts of RFC 5952', () => {
  for (const [text, canonical] of [
    ['2001:0db8::0001', '2001:db8::1'],
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:DB8::', '2001:db8::'],
    ['::FFFF:192.0.2.1', '::ffff:192.0.2.1'],
    ['::ffff:c000:201', '::ffff:192.0.2.1'],
    ['::', '::'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ] as const) {
    assert.equal(parseIp(text).text, canonical, text);
  }
});

test('refuses what other programs read differently, with the cure', () => {
  for (const [text, cure] of [
    ['010.0.0.1', /leading zeros/],
    ['10.1', /all four/],
    ['1.2.3.256', /0 to 255/],
    ['1.2.3.4/24', /prefix length/],
    ['fe80::1%eth0', /zone/],
    [' 1.2.3.4', /spaces/],
    ['', /empty/],
    ['1::2::3', /such as/],
    ['1:2:3:4:5:6:7:8:9', /such as/],
    ['1:2:3:4:5:6:7', /such as/],
    [':1::', /such as/],
    ['1.2.3.4:80', /such as/],
    ['::1.2.3', /such as/],
    ['::01.2.3.4', /such as/],
    ['1.2.3.4::', /such as/],
    ['12345::', /such as/],
    ['0x7f.0.0.1', /such as/],
    ['1.2.3.4.', /such as|0 to 255|all four/],
  ] as const) {
    assert.throws(() => parseIp(text), { code: 'EBADADDRESS', message: cure }, text);
  }
  assert.throws(() => ipFromValue(4, 1n << 32n), { code: 'EBADADDRESS' });
  assert.throws(() => ipFromValue(6, -1n), { code: 'EBADADDRESS' });
  assert.throws(() => ipFromBytes(new Uint8Array(5)), { code: 'EBADADDRESS' });
});

test('prefixes: bounds and containment as ip-address has them', () => {
  fc.assert(
    fc.property(value6, fc.nat(128), fc.nat(128), (value, a, b) => {
      const outer = makePrefix(ipFromValue(6, value), a);
      const other = new Address6(`${outer.address.text}/${a}`);
      assert.equal(outer.first, other.startAddress().bigInt());
      assert.equal(outer.last, other.endAddress().bigInt());
      assert.equal(prefixSize(outer), 1n << BigInt(128 - a));
      const inner = makePrefix(outer.address, b);
      assert.equal(contains(outer, inner), a <= b);
      assert.ok(contains(outer, outer.address) && overlaps(outer, inner) && overlaps(inner, outer));
    }),
  );
  fc.assert(
    fc.property(value4, fc.nat(32), value4, fc.nat(32), (v1, l1, v2, l2) => {
      const a = makePrefix(ipFromValue(4, v1), l1);
      const b = makePrefix(ipFromValue(4, v2), l2);
      const shared =
        Math.min(l1, l2) === 0 || v1 >> BigInt(32 - Math.min(l1, l2)) === v2 >> BigInt(32 - Math.min(l1, l2));
      assert.equal(overlaps(a, b), shared);
      const other = new Address4(a.text);
      assert.equal(network(a).text, `${other.startAddress().correctForm()}/${l1}`);
      if (l1 < 31) assert.equal(broadcastOf(a)?.text, other.endAddress().correctForm());
      else assert.equal(broadcastOf(a), undefined);
    }),
  );
});

test('prefixes: keeps host bits, refuses them when strict', () => {
  const prefix = parsePrefix('172.18.0.2/16');
  assert.equal(prefix.text, '172.18.0.2/16');
  assert.equal(network(prefix).text, '172.18.0.0/16');
  assert.equal(parsePrefix('FD00:1::/64', { strict: true }).text, 'fd00:1::/64');
  assert.throws(() => parsePrefix('10.0.0.1/8', { strict: true }), {
    code: 'EBADPREFIX',
    message: /network is 10\.0\.0\.0\/8/,
  });
  for (const text of [
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '::/129',
    'x/8',
    '10.0.0.0/8/8',
    '',
  ]) {
    assert.throws(() => parsePrefix(text), { code: 'EBADPREFIX' }, text);
  }
  assert.equal(overlaps(parsePrefix('::/0'), parsePrefix('0.0.0.0/0')), false);
  assert.equal(contains(parsePrefix('::/0'), parseIp('1.2.3.4')), false);
});

test('addresses sort IPv4 first, then by number', () => {
  const sorted = ['10.0.0.2', '::1', '9.0.0.1', '10.0.0.10', '::']
    .map(parseIp)
    .sort(compareIp)
    .map((ip) => ip.text);
  assert.deepEqual(sorted, ['9.0.0.1', '10.0.0.2', '10.0.0.10', '::', '::1']);
});

test('MAC addresses', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (bytes) => {
      assert.deepEqual(parseMac(formatMac(bytes)), bytes);
      assert.deepEqual(parseMac(formatMac(bytes).toUpperCase().replaceAll(':', '-')), bytes);
    }),
  );
  for (const text of [
    '',
    '02:42:ac:12:00',
    '02:42:ac:12:00:02:03',
    '02-42:ac:12:00:02',
    '2:42:ac:12:00:02',
    '02:42:ac:12:00:0g',
    '0242ac120002',
  ]) {
    assert.throws(() => parseMac(text), { code: 'EBADMAC' }, text);
  }
  assert.throws(() => parseMac('01:00:5e:00:00:01', { unicast: true }), { code: 'EBADMAC', message: /multicast/ });
  assert.throws(() => parseMac('00:00:00:00:00:00', { unicast: true }), { code: 'EBADMAC' });
  assert.equal(macFor(parseIp('172.18.0.2')), '02:42:ac:12:00:02');
  const macs = new Set(
    Array.from({ length: 500 }, (_, i) => macFor(ipFromValue(6, parseIp('fd6e:6c00:1::2').value + BigInt(i)))),
  );
  assert.equal(macs.size, 500);
  for (const mac of macs) assert.equal(parseMac(mac, { unicast: true })[0], 2);
});

test('interface names: what the kernel takes', () => {
  for (const name of ['eth0', 'br-0123456789ab', 'a', 'veth.1', 'x@y', '...']) assert.equal(ifName(name), name);
  for (const name of ['', '.', '..', 'a/b', 'a b', 'a:1', 'eth%d', 'sixteen-bytes-xx', 'tab\t', 'é', 'a\0']) {
    assert.throws(() => ifName(name), { code: 'EBADIFNAME' }, JSON.stringify(name));
  }
});

test('ports', () => {
  assert.equal(parsePort('65535'), 65535);
  assert.equal(parsePort('0', { zero: true }), 0);
  assert.deepEqual(parsePortRange('80'), { first: 80, last: 80 });
  assert.deepEqual(parsePortRange('8000-8010'), { first: 8000, last: 8010 });
  for (const text of ['', '0', '65536', '-1', '1.5', '0x50', ' 80', '80-', '90-80', '80-90-100', '1e3']) {
    assert.throws(() => parsePortRange(text), { code: 'EBADPORT' }, text);
  }
});
