import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileRule, type NftChain, type NftRule, type NftSet, type NftStatement } from '../nftables/index.ts';
import { evaluate, type Outcome } from './evaluate.ts';
import { Packet, type Question } from './packet.ts';
import type { ForeignTable } from './read.ts';
import { ruleText } from './words.ts';

const WEB: Question = {
  hook: 'forward',
  iifname: 'br-web',
  oifname: 'eth0',
  source: '172.18.0.2',
  destination: '192.0.2.7',
  protocol: 'tcp',
  port: 443,
};
const NAMED: NftSet = { family: 'inet', table: 't', name: 'closed', type: 'inet_service', flags: ['interval'] };
const base = (policy: 'accept' | 'drop' = 'accept'): NftChain => ({
  family: 'inet',
  table: 't',
  name: 'main',
  base: { type: 'filter', hook: 'forward', priority: 0, policy },
});

function table(chains: Readonly<Record<string, readonly (readonly NftStatement[])[]>>): ForeignTable {
  const rules = new Map<string, NftRule[]>();
  for (const [chain, all] of Object.entries(chains)) {
    rules.set(
      chain,
      all.map((statements, i) => {
        const rule = { family: 'inet', table: 't', chain, statements } as const;
        return { ...rule, exprs: compileRule(rule, { sets: [NAMED] }), handle: BigInt(i + 1) };
      }),
    );
  }
  const elements = new Map([['closed', [{ key: { range: [400, 500] } as const }]]]);
  return { name: { family: 'inet', name: 't' }, chains: [], rules, sets: new Map([['closed', NAMED]]), elements };
}

const run = (
  chains: Readonly<Record<string, readonly (readonly NftStatement[])[]>>,
  question: Question = WEB,
  policy: 'accept' | 'drop' = 'accept',
): Outcome => evaluate(table(chains), base(policy), new Packet(question));

const drop: NftStatement = { drop: null };
const accept: NftStatement = { accept: null };
const jump = (target: string): NftStatement => ({ jump: { target } });
const meta = (key: 'iifname' | 'oifname' | 'mark' | 'l4proto', right: string | number): NftStatement => ({
  match: { op: '==', left: { meta: { key } }, right },
});
const dport = (op: '==' | '!=' | '>=', right: string | number): NftStatement => ({
  match: { op, left: { payload: { protocol: 'tcp', field: 'dport' } }, right },
});
const source = (addr: string, len: number): NftStatement => ({
  match: { op: '==', left: { payload: { protocol: 'ip', field: 'saddr' } }, right: { prefix: { addr, len } } },
});
const state = (...names: string[]): NftStatement => ({
  match: { op: 'in', left: { ct: { key: 'state' } }, right: names },
});
const maybe = meta('mark', 7);

for (const [what, chains, want] of [
  ['nothing', { main: [] }, 'accept'],
  ['an interface', { main: [[meta('oifname', 'eth0'), drop]] }, 'drop'],
  ['another interface', { main: [[meta('oifname', 'eth1'), drop]] }, 'accept'],
  ['interfaces that begin so', { main: [[meta('iifname', 'br-*'), drop]] }, 'drop'],
  ['a port', { main: [[dport('==', 443), drop]] }, 'drop'],
  ['any other port', { main: [[dport('!=', 443), drop]] }, 'accept'],
  ['ports from one on', { main: [[dport('>=', 400), drop]] }, 'drop'],
  ['a set of intervals', { main: [[dport('==', '@closed'), drop]] }, 'drop'],
  ['a source', { main: [[source('172.16.0.0', 12), drop]] }, 'drop'],
  ['another source', { main: [[source('10.0.0.0', 8), drop]] }, 'accept'],
  ['what is established', { main: [[state('established', 'related'), drop]] }, 'accept'],
  ['what is new', { main: [[state('new'), drop]] }, 'drop'],
  ['who knows', { main: [[maybe, drop]] }, 'unknown'],
  ['who knows, and then it is dropped anyway', { main: [[maybe, drop], [drop]] }, 'drop'],
  ['who knows, but accepted before', { main: [[accept], [maybe, drop]] }, 'accept'],
  ['who knows whether it is accepted, before it is dropped', { main: [[maybe, accept], [drop]] }, 'unknown'],
  ['a chain that returns', { main: [[jump('a')], [drop]], a: [[{ return: null }], [accept]] }, 'drop'],
  ['a chain that accepts', { main: [[jump('a')], [drop]], a: [[accept]] }, 'accept'],
  ['a chain that may be entered', { main: [[maybe, jump('a')]], a: [[drop]] }, 'unknown'],
  ['a chain that may be left', { main: [[jump('a')]], a: [[maybe, { return: null }], [drop]] }, 'unknown'],
  ['a chain that nothing comes back from', { main: [[{ goto: { target: 'a' } }], [drop]], a: [] }, 'accept'],
  ['now and then', { main: [[{ limit: { rate: 3, per: 'minute' } }, drop]] }, 'unknown'],
  ['a loop, which no kernel takes', { main: [[jump('a')]], a: [[jump('a')]] }, 'unknown'],
] as const satisfies readonly (readonly [string, Parameters<typeof run>[0], Outcome['verdict']])[])
  test(`${what}: ${want}`, () => assert.equal(run(chains).verdict, want));

test('the policy decides where no rule does', () => {
  assert.deepEqual(run({ main: [] }, WEB, 'drop'), { verdict: 'drop', by: { chain: 'main' }, presumed: 'drop' });
  assert.equal(run({ main: [[dport('==', 443), accept]] }, WEB, 'drop').verdict, 'accept');
  assert.equal(run({ main: [[maybe, accept]] }, WEB, 'drop').verdict, 'unknown');
});

const notFrom = (addr: string, len: number): NftStatement => ({
  match: { op: '!=', left: { payload: { protocol: 'ip', field: 'saddr' } }, right: { prefix: { addr, len } } },
});
const limited = (over: boolean): NftStatement => ({ limit: { rate: 3, per: 'minute', ...(over && { inv: true }) } });
/** Somebody outside, of whom nothing is known. */
const ANYBODY: Question = {
  hook: 'input',
  iifname: 'eth0',
  destination: '192.0.2.1',
  protocol: 'tcp',
  port: 443,
};

for (const [what, chains, policy, want] of [
  ['accepted from one place, dropped from all others', { main: [[source('10.0.0.0', 8), accept]] }, 'drop', 'drop'],
  ['dropped from one place', { main: [[source('10.0.0.0', 8), drop]] }, 'accept', 'accept'],
  ['dropped from all but one place', { main: [[notFrom('10.0.0.0', 8), drop]] }, 'accept', 'drop'],
  ['accepted from all but one place', { main: [[notFrom('10.0.0.0', 8), accept], [drop]] }, 'accept', 'accept'],
  [
    'sent back for one place',
    { main: [[jump('a')]], a: [[source('10.0.0.0', 8), { return: null }], [drop]] },
    'accept',
    'drop',
  ],
  [
    'one place in a chain of its own',
    { main: [[source('10.0.0.0', 8), jump('a')], [drop]], a: [[accept]] },
    'accept',
    'drop',
  ],
  ['all but one place in a chain', { main: [[notFrom('10.0.0.0', 8), jump('a')]], a: [[drop]] }, 'accept', 'drop'],
  ['so many a minute', { main: [[limited(false), accept]] }, 'drop', 'accept'],
  ['too many a minute', { main: [[limited(true), drop]] }, 'accept', 'accept'],
  ['a ban in front of what accepts', { main: [[maybe, drop], [accept]] }, 'drop', 'accept'],
] as const satisfies readonly (readonly [string, Parameters<typeof run>[0], 'accept' | 'drop', Outcome['presumed']])[])
  test(`in doubt, ${what}: ${want}`, () => {
    const outcome = run(chains, ANYBODY, policy);
    assert.equal(outcome.verdict, 'unknown');
    assert.equal(outcome.presumed, want);
  });

/** Of a tunnel, without a port; and what a router says of one that is too big. */
const GRE: Question = {
  hook: 'input',
  iifname: 'eth0',
  destination: '192.0.2.1',
  protocol: 'gre',
  state: 'untracked',
};
const TOO_BIG: Question = { ...GRE, protocol: 'icmp', state: 'invalid' };
const OUT: Question = { hook: 'output', oifname: 'eth0', source: '192.0.2.1', protocol: 'esp', state: 'untracked' };
const icmp = (field: 'type' | 'code', right: string | number): NftStatement => ({
  match: { op: '==', left: { payload: { protocol: 'icmp', field } }, right },
});
const translated: NftStatement = { match: { op: 'in', left: { ct: { key: 'status' } }, right: 'dnat' } };
const mine: NftStatement = {
  match: { op: '!=', left: { ct: { key: 'status' } }, right: 'dnat' },
};

for (const [what, chains, question, want] of [
  ['untracked is not new', { main: [[state('new'), accept], [drop]] }, GRE, 'drop'],
  ['untracked', { main: [[state('untracked'), accept], [drop]] }, GRE, 'accept'],
  ['untracked is not invalid', { main: [[state('invalid'), drop]] }, GRE, 'accept'],
  ['a protocol without ports', { main: [[meta('l4proto', 'gre'), accept], [drop]] }, GRE, 'accept'],
  ['a port of another protocol', { main: [[dport('==', 443), accept], [drop]] }, GRE, 'drop'],
  ['nothing else is known of what is untracked', { main: [[translated, drop]] }, GRE, 'accept'],
  ['nor is the contrary', { main: [[mine, accept], [drop]] }, GRE, 'drop'],
  ['an error about it is invalid', { main: [[state('invalid'), drop], [accept]] }, TOO_BIG, 'drop'],
  ['and no relative', { main: [[state('related'), accept], [drop]] }, TOO_BIG, 'drop'],
  [
    'its kind',
    { main: [[icmp('type', 'destination-unreachable'), icmp('code', 4), accept], [drop]] },
    TOO_BIG,
    'accept',
  ],
  ['another kind', { main: [[icmp('type', 'echo-request'), accept], [drop]] }, TOO_BIG, 'drop'],
  ['out', { main: [[meta('oifname', 'eth0'), meta('l4proto', 'esp'), accept], [drop]] }, OUT, 'accept'],
  ['out to somebody', { main: [[source('192.0.2.1', 32), accept], [drop]] }, OUT, 'accept'],
] as const satisfies readonly (readonly [string, Parameters<typeof run>[0], Question, Outcome['verdict']])[])
  test(`${what}: ${want}`, () => assert.equal(run(chains, question).verdict, want));

test('ten thousand bans are run through in a moment, and jumps upon jumps are given up', () => {
  const bans = Array.from({ length: 10_000 }, (_, i) => [source(`10.1.${i >> 8}.${i & 255}`, 32), drop]);
  assert.equal(run({ main: [...bans, [accept]] }, ANYBODY, 'drop').presumed, 'accept');
  const names = Array.from({ length: 14 }, (_, i) => `c${i}`);
  const nested = Object.fromEntries(
    names.map((name, i) => [name, i === 13 ? [[maybe, drop]] : Array.from({ length: 8 }, () => [jump(`c${i + 1}`)])]),
  );
  const began = performance.now();
  assert.equal(run({ main: [[jump('c0')]], ...nested }).verdict, 'unknown');
  assert.ok(performance.now() - began < 10_000);
});

test('the rule that decides is named in words', () => {
  const t = table({ main: [[meta('oifname', 'eth0'), dport('==', '@closed'), drop]] });
  const { by } = evaluate(t, base(), new Packet(WEB));
  assert.equal(ruleText(by.rule!, t), 'oifname "eth0" tcp dport @closed drop');
  assert.equal(by.rule!.handle, 1n);
});

test('what is said for certain stays so, whatever else is learned of the packet', () => {
  const statements = fc.array(
    fc.constantFrom(
      [meta('oifname', 'eth0')],
      [meta('iifname', 'eth0')],
      [dport('==', 443)],
      [dport('!=', 443)],
      [source('172.18.0.2', 32)],
      [source('172.18.0.0', 16)],
      [source('10.0.0.0', 8)],
      [state('new')],
      [],
    ),
    { maxLength: 6 },
  );
  const ends = fc.constantFrom(drop, accept, { return: null } as const, { continue: null } as const);
  const less: Question = {
    hook: 'forward',
    iifname: 'br-web',
    oifname: 'eth0',
    destination: '192.0.2.7',
    protocol: 'tcp',
    port: 443,
  };
  fc.assert(
    fc.property(statements, fc.array(ends, { minLength: 6, maxLength: 6 }), (rules, verdicts) => {
      const chains = { main: rules.map((rule, i) => [...rule, verdicts[i]!]) };
      const known = run(chains, { ...less, source: '172.18.0.2' }).verdict;
      const guessed = run(chains, less).verdict;
      assert.notEqual(known, 'unknown', 'everything that was asked for is known');
      if (guessed !== 'unknown') assert.equal(guessed, known);
    }),
    { numRuns: 2000 },
  );
});
