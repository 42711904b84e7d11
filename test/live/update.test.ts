import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Netns } from '../../src/kernel/index.ts';
import { type Network, type NetworkUpdate, parsePublish } from '../../src/model/index.ts';
import { NftConn } from '../../src/nftables/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { type EngineBed, makeEngineBed } from '../lib/engine.ts';
import { ADDRESS } from '../lib/host.ts';
import { ping, tcpConnect, tcpHold, tcpServer } from '../lib/peer.ts';
import { jsonIn, okIn } from '../lib/run.ts';
import { snapshot } from '../lib/snapshot.ts';
import { until } from '../lib/wait.ts';
import { plain } from './containers-bed.ts';

checkDescriptors();

async function refused(promise: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  await assert.rejects(promise, (error: Error & { code: string }) => {
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    assert.ok(!error.message.includes('\n'), 'one line');
    return true;
  });
}
async function mtuOf(netns: Netns, dev: string): Promise<number | undefined> {
  return (await jsonIn<{ mtu: number }[]>(netns, ['ip', '-j', 'link', 'show', 'dev', dev]))[0]?.mtu;
}
async function defaultsOf(netns: Netns): Promise<string[]> {
  const both = await Promise.all([
    okIn(netns, ['ip', 'route', 'show', 'default']),
    okIn(netns, ['ip', '-6', 'route', 'show', 'default']),
  ]);
  return both.flatMap((text) => text.split('\n')).flatMap((line) => /dev (\S+)/.exec(line)?.[1] ?? []);
}
const bridgeOf = ({ options }: Network): string => (options.driver === 'bridge' ? options.bridge : '');

/** A dual-stack network with two endpoints, one of which has a held connection to the outside. */
async function makeBed(): Promise<
  EngineBed & {
    readonly network: Network;
    readonly ends: readonly { netns: Netns; id: string; hostIfname: string; addresses: readonly string[] }[];
  }
> {
  const bed = await makeEngineBed();
  const { value: network } = await bed.engine.networkCreate({ name: 'web', ipv6: true });
  const ends = [];
  for (const name of ['a', 'b']) {
    const { netns, path } = await bed.workload(name);
    ends.push({ ...(await bed.engine.endpointAttach({ netns: path, network: 'web' })).value, netns });
  }
  return { ...bed, network, ends };
}

test('pain 10 (for-linux#1426): an MTU changes on both ends of everything, and connections go on', async () => {
  await using bed = await makeBed();
  const { engine, host, network, ends } = bed;
  const [a, b] = ends;
  await using server = await tcpServer(host.outside, ADDRESS.internet, 7000);
  await using held = await tcpHold(a!.netns, ADDRESS.internet, server.port);
  const seen = async (): Promise<unknown> => [
    await mtuOf(host.netns, bridgeOf(network)),
    ...(await Promise.all(ends.flatMap((e) => [mtuOf(host.netns, e.hostIfname), mtuOf(e.netns, 'eth0')]))),
  ];
  for (const mtu of [1400, 9000, 1280]) {
    const { value } = await engine.networkUpdate('web', { options: { mtu: String(mtu) } });
    assert.equal(value.options.driver === 'bridge' && value.options.mtu, mtu);
    assert.deepEqual(await seen(), [mtu, mtu, mtu, mtu, mtu]);
    assert.ok((await held.again()).ok);
    assert.ok(await ping(a!.netns, plain(b!.addresses[0])));
  }
  await refused(engine.networkUpdate('web', { options: { mtu: '1000' } }), 'EBADOPTION', /1280 to 65535/);
  const c = await bed.workload('c');
  await engine.endpointAttach({ netns: c.path, network: 'web' });
  assert.equal(await mtuOf(c.netns, 'eth0'), 1280, 'whoever comes later has it, too');
});

test('pain 10 (moby#22028): whoever is beyond a narrower way is told what fits through it', async () => {
  await using bed = await makeBed();
  const { host, ends } = bed;
  await using four = await tcpServer(host.outside, ADDRESS.internet, 7000);
  await using six = await tcpServer(host.outside, ADDRESS.internet6, 7000);
  const mssOf = async (address: string): Promise<number> => {
    await using held = await tcpHold(ends[0]!.netns, address, 7000);
    assert.ok(held);
    const text = await okIn(host.outside, ['ss', '-tinH', 'state', 'established', 'src', `[${address}]`]);
    return Number(/\bmss:(\d+)/.exec(text)?.[1]);
  };
  assert.ok((await mssOf(ADDRESS.internet)) > 1400);
  for (const [address, via] of [
    [ADDRESS.internet, ADDRESS.outside],
    [ADDRESS.internet6, ADDRESS.outside6],
  ] as const)
    await okIn(host.netns, ['ip', 'route', 'add', address, 'via', via, 'mtu', '1300']);
  assert.ok((await mssOf(ADDRESS.internet)) <= 1260);
  assert.ok((await mssOf(ADDRESS.internet6)) <= 1240);
  assert.ok(four && six);
});

test('pain 10 (moby#49398): a network for which no MTU was asked follows the uplink’s', async () => {
  await using bed = await makeBed();
  const { host, network, ends } = bed;
  await bed.engine.networkCreate({ name: 'fixed', options: { mtu: '1500' } });
  const fixed = bridgeOf(await bed.engine.networkInspect('fixed'));
  const everywhere = async (mtu: number): Promise<boolean> => {
    const seen = [mtuOf(host.netns, bridgeOf(network)), ...ends.map((e) => mtuOf(e.netns, 'eth0'))];
    return (await Promise.all(seen)).every((each) => each === mtu);
  };
  await okIn(host.netns, ['ip', 'link', 'set', 'eth0', 'mtu', '1450']);
  await using resident = await bed.open({ resident: true });
  assert.ok(await everywhere(1450), 'at the start');
  await okIn(host.netns, ['ip', 'link', 'set', 'eth0', 'mtu', '1400']);
  await until('1400 everywhere', () => everywhere(1400));
  // a VPN takes the default route, and gives it back
  await okIn(host.netns, ['ip', 'link', 'add', 'tun0', 'mtu', '1330', 'type', 'veth', 'peer', 'name', 'tun1']);
  await okIn(host.netns, ['sh', '-c', 'ip link set tun1 up; ip link set tun0 up; ip addr add 10.99.0.1/24 dev tun0']);
  await okIn(host.netns, ['ip', 'route', 'replace', 'default', 'via', '10.99.0.2', 'dev', 'tun0']);
  await until('1330 everywhere', () => everywhere(1330));
  await okIn(host.netns, ['ip', 'link', 'delete', 'tun0']);
  await okIn(host.netns, ['sh', '-c', `ip route replace default via ${ADDRESS.outside} dev eth0`]);
  await until('1400 again', () => everywhere(1400));
  assert.equal(await mtuOf(host.netns, fixed), 1500, 'that one was asked for');
  // asked for by a number, it follows no more
  await resident.networkUpdate('web', { options: { mtu: '1300' } });
  await okIn(host.netns, ['ip', 'link', 'set', 'eth0', 'mtu', '1500']);
  await resident.networkUpdate('fixed', { options: { mtu: '0' } });
  assert.equal(await mtuOf(host.netns, fixed), 1500);
  await okIn(host.netns, ['ip', 'link', 'set', 'eth0', 'mtu', '1420']);
  await until('the other follows now', async () => (await mtuOf(host.netns, fixed)) === 1420);
  assert.ok(await everywhere(1300));
});

test('endpoints that may not talk to each other, and may again; outward with whose address', async () => {
  await using bed = await makeBed();
  const { engine, host, ends } = bed;
  const [a, b] = ends;
  const [v4 = '', v6 = ''] = b!.addresses.map(plain);
  await engine.networkUpdate('web', { options: { icc: 'false', hairpin: 'false' } });
  for (const address of [v4, v6]) assert.ok(!(await ping(a!.netns, address, { timeout: 0.3 })), `icc off: ${address}`);
  assert.ok(await ping(a!.netns, ADDRESS.internet), 'outside all the same');
  await engine.networkUpdate('web', { options: { icc: 'true' } });
  for (const address of [v4, v6]) assert.ok(await ping(a!.netns, address), `icc on: ${address}`);

  await using server = await tcpServer(host.outside, ADDRESS.internet, 7000);
  await using held = await tcpHold(a!.netns, ADDRESS.internet, server.port);
  const own = plain(a!.addresses[0]);
  await okIn(host.outside, ['ip', 'route', 'add', `${own}/32`, 'via', ADDRESS.host]);
  const client = async (): Promise<string> => {
    const answer = await tcpConnect(a!.netns, ADDRESS.internet, server.port);
    return answer.ok ? answer.seen.client : answer.error;
  };
  assert.equal(await client(), ADDRESS.host);
  await engine.networkUpdate('web', { options: { masquerade: 'false' } });
  assert.equal(await client(), own);
  assert.ok((await held.again()).ok, 'who had a translation keeps it');
  await engine.networkUpdate('web', { options: { masquerade: 'true' } });
  assert.equal(await client(), ADDRESS.host);
});

test('internal on and off: default routes go to a sibling and come back', async () => {
  await using bed = await makeBed();
  const { engine, host, ends } = bed;
  const [a, b] = ends;
  await engine.networkCreate({ name: 'other' });
  const path = (await engine.endpointList()).find((e) => e.id === a!.id)!.netns;
  await engine.endpointAttach({ netns: path, network: 'other' });
  assert.deepEqual(await defaultsOf(a!.netns), ['eth0', 'eth0']);
  using nft = NftConn.open(host.netns);
  const generation = await nft.generation();
  await engine.networkUpdate('web', { internal: true });
  assert.equal((await nft.generation()) - generation, 1, 'one transaction of nftables');
  assert.deepEqual(await defaultsOf(a!.netns), ['eth1']);
  assert.deepEqual(await defaultsOf(b!.netns), []);
  assert.ok(await ping(a!.netns, ADDRESS.internet), 'by the other network');
  assert.ok(await ping(a!.netns, plain(b!.addresses[0])), 'inside');
  await okIn(b!.netns, [
    'ip',
    'route',
    'add',
    'default',
    'via',
    (await engine.networkInspect('web')).subnets[0]!.gateway,
  ]);
  assert.ok(!(await ping(b!.netns, ADDRESS.internet, { timeout: 0.3 })), 'a route of its own does not help');
  await okIn(b!.netns, ['ip', 'route', 'delete', 'default']);
  await engine.networkUpdate('web', { internal: false });
  assert.deepEqual(await defaultsOf(a!.netns), ['eth0', 'eth0']);
  assert.deepEqual(await defaultsOf(b!.netns), ['eth0', 'eth0']);
  assert.ok(await ping(b!.netns, ADDRESS.internet));
  await engine.endpointUpdate(b!.id, { publish: [parsePublish('8080:80')] });
  await refused(
    engine.networkUpdate('web', { internal: true }),
    'EINTERNAL_NETWORK',
    /network "web" publishes .*:8080->80\/tcp: made internal, nothing could reach that/,
  );
});

test('where published ports bind from now on; labels; and what cannot be changed', async () => {
  await using bed = await makeBed();
  const { engine, host, ends } = bed;
  const [a] = ends;
  await engine.networkUpdate('web', {
    options: { 'com.docker.network.bridge.host_binding_ipv4': '127.0.0.1' },
    labels: { tier: 'front' },
  });
  const { value } = await engine.endpointUpdate(a!.id, { publish: [parsePublish('8080:80')] });
  assert.deepEqual(
    value.ports.map((p) => p.hostAddress),
    ['127.0.0.1'],
  );
  assert.deepEqual((await engine.networkInspect('web')).labels, { tier: 'front' });
  const before = await snapshot(host.netns);
  for (const [update, code, message] of [
    [{ options: { name: 'br9' } }, 'EIMMUTABLE', /^network web: bridge cannot be changed: .* knows its interface/],
    [{ options: { mtuu: '1400' } }, 'EBADOPTION', /did you mean "mtu"/],
    [{ options: { gateway_mode: 'routed' } }, 'EIMMUTABLE', /publishes 127.0.0.1:8080->80\/tcp, which another gateway/],
    [{}, 'EBADOPTION', /nothing to change/],
  ] as const satisfies readonly (readonly [NetworkUpdate, string, RegExp])[]) {
    await refused(engine.networkUpdate('web', update), code, message);
  }
  await refused(engine.networkUpdate('host', { internal: true }), 'EBUILTIN', /built in/);
  await refused(engine.networkUpdate('nowhere', { internal: true }), 'ENETWORKNOTFOUND', /no network "nowhere"/);
  const name = bridgeOf(await engine.networkInspect('web'));
  await engine.networkUpdate('web', { options: { name } }); // what it is already, it may be
  assert.deepEqual(await snapshot(host.netns), before);
});

test('a dry run changes nothing; what is refused half way is taken back; a dead engine’s work is finished', async () => {
  await using bed = await makeBed();
  const { engine, host, ends } = bed;
  const all = async (): Promise<unknown> => [
    await snapshot(host.netns),
    ...(await Promise.all(ends.map((e) => snapshot(e.netns)))),
    await engine.networkInspect('web'),
  ];
  const update: NetworkUpdate = { options: { mtu: '1400', icc: 'false', masquerade: 'false' }, internal: true };
  const before = await all();
  const { plan = [] } = await engine.networkUpdate('web', update, { dryRun: true });
  assert.ok(plan.length > 8);
  assert.deepEqual(await all(), before);

  for (let step = 0; ; step += 3) {
    let facts = 0;
    await using other = await bed.open({
      onFact() {
        if (facts++ === step) throw new Error('no further');
      },
    });
    const result = await other.networkUpdate('web', update).then(
      () => 'done',
      (error: Error) => error.message,
    );
    if (result === 'done') break;
    assert.match(result, /no further/);
    assert.deepEqual(await all(), before, `after fact ${step}`);
    assert.ok(step <= 3 * plan.length);
  }
  assert.equal((await engine.networkInspect('web')).internal, true);
});
