import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { Netns } from '../../src/kernel/index.ts';
import { openEmbeddedStore } from '../../src/store/index.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ping } from '../lib/peer.ts';
import { okIn } from '../lib/run.ts';
import { linksOf } from '../lib/snapshot.ts';
import { until } from '../lib/wait.ts';
import { makeRepairBed, type RepairBed } from './repair-bed.ts';

checkDescriptors();

/** Everything of ours that the host holds for endpoints: links, elements, leases and ports. */
async function holdings(bed: RepairBed): Promise<unknown> {
  await using store = await openEmbeddedStore(bed.paths);
  const links = (await linksOf(bed.host.netns)).map((l) => l.ifname).filter((name) => /^(ve|if)/.test(name));
  const ruleset = await okIn(bed.host.netns, ['nft', 'list', 'ruleset']);
  return {
    links: links.length,
    ports: /8080|9090/.exec(ruleset)?.[0] ?? '',
    store: await store.read(async (tx) => [
      ...(await tx.list('leases/')),
      ...(await tx.list('ports/')),
      ...(await tx.list('endpoints/')),
    ]),
  };
}
const NOTHING = { links: 0, ports: '', store: [] };

test('pain 22 (for-linux#109): a workload that vanishes without a goodbye gives back links, addresses, ports, elements', async () => {
  await using bed = await makeRepairBed();
  Netns.unpin(bed.a.path);
  bed.a.netns.close();
  const event = await bed.told('the reclamation', (e) => e.type === 'gc' && e.action === 'reclaim');
  assert.match(event.attributes['reason'] ?? '', /is gone/);
  await until('nothing is left', async () => {
    assert.deepEqual(await holdings(bed), NOTHING);
    return true;
  });
});

test('a path that leads to another namespace by now: the endpoint is given up, the stranger is not touched', async () => {
  await using bed = await makeRepairBed();
  const stranger = await (async () => {
    Netns.unpin(bed.a.path);
    return await bed.workload('a');
  })();
  await okIn(stranger.netns, ['ip', 'link', 'add', 'eth0', 'type', 'bridge']);
  bed.a.netns.close();
  await until('nothing is left', async () => {
    assert.deepEqual(await holdings(bed), NOTHING);
    return true;
  });
  await okIn(stranger.netns, ['ip', 'link', 'show', 'eth0']);
});

test("netns: a running container's namespace loses its name, and gets it back", async () => {
  await using bed = await makeRepairBed();
  const { value } = await bed.engine.containerCreate({
    name: 'box',
    command: ['sleep', '60'],
    networks: [{ network: 'web' }],
    ports: [{ protocol: 'tcp', hostPort: 9090, containerPort: 80, count: 1 }],
  });
  await bed.engine.containerStart('box');
  const before = await bed.state();
  Netns.unpin(value.netns);
  await bed.told('the name', (e) => e.attributes['kind'] === 'netns');
  assert.ok(existsSync(value.netns));
  using netns = Netns.open(value.netns);
  assert.ok(await ping(netns, bed.gateway));
  assert.deepEqual(await bed.state(), before);
  await bed.engine.containerRemove('box', { force: true });
  assert.ok(!existsSync(value.netns));
});

test('a container that was never started loses its namespace: it is taken down, and can be started again', async () => {
  await using bed = await makeRepairBed();
  const { value } = await bed.engine.containerCreate({
    name: 'box',
    command: ['true'],
    networks: [{ network: 'web' }],
  });
  Netns.unpin(value.netns);
  await bed.told('the reclamation', (e) => e.type === 'gc' && e.name === 'container box');
  assert.deepEqual((await bed.engine.containerInspect('box')).endpoints, []);
  await bed.engine.containerStart('box');
  assert.equal(await bed.engine.containerWait('box'), 0);
});

test('pain 7 (cni#204): after a reboot no address is held, and networks come back', async () => {
  await using bed = await makeRepairBed();
  const { path } = await bed.workload('b');
  const first = await bed.engine.endpointAttach({ netns: path, network: 'web', addresses: ['172.18.0.77'] });
  await bed.engine[Symbol.asyncDispose]();
  // a machine that comes up: no namespace and no link of before, another boot id, the state directory as it was
  for (const { ifname } of (await linksOf(bed.host.netns)).filter((l) => l.group !== 'default' && l.ifname !== 'lo'))
    await okIn(bed.host.netns, ['sh', '-c', `ip link delete ${ifname} 2>/dev/null || :`]);
  await okIn(bed.host.netns, ['nft', 'flush', 'ruleset']);
  await (await openEmbeddedStore({ ...bed.paths, bootId: 'another boot' }))[Symbol.asyncDispose]();
  // whoever opens it next is of that boot, too: the kernel's own id is not what it was, either
  await using engine = await bed.open({ resident: true });
  assert.deepEqual(await engine.endpointList(), []);
  assert.deepEqual((await engine.networkInspect('web')).name, 'web');
  const again = await engine.endpointAttach({ netns: path, network: 'web', addresses: ['172.18.0.77'] });
  assert.equal(again.value.addresses[0], first.value.addresses[0]);
  using netns = Netns.open(path);
  assert.ok(await ping(netns, bed.gateway));
});
