import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Fact, factKey, kindOf } from '../facts/index.ts';
import { type Epochs, espSpi, nextEpochs } from '../keys/index.ts';
import type { Network, Overlay, Peer } from '../model/index.ts';
import { ipsec } from './ipsec.ts';
import { wireguard } from './wireguard.ts';

const key = (byte: number): string => Buffer.alloc(32, byte).toString('base64');
const epoch = (byte: number): string => Buffer.alloc(16, byte).toString('base64');

const SELF: Overlay['self'] = {
  node: 'a',
  addresses: ['192.0.2.1', '2001:db8::1'],
  prefixes: ['10.244.1.0/24', 'fd00:244:1::/64'],
  backend: 'wireguard',
  mac: '',
  publicKey: key(1),
  keyFile: '/var/lib/netloom/node.key',
  epochs: [epoch(1)],
  direct: true,
  dev: 'eth0',
  mtu: 1500,
};
const PEER: Peer = {
  node: 'b',
  addresses: ['2001:db8::2'],
  prefixes: ['10.244.2.0/24', 'fd00:244:2::/64'],
  backend: 'wireguard',
  mac: '',
  publicKey: key(2),
  epochs: [epoch(2)],
  direct: true,
};
const overlay: Overlay = {
  plan: 'node',
  backend: 'wireguard',
  ranges: ['10.244.0.0/16', 'fd00:244::/32'],
  vni: 5,
  port: 0,
  directRouting: false,
  self: SELF,
};
const network: Network = {
  id: '0123456789abcdef'.repeat(4),
  name: 'shared',
  driver: 'overlay',
  created: '',
  internal: false,
  subnets: [],
  options: { driver: 'bridge', bridge: 'br0', mtu: 1400, icc: true, masquerade: true, hairpin: false, hostBinding: '' },
  overlay,
  labels: {},
  phase: 'ready',
  owner: '',
};
const words = (facts: readonly Fact[]): string[] => facts.map((fact) => kindOf(fact).command(fact, 'add'));
const without = (peer: Peer, ...names: readonly (keyof Peer)[]): Peer =>
  Object.fromEntries(Object.entries(peer).filter(([name]) => !names.includes(name as keyof Peer))) as unknown as Peer;

test('wireguard: an interface with its key by reference, a peer a host, and nothing in the clear', () => {
  assert.deepEqual(words(wireguard.networkFacts(network, overlay)), [
    'sysctl -q -w net.ipv4.ip_forward=1',
    'sysctl -q -w net.ipv6.conf.all.forwarding=1',
    "ip link add wg-0123456789ab mtu 1420 group 28268 type wireguard && ip link set dev wg-0123456789ab alias 'netloom network 0123456789ab' addrgenmode none && ip link set dev wg-0123456789ab up",
    'ip address add 10.244.1.0/32 dev wg-0123456789ab',
    'ip address add fd00:244:1::/128 dev wg-0123456789ab nodad',
    'sysctl -q -w net.ipv4.conf.wg-0123456789ab.rp_filter=2',
    'ip route add 10.244.0.0/16 dev wg-0123456789ab metric 28268 proto 110',
    'ip -6 route add fd00:244::/32 dev wg-0123456789ab metric 28268 proto 110',
    'wg set wg-0123456789ab private-key /var/lib/netloom/node.key listen-port 51820',
  ]);
  assert.deepEqual(words(wireguard.peerFacts(network, { ...overlay, port: 51821 }, PEER)), [
    `wg set wg-0123456789ab peer ${key(2)} endpoint '[2001:db8::2]:51821' persistent-keepalive 25 allowed-ips 10.244.2.0/24,fd00:244:2::/64`,
    'ip route add 10.244.2.0/24 dev wg-0123456789ab proto 110',
    'ip -6 route add fd00:244:2::/64 dev wg-0123456789ab proto 110',
  ]);
  assert.deepEqual(wireguard.ways(network, overlay), ['wg-0123456789ab']);
});

test('ipsec: an interface, and for each host policies, routes and a state each way', () => {
  const device = words(ipsec.networkFacts(network, overlay));
  assert.match(device[2] ?? '', /^ip link add xf-0123456789ab mtu 1423 group 28268 type xfrm if_id 0x6e000005 && /);
  assert.ok(device.includes('ip route add 10.244.0.0/16 dev xf-0123456789ab metric 28269 proto 110'));
  const facts = ipsec.peerFacts(network, overlay, { ...PEER, addresses: ['192.0.2.2', '2001:db8::2'] });
  const end = { a: { publicKey: key(1), epoch: epoch(1) }, b: { publicKey: key(2), epoch: epoch(2) } };
  const spi = {
    in: espSpi({ network: network.id, from: end.b, to: end.a }),
    out: espSpi({ network: network.id, from: end.a, to: end.b }),
  };
  const hex = (value: number): string => value.toString(16).padStart(8, '0');
  const tmpl = (src: string, dst: string): string =>
    `priority 28268 tmpl src ${src} dst ${dst} proto esp reqid 28268 mode tunnel if_id 0x6e000005`;
  const [a, b] = ['192.0.2.1', '192.0.2.2'];
  const esp = "reqid 28268 mode tunnel replay-window 1024 flag esn af-unspec aead 'rfc4106(gcm(aes))'";
  assert.deepEqual(words(facts), [
    `ip xfrm policy add src 0.0.0.0/0 dst 10.244.2.0/24 dir out ${tmpl(a, b)}`,
    `ip xfrm policy add src 10.244.2.0/24 dst 0.0.0.0/0 dir in ${tmpl(b, a)}`,
    `ip xfrm policy add src 10.244.2.0/24 dst 0.0.0.0/0 dir fwd ${tmpl(b, a)}`,
    `ip xfrm policy add src ::/0 dst fd00:244:2::/64 dir out ${tmpl(a, b)}`,
    `ip xfrm policy add src fd00:244:2::/64 dst ::/0 dir in ${tmpl(b, a)}`,
    `ip xfrm policy add src fd00:244:2::/64 dst ::/0 dir fwd ${tmpl(b, a)}`,
    'ip route add 10.244.2.0/24 dev xf-0123456789ab proto 110',
    'ip -6 route add fd00:244:2::/64 dev xf-0123456789ab proto 110',
    `ip xfrm state add src ${b} dst ${a} proto esp spi 0x${hex(spi.in)} ${esp} "$ESP_KEY_${hex(spi.in)}" 128 if_id 0x6e000005`,
    `ip xfrm state add src ${a} dst ${b} proto esp spi 0x${hex(spi.out)} ${esp} "$ESP_KEY_${hex(spi.out)}" 128 if_id 0x6e000005`,
  ]);
});

/** One of two hosts that change their epochs: how far it is itself, what it has told, and what of that the other has heard. */
type Progress = readonly [own: number, told: number, heard: number];

test('ipsec: what one end sends by, the other hears, at every interleaving of changes at both ends', () => {
  const sequence = (first: number): string[][] => {
    const all = [[epoch(first)]];
    let now: Epochs = { epochs: [epoch(first)] };
    do {
      now = nextEpochs(now, () => epoch(first + 100));
      all.push([...now.epochs]);
    } while (now.coming !== undefined);
    return all;
  };
  const steps = { a: sequence(1), b: sequence(2) } as const;
  assert.deepEqual(
    steps.a,
    [[1], [1, 101], [101, 1], [101]].map((list) => list.map(epoch)),
  );
  const peer = (n: number, epochs: readonly string[] = []): Peer => {
    return { ...PEER, node: `${n}`, epochs, publicKey: key(n), addresses: [`192.0.2.${n}`] };
  };
  const cache = new Map<string, { in: string[]; out: string[] }>();
  const states = (
    n: number,
    own: readonly string[] = [],
    other: readonly string[] = [],
  ): { in: string[]; out: string[] } => {
    const name = `${n} ${own.join()} ${other.join()}`;
    const known = cache.get(name);
    if (known) return known;
    const self: Overlay = { ...overlay, self: { ...SELF, ...peer(n, own) } };
    const facts = ipsec.peerFacts(network, self, peer(3 - n, other)).filter((fact) => fact.kind === 'xfrm-state');
    const keys = (sends: boolean): string[] => facts.filter((fact) => fact.sends === sends).map(factKey);
    const made = { in: keys(false), out: keys(true) };
    cache.set(name, made);
    return made;
  };
  /** It goes on once others had the time; it tells what it is; the other hears what was told. A crash changes nothing. */
  const next = ([own, told, heard]: Progress): Progress[] => [
    ...(own === told && told === heard && own < steps.a.length - 1 ? [[own + 1, told, heard] as const] : []),
    ...(told < own ? [[own, own, heard] as const] : []),
    ...(heard < told ? [[own, told, told] as const] : []),
  ];
  const seen = new Set<string>();
  const left: (readonly [Progress, Progress])[] = [
    [
      [0, 0, 0],
      [0, 0, 0],
    ],
  ];
  for (let at = left.pop(); at; at = left.pop()) {
    const name = at.join(' | ');
    if (seen.has(name)) continue;
    seen.add(name);
    const [a, b] = at;
    const atA = states(1, steps.a[a[0]], steps.b[b[2]]);
    const atB = states(2, steps.b[b[0]], steps.a[a[2]]);
    assert.equal(atA.out.length + atB.out.length, 2);
    assert.ok(atB.in.includes(atA.out[0] ?? ''), `A to B at ${name}`);
    assert.ok(atA.in.includes(atB.out[0] ?? ''), `B to A at ${name}`);
    left.push(...next(a).map((step) => [step, b] as const), ...next(b).map((step) => [a, step] as const));
  }
  assert.equal(seen.size, 100, 'ten each');
});

test('a host that cannot be reached is none, and it is said why', () => {
  for (const [backend, peer, why] of [
    [wireguard, without(PEER, 'publicKey'), /no public key/],
    [ipsec, without(PEER, 'publicKey'), /no public key, or no epoch/],
    [ipsec, without(PEER, 'epochs'), /no public key, or no epoch/],
    [wireguard, { ...PEER, addresses: [] }, /no address/],
    [ipsec, { ...PEER, addresses: [] }, /no address/],
  ] as const) {
    assert.deepEqual(backend.peerFacts(network, overlay, peer), []);
    assert.match(backend.whyNot(network, overlay, peer), why);
  }
  for (const backend of [wireguard, ipsec]) {
    assert.equal(backend.whyNot(network, overlay, PEER), '');
    assert.deepEqual(backend.plans, ['node']);
    const { keyFile: _, ...self } = SELF;
    assert.match(backend.whyNot(network, { ...overlay, self }, PEER), /we have no key/);
  }
});

test('the biggest packet fits into what is around it', () => {
  // RFC 4303: outer IP, SPI, sequence number, IV, packet, padding to four with pad length and next header, ICV
  for (const [family, ip] of [
    [4, 20],
    [6, 40],
  ] as const) {
    for (let mtu = 1280; mtu <= 1300; mtu++) {
      const inner = mtu - ipsec.overhead(family);
      assert.ok(ip + 8 + 8 + Math.ceil((inner + 2) / 4) * 4 + 16 <= mtu, `${mtu}`);
    }
    assert.equal(wireguard.overhead(family), ip + 8 + 16 + 16);
  }
});
