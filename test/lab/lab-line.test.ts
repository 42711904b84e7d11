/** What carries across a cable that takes its time on a kernel without netem, when something happens to it. */
// runs: here in one mode (lab-delay.test.ts is both)
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { before, test } from 'node:test';
import {
  isAlive,
  Netns,
  type PacketSocket,
  readShimPid,
  type ShimPid,
  signalPid,
  waitPid,
} from '../../src/kernel/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ETHER, rawSocket, sniff, udp } from '../lib/frames.ts';
import { bare, makeLab, setCables, type TestLab } from '../lib/lab.ts';
import { okIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

let lab: TestLab;
before(async () => {
  lab = await makeLab({ hosts: 2, spec: bare });
  await setCables(lab, { delay: 20 }, {});
});

const line = (of = lab): ShimPid | undefined => readShimPid(of.place.of('wire', 'service'));
/** A datagram of the first host's to the second. */
function send(socket: PacketSocket, text: string): void {
  const [a, b] = [lab.host('host1'), lab.host('host2')];
  const [from = '', to = ''] = lab.plan.machines.map(({ links }) => links[0]!.mac);
  socket.send(udp({ from, to, src: a.address4, dst: b.address4, sport: 9, dport: 9, text }));
}

test('a line that was killed, and one whose device was deleted, are there again by another up', async () => {
  const [a, b] = [lab.host('host1'), lab.host('host2')];
  const reach = async (): Promise<boolean> => (await a.exec(['ping', '-n', '-c1', '-W0.3', b.address6])).status === 0;
  assert.equal(await reach(), true);
  const { pid, startTime } = line()!;
  signalPid(pid, startTime, 'SIGKILL');
  await waitPid(pid);
  assert.equal(await reach(), false);
  await lab.up();
  await until('an answer', reach);
  const again = line()!;
  assert.notEqual(again.pid, pid);
  using wire = Netns.open(lab.place.netns('wire'));
  for (const dev of ['host1.0', 'host1+0', 'host1=0', 'host1~0']) {
    await okIn(wire, ['ip', 'link', 'delete', dev]);
    assert.equal(await reach(), false, dev);
    await lab.up();
    await until(`an answer, ${dev} being there again`, reach);
  }
  assert.equal(line()?.pid, again.pid);
});

test('what is on its way when the delay changes arrives, in its order', async () => {
  // what comes in: not what the host answers, in which the datagram is again
  using heard = sniff(lab.host('host2').netns, ETHER.ip);
  using raw = rawSocket(lab.host('host1').netns);
  await setCables(lab, { delay: 300 }, {});
  for (let i = 100; i < 200; i++) send(raw, `number ${i}`);
  await setCables(lab, { delay: 1 }, {});
  for (let i = 200; i < 300; i++) send(raw, `number ${i}`);
  await heard.upTo('number 299');
  const numbers = heard.frames.flatMap(
    (frame) => /number (\d+)/.exec(Buffer.from(frame).toString('latin1'))?.[1] ?? [],
  );
  assert.deepEqual(
    numbers.map(Number),
    Array.from({ length: 200 }, (_, i) => i + 100),
  );
});

test('it holds so much and no more: what comes on top of that is lost', async () => {
  await setCables(lab, { delay: 60_000 }, {});
  const megabytes = (): number =>
    Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${line()!.pid}/status`, 'utf8'))![1]) / 1024;
  using raw = rawSocket(lab.host('host1').netns);
  const text = '.'.repeat(1400);
  const burst = async (): Promise<void> => {
    for (let i = 0; i < 100; i++) send(raw, text);
    await setImmediate(); // as much as its device's queue has room for
  };
  await until(
    'it is full',
    async () => {
      await burst();
      return megabytes() > 16;
    },
    { timeout: 20_000, every: 0 },
  );
  // as much again
  for (let i = 0; i < 120; i++) await burst();
  assert.ok(megabytes() < 24, `${megabytes()} MiB`);
  await setCables(lab, {});
  assert.equal((await lab.host('host1').exec(['ping', '-n', '-c1', '-W1', lab.host('host2').address4])).status, 0);
  assert.equal(line(), undefined);
});

test('down ends it, and that of no other lab', async () => {
  await using other = await makeLab({ hosts: 1, spec: bare });
  for (const each of [lab, other]) await setCables(each, { delay: 20 }, {});
  const [ours, theirs] = [line()!, line(other)!];
  await lab[Symbol.asyncDispose]();
  assert.equal(isAlive(ours.pid, ours.startTime), false);
  assert.equal(isAlive(theirs.pid, theirs.startTime), true);
  assert.deepEqual(
    (await other.status()).machines.map(({ state }) => state),
    ['up'],
  );
});
