// runs: in the guest (VLAN)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { LAN_SUBNETS, makeSegment, partiesOn, reaches, table } from '../lib/lan.ts';
import { makeReplay } from '../lib/replay.ts';
import { ipBatch } from '../lib/run.ts';
import { linksOf, snapshot } from '../lib/snapshot.ts';

checkDescriptors();

for (const driver of ['macvlan', 'ipvlan'] as const) {
  test(`${driver} on a VLAN of the parent, which comes and goes with the network`, async () => {
    await partiesOn(driver, { vlan: 50 })({ parent: 'lan0.50' }, 2, async ({ bed, peer, workloads: [a, b] }) => {
      assert.ok(a && b);
      await table([
        ['a to b', a, b, true],
        ['a to the segment', a, peer, true],
        ['the segment to a', peer, a, true],
      ]);
      const vlan = (await linksOf(bed.host.netns)).find((link) => link.ifname === 'lan0.50');
      assert.equal(vlan?.ifalias, 'netloom vlan 50 of lan0');
    });
  });
}

test('networks share a VLAN’s interface: it goes with the last of them, whichever that is', async () => {
  await using bed = await makeEngineBed();
  await using segment = await makeSegment(bed.host.netns, 50);
  const { engine, host } = bed;
  const before = await snapshot(host.netns, { macOf: () => true });
  const names = async (): Promise<string[]> =>
    (await linksOf(host.netns)).map((l) => l.ifname).filter((n) => /\./.test(n));
  const lan = { driver: 'macvlan', subnets: LAN_SUBNETS, options: { parent: 'lan0', vlan: '50' } };
  await engine.networkCreate({ name: 'one', ...lan });
  // by the name of what is there by now
  await engine.networkCreate({ name: 'two', driver: 'macvlan', options: { parent: 'lan0.50' } });
  assert.deepEqual((await engine.networkInspect('two')).options, (await engine.networkInspect('one')).options);
  await engine.networkCreate({ name: 'other', driver: 'macvlan', options: { parent: 'lan0.51' } });
  assert.deepEqual(await names(), ['lan0.50', 'lan0.51']);
  await assert.rejects(engine.networkCreate({ name: 'x', driver: 'ipvlan', options: { parent: 'lan0.50' } }), {
    code: 'EPARENTBUSY',
  });
  // the other driver may have another VLAN, and the parent itself
  await engine.networkCreate({ name: 'ip', driver: 'ipvlan', options: { parent: 'lan0.52' } });
  await engine.networkRemove('ip');
  const a = await bed.workload('a');
  const { value: endpoint } = await engine.endpointAttach({ netns: a.path, network: 'one' });
  await engine.networkRemove('two');
  await engine.networkRemove('other');
  assert.deepEqual(await names(), ['lan0.50']);
  assert.ok(await reaches(a.netns, ['198.18.0.2', '2001:db8:5::2']), 'and the endpoint still works');
  assert.ok(segment.peer);
  await engine.endpointDetach(endpoint.id);
  await engine.networkRemove('one');
  assert.deepEqual(await snapshot(host.netns, { macOf: () => true }), before);
});

test('a VLAN’s interface that was there is used as it is, whatever its name, and left alone', async () => {
  await using bed = await makeEngineBed();
  await using segment = await makeSegment(bed.host.netns, 50);
  const { engine, host } = bed;
  assert.ok(segment.peer);
  await ipBatch(host.netns, ['link add link lan0 name office type vlan id 50', 'link set office up']);
  const before = await snapshot(host.netns, { macOf: () => true });
  const { value: network } = await engine.networkCreate({
    name: 'lan',
    driver: 'macvlan',
    subnets: LAN_SUBNETS,
    options: { parent: 'lan0.50' },
  });
  const { options } = network;
  assert.deepEqual(options.driver === 'macvlan' && [options.parent, options.vlan], ['office', 0]);
  const a = await bed.workload('a');
  const { value: endpoint } = await engine.endpointAttach({ netns: a.path, network: 'lan' });
  assert.ok(await reaches(a.netns, ['198.18.0.2', '2001:db8:5::2']));
  await engine.endpointDetach(endpoint.id);
  await engine.networkRemove('lan');
  assert.deepEqual(await snapshot(host.netns, { macOf: () => true }), before);
});

test('VLANs that cannot be are one clear line each, and change nothing', async () => {
  await using bed = await makeEngineBed();
  await using segment = await makeSegment(bed.host.netns);
  const { engine, host } = bed;
  assert.ok(segment.peer);
  await ipBatch(host.netns, [
    'link add a-long-parent type dummy',
    'link set a-long-parent up',
    'link add lan0.60 type dummy',
    'link set lan0.60 up',
  ]);
  const before = await snapshot(host.netns, { macOf: () => true });
  const create = (options: Readonly<Record<string, string>>): Promise<unknown> =>
    engine.networkCreate({ name: 'x', driver: 'macvlan', options });
  await assert.rejects(create({ parent: 'a-long-parent', vlan: '1234' }), {
    code: 'EBADPARENT',
    message: /a-long-parent\.1234, which is longer than the 15 bytes/,
  });
  await assert.rejects(create({ parent: 'lan0', vlan: '60' }), {
    code: 'EBADPARENT',
    message: /lan0\.60 is there, and is not VLAN 60 of lan0/,
  });
  await assert.rejects(create({ parent: 'lan1.60' }), { code: 'EBADPARENT', message: /no interface "lan1"/ });
  assert.deepEqual(await snapshot(host.netns, { macOf: () => true }), before);
});

test('networks on VLANs, made and removed by their commands', async () => {
  await using bed = await makeEngineBed();
  await using replay = await makeReplay(bed);
  const { engine } = bed;
  const a = await replay.workload('a');
  const explain = { explain: true };
  // what every network shares, once; drivers-explain.test.ts follows it command by command
  const base = engine.networkCreate({ name: 'base', options: { guard: 'false' } }, explain);
  await replay.follow('base', base, { atOnce: true });
  const one = { name: 'one', driver: 'macvlan', options: { parent: 'eth0.50', shim: '198.18.0.9' } };
  await replay.follow('one', engine.networkCreate({ ...one, subnets: LAN_SUBNETS.slice(0, 1) }, explain));
  const { id } = await replay.follow('endpoint', engine.endpointAttach({ netns: a.path, network: 'one' }, explain));
  await replay.follow('detached', engine.endpointDetach(id, explain));
  await replay.follow('removed', engine.networkRemove('one', explain));
});
