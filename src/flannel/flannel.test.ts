import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NetloomError } from '../errors.ts';
import type { Overlay } from '../model/index.ts';
import {
  chooseLease,
  fits,
  type FlannelLease,
  formatLease,
  judgeLeases,
  leaseKey,
  leaseOf,
  parseFlannelConfig,
  parseLease,
  parseLeaseKey,
} from './index.ts';

const config = (value: unknown): ReturnType<typeof parseFlannelConfig> =>
  parseFlannelConfig('/config', typeof value === 'string' ? value : JSON.stringify(value));

test("a configuration as flannel's documentation has it, whatever the case of its words", () => {
  const { ranges, backend } = config({
    Network: '10.0.0.0/8',
    SubnetLen: 20,
    SubnetMin: '10.10.0.0',
    SubnetMax: '10.99.0.0',
    Backend: { type: 'VXLAN', vni: 4096, port: 8472, directRouting: true },
  });
  assert.deepEqual(
    ranges.map(({ network, length, min, max }) => [network.text, length, min.text, max.text]),
    [['10.0.0.0/8', 20, '10.10.0.0', '10.99.0.0']],
  );
  assert.deepEqual(backend, { name: 'vxlan', vni: 4096, port: 8472, mtu: 0, directRouting: true, families: [4, 6] });
});

test('what a configuration leaves out is as flannel fills it in', () => {
  const short = config({ Network: '10.244.0.0/16' });
  assert.deepEqual(short.backend, { name: 'udp', vni: 0, port: 8285, mtu: 0, directRouting: false, families: [4] });
  const bounds = (value: unknown): unknown[] =>
    config(value).ranges.flatMap(({ length, min, max }) => [length, min.text, max.text]);
  assert.deepEqual(bounds({ Network: '10.244.0.0/16' }), [24, '10.244.1.0', '10.244.255.0']);
  assert.deepEqual(bounds({ Network: '10.244.0.0/23' }), [25, '10.244.0.128', '10.244.1.128']);
  assert.deepEqual(
    bounds({
      Network: '10.244.0.0/16',
      EnableIPv6: true,
      IPv6Network: 'fd00:244::/48',
      Backend: { Type: 'host-gw' },
    }).slice(3),
    [64, 'fd00:244:0:1::', 'fd00:244:0:ffff::'],
  );
  assert.equal(config({ Network: '10.244.0.0/16', Backend: { Type: 'vxlan' } }).backend.vni, 1);
  assert.equal(config({ Network: '10.244.0.0/16', Backend: { Type: 'wireguard' } }).backend.port, 51820);
});

test('what cannot be is refused in words that name it', () => {
  const net = { Network: '10.244.0.0/16' };
  for (const [value, code, words] of [
    ['{', 'EBADFLANNEL', /is no JSON/],
    ['[]', 'EBADFLANNEL', /no JSON object/],
    [`{"a":"${'x'.repeat(20_000)}"}`, 'EBADFLANNEL', /characters/],
    [{}, 'EBADFLANNEL', /Network "", which is no IPv4 prefix/],
    [{ Network: 'fd00::/16' }, 'EBADFLANNEL', /no IPv4 prefix/],
    [{ Network: 5 }, 'EBADFLANNEL', /Network is no short text/],
    [{ Network: '10.0.0.0/29' }, 'EBADFLANNEL', /too small/],
    [{ ...net, SubnetLen: 17 }, 'EBADFLANNEL', /SubnetLen 17/],
    [{ ...net, SubnetLen: 31 }, 'EBADFLANNEL', /SubnetLen is no number from 0 to 30/],
    [{ ...net, SubnetMin: '10.244.1.7' }, 'EBADFLANNEL', /SubnetMin "10.244.1.7"/],
    [{ ...net, SubnetMax: '10.9.1.0' }, 'EBADFLANNEL', /SubnetMax/],
    [{ ...net, SubnetMin: '10.244.9.0', SubnetMax: '10.244.8.0' }, 'EBADFLANNEL', /behind/],
    [{ ...net, EnableIPv4: false }, 'EBADFLANNEL', /no IPv4/],
    [{ ...net, EnableIPv6: true }, 'EBADFLANNEL', /IPv6Network/],
    [{ ...net, Backend: 'vxlan' }, 'EBADFLANNEL', /Backend is no JSON object/],
    [{ ...net, Backend: { Type: 'vxlan', GBP: true } }, 'EBADFLANNEL', /GBP/],
    [{ ...net, Backend: { Type: 'vxlan', VNI: 2 ** 24 } }, 'EBADFLANNEL', /VNI/],
    [{ ...net, Backend: { Type: 'wireguard', PSK: 'x' } }, 'EBADFLANNEL', /PSK/],
    [{ ...net, EnableIPv6: true, IPv6Network: 'fd00::/48', Backend: { Type: 'wireguard' } }, 'EBADFLANNEL', /separate/],
    [{ ...net, Backend: { Type: 'ali-vpc' } }, 'EBADBACKEND', /ali-vpc/],
  ] as const) {
    assert.throws(
      () => config(value),
      (error: unknown) => error instanceof NetloomError && error.code === code && words.test(error.message),
      JSON.stringify(value).slice(0, 100),
    );
  }
});

test('a lease is written as flannel reads it, and read as flannel writes it', () => {
  const text =
    '{"PublicIP":"192.0.2.9","PublicIPv6":"2001:db8::9","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"0E:00:00:00:00:09"},"BackendV6Data":{"VNI":1,"VtepMAC":"0e:00:00:00:00:0a"}}';
  const lease = parseLease('10.244.9.0-24&fd00:9::-64', text);
  assert.deepEqual(
    { ...lease, prefixes: lease.prefixes.map(({ text: t }) => t), addresses: lease.addresses.map(({ text: t }) => t) },
    {
      prefixes: ['10.244.9.0/24', 'fd00:9::/64'],
      addresses: ['192.0.2.9', '2001:db8::9'],
      ...{ backend: 'vxlan', vni: 1, mac: '0e:00:00:00:00:09' },
    },
  );
  assert.deepEqual(JSON.parse(formatLease(lease)), {
    ...JSON.parse(text),
    BackendData: { VNI: 1, VtepMAC: '0e:00:00:00:00:09' },
    BackendV6Data: { VNI: 1, VtepMAC: '0e:00:00:00:00:09' },
  });
  // udp, and an older flannel that knew one family
  const old = parseLease('10.244.9.0-24', '{"PublicIP":"192.0.2.9"}');
  assert.equal(old.backend, 'udp');
  assert.equal(formatLease(old), '{"PublicIP":"192.0.2.9","PublicIPv6":null}');
  const publicKey = Buffer.alloc(32, 7).toString('base64');
  const wireguard = parseLease(
    '10.244.9.0-24',
    JSON.stringify({
      PublicIP: '192.0.2.9',
      BackendType: 'wireguard',
      BackendData: { PublicKey: publicKey, Port: 51820 },
    }),
  );
  assert.deepEqual([wireguard.publicKey, wireguard.port], [publicKey, 51820]);
  assert.equal(leaseKey(parseLeaseKey('10.244.9.0-24&fd00:9::-64')), '10.244.9.0-24&fd00:9::-64');
  for (const name of [
    '',
    '10.244.9.0',
    '10.244.9.1-24',
    '10.244.9.0-33',
    '0.0.0.0-0',
    'fd00::-64',
    '10.244.9.0-24&',
    '10.244.9.0-24/x',
    'a&b&c',
  ])
    assert.throws(() => parseLeaseKey(name), { code: 'EBADFLANNEL' }, name);
  for (const PublicIP of ['127.0.0.1', '224.0.0.1', '255.255.255.255', '169.254.1.1', '2001:db8::1', 'x', 7])
    assert.throws(
      () => parseLease('10.244.9.0-24', JSON.stringify({ PublicIP })),
      { code: 'EBADFLANNEL' },
      String(PublicIP),
    );
  for (const VtepMAC of ['01:00:00:00:00:01', '00:00:00:00:00:00', 'x'])
    assert.throws(() => parseLease('10.244.9.0-24', JSON.stringify({ BackendData: { VtepMAC } })), {
      code: 'EBADFLANNEL',
    });
});

test('whatever is in etcd, it is read or refused by name', () => {
  const word = fc.constantFrom(
    'PublicIP',
    'BackendType',
    'BackendData',
    'VtepMAC',
    'VNI',
    'PublicKey',
    'Network',
    'Backend',
    'Type',
    'SubnetLen',
    '__proto__',
  );
  const value = fc.letrec((tie) => ({
    any: fc.oneof(fc.jsonValue(), fc.ipV4(), fc.constantFrom('vxlan', '10.0.0.0/8'), fc.dictionary(word, tie('any'))),
  })).any;
  const check = (read: () => unknown): void => {
    try {
      read();
    } catch (error) {
      assert.ok(error instanceof NetloomError, String(error));
      assert.ok(error.message.length < 500);
    }
  };
  fc.assert(
    fc.property(
      fc.oneof(
        value.map((each) => JSON.stringify(each)),
        fc.string(),
      ),
      fc.string(),
      (text, name) => {
        check(() => parseLease('10.244.9.0-24', text));
        check(() => parseLease(name, text));
        check(() => parseFlannelConfig('/config', text));
      },
    ),
    { numRuns: 500 },
  );
});

const lease = (name: string, PublicIP: string, more: object = {}): [string, FlannelLease] => {
  const BackendData = { VNI: 1, VtepMAC: `0e:00:00:00:00:${PublicIP.replace(/.*\./, '').padStart(2, '0')}` };
  return [name, parseLease(name, JSON.stringify({ PublicIP, BackendType: 'vxlan', BackendData, ...more }))];
};
const OVERLAY: Overlay = {
  ...{ plan: 'node', backend: 'vxlan', ranges: ['10.244.0.0/16'], vni: 1, port: 0, directRouting: false },
  flannel: { etcd: ['http://192.0.2.10:2379'], prefix: '/coreos.com/network' },
  self: {
    ...{ node: '10.244.1.0-24', addresses: ['192.0.2.1'], prefixes: ['10.244.1.0/24'], backend: 'vxlan' },
    ...{ mac: '0e:00:00:00:00:01', direct: true, dev: 'eth0', mtu: 1500 },
  },
};

test('hosts are made of leases; of two that are in each other’s way, who was first stays', () => {
  const leases = new Map<string, FlannelLease | string>([
    lease('10.244.2.0-24', '192.0.2.2'),
    lease('10.244.3.0-24&fd00:3::-64', '192.0.2.3', { PublicIPv6: '2001:db8::3' }),
    lease('10.244.2.128-25', '192.0.2.4'),
    lease('10.244.5.0-24', '192.0.2.2'),
    lease('10.244.1.0-28', '192.0.2.6'),
    lease('10.244.7.0-24', '192.0.2.1'),
    lease('10.8.0.0-24', '192.0.2.8'),
    lease('10.244.9.0-24', '192.0.2.9', { BackendType: 'host-gw' }),
    lease('10.244.10.0-24', '192.0.2.10', { BackendData: { VNI: 2, VtepMAC: '0e:00:00:00:00:10' } }),
    lease('10.244.11.0-24', '192.0.2.11', { BackendData: {} }),
    ['10.244.12.0-24', 'is no JSON'],
  ]);
  const near = (addresses: readonly string[]): boolean => addresses.includes('192.0.2.2');
  const { peers, refused } = judgeLeases(OVERLAY, leases, new Set(), near);
  assert.deepEqual(
    [...peers.values()],
    [
      {
        ...{ node: '10.244.2.0-24', addresses: ['192.0.2.2'], prefixes: ['10.244.2.0/24'], backend: 'vxlan' },
        ...{ mac: '0e:00:00:00:00:02', direct: true },
      },
      {
        ...{ node: '10.244.3.0-24&fd00:3::-64', addresses: ['192.0.2.3', '2001:db8::3'], prefixes: ['10.244.3.0/24'] },
        ...{ backend: 'vxlan', mac: '0e:00:00:00:00:03', direct: false },
      },
    ],
  );
  assert.deepEqual(
    [...refused].map(([name, why]) => `${name} ${why}`).toSorted(),
    [
      '10.244.1.0-28 has 10.244.1.0/28, of which somebody else has addresses',
      '10.244.10.0-24 has VNI 2, and the network 1',
      '10.244.11.0-24 tells no VtepMAC',
      '10.244.12.0-24 is no JSON',
      '10.244.2.128-25 has 10.244.2.128/25, of which somebody else has addresses',
      '10.244.5.0-24 tells 192.0.2.2, which somebody else has',
      '10.244.7.0-24 tells 192.0.2.1, which somebody else has',
      '10.244.9.0-24 is reached by host-gw, and this host by vxlan',
      '10.8.0.0-24 has 10.8.0.0/24, which is outside of the network',
    ].toSorted(),
  );
  // one that was a host before is not thrown out by another that comes
  const later = judgeLeases(OVERLAY, leases, new Set(['10.244.2.128-25']), near);
  assert.ok(later.peers.has('10.244.2.128-25') && !later.peers.has('10.244.2.0-24'));
});

test('a lease is chosen among the first that are free, the one of before if it may be; many are judged quickly', () => {
  const { ranges, backend } = config({
    Network: '10.0.0.0/8',
    SubnetMin: '10.1.0.0',
    SubnetMax: '10.1.9.0',
    Backend: { Type: 'vxlan' },
  });
  const small = { ranges, backend };
  const taken = new Map<string, FlannelLease | string>([
    lease('10.1.0.0-21', '192.0.2.2'),
    lease('10.1.9.0-24', '192.0.2.3'),
  ]);
  assert.equal(leaseKey(chooseLease(small, taken, [], () => Uint8Array.of(9, 9))), '10.1.8.0-24');
  taken.set(...lease('10.1.8.0-24', '192.0.2.4'));
  assert.throws(() => chooseLease(small, taken, [], () => Uint8Array.of(0, 0)), { code: 'ERANGEEXHAUSTED' });
  assert.equal(leaseOf(small, taken, '192.0.2.4'), '10.1.8.0-24');
  assert.equal(leaseOf(small, taken, '192.0.2.2'), undefined, 'of another length');
  taken.delete('10.1.9.0-24');
  const had = parseLeaseKey('10.1.9.0-24');
  assert.ok(fits(small, had));
  assert.equal(
    chooseLease(small, taken, had, () => Uint8Array.of(0, 0)),
    had,
  );
  const many = new Map<string, FlannelLease | string>();
  for (let i = 0; i < 5000; i++) {
    const name = `10.${2 + (i >> 8)}.${i & 255}.0-24`;
    many.set(
      ...lease(name, `172.${16 + (i >> 12)}.${(i >> 4) & 255}.${1 + (i & 15)}`, {
        BackendData: {
          VtepMAC: `0e:00:00:00:${(i >> 8).toString(16).padStart(2, '0')}:${(i & 255).toString(16).padStart(2, '0')}`,
        },
      }),
    );
  }
  const wide: Overlay = {
    ...OVERLAY,
    ranges: ['10.0.0.0/8'],
    self: { ...OVERLAY.self, mac: '0a:00:00:00:00:01', prefixes: ['10.1.1.0/24'] },
  };
  assert.equal(judgeLeases(wide, many, new Set(), () => false).peers.size, 5000);
});
