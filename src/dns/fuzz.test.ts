import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode, type Packet } from 'dns-packet';
import { dice } from '../../test/lib/dice.ts';
import { age, readAnswer, writeAnswer } from './answer.ts';
import { Askers } from './askers.ts';
import { Cache } from './cache.ts';
import { Counters } from './counters.ts';
import { Forwarder } from './forwarder.ts';
import { LocalNames } from './local.ts';
import { Question, readQuestion } from './question.ts';
import { Responder } from './responder.ts';
import { ServerGroups } from './servers.ts';
import { DEFAULT_LIMITS, type NameView } from './types.ts';

const QUERIES = 1_500_000;
const ANSWERS = 600_000;

const opt = { type: 'OPT', name: '.', udpPayloadSize: 4096, flags: 0x8000, options: [] } as never;
const question = (name: string, type: string): Packet =>
  ({ type: 'query', id: 77, flags: 0x130, questions: [{ name, type, class: 'IN' }] }) as Packet;
const seeds: readonly Buffer[] = [
  encode(question('web', 'A')),
  encode({ ...question('many', 'AAAA'), additionals: [opt] }),
  encode({ ...question('_http._tcp.web', 'SRV'), additionals: [opt] }),
  encode(question('10.0.64.10.in-addr.arpa', 'PTR')),
  encode(question(`${'1.'.repeat(32)}ip6.arpa`, 'PTR')),
  encode({ ...question('www.example.org', 'MX'), additionals: [opt] }),
];

/** A few changes to a seed: bytes set, bits turned, pieces doubled, cut or made longer; the new length. */
function mutate(
  seed: Uint8Array,
  into: Uint8Array,
  at: number,
  room: number,
  random: (below: number) => number,
): number {
  let length = seed.length;
  into.set(seed, at);
  for (let changes = 1 + random(4); changes > 0; changes--) {
    const place = at + random(length || 1);
    switch (random(8)) {
      case 0:
        into[place] = random(256);
        break;
      case 1:
        into[place]! ^= 1 << random(8);
        break;
      case 2:
        into[place] = [0, 1, 63, 64, 0xc0, 0xff][random(6)]!;
        break;
      case 3:
        length = random(length + 1);
        break;
      case 4:
        length = Math.min(room, length + random(40));
        break;
      case 5:
        into.copyWithin(place, at + random(length || 1), at + length);
        break;
      case 6:
        into[at + 4 + random(8)] = random(3);
        break;
      default:
        into[at + random(12)] = random(256);
    }
  }
  return length;
}

test(`${QUERIES} mutated questions: an answer that fits, to the same question, or silence`, () => {
  const names = new Map([
    ['web', ['192.0.2.1', '2001:db8::1']],
    ['many', Array.from({ length: 90 }, (_, i) => `2001:db8::${i}`)],
  ]);
  const targets = [{ target: 'web', port: 80 }];
  const pointers = ['web'];
  const policy = { forward: true };
  const view: NameView = {
    lookup: (_, name) => names.get(name),
    reverse: (_, address) => (address.length > 6 ? pointers : undefined),
    srv: (_, service) => (service === 'http' ? targets : undefined),
    policy: () => policy,
  };
  const counters = new Counters();
  const cache = new Cache({ entries: 100, bytes: 1e6 });
  const groups = new ServerGroups(() => false);
  const limits = { ...DEFAULT_LIMITS, perAsker: 0 };
  const now = (): number => 1000;
  const site = { netns: undefined, counters, patience: 1, now };
  const forwarder = new Forwarder({ site, cache, groups, limits, log: () => undefined });
  const upstreams = { servers: () => ['192.0.2.53'], [Symbol.dispose]: () => undefined };
  const local = new LocalNames(view, 5);
  const responder = new Responder({ view, local, cache, groups, forwarder, counters, upstreams, now });
  const asker = new Askers('net').ofText('192.0.2.9');
  const way = { defer: () => ({ tcp: false, room: 1232, send: () => undefined }) };

  const SLOT = 1280;
  const bytes = new Uint8Array(3 * SLOT).fill(0xee);
  const random = dice(2_463_534_242);
  const shadow = new Uint8Array(SLOT);
  let answered = 0;
  for (let i = 0; i < QUERIES; i++) {
    const length = mutate(seeds[i % seeds.length]!, bytes, SLOT, SLOT, random);
    shadow.set(bytes.subarray(SLOT, SLOT + 64));
    const tcp = (i & 31) === 0;
    const size = responder.answer(bytes, SLOT, length, 1232, asker, tcp, way);
    if (size === 0) continue;
    answered++;
    if (size < 12 || size > 1232) assert.fail(`case ${i}: ${size} bytes`);
    if (bytes[SLOT] !== shadow[0] || bytes[SLOT + 1] !== shadow[1] || !(bytes[SLOT + 2]! & 0x80))
      assert.fail(`case ${i}`);
    if (bytes[SLOT + 5] === 1) {
      for (let j = 12; j < 17; j++) if (bytes[SLOT + j] !== shadow[j]) assert.fail(`case ${i}: another question`);
    }
    if (i % 64 === 0) decode(Buffer.from(bytes.subarray(SLOT, SLOT + size)));
    if (bytes[SLOT - 1] !== 0xee || bytes[2 * SLOT] !== 0xee) assert.fail(`case ${i}: it wrote beside its place`);
  }
  assert.ok(answered > QUERIES / 4 && answered < QUERIES, `${answered}`);
  assert.ok(counters.rejected.malformed > 1000 && counters.rejected.response > 1000);
});

test(`${ANSWERS} mutated answers of a server: understood or refused, and what is handed on fits`, () => {
  const questions = [{ name: 'www.example.org', type: 'A' as const }];
  const end = 12 + 17 + 4;
  const soa = { mname: 'ns.a', rname: 'root.a', serial: 1, refresh: 2, retry: 3, expire: 4, minimum: 5 };
  const answers: readonly Buffer[] = [
    encode({
      type: 'response',
      id: 1,
      flags: 0x180,
      questions,
      answers: [{ type: 'A', name: 'www.example.org', ttl: 60, data: '192.0.2.1' }],
      additionals: [opt],
    }),
    encode({
      type: 'response',
      id: 1,
      flags: 0x183,
      questions,
      authorities: [{ type: 'SOA', name: 'example.org', ttl: 60, data: soa }],
    }),
    encode({
      type: 'response',
      id: 1,
      flags: 0x180,
      questions,
      answers: Array.from({ length: 30 }, (_, i) => ({
        type: 'CNAME' as const,
        name: `a${i}.example.org`,
        ttl: i,
        data: 'b',
      })),
    }),
  ];
  const random = dice(88_675_123);
  const bytes = new Uint8Array(4096);
  const room = new Uint8Array(2048);
  const q = new Question();
  let understood = 0;
  for (let i = 0; i < ANSWERS; i++) {
    const length = mutate(answers[i % answers.length]!, bytes, 0, 2048, random);
    if (length < end) continue;
    const answer = readAnswer(bytes.subarray(0, length), end, (i & 1) === 0);
    if (!answer) continue;
    understood++;
    age(answer, random(100));
    room.set(bytes.subarray(12, end), 12);
    q.end = end;
    q.edns = (i & 1) === 0;
    const most = 512 + random(720);
    const size = writeAnswer(room, 0, q, answer, most);
    if (size > most || size < end) assert.fail(`case ${i}: ${size} of ${most}`);
    if (answer.life < 0 || answer.life > 86_400) assert.fail(`case ${i}: life ${answer.life}`);
  }
  assert.ok(understood > ANSWERS / 10, `${understood}`);
  assert.equal(readQuestion(room, 0, 0, q), -1);
});
