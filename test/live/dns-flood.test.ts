// runs: here in one mode (a resolver under load)
import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { decode, encode } from 'dns-packet';
import { bindUdpIn, type Netns, openDescriptors } from '../../src/kernel/index.ts';
import { okIn, run, startIn } from '../lib/run.ts';
import { until, within } from '../lib/wait.ts';
import { BED, type Bed, dig, dnsmasq, makeBed, serve } from './dns-bed.ts';

let bed: Bed;
before(async () => void (bed = await makeBed()));
after(() => bed[Symbol.asyncDispose]());

function socketIn(netns: Netns, address: string, port = 0): Socket {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
  socket.bind({ fd: bindUdpIn(netns, { address, port }).release() });
  return socket;
}

function question(id: number, name: string): Buffer {
  return encode({ type: 'query', id, flags: 0x0100, questions: [{ type: 'A', name }] });
}

/** bench/dns_load.c, compiled. */
async function loadProgram(): Promise<string> {
  const program = join(bed.dir, 'dns_load');
  const source = fileURLToPath(new URL('../../bench/dns_load.c', import.meta.url));
  assert.equal((await run(['cc', '-O2', source, '-o', program])).status, 0);
  return program;
}

/** An upstream server that answers names below fast.example, and nothing else. */
function upstream(port: number): Disposable {
  const socket = socketIn(bed.host, '127.0.0.1', port);
  socket.on('message', (raw, from) => {
    const { id, questions } = decode(raw);
    const { name } = questions![0]!;
    if (!name.endsWith('fast.example')) return;
    const answers = [{ type: 'A' as const, name, ttl: 600, data: '192.0.2.1' }];
    socket.send(
      encode({ type: 'response', id: id!, flags: 0x0180, questions: questions!, answers }),
      from.port,
      from.address,
    );
  });
  return { [Symbol.dispose]: () => void socket.close() };
}

test('pain 29 (libnetwork#2214): one container with ten thousand questions under way keeps nobody from being answered', async () => {
  using _upstream = upstream(5301);
  const limits = { perAsker: 200, underWay: 300, patience: 4000 };
  await using dns = await serve(bed, { names: { web: ['10.64.0.10'] } }, ['127.0.0.1#5301'], { limits });
  const flood = socketIn(bed.one, BED.one);
  for (let i = 0; i < 10_000; i++) {
    flood.send(question(i, `x${i}.slow.example`), 53, BED.gateway);
    if (i % 100 === 0) await setImmediate();
  }
  await until('the flood has reached its limit', () => dns.stats().rejected.asker > 1000);
  assert.ok(dns.stats().underWay <= 200);
  for (let i = 0; i < 20; i++) {
    assert.deepEqual((await dig(bed.two, `@${BED.gateway} n${i}.fast.example`)).data, ['192.0.2.1']);
    assert.deepEqual((await dig(bed.two, `@${BED.gateway} web`)).data, ['10.64.0.10']);
  }
  const { refused } = dns.stats();
  assert.equal(refused[0]!.address, BED.one);
  assert.ok(!refused.some((asker) => asker.address === BED.two), 'the other one was refused nothing');
  flood.close();
});

test('pain 29 (libnetwork#2214): where the table of all is full, whoever has most gives way', async () => {
  using _upstream = upstream(5302);
  const limits = { perAsker: 1000, underWay: 100, patience: 4000 };
  await using dns = await serve(bed, {}, ['127.0.0.1#5302'], { limits });
  const flood = socketIn(bed.one, BED.one);
  for (let i = 0; i < 150; i++) flood.send(question(i, `y${i}.slow.example`), 53, BED.gateway);
  await until('the table is full', () => dns.stats().underWay === 100);
  assert.deepEqual((await dig(bed.two, `@${BED.gateway} z.fast.example`)).data, ['192.0.2.1']);
  assert.ok(dns.stats().underWay <= 100);
  assert.ok(!dns.stats().refused.some((asker) => asker.address === BED.two));
  flood.close();
});

test('pain 29 (libnetwork#2214): a thousand questions at once from one container are answered, every one', async () => {
  using _upstream = upstream(5303);
  await using _dns = await serve(bed, {}, ['127.0.0.1#5303']);
  const socket = socketIn(bed.one, BED.one);
  const missing = new Set(Array.from({ length: 1000 }, (_, i) => i));
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.on('message', (raw) => {
    const { id, rcode } = decode(raw) as ReturnType<typeof decode> & { rcode: string };
    if (rcode === 'NOERROR') missing.delete(id!);
    if (missing.size === 0) resolve();
  });
  const ask = (): void => {
    for (const id of missing) socket.send(question(id, `m${id}.fast.example`), 53, BED.gateway);
  };
  ask();
  // as a client does: what the kernel had no room for is asked again
  const again = setInterval(ask, 1500);
  await within('all answers', promise, 20_000).finally(() => clearInterval(again));
  socket.close();
});

test('pain 29 (libnetwork#2214): a container that asks as fast as it can does not silence another', async () => {
  await using dns = await serve(bed, { names: { web: ['10.64.0.10'] } }, []);
  const program = await loadProgram();
  await using _flood = startIn(bed.one, [program, BED.gateway, '53', '4096', '50000000', 'web', '1']);
  const count = (): number => dns.stats().queries.reduce((sum, q) => sum + q.count, 0);
  await until('the flood has come', () => count() > 5000, { timeout: 20_000 });
  for (let i = 0; i < 15; i++) {
    // as a client does: asks again
    assert.equal(
      (await okIn(bed.two, ['dig', '+short', '+tries=3', '+time=2', `@${BED.gateway}`, 'web'])).trim(),
      '10.64.0.10',
    );
    assert.equal((await okIn(bed.two, ['dig', '+short', '+tcp', `@${BED.gateway}`, 'web'])).trim(), '10.64.0.10');
  }
  assert.ok(!dns.stats().refused.some((asker) => asker.address === BED.two));
});

test('beyond the limit: silence by UDP, where it is asked again, and SERVFAIL by TCP, where it would hang', async () => {
  await using dns = await serve(bed, {}, ['127.0.0.1#5399'], { limits: { perAsker: 0 } });
  assert.equal((await dig(bed.one, `@${BED.gateway} +tcp x.example`)).status, 'SERVFAIL');
  await assert.rejects(dig(bed.one, `@${BED.gateway} +time=1 x.example`), /timed out/);
  assert.deepEqual(dns.stats().refused, [{ network: 'net', address: BED.one, count: 2 }]);
});

test('twenty thousand names, each asked once, do not make the cache grow without bound', async () => {
  await using _upstream = await dnsmasq(bed, 5304, ['address=/fast.example/192.0.2.1', 'local-ttl=600'], false);
  const limits = { cacheEntries: 5000, cacheBytes: 2 << 20 };
  await using dns = await serve(bed, { names: { web: ['10.64.0.10'] } }, ['127.0.0.1#5304'], { limits });
  const program = await loadProgram();
  const before = openDescriptors();
  let most = 0;
  const watch = setInterval(() => (most = Math.max(most, dns.stats().cache.entries)), 20);
  const argv = [program, BED.gateway, '53', '50', '20000', 'h%d.fast.example', '20000'];
  const said = await okIn(bed.one, argv, { timeout: 55_000 }).finally(() => clearInterval(watch));
  assert.match(said, /^\d+ \S+ \S+ 0 /, 'every answer is right');
  const { cache } = dns.stats();
  assert.ok(most > 1000 && most <= 5000 && cache.bytes <= 2 << 20, JSON.stringify({ most, cache }));
  assert.ok(cache.evicted > 14_000, JSON.stringify(cache));
  await until('nothing is under way any more', () => dns.stats().underWay === 0);
  assert.deepEqual(openDescriptors(), before, 'no socket is left behind');
});
