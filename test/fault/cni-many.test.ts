/** Several runtimes at once, two hundred calls at a time, with shims and daemons killed between: what they were told holds. */
// runs: here in one mode (who dies when, whoever it is)
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { dice } from '../lib/dice.ts';
import { run } from '../lib/run.ts';
import { makeShimBed, type PluginAnswer, type ShimBed } from '../lib/shim.ts';
import { snapshot } from '../lib/snapshot.ts';
import { until } from '../lib/wait.ts';

const RUNTIMES = 4;
const PODS = 50;
const SEED = Number(process.env['NETLOOM_SEED'] ?? Date.now() % 1_000_000);
const NETLOOM = fileURLToPath(new URL('../../bin/netloom', import.meta.url));

interface Pod {
  readonly id: string;
  readonly netns: string;
  /** What the runtime was told; `unknown` after a call that it was told nothing by. */
  state: 'absent' | 'added' | 'unknown';
  result?: PluginAnswer['json'];
}
interface Runtime {
  readonly network: string;
  readonly conf: object;
  readonly pods: readonly Pod[];
}
interface Job {
  readonly runtime: Runtime;
  readonly verb: 'ADD' | 'DEL' | 'CHECK' | 'GC';
  readonly pod?: Pod;
  /** For GC: those that stay. */
  readonly valid?: readonly Pod[];
  /** Nobody kills this one. */
  readonly safe?: boolean;
}

const killed = ({ status }: PluginAnswer): boolean => status === 137;
/** Told to come again: nothing is known. */
const later = ({ json }: PluginAnswer): boolean => json['code'] === 11;

test('two hundred calls at once, shims and daemons killed between', { timeout: 600_000 }, async (t) => {
  t.diagnostic(`NETLOOM_SEED=${SEED}`);
  const roll = dice(SEED + 1);
  await using site = await makeShimBed();
  const { bed } = site;
  // what a network leaves switched on for good
  await bed.engine.networkCreate({ name: 'first', ipv6: true });
  await bed.engine.networkRemove('first');
  const before = await snapshot(bed.host.netns);

  const runtimes: Runtime[] = [];
  for (let r = 0; r < RUNTIMES; r++) {
    const pods: Pod[] = [];
    for (let i = 0; i < PODS; i++) {
      const { path } = await bed.workload(`r${r}-${i}`);
      pods.push({ id: `r${r}-${i}`, netns: path, state: 'absent' });
    }
    const subnets = [{ subnet: `10.${20 + r}.0.0/16` }];
    const network = `runtime${r}`;
    runtimes.push({ network, conf: { name: network, subnets, ipv6: false }, pods });
  }
  const each = (pick: (runtime: Runtime, pod: Pod) => Job | undefined): Job[] =>
    runtimes.flatMap((runtime) => runtime.pods.flatMap((pod) => pick(runtime, pod) ?? []));
  const wave = waves(site, roll);

  await site.start();
  const adding = each((runtime, pod) => ({ runtime, verb: 'ADD', pod }));
  assert.equal(adding.length, 200);
  await wave(adding);
  assertApart(runtimes);
  await forgetUnknown(wave, each);
  await assertExact(site, runtimes);

  // everything at once: of those that are there some go, some are forgotten, the others are looked at; the missing come
  const forgotten = new Set<Pod>();
  const all = each((runtime, pod) => {
    if (pod.state === 'absent') return { runtime, verb: 'ADD', pod };
    const lot = roll(5);
    if (lot > 1) return { runtime, verb: 'CHECK', pod };
    if (lot === 1) return { runtime, verb: 'DEL', pod };
    forgotten.add(pod);
    return undefined;
  });
  assert.ok(forgotten.size > 0);
  const collecting = runtimes.map((runtime): Job => ({
    ...{ runtime, verb: 'GC', safe: true },
    valid: runtime.pods.filter((pod) => !forgotten.has(pod)),
  }));
  await wave([...all, ...collecting]);
  for (const pod of forgotten) pod.state = 'absent';
  assertApart(runtimes);
  await forgetUnknown(wave, each);
  await assertExact(site, runtimes);
  // none that was to stay is hurt
  await wave(
    each((runtime, pod) => (pod.state === 'added' ? { runtime, verb: 'CHECK', pod, safe: true } : undefined)),
    { daemon: false },
  );

  await wave(each((runtime, pod) => ({ runtime, verb: 'DEL', pod })));
  await forgetUnknown(wave, each);
  await assertExact(site, runtimes);
  await site.end('SIGTERM');
  for (const { network } of runtimes) await bed.engine.networkRemove(network);
  await using last = await bed.open();
  assert.deepEqual(await last.networkList(), await bed.engine.networkList());
  const { value: left } = await last.gc({ dryRun: true });
  assert.deepEqual(left, { reclaimed: [], removed: [], repaired: [], failed: [] });
  assert.deepEqual(await snapshot(bed.host.netns), before);
  const words = 'for n in "$0"/*; do nsenter --net="$n" ip -o link show; done | grep -cv " lo:"';
  assert.equal((await run(['sh', '-c', words, bed.paths.netnsDir])).stdout.trim(), '0', 'interfaces in the pods');
});

type Wave = (jobs: readonly Job[], options?: { readonly daemon?: false }) => Promise<void>;

/** All of the calls at once; some shims are killed, and the daemon in the middle. What is told is believed. */
function waves(site: ShimBed, roll: (below: number) => number): Wave {
  // calls that do the work by themselves are whole Nodes: four at a time
  const program = join(site.bed.dirs.root, 'four-at-a-time');
  writeFileSync(program, `#!/bin/sh\nexec flock --no-fork "$0.$(($$ % 4))" ${NETLOOM} "$@"\n`);
  chmodSync(program, 0o755);
  return async (jobs, { daemon } = {}) => {
    let answered = 0;
    let deaths = 0;
    let again: Promise<unknown> = Promise.resolve();
    const kills =
      daemon === false ? new Set<number>() : new Set([jobs.length >> 2, (jobs.length * 2) / 3].map(Math.floor));
    await Promise.all(
      jobs.map(async ({ runtime, verb, pod, valid, safe }, i) => {
        const alone = i % 40 === 7;
        const calling = site.calling(verb, {
          id: pod?.id ?? '',
          netns: pod?.netns ?? '',
          conf: {
            ...runtime.conf,
            ...(verb === 'CHECK' && { prevResult: pod?.result }),
            ...(valid && { 'cni.dev/valid-attachments': valid.map(({ id }) => ({ containerID: id, ifname: 'eth0' })) }),
          },
          env: {
            NETLOOM_PROGRAM: program,
            NETLOOM_CALL_PATIENCE: '60',
            // no daemon for this one: another engine on the store beside it
            ...(alone && { NETLOOM_SOCKET: '/nonexistent/netloom.sock' }),
          },
        });
        const doom = !safe && roll(10) === 0 ? setTimeout(() => calling.child.kill('SIGKILL'), roll(1500)) : undefined;
        const answer = await calling.answer;
        clearTimeout(doom);
        answered++;
        if (kills.has(answered)) {
          again = again.then(async () => {
            await site.end('SIGKILL');
            await site.start();
          });
        }
        if (killed(answer)) deaths++;
        if (killed(answer) || later(answer)) {
          assert.notEqual(verb, 'GC', JSON.stringify(answer));
          if (pod && verb !== 'CHECK') pod.state = 'unknown';
          return;
        }
        assert.equal(answer.status, 0, `${verb} ${pod?.id}: ${JSON.stringify(answer)} ${site.daemon?.output()}`);
        if (!pod) return;
        if (verb === 'ADD') [pod.state, pod.result] = ['added', answer.json];
        if (verb === 'DEL') pod.state = 'absent';
      }),
    );
    await again;
    if (daemon !== false) assert.ok(deaths > 0, 'somebody was killed');
  };
}

/** As a runtime does with what it was told nothing of. */
async function forgetUnknown(
  wave: Wave,
  each: (pick: (runtime: Runtime, pod: Pod) => Job | undefined) => Job[],
): Promise<void> {
  const unknown = each((runtime, pod) =>
    pod.state === 'unknown' ? { runtime, verb: 'DEL', pod, safe: true } : undefined,
  );
  await wave(unknown, { daemon: false });
}

/** No address is two's. */
function assertApart(runtimes: readonly Runtime[]): void {
  const owners = new Map<string, string>();
  for (const { pods } of runtimes) {
    for (const { id, state, result } of pods) {
      if (state !== 'added') continue;
      for (const { address } of (result as { ips: { address: string }[] }).ips) {
        assert.equal(owners.get(address), undefined, `${address} of ${id}`);
        owners.set(address, id);
      }
    }
  }
}

/** The store has what the runtimes were told, and nothing else; the kernel has what the store wants. */
async function assertExact({ bed }: ShimBed, runtimes: readonly Runtime[]): Promise<void> {
  const wanted = runtimes
    .flatMap(({ network, pods }) =>
      pods.flatMap(({ id, state, result }) =>
        state === 'added' ? [`cni:${network}:${id}:eth0 ${JSON.stringify(addressesOf(result))}`] : [],
      ),
    )
    .sort();
  const found = async (): Promise<string[]> =>
    (await bed.engine.endpointList())
      .map(
        ({ name, addresses, phase }) => `${name} ${JSON.stringify(addresses)}${phase === 'ready' ? '' : ` ${phase}`}`,
      )
      .sort();
  // the last transaction of an attachment is one that nobody waits for
  await until('the store is settled', async () => !(await found()).some((line) => line.endsWith('ing')));
  assert.deepEqual(await found(), wanted);
  const { value } = await bed.engine.gc({ dryRun: true });
  assert.deepEqual(value, { reclaimed: [], removed: [], repaired: [], failed: [] });
}
function addressesOf(result: Pod['result']): string[] {
  return ((result as { ips?: { address: string }[] } | undefined)?.ips ?? []).map(({ address }) => address);
}
