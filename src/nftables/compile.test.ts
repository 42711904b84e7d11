import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { hasCode } from '../errors.ts';
import { printCommand, shellWord } from './command.ts';
import { compile, compileRule } from './compile.ts';
import { printRule, printSeconds } from './print.ts';
import type { NftExpression, NftStatement, NftStatementRule } from './statement.ts';
import { sameExprs } from './expr/index.ts';

const rule = (...statements: NftStatement[]): NftStatementRule => ({
  family: 'inet',
  table: 't',
  chain: 'c',
  statements,
});
const payload = (protocol: string, field: string): NftExpression => ({ payload: { protocol, field } });
const is = (left: NftExpression, right: string | number): NftStatement => ({ match: { op: '==', left, right } });

/** What makes no rule, and the words that say so. */
const REFUSED: readonly (readonly [string, readonly NftStatement[], RegExp])[] = [
  [
    'two network protocols',
    [is(payload('ip', 'saddr'), '10.0.0.1'), is(payload('ip6', 'saddr'), '::1')],
    /ip is never one of ip6/,
  ],
  [
    'two transport protocols',
    [is(payload('tcp', 'dport'), 1), is(payload('udp', 'dport'), 1)],
    /tcp is never one of udp/,
  ],
  [
    'a reset of what is no TCP',
    [is(payload('udp', 'dport'), 1), { reject: { type: 'tcp reset' } }],
    /udp is never one of tcp/,
  ],
  ['an unknown set', [is({ meta: { key: 'oifname' } }, '@missing')], /@missing/],
  ['an unknown protocol', [is(payload('quic', 'dport'), 1)], /quic is no protocol/],
  ['an unknown field', [is(payload('tcp', 'colour'), 1)], /tcp has no field colour/],
  ['an unknown name', [is({ ct: { key: 'state' } }, 'newish')], /"newish" is no ct_state/],
  ['a port that is none', [is(payload('tcp', 'dport'), 70_000)], /70000 is no inet_service/],
  [
    'a list where there are no bits',
    [{ match: { op: 'in', left: { meta: { key: 'mark' } }, right: [1, 2] } }],
    /mark has none/,
  ],
  ['an address without its family', [{ dnat: { addr: '10.0.0.1' } }], /must name the family/],
  ['too large for six bits', [is(payload('ip', 'dscp'), 64)], /too large/],
  ['a pattern that matches all', [is({ meta: { key: 'iifname' } }, '*')], /leave it out/],
  [
    'a set compared with <',
    [{ match: { op: '<', left: payload('tcp', 'dport'), right: { set: [1, 2] } } }],
    /cannot be compared with </,
  ],
];
for (const [what, statements, message] of REFUSED) {
  test(`refused: ${what}`, () => {
    assert.throws(
      () => compileRule(rule(...statements)),
      (error) => hasCode(error, 'EBADVALUE') && message.test(error.message),
    );
  });
}

test('a rule is compiled anew to the same expressions, with new numbers for its sets', () => {
  const r = rule({ match: { op: '==', left: payload('tcp', 'dport'), right: { set: [80, 443] } } }, { accept: null });
  const [a, b] = [compile(r), compile(r)];
  assert.ok(sameExprs(a.rule.exprs, b.rule.exprs));
  assert.notEqual(a.sets[0]!.id, b.sets[0]!.id);
  assert.deepEqual(a.sets[0]!.set.flags, ['anonymous', 'constant']);
});

test('commands are one shell line, quoted where the shell would read them otherwise', () => {
  const here = { family: 'inet', table: 't' } as const;
  const base = { type: 'filter', hook: 'forward', priority: 0, policy: 'accept' } as const;
  assert.equal(printCommand({ table: { family: 'inet', name: 't' } }, 'add'), 'nft add table inet t');
  assert.equal(
    printCommand({ chain: { ...here, name: 'forward', base } }, 'add'),
    "nft add chain inet t forward '{ type filter hook forward priority filter; policy accept; }'",
  );
  assert.equal(
    printCommand({ chain: { ...here, name: 'forward', base } }, 'delete'),
    'nft delete chain inet t forward',
  );
  const set = { ...here, name: 'm', type: ['inet_proto', 'inet_service'], map: 'ipv4_addr' } as const;
  assert.equal(printCommand({ set }, 'add'), "nft add map inet t m '{ type inet_proto . inet_service : ipv4_addr; }'");
  const elements = [{ key: { concat: ['tcp', 80] }, data: '10.0.0.1', comment: "it's" }];
  assert.equal(
    printCommand({ set, elements }, 'add'),
    `nft add element inet t m '{ tcp . 80 comment "it'\\''s" : 10.0.0.1 }'`,
  );
  assert.equal(printCommand({ set, elements }, 'delete'), "nft delete element inet t m '{ tcp . 80 }'");
  const names = { ...here, name: 'n', type: 'ifname' } as const;
  assert.equal(printCommand({ set: names, elements: [{ key: 'br0' }] }, 'add'), `nft add element inet t n '{ "br0" }'`);
  assert.equal(
    printCommand({ rule: { ...rule({ accept: null }), handle: 7n } }, 'delete'),
    'nft delete rule inet t c handle 7',
  );
  assert.throws(
    () => printCommand({ rule: rule({ accept: null }) }, 'delete'),
    (error) => hasCode(error, 'EBADVALUE'),
  );
});

test('priorities have names where nft knows them there', () => {
  const at = (family: 'inet' | 'bridge', hook: 'prerouting' | 'output' | 'postrouting', priority: number): string =>
    printCommand(
      { chain: { family, table: 't', name: 'c', base: { type: 'filter', hook, priority, policy: 'accept' } } },
      'add',
    ).replace(/.*priority (\S+);.*/, '$1');
  assert.equal(at('inet', 'prerouting', -100), 'dstnat');
  assert.equal(at('inet', 'output', -100), '-100');
  assert.equal(at('inet', 'postrouting', 100), 'srcnat');
  assert.equal(at('inet', 'prerouting', -300), 'raw');
  assert.equal(at('bridge', 'prerouting', -300), '-300');
});

test('text that nft cannot read back is refused', () => {
  assert.throws(
    () => printRule({ statements: [{ log: { prefix: 'a "b"' } }] }),
    (error) => hasCode(error, 'EBADVALUE'),
  );
});

test('words of a shell', () => {
  assert.equal(shellWord('a.b/c:d-e'), 'a.b/c:d-e');
  assert.equal(shellWord(''), "''");
  assert.equal(shellWord("it's $HOME"), `'it'\\''s $HOME'`);
});

test('times', () => {
  assert.equal(printSeconds(30), '30s');
  assert.equal(printSeconds(93_784.005), '1d2h3m4s5ms');
  assert.equal(printSeconds(0), '0s');
});
