import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode, type Packet, type RecordType } from 'dns-packet';
import fc from 'fast-check';
import { ipFromBytes } from '../addr/index.ts';
import { LocalNames, NOT_OURS } from './local.ts';
import { Question, readQuestion } from './question.ts';
import { parseReverse } from './reverse.ts';
import type { NameView } from './types.ts';

const asker = { network: 'net', address: '192.0.2.1' };
const view = (names: Record<string, readonly string[]>): NameView => ({
  lookup: (_, name) => names[name],
  reverse: () => undefined,
  srv: (_, service, protocol, name) =>
    service === 'ldap' && protocol === 'tcp' && name === 'dir' ? [{ target: 'Dir', port: 389 }] : undefined,
  policy: () => ({ forward: true }),
});

function ask(
  local: LocalNames,
  name: string,
  type: RecordType,
  room = 512,
): (Packet & { flag_tc: boolean }) | undefined {
  const bytes = new Uint8Array(70_000);
  const query = encode({ type: 'query', id: 3, flags: 0x100, questions: [{ name, type }] });
  bytes.set(query);
  const q = new Question();
  assert.equal(readQuestion(bytes, 0, query.length, q), 0);
  const length = local.answer(bytes, 0, q, asker, room);
  if (length === NOT_OURS) return undefined;
  assert.ok(length <= room);
  return decode(Buffer.from(bytes.subarray(0, length)));
}
const dataOf = (packet: Packet | undefined): unknown[] => packet!.answers!.map((r) => (r as { data: unknown }).data);

test('another array is another answer at once; the same one is encoded once and turns', () => {
  const names: Record<string, readonly string[]> = { web: ['192.0.2.1', '192.0.2.2', '2001:db8::1'] };
  const local = new LocalNames(view(names), 5);
  assert.deepEqual(dataOf(ask(local, 'web', 'A')), ['192.0.2.1', '192.0.2.2']);
  assert.deepEqual(dataOf(ask(local, 'WEB', 'A')), ['192.0.2.2', '192.0.2.1']);
  assert.deepEqual(dataOf(ask(local, 'web', 'AAAA')), ['2001:db8::1']);
  names['web'] = ['192.0.2.3'];
  assert.deepEqual(dataOf(ask(local, 'web', 'A')), ['192.0.2.3']);
  assert.deepEqual(dataOf(ask(local, 'web', 'AAAA')), []);
  delete names['web'];
  assert.equal(ask(local, 'web', 'A'), undefined);
});

test('every number of addresses in every room: whole records, and TC exactly when some are missing', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 512, max: 1232 }), (count, room) => {
      const list = Array.from({ length: count }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
      const answer = ask(new LocalNames(view({ web: list }), 5), 'web', 'A', room)!;
      const fits = Math.floor((room - 21) / 16);
      assert.equal(answer.answers!.length, Math.min(count, fits));
      assert.equal(answer.flag_tc, count > fits);
      assert.equal(new Set(dataOf(answer)).size, Math.min(count, fits));
    }),
  );
});

test('services: what stands below a name of ours is ours, and only that', () => {
  const local = new LocalNames(view({ dir: ['192.0.2.9'] }), 5);
  assert.deepEqual(dataOf(ask(local, '_ldap._tcp.dir', 'SRV')), [{ priority: 0, weight: 0, port: 389, target: 'Dir' }]);
  assert.equal(ask(local, '_ldap._tcp.dir', 'TXT')!.answers!.length, 0);
  assert.equal((ask(local, '_http._tcp.dir', 'SRV') as unknown as { rcode: string }).rcode, 'NXDOMAIN');
  assert.equal(ask(local, '_http._tcp.example.org', 'SRV'), undefined);
  assert.equal(ask(local, 'www.dir', 'A'), undefined, 'dir may be a domain of the internet');
});

test('reverse names of any address are read; nothing else is', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.boolean(), (bytes, six) => {
      const ip = ipFromBytes(six ? bytes : bytes.subarray(0, 4));
      const name = six
        ? Buffer.from(bytes).toString('hex').split('').reverse().join('.') + '.ip6.arpa'
        : [...bytes.subarray(0, 4)].reverse().join('.') + '.in-addr.arpa';
      assert.equal(parseReverse(name), ip.text);
    }),
  );
  for (const name of [
    'in-addr.arpa',
    '1.in-addr.arpa',
    '256.1.1.1.in-addr.arpa',
    '01.1.1.1.in-addr.arpa',
    '1.2.3.4.5.in-addr.arpa',
    'x.ip6.arpa',
    'web',
  ]) {
    assert.equal(parseReverse(name), undefined, name);
  }
});
