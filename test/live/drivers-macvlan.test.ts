import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint } from '../../src/model/index.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import {
  comesToReach,
  bare,
  differences,
  LAN,
  LAN_SUBNETS as SUBNETS,
  makeSegment,
  partiesOn,
  type Party,
  reaches,
  type Row,
  table,
} from '../lib/lan.ts';
import { jsonIn, okIn } from '../lib/run.ts';
import { linksOf, snapshot } from '../lib/snapshot.ts';

checkDescriptors();

const parties = partiesOn('macvlan');

// what the switch outside does with a frame for the port that it came from decides about mode vepa
for (const [mode, siblings, reflected] of [
  ['bridge', true, true],
  ['private', false, false],
  ['vepa', false, true],
] as const) {
  test(`macvlan ${mode}: who reaches whom`, async () => {
    await parties({ macvlan_mode: mode }, 2, async ({ segment, host, peer, workloads: [a, b] }) => {
      assert.ok(a && b);
      const rows = (between: boolean): Row[] => [
        ['a to b', a, b, between],
        ['b to a', b, a, between],
        ['a to the segment', a, peer, true],
        ['the segment to a', peer, a, true],
        ['a to the host', a, host, false],
        ['the host to a', host, a, false],
        ['the host to the segment', host, peer, true],
      ];
      await table(rows(siblings));
      await okIn(segment.switch, ['bridge', 'link', 'set', 'dev', 'port0', 'hairpin', 'on']);
      const ask = reflected ? comesToReach : reaches;
      const [toB, toA] = [await ask(a.netns, b.addresses), await ask(b.netns, a.addresses)];
      assert.deepEqual([toB, toA], [reflected, reflected], 'with a switch that sends back (IEEE 802.1Qbg)');
    });
  });
}

test('macvlan passthru: one endpoint has the interface to itself', async () => {
  await parties({ mode: 'passthru' }, 1, async ({ bed, host, peer, workloads: [a] }) => {
    assert.ok(a);
    assert.equal(a.endpoint.mac, '');
    await table([
      ['a to the segment', a, peer, true],
      ['the segment to a', peer, a, true],
      ['a to the host', a, host, false],
      ['the host to a', host, a, false],
      ['the host to the segment', host, peer, false],
    ]);
    const second = await bed.workload('second');
    await assert.rejects(bed.engine.endpointAttach({ netns: second.path, network: 'lan' }), {
      code: 'ENETWORKFULL',
      message: /takes one alone/,
    });
    assert.deepEqual(
      (await linksOf(second.netns)).map((l) => l.ifname),
      ['lo'],
    );
  });
});

test('macvlan source: only the frames of those named come in', async () => {
  await parties({ mode: 'source', sources: LAN.peerMac }, 2, async ({ host, peer, workloads: [a, b] }) => {
    assert.ok(a && b);
    await table([
      ['a to b', a, b, false],
      ['a to the segment', a, peer, true],
      ['the segment to a', peer, a, true],
      ['a to the host', a, host, false],
      ['the host to a', host, a, false],
      ['the host to the segment', host, peer, true],
    ]);
  });
  await parties({ mode: 'source' }, 1, async ({ peer, workloads: [a] }) => {
    assert.ok(a);
    await table([
      ['a to the segment', a, peer, false],
      ['the segment to a', peer, a, false],
    ]);
  });
});

test('pain 25 (libnetwork#1915): by the shim, host and endpoints reach each other', async () => {
  const shim = '198.18.0.9,2001:db8:5::9';
  await parties({ shim }, 2, async ({ host, peer, workloads: [a, b] }) => {
    assert.ok(a && b);
    const shimmed: Party = { netns: host.netns, addresses: shim.split(',') };
    await table([
      ['a to the shim', a, shimmed, true],
      ['the host to a', host, a, true],
      ['the host to b', host, b, true],
      ['a to b', a, b, true],
      // the shim answers ARP for whatever the host has, but no neighbour solicitation
      ['a to the host’s own IPv4 address', a, { netns: host.netns, addresses: [LAN.host] }, true],
      ['a to the host’s own IPv6 address', a, { netns: host.netns, addresses: [LAN.host6] }, false],
      ['a to the segment', a, peer, true],
      ['the segment to the shim', peer, shimmed, true],
      ['the host to the segment', host, peer, true],
    ]);
    const routes = await okIn(host.netns, ['ip', 'route', 'show', 'root', LAN.subnet]);
    for (const { addresses } of [a, b]) assert.match(routes, new RegExp(`^${addresses[0]} dev nls-`, 'm'));
  });
});

test('an internal macvlan network: neighbours, and no way beyond them; without a parent nobody else at all', async () => {
  await using bed = await makeEngineBed();
  await using segment = await makeSegment(bed.host.netns);
  const { engine } = bed;
  await engine.networkCreate({
    name: 'lan',
    driver: 'macvlan',
    internal: true,
    subnets: SUBNETS,
    options: { parent: 'lan0' },
  });
  const { value: alone } = await engine.networkCreate({ name: 'alone', driver: 'macvlan', ipv6: true });
  assert.equal(alone.internal, true);
  const [a, b] = [await bed.workload('a'), await bed.workload('b')];
  for (const { path } of [a, b]) await engine.endpointAttach({ netns: path, network: 'lan' });
  const pair: Endpoint[] = [];
  for (const { path } of [a, b]) pair.push((await engine.endpointAttach({ netns: path, network: 'alone' })).value);
  assert.deepEqual(await jsonIn(a.netns, ['ip', '-j', 'route', 'show', 'default']), []);
  assert.deepEqual(await jsonIn(a.netns, ['ip', '-j', '-6', 'route', 'show', 'default']), []);
  assert.ok(await reaches(a.netns, [LAN.peer, LAN.peer6]));
  assert.ok(await reaches(a.netns, bare(pair[1]?.addresses ?? [])));
  assert.ok(!(await reaches(bed.host.netns, bare(pair[1]?.addresses ?? []), 0.3)));
  assert.deepEqual(await differences(bed, alone, pair), []);
  assert.ok(segment.peer);
});

test('a container on a macvlan network has the segment’s address, route and its own hardware address', async () => {
  await using bed = await makeEngineBed();
  await using segment = await makeSegment(bed.host.netns);
  const { engine } = bed;
  await engine.networkCreate({ name: 'lan', driver: 'macvlan', subnets: SUBNETS, options: { parent: 'lan0' } });
  await engine.networkCreate({ name: 'web' });
  const { value: box } = await engine.containerCreate({
    name: 'box',
    command: ['true'],
    networks: [{ network: 'lan', mac: '02:00:00:00:00:77', addresses: ['198.18.0.77'] }, { network: 'web' }],
    ports: [{ protocol: 'tcp', hostPort: 8080, containerPort: 80, count: 1 }],
  });
  const [lan, web] = box.endpoints;
  assert.equal(lan?.type, 'macvlan');
  assert.deepEqual([lan?.ports.length, web?.ports.length], [0, 1], 'published where that means something');
  assert.ok(await reaches(segment.peer, ['198.18.0.77']));
  const neighbours = await okIn(segment.peer, ['ip', 'neigh', 'show', '198.18.0.77']);
  assert.match(neighbours, /02:00:00:00:00:77/);
  await engine.networkDisconnect('box', 'lan');
  assert.ok(!(await reaches(segment.peer, ['198.18.0.77'], 0.3)));
  await engine.containerRemove('box');
});

test('what a macvlan network cannot be is one clear line, and changes nothing', async () => {
  await using bed = await makeEngineBed();
  await using segment = await makeSegment(bed.host.netns);
  const { engine, host } = bed;
  assert.ok(segment.switch);
  await okIn(host.netns, ['ip', 'link', 'add', 'br0', 'type', 'bridge']);
  await okIn(host.netns, ['ip', 'link', 'add', 'v0', 'type', 'veth', 'peer', 'v1']);
  await okIn(host.netns, ['ip', 'link', 'set', 'v0', 'master', 'br0', 'up']);
  await okIn(host.netns, ['ip', 'tuntap', 'add', 'tun9', 'mode', 'tun']);
  await engine.networkCreate({ name: 'own', driver: 'macvlan', subnets: SUBNETS, options: { parent: 'lan0' } });
  const own = await bed.workload('own');
  await assert.rejects(engine.endpointAttach({ netns: own.path, network: 'own', addresses: [LAN.host] }), {
    code: 'EADDRTAKEN',
    message: /auxiliary address host/,
  });
  await engine.networkRemove('own');
  await engine.networkCreate({ name: 'there', driver: 'macvlan', options: { parent: 'lan0' } });
  const before = await snapshot(host.netns, { macOf: () => true });
  const bad: [Readonly<Record<string, string>>, string, RegExp][] = [
    [{ parent: 'lan1' }, 'EBADPARENT', /no interface "lan1".*did you mean "lan0"/],
    [{ parent: 'nosuch' }, 'EBADPARENT', /no interface "nosuch"/],
    [{ parent: 'lo' }, 'EBADOPTION', /loopback/],
    [{ parent: 'v0' }, 'EBADPARENT', /v0 .*port of the bridge br0/],
    [{ parent: 'v1' }, 'EBADPARENT', /v1 .*down/],
    [{ parent: 'tun9' }, 'EBADPARENT', /tun9 .*no Ethernet/],
    [{ parent: 'lan0', vlan: '4095' }, 'EBADOPTION', /1 to 4094/],
    [{ parent: 'lan0.4095' }, 'EBADOPTION', /1 to 4094/],
    [{ parent: 'lan0.7', vlan: '8' }, 'EBADOPTION', /two VLANs/],
    [{ vlan: '8' }, 'EBADOPTION', /give parent/],
    [{ parent: 'lan0', mtu: '9000' }, 'EBADOPTION', /lan0 carries 1500/],
    [{ parent: 'lan0', mode: 'bridg' }, 'EBADOPTION', /did you mean "bridge"/],
    [{ parent: 'lan0', mode: 'passthru' }, 'EPARENTBUSY', /network "there".*one endpoint alone/],
    [{ parent: 'lan0', sources: LAN.peerMac }, 'EBADOPTION', /only the mode source/],
    [{ parent: 'lan0', mode: 'source', sources: 'zz' }, 'EBADMAC', /zz/],
    [{ parent: 'lan0', shim: '198.18.1.1' }, 'EBADOPTION', /inside the subnet/],
    [{ parent: 'lan0', shim: LAN.peer }, 'EBADOPTION', /gateway/],
    [{ parent: 'lan0', shim: '198.18.0.9', mode: 'vepa' }, 'EBADOPTION', /mode bridge only/],
    [{ parent: 'lan0', parrent: 'lan0' }, 'EBADOPTION', /did you mean "parent"/],
  ];
  for (const [options, code, message] of bad) {
    await assert.rejects(
      engine.networkCreate({ name: 'x', driver: 'macvlan', subnets: SUBNETS, options }),
      (error: Error & { code?: string }) => {
        const said = `${JSON.stringify(options)}: ${error.message}`;
        assert.equal(error.code, code, said);
        assert.match(error.message, message, said);
        assert.ok(!error.message.includes('\n'), said);
        return true;
      },
    );
  }
  // an endpoint on it
  await engine.networkCreate({ name: 'lan', driver: 'macvlan', subnets: SUBNETS, options: { parent: 'lan0' } });
  const a = await bed.workload('a');
  const attach = (more: object): Promise<unknown> => engine.endpointAttach({ netns: a.path, network: 'lan', ...more });
  await assert.rejects(attach({ ports: [{ protocol: 'tcp', hostPort: 1, containerPort: 1, count: 1 }] }), {
    code: 'ENOPUBLISH',
  });
  await assert.rejects(attach({ netns: '', tap: true }), {
    code: 'EBADOPTION',
    message: /a tap is for bridge networks/,
  });
  await okIn(a.netns, ['ip', 'link', 'add', 'eth0', 'type', 'bridge']);
  await assert.rejects(attach({}), { code: 'ECONFLICT', message: /eth0/ });
  assert.deepEqual((await linksOf(a.netns)).map((l) => l.ifname).sort(), ['eth0', 'lo']);
  assert.deepEqual(await engine.endpointList(), []);
  await engine.networkRemove('lan');
  assert.deepEqual(await snapshot(host.netns, { macOf: () => true }), before);
});
