import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { writeSysctl } from '../../src/kernel/index.ts';
import { type LabHost, makeLab } from '../../test/lib/lab.ts';
import { start } from '../../test/lib/run.ts';
import { until } from '../../test/lib/wait.ts';
import { percentile, type Result, result } from '../lib/measure.ts';

const PROGRAM = fileURLToPath(new URL('../build/converge', import.meta.url));
const NODES = 10;
const ROUNDS = 60;
const WARMUP = 5;
/** Milliseconds. */
const GOAL = 200;

/**
 * Ten hosts of a lab, each with a daemon of its own, and an etcd; a flat network, where every host has something to do for
 * an endpoint of another. One is attached on each in turn, and asked for from a workload on every host, by address and by
 * name, from the moment that its address is known. What counts is the last host's first answer, from the call to attach.
 * The reference is the goal, or, of a part, the whole.
 */
export async function converge(): Promise<Result[]> {
  await using lab = await makeLab({ hosts: NODES, etcd: 1 });
  const hosts = Array.from({ length: NODES }, (_, i) => lab.host(`host${i + 1}`));
  // what nobody has the name of is not asked elsewhere
  await hosts[0]!.client.networkCreate({ name: 'bench', driver: 'overlay', internal: true, options: { plan: 'flat' } });
  for (const { client, name } of hosts)
    await until(
      `the network is on ${name}`,
      async () => (await client.networkList()).some(({ phase, overlay }) => phase === 'ready' && overlay),
      { timeout: 20_000 },
    );
  const asking: string[] = [];
  const fresh: string[] = [];
  for (const host of hosts) {
    const { path, netns } = await host.workload('asks');
    await host.client.endpointAttach({ netns: path, network: 'bench' });
    // whoever asked too early asks again at once, not a second later
    writeSysctl(netns, 'net.ipv4.neigh.eth0.retrans_time_ms', '4');
    asking.push(`/proc/${process.pid}/fd/${netns.fd}`);
    fresh.push((await host.workload('fresh')).path);
  }
  await using program = start([PROGRAM, ...asking]);
  const answers = createInterface(program.child.stdout!)[Symbol.asyncIterator]();
  await answers.next();
  const gateway = (await hosts[0]!.client.networkInspect('bench')).subnets[0]!.gateway;

  const times: Times[] = [];
  for (let round = 0; round < ROUNDS + WARMUP; round++) {
    const at = round % NODES;
    const { client } = hosts[at] as LabHost;
    const name = `fresh-${round}`;
    const begun = now();
    const { value } = await client.endpointAttach({ netns: fresh[at]!, network: 'bench', aliases: [name] });
    const attached = now() - begun;
    program.child.stdin!.write(`${gateway} ${name} ${value.addresses[0]!.split('/')[0]!}\n`);
    const { value: line } = await answers.next();
    const seen = String(line).split(' ').map(Number);
    if (seen.includes(0)) throw new Error(`not reached or not resolved within 5 s from some host: ${String(line)}`);
    const last = (which: 0 | 1): number => Math.max(...seen.filter((_, i) => i % 2 === which)) / 1e6 - begun;
    if (round >= WARMUP) times.push({ attached, reached: last(0), resolved: last(1) });
    await client.endpointDetach(value.id);
  }
  const all = times.map(({ reached, resolved }) => Math.max(reached, resolved));
  const half = percentile(all, 50);
  const part = (of: keyof Times): number =>
    percentile(
      times.map((each) => each[of]),
      50,
    );
  return [
    result('converge/p99', 'ms', percentile(all, 99), GOAL),
    result('converge/p50', 'ms', half, GOAL),
    result('converge/attached-p50', 'ms', part('attached'), half),
    result('converge/reached-p50', 'ms', part('reached'), half),
    result('converge/resolved-p50', 'ms', part('resolved'), half),
  ];
}

/** Of one round, milliseconds from the call. */
interface Times {
  readonly attached: number;
  readonly reached: number;
  readonly resolved: number;
}

/** CLOCK_MONOTONIC, as bench/converge.c has it, in milliseconds. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
