import type { NftExpression, NftFamily, NftMatch, NftSet, NftStatement } from '../../../src/nftables/index.ts';

/** One rule in both spellings: nft's text is what we must print, and what nft makes of it is what we must compile. */
export interface RuleCase {
  readonly family: NftFamily;
  readonly text: string;
  readonly statements: readonly NftStatement[];
}

/** The sets that the rules name, in table `t`; there is a chain `c` to jump to. */
export const SETS: readonly Omit<NftSet, 'family' | 'table'>[] = [
  { name: 'ports', type: 'inet_service' },
  { name: 'names', type: 'ifname' },
  { name: 'pairs', type: ['ifname', 'ifname'] },
  { name: 'nets4', type: 'ipv4_addr', flags: ['interval'] },
  { name: 'marks', type: 'mark', flags: ['interval'] },
  { name: 'markports', type: ['mark', 'inet_service'], flags: ['interval'] },
  { name: 'hairpin', type: ['ipv4_addr', 'ifname'], flags: ['interval'] },
  { name: 'seen', type: 'ipv4_addr', flags: ['dynamic'], timeout: 60 },
  { name: 'publish4', type: ['ipv4_addr', 'inet_proto', 'inet_service'], map: ['ipv4_addr', 'inet_service'] },
  { name: 'publish4_any', type: ['inet_proto', 'inet_service'], map: ['ipv4_addr', 'inet_service'] },
  { name: 'publish4_range', type: ['ipv4_addr', 'inet_proto', 'inet_service'], map: 'ipv4_addr', flags: ['interval'] },
  { name: 'publish6', type: ['ipv6_addr', 'inet_proto', 'inet_service'], map: ['ipv6_addr', 'inet_service'] },
  { name: 'publish6_any', type: ['inet_proto', 'inet_service'], map: ['ipv6_addr', 'inet_service'] },
  { name: 'publish6_range', type: ['ipv6_addr', 'inet_proto', 'inet_service'], map: 'ipv6_addr', flags: ['interval'] },
  { name: 'verdicts', type: 'inet_service', map: 'verdict' },
  { name: 'portmarks', type: 'inet_service', map: 'mark' },
];

const payload = (protocol: string, field: string): NftExpression => ({ payload: { protocol, field } });
const meta = (
  key:
    | 'iifname'
    | 'oifname'
    | 'mark'
    | 'nfproto'
    | 'l4proto'
    | 'skuid'
    | 'pkttype'
    | 'iif'
    | 'protocol'
    | 'cgroup'
    | 'iifgroup',
): NftExpression => ({
  meta: { key },
});
const match = (left: NftExpression, right: NftMatch['right'], op: NftMatch['op'] = '=='): NftStatement => ({
  match: { op, left, right },
});
const state = (right: NftMatch['right'], op: NftMatch['op'] = 'in'): NftStatement =>
  match({ ct: { key: 'state' } }, right, op);

const tcpDport = payload('tcp', 'dport');
const thDport = payload('th', 'dport');
const ipSaddr = payload('ip', 'saddr');
const ipDaddr = payload('ip', 'daddr');
const ip6Daddr = payload('ip6', 'daddr');
const tcp80 = match(tcpDport, 80);
const accept: NftStatement = { accept: null };
const drop: NftStatement = { drop: null };
const counter: NftStatement = { counter: null };

const inet = (text: string, ...statements: NftStatement[]): RuleCase => ({ family: 'inet', text, statements });
const at = (family: NftFamily, text: string, ...statements: NftStatement[]): RuleCase => ({ family, text, statements });

export const RULES: readonly RuleCase[] = [
  // comparisons of header fields, and the checks they need
  inet('tcp dport 80 accept', tcp80, accept),
  inet('tcp dport != 80 accept', match(tcpDport, 80, '!='), accept),
  inet('tcp dport < 1024 accept', match(tcpDport, 1024, '<'), accept),
  inet('tcp dport >= 1024 accept', match(tcpDport, 1024, '>='), accept),
  inet('tcp dport 1-1024 drop', match(tcpDport, { range: [1, 1024] }), drop),
  inet('tcp dport != 1-1024 drop', match(tcpDport, { range: [1, 1024] }, '!='), drop),
  inet('udp dport 53 counter accept', match(payload('udp', 'dport'), 53), counter, accept),
  inet('sctp dport 5 accept', match(payload('sctp', 'dport'), 5), accept),
  inet('th dport 53 accept', match(thDport, 53), accept),
  inet('ip saddr 1.1.1.1 ip daddr 2.2.2.2 drop', match(ipSaddr, '1.1.1.1'), match(ipDaddr, '2.2.2.2'), drop),
  inet('ip saddr 10.0.0.0/8 drop', match(ipSaddr, { prefix: { addr: '10.0.0.0', len: 8 } }), drop),
  inet('ip saddr != 10.0.0.0/8 drop', match(ipSaddr, { prefix: { addr: '10.0.0.0', len: 8 } }, '!='), drop),
  inet('ip saddr 10.0.0.0/9 drop', match(ipSaddr, { prefix: { addr: '10.0.0.0', len: 9 } }), drop),
  inet('ip6 saddr fe80::/10 accept', match(payload('ip6', 'saddr'), { prefix: { addr: 'fe80::', len: 10 } }), accept),
  inet('ip6 daddr 2001:db8::/32 accept', match(ip6Daddr, { prefix: { addr: '2001:db8::', len: 32 } }), accept),
  inet('ip6 daddr ::1 return', match(ip6Daddr, '::1'), { return: null }),
  inet('ip saddr 10.0.0.1-10.0.0.9 drop', match(ipSaddr, { range: ['10.0.0.1', '10.0.0.9'] }), drop),
  inet('ip ttl 3 accept', match(payload('ip', 'ttl'), 3), accept),
  inet('ip dscp 5 accept', match(payload('ip', 'dscp'), 5), accept),
  inet('ip6 dscp 5 accept', match(payload('ip6', 'dscp'), 5), accept),
  inet('ip frag-off != 0 drop', match(payload('ip', 'frag-off'), 0, '!='), drop),
  inet('ip protocol tcp tcp dport 5 drop', match(payload('ip', 'protocol'), 'tcp'), match(tcpDport, 5), drop),
  inet('ether saddr 00:11:22:33:44:55 accept', match(payload('ether', 'saddr'), '00:11:22:33:44:55'), accept),
  inet('icmp type echo-request accept', match(payload('icmp', 'type'), 'echo-request'), accept),
  inet(
    'icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept',
    match(payload('icmpv6', 'type'), { set: ['nd-router-advert', 'nd-neighbor-solicit'] }),
    accept,
  ),
  inet('meta l4proto tcp tcp dport 80 accept', match(meta('l4proto'), 'tcp'), tcp80, accept),
  inet('meta nfproto ipv4 tcp dport 5 reject', match(meta('nfproto'), 'ipv4'), match(tcpDport, 5), { reject: null }),
  // neighbouring fields are read at once
  inet('tcp sport 1 tcp dport 2 drop', match(payload('tcp', 'sport'), 1), match(tcpDport, 2), drop),
  inet(
    'tcp sport 1 meta mark 2 tcp dport 3 accept',
    match(payload('tcp', 'sport'), 1),
    match(meta('mark'), 2),
    match(tcpDport, 3),
    accept,
  ),
  inet(
    'tcp sport 1 counter tcp dport 3 accept',
    match(payload('tcp', 'sport'), 1),
    counter,
    match(tcpDport, 3),
    accept,
  ),
  inet('ip6 saddr ::2 ip6 daddr ::1 drop', match(payload('ip6', 'saddr'), '::2'), match(ip6Daddr, '::1'), drop),
  at(
    'bridge',
    'ether daddr 00:11:22:33:44:55 ether saddr 00:11:22:33:44:56 drop',
    match(payload('ether', 'daddr'), '00:11:22:33:44:55'),
    match(payload('ether', 'saddr'), '00:11:22:33:44:56'),
    drop,
  ),
  // bits
  inet('ct state established,related accept', state(['established', 'related']), accept),
  inet('ct state new accept', state('new'), accept),
  inet('ct state != established drop', state('established', '!='), drop),
  inet('ct state == established drop', state('established', '=='), drop),
  inet('ct status dnat accept', match({ ct: { key: 'status' } }, 'dnat', 'in'), accept),
  inet('tcp flags syn accept', match(payload('tcp', 'flags'), 'syn', 'in'), accept),
  inet(
    'tcp flags & (syn | ack) == syn accept',
    match({ '&': [payload('tcp', 'flags'), ['syn', 'ack']] }, 'syn'),
    accept,
  ),
  inet('meta mark & 255 == 5 accept', match({ '&': [meta('mark'), 255] }, 5), accept),
  inet('ct mark & 240 == 16 accept', match({ '&': [{ ct: { key: 'mark' } }, 240] }, 16), accept),
  inet('ip saddr & 255.0.0.255 == 10.0.0.1 accept', match({ '&': [ipSaddr, '255.0.0.255'] }, '10.0.0.1'), accept),
  // metadata
  inet('iifname "lo" accept', match(meta('iifname'), 'lo'), accept),
  inet('iifname != "lo" accept', match(meta('iifname'), 'lo', '!='), accept),
  inet('iifname "veth*" accept', match(meta('iifname'), 'veth*'), accept),
  inet('meta mark 1 accept', match(meta('mark'), 1), accept),
  inet('meta mark 1-5 accept', match(meta('mark'), { range: [1, 5] }), accept),
  inet('meta mark != 1-5 accept', match(meta('mark'), { range: [1, 5] }, '!='), accept),
  inet('meta mark > 5 accept', match(meta('mark'), 5, '>'), accept),
  inet('skuid 1000 accept', match(meta('skuid'), 1000), accept),
  inet('meta cgroup 5 accept', match(meta('cgroup'), 5), accept),
  inet('iifgroup 5 accept', match(meta('iifgroup'), 5), accept),
  inet('meta pkttype broadcast drop', match(meta('pkttype'), 'broadcast'), drop),
  inet('meta protocol ip accept', match(meta('protocol'), 'ip'), accept),
  inet('ct original ip daddr 1.2.3.4 accept', match({ ct: { key: 'ip daddr', dir: 'original' } }, '1.2.3.4'), accept),
  inet(
    'ct original ip saddr 10.0.0.0/8 accept',
    match({ ct: { key: 'ip saddr', dir: 'original' } }, { prefix: { addr: '10.0.0.0', len: 8 } }),
    accept,
  ),
  inet(
    'tcp dport 80 ct original proto-dst 80 accept',
    tcp80,
    match({ ct: { key: 'proto-dst', dir: 'original' } }, 80),
    accept,
  ),
  inet('ct zone 5 accept', match({ ct: { key: 'zone' } }, 5), accept),
  inet('ct direction reply accept', match({ ct: { key: 'direction' } }, 'reply'), accept),
  inet('fib daddr type local accept', match({ fib: { result: 'type', flags: ['daddr'] } }, 'local'), accept),
  inet(
    'fib daddr . iif type local accept',
    match({ fib: { result: 'type', flags: ['daddr', 'iif'] } }, 'local'),
    accept,
  ),
  inet(
    'fib daddr type != { local, broadcast } drop',
    match({ fib: { result: 'type', flags: ['daddr'] } }, { set: ['local', 'broadcast'] }, '!='),
    drop,
  ),
  inet(
    'fib saddr . iif oif missing drop',
    match({ fib: { result: 'oif', flags: ['saddr', 'iif', 'check'] } }, 'missing'),
    drop,
  ),
  inet('rt ip nexthop 1.2.3.4 accept', match({ rt: { key: 'ip nexthop' } }, '1.2.3.4'), accept),
  // sets
  inet('tcp dport @ports accept', match(tcpDport, '@ports'), accept),
  inet('oifname != @names drop', match(meta('oifname'), '@names', '!='), drop),
  inet('iifname . oifname @pairs accept', match({ concat: [meta('iifname'), meta('oifname')] }, '@pairs'), accept),
  inet('ip saddr @nets4 accept', match(ipSaddr, '@nets4'), accept),
  inet('meta mark @marks accept', match(meta('mark'), '@marks'), accept),
  inet('meta mark . tcp dport @markports accept', match({ concat: [meta('mark'), tcpDport] }, '@markports'), accept),
  inet('ip saddr . oifname @hairpin masquerade', match({ concat: [ipSaddr, meta('oifname')] }, '@hairpin'), {
    masquerade: null,
  }),
  inet('tcp dport { 80, 443 } accept', match(tcpDport, { set: [80, 443] }), accept),
  inet('tcp dport { 80, 443-445 } accept', match(tcpDport, { set: [80, { range: [443, 445] }] }), accept),
  inet(
    'tcp dport { 80-82, 83-90, 85-95 } accept',
    match(tcpDport, { set: [{ range: [80, 82] }, { range: [83, 90] }, { range: [85, 95] }] }),
    accept,
  ),
  inet(
    'tcp dport { 0-5, 65000-65535 } accept',
    match(tcpDport, { set: [{ range: [0, 5] }, { range: [65000, 65535] }] }),
    accept,
  ),
  inet('tcp dport != { 80 } accept', match(tcpDport, { set: [80] }, '!='), accept),
  inet('tcp dport { 80-90 } accept', match(tcpDport, { set: [{ range: [80, 90] }] }), accept),
  inet('ct state { new, established } accept', state({ set: ['new', 'established'] }), accept),
  inet(
    'meta l4proto { tcp, udp } th dport 53 accept',
    match(meta('l4proto'), { set: ['tcp', 'udp'] }),
    match(thDport, 53),
    accept,
  ),
  inet('iifname { "a", "b" } accept', match(meta('iifname'), { set: ['a', 'b'] }), accept),
  inet(
    'ip saddr { 10.0.0.0/8, 192.168.0.1 } accept',
    match(ipSaddr, { set: [{ prefix: { addr: '10.0.0.0', len: 8 } }, '192.168.0.1'] }),
    accept,
  ),
  inet(
    'ip saddr . tcp dport { 10.0.0.1 . 80, 10.0.0.2 . 90 } accept',
    match({ concat: [ipSaddr, tcpDport] }, { set: [{ concat: ['10.0.0.1', 80] }, { concat: ['10.0.0.2', 90] }] }),
    accept,
  ),
  inet(
    'ip saddr . tcp dport { 10.0.0.0/8 . 80-90 } accept',
    match(
      { concat: [ipSaddr, tcpDport] },
      { set: [{ concat: [{ prefix: { addr: '10.0.0.0', len: 8 } }, { range: [80, 90] }] }] },
    ),
    accept,
  ),
  // verdict maps
  inet('tcp dport vmap @verdicts', { vmap: { key: tcpDport, data: '@verdicts' } }),
  inet('tcp dport vmap { 80 : accept, 443 : jump c }', {
    vmap: {
      key: tcpDport,
      data: {
        set: [
          [80, { accept: null }],
          [443, { jump: { target: 'c' } }],
        ],
      },
    },
  }),
  inet('ct state vmap { established : accept, invalid : drop }', {
    vmap: {
      key: { ct: { key: 'state' } },
      data: {
        set: [
          ['established', { accept: null }],
          ['invalid', { drop: null }],
        ],
      },
    },
  }),
  inet('oifname vmap { "a" : jump c, "b" : goto c }', {
    vmap: {
      key: meta('oifname'),
      data: {
        set: [
          ['a', { jump: { target: 'c' } }],
          ['b', { goto: { target: 'c' } }],
        ],
      },
    },
  }),
  inet('numgen inc mod 3 vmap { 0 : accept, 1 : drop }', {
    vmap: {
      key: { numgen: { mode: 'inc', mod: 3 } },
      data: {
        set: [
          [0, { accept: null }],
          [1, { drop: null }],
        ],
      },
    },
  }),
  inet(
    'numgen inc mod 4 offset 10 < 12 accept',
    match({ numgen: { mode: 'inc', mod: 4, offset: 10 } }, 12, '<'),
    accept,
  ),
  inet('symhash mod 2 vmap { 0 : accept, 1 : drop }', {
    vmap: {
      key: { symhash: { mod: 2 } },
      data: {
        set: [
          [0, { accept: null }],
          [1, { drop: null }],
        ],
      },
    },
  }),
  // verdicts
  inet('jump c', { jump: { target: 'c' } }),
  inet('goto c', { goto: { target: 'c' } }),
  inet('continue', { continue: null }),
  inet('tcp dport 5 reject', match(tcpDport, 5), { reject: null }),
  inet('ip saddr 1.2.3.4 reject', match(ipSaddr, '1.2.3.4'), { reject: null }),
  inet('ip6 daddr ::1 reject', match(ip6Daddr, '::1'), { reject: null }),
  inet('reject with tcp reset', { reject: { type: 'tcp reset' } }),
  inet('reject with icmp type host-prohibited', { reject: { type: 'icmp', expr: 'host-prohibited' } }),
  inet('reject with icmpv6 type no-route', { reject: { type: 'icmpv6', expr: 'no-route' } }),
  inet('reject with icmpx type admin-prohibited', { reject: { type: 'icmpx', expr: 'admin-prohibited' } }),
  // translations
  inet('masquerade', { masquerade: null }),
  inet('ip saddr 10.0.0.0/8 masquerade random,persistent', match(ipSaddr, { prefix: { addr: '10.0.0.0', len: 8 } }), {
    masquerade: { flags: ['random', 'persistent'] },
  }),
  inet('tcp dport 80 masquerade to :1024-2000', tcp80, { masquerade: { port: { range: [1024, 2000] } } }),
  inet('tcp dport 80 redirect to :8080', tcp80, { redirect: { port: 8080 } }),
  inet('snat ip to 1.2.3.4', { snat: { family: 'ip', addr: '1.2.3.4' } }),
  inet('tcp dport 80 snat ip6 to [fe80::1]:80', tcp80, { snat: { family: 'ip6', addr: 'fe80::1', port: 80 } }),
  inet('tcp dport 80 dnat ip to 1.2.3.4', tcp80, { dnat: { family: 'ip', addr: '1.2.3.4' } }),
  inet('tcp dport 80 dnat ip to 1.2.3.4:8080', tcp80, { dnat: { family: 'ip', addr: '1.2.3.4', port: 8080 } }),
  inet('tcp dport 80 dnat ip to 1.2.3.4-1.2.3.9:8080-8090 fully-random', tcp80, {
    dnat: {
      family: 'ip',
      addr: { range: ['1.2.3.4', '1.2.3.9'] },
      port: { range: [8080, 8090] },
      flags: ['fully-random'],
    },
  }),
  inet('ip daddr 1.2.3.4 tcp dport 80 dnat to :90', match(ipDaddr, '1.2.3.4'), tcp80, { dnat: { port: 90 } }),
  inet('ip daddr 1.2.3.4 tcp dport 80 dnat to 10.0.0.1:90', match(ipDaddr, '1.2.3.4'), tcp80, {
    dnat: { addr: '10.0.0.1', port: 90 },
  }),
  ...([4, 6] as const).flatMap((family): RuleCase[] => {
    const [ip, nfproto] = family === 4 ? (['ip', 'ipv4'] as const) : (['ip6', 'ipv6'] as const);
    const only = match(meta('nfproto'), nfproto);
    const to = (key: NftExpression, data: `@${string}`): NftStatement => ({
      dnat: { family: ip, addr: { map: { key, data } } },
    });
    const full: NftExpression = { concat: [payload(ip, 'daddr'), meta('l4proto'), thDport] };
    return [
      inet(
        `meta nfproto ${nfproto} dnat ${ip} to ${ip} daddr . meta l4proto . th dport map @publish${family}`,
        only,
        to(full, `@publish${family}`),
      ),
      inet(`dnat ${ip} to ${ip} daddr . meta l4proto . th dport map @publish${family}`, to(full, `@publish${family}`)),
      inet(
        `meta nfproto ${nfproto} dnat ${ip} to meta l4proto . th dport map @publish${family}_any`,
        only,
        to({ concat: [meta('l4proto'), thDport] }, `@publish${family}_any`),
      ),
      inet(
        `dnat ${ip} to ${ip} daddr . meta l4proto . th dport map @publish${family}_range`,
        to(full, `@publish${family}_range`),
      ),
    ];
  }),
  inet('tcp dport 80 dnat ip to numgen random mod 2 map { 0 : 10.0.0.1, 1 : 10.0.0.2 }', tcp80, {
    dnat: {
      family: 'ip',
      addr: {
        map: {
          key: { numgen: { mode: 'random', mod: 2 } },
          data: {
            set: [
              [0, '10.0.0.1'],
              [1, '10.0.0.2'],
            ],
          },
        },
      },
    },
  }),
  inet('tcp dport 80 dnat ip to numgen random mod 2 map { 0 : 10.0.0.1 . 80, 1 : 10.0.0.2 . 81 }', tcp80, {
    dnat: {
      family: 'ip',
      addr: {
        map: {
          key: { numgen: { mode: 'random', mod: 2 } },
          data: {
            set: [
              [0, { concat: ['10.0.0.1', 80] }],
              [1, { concat: ['10.0.0.2', 81] }],
            ],
          },
        },
      },
    },
  }),
  inet('tcp dport 80 dnat ip to jhash ip saddr mod 2 seed 0xabcd map { 0 : 10.0.0.1, 1 : 10.0.0.2 }', tcp80, {
    dnat: {
      family: 'ip',
      addr: {
        map: {
          key: { jhash: { expr: ipSaddr, mod: 2, seed: 0xabcd } },
          data: {
            set: [
              [0, '10.0.0.1'],
              [1, '10.0.0.2'],
            ],
          },
        },
      },
    },
  }),
  // changes
  inet('meta mark set 5', { mangle: { key: meta('mark'), value: 5 } }),
  inet('meta mark set ct mark', { mangle: { key: meta('mark'), value: { ct: { key: 'mark' } } } }),
  inet('meta mark set meta mark | 1', { mangle: { key: meta('mark'), value: { '|': [meta('mark'), 1] } } }),
  inet('meta mark set meta mark ^ 1', { mangle: { key: meta('mark'), value: { '^': [meta('mark'), 1] } } }),
  inet('meta mark set meta mark & 255 | 256', {
    mangle: { key: meta('mark'), value: { '|': [{ '&': [meta('mark'), 255] }, 256] } },
  }),
  inet('meta mark set numgen inc mod 4 offset 10', {
    mangle: { key: meta('mark'), value: { numgen: { mode: 'inc', mod: 4, offset: 10 } } },
  }),
  inet('meta mark set tcp dport map @portmarks', {
    mangle: { key: meta('mark'), value: { map: { key: tcpDport, data: '@portmarks' } } },
  }),
  inet('meta mark set tcp dport map { 80 : 1, 90 : 2 }', {
    mangle: {
      key: meta('mark'),
      value: {
        map: {
          key: tcpDport,
          data: {
            set: [
              [80, 1],
              [90, 2],
            ],
          },
        },
      },
    },
  }),
  inet('ct mark set meta mark', { mangle: { key: { ct: { key: 'mark' } }, value: meta('mark') } }),
  inet('ct zone set 5', { mangle: { key: { ct: { key: 'zone' } }, value: 5 } }),
  inet('meta priority set 1:2', { mangle: { key: { meta: { key: 'priority' } }, value: '1:2' } }),
  inet('tcp option maxseg size set rt mtu', {
    mangle: { key: { 'tcp option': { name: 'maxseg', field: 'size' } }, value: { rt: { key: 'mtu' } } },
  }),
  inet('ip daddr set 1.2.3.4', { mangle: { key: ipDaddr, value: '1.2.3.4' } }),
  inet('ip6 daddr set ::1', { mangle: { key: ip6Daddr, value: '::1' } }),
  inet('tcp dport set 80', { mangle: { key: tcpDport, value: 80 } }),
  inet('udp dport set 80', { mangle: { key: payload('udp', 'dport'), value: 80 } }),
  inet('notrack', { notrack: null }),
  // counting, limiting, logging
  inet('counter', counter),
  inet('counter packets 5 bytes 6', { counter: { packets: 5, bytes: 6 } }),
  inet('limit rate 10/second accept', { limit: { rate: 10, per: 'second' } }, accept),
  inet('limit rate 3/minute burst 7 packets accept', { limit: { rate: 3, per: 'minute', burst: 7 } }, accept),
  inet(
    'limit rate over 10 mbytes/second burst 5 mbytes drop',
    { limit: { rate: 10, per: 'second', rate_unit: 'mbytes', burst: 5, burst_unit: 'mbytes', inv: true } },
    drop,
  ),
  inet('limit rate 10 kbytes/second accept', { limit: { rate: 10, per: 'second', rate_unit: 'kbytes' } }, accept),
  inet('quota over 1000 bytes drop', { quota: { bytes: 1000, inv: true } }, drop),
  inet('ct count over 5 drop', { 'ct count': { val: 5, inv: true } }, drop),
  inet('log', { log: null }),
  inet('log prefix "hello " level warn', { log: { prefix: 'hello ', level: 'warn' } }),
  inet('log prefix "a" group 5 snaplen 100', { log: { prefix: 'a', group: 5, snaplen: 100 } }),
  inet('log flags skuid flags ether', { log: { flags: ['skuid', 'ether'] } }),
  inet('add @seen { ip saddr }', { set: { op: 'add', elem: ipSaddr, set: '@seen' } }),
  inet('update @seen { ip saddr timeout 5s limit rate 1/second }', {
    set: { op: 'update', elem: ipSaddr, set: '@seen', timeout: 5, stmt: [{ limit: { rate: 1, per: 'second' } }] },
  }),
  // other families
  at('ip', 'ip saddr 1.2.3.4 tcp dport 80 accept', match(ipSaddr, '1.2.3.4'), tcp80, accept),
  at('ip', 'icmp type echo-request accept', match(payload('icmp', 'type'), 'echo-request'), accept),
  at('ip', 'reject', { reject: null }),
  at('ip', 'dnat to 10.0.0.1', { dnat: { addr: '10.0.0.1' } }),
  at('ip6', 'ip6 saddr ::1 tcp dport 80 reject', match(payload('ip6', 'saddr'), '::1'), tcp80, { reject: null }),
  at('ip6', 'icmpv6 type echo-request accept', match(payload('icmpv6', 'type'), 'echo-request'), accept),
  at('bridge', 'ip saddr 1.2.3.4 tcp dport 80 accept', match(ipSaddr, '1.2.3.4'), tcp80, accept),
  at('bridge', 'icmp type echo-request accept', match(payload('icmp', 'type'), 'echo-request'), accept),
  at('bridge', 'ether type arp drop', match(payload('ether', 'type'), 'arp'), drop),
  at('netdev', 'ip6 saddr ::1 tcp dport 80 accept', match(payload('ip6', 'saddr'), '::1'), tcp80, accept),
  at('netdev', 'ether saddr 00:11:22:33:44:55 drop', match(payload('ether', 'saddr'), '00:11:22:33:44:55'), drop),
];
