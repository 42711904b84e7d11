/** A delay is the kernel's netem where it has it, and else a line of the lab's own: nobody on a host sees which. */
// runs: here and in the guest (no netem, netem)
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { checkDescriptors } from '../lib/fds.ts';
import { ether, ETHER, rawSocket, sniff } from '../lib/frames.ts';
import { bare, type LabHost, makeLab, setCables, type TestLab } from '../lib/lab.ts';
import { PACE } from '../lib/pace.ts';
import { jsonIn, run } from '../lib/run.ts';
import { namesIn } from '../lib/snapshot.ts';
import { transfer } from '../lib/transfer.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

let lab: TestLab;
before(async () => {
  lab = await makeLab({ hosts: 2, spec: bare });
});

/** Milliseconds there and back, the shortest of five, where both know each other already. */
async function trip(from: LabHost, to: string): Promise<number> {
  const ping = (count: number): Promise<string> => from.ok(['ping', '-n', `-c${count}`, '-i0.05', `-W${5 * PACE}`, to]);
  await ping(1);
  return Number(/= ([\d.]+)\//.exec(await ping(5))?.[1]);
}
/** It never takes less, and little more as soon as nothing else is busy. */
async function takes(least: number): Promise<void> {
  const [a, b] = [lab.host('host1'), lab.host('host2')];
  for (const to of [b.address4, b.address6]) {
    let shortest = Infinity;
    await until(`${least} ms to ${to}`, async () => {
      shortest = Math.min(shortest, await trip(a, to));
      return shortest < least + 25 * PACE;
    });
    assert.ok(shortest >= least, `${shortest} ms to ${to}, not ${least}`);
  }
}

test('a cable that takes its time does so each way, with a rate beside it, and changes while it is up', async () => {
  const a = lab.host('host1');
  type Queue = { kind: string; options: { rate?: number | { rate: number } } };
  const rate = async (): Promise<number | undefined> => {
    const queues = await jsonIn<Queue[]>(a.netns, ['tc', '-j', 'qdisc', 'show', 'dev', 'eth0']);
    const found = queues.find(({ kind }) => kind !== 'noqueue')?.options.rate;
    return typeof found === 'object' ? found.rate : found;
  };
  const index = async (): Promise<string> => await a.ok(['cat', '/sys/class/net/eth0/ifindex']);
  const before = await index();
  await setCables(lab, { delay: 25 }, { delay: 0 });
  // one cable, once each way: never less
  await takes(50);
  await setCables(lab, { delay: 40, rate: 8e6 });
  await takes(160);
  // bytes a second of 8 Mbit/s; of a token bucket, with the headers of full datagrams on top
  const shaped = (await rate()) ?? 0;
  assert.ok(shaped >= 1e6 && shaped < 1.05e6, String(shaped));
  await setCables(lab, { rate: 8e6 });
  await takes(0);
  assert.ok(((await rate()) ?? 0) >= 1e6);
  await setCables(lab, {});
  await takes(0);
  assert.equal(await rate(), undefined);
  assert.equal(await index(), before, 'the same interface all the time');
});

test('what crosses it arrives as it was sent: large transfers, frames with a VLAN', async () => {
  const [a, b] = [lab.host('host1'), lab.host('host2')];
  await setCables(lab, { delay: 5 });
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const)
    for (const address of [to.address4, to.address6])
      assert.ok(await transfer(from.netns, to.netns, address, 4 << 20), `4 MiB to ${address}`);
  const [first, second] = lab.plan.machines.map(({ links }) => links[0]!.mac);
  using heard = sniff(b.netns, ETHER.all, 'eth0', 42);
  using raw = rawSocket(a.netns);
  // 802.1Q: the VLAN, and what is in it
  raw.send(ether(second!, first!, 0x8100, Uint8Array.from([0, 42, 0x88, 0xb5, ...Buffer.from('tagged'.padEnd(46))])));
  await heard.upTo('tagged');
});

test('it loses about as much as it should, beside its delay', async () => {
  const [a, b] = [lab.host('host1'), lab.host('host2')];
  await setCables(lab, { delay: 5 }, { delay: 5, loss: 0.2 });
  // an address that nobody answers for is not asked again and again
  await until('an answer', async () => (await a.exec(['ping', '-n', '-c1', '-W1', b.address4])).status === 0);
  const { stdout } = await a.exec(['ping', '-n', '-q', '-c300', '-i0.005', `-W${PACE}`, b.address4]);
  const came = Number(/(\d+) received/.exec(stdout)?.[1]);
  // of 300, 192 are to come back; seven standard deviations are 58
  assert.ok(came >= 134 && came <= 250, stdout);
});

test('cut and healed, it is as before', async () => {
  const [a, b] = [lab.host('host1'), lab.host('host2')];
  await setCables(lab, { delay: 10 });
  await takes(40);
  await lab.cut('host1', 'host2');
  assert.notEqual((await a.exec(['ping', '-n', '-c1', '-W0.5', b.address4])).status, 0);
  await lab.heal();
  await takes(40);
});

test('down, nothing is left of it', async () => {
  await setCables(lab, { delay: 10 });
  const { name, dir } = lab.place;
  await lab[Symbol.asyncDispose]();
  const { stdout } = await run(['ps', '-eo', 'args=']);
  assert.deepEqual(
    stdout.split('\n').filter((line) => line.includes(dir)),
    [],
  );
  assert.deepEqual(
    namesIn('/run/netns').filter((each) => each.startsWith(name)),
    [],
  );
});
