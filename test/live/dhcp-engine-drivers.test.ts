/** Addresses from the DHCP server of the LAN: every kind of endpoint, beside others, and what happens in the middle. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Netns } from '../../src/kernel/index.ts';
import type { NetworkSpec } from '../../src/model/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { LAN } from '../lib/lan.ts';
import { okIn } from '../lib/run.ts';
import { linksOf, snapshot } from '../lib/snapshot.ts';
import { until } from '../lib/wait.ts';
import {
  addressesIn,
  heldOf,
  listen,
  makeSite,
  RANGE,
  ROUTER,
  routesIn,
  severalAtOnce,
  startDaemon,
  WAIT,
} from './dhcp-engine-bed.ts';

checkDescriptors();

const KINDS: readonly (readonly [string, Omit<NetworkSpec, 'name'>])[] = [
  ['macvlan in mode private', { driver: 'macvlan', options: { parent: 'lan0', mode: 'private' } }],
  ['a bridge that is on the LAN', { driver: 'bridge', options: { name: 'brlan' } }],
];
for (const [what, spec] of KINDS)
  test(`${what}: several at once, each with an address of its own`, () => severalAtOnce(spec));

test('the default route goes to the LAN and comes back, as priorities and ends of networks say', async () => {
  await using site = await makeSite();
  const { bed } = site;
  await using _server = await site.serve(`${RANGE},1h`, ROUTER);
  await using engine = await bed.open({ resident: true });
  await engine.networkCreate({ name: 'front' });
  await engine.networkCreate({ name: 'lan', driver: 'macvlan', ipam: 'dhcp', options: { parent: 'lan0' } });
  const { netns, path } = await bed.workload('w');
  const { value: front } = await engine.endpointAttach({ network: 'front', netns: path });
  const defaults = async (): Promise<string[]> => (await routesIn(netns)).filter((line) => line.startsWith('default'));
  assert.deepEqual(await defaults(), [`default via ${front.gateways[0]} dev eth0`]);
  const { value: low } = await engine.endpointAttach({ network: 'lan', netns: path });
  assert.deepEqual(low.gateways, []);
  assert.deepEqual(await defaults(), [`default via ${front.gateways[0]} dev eth0`]);
  await engine.endpointDetach(low.id);
  const { value: high } = await engine.endpointAttach({ network: 'lan', netns: path, gatewayPriority: 1 });
  assert.deepEqual(high.gateways, [LAN.peer]);
  assert.deepEqual(await defaults(), ['default via 198.18.0.2 dev eth1']);
  const gateways = (await engine.endpointList()).map((e) => [e.ifname, e.gateways]);
  assert.deepEqual(Object.fromEntries(gateways), { eth0: [], eth1: [LAN.peer] });
  await engine.endpointDetach(high.id);
  assert.deepEqual(await defaults(), [`default via ${front.gateways[0]} dev eth0`]);
});

test('a daemon that is killed while it asks: the next one removes what there is', async () => {
  await using site = await makeSite();
  const { bed } = site;
  const { netns, path } = await bed.workload('w');
  const before = await snapshot(netns);
  {
    await using engine = await bed.open({ resident: true });
    await engine.networkCreate({ name: 'lan', driver: 'macvlan', ipam: 'dhcp', options: { parent: 'lan0' } });
  }
  // nobody answers: it goes on asking
  const daemon = await startDaemon(bed, { network: 'lan', netns: path });
  await until('the link is there', async () => (await linksOf(netns)).length === 2, WAIT);
  await until('it is being made', async () => (await bed.engine.endpointList())[0]?.phase === 'creating', WAIT);
  daemon.child.kill('SIGKILL');
  await daemon[Symbol.asyncDispose]();
  await using engine = await bed.open({ resident: true });
  assert.deepEqual(engine.recovery.finished.length, 1, engine.recovery.finished.join());
  assert.deepEqual(await engine.endpointList(), []);
  assert.deepEqual(await snapshot(netns), before);
  await using _server = await site.serve(`${RANGE},1h`, ROUTER);
  const { value } = await engine.endpointAttach({ network: 'lan', netns: path });
  assert.equal(value.addresses.length, 1);
});

test('an engine that ends while it asks gives up, and takes the link back', async () => {
  await using site = await makeSite();
  const { bed } = site;
  const { netns, path } = await bed.workload('w');
  const before = await snapshot(netns);
  {
    await using engine = await bed.open({ resident: true });
    await engine.networkCreate({ name: 'lan', driver: 'macvlan', ipam: 'dhcp', options: { parent: 'lan0' } });
    const attaching = assert.rejects(engine.endpointAttach({ network: 'lan', netns: path }));
    await until('the link is there', async () => (await linksOf(netns)).length === 2, WAIT);
    await engine[Symbol.asyncDispose]();
    await attaching;
  }
  await using engine = await bed.open({ resident: true });
  assert.deepEqual(await engine.endpointList(), []);
  assert.deepEqual(await snapshot(netns), before);
});

test('a workload that dies without a goodbye: its lease is given back all the same', async () => {
  await using site = await makeSite();
  const { bed } = site;
  await using server = await site.serve(`${RANGE},1h`, ROUTER);
  await using engine = await bed.open({ resident: true });
  await using events = listen(engine);
  await engine.networkCreate({ name: 'lan', driver: 'macvlan', ipam: 'dhcp', options: { parent: 'lan0' } });
  const path = `${bed.paths.netnsDir}/mortal`;
  {
    using netns = Netns.create();
    netns.pin(path);
    await engine.endpointAttach({ network: 'lan', netns: path });
    assert.equal(server.leased().length, 1);
    Netns.unpin(path);
  }
  await until('the lease is given back', () => server.leased().length === 0, WAIT);
  await until('it is told', () => events.seen.some((e) => e.action === 'release'), WAIT);
  assert.deepEqual(await heldOf(bed), []);
});

test('an address or a route that somebody removes comes back', async () => {
  await using site = await makeSite();
  const { bed } = site;
  await using _server = await site.serve(`${RANGE},1h`, ROUTER);
  await using engine = await bed.open({ resident: true });
  await engine.networkCreate({ name: 'lan', driver: 'macvlan', ipam: 'dhcp', options: { parent: 'lan0' } });
  const { netns, path } = await bed.workload('w');
  const { value } = await engine.endpointAttach({ network: 'lan', netns: path });
  await okIn(netns, ['ip', 'addr', 'flush', 'dev', 'eth0']);
  await until('the address is back', async () => (await addressesIn(netns)).join() === value.addresses.join(), WAIT);
  await until(
    'the route is back',
    async () => (await routesIn(netns)).includes('default via 198.18.0.2 dev eth0'),
    WAIT,
  );
});
