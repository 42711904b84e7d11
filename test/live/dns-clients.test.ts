import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { decode, encode } from 'dns-packet';
import type { DnsServer } from '../../src/dns/index.ts';
import { type Netns, tcpSocketIn } from '../../src/kernel/index.ts';
import { okIn, run, runIn, startIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';
import { BED, type Bed, dnsmasq, makeBed, serve } from './dns-bed.ts';

const MANY = Array.from({ length: 600 }, (_, i) => `10.65.${Math.floor(i / 250)}.${(i % 250) + 1}`);
let bed: Bed;
let server: DnsServer;
const stack = new AsyncDisposableStack();
before(async () => {
  bed = stack.use(await makeBed());
  stack.use(await dnsmasq(bed, 5301, ['local=/example/', 'host-record=outside.example,192.0.2.8,2001:db8::8']));
  const names = {
    web: ['10.64.0.10', 'fd00:64::10'],
    v4only: ['10.64.0.14'],
    v6only: ['fd00:64::16'],
    'web.front.test': ['10.64.0.10'],
    many: MANY,
  };
  server = stack.use(
    await serve(bed, { names, reverse: { '10.64.0.10': ['web'] } }, ['127.0.0.1#5301'], { limits: { idle: 600 } }),
  );
  const source = join(bed.dir, 'resolve.c');
  writeFileSync(source, RESOLVE);
  for (const [compiler, out] of [
    ['musl-gcc', 'resolve-musl'],
    ['gcc', 'resolve-glibc'],
  ] as const) {
    const argv = [compiler, '-O1', ...(compiler === 'musl-gcc' ? ['-static'] : []), source, '-o', join(bed.dir, out)];
    const { status, stderr } = await run(argv);
    assert.equal(status, 0, stderr);
  }
});
after(() => stack.disposeAsync());

/** Prints the addresses of a name, sorted as getaddrinfo gives them, or its error. */
const RESOLVE = `
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
    int error = getaddrinfo(argv[i], NULL, &hints, &list);
    if (error) printf("%s: error %s\\n", argv[i], error == EAI_NONAME || error == EAI_NODATA ? "none" : gai_strerror(error));
    else printf("%s:", argv[i]);
    for (struct addrinfo *a = list; a; a = a->ai_next) {
      char text[64];
      void *at = a->ai_family == AF_INET ? (void *)&((struct sockaddr_in *)a->ai_addr)->sin_addr
                                         : (void *)&((struct sockaddr_in6 *)a->ai_addr)->sin6_addr;
      printf(" %s", inet_ntop(a->ai_family, at, text, sizeof text));
    }
    if (!error) printf("\\n");
  }
}
`;

/** Runs a program with a resolv.conf of its own. */
async function resolving(netns: Netns, resolv: string, argv: readonly string[]): Promise<string> {
  const file = join(bed.dir, `resolv-${Math.random()}`);
  writeFileSync(file, resolv);
  const script = `mount --bind ${file} /etc/resolv.conf && exec "$@"`;
  const words = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', ...argv];
  return (await runIn(netns, words)).stdout;
}

for (const libc of ['glibc', 'musl'] as const) {
  for (const gateway of [BED.gateway, BED.gateway6]) {
    test(`a program with ${libc} finds names of ours and of others, at ${gateway}`, async () => {
      const program = join(bed.dir, `resolve-${libc}`);
      const names = ['web', 'v4only', 'v6only', 'outside.example', 'nobody.example'];
      const said = await resolving(bed.one, `nameserver ${gateway}\n`, [program, ...names]);
      const found = Object.fromEntries(
        said
          .trim()
          .split('\n')
          .map((line) => [line.split(':')[0]!, line.split(' ').slice(1).sort()]),
      );
      assert.deepEqual(found, {
        web: ['10.64.0.10', 'fd00:64::10'],
        v4only: ['10.64.0.14'],
        v6only: ['fd00:64::16'],
        'outside.example': ['192.0.2.8', '2001:db8::8'],
        'nobody.example': ['error', 'none'],
      });
    });
  }

  test(`a program with ${libc} searches domains, and takes a name with more addresses than a datagram holds`, async () => {
    const program = join(bed.dir, `resolve-${libc}`);
    const search = `search nowhere.example front.test\nnameserver ${BED.gateway}\noptions ndots:1\n`;
    assert.equal(
      (await resolving(bed.one, search, [program, 'web'])).trim(),
      'web: 10.64.0.10',
      'web.front.test, not web',
    );
    const many = await resolving(bed.one, `nameserver ${BED.gateway}\n`, [program, 'many']);
    assert.ok(many.split(' ').length > 29, many);
  });
}

test('getent of glibc: ahosts, and the name of an address', async () => {
  const resolv = `nameserver ${BED.gateway}\n`;
  const hosts = await resolving(bed.two, resolv, ['getent', 'ahosts', 'web']);
  assert.match(hosts, /10\.64\.0\.10\s+STREAM/);
  assert.match(hosts, /fd00:64::10\s+STREAM/);
  assert.match(await resolving(bed.two, resolv, ['getent', 'hosts', '10.64.0.10']), /10\.64\.0\.10\s+web/);
});

/** A raw conversation: writes pieces, and collects whole messages. */
async function converse(pieces: readonly Uint8Array[], answers: number): Promise<Buffer[]> {
  const socket = new Socket({ fd: tcpSocketIn(bed.one, 4).release() });
  const messages: Buffer[] = [];
  let rest = Buffer.alloc(0);
  socket.setNoDelay(true);
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () => resolve());
    socket.on('data', (part: Buffer) => {
      rest = Buffer.concat([rest, part]);
      while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
        messages.push(rest.subarray(2, 2 + rest.readUInt16BE(0)));
        rest = rest.subarray(2 + rest.readUInt16BE(0));
      }
      if (messages.length >= answers) socket.destroy();
    });
    socket.connect(53, BED.gateway, () => {
      const write = (i: number): void => {
        if (i === pieces.length) return;
        socket.write(pieces[i]!, () => setImmediate(write, i + 1));
      };
      write(0);
    });
  });
  return messages;
}

function framed(id: number, name: string): Buffer {
  const query = encode({ type: 'query', id, flags: 0x0100, questions: [{ type: 'A', name }] });
  const head = Buffer.alloc(2);
  head.writeUInt16BE(query.length);
  return Buffer.concat([head, query]);
}

test('TCP: questions come byte by byte, many in one piece, and are answered as they get ready', async () => {
  const bytes = [...framed(1, 'web')].map((byte) => Uint8Array.of(byte));
  assert.equal((await converse(bytes, 1)).length, 1);
  const ids = Array.from({ length: 50 }, (_, i) => i + 1);
  const names = ['web', 'outside.example', 'v4only'];
  const batch = Buffer.concat(ids.map((id) => framed(id, names[id % 3]!)));
  const answers = await converse([batch.subarray(0, 701), batch.subarray(701)], 50);
  assert.deepEqual(
    answers.map((a) => decode(a).id!).sort((a, b) => a - b),
    ids,
  );
  for (const answer of answers) assert.equal(decode(answer).answers!.length, 1);
});

test('TCP: all addresses of a large name', async () => {
  const [answer] = await converse([framed(9, 'many')], 1);
  assert.equal(decode(answer!).answers!.length, 600);
});

test('TCP: a connection that says nothing, or half a question, is ended; so is one with an empty message', async () => {
  assert.equal((await converse([framed(1, 'web').subarray(0, 9)], 1)).length, 0);
  assert.equal((await converse([Buffer.from([0, 0])], 1)).length, 0);
  assert.equal((await converse([], 1)).length, 0);
  await until('nobody is connected', () => server.stats().connections === 0);
});

test('TCP: one asker has a limit of connections, the others do not feel it', async () => {
  await server[Symbol.asyncDispose]();
  const limits = { connectionsPerAsker: 4, idle: 60_000 };
  await using limited = await serve(bed, { names: { web: ['10.64.0.10'] } }, [], { limits });
  await using crowd = new AsyncDisposableStack();
  for (let i = 0; i < 8; i++) crowd.use(startIn(bed.one, ['socat', '-', `TCP4:${BED.gateway}:53`]));
  await until('the crowd has come', () => limited.stats().rejected.connections === 4);
  assert.equal(limited.stats().connections, 4);
  assert.match(await okIn(bed.two, ['dig', '+tcp', '+short', `@${BED.gateway}`, 'web']), /10\.64\.0\.10/);
  assert.deepEqual(limited.stats().refused, [{ network: 'net', address: BED.one, count: 4 }]);
});
