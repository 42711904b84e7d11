// runs: here in one mode (queues, whoever set them)
// runs: alone (iperf3 measures right where it does not wait for a processor)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Netns } from '../../src/kernel/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { tcpHold, tcpServer } from '../lib/peer.ts';
import { okIn, runIn, startIn } from '../lib/run.ts';
import { queues, snapshot } from '../lib/snapshot.ts';
import { until } from '../lib/wait.ts';
import { plain } from './containers-bed.ts';

checkDescriptors();

const MBIT = 1e6;

interface Report {
  readonly end: {
    /** Missing where iperf3 lost its own account of the stream, as it does now and then. */
    readonly sum_received?: { readonly bits_per_second: number };
  };
}

/** A network with two endpoints, `a` limited as asked and `b` free, and iperf3 listening in `b`. */
async function makeBed(
  ingressRate: number,
  egressRate: number,
): Promise<
  EngineBed & { readonly a: Netns; readonly b: Netns; readonly id: string; readonly host: EngineBed['host'] } & {
    measure(
      direction: 'ingress' | 'egress',
      protocol: 'tcp' | 'udp',
      offered: number,
      seconds?: number,
    ): Promise<number>;
  }
> {
  await using undo = new AsyncDisposableStack();
  const bed = undo.use(await makeEngineBed());
  await bed.engine.networkCreate({ name: 'web' });
  const [a, b] = [await bed.workload('a'), await bed.workload('b')];
  const { value: one } = await bed.engine.endpointAttach({ netns: a.path, network: 'web', ingressRate, egressRate });
  const { value: two } = await bed.engine.endpointAttach({ netns: b.path, network: 'web' });
  const address = plain(two.addresses[0]);
  const server = undo.use(startIn(b.netns, ['iperf3', '-s', '-B', address, '--forceflush']));
  await until('iperf3 listens', () => server.output().includes('listening'));
  const kept = undo.move();
  return {
    ...bed,
    a: a.netns,
    b: b.netns,
    id: one.id,
    async measure(direction, protocol, offered, seconds = 1) {
      const words = ['-c', address, '-t', String(seconds), '-J', ...(direction === 'ingress' ? ['-R'] : [])];
      // the first second of a stream is TCP's search for the rate
      if (protocol === 'tcp') words.push('-O', '1');
      else words.push('-u', '-b', String(Math.round(offered)), '-l', '1448');
      const { end } = JSON.parse(await okIn(a.netns, ['iperf3', ...words])) as Report;
      return end.sum_received?.bits_per_second ?? NaN;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/**
 * The rate holds within 5 %. iperf3 itself measures wrongly, either way, where it has to wait for a processor: of six
 * measurements (NaN: it did not say) one has to be right, and the first that is ends it. Each is longer than the one before: what counts wrongly is
 * its beginning and its end.
 */
async function holds(
  bed: Awaited<ReturnType<typeof makeBed>>,
  direction: 'ingress' | 'egress',
  rate: number,
): Promise<void> {
  for (const protocol of ['tcp', 'udp'] as const) {
    const errors: number[] = [];
    while (errors.length < 6 && !errors.some((error) => Math.abs(error) < 0.05)) {
      errors.push((await bed.measure(direction, protocol, 1.3 * rate, errors.length + 1)) / rate - 1);
    }
    const text = errors.map((error) => `${(error * 100).toFixed(1)} %`).join(', ');
    assert.ok(Math.abs(errors.at(-1)!) < 0.05, `${direction} ${protocol}: off by ${text}`);
  }
}

for (const rate of [10 * MBIT, 100 * MBIT]) {
  test(`${rate / MBIT} Mbit/s hold within 5 %, both ways, TCP and UDP`, async () => {
    await using bed = await makeBed(rate, rate);
    await holds(bed, 'ingress', rate);
    await holds(bed, 'egress', rate);
  });
}

test('rates change live: connections go on, the other direction stays free, 0 takes all of it away', async () => {
  await using bed = await makeBed(0, 0);
  const { engine, host, a, b, id } = bed;
  const free = { queues: await queues(host.netns), host: await snapshot(host.netns) };
  await using server = await tcpServer(b, '0.0.0.0', 7000);
  const to = (await engine.endpointList()).find((e) => e.id !== id)!;
  await using held = await tcpHold(a, plain(to.addresses[0]), server.port);

  await engine.endpointUpdate(id, { egressRate: 20 * MBIT });
  assert.ok((await held.again()).ok);
  await holds(bed, 'egress', 20 * MBIT);
  assert.ok((await bed.measure('ingress', 'tcp', 0)) > 100 * MBIT, 'the other way is free');

  // while a stream runs
  const stream = startIn(a, [
    'iperf3',
    '-c',
    plain(to.addresses[0]),
    '-t',
    '2',
    '-i',
    '0.5',
    '-f',
    'm',
    '--forceflush',
  ]);
  await using _stream = stream;
  await until('it runs', () => /0\.00-[01]\./.test(stream.output()));
  const { plan: change = [] } = await engine.endpointUpdate(id, { egressRate: 60 * MBIT }, { explain: true });
  assert.deepEqual(
    change.map((step) => `${step.verb} ${step.kind}`),
    ['change qdisc'],
  );
  await until('it ends', () => stream.output().includes('iperf Done'));
  const last = Number(/1\.[5-9]\d-2\.\d\d\s+sec\s+\S+ MBytes\s+([\d.]+) Mbits/.exec(stream.output())?.[1]);
  assert.ok(last > 30 && last < 75, stream.output());

  const { value, plan = [] } = await engine.endpointUpdate(id, { egressRate: 0 }, { explain: true });
  assert.deepEqual(value.rates, { ingress: 0, egress: 0 });
  assert.deepEqual(
    plan.map((step) => `${step.verb} ${step.kind}`),
    ['delete redirect', 'delete link'],
  );
  assert.deepEqual({ queues: await queues(host.netns), host: await snapshot(host.netns) }, free);
  assert.ok((await held.again()).ok);
  assert.ok((await bed.measure('egress', 'tcp', 0)) > 100 * MBIT);
});

test('root in the workload cannot lift its own limits', async () => {
  await using bed = await makeBed(10 * MBIT, 10 * MBIT);
  const { a } = bed;
  for (const command of [
    'tc qdisc delete dev eth0 root',
    'tc qdisc delete dev eth0 clsact',
    'tc qdisc replace dev eth0 root pfifo limit 10000',
    'ip link set eth0 txqueuelen 100000',
  ]) {
    await runIn(a, command.split(' '));
  }
  // a second interface on the same segment, with an address of its own
  await runIn(a, ['ip', 'link', 'add', 'link', 'eth0', 'name', 'mv0', 'type', 'macvlan', 'mode', 'bridge']);
  for (const direction of ['ingress', 'egress'] as const) {
    const measured = await bed.measure(direction, 'udp', 30 * MBIT);
    assert.ok(measured < 10.5 * MBIT, `${direction}: ${measured}`);
  }
});

test('a limited endpoint goes with all that it had; a dry run says what it would have', async () => {
  await using bed = await makeBed(MBIT, 2 * MBIT);
  const { engine, host, id } = bed;
  const workload = await bed.workload('c');
  const spec = { netns: workload.path, network: 'web', ingressRate: 8 * MBIT, egressRate: 8 * MBIT };
  const before = [await snapshot(host.netns), await queues(host.netns)];
  assert.equal((await queues(host.netns)).filter((line) => /tbf/.test(line)).length, 2);
  const { plan = [] } = await engine.endpointAttach(spec, { dryRun: true });
  const commands = plan.filter((s) => ['qdisc', 'redirect'].includes(s.kind)).map((s) => s.command);
  assert.equal(commands.length, 3);
  assert.match(commands[0] ?? '', /^tc qdisc add dev ve\w+ root handle 6e6c: tbf rate 82\d+bit burst \d+ limit \d+$/);
  assert.match(commands[1] ?? '', /^tc qdisc add dev if\w+ root/);
  assert.match(commands[2] ?? '', /mirred egress redirect dev if\w+$/);
  assert.deepEqual([await snapshot(host.netns), await queues(host.netns)], before);
  const { value } = await engine.endpointAttach(spec);
  await engine.endpointDetach(value.id);
  assert.deepEqual([await snapshot(host.netns), await queues(host.netns)], before);
  await engine.endpointDetach(id);
  assert.deepEqual(await queues(host.netns), []);
  for (const bad of [-1, 1, 0.5, 2e12])
    await assert.rejects(engine.endpointAttach({ ...spec, ingressRate: bad }), { code: 'EBADOPTION' });
});
