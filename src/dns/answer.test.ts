import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answer as PacketRecord, decode, encode, type Packet } from 'dns-packet';
import { answersQuestion, failure, readAnswer, writeAnswer } from './answer.ts';
import { Question, readQuestion } from './question.ts';

const questions = [{ name: 'www.a', type: 'A' as const, class: 'IN' as const }];
const END = 12 + 7 + 4;

function message(flags: number, parts: Partial<Packet>): Buffer {
  return encode({ type: 'response', id: 1, flags, questions, ...parts });
}
function a(ttl: number, data = '192.0.2.1'): PacketRecord {
  return { type: 'A', name: 'www.a', ttl, data };
}
function soa(ttl: number, minimum: number): PacketRecord {
  const data = { mname: 'ns.a', rname: 'root.a', serial: 1, refresh: 2, retry: 3, expire: 4, minimum };
  return { type: 'SOA', name: 'a', ttl, data };
}
function opt(options: readonly { code: number; data: Buffer }[] = []): PacketRecord {
  return {
    type: 'OPT',
    name: '.',
    udpPayloadSize: 4096,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options,
  } as never;
}
const life = (bytes: Uint8Array, edns = false): number => readAnswer(bytes, END, edns)!.life;

test('how long an answer may be kept', () => {
  assert.equal(life(message(0x180, { answers: [a(60), a(30)] })), 30, 'the least of its records');
  assert.equal(life(message(0x180, { answers: [a(60)], additionals: [a(5)] })), 5);
  assert.equal(life(message(0x180, { answers: [a(60)], additionals: [opt()] }), true), 60, 'OPT has no TTL');
  assert.equal(life(message(0x180, { answers: [a(0)] })), 0);
  assert.equal(life(message(0x180, { answers: [a(9_000_000)] })), 86_400);
  assert.equal(life(message(0x183, { authorities: [soa(60, 7)] })), 7, 'NXDOMAIN: RFC 2308 section 5');
  assert.equal(life(message(0x183, { authorities: [soa(5, 7)] })), 5);
  assert.equal(life(message(0x180, { authorities: [soa(60, 7)] })), 7, 'no data');
  assert.equal(
    life(
      message(0x180, { answers: [{ type: 'CNAME', name: 'www.a', ttl: 60, data: 'x.a' }], authorities: [soa(60, 7)] }),
    ),
    7,
  );
  assert.equal(life(message(0x183, {})), 0, 'without SOA not at all');
  assert.equal(
    life(message(0x180, { authorities: [{ type: 'NS', name: 'a', ttl: 60, data: 'ns.a' }] })),
    0,
    'a referral',
  );
  assert.equal(life(message(0x182, {})), 1, 'RFC 9520: a failure for a second');
  assert.equal(life(message(0x185, {})), 0);
  assert.equal(life(message(0x380, { answers: [a(60)] })), 0, 'a part of one');
});

test('the OPT record becomes ours: our size, no option but extended errors; none where nobody asked', () => {
  const options = [
    { code: 10, data: Buffer.from('cookie-cookie') },
    { code: 15, data: Buffer.from([0, 22, 111, 104]) },
    { code: 8, data: Buffer.from([0, 1, 0, 0]) },
  ];
  const bytes = message(0x180, { answers: [a(60)], additionals: [opt(options)] });
  const q = new Question();
  const room = new Uint8Array(1000);
  room.set(encode({ type: 'query', id: 1, questions }));
  readQuestion(room, 0, END, q);
  for (const edns of [true, false]) {
    const answer = readAnswer(Uint8Array.from(bytes), END, edns)!;
    const out = decode(Buffer.from(room.subarray(0, writeAnswer(room, 0, q, answer, 1000))));
    const [found] = out.additionals as unknown as {
      udpPayloadSize: number;
      options: { code: number; data: Buffer }[];
    }[];
    assert.equal(out.additionals!.length, edns ? 1 : 0);
    if (!edns) continue;
    assert.equal(found!.udpPayloadSize, 1232);
    assert.deepEqual(
      found!.options.map((o) => o.code),
      [15],
    );
  }
  // another record behind it: nothing may move
  const middle = message(0x180, { answers: [a(60)], additionals: [opt(options), a(60, '192.0.2.2')] });
  const answer = readAnswer(Uint8Array.from(middle), END, true)!;
  const out = decode(Buffer.from(room.subarray(0, writeAnswer(room, 0, q, answer, 1000))));
  const codes = (out.additionals as unknown as { options?: { code: number }[] }[])[0]!.options!.map((o) => o.code);
  assert.deepEqual(codes, [15, 12]);
  assert.equal((out.additionals as unknown as { data: string }[])[1]!.data, '192.0.2.2');
});

test('cut to size: whole records, TC when an answer is missing, none when only the additional ones are', () => {
  const answers = Array.from({ length: 40 }, (_, i) => a(60, `192.0.2.${i}`));
  const q = new Question();
  const room = new Uint8Array(2000);
  const write = (bytes: Uint8Array, most: number, edns: boolean): Packet & { flag_tc: boolean; length: number } => {
    const query = encode({ type: 'query', id: 1, questions, additionals: edns ? [opt()] : [] } as never);
    room.set(query);
    assert.equal(readQuestion(room, 0, query.length, q), 0);
    const length = writeAnswer(room, 0, q, readAnswer(Uint8Array.from(bytes), END, edns)!, most);
    assert.ok(length <= most);
    return { ...(decode(Buffer.from(room.subarray(0, length))) as Packet & { flag_tc: boolean }), length };
  };
  for (const edns of [false, true]) {
    const additionals = edns ? [opt()] : [];
    for (let most = 60; most < 1000; most += 7) {
      const out = write(message(0x180, { answers, additionals }), most, edns);
      const fits = Math.floor((most - END - (edns ? 11 : 0)) / 21);
      assert.equal(out.answers!.length, Math.min(fits, 40));
      assert.equal(out.flag_tc, fits < 40);
      assert.equal(out.additionals!.length, edns ? 1 : 0);
    }
  }
  const beside = write(message(0x180, { answers: answers.slice(0, 3), additionals: answers }), 120, false);
  assert.equal(beside.flag_tc, false);
  assert.deepEqual([beside.answers!.length, beside.additionals!.length], [3, 0]);
});

test('what is no message is told', () => {
  const whole = message(0x180, { answers: [a(60), a(30)], authorities: [soa(1, 2)] });
  for (let length = END; length < whole.length; length++) {
    assert.equal(readAnswer(Uint8Array.from(whole.subarray(0, length)), END, false), undefined);
  }
});

test('an answer belongs to its question alone', () => {
  const query = encode({ type: 'query', id: 1, questions });
  const good = message(0x180, { answers: [a(60)] });
  assert.ok(answersQuestion(good, query, END));
  for (const at of [0, 1, 2, 5, 13, 18, 20, 22]) {
    const bad = Uint8Array.from(good);
    bad[at]! ^= at === 2 ? 0x80 : 1;
    assert.ok(!answersQuestion(bad, query, END), `byte ${at}`);
  }
  assert.ok(!answersQuestion(good.subarray(0, END - 1), query, END));
});

test('a failure has the question, its flags, and EDNS where the question had', () => {
  const q = new Question();
  q.flags = 0x110;
  q.edns = true;
  const { flags, additional, records } = failure(q, 2);
  assert.equal(flags, 0x8192);
  assert.equal(additional, 1);
  assert.equal(records.length, 11);
});
