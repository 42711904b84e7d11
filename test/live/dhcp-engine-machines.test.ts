/** Machines behind taps of netloom's own networks: a namespace whose `eth0` is the far end of an endpoint's tap. */
// runs: here in one mode (virtual machines, whoever starts them)
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { dhcp6Acquire, dhcpAcquire, type DhcpLease } from '../../src/dhcp/index.ts';
import type { Engine } from '../../src/engine/index.ts';
import { BRIDGE_TABLE } from '../../src/facts/index.ts';
import { Netns, tunCreate } from '../../src/kernel/index.ts';
import type { Endpoint } from '../../src/model/index.ts';
import { makeEngineBed, type EngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { bare } from '../lib/lan.ts';
import { ping } from '../lib/peer.ts';
import { ipBatch, okIn, startIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';
import { listen, WAIT } from './dhcp-engine-bed.ts';

checkDescriptors();

interface Machine extends AsyncDisposable {
  readonly netns: Netns;
  ask(mac?: string): Promise<DhcpLease>;
}

/** Its `eth0` and the tap are joined frame by frame, as a hypervisor would. */
async function plugIn(bed: EngineBed, { ifname, mac }: Endpoint): Promise<Machine> {
  await using undo = new AsyncDisposableStack();
  const netns = undo.use(Netns.create());
  {
    using near = tunCreate(bed.host.netns, ifname, { mode: 'tap' });
    using far = tunCreate(netns, 'eth0', { mode: 'tap' });
    // what it hears of routers is its own affair, whatever the host's are told to do
    await okIn(netns, ['sysctl', '-qw', 'net.ipv6.conf.eth0.accept_ra=2']);
    await ipBatch(netns, ['link set lo up', `link set eth0 address ${mac}`, 'link set eth0 up']);
    const stdio = ['ignore', 'pipe', 'pipe', near.number, far.number] as const;
    undo.use(startIn(netns, ['socat', '-b', '65536', 'FD:3', 'FD:4'], { stdio: [...stdio] }));
  }
  const kept = undo.move();
  return {
    netns,
    ask: (as = mac) =>
      dhcpAcquire({ netns, ifname: 'eth0', mac: as, clientId: `01:${as}`, probeMs: 0, timeoutMs: 30_000 }),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function attach(engine: Engine, network: string, ifname: string): Promise<Endpoint> {
  return (await engine.endpointAttach({ netns: '', tap: true, ifname, network, aliases: [`vm-${ifname}`] })).value;
}

test('a machine is told what its endpoint has, in both families; it changes with the network', async () => {
  await using bed = await makeEngineBed();
  await using engine = await bed.open({ resident: true });
  const { value: network } = await engine.networkCreate({ name: 'front', ipv6: true, options: { mtu: '1400' } });
  const endpoint = await attach(engine, 'front', 'tap0');
  const [four, six] = network.subnets;
  await using machine = await plugIn(bed, endpoint);

  const lease = await machine.ask();
  assert.equal(lease.address, endpoint.addresses[0]);
  assert.equal(lease.router, four!.gateway);
  assert.deepEqual(lease.dns, [four!.gateway]);
  assert.deepEqual(lease.search, ['front']);
  assert.equal(lease.mtu, 1400);

  // by router advertisement alone the kernel has its way out, and no address that is not the endpoint's
  const routes = await until(
    'a router advertises itself',
    async () => {
      const text = await okIn(machine.netns, ['ip', '-6', 'route']);
      return /default via (fe80::1) dev eth0/.test(text) && text;
    },
    WAIT,
  );
  assert.match(routes, /proto ra/);
  assert.doesNotMatch(await okIn(machine.netns, ['ip', '-6', 'addr', 'show', 'scope', 'global']), /inet6/);
  const lease6 = await dhcp6Acquire({
    ...{ netns: machine.netns, ifname: 'eth0', mac: endpoint.mac, duid: `00030001${endpoint.mac.replaceAll(':', '')}` },
    ...{ iaid: 1, timeoutMs: 30_000 },
  });
  assert.equal(lease6.address, `${bare(endpoint.addresses)[1]}/128`);
  assert.deepEqual(lease6.dns, [six!.gateway]);
  await ipBatch(machine.netns, [
    `addr add ${lease.address} dev eth0`,
    `addr add ${endpoint.addresses[1]} dev eth0 nodad`,
  ]);
  assert.ok(await ping(machine.netns, four!.gateway));
  assert.ok(await ping(machine.netns, six!.gateway));

  await engine.networkUpdate('front', { options: { mtu: '1380' } });
  await until('it is told the new MTU', async () => (await machine.ask()).mtu === 1380, WAIT);
});

test('strangers hear nothing: containers, other machines’ addresses, machines that are gone', async () => {
  await using bed = await makeEngineBed();
  await using engine = await bed.open({ resident: true });
  await using events = listen(engine);
  await engine.networkCreate({ name: 'front' });
  const [one, two] = [await attach(engine, 'front', 'tap1'), await attach(engine, 'front', 'tap2')];
  await using first = await plugIn(bed, one);
  await using second = await plugIn(bed, two);
  const leases = await Promise.all([first.ask(), second.ask()]);
  assert.deepEqual(
    leases.map((l) => l.address),
    [one.addresses[0], two.addresses[0]],
  );
  await until('both are told', () => events.seen.filter((e) => e.action === 'ack').length === 2, WAIT);

  const box = await bed.workload('box');
  const { value: container } = await engine.endpointAttach({ netns: box.path, network: 'front' });
  const refused = (netns: Netns, mac: string): Promise<void> =>
    assert.rejects(
      dhcpAcquire({ netns, ifname: 'eth0', mac, clientId: `01:${mac}`, timeoutMs: 3000 }),
      /no DHCP server/,
    );
  await Promise.all([
    refused(box.netns, container.mac),
    // one that says it is the other: dropped by the guard, and not believed without
    refused(first.netns, two.mac),
  ]);
  await engine.endpointDetach(two.id);
  await engine.networkRemove('front').catch(() => undefined);
  await refused(first.netns, two.mac);
  assert.equal((await first.ask()).address, one.addresses[0], 'the network that is in use is served on');
});

test('a machine that plays DHCP server is not heard; the next engine serves it as the last one did', async () => {
  await using bed = await makeEngineBed();
  await using stack = new AsyncDisposableStack();
  {
    await using engine = await bed.open({ resident: true });
    await engine.networkCreate({ name: 'front' });
  }
  const rogue = await attach(bed.engine, 'front', 'tap1');
  const honest = await attach(bed.engine, 'front', 'tap2');
  const bad = stack.use(await plugIn(bed, rogue));
  const good = stack.use(await plugIn(bed, honest));
  const subnet = (await bed.engine.networkInspect('front')).subnets[0]!;
  await ipBatch(bad.netns, [`addr add ${rogue.addresses[0]} dev eth0`]);
  const server = stack.use(
    startIn(bad.netns, [
      ...['dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null', '--port=0', '--user=', '--group='],
      ...[
        '--interface=eth0',
        '--bind-interfaces',
        '--except-interface=lo',
        '--no-ping',
        '--log-facility=-',
        '--pid-file=',
      ],
      ...[`--dhcp-range=${bare(rogue.addresses)[0]},static`, `--dhcp-host=${honest.mac},${bare(honest.addresses)[0]}`],
      ...['--dhcp-option=3,192.0.2.66', `--dhcp-leasefile=${join(bed.dirs.root, 'rogue')}`, '--log-dhcp'],
    ]),
  );
  await until('it serves', () => /DHCP, (static|sockets|IP)/.test(server.output()), WAIT);
  // nobody else is there: without a daemon nobody is answered, and the rogue is not let through
  const alone = dhcpAcquire({
    ...{ netns: good.netns, ifname: 'eth0', mac: honest.mac, clientId: `01:${honest.mac}`, timeoutMs: 4000 },
  });
  await assert.rejects(alone, /no DHCP server/);
  assert.match(server.output(), /DHCPOFFER/, 'it did offer');
  const { family, name } = BRIDGE_TABLE;
  const dropped = await okIn(bed.host.netns, ['nft', 'list', 'chain', family, name, 'drop_dhcp_server']);
  assert.match(dropped, /counter packets [1-9]/);
  stack.use(await bed.open({ resident: true }));
  const lease = await good.ask();
  assert.equal(lease.router, subnet.gateway);
});
