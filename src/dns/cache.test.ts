import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { encode } from 'dns-packet';
import fc from 'fast-check';
import { type Answer, readAnswer } from './answer.ts';
import { Cache } from './cache.ts';

function answerOf(ttl: number, size = 4): Answer {
  const question = { name: 'a', type: 'TXT' as const };
  const message = encode({
    type: 'response',
    flags: 0x180,
    questions: [question],
    answers: [{ type: 'TXT', name: 'a', ttl, data: Buffer.alloc(Math.min(size, 255)) }],
  });
  return readAnswer(message, 12 + 3 + 4, false)!;
}
const ttlIn = (answer: Answer): number => new DataView(answer.records.buffer).getUint32(answer.ttls[0]!);

test('an answer is there for its TTL, which counts down, and then gone', () => {
  const cache = new Cache({ entries: 10, bytes: 1e6 });
  cache.set('a', 1, answerOf(10), 100);
  assert.equal(ttlIn(cache.get('a', 1, 100)!), 10);
  assert.equal(ttlIn(cache.get('a', 1, 103)!), 7);
  assert.equal(ttlIn(cache.get('a', 1, 103)!), 7);
  assert.equal(ttlIn(cache.get('a', 1, 109)!), 1);
  assert.equal(cache.get('a', 1, 110), undefined);
  assert.deepEqual(cache.stats(), { entries: 0, bytes: 0, hits: 4, misses: 1, evicted: 0 });
});

test('tags keep answers of one name apart; a newer one takes the place of the older', () => {
  const cache = new Cache({ entries: 10, bytes: 1e6 });
  for (const tag of [1, 2, 3]) cache.set('a', tag, answerOf(10 * tag), 0);
  assert.deepEqual(
    [1, 2, 3, 4].map((tag) => cache.get('a', tag, 0) && ttlIn(cache.get('a', tag, 0)!)),
    [10, 20, 30, undefined],
  );
  cache.set('a', 2, answerOf(50), 0);
  assert.equal(ttlIn(cache.get('a', 2, 0)!), 50);
  assert.equal(cache.stats().entries, 3);
  cache.set('a', 2, answerOf(0), 0);
  assert.equal(cache.get('a', 2, 0), undefined, 'TTL 0 is not kept, and ends what was');
  assert.equal(cache.stats().entries, 2);
});

test('what is asked for again stays, while names that are asked once come and go', () => {
  const cache = new Cache({ entries: 100, bytes: 1e9 });
  for (let i = 0; i < 50; i++) cache.set(`often${i}`, 1, answerOf(1000), 0);
  for (let i = 0; i < 10_000; i++) {
    for (let j = 0; j < 50; j += 10) cache.get(`often${(i + j) % 50}`, 1, 0);
    cache.set(`once${i}`, 1, answerOf(1000), 0);
  }
  for (let i = 0; i < 50; i++) assert.ok(cache.get(`often${i}`, 1, 0), `often${i}`);
  assert.equal(cache.stats().entries, 100);
});

test('a hundred thousand names take no more than their bound, in the heap and beside it', () => {
  const limits = { entries: 4000, bytes: 2 << 20 };
  const cache = new Cache(limits);
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const used = (): number => {
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const one = answerOf(600);
  const fresh = (): Answer => ({ ...one, records: one.records.slice(), ttls: one.ttls.slice() });
  for (let i = 0; i < 20_000; i++) cache.set(`first${i}.example.org`, 1, fresh(), 0);
  const settled = used();
  let most = 0;
  for (let i = 0; i < 100_000; i++) {
    cache.set(`second${i}.example.org`, 1, fresh(), 0);
    most = Math.max(most, cache.stats().entries);
  }
  assert.ok(most <= limits.entries && cache.stats().bytes <= limits.bytes);
  assert.ok(used() - settled < limits.bytes, `${settled} ${used()}`);
});

test('bounded in bytes as in entries; one giant is not kept', () => {
  const cache = new Cache({ entries: 1000, bytes: 20_000 });
  for (let i = 0; i < 500; i++) {
    cache.set(`n${i}`, 1, answerOf(100, 200), 0);
    assert.ok(cache.stats().bytes <= 20_000);
  }
  assert.ok(cache.stats().entries > 10);
  const giant = { ...answerOf(100), records: new Uint8Array(5000) };
  cache.set('giant', 1, giant, 0);
  assert.equal(cache.get('giant', 1, 0), undefined);
});

test('whatever is done in whatever order, it never gives a wrong or dead answer, and counts right', () => {
  const step = fc.record({
    name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    tag: fc.nat(2),
    ttl: fc.option(fc.nat(5)),
    pass: fc.nat(2),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 8 }), (steps, entries) => {
      const cache = new Cache({ entries, bytes: 1e6 });
      const model = new Map<string, { answer: Answer; ends: number }>();
      let now = 0;
      for (const { name, tag, ttl, pass } of steps) {
        now += pass;
        const key = `${name}/${tag}`;
        if (ttl === null) {
          const got = cache.get(name, tag, now);
          const want = model.get(key);
          if (got) {
            assert.equal(got, want?.answer);
            assert.ok(want!.ends > now);
            assert.equal(ttlIn(got), want!.ends - now);
          }
        } else {
          const answer = answerOf(ttl);
          cache.set(name, tag, answer, now);
          model.set(key, { answer, ends: now + ttl });
          if (ttl > 0) assert.equal(cache.get(name, tag, now) ?? entries < 8, cache.get(name, tag, now) ?? true);
        }
        const { entries: count, bytes } = cache.stats();
        assert.ok(count <= entries && count >= 0 && (count === 0) === (bytes === 0));
      }
    }),
  );
});
