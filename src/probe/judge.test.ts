import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge } from './judge.ts';
import type { Measured } from './prober.ts';

type Sketch = {
  readonly mtu?: number;
  readonly silent?: true;
  readonly told?: readonly string[];
  readonly from?: string;
  readonly ahead?: number;
  readonly rtt?: number;
  readonly out?: number;
  readonly back?: number;
  readonly six?: true;
  readonly bare?: true;
};

function way(node: string, sketch: Sketch = {}): Measured {
  const { mtu = 1500, silent, told = [], ahead = 0, rtt = 1, out = mtu, back = mtu, six } = sketch;
  const [local, remote] = six ? ['2001:db8::1', `2001:db8::${node}`] : ['192.0.2.1', `192.0.2.${node}`];
  const target = { node: `host${node}`, id: node, local, remote, mtu };
  if (silent) return { target, told };
  const { from = local } = sketch;
  const heard = {
    ...({ kind: 'answer', nonce: '', size: 64, clock: 0, address: from, port: 1000, rtt, ahead } as const),
  };
  if (sketch.bare) return { target, heard, told, bare: true };
  return { target, heard, told, out, back };
}

const table: [what: string, measured: readonly Measured[], ...expected: RegExp[]][] = [
  ['nobody else', [], /^ok reachable: no other node/],
  [
    'all is well',
    [way('2'), way('3', { six: true })],
    /^ok reachable: all of 2 nodes answer$/,
    /^ok clock: clocks differ by 0\.5 ms at most$/,
    /^ok mtu: packets of 1500 bytes come through, both ways$/,
  ],
  [
    'one alone, and it is silent',
    [way('2', { silent: true })],
    /^stop reachable: the one other node .*8284.*host2 \(192\.0\.2\.2\).*--address/,
  ],
  [
    'all are silent, by both families',
    ['2', '3', '4'].flatMap((node) => [way(node, { silent: true }), way(node, { silent: true, six: true })]),
    /^stop reachable: 3 nodes .*host2 \(192\.0\.2\.2\), .* and 2 more/,
  ],
  [
    'one of two is silent',
    [way('2', { silent: true }), way('3')],
    /^warn reachable: host2 \(192\.0\.2\.2\) does not answer .*from 192\.0\.2\.1: a firewall/,
    /^ok clock/,
    /^ok mtu/,
  ],
  [
    "the port is nobody's, which is no reason to stay away",
    [way('2', { silent: true, told: ['ECONNREFUSED'] })],
    /^warn reachable: host2 .*is reached, and nobody answers there/,
  ],
  [
    'refused on the spot',
    [way('2', { silent: true, told: ['EPERM'] }), way('3')],
    /^warn reachable: .*a firewall of this host's/,
    /^ok clock/,
    /^ok mtu/,
  ],
  [
    'no way',
    [way('2', { silent: true, told: ['EHOSTUNREACH'] }), way('3')],
    /^warn reachable: .*no way \(EHOSTUNREACH\)/,
    /^ok clock/,
    /^ok mtu/,
  ],
  [
    'one family of a node is silent',
    [way('2'), way('2', { six: true, silent: true })],
    /^warn reachable: host2 \(2001:db8::2\)/,
    /^ok clock/,
    /^ok mtu/,
  ],
  [
    'translated',
    [way('2', { from: '198.51.100.7' })],
    /^ok reachable/,
    /^warn address: host2 sees packets of 192\.0\.2\.1 come from 198\.51\.100\.7/,
    /^ok clock/,
    /^ok mtu/,
  ],
  ['wrong checksums', [way('2', { bare: true })], /^ok reachable/, /^warn checksum: host2 .*ethtool -K/, /^ok clock/],
  ['a second off', [way('2', { ahead: 1000, rtt: 0.2 })], /^ok reachable/, /^ok clock: .*1\.0 s/, /^ok mtu/],
  [
    'more',
    [way('2', { ahead: -3210, rtt: 4 })],
    /^ok reachable/,
    /^warn clock: the clock of this host is 3\.2 s \(±2\.0 ms\) ahead of that of host2/,
    /^ok mtu/,
  ],
  ['so far away that nobody knows', [way('2', { ahead: 1200, rtt: 600 })], /^ok reachable/, /^ok clock/, /^ok mtu/],
  [
    'off from all: it is ours',
    [way('2', { ahead: 5000 }), way('3', { ahead: 5001 })],
    /^ok reachable/,
    /^warn clock: .*5\.0 s .* behind that of all 2 nodes: set it by NTP$/,
    /^ok mtu/,
  ],
  [
    'off from one of two',
    [way('2', { ahead: 5000 }), way('3')],
    /^ok reachable/,
    /^warn clock: .*behind that of host2/,
    /^ok mtu/,
  ],
  [
    'small on the way, and a router says so',
    [way('2', { out: 1400, back: 1400, told: ['EMSGSIZE'] })],
    /^ok reachable/,
    /^ok clock/,
    /^warn mtu: packets of 1500 bytes to host2 \(192\.0\.2\.2\) do not come through, 1400 bytes do: .*-o mtu=1320/,
  ],
  [
    'small on the way, and nobody says so',
    [way('2', { out: 1400, back: 1400 }), way('3')],
    /^ok reachable/,
    /^ok clock/,
    /^warn mtu: .* and no router says so, 1400 bytes do/,
  ],
  [
    'small on the way back',
    [way('2', { back: 1300 })],
    /^ok reachable/,
    /^ok clock/,
    /^warn mtu: packets of 1500 bytes from host2 .* 1300 bytes do/,
  ],
  [
    'bigger than what is tried',
    [way('2', { mtu: 65_536, out: 9244, back: 9244 })],
    /^ok reachable/,
    /^ok clock/,
    /^ok mtu: packets of 9244/,
  ],
];
for (const [what, measured, ...expected] of table) {
  test(what, () => {
    const found = judge(measured).map(({ check, severity, text }) => `${severity} ${check}: ${text}`);
    assert.equal(found.length, expected.length, found.join('\n'));
    for (const [i, each] of expected.entries()) assert.match(found[i]!, each);
  });
}
