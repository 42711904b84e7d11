// runs: here in one mode (routers and their sockets)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pathText } from '../../src/bgp/index.ts';
import { announceFrames } from '../../src/bgp/encode.ts';
import { wordsOf } from '../../src/bgp/notification.ts';
import { encodeOpen } from '../../src/bgp/open.ts';
import { frameOf, TYPE } from '../../src/bgp/wire.ts';
import type { Netns } from '../../src/kernel/index.ts';
import { damaged, dice } from '../lib/dice.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { RAW_OPEN, RawPeer } from '../lib/raw-peer.ts';
import { bird, frr, makeStreet, wayIn } from '../lib/routers.ts';
import { until } from '../lib/wait.ts';
import { Told } from './bgp-bed.ts';

checkDescriptors();

const GOOD = { address: '192.0.2.2', asn: 65001 };
const BAD = { address: '192.0.2.3', asn: 65003, passive: true };
const LISTEN = { listen: [{ address: '0.0.0.0' }] };
const THEIRS = { ...RAW_OPEN, asn: 65003, id: '192.0.2.3' };
const told = (prefixes: readonly string[]): Uint8Array[] =>
  announceFrames(prefixes, { path: [{ kind: 'sequence', asns: [65003] }], nextHop: '192.0.2.3' }, true);

test('a hostile neighbour harms nobody but itself', async () => {
  await using street = await makeStreet(4);
  const [host, there, hostile, stranger] = street.machines as [Netns, Netns, Netns, Netns];
  await using _router = await bird(there, street.dir, {
    ...{ asn: 65001, id: '192.0.2.2', networks: ['10.1.0.0/24'], neighbours: [{ address: '192.0.2.1', asn: 65010 }] },
  });
  await using us = new Told(host, [GOOD, { ...BAD, maxPrefixes: 50, holdTime: 90, accept: ['10.0.0.0/8'] }], LISTEN);
  us.speaker.announce(['10.10.0.0/24']);
  us.speaker.start();
  await us.up();
  await us.knows('10.1.0.0/24');
  const since = us.first.since;
  const bad = (): (typeof us.speaker.neighbours)[0] => us.speaker.neighbours[1]!;
  const begin = (): Promise<RawPeer> => RawPeer.session(hostile, '192.0.2.1', THEIRS);
  /** What it is told at its end. */
  const ends = async (peer: RawPeer, words: RegExp): Promise<void> => {
    await until('its end', () => peer.notification && peer.closed);
    assert.match(wordsOf(peer.notification!), words);
    await peer[Symbol.asyncDispose]();
  };

  // nobody's connection, and one that only listens
  const nobody = await RawPeer.connect(stranger, '192.0.2.1');
  await until('it is closed', () => nobody.closed);
  await nobody[Symbol.asyncDispose]();
  assert.equal(us.speaker.strangers, 1);

  const noise = await RawPeer.connect(hostile, '192.0.2.1');
  noise.send(Buffer.from('GET / HTTP/1.1\r\nHost: bgp\r\n\r\n'));
  await ends(noise, /message header: not synchronised/);
  // the path through a session's end and the rest behind it, for each way in
  for (const [send, words] of [
    [(peer) => peer.send(frameOf(TYPE.OPEN, encodeOpen(THEIRS))), /state machine: unexpected message in Established/],
    [(peer) => peer.send(frameOf(9)), /message header: bad type/],
    [(peer) => peer.send(frameOf(TYPE.UPDATE, Uint8Array.of(0xff, 0xff, 0, 0))), /UPDATE: malformed attribute list/],
    [
      (peer) => told(Array.from({ length: 51 }, (_, i) => `10.3.${i}.0/24`)).forEach((frame) => peer.send(frame)),
      /maximum number of prefixes/,
    ],
  ] as readonly (readonly [(peer: RawPeer) => void, RegExp])[]) {
    const peer = await begin();
    send(peer);
    await ends(peer, words);
  }
  await us.knows('10.1.0.0/24');
  assert.equal(bad().last?.words, 'more than 50 IPv4 prefixes');
  // it is left alone now: whoever knocks is sent away
  const early = await RawPeer.connect(hostile, '192.0.2.1');
  await ends(early, /cease: connection rejected/);

  // as a new neighbour: routes for what is not its business, and our own prefix
  us.speaker.setNeighbours([{ ...GOOD, holdTime: 3, retry: 300 }]);
  us.speaker.setNeighbours([
    { ...GOOD, holdTime: 3, retry: 300 },
    { ...BAD, retry: 10, holdTime: 90, accept: ['10.0.0.0/8'] },
  ]);
  const greedy = await begin();
  for (const frame of told(['0.0.0.0/0', '8.8.8.0/24', '10.10.0.0/24', '10.3.0.0/24', '127.0.0.0/8']))
    greedy.send(frame);
  await us.knows('10.1.0.0/24', '10.3.0.0/24');
  // byte by byte, and many damaged messages: whatever it says, the other session and its routes stay
  for (const byte of told(['10.4.0.0/24'])[0]!) greedy.send(Uint8Array.of(byte));
  await us.knows('10.1.0.0/24', '10.3.0.0/24', '10.4.0.0/24');
  await greedy[Symbol.asyncDispose]();
  const seed = Date.now() % 0xffff_ffff;
  const roll = dice(seed);
  const whole = told(['10.5.0.0/24', '10.6.0.0/16'])[0]!;
  let ended = 0;
  for (let round = 0; round < 5; round++) {
    const peer = await begin();
    for (let i = 0; i < 200 && !peer.closed; i++) {
      // its header whole, so that more of it is read
      const body = damaged(whole.slice(19), roll);
      peer.send(frameOf(TYPE.UPDATE, body.length < 4 ? new Uint8Array(4) : body));
    }
    await until('an end', () => peer.closed || peer.frames.some(({ type }) => type === TYPE.NOTIFICATION)).catch(
      () => undefined,
    );
    if (peer.notification) ended++;
    await peer[Symbol.asyncDispose]();
  }
  await until('its routes are gone', () => bad().prefixes.received === 0);
  await us.knows('10.1.0.0/24');
  // noted and gone on from, or the end of its session, as each message deserves
  assert.ok(bad().faultCount + ended > 0 && bad().faults.length <= 8, `seed ${seed}: ${bad().faults.join()}`);
  assert.deepEqual([us.first.state, us.first.since], ['established', since], `seed ${seed}`);
});

test('a neighbour that does not read costs no memory, and gets what is true in the end', async () => {
  await using street = await makeStreet(2);
  const [host, there] = street.machines as [Netns, Netns];
  await using us = new Told(host, [{ address: '192.0.2.2', asn: 65003, passive: true, holdTime: 90 }], LISTEN);
  us.speaker.start();
  const peer = await RawPeer.session(there, '192.0.2.1', { ...THEIRS, id: '192.0.2.2' }, 4096);
  await us.up();
  peer.deaf(true);
  const prefixes = Array.from({ length: 2000 }, (_, i) => `10.${100 + (i >> 8)}.${i & 255}.0/24`);
  let rounds = 0;
  // each round is 8 KB: together more than the buffers between hold
  for (; rounds < 150; rounds++) {
    us.speaker.announce(prefixes, { nextHop: ['192.0.2.1'], med: rounds });
    await new Promise(setImmediate);
  }
  peer.deaf(false);
  const last = (): boolean =>
    peer.frames.some(
      ({ type, body }) =>
        type === TYPE.UPDATE &&
        Buffer.from(body).includes(Buffer.from('80040400000' + (rounds - 1).toString(16).padStart(3, '0'), 'hex')),
    );
  await until('the last word', last, { timeout: 20_000 });
  assert.ok(peer.bytes < 0.5 * rounds * 8000, `${peer.bytes} bytes`);
  await peer[Symbol.asyncDispose]();
});

test('several AS: routes come through two routers to us, ours go through both, and never in a circle', async () => {
  await using street = await makeStreet(3);
  const [host, middle, far] = street.machines as [Netns, Netns, Netns];
  const near = { address: '192.0.2.1', asn: 4_200_000_010 };
  await using _far = await frr(far, street.dir, {
    ...{ asn: 4_200_000_003, id: '192.0.2.3', networks: ['10.3.0.0/24', 'fd00:3::/64'] },
    neighbours: [{ address: '192.0.2.2', asn: 65002 }],
  });
  await using _middle = await bird(middle, street.dir, {
    ...{ asn: 65002, id: '192.0.2.2', networks: ['10.2.0.0/24'] },
    neighbours: [near, { address: '192.0.2.3', asn: 4_200_000_003 }],
  });
  await using us = new Told(host, [{ address: '192.0.2.2', asn: 65002 }], { asn: 4_200_000_010 });
  us.speaker.announce(['10.10.0.0/24', 'fd00:10::/64'], { nextHop: ['192.0.2.1', '2001:db8::1'] });
  us.speaker.start();
  await us.knows('10.2.0.0/24', '10.3.0.0/24', 'fd00:3::/64');
  const paths = Object.fromEntries(
    us.speaker.routes.map(({ prefix, attributes }) => [prefix, pathText(attributes.path)]),
  );
  assert.deepEqual(paths, {
    '10.2.0.0/24': '65002',
    '10.3.0.0/24': '65002 4200000003',
    'fd00:3::/64': '65002 4200000003',
  });
  await until('ours, far away', async () => await wayIn(far, '10.10.0.0/24'), { timeout: 15_000 });
  await until('ours of IPv6', async () => await wayIn(far, 'fd00:10::/64'), { timeout: 15_000 });

  // a second way to the same prefixes, direct: it is shorter, and the first takes over when it goes
  us.speaker.setNeighbours([
    { address: '192.0.2.2', asn: 65002, holdTime: 3, retry: 300 },
    { address: '192.0.2.3', asn: 4_200_000_003, holdTime: 3, retry: 300 },
  ]);
  await _far.ask('configure terminal', 'router bgp 4200000003', `neighbor 192.0.2.1 remote-as ${near.asn}`);
  await until(
    'the direct way',
    () => us.speaker.routes.some(({ prefix, from }) => prefix === '10.3.0.0/24' && from.address === '192.0.2.3'),
    { timeout: 15_000 },
  );
  assert.equal(us.way('10.2.0.0/24'), '192.0.2.2');
  us.speaker.setNeighbours([{ address: '192.0.2.2', asn: 65002, holdTime: 3, retry: 300 }]);
  await until('the long way', () =>
    us.speaker.routes.some(({ prefix, from }) => prefix === '10.3.0.0/24' && from.address === '192.0.2.2'),
  );
});

test('a hostile OPEN, in any form, ends the connection with a word', async () => {
  await using street = await makeStreet(2);
  const [host, there] = street.machines as [Netns, Netns];
  await using us = new Told(host, [{ address: '192.0.2.2', asn: 65003, passive: true, retry: 10 }], LISTEN);
  us.speaker.start();
  const open = { ...THEIRS, id: '192.0.2.2' };
  for (const [body, words] of [
    [encodeOpen({ ...open, asn: 65004 }), /^OPEN: bad peer AS/],
    [encodeOpen({ ...open, holdTime: 2 }), /^OPEN: unacceptable hold time/],
    [encodeOpen({ ...open, id: '0.0.0.0' }), /^OPEN: bad BGP identifier/],
    [encodeOpen(open).with(0, 3), /^OPEN: unsupported version/],
    [encodeOpen(open).with(9, 3), /^OPEN$/],
    [encodeOpen(open).with(10, 1), /^OPEN: unsupported optional parameter/],
  ] as const) {
    await until('it is heard', async () => {
      await using peer = await RawPeer.connect(there, '192.0.2.1');
      peer.send(frameOf(TYPE.OPEN, body));
      await until('a word', () => peer.notification);
      // while we rest, everybody is sent away
      return words.test(wordsOf(peer.notification!));
    });
  }
  assert.equal(us.first.session, undefined);
});
