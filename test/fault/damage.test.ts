import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { stateOf } from '../lib/kernel-state.ts';
import { startTraffic } from '../lib/traffic.ts';
import { until } from '../lib/wait.ts';
import { DAMAGES, inflict, type Victim } from './damages.ts';

checkDescriptors();

/** Ten minutes by hand: NETLOOM_DAMAGE_SECONDS=600. The seed of a failure, given again, does the same damage. */
const SECONDS = Number(process.env['NETLOOM_DAMAGE_SECONDS'] ?? 10);
const SEED = Number(process.env['NETLOOM_DAMAGE_SEED'] ?? Date.now() % 1_000_000);
const ENDPOINTS = 3;

test(`random damage for ${SECONDS} s under traffic, seed ${SEED}`, { timeout: (SECONDS + 110) * 1000 }, async () => {
  await using bed = await makeEngineBed({}, { resident: true });
  const { value: network } = await bed.engine.networkCreate({ name: 'web', ipv6: true, options: { icc: 'false' } });
  const bridge = network.options.driver === 'bridge' ? network.options.bridge : '';
  const length = network.subnets[0]?.subnet.replace(/.*\//, '');
  const victims: Victim[] = [];
  for (let i = 0; i < ENDPOINTS; i++) {
    const workload = await bed.workload(`w${i}`);
    const ports = (['tcp', 'udp'] as const).map((protocol) => ({
      protocol,
      hostPort: 8080 + i,
      containerPort: 80,
      count: 1,
    }));
    const { value } = await bed.engine.endpointAttach({
      netns: workload.path,
      network: 'web',
      ports,
      ingressRate: 500_000_000,
      egressRate: 500_000_000,
    });
    victims.push({
      host: bed.host.netns,
      bridge,
      gateway: `${network.subnets[0]?.gateway}/${length}`,
      workload: { ...value, ...workload },
    });
  }
  const spaces = [bed.host.netns, ...victims.map((v) => v.workload.netns)];
  const before = await stateOf(spaces);
  const way = {
    client: bed.host.outside,
    server: victims[0]!.workload.netns,
    serverPort: 80,
    address: ADDRESS.host,
    port: 8080,
  };
  const draw = generator(SEED);
  let done = 0;
  {
    await using _traffic = await startTraffic(way);
    const end = performance.now() + SECONDS * 1000;
    while (performance.now() < end) {
      const victim = victims[draw(victims.length)]!;
      const damage = DAMAGES[draw(DAMAGES.length)]!;
      // what it is done to may be gone just now, by the damage before
      await inflict(victim, damage).then(
        () => done++,
        () => undefined,
      );
      await delay(draw(150));
    }
  }
  assert.ok(done >= 5, `${done} times`);
  // of what the kernel tells nobody, a look at everything finds out
  await until('the waits are over', async () => (await bed.engine.gc()).value.failed.length === 0, { timeout: 10_000 });
  let now: unknown;
  await until(
    'right again',
    async () => {
      now = await stateOf(spaces);
      return JSON.stringify(now) === JSON.stringify(before);
    },
    { timeout: 60_000 },
  ).catch((error: unknown) => {
    assert.deepEqual(now, before, String(error));
    throw error;
  });
  const { value } = await bed.engine.gc();
  assert.deepEqual(value, { reclaimed: [], removed: [], repaired: [], failed: [] }, 'no leak and no fault');
  const traffic = await startTraffic(way);
  await delay(300);
  const { sent, lost, refused, broken } = await traffic.stop();
  assert.ok(sent > 20, String(sent));
  assert.deepEqual({ lost, refused, broken }, { lost: 0, refused: 0, broken: 0 });
});

/** @see https://en.wikipedia.org/wiki/Lehmer_random_number_generator (minimal standard) */
function generator(seed: number): (below: number) => number {
  let state = (seed % 2_147_483_646) + 1;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}
