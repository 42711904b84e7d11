import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conntrackDelete, decodeConntrack } from '../../src/conntrack/index.ts';
import { type Fact, kindOf } from '../../src/facts/index.ts';
import { guardFacts } from '../../src/guard/index.ts';
import { rulesetFacts } from '../../src/nat/index.ts';
import { MalformedError, type NlMessage, NlWriter, type Request } from '../../src/netlink/index.ts';
import {
  chainAdd,
  decodeChain,
  decodeElements,
  decodeGeneration,
  decodeRule,
  decodeSet,
  decodeTable,
  elementAdd,
  NFT_MSG,
  type NftSet,
  tableOf,
} from '../../src/nftables/index.ts';
import { damaged, dice, fuzzCases } from '../lib/dice.ts';

/** Messages of netfilter's protocols as the kernel might send them, damaged: typed errors only, and none takes long. */
type Reader = (message: NlMessage) => unknown;

const SETS: readonly (readonly [NftSet, Parameters<typeof elementAdd>[1]])[] = [
  [
    {
      family: 'inet',
      table: 't',
      name: 'pairs',
      type: ['ipv4_addr', 'inet_proto', 'inet_service'],
      flags: ['interval'],
    },
    [{ key: { concat: [{ prefix: { addr: '10.0.0.0', len: 8 } }, 'tcp', { range: [80, 90] }] } }],
  ],
  [
    {
      family: 'inet',
      table: 't',
      name: 'ports',
      type: ['inet_proto', 'inet_service'],
      map: ['ipv4_addr', 'inet_service'],
    },
    [{ key: { concat: ['tcp', 80] }, data: { concat: ['10.0.0.2', 8080] } }],
  ],
  [
    { family: 'inet', table: 't', name: 'verdicts', type: 'ifname', map: 'verdict' },
    [{ key: 'eth0', data: { jump: { target: 'c' } }, comment: 'why' }],
  ],
];

function bytesOf(request: Request): Uint8Array {
  const writer = new NlWriter();
  request.body(writer);
  return writer.finish().slice();
}

function whole(): (readonly [Uint8Array, number, Reader])[] {
  const cases: (readonly [Uint8Array, number, Reader])[] = [];
  const readers: Readonly<Record<number, Reader>> = {
    [NFT_MSG.NEWTABLE]: decodeTable,
    [NFT_MSG.NEWCHAIN]: decodeChain,
    [NFT_MSG.NEWRULE]: decodeRule,
    [NFT_MSG.NEWSET]: decodeSet,
  };
  const requests = [...rulesetFacts(), ...guardFacts()].flatMap((fact: Fact) => {
    const step = kindOf(fact).add(fact);
    return step.via === 'nftables' ? [...step.requests] : [];
  });
  const base = { type: 'filter', hook: 'forward', priority: 0, policy: 'drop' } as const;
  for (const request of [...requests, ...[chainAdd({ family: 'inet', table: 't', name: 'c', base })].flat()]) {
    const reader = readers[request.type & 0xff];
    if (!reader) continue;
    cases.push([bytesOf(request), request.type, reader], [bytesOf(request), request.type, tableOf]);
  }
  for (const [set, elements] of SETS)
    for (const request of elementAdd(set, elements))
      cases.push([bytesOf(request), request.type, (message) => decodeElements(set, [message])]);
  const generation = Buffer.from('0000000708000100000000010800020000001234080003006e667400', 'hex');
  cases.push([generation, (10 << 8) | NFT_MSG.NEWGEN, decodeGeneration]);
  const orig = { protocol: 6, src: '10.0.0.2', dst: '192.0.2.7', sport: 4000, dport: 443 };
  for (const request of [
    conntrackDelete({ orig, id: 7 }),
    conntrackDelete({ orig: { ...orig, protocol: 17, src: 'fd00::2', dst: '2001:db8::1' }, zone: 5 }),
  ])
    cases.push([bytesOf(request), (1 << 8) | 0, decodeConntrack]);
  return cases;
}

test('damaged messages of nftables and conntrack: typed errors only', { timeout: 60_000 }, () => {
  const cases = whole();
  assert.ok(cases.length > 100, String(cases.length));
  const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 0xffff_ffff);
  const roll = dice(seed);
  let read = 0;
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0; // building a stack for each of so many errors would be most of the time
  try {
    for (let i = 0; i < fuzzCases(150_000); i++) {
      const [bytes, type, reader] = cases[i % cases.length]!;
      const payload = damaged(bytes, roll);
      try {
        reader({ type, flags: 0, seq: 0, pid: 0, payload });
        read++;
      } catch (error) {
        if (!(error instanceof MalformedError))
          assert.fail(`FUZZ_SEED=${seed}, type ${type}: ${Buffer.from(payload).toString('hex')}: ${String(error)}`);
      }
    }
  } finally {
    Error.stackTraceLimit = limit;
  }
  assert.ok(read > 0, 'some of them can still be read');
});
