import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { differences, LAN_SUBNETS, makeSegment, reaches } from '../lib/lan.ts';
import { okIn } from '../lib/run.ts';

checkDescriptors();

test('a look at the host finds drivers’ work right, and puts back shim, taps and routes that somebody took away', async () => {
  await using bed = await makeEngineBed();
  await using segment = await makeSegment(bed.host.netns);
  const { engine, host } = bed;
  const shim = '198.18.0.9';
  const spec = { driver: 'macvlan', subnets: LAN_SUBNETS, options: { parent: 'lan0', shim } };
  const { value: lan } = await engine.networkCreate({ name: 'lan', ...spec });
  const { value: web } = await engine.networkCreate({ name: 'web' });
  const a = await bed.workload('a');
  const { value: one } = await engine.endpointAttach({ netns: a.path, network: 'lan' });
  const { value: vm } = await engine.endpointAttach({ netns: '', tap: true, ifname: 'vm0', network: 'web' });
  const idle = { reclaimed: [], removed: [], repaired: [], failed: [] };
  assert.deepEqual((await engine.gc()).value, idle, 'what is right is left alone');
  const name = `nls-${lan.id.slice(0, 11)}`;
  await okIn(host.netns, ['ip', 'link', 'delete', name]);
  await okIn(host.netns, ['ip', 'link', 'delete', 'vm0']);
  const { value: report } = await engine.gc();
  assert.deepEqual([report.failed, report.removed, report.reclaimed], [[], [], []]);
  assert.ok(report.repaired.length >= 2, report.repaired.join('\n'));
  assert.deepEqual(await differences(bed, lan, [one]), []);
  assert.deepEqual(await differences(bed, web, [vm]), []);
  assert.ok(await reaches(a.netns, [shim], 5));
  assert.ok(await reaches(segment.peer, [one.addresses[0]?.replace(/\/.*/, '') ?? ''], 5));
});
