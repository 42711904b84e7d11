// runs: in the guest (ipvlan)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { makeReplay, type Replay } from '../lib/replay.ts';
import { ipBatch } from '../lib/run.ts';

checkDescriptors();

test('ipvlan endpoints, made and removed by their commands', async () => {
  await using bed = await makeEngineBed();
  await using replay = await makeReplay(bed);
  await sameUplinks(bed, replay);
  const { engine } = bed;
  const a = await replay.workload('a');
  const explain = { explain: true };
  // what every network shares, once; drivers-explain.test.ts follows it command by command
  const base = engine.networkCreate({ name: 'base', options: { guard: 'false' } }, explain);
  await replay.follow('base', base, { atOnce: true });
  for (const [mode, flag] of [
    ['l2', 'vepa'],
    ['l3s', 'private'],
  ] as const) {
    const what = `${mode} ${flag}`;
    const spec = {
      name: 'lan',
      driver: 'ipvlan',
      subnets: [{ subnet: '198.19.0.0/24' }, { subnet: '2001:db8:77::/64' }],
      options: { parent: 'eth0', mode, flag },
    };
    // its parent is there, and it needs nothing else
    assert.deepEqual((await engine.networkCreate(spec, explain)).plan, []);
    const attach = engine.endpointAttach({ netns: a.path, network: 'lan' }, explain);
    const { id } = await replay.follow(`${what}: endpoint`, attach);
    await replay.follow(`${what}: detached`, engine.endpointDetach(id, explain));
    assert.deepEqual((await engine.networkRemove('lan', explain)).plan, []);
  }
});

/** An endpoint that takes its parent's hardware address has the same on both machines. */
async function sameUplinks(bed: EngineBed, replay: Replay): Promise<void> {
  for (const { netns } of [bed.host, replay.host]) await ipBatch(netns, ['link set eth0 address 02:00:00:00:00:01']);
}
