import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DnsServer, type QueryLogEntry } from '../../src/dns/index.ts';
import { hasCode } from '../../src/errors.ts';
import { openDescriptors } from '../../src/kernel/index.ts';
import { ipBatch, okIn, startIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';
import { BED, type Bed, dig, makeBed, serve, viewOf } from './dns-bed.ts';

const MANY = Array.from({ length: 100 }, (_, i) => `10.65.0.${i + 1}`);
const ADDRESSES = {
  web: ['10.64.0.10', 'fd00:64::10'],
  db: ['10.64.0.11', '10.64.0.12', '10.64.0.13'],
  v4only: ['10.64.0.14'],
  bare: [],
  many: MANY,
};
let bed: Bed;
let server: DnsServer;
const log: QueryLogEntry[] = [];
before(async () => {
  bed = await makeBed();
  server = await serve(bed, {
    names: ADDRESSES,
    reverse: { '10.64.0.10': ['web', 'web.front'], 'fd00:64::10': ['web'], '10.64.0.99': [] },
    services: { '_http._tcp.web': [{ target: 'web', port: 8080, priority: 1, weight: 2 }] },
    forward: false,
  });
});
after(async () => {
  await server[Symbol.asyncDispose]();
  await bed[Symbol.asyncDispose]();
});

for (const [how, at] of [
  ['UDP over IPv4', `@${BED.gateway}`],
  ['UDP over IPv6', `@${BED.gateway6}`],
  ['TCP over IPv4', `@${BED.gateway} +tcp`],
  ['TCP over IPv6', `@${BED.gateway6} +tcp`],
] as const) {
  test(`names of ours by ${how}: A, AAAA, whatever the case of their letters`, async () => {
    const a = await dig(bed.one, `${at} wEb A`);
    assert.equal(a.status, 'NOERROR');
    assert.deepEqual(a.data, ['10.64.0.10']);
    assert.deepEqual(a.flags, ['qr', 'aa', 'rd', 'ra']);
    assert.match(a.text, /;wEb\.\s+IN\s+A/, 'the question comes back as it was written');
    assert.deepEqual((await dig(bed.one, `${at} web AAAA`)).data, ['fd00:64::10']);
    assert.ok(a.ttls[0]! <= 5);
  });
}

test('a name of ours without the type that is asked for exists: no error and no record', async () => {
  for (const words of ['v4only AAAA', 'v4only TXT', 'v4only HTTPS', 'bare A', 'bare AAAA']) {
    const answer = await dig(bed.one, `@${BED.gateway} ${words}`);
    assert.equal(answer.status, 'NOERROR', words);
    assert.deepEqual(answer.data, [], words);
  }
});

test('several addresses come in rotation, every one of them first in its turn', async () => {
  const firsts = new Set<string>();
  for (let i = 0; i < 3; i++) {
    const { data } = await dig(bed.one, `@${BED.gateway} db`);
    assert.deepEqual([...data].sort(), [...ADDRESSES.db]);
    firsts.add(data[0]!);
  }
  assert.equal(firsts.size, 3);
});

test('PTR, SRV with the address beside it, and ANY', async () => {
  const pointer = await dig(bed.one, `@${BED.gateway} -x 10.64.0.10`);
  assert.deepEqual(pointer.data, ['web.', 'web.front.']);
  assert.deepEqual((await dig(bed.one, `@${BED.gateway} -x fd00:64::10`)).data, ['web.']);
  assert.equal((await dig(bed.one, `@${BED.gateway} -x 10.64.0.99`)).status, 'NXDOMAIN');
  const service = await dig(bed.one, `@${BED.gateway} _http._tcp.web SRV`);
  assert.deepEqual(service.data, ['1 2 8080 web.']);
  assert.match(
    service.text,
    /ADDITIONAL SECTION:\nweb\.\s+5\s+IN\s+A\s+10\.64\.0\.10\nweb\.\s+5\s+IN\s+AAAA\s+fd00:64::10/,
  );
  assert.equal((await dig(bed.one, `@${BED.gateway} _smtp._tcp.web SRV`)).status, 'NXDOMAIN', 'never asked elsewhere');
  assert.deepEqual((await dig(bed.one, `@${BED.gateway} +notcp web ANY`)).data, ['10.64.0.10']);
});

test('on an internal network, what is not ours does not exist, and nobody is asked', async () => {
  const sent = server.stats().upstream.sent;
  for (const name of ['nobody', 'www.example.org', '.']) {
    assert.equal((await dig(bed.one, `@${BED.gateway} ${name} A`)).status, 'NXDOMAIN', name);
  }
  assert.equal(server.stats().upstream.sent, sent);
});

test('what does not fit is cut where a record ends, says so, and comes whole by TCP', async () => {
  const plain = await dig(bed.one, `@${BED.gateway} +noedns +ignore many`);
  assert.ok(plain.flags.includes('tc'));
  assert.equal(plain.data.length, 30, '512 bytes less header and question, by 16');
  const large = await dig(bed.one, `@${BED.gateway} +bufsize=4096 +ignore many`);
  assert.ok(large.flags.includes('tc'), 'never more than 1232 bytes');
  assert.equal(large.data.length, 74);
  assert.match(large.text, /EDNS: version: 0, flags:; udp: 1232/);
  const whole = await dig(bed.one, `@${BED.gateway} many`);
  assert.equal(whole.data.length, 100);
  assert.match(whole.text, /\(TCP\)/);
});

test('EDNS: an unknown version is told, options are not taken for errors, DO comes back', async () => {
  assert.equal((await dig(bed.one, `@${BED.gateway} +edns=1 +noednsnegotiation web`)).status, 'BADVERS');
  const answer = await dig(bed.one, `@${BED.gateway} +dnssec +nsid +subnet=192.0.2.0/24 web`);
  assert.deepEqual(answer.data, ['10.64.0.10']);
  assert.match(answer.text, /flags: do; udp: 1232/);
  assert.doesNotMatch((await dig(bed.one, `@${BED.gateway} +noedns web`)).text, /EDNS/);
});

test('what is not a question to a resolver is refused', async () => {
  assert.equal((await dig(bed.one, `@${BED.gateway} +opcode=status web`)).status, 'NOTIMP');
  assert.equal((await dig(bed.one, `@${BED.gateway} +opcode=update web`)).status, 'NOTIMP');
  assert.equal((await dig(bed.one, `@${BED.gateway} version.bind CH TXT`)).status, 'REFUSED');
  assert.equal((await dig(bed.one, `@${BED.gateway} +header-only`)).status, 'FORMERR');
});

test('who is no asker of the network is refused, even what is ours', async () => {
  const stranger = { lookup: () => ['192.0.2.1'], reverse: () => undefined, srv: () => undefined };
  await using only = new DnsServer({
    netns: bed.host,
    view: { ...stranger, policy: ({ address }) => (address === BED.one ? { forward: true } : undefined) },
    upstreams: { servers: () => [], [Symbol.dispose]: () => undefined },
  });
  await only.listen('net', BED.gateway, 5353);
  for (const how of ['', ' +tcp']) {
    assert.deepEqual((await dig(bed.one, `@${BED.gateway} -p 5353 web${how}`)).data, ['192.0.2.1']);
    assert.equal((await dig(bed.two, `@${BED.gateway} -p 5353 web${how}`)).status, 'REFUSED');
  }
  assert.equal(only.stats().rejected.stranger, 2);
});

test('a process that has a server ends when the server is closed, and leaves nothing open', async () => {
  const before = openDescriptors();
  const closing = new DnsServer({ netns: bed.host, view: viewOf({}) });
  await closing.listen('net', BED.gateway, 5354);
  await closing.listen('net', BED.gateway6, 5354);
  await closing[Symbol.asyncDispose]();
  await closing[Symbol.asyncDispose]();
  assert.deepEqual(openDescriptors(), before);
  await assert.rejects(closing.listen('net', BED.gateway, 5354), (e) => hasCode(e, 'ESTOPPING'));
  await server.listen('net', BED.gateway, 5354);
  await server.unlisten('net', BED.gateway);
  await server.listen('net', BED.gateway);
});

test('the query log tells who asked what, as long as somebody reads it', async () => {
  server.onQuery = (entry) => void log.push(entry);
  await dig(bed.two, `@${BED.gateway6} web AAAA`);
  server.onQuery = undefined;
  await dig(bed.two, `@${BED.gateway6} web A`);
  assert.equal(log.length, 1);
  const { milliseconds, ...entry } = log[0]!;
  assert.deepEqual(entry, {
    asker: { network: 'net', address: BED.two6 },
    protocol: 'udp',
    name: 'web',
    type: 'AAAA',
    source: 'local',
    rcode: 'NOERROR',
  });
  assert.ok(milliseconds >= 0);
});

test('statistics count by protocol, source, type and rcode', async () => {
  const count = (): number =>
    server
      .stats()
      .queries.filter((q) => q.protocol === 'tcp' && q.type === 'AAAA' && q.rcode === 'NOERROR' && q.source === 'local')
      .reduce((sum, q) => sum + q.count, 0);
  const was = count();
  await dig(bed.one, `@${BED.gateway} +tcp v4only AAAA`);
  assert.equal(count(), was + 1);
});

test('listening twice is listening once; another network cannot have the address', async () => {
  const { listeners } = server.stats();
  await server.listen('net', BED.gateway);
  assert.equal(server.stats().listeners, listeners);
  await assert.rejects(server.listen('other', BED.gateway), (e) => hasCode(e, 'ECONFLICT'));
  await assert.rejects(server.listen('net', 'gateway'), (e) => hasCode(e, 'EBADADDRESS'));
});

test('whoever holds the port is named', async () => {
  await using _holder = startIn(bed.host, ['socat', 'UDP4-RECV:5399', '-']);
  await until('socat listens', async () => (await okIn(bed.host, ['ss', '-Huln', 'sport = :5399'])) !== '', {
    timeout: 15_000,
  });
  await assert.rejects(server.listen('net', BED.gateway, 5399), (error) => {
    assert.ok(hasCode(error, 'EADDRINUSE'));
    assert.match(
      error.message,
      /^udp port 5399 of 10\.64\.0\.1 is taken by socat \(pid \d+\), which listens at 0\.0\.0\.0:5399$/,
    );
    assert.match(error.hint, /own addresses/);
    return true;
  });
});

test('an address may come later than the listener, and go and come back', async () => {
  await server.listen('late', '10.66.0.1');
  for (let round = 0; round < 2; round++) {
    await ipBatch(bed.host, ['addr add 10.66.0.1/24 dev br0']);
    await ipBatch(bed.one, ['route replace 10.66.0.0/24 dev eth0']);
    assert.deepEqual((await dig(bed.one, '@10.66.0.1 web')).data, ['10.64.0.10']);
    assert.deepEqual((await dig(bed.one, '@10.66.0.1 +tcp web')).data, ['10.64.0.10']);
    await ipBatch(bed.host, ['addr del 10.66.0.1/24 dev br0']);
  }
  await server.unlisten('late');
});
