// runs: here in one mode (hosts side by side, which take their time)
import assert from 'node:assert/strict';
import { createSocket, type Socket as Datagrams } from 'node:dgram';
import { once } from 'node:events';
import { createServer, Socket } from 'node:net';
import { readdirSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { bindUdpIn, listenIn, type Netns, type RelayCounters, tcpSocketIn } from '../../src/kernel/index.ts';
import { relayOf } from '../../src/overlay/index.ts';
import { Relay } from '../../src/relay/index.ts';
import { damaged, dice, fuzzCases } from '../lib/dice.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ETHER } from '../lib/frames.ts';
import { makeOverlayBed, type OverlayBed, type OverlayHost } from '../lib/overlay-bed.ts';
import { carries, explained, forgets, leaks, unanswered } from '../lib/overlay-checks.ts';
import { ping, udpConnect, udpEcho } from '../lib/peer.ts';
import { okIn } from '../lib/run.ts';
import { transfer } from '../lib/transfer.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

const PORT = 8285;

function relayFor({ netns, network, overlay, peers }: OverlayHost, lost?: () => void): Relay {
  const { entries, ...rest } = relayOf(network, overlay, peers);
  const relay = Relay.start({ netns, ...rest, ...(lost && { lost }) });
  relay.replace(entries);
  return relay;
}

type RelayBed = OverlayBed & { readonly relays: readonly Relay[] };

async function relayed(underlay: readonly (4 | 6)[], workloads: readonly number[]): Promise<RelayBed> {
  await using undo = new AsyncDisposableStack();
  const bed = undo.use(await makeOverlayBed({ backend: 'udp', underlay, workloads }));
  await bed.apply();
  const relays = bed.hosts.map((host) => undo.use(relayFor(host)));
  const kept = undo.move();
  return { ...bed, relays, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

function isRelayed(frame: Uint8Array): boolean {
  const type = (frame[12]! << 8) | frame[13]!;
  const at = type === ETHER.ip ? 14 + 20 : type === ETHER.ip6 ? 14 + 40 : 0;
  return at !== 0 && frame[at + 2] === PORT >> 8 && frame[at + 3] === (PORT & 0xff);
}

for (const underlay of [[4, 6], [6]] as const) {
  test(`over IPv${underlay[0]}: all reach all, whole packets, and nobody's broadcasts leave`, async () => {
    await using bed = await relayed(underlay, [1, 1, 1, 1]);
    assert.deepEqual(await bed.differences(), [], 'it reads back as it is wanted');
    assert.deepEqual(await unanswered(bed), []);
    const [first, last] = [bed.workloads[0]!, bed.workloads[3]!];
    await carries(bed, first, last);
    await carries(bed, last, first);
    assert.equal(await leaks(bed, first, last, isRelayed), 0);
    for (const address of last.addresses) {
      assert.ok(await ping(bed.hosts[0]!.netns, address), 'from the host itself');
      await using _echo = await udpEcho(last.netns, address, 5353);
      assert.deepEqual(await udpConnect(first.netns, address, 5353).then((answer) => answer.ok), true);
    }
    const { tooBig, underlay: refused, malformed, spoofed, device } = bed.relays[3]!.stats();
    assert.deepEqual([tooBig, refused, malformed, spoofed, device], [0n, 0n, 0n, 0n, 0n]);
  });
}

test('a host that goes leaves nothing behind; commands make the same', async () => {
  await using bed = await makeOverlayBed({ backend: 'udp', workloads: [1, 1, 1] });
  await forgets(bed, 'node2');
  await explained({ backend: 'udp' });
});

test('a path that is narrower than the underlay: senders are told, by both families, and what may be cut is', async () => {
  for (const underlay of [[4], [6]] as const) {
    await using bed = await relayed(underlay, [1, 0, 0, 1]);
    const [first, last] = [bed.workloads[0]!, bed.workloads[1]!];
    await okIn(bed.router, ['ip', 'link', 'set', 'eth1', 'mtu', '1400']);
    await okIn(bed.hosts[3]!.netns, ['ip', 'link', 'set', 'eth0', 'mtu', '1400']);
    for (const address of last.addresses) {
      assert.ok(await transfer(first.netns, last.netns, address, 1 << 20), `to ${address}`);
      const back = first.addresses[last.addresses.indexOf(address)]!;
      assert.ok(await transfer(last.netns, first.netns, back, 1 << 20), `to ${back}`);
      if (address.includes(':')) continue;
      // a datagram that may be cut up on its way
      const ask = ['ping', '-n', '-c1', '-W2', '-M', 'dont', '-s', '1400', address];
      assert.match(await okIn(first.netns, ask), /1 received/);
    }
    assert.ok(bed.relays[0]!.stats().tooBig > 0n, 'the router told the relay, and the relay the workload');
    const known = await okIn(first.netns, ['ip', 'route', 'get', last.addresses[0]!]);
    assert.match(known, new RegExp(`mtu ${1400 - (underlay[0] === 4 ? 28 : 48)}`));
  }
});

test('a relay that is started anew, and tables that come and go, lose no connection', async () => {
  await using bed = await relayed([4], [1, 1]);
  const [first, second] = [bed.workloads[0]!, bed.workloads[1]!];
  await using server = createServer();
  const heard: Buffer[] = [];
  const peers: Socket[] = [];
  server.on('connection', (peer) => peers.push(peer.on('data', (data: Buffer) => heard.push(data))));
  server.listen({ fd: listenIn(second.netns, { address: '0.0.0.0', port: 7000 }).release() });
  await once(server, 'listening');
  const socket = new Socket({ fd: tcpSocketIn(first.netns, 4).release() });
  socket.connect({ port: 7000, host: second.addresses[0]!, family: 4 });
  await once(socket, 'connect');
  let total = 0;
  const say = async (): Promise<void> => {
    const data = Buffer.alloc(200_000, String(total));
    total += data.length;
    socket.write(data);
    await until('it was heard', () => heard.reduce((sum, part) => sum + part.length, 0) === total);
  };
  await say();
  bed.relays[1]![Symbol.dispose]();
  const data = Buffer.alloc(5000, 'x'); // said while nobody carries
  total += data.length;
  socket.write(data);
  {
    using anew = relayFor(bed.hosts[1]!);
    await say();
    const { entries } = relayOf(bed.hosts[1]!.network, bed.hosts[1]!.overlay, bed.hosts[1]!.peers);
    const saying = say();
    for (let i = 0; i < 500; i++) {
      anew.replace(i % 2 === 0 ? entries : [...entries, { prefix: '10.99.0.0/16', address: '192.0.2.99', port: 1 }]);
      if (i % 50 === 0) await new Promise(setImmediate);
    }
    await saying;
    assert.equal(anew.delete('10.99.0.0/16'), true);
    assert.equal(anew.delete('10.99.0.0/16'), false);
  }
  for (const end of [socket, ...peers]) end.destroy();
});

/** A UDP socket at a host's own address, where its relay would be. */
function pretend(netns: Netns, address: string, port: number): Datagrams {
  const socket = createSocket('udp4');
  socket.bind({ fd: bindUdpIn(netns, { address, port }).release() });
  return socket;
}

/** An echo request from one address to another, as a bare packet. */
function packet(source: readonly number[], destination: readonly number[], size = 64): Buffer {
  const bytes = Buffer.alloc(size);
  bytes.set([0x45, 0, size >> 8, size & 255, 0, 1, 0, 0, 64, 17, 0, 0, ...source, ...destination]);
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += bytes.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  bytes.writeUInt16BE(~sum & 0xffff, 10);
  return bytes;
}

test('what is not from a peer, not a packet, or not the peer’s own is dropped and counted; then all goes on', async () => {
  await using bed = await relayed([4], [1, 1, 1]);
  const [one, two] = bed.hosts;
  const [target, other] = [bed.relays[0]!, bed.relays[1]!];
  const [at, from] = [one!.overlay.self.addresses[0]!, two!.overlay.self.addresses[0]!];
  other[Symbol.dispose]();
  const good = packet([10, 244, 2, 2], [10, 244, 1, 2]);
  const six = Buffer.alloc(48);
  six.set([0x60, 0, 0, 0, 0, 8, 59, 64]);
  six.set([0xfd, 0, 2, 0x44, 0, 2], 8);
  six.set([0xfd, 0, 2, 0x44, 0, 1], 24);
  /** The datagrams are sent, and what the relay then counts more. */
  const counted = async (socket: Datagrams, datagrams: readonly Uint8Array[]): Promise<Partial<RelayCounters>> => {
    const before = target.stats();
    const sum = (stats: RelayCounters): bigint =>
      stats.received + stats.stranger + stats.malformed + stats.spoofed + stats.device - sumOf(before);
    for (const datagram of datagrams) await new Promise((sent) => socket.send(datagram, PORT, at, sent));
    await until('all are counted', () => sum(target.stats()) === BigInt(datagrams.length));
    const after = target.stats();
    const names = ['received', 'stranger', 'malformed', 'spoofed'] as const;
    return Object.fromEntries(names.flatMap((n) => (after[n] > before[n] ? [[n, Number(after[n] - before[n])]] : [])));
  };
  const sumOf = (s: RelayCounters): bigint => s.received + s.stranger + s.malformed + s.spoofed + s.device;
  {
    await using stranger = pretend(two!.netns, from, PORT + 1);
    assert.deepEqual(await counted(stranger, [good]), { stranger: 1 }, 'a port that is not the peer’s');
  }
  await using peer = pretend(two!.netns, from, PORT);
  assert.deepEqual(await counted(peer, [good, six]), { received: 2 });
  const short = [Buffer.alloc(0), good.subarray(0, 1), good.subarray(0, 19), six.subarray(0, 39)];
  const long = Buffer.concat([good, Buffer.from([0])]);
  const options = packet([10, 244, 2, 2], [10, 244, 1, 2]);
  options[0] = 0x44; // a header of less than 20 bytes
  const beyond = packet([10, 244, 2, 2], [10, 244, 1, 2], 24);
  beyond[0] = 0x4f; // of more than there is
  const strange = [long, six.subarray(0, 47), options, beyond, Buffer.alloc(64, 0xff), Buffer.alloc(64)];
  assert.deepEqual(await counted(peer, [...short, ...strange]), { malformed: short.length + strange.length });
  const six3 = Buffer.from(six);
  six3[13] = 3;
  const lies = [
    packet([10, 244, 3, 2], [10, 244, 1, 2]), // another peer's
    packet([10, 244, 1, 2], [10, 244, 1, 2]), // our own
    packet([127, 0, 0, 1], [10, 244, 1, 2]),
    packet([8, 8, 8, 8], [10, 244, 1, 2]),
    packet([10, 244, 1, 255], [10, 244, 1, 2]),
    packet([10, 244, 3, 0], [10, 244, 1, 2]), // the first address behind it
    six3,
  ];
  assert.deepEqual(await counted(peer, lies), { spoofed: lies.length });
  // a longer prefix of somebody else's inside of its own
  target.set('10.244.2.128/25', bed.hosts[2]!.overlay.self.addresses[0]!, PORT);
  const edges = [127, 128, 255].map((last) => packet([10, 244, 2, last], [10, 244, 1, 2]));
  assert.deepEqual(await counted(peer, edges), { received: 1, spoofed: 2 });
  // as big as a datagram can be: the device takes it, whatever its MTU
  assert.deepEqual(await counted(peer, [packet([10, 244, 2, 2], [10, 244, 1, 2], 65_507)]), { received: 1 });
  const roll = dice(20_260);
  const hostile = Array.from({ length: fuzzCases(3000) }, () =>
    roll(4) === 0
      ? Buffer.from(Array.from({ length: roll(200) }, () => roll(256)))
      : damaged([good, six, long][roll(3)]!, roll),
  );
  for (let i = 0; i < hostile.length; i += 500) await counted(peer, hostile.slice(i, i + 500));
  await peer[Symbol.asyncDispose]();
  using _anew = relayFor(two!);
  assert.ok(await ping(bed.workloads[0]!.netns, bed.workloads[1]!.addresses[0]!));
});

/** Threads and event descriptors of this process. */
function resources(): { readonly threads: number; readonly events: number } {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ''; // the folder's own
    }
  });
  const threads = readdirSync('/proc/self/task').length;
  return { threads, events: links.filter((link) => link.includes('eventfd') || link.includes('tun')).length };
}

test('many starts and stops leave no thread, descriptor or memory; what cannot start leaves nothing', async () => {
  await using bed = await makeOverlayBed({ backend: 'udp', workloads: [1, 1] });
  await bed.apply();
  const [host] = bed.hosts;
  const cycle = (): void => {
    using relay = relayFor(host!);
    assert.throws(() => relayFor(host!), { code: 'EBUSY' }, 'the device has a relay');
    relay.stats();
  };
  cycle();
  const before = resources();
  for (let i = 0; i < 100; i++) cycle();
  const rss = process.memoryUsage().rss;
  for (let i = 0; i < 300; i++) cycle();
  await new Promise(setImmediate);
  assert.deepEqual(resources(), before);
  assert.ok(process.memoryUsage().rss - rss < 64 << 20, 'a relay has megabytes: three hundred of them would be seen');

  const { netns, overlay } = host!;
  const own = overlay.self.addresses;
  {
    using _port = bindUdpIn(netns, { address: own[0]!, port: PORT });
    assert.throws(() => relayFor(host!), { code: 'EADDRINUSE' });
  }
  assert.throws(() => Relay.start({ netns, device: 'eth0', addresses: own, port: PORT }), { code: 'EINVAL' });
  for (const addresses of [[], ['192.0.2.1', '192.0.2.2']])
    assert.throws(() => Relay.start({ netns, device: 'tun9', addresses, port: PORT }), { code: 'EBADADDRESS' });
  using relay = Relay.start({ netns, device: 'tun9', addresses: [own[0]!], port: PORT });
  assert.throws(() => relay.set('10.9.0.0/16', '2001:db8::1', PORT), { code: 'EBADADDRESS' });
  assert.throws(() => relay.set('10.9.0.0/33', '192.0.2.1', PORT), { code: 'EBADPREFIX' });
  relay[Symbol.dispose]();
  assert.throws(() => relay.set('10.9.0.0/16', '192.0.2.1', PORT), { code: 'EINVAL' });
  assert.doesNotMatch(await okIn(netns, ['ip', 'link']), /tun9/, 'a device of its own goes with it');
});

test('a relay whose device is deleted says so; the device made anew, another carries on', async () => {
  await using bed = await relayed([4], [1, 1]);
  bed.relays[0]![Symbol.dispose]();
  let lost = 0;
  const first = relayFor(bed.hosts[0]!, () => lost++);
  const { device } = relayOf(bed.hosts[0]!.network, bed.hosts[0]!.overlay, []);
  await okIn(bed.hosts[0]!.netns, ['ip', 'link', 'set', device, 'down']);
  await okIn(bed.hosts[0]!.netns, ['ip', 'link', 'delete', device]);
  await until('it is told', () => lost === 1);
  first[Symbol.dispose]();
  await bed.apply();
  using _anew = relayFor(bed.hosts[0]!);
  assert.deepEqual(await unanswered(bed), []);
});
