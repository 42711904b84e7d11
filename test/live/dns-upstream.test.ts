// runs: here in one mode (a resolver and its sockets)
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { decode, encode, type Packet } from 'dns-packet';
import { ResolvConf } from '../../src/dns/index.ts';
import { bindUdpIn } from '../../src/kernel/index.ts';
import { until } from '../lib/wait.ts';
import { BED, type Bed, dig, dnsmasq, makeBed, serve, unbound } from './dns-bed.ts';

let bed: Bed;
const stack = new AsyncDisposableStack();
before(async () => {
  bed = stack.use(await makeBed());
  const many = Array.from({ length: 120 }, (_, i) => `host-record=big.example,10.77.0.${i + 1}`);
  const mine = [
    'address=/a.example/192.0.2.7',
    'local=/example/',
    'host-record=two.example,192.0.2.8,2001:db8::8',
    'local-ttl=60',
    'neg-ttl=30',
  ];
  stack.use(await dnsmasq(bed, 5301, [...mine, ...many, 'txt-record=text.example,hello']));
  stack.use(await dnsmasq(bed, 5302, ['address=/a.example/198.51.100.7', 'local-ttl=60']));
  stack.use(
    await unbound(bed, 5303, [
      'local-zone: "soa.example." static',
      `local-data: "soa.example. 300 IN SOA ns.soa.example. root.soa.example. 1 3600 600 86400 7"`,
      'local-data: "www.soa.example. 120 IN A 192.0.2.9"',
      'local-data: "alias.soa.example. 120 IN CNAME www.soa.example."',
      'local-zone: "no.example." refuse',
      'local-zone: "gone.example." always_nxdomain',
      '\nforward-zone:\n  name: "broken.example."\n  forward-addr: 127.0.0.1@9\nserver:',
    ]),
  );
});
after(() => stack.disposeAsync());

/** A server that does as the test says; undefined: no answer. */
async function fake(
  port: number,
  reply: (query: Packet) => Buffer | undefined,
  address = '127.0.0.1',
): Promise<AsyncDisposable> {
  const socket = createSocket('udp4');
  socket.bind({ fd: bindUdpIn(bed.host, { address, port }).release() });
  socket.on('message', (raw, from) => {
    const answer = reply(decode(raw));
    if (answer) socket.send(answer, from.port, from.address);
  });
  return { [Symbol.asyncDispose]: async () => void socket.close() };
}

function answerOf(query: Packet, ttl: number, data: string): Buffer {
  const name = query.questions![0]!.name;
  return encode({
    type: 'response',
    id: query.id!,
    flags: 0x0180,
    questions: query.questions!,
    answers: [{ type: 'A', name, ttl, data }],
  });
}

for (const [server, port, questions] of [
  [
    'dnsmasq',
    5301,
    ['a.example A', 'a.example TXT', 'two.example AAAA', 'nobody.example A', 'text.example TXT', 'org A'],
  ],
  [
    'unbound',
    5303,
    [
      'www.soa.example A',
      'www.soa.example AAAA',
      'nobody.soa.example A',
      'alias.soa.example A',
      'x.no.example A',
      'x.gone.example A',
      'x.broken.example A',
    ],
  ],
] as const) {
  test(`what ${server} says is handed on exactly: rcode, flags, records, with and without EDNS`, async () => {
    await using dns = await serve(bed, {}, [`127.0.0.1#${port}`]);
    for (const question of questions) {
      for (const how of ['+noedns', '+dnssec', '+noedns +cdflag', '+noedns +noadflag +norecurse', '+tcp']) {
        const theirs = await dig(bed.host, `@127.0.0.1 -p ${port} ${how} ${question}`);
        const first = await dig(bed.one, `@${BED.gateway} ${how} ${question}`);
        const cached = await dig(bed.one, `@${BED.gateway6} ${how} ${question}`);
        for (const ours of [first, cached]) {
          const what = `${how} ${question}\n${theirs.text}\n${ours.text}`;
          assert.equal(ours.status, theirs.status, what);
          assert.deepEqual(ours.flags, theirs.flags, what);
          assert.deepEqual([...ours.data].sort(), [...theirs.data].sort(), what);
          assert.equal(ours.authority, theirs.authority, what);
          assert.equal(/EDNS/.test(ours.text), /EDNS/.test(theirs.text), what);
        }
      }
    }
    assert.ok(dns.stats().cache.hits > 0);
  });
}

test('answers are kept for their TTL, which counts down, and not a second longer', async () => {
  let asked = 0;
  await using _server = await fake(5310, (query) => answerOf(query, 2, `192.0.2.${++asked}`));
  await using _dns = await serve(bed, {}, ['127.0.0.1#5310']);
  const first = await dig(bed.one, `@${BED.gateway} ttl.example`);
  assert.deepEqual([first.data, first.ttls], [['192.0.2.1'], [2]]);
  const seen = new Set<number>();
  await until('the answer is asked for anew', async () => {
    const { data, ttls } = await dig(bed.one, `@${BED.gateway} ttl.example`);
    if (data[0] === '192.0.2.1') seen.add(ttls[0]!);
    return data[0] === '192.0.2.2';
  });
  assert.ok([...seen].every((ttl) => ttl === 1 || ttl === 2));
  assert.equal(asked, 2);
});

test('negative answers are kept for the lesser of the SOA record TTL and its last field', async () => {
  await using dns = await serve(bed, {}, ['127.0.0.1#5303']);
  for (const name of ['never.soa.example', 'www.soa.example AAAA']) {
    const { sent } = dns.stats().upstream;
    const first = await dig(bed.one, `@${BED.gateway} ${name}`);
    assert.match(first.text, /soa\.example\.\s+7\s+IN\s+SOA/, 'RFC 2308 section 3');
    await dig(bed.one, `@${BED.gateway} ${name}`);
    assert.equal(dns.stats().upstream.sent, sent + 1, name);
  }
});

test('a truncated answer is asked for by TCP and comes whole', async () => {
  await using dns = await serve(bed, {}, ['127.0.0.1#5301']);
  const whole = await dig(bed.one, `@${BED.gateway} big.example`);
  assert.equal(whole.data.length, 120);
  assert.equal(dns.stats().upstream.tcp, 1);
  const cut = await dig(bed.one, `@${BED.gateway} +ignore +noedns big.example`);
  assert.ok(cut.flags.includes('tc') && cut.data.length > 20);
});

test('a dead server, a silent one and an unwilling one cost an answer nothing but time', async () => {
  await using _silent = await fake(5311, () => undefined);
  await using _unwilling = await fake(5312, (q) =>
    encode({ type: 'response', id: q.id!, flags: 0x0182, questions: q.questions! }),
  );
  await using dns = await serve(bed, {}, ['127.0.0.1#5399', '127.0.0.1#5311', '127.0.0.1#5312', '127.0.0.1#5301']);
  const first = await dig(bed.one, `@${BED.gateway} a.example`);
  assert.deepEqual(first.data, ['192.0.2.7']);
  const { unanswered } = dns.stats().upstream;
  assert.ok(unanswered >= 2);
  // whoever was silent is behind the others now
  await dig(bed.one, `@${BED.gateway} two.example`);
  assert.ok(dns.stats().upstream.unanswered <= unanswered + 1);
});

test('SERVFAIL is what one hears when no server knows better, or none answers', async () => {
  await using _unwilling = await fake(5313, (q) =>
    encode({ type: 'response', id: q.id!, flags: 0x0185, questions: q.questions! }),
  );
  await using _silent = await fake(5314, () => undefined);
  await using dns = await serve(bed, {}, ['127.0.0.1#5313'], { limits: { patience: 500 } });
  assert.equal((await dig(bed.one, `@${BED.gateway} x.example`)).status, 'REFUSED');
  await dns[Symbol.asyncDispose]();
  await using mute = await serve(bed, {}, ['127.0.0.1#5314'], { limits: { patience: 500 } });
  assert.equal((await dig(bed.one, `@${BED.gateway} x.example`)).status, 'SERVFAIL');
  assert.equal(mute.stats().upstream.failed, 1);
});

test('an answer with another id, another name or from another port is no answer', async () => {
  const other = createSocket('udp4');
  other.bind({ fd: bindUdpIn(bed.host, { address: '127.0.0.1', port: 5316 }).release() });
  const server = createSocket('udp4');
  server.bind({ fd: bindUdpIn(bed.host, { address: '127.0.0.1', port: 5315 }).release() });
  const ids = new Set<number>();
  const ports = new Set<number>();
  server.on('message', (raw, from) => {
    const query = decode(raw);
    ids.add(query.id!);
    ports.add(from.port);
    const id = (query.id! + 1) & 0xffff;
    const elsewhere = [{ ...query.questions![0]!, name: 'evil.example' }];
    server.send(answerOf({ ...query, id }, 60, '203.0.113.1'), from.port, from.address);
    server.send(answerOf({ ...query, questions: elsewhere }, 60, '203.0.113.2'), from.port, from.address);
    server.send(Buffer.from(raw), from.port, from.address);
    other.send(answerOf(query, 60, '203.0.113.3'), from.port, from.address, () => {
      server.send(answerOf(query, 60, '192.0.2.77'), from.port, from.address);
    });
  });
  await using dns = await serve(bed, {}, ['127.0.0.1#5315']);
  for (let i = 0; i < 8; i++) {
    assert.deepEqual((await dig(bed.one, `@${BED.gateway} real${i}.example`)).data, ['192.0.2.77']);
  }
  assert.equal(dns.stats().upstream.mismatched, 24);
  assert.ok(ids.size >= 7 && ports.size >= 7, 'ids and ports are drawn anew');
  server.close();
  other.close();
});

test('equal questions at the same time are one', async () => {
  let asked = 0;
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const socket = createSocket('udp4');
  socket.bind({ fd: bindUdpIn(bed.host, { address: '127.0.0.1', port: 5317 }).release() });
  socket.on('message', (raw, from) => {
    asked++;
    void held.then(() => socket.send(answerOf(decode(raw), 60, '192.0.2.5'), from.port, from.address));
  });
  await using dns = await serve(bed, {}, ['127.0.0.1#5317']);
  const all = Array.from({ length: 6 }, (_, i) =>
    dig(i % 2 ? bed.one : bed.two, `@${BED.gateway} +noedns same.example`),
  );
  await until('all six wait', () => dns.stats().underWay === 6);
  release();
  for (const answer of await Promise.all(all)) assert.deepEqual(answer.data, ['192.0.2.5']);
  // at most once more, where the first try had taken its time
  assert.ok(asked <= 5 && dns.stats().upstream.joined === 5);
  socket.close();
});

test('askers with servers of their own neither see nor leave the answers of others', async () => {
  await using dns = await serve(bed, {}, ['127.0.0.1#5301']);
  assert.deepEqual((await dig(bed.one, `@${BED.gateway} a.example`)).data, ['192.0.2.7']);
  await dns[Symbol.asyncDispose]();
  const lists: Readonly<Record<string, readonly string[]>> = {
    [BED.one]: ['127.0.0.1#5301'],
    [BED.two]: ['127.0.0.1#5302'],
  };
  await using both = await serve(bed, {}, [], {
    view: {
      lookup: () => undefined,
      reverse: () => undefined,
      srv: () => undefined,
      policy: ({ address }) => ({ forward: true, upstreams: lists[address]! }),
    },
  });
  for (let i = 0; i < 2; i++) {
    assert.deepEqual((await dig(bed.one, `@${BED.gateway} a.example`)).data, ['192.0.2.7']);
    assert.deepEqual((await dig(bed.two, `@${BED.gateway} a.example`)).data, ['198.51.100.7']);
  }
  assert.equal(both.stats().cache.hits, 2);
});

test('a server that is a listener of our own is never asked', async () => {
  await using dns = await serve(bed, {}, [BED.gateway, BED.gateway6, '127.0.0.1#5301']);
  assert.deepEqual((await dig(bed.one, `@${BED.gateway} a.example`)).data, ['192.0.2.7']);
  assert.equal(dns.stats().upstream.sent, 1);
});

test('resolv.conf is followed: rewritten, replaced, a link turned, the real servers behind a stub', async () => {
  const file = join(bed.dir, 'resolv.conf');
  const resolved = join(bed.dir, 'run', 'systemd', 'resolve', 'resolv.conf');
  const put = (text: string, path = file): void => writeFileSync(path, text);
  put('# nobody yet\nnameserver 192.0.2.1\noptions edns0\n');
  const source = new ResolvConf({ path: file, resolved });
  const follows = (what: string, expected: string): Promise<unknown> =>
    until(what, () => source.servers().join() === expected, { timeout: 4000 });
  await follows('the first content', '192.0.2.1');
  put('nameserver 192.0.2.2\nnameserver fe80::1%eth0\n');
  await follows('it is rewritten', '192.0.2.2,fe80::1%eth0');
  put('nameserver 192.0.2.3\n', file + '.new');
  renameSync(file + '.new', file);
  await follows('it is replaced', '192.0.2.3');
  put('nameserver 192.0.2.4', join(bed.dir, 'elsewhere'));
  symlinkSync('elsewhere', file + '.link');
  renameSync(file + '.link', file);
  await follows('it is a link', '192.0.2.4');
  put('nameserver 192.0.2.5', join(bed.dir, 'elsewhere'));
  await follows('what the link leads to is rewritten', '192.0.2.5');
  put('nameserver 127.0.0.53');
  await follows('a stub', '127.0.0.53');
  mkdirSync(join(bed.dir, 'run', 'systemd', 'resolve'), { recursive: true });
  await delay(50); // directories come one after the other
  put('nameserver 192.0.2.6\nnameserver 127.0.0.53\n', resolved);
  await follows('the stub has real servers', '192.0.2.6');
  const before = source.servers();
  assert.equal(source.servers(), before, 'the same array as long as nothing changes');
  put('');
  await follows('nobody at all is the host itself', '127.0.0.1');
  source[Symbol.dispose]();
});

test('a change of resolv.conf counts from the next question on', async () => {
  const file = join(bed.dir, 'live.conf');
  await using _first = await fake(53, (q) => answerOf(q, 60, '192.0.2.7'));
  await using _second = await fake(53, (q) => answerOf(q, 60, '198.51.100.7'), '127.0.0.2');
  writeFileSync(file, 'nameserver 127.0.0.1\n');
  const upstreams = new ResolvConf({ path: file, resolved: join(bed.dir, 'none') });
  await using _dns = await serve(bed, {}, [], { upstreams });
  assert.deepEqual((await dig(bed.one, `@${BED.gateway} a.example`)).data, ['192.0.2.7']);
  writeFileSync(file + '.new', 'nameserver 127.0.0.2\n');
  renameSync(file + '.new', file);
  await until('the other server answers', async () => {
    return (await dig(bed.one, `@${BED.gateway} a.example`)).data[0] === '198.51.100.7';
  });
});
