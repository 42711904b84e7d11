import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { conntrackDelete, conntrackDump, decodeConntrack, matches } from '../../../src/conntrack/index.ts';
import { hasCode } from '../../../src/errors.ts';
import { messagesOf, NLM_F, NlWriter, type Request } from '../../../src/netlink/index.ts';
import type { Captures } from './capture.ts';
import { ENTRIES } from './entries.ts';

const golden = JSON.parse(readFileSync(new URL('captures.json', import.meta.url), 'utf8')) as Captures;

test('every entry is captured, and the fixtures say where they come from', () => {
  assert.deepEqual(
    golden.entries.map((e) => e.insert),
    Object.keys(ENTRIES),
  );
  assert.match(golden.conntrack, /conntrack v\d/);
  assert.match(golden.kernel, /^\d+\.\d+/);
});

for (const { insert, dumped, deleted } of golden.entries) {
  test(`the kernel’s answer: conntrack -I ${insert}`, () => {
    const [message] = messagesOf(Buffer.from(dumped, 'hex'));
    const { id, timeout, ...entry } = decodeConntrack(message!)!.entry;
    assert.deepEqual(entry, ENTRIES[insert]);
    assert.ok(id > 0 && timeout! > 0);
  });
  test(`our request to delete it names the connection as conntrack(8) does: ${insert}`, () => {
    const [answer] = messagesOf(Buffer.from(dumped, 'hex'));
    const { entry } = decodeConntrack(answer!)!;
    const theirs = [...messagesOf(Buffer.from(deleted, 'hex'))][0]!;
    const ours = encode(conntrackDelete(entry));
    assert.equal(ours.type, theirs.type);
    assert.deepEqual(ours.payload.slice(0, 4), new Uint8Array(theirs.payload.subarray(0, 4)));
    const [mine, reference] = [attributes(ours.payload), attributes(theirs.payload)];
    for (const [type, value] of mine) {
      // the kernel takes the number of the entry as well, and then deletes no other one with the same tuple
      if (type !== CTA_ID) assert.equal(value, reference.get(type), `attribute ${type}`);
    }
    assert.ok(mine.has(CTA_TUPLE_ORIG));
  });
}

test('a filter becomes what the kernel compares', () => {
  const { payload } = encode(conntrackDump({ family: 6, mark: { value: 0x1200, mask: 0xff00 }, zone: 7 }));
  assert.equal(payload[0], 10);
  assert.deepEqual(
    attributes(payload),
    new Map([
      [8, '00001200'],
      [21, '0000ff00'],
      [18, '0007'],
    ]),
  );
});

test('what a connection must look like', () => {
  const [entry] = Object.values(ENTRIES).map((e) => ({ ...e, id: 1 }));
  const ok = (match: Parameters<typeof matches>[0]): boolean => matches(match)(entry!);
  assert.ok(ok({}));
  assert.ok(
    ok({
      protocol: 6,
      origDst: '192.0.2.1',
      origDport: 8080,
      replySrc: '172.18.0.0/16',
      replySport: 80,
      mark: 7,
      zone: 0,
    }),
  );
  assert.ok(ok({ origSrc: '192.0.2.9', origSport: 40_000, replyDst: '192.0.2.9', replyDport: 40_000 }));
  for (const other of [
    { protocol: 17 },
    { origDst: '192.0.2.2' },
    { origDport: 80 },
    { replySrc: '172.19.0.0/16' },
    { replySport: 81 },
    { mark: 8 },
    { zone: 1 },
    { origSrc: '::/0' },
  ]) {
    assert.ok(!ok(other), JSON.stringify(other));
  }
  assert.throws(() => matches({ origDst: 'host' }));
});

test('damaged answers give an entry or MalformedError', () => {
  const valid = golden.entries.map((e) => Uint8Array.from(Buffer.from(e.dumped, 'hex')));
  const changes = fc.array(fc.tuple(fc.integer({ min: 16, max: 260 }), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(fc.nat({ max: valid.length - 1 }), changes, (which, edits) => {
      const bytes = new Uint8Array(valid[which]!);
      for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
      try {
        for (const message of messagesOf(bytes)) decodeConntrack(message);
      } catch (error) {
        assert.ok(hasCode(error, 'EBADMSG'), String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

/** linux/netfilter/nfnetlink_conntrack.h, enum ctattr_type */
const CTA_TUPLE_ORIG = 1;
const CTA_ID = 12;

function encode(request: Request): { type: number; payload: Uint8Array } {
  const writer = new NlWriter();
  writer.message(request.type, request.flags | NLM_F.REQUEST, 1);
  request.body(writer);
  const [message] = messagesOf(new Uint8Array(writer.finish()));
  return message!;
}

/** The outermost attributes after struct nfgenmsg, read without the code under test. */
function attributes(payload: Uint8Array): Map<number, string> {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const found = new Map<number, string>();
  for (let at = 4; at + 4 <= payload.length; at += (view.getUint16(at, true) + 3) & ~3) {
    const value = payload.subarray(at + 4, at + view.getUint16(at, true));
    found.set(view.getUint16(at + 2, true) & 0x3fff, Buffer.from(value).toString('hex'));
  }
  return found;
}
