import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { test } from 'node:test';
import {
  arpProbe,
  BROADCAST_MAC,
  ETH_P_ARP,
  ETH_P_IP,
  ETH_P_IPV6,
  everything,
  icmp6Frame,
  readUdp4,
  router6Filter,
  udp4Filter,
  udp4Frame,
  udp6Frame,
} from '../../src/dhcp/frame.ts';
import { deafUdpIn, Netns, PacketSocket, sourceAddressIn, type SyscallError } from '../../src/kernel/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ipBatch, okIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

const [ONE, TWO] = ['02:00:00:00:00:01', '02:00:00:00:00:02'];

/** Two machines on a cable, 10.0.0.1 and 10.0.0.2. */
async function cable(): Promise<[Netns, Netns] & Disposable> {
  const pair: [Netns, Netns] = [Netns.create(), Netns.create()];
  const [a, b] = pair;
  await ipBatch(a, [
    `link add eth0 address ${ONE} type veth peer name eth0 address ${TWO} netns /proc/${process.pid}/fd/${b.fd}`,
    'link set eth0 addrgenmode none',
    'link set eth0 up',
    'addr add 10.0.0.1/24 dev eth0',
    'addr add fe80::1/64 dev eth0 nodad',
  ]);
  await ipBatch(b, ['link set eth0 addrgenmode none', 'link set eth0 up', 'addr add 10.0.0.2/24 dev eth0']);
  const dispose = (): void => pair.forEach((netns) => netns.close());
  return Object.assign(pair, { [Symbol.dispose]: dispose });
}
function hear(socket: PacketSocket): Uint8Array[] {
  const heard: Uint8Array[] = [];
  socket.listen({ frames: (frames) => void heard.push(...frames.map((f) => f.slice())), ended: () => undefined });
  return heard;
}

test('the filters of the kernel let through what is wanted, and nothing else', async () => {
  using pair = await cable();
  const [a, b] = pair;
  using sender = PacketSocket.open(a, 'eth0', { protocol: ETH_P_ARP, filter: everything() });
  using four = PacketSocket.open(b, 'eth0', { protocol: ETH_P_IP, filter: udp4Filter(68) });
  using six = PacketSocket.open(b, 'eth0', { protocol: ETH_P_IPV6, filter: router6Filter(547) });
  using arp = PacketSocket.open(b, 'eth0', { protocol: ETH_P_ARP, filter: everything() });
  assert.deepEqual([sender.mac, four.mac], [ONE, TWO]);
  const [heard4, heard6, heardArp] = [hear(four), hear(six), hear(arp)];
  const payload = Uint8Array.of(1, 2, 3);
  const of4 = { srcMac: ONE, dstMac: BROADCAST_MAC, src: '10.0.0.9', dst: '255.255.255.255', sport: 67, payload };
  const of6 = { srcMac: ONE, dstMac: TWO, src: 'fe80::1', dst: 'ff02::1', sport: 546, payload };
  const icmp = (type: number): Uint8Array => icmp6Frame({ ...of6, payload: Uint8Array.of(type, 0, 0, 0, 0, 0, 0, 0) });
  const wanted4 = udp4Frame({ ...of4, dport: 68 });
  const fragment = wanted4.slice();
  fragment[20] = 0x20;
  const tcp = wanted4.slice();
  tcp[23] = 6;
  // IP options move the port: 24 bytes of header
  const long = udp4Frame({ ...of4, dport: 68, payload: Uint8Array.of(...payload, 0, 0, 0, 0) });
  long.copyWithin(38, 34, long.length - 4);
  long[14] = 0x46;
  const wanted6 = udp6Frame({ ...of6, dport: 547 });
  for (const frame of [udp4Frame({ ...of4, dport: 67 }), fragment, tcp, long, wanted4]) sender.send(frame);
  for (const frame of [udp6Frame({ ...of6, dport: 546 }), icmp(134), icmp(135), icmp(133), wanted6]) sender.send(frame);
  sender.send(arpProbe(ONE, '10.0.0.2'));
  // a frame that is too short for what it says is no frame for the filter
  sender.send(wanted4.subarray(0, 30));
  await until('all of them', () => heard4.length >= 2 && heard6.length >= 2 && heardArp.length > 0);
  assert.deepEqual(heard4, [long, wanted4]);
  assert.deepEqual(heard6, [icmp(133), wanted6]);
  // what a datagram socket sends over a veth has its checksum left to hardware
  using socket = deafUdpIn(a, { family: 4, port: 67, index: sender.index });
  const datagrams = createSocket('udp4');
  datagrams.bind({ fd: socket.release() });
  datagrams.send('hello', 68, '10.0.0.2');
  await until('the datagram', () => heard4.length >= 3);
  datagrams.close();
  assert.equal(Buffer.from(readUdp4(heard4[2]!)!.payload).toString(), 'hello');
});

test('a socket ends with its interface, and says why; missing, down, and names that are none', async () => {
  using pair = await cable();
  const [a] = pair;
  using socket = PacketSocket.open(a, 'eth0', { protocol: ETH_P_IP, filter: everything() });
  let ended: SyscallError | undefined;
  socket.listen({ frames: () => undefined, ended: (error) => (ended = error) });
  await okIn(a, ['ip', 'link', 'delete', 'eth0']);
  await until('the end', () => ended);
  assert.equal(ended?.code, 'ENETDOWN');
  assert.equal(socket.closed, true);
  const open = (name: string): PacketSocket => PacketSocket.open(a, name, { protocol: ETH_P_IP, filter: everything() });
  assert.throws(() => open('eth0'), { code: 'ENODEV' });
  assert.throws(() => open('lo'), { code: 'ENETDOWN' });
  assert.throws(() => open('a-name-far-too-long'), { code: 'ENAMETOOLONG' });
  assert.throws(() => PacketSocket.open(a, 'lo', { protocol: ETH_P_IP, filter: [] }), { code: 'EINVAL' });
  assert.throws(() => PacketSocket.open(a, 'lo', { protocol: ETH_P_IP, filter: [[0xffff, 0, 0, 0]] }), {
    code: 'EINVAL',
  });
});

test('source addresses as the namespace would choose them; a held port is held', async () => {
  using pair = await cable();
  const [a, b] = pair;
  using socket = PacketSocket.open(a, 'eth0', { protocol: ETH_P_IP, filter: everything() });
  const { index } = socket;
  assert.equal(sourceAddressIn(a, 'ff02::1', index), 'fe80::1');
  assert.equal(sourceAddressIn(a, '10.0.0.2', index), '10.0.0.1');
  assert.throws(() => sourceAddressIn(b, 'ff02::1', index + 100), { code: 'EADDRNOTAVAIL' });
  using four = deafUdpIn(a, { family: 4, port: 67, index });
  using six = deafUdpIn(a, { family: 6, port: 547, index, groups: ['ff02::1:2'] });
  assert.ok(four.number > 0 && six.number > 0);
  assert.match(await okIn(a, ['ip', '-6', 'maddr', 'show', 'dev', 'eth0']), /ff02::1:2/);
  using loopback = deafUdpIn(a, { family: 4, port: 67, index: 1 });
  assert.ok(loopback.number > 0, 'the same port of another interface is free');
});
