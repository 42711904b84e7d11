// runs: in the guest (ipvlan)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { comesToReach, LAN, LAN_SUBNETS, makeSegment, partiesOn, type Row, reaches, table } from '../lib/lan.ts';
import { ipBatch, jsonIn, okIn } from '../lib/run.ts';
import { linksOf, snapshot } from '../lib/snapshot.ts';

checkDescriptors();

/** A subnet of its own, to which the segment knows the way by the host. */
const ROUTED = [{ subnet: '198.19.0.0/24' }, { subnet: '2001:db8:77::/64' }];

for (const [flag, siblings, reflected] of [
  ['bridge', true, true],
  ['private', false, false],
  ['vepa', false, true],
] as const) {
  test(`ipvlan l2 ${flag}: who reaches whom`, async () => {
    await partiesOn('ipvlan')({ ipvlan_flag: flag }, 2, async ({ segment, host, peer, workloads: [a, b] }) => {
      assert.ok(a && b);
      assert.equal(a.endpoint.mac, '');
      const rows: Row[] = [
        ['a to b', a, b, siblings],
        ['a to the segment', a, peer, true],
        ['the segment to a', peer, a, true],
        ['a to the host', a, host, false],
        ['the host to a', host, a, false],
        ['the host to the segment', host, peer, true],
      ];
      await table(rows);
      await okIn(segment.switch, ['bridge', 'link', 'set', 'dev', 'port0', 'hairpin', 'on']);
      const ask = reflected ? comesToReach : reaches;
      assert.equal(await ask(a.netns, b.addresses), reflected, 'with a switch that sends back');
      const [macs] = [new Set((await linksOf(a.netns)).filter((l) => l.ifname !== 'lo').map((l) => l.address))];
      const parent = (await linksOf(host.netns)).find((l) => l.ifname === 'lan0');
      assert.deepEqual([...macs], [parent?.address]);
    });
  });
}

for (const mode of ['l3', 'l3s'] as const) {
  for (const [flag, siblings] of [
    ['bridge', true],
    ['private', false],
  ] as const) {
    test(`ipvlan ${mode} ${flag}: who reaches whom`, async () => {
      const parties = partiesOn('ipvlan', { subnets: ROUTED });
      await parties({ ipvlan_mode: mode, ipvlan_flag: flag }, 2, async ({ segment, host, peer, workloads: [a, b] }) => {
        assert.ok(a && b);
        assert.deepEqual(a.endpoint.gateways, ['0.0.0.0', '::']);
        const routes = await jsonIn<{ dev: string; gateway?: string }[]>(a.netns, [
          'ip',
          '-j',
          'route',
          'show',
          'default',
        ]);
        assert.deepEqual(
          routes.map((r) => [r.dev, r.gateway]),
          [['eth0', undefined]],
        );
        await ipBatch(segment.peer, [
          `route add 198.19.0.0/24 via ${LAN.host}`,
          `route add 2001:db8:77::/64 via ${LAN.host6}`,
        ]);
        await table([
          ['a to b', a, b, siblings],
          ['a to the segment', a, peer, true],
          ['the segment to a', peer, a, true],
          ['a to the host', a, host, false],
          ['the host to a', host, a, false],
          ['the host to the segment', host, peer, true],
        ]);
      });
    });
  }
}

test('an internal ipvlan network has no default route; without a parent nobody else at all', async () => {
  await using bed = await makeEngineBed();
  const { engine } = bed;
  await engine.networkCreate({ name: 'alone', driver: 'ipvlan', options: { mode: 'l3' } });
  const [a, b] = [await bed.workload('a'), await bed.workload('b')];
  await engine.endpointAttach({ netns: a.path, network: 'alone' });
  const { value: other } = await engine.endpointAttach({ netns: b.path, network: 'alone' });
  assert.deepEqual(await jsonIn(a.netns, ['ip', '-j', 'route', 'show', 'default']), []);
  assert.ok(
    await reaches(
      a.netns,
      other.addresses.map((each) => each.replace(/\/.*/, '')),
    ),
  );
});

test('what an ipvlan network cannot be is one clear line, and changes nothing', async () => {
  await using bed = await makeEngineBed();
  await using segment = await makeSegment(bed.host.netns);
  const { engine, host } = bed;
  assert.ok(segment.peer);
  const before = await snapshot(host.netns, { macOf: () => true });
  const create = (options: Readonly<Record<string, string>>, driver = 'ipvlan', name = 'x'): Promise<unknown> =>
    engine.networkCreate({ name, driver, subnets: LAN_SUBNETS.slice(0, 1), options: { parent: 'lan0', ...options } });
  await assert.rejects(create({ mode: 'l4' }), {
    code: 'EBADOPTION',
    message: /did you mean "l[23]"|one of l2, l3, l3s/,
  });
  await assert.rejects(create({ mode: 'l3' }), { code: 'EBADGATEWAY', message: /leave it out/ });
  await assert.rejects(create({ mode: 'l3', ipam: 'dhcp' }), { message: /leave subnets out/ });
  await create({}, 'ipvlan', 'lan');
  await assert.rejects(engine.networkCreate({ name: 'x', driver: 'ipvlan', options: { parent: 'lan0', mode: 'l3' } }), {
    code: 'EPARENTBUSY',
    message: /network "lan".*one mode and flag, there l2 and bridge/,
  });
  await assert.rejects(engine.networkCreate({ name: 'x', driver: 'macvlan', options: { parent: 'lan0' } }), {
    code: 'EPARENTBUSY',
    message: /network "lan".*macvlan or to ipvlan/,
  });
  const a = await bed.workload('a');
  await assert.rejects(engine.endpointAttach({ netns: a.path, network: 'lan', mac: '02:00:00:00:00:07' }), {
    code: 'EBADOPTION',
    message: /hardware address of their parent/,
  });
  // somebody else's macvlan on it, which only the kernel can know of
  await okIn(host.netns, ['ip', 'link', 'add', 'link', 'lan0', 'name', 'theirs', 'type', 'macvlan']);
  await assert.rejects(engine.endpointAttach({ netns: a.path, network: 'lan' }), {
    code: 'EPARENTBUSY',
    message: /lan0 is in use by another kind/,
  });
  assert.deepEqual(
    (await linksOf(a.netns)).map((l) => l.ifname),
    ['lo'],
  );
  assert.deepEqual(await engine.endpointList(), []);
  await okIn(host.netns, ['ip', 'link', 'delete', 'theirs']);
  await engine.networkRemove('lan');
  assert.deepEqual(await snapshot(host.netns, { macOf: () => true }), before);
});
