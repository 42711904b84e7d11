import assert from 'node:assert/strict';
import { kindOf } from '../../src/facts/index.ts';
import { apply, removalOf } from '../../src/engine/apply.ts';
import { missing } from '../../src/engine/diff.ts';
import { ether, ETHER, rawSocket, sniff } from './frames.ts';
import { makeOverlayBed, type OverlayBed, type OverlayOptions, takeAway, type Workload } from './overlay-bed.ts';
import { PACE } from './pace.ts';
import { ping } from './peer.ts';
import { ipBatch, jsonIn, runIn } from './run.ts';
import { openShell } from './shell.ts';
import { snapshot, type Whole, wholeOf } from './snapshot.ts';
import { transfer } from './transfer.ts';
import type { Netns } from '../../src/kernel/index.ts';

/** What every backend has to show, whatever it puts into the kernel. */

/** Every workload asks every other, by every address; those that were not answered. */
export async function unanswered({ workloads }: OverlayBed): Promise<string[]> {
  const pairs = workloads.flatMap((from) => workloads.filter((to) => to !== from).map((to) => ({ from, to })));
  const asked = pairs.flatMap(({ from, to }) => to.addresses.map((address) => ({ from, address })));
  const answers = await Promise.all(asked.map(({ from, address }) => ping(from.netns, address, { timeout: 2 * PACE })));
  return asked.flatMap(({ from, address }, i) => (answers[i] ? [] : [`${from.addresses[0]} to ${address}`]));
}

/** A packet of the network's MTU goes in one piece, and none that is bigger; a megabyte arrives as it was sent. */
export async function carries(bed: OverlayBed, from: Workload, to: Workload): Promise<void> {
  const { options } = bed.hosts[from.host]!.network;
  assert.ok(options.driver === 'bridge');
  for (const address of to.addresses) {
    const most = options.mtu - (address.includes(':') ? 48 : 28);
    const whole = (size: number, patience: number): string[] => [
      'ping',
      '-n',
      '-c1',
      `-W${patience * PACE}`,
      '-M',
      'do',
      '-s',
      String(size),
      address,
    ];
    const fits = await runIn(from.netns, whole(most, 2));
    assert.equal(fits.status, 0, `${options.mtu} bytes to ${address}: ${fits.stdout}${fits.stderr}`);
    assert.notEqual((await runIn(from.netns, whole(most + 1, 0.2))).status, 0, 'one byte more does not');
    assert.ok(await transfer(from.netns, to.netns, address, 1 << 20), `a megabyte to ${address}`);
  }
  if (bed.hosts[from.host]!.overlay.plan === 'node') await tooBig(bed, from, to);
}

/** A workload that thinks it may send more than fits is told so by its host, and how much fits. */
async function tooBig(bed: OverlayBed, from: Workload, to: Workload): Promise<void> {
  const { netns, network } = bed.hosts[from.host]!;
  const { options } = network;
  assert.ok(options.driver === 'bridge');
  const setMtu = async (mtu: number): Promise<void> => {
    await ipBatch(
      netns,
      [from.endpoint.hostIfname, options.bridge].map((dev) => `link set ${dev} mtu ${mtu}`),
    );
    await ipBatch(from.netns, [`link set eth0 mtu ${mtu}`]);
  };
  await setMtu(9000);
  for (const address of to.addresses) {
    const argv = ['ping', '-n', '-c1', `-W${2 * PACE}`, '-M', 'do', '-s', '2000', address];
    const { status, stdout } = await runIn(from.netns, argv);
    const told = Number(/(?:Frag needed|Packet too big).*mtu ?= ?(\d+)/.exec(stdout)?.[1]);
    assert.notEqual(status, 0);
    // what the packets of one family need may be less than what the network's MTU leaves room for
    assert.ok(told >= options.mtu && told <= 1500, `${address}: ${stdout}`);
  }
  await setMtu(options.mtu);
}

/** Text that `ping -p` fills packets with. */
const MARK = 'netloom';

/**
 * Frames that leave the first host while a workload of its calls out to everybody and to nobody: broadcast, multicast,
 * addresses that are not there. @param carried whether that frame comes by the tunnel
 */
export async function leaks(
  bed: OverlayBed,
  from: Workload,
  to: Workload,
  carried: (frame: Uint8Array) => boolean,
): Promise<number> {
  const { netns } = from;
  const [address = ''] = to.addresses;
  // the underlay's own questions are asked before
  assert.ok(await ping(netns, address, { timeout: 2 * PACE }));
  using heard = sniff(bed.segment, ETHER.all, 'port1');
  const call = async (): Promise<void> => {
    const calls = ['-b 10.244.255.255', '-b 255.255.255.255', '10.244.200.9', 'fd00:244::200:9', 'ff02::1%eth0'];
    await Promise.all(calls.map((words) => runIn(netns, ['ping', '-n', '-c2', '-i0.1', '-W0.3', ...words.split(' ')])));
    using raw = rawSocket(netns);
    for (const dst of ['02:de:ad:00:00:01', 'ff:ff:ff:ff:ff:ff', '01:00:5e:00:00:05', '33:33:00:00:00:05'])
      raw.send(ether(dst, from.endpoint.mac, 0x88b5, new Uint8Array(46)));
  };
  if (bed.hosts[from.host]?.overlay.plan === 'flat') {
    const tries: Record<string, number>[] = [];
    for (let i = 0; i < 3; i++) {
      const dropped = await droppedBy(bed);
      await call();
      const now = await droppedBy(bed);
      // of the host's own, which reports its groups when it likes, one may be among them: what is called comes each time
      if (JSON.stringify(now) === JSON.stringify(dropped)) break;
      tries.push(now);
    }
    assert.ok(
      tries.length < 3,
      `it came as far as the tunnel, which knows no way for it either: ${JSON.stringify(tries)}`,
    );
  } else await call();
  const pattern = Buffer.from(MARK).toString('hex');
  assert.equal((await runIn(netns, ['ping', '-n', '-c1', `-W${2 * PACE}`, '-p', pattern, address])).status, 0);
  const before = await heard.upTo(MARK);
  assert.ok(heard.frames.some(carried), 'a frame by the tunnel is known as one');
  return before.filter(carried).length;
}

/** What the first host's tunnels were given and could not send, by name. */
async function droppedBy({ hosts }: OverlayBed): Promise<Record<string, number>> {
  interface Counted {
    readonly ifname: string;
    readonly stats64: { readonly tx: { readonly dropped: number; readonly carrier_errors?: number } };
  }
  const links = await jsonIn<Counted[]>(hosts[0]!.netns, ['ip', '-j', '-s', 'link', 'show', 'type', 'vxlan']);
  return Object.fromEntries(links.map(({ ifname, stats64 }) => [ifname, stats64.tx.dropped]));
}

/** Applies everything but one host, then that, then takes it away: nothing is left of it. */
export async function forgets(bed: OverlayBed, node: string): Promise<void> {
  const [host] = bed.hosts;
  assert.ok(host);
  await bed.apply();
  const about = host.about(node);
  assert.ok(about.length > 0);
  await takeAway(host, about);
  const without = await snapshot(host.netns);
  await bed.apply();
  assert.notDeepEqual(await snapshot(host.netns), without);
  await takeAway(host, about);
  assert.deepEqual(await snapshot(host.netns), without);
  const facts = [...host.shared, ...bed.hosts.flatMap((_, i) => host.about(`node${i + 1}`))];
  await takeAway(host, facts);
  const links = (await snapshot(host.netns)).links.map((line) => line.split(' ')[0]);
  assert.deepEqual(
    links.filter((name) => !/^(lo|eth0|br0|ve\d+|sit0|tunl0|gre0|ip6tnl0|ip6gre0|gretap0|erspan0)$/.test(name ?? '')),
    [],
  );
}

/** A host whose state was made by the commands that explain it is as one that was made by us, there and back. */
export async function explained(options: OverlayOptions): Promise<void> {
  const alone = { ...options, workloads: (options.workloads ?? [1, 1, 1, 1]).map((n, i) => (i === 0 ? 0 : n)) };
  await using ours = await makeOverlayBed(alone);
  await using theirs = await makeOverlayBed(alone);
  const [mine] = ours.hosts;
  const [other] = theirs.hosts;
  assert.ok(mine && other);
  await using shell = await openShell(other.netns);
  // the guard's rule set has tests of its own
  const bridge = mine.own.filter((fact) => !fact.kind.startsWith('nft-'));
  const facts = [...bridge, ...mine.shared, ...ours.hosts.flatMap((_, i) => mine.about(`node${i + 1}`))];
  await apply(mine.kernel, await missing(mine.kernel, facts));
  await shell.ok(facts.map((fact) => kindOf(fact).command(fact, 'add')).join('\n') + '\n');
  assert.deepEqual(await seen(other.netns), await seen(mine.netns), 'added');
  const gone = facts.filter((fact) => !bridge.includes(fact));
  await takeAway(mine, gone);
  const removal = removalOf(gone).map(({ fact }) => kindOf(fact).command(fact, 'delete'));
  await shell.ok(removal.join('\n') + '\n');
  assert.deepEqual(await seen(other.netns), await seen(mine.netns), 'taken away');
}

function seen(netns: Netns): Promise<Whole> {
  const given = (mac = ''): boolean => mac.startsWith('02:42:');
  return wholeOf(netns, { macOf: (link) => given(link.address) });
}
