import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Netns } from '../../src/kernel/index.ts';
import { Relay } from '../../src/relay/index.ts';
import { ipBatch, startIn } from '../../test/lib/run.ts';
import { until } from '../../test/lib/wait.ts';
import { type Result, sideBySide } from '../lib/measure.ts';

const program = (name: string): string => fileURLToPath(new URL(`../build/${name}`, import.meta.url));
const TURN_MS = 200;
const ROUNDS = 31;
/** Packets under way at most, and bytes that each carries. */
const WINDOW = 256;
const SIZE = 18;

/**
 * Small packets a second: into a TUN device, through a relay, over a veth pair, through the other host's relay and out of
 * its TUN device, all in one process; beside a program that only turns packets round at its TUN device.
 */
export async function overlayUdp(): Promise<Result[]> {
  await using undo = new AsyncDisposableStack();
  const [one, two, plain] = [undo.use(Netns.create()), undo.use(Netns.create()), undo.use(Netns.create())];
  await ipBatch(one, [`link add eth0 type veth peer name eth0 netns ${pathOf(two)}`]);
  const hosts = [one, two].map((netns, i) => ({ netns, own: i + 1, other: 2 - i }));
  for (const { netns, own, other } of [...hosts, { netns: plain, own: 1, other: 2 }]) {
    const underlay = netns === plain ? [] : [`addr add 192.0.2.${own}/24 dev eth0`, 'link set eth0 up'];
    await ipBatch(netns, [
      ...['link set lo up', ...underlay, 'tuntap add dev tun0 mode tun', 'link set tun0 mtu 1472 up'],
      ...[`addr add 10.244.${own}.0/32 dev tun0`, `route add 10.244.${other}.0/24 dev tun0`],
    ]);
  }
  for (const { netns, own, other } of hosts) {
    const relay = undo.use(Relay.start({ netns, device: 'tun0', addresses: [`192.0.2.${own}`], port: 8285 }));
    relay.set(`10.244.${other}.0/24`, `192.0.2.${other}`, 8285);
  }
  const echo = undo.use(startIn(plain, [program('tun_echo'), 'tun0']));
  await until('the echo is there', () => echo.output().includes('ready'));
  const [ours, reference] = [generator(undo, one, two), generator(undo, plain, plain)];
  return [await sideBySide({ name: 'overlay/udp-pps', unit: 'packets/s', rounds: ROUNDS, ours, reference })];
}

function pathOf(netns: Netns): string {
  return `/proc/${process.pid}/fd/${netns.fd}`;
}

/** One turn of bench/packets.c: packets a second that arrived. */
function generator(stack: AsyncDisposableStack, from: Netns, to: Netns): () => Promise<number> {
  const ends = [pathOf(from), '10.244.1.0', pathOf(to), '10.244.2.0', '5000'];
  const { child } = stack.use(startIn(from, [program('packets'), ...ends]));
  const answers = createInterface(child.stdout!)[Symbol.asyncIterator]();
  return async () => {
    child.stdin!.write(`${TURN_MS} ${WINDOW} ${SIZE}\n`);
    const { value, done } = await answers.next();
    if (done || value === '?') throw new Error('no packets arrived');
    return Number(value);
  };
}
