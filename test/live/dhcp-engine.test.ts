/** Addresses from the DHCP server of the LAN: dnsmasq on the segment, macvlan and ipvlan endpoints of a resident engine. */
// runs: here in one mode (a protocol and its keeper)
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Engine } from '../../src/engine/index.ts';
import type { Endpoint } from '../../src/model/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { bare, LAN } from '../lib/lan.ts';
import { ping } from '../lib/peer.ts';
import { type Background, ipBatch, startIn } from '../lib/run.ts';
import { linksOf, snapshot } from '../lib/snapshot.ts';
import { until } from '../lib/wait.ts';
import { withCode } from './api-fixture.ts';
import {
  addressesIn,
  age,
  heldOf,
  listen,
  makeSite,
  RANGE,
  ROUTER,
  routesIn,
  startDaemon,
  WAIT,
} from './dhcp-engine-bed.ts';

checkDescriptors();

test('an endpoint of a macvlan network has what the server of the LAN gives, and gives it back', async () => {
  await using site = await makeSite();
  const { bed, segment } = site;
  await using server = await site.serve(
    `${RANGE},1h`,
    ROUTER,
    '--dhcp-option=121,10.77.0.0/16,198.18.0.2,0.0.0.0/0,198.18.0.2',
  );
  await using engine = await bed.open({ resident: true });
  await using events = listen(engine);
  const before = await snapshot(bed.host.netns);
  const { value: network } = await engine.networkCreate({
    ...{ name: 'lan', driver: 'macvlan', ipam: 'dhcp', options: { parent: 'lan0' } },
  });
  assert.deepEqual(network.subnets, []);
  const { netns, path } = await bed.workload('w');

  const planned = await engine.endpointAttach({ network: 'lan', netns: path }, { dryRun: true });
  const commands = (planned.plan ?? []).map(({ command }) => command);
  assert.ok(
    commands.some((command) => /link add .* type macvlan/.test(command)),
    commands.join('\n'),
  );
  assert.match(commands.at(-1)!, /udhcpc -i eth0 .*# address and routes come by DHCP/);
  assert.deepEqual(
    (await linksOf(netns)).map((l) => l.ifname),
    ['lo'],
  );
  assert.doesNotMatch(server.log(), /DHCPDISCOVER/, 'a dry run asks nobody');

  const { value: endpoint } = await engine.endpointAttach({ network: 'lan', netns: path });
  assert.match(endpoint.addresses.join(), /^198\.18\.0\.1\d\d\/24$/);
  assert.deepEqual(endpoint.gateways, [LAN.peer]);
  assert.equal(endpoint.lease?.server, LAN.peer);
  assert.deepEqual(await addressesIn(netns), endpoint.addresses);
  const routes = await routesIn(netns);
  assert.ok(routes.includes('default via 198.18.0.2 dev eth0'), routes.join('; '));
  assert.ok(routes.includes('10.77.0.0/16 via 198.18.0.2 dev eth0'), routes.join('; '));
  assert.ok(await ping(netns, LAN.peer));
  assert.deepEqual(server.leased(), bare(endpoint.addresses));
  assert.deepEqual(
    (await engine.endpointList()).map((e) => e.addresses),
    [endpoint.addresses],
  );
  assert.match(await engine.metrics(), /netloom_dhcp_leases 1/);

  await engine.endpointDetach(endpoint.id);
  await until('the lease is given back', () => server.leased().length === 0, WAIT);
  await until('it is told', () => events.seen.some((e) => e.action === 'release'), WAIT);
  assert.deepEqual(
    events.seen.map((e) => e.action),
    ['bind', 'release'],
  );
  await engine.networkRemove('lan');
  assert.deepEqual(await snapshot(bed.host.netns), before);
  assert.ok(segment);
});

test('a lease outlives its daemon, which is killed: the next one renews it, and the address stays', async () => {
  await using site = await makeSite();
  const { bed } = site;
  await using server = await site.serve(`${RANGE},1h`, ROUTER);
  const { netns, path } = await bed.workload('w');
  let endpoint: Endpoint;
  {
    await using engine = await bed.open({ resident: true });
    await engine.networkCreate({ name: 'lan', driver: 'macvlan', ipam: 'dhcp', options: { parent: 'lan0' } });
    ({ value: endpoint } = await engine.endpointAttach({ network: 'lan', netns: path }));
  }
  assert.deepEqual(await addressesIn(netns), endpoint.addresses, 'without a daemon everything stays');
  assert.deepEqual(server.leased(), bare(endpoint.addresses));
  const requests = (): number => server.log().match(/DHCPREQUEST/g)?.length ?? 0;
  const renewed = async (what: string, next: () => Promise<unknown>): Promise<void> => {
    const before = requests();
    await age(bed, 31 * 60_000);
    await next();
    await until(what, () => requests() > before, WAIT);
    assert.deepEqual(await addressesIn(netns), endpoint.addresses);
    assert.deepEqual(server.leased(), bare(endpoint.addresses));
  };
  {
    let daemon: Background | undefined;
    await renewed('another process renews it', async () => (daemon = await startDaemon(bed)));
    // the answer has been written down: there is nothing to ask for
    await until('it is written down', async () => (await heldOf(bed))[0]!.lease.renewAt > Date.now(), WAIT);
    daemon!.child.kill('SIGKILL');
    await daemon![Symbol.asyncDispose]();
  }
  await using stack = new AsyncDisposableStack();
  let engine!: Engine;
  await renewed('the next one renews it', async () => (engine = stack.use(await bed.open({ resident: true }))));
  // nobody was asked for another
  assert.equal(server.log().match(/DHCPDISCOVER/g)?.length, 1);
  await engine.endpointDetach(endpoint.id);
  await until('the lease is given back', () => server.leased().length === 0, WAIT);
  await until('and forgotten', async () => (await heldOf(bed)).length === 0, WAIT);
});

test('an endpoint that goes while no daemon is there: the next one gives its lease back', async () => {
  await using site = await makeSite();
  const { bed } = site;
  await using server = await site.serve(`${RANGE},1h`, ROUTER);
  const { path } = await bed.workload('w');
  {
    await using engine = await bed.open({ resident: true });
    await engine.networkCreate({ name: 'lan', driver: 'macvlan', ipam: 'dhcp', options: { parent: 'lan0' } });
    await engine.endpointAttach({ network: 'lan', netns: path });
  }
  const [endpoint] = await bed.engine.endpointList();
  await bed.engine.endpointDetach(endpoint!.id);
  assert.equal(server.leased().length, 1);
  await using _engine = await bed.open({ resident: true });
  await until('the lease is given back', () => server.leased().length === 0, WAIT);
});

test('short leases are renewed in time; what the server changes is followed, and an address that is over goes', async () => {
  await using site = await makeSite();
  const { bed, segment } = site;
  // dnsmasq gives no less than two minutes
  const serve = async (seconds: number, router: string): Promise<Background> => {
    const config = join(bed.dirs.root, 'udhcpd.conf');
    writeFileSync(
      config,
      [
        ...['interface eth0', 'start 198.18.0.100', 'end 198.18.0.100', 'min_lease 1', 'auto_time 0'],
        ...[`lease_file ${config}.leases`, `pidfile ${config}.pid`, 'opt subnet 255.255.255.0'],
        ...[`opt lease ${seconds}`, `opt router ${router}`, ''],
      ].join('\n'),
    );
    writeFileSync(`${config}.leases`, '');
    return startIn(segment.peer, ['busybox', 'udhcpd', '-f', config]);
  };
  await ipBatch(segment.peer, ['addr add 198.18.0.3/24 dev eth0']);
  await using engine = await bed.open({ resident: true });
  await using events = listen(engine);
  await engine.networkCreate({ name: 'lan', driver: 'macvlan', ipam: 'dhcp', options: { parent: 'lan0' } });
  const { netns, path } = await bed.workload('w');
  const seen = (action: string): number => events.seen.filter((event) => event.action === action).length;
  {
    await using _server = await serve(8, LAN.peer);
    const { value: endpoint } = await engine.endpointAttach({ network: 'lan', netns: path });
    assert.deepEqual(endpoint.addresses, ['198.18.0.100/24']);
    await until('two renewals', () => seen('renew') >= 2, WAIT);
    assert.match(await engine.metrics(), /netloom_dhcp_renewals_total\{result="ok"\} [1-9]/);
  }
  {
    await using _server = await serve(8, '198.18.0.3');
    await until('the change is followed', () => seen('change') >= 1, WAIT);
    const [endpoint] = await engine.endpointList();
    assert.deepEqual(endpoint!.gateways, ['198.18.0.3']);
    assert.ok((await routesIn(netns)).includes('default via 198.18.0.3 dev eth0'));
    assert.deepEqual(await addressesIn(netns), ['198.18.0.100/24']);
  }
  await until('it runs out', () => seen('expire') >= 1, WAIT);
  await until('it is gone', async () => (await addressesIn(netns)).length === 0, WAIT);
  assert.deepEqual(
    (await engine.endpointList()).map((e) => [e.addresses, e.gateways]),
    [[[], []]],
  );
  assert.match(await engine.metrics(), /netloom_dhcp_leases 0/);
  await using _server = await serve(3600, LAN.peer);
  await until('it comes back', async () => (await addressesIn(netns)).length === 1, { timeout: 90_000 });
  assert.ok((await routesIn(netns)).includes('default via 198.18.0.2 dev eth0'));
  assert.ok(await ping(netns, LAN.peer));
});

test('without a server nothing stays of an attachment; without a daemon it is refused', async () => {
  await using site = await makeSite();
  const { bed } = site;
  const spec = { name: 'lan', driver: 'macvlan', ipam: 'dhcp', options: { parent: 'lan0' } };
  await using engine = await bed.open({ resident: true });
  await engine.networkCreate(spec);
  const { netns, path } = await bed.workload('w');
  const before = await snapshot(netns);
  await assert.rejects(bed.engine.endpointAttach({ network: 'lan', netns: path }), withCode('ENEEDSDAEMON'));
  await assert.rejects(engine.endpointAttach({ network: 'lan', netns: path }), (error: Error) => {
    assert.match(error.message, /eth0 in .*: no DHCP server gave a lease within \d+ s .*nothing was heard/);
    return withCode('EDHCP')(error);
  });
  assert.deepEqual(await engine.endpointList(), []);
  assert.deepEqual(await snapshot(netns), before);
});

test('pain 28 (libnetwork#843): containers have addresses of the LAN, the same at the next start', async () => {
  await using site = await makeSite();
  const { bed } = site;
  await using server = await site.serve(`${RANGE},1h`, ROUTER, '--dhcp-host=02:00:00:00:09:09,198.18.0.77,printer');
  await using engine = await bed.open({ resident: true });
  await engine.networkCreate({ name: 'lan', driver: 'macvlan', options: { parent: 'lan0', ipam: 'dhcp' } });
  const spec = { command: ['sleep', '300'], dns: { servers: [LAN.peer] } };
  try {
    const { value: web } = await engine.containerCreate({ ...spec, name: 'web', networks: [{ network: 'lan' }] });
    const [address] = web.endpoints[0]!.addresses;
    assert.match(server.log(), /client provides name: web/);
    await engine.containerStart('web');
    await engine.containerStop('web', { timeoutSeconds: 0 });
    await until('the lease is given back', () => server.leased().length === 0, WAIT);
    await engine.containerStart('web');
    const again = await engine.containerInspect('web');
    assert.deepEqual(again.endpoints[0]!.addresses, [address]);
    assert.equal(again.endpoints[0]!.mac, web.endpoints[0]!.mac);

    // as reserved at the server for its MAC address
    const mac = '02:00:00:00:09:09';
    await engine.containerCreate({ ...spec, name: 'printer', networks: [{ network: 'lan', mac }] });
    const printer = (await engine.containerInspect('printer')).endpoints[0]!;
    assert.deepEqual(printer.addresses, ['198.18.0.77/24']);
    // an address that is another's at the server
    await assert.rejects(
      engine.containerCreate({ ...spec, name: 'thief', networks: [{ network: 'lan', addresses: ['198.18.0.77'] }] }),
      withCode('EADDRTAKEN'),
    );
    assert.deepEqual((await engine.containerList({ all: true })).map((c) => c.name).toSorted(), ['printer', 'web']);
  } finally {
    for (const { id } of await engine.containerList({ all: true })) await engine.containerRemove(id, { force: true });
  }
  await until('all leases are given back', () => server.leased().length === 0, WAIT);
});
