import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextShard, shardFacts } from '../../src/drivers/index.ts';
import { apply, removalOf, remove } from '../../src/engine/apply.ts';
import { missing } from '../../src/engine/diff.ts';
import { Kernel } from '../../src/engine/kernel.ts';
import { Netns } from '../../src/kernel/index.ts';
import { parsePublish } from '../../src/model/index.ts';
import { shardElements } from '../../src/nat/index.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { ADDRESS } from '../lib/host.ts';
import { bare, differences, fill } from '../lib/lan.ts';
import { ping, tcpConnect, tcpServer } from '../lib/peer.ts';
import { okIn } from '../lib/run.ts';
import { linksOf, snapshot } from '../lib/snapshot.ts';

checkDescriptors();

/** A thousand endpoints take a while on a busy machine. */
const LONG = { timeout: 140_000 };

test('pain 30 (moby#44973): more endpoints than the ports of one bridge, on one segment', LONG, async () => {
  await using bed = await makeEngineBed();
  const { engine, host } = bed;
  await engine.networkCreate({ name: 'web', ipv6: true, subnets: [{ subnet: '172.30.0.0/16' }] });
  const [first, last, next] = [await bed.workload('first'), await bed.workload('last'), await bed.workload('next')];
  const { value: begin } = await engine.endpointAttach({ netns: first.path, network: 'web' });
  assert.equal(begin.bridge, undefined);
  await fill(engine, 'web', 1100);
  const ports = [parsePublish('8080:80')];
  const { value: far } = await engine.endpointAttach({ netns: last.path, network: 'web', ports });
  const { value: beside } = await engine.endpointAttach({ netns: next.path, network: 'web' });
  assert.match(far.bridge ?? '', /^brs1-/);
  const taken = new Map<string, number>();
  for (const { master = '' } of await linksOf(host.netns)) taken.set(master, (taken.get(master) ?? 0) + 1);
  taken.delete('');
  assert.deepEqual(
    [...taken.values()].sort((x, y) => y - x),
    [1001, 104],
    'the first is full, the other has the rest',
  );
  // one segment, across the joint and beside it, with one gateway
  for (const [from, to] of [
    [first, far],
    [last, begin],
    [last, beside],
  ] as const) {
    for (const address of bare(to.addresses)) assert.ok(await ping(from.netns, address, { timeout: 5 }), address);
  }
  for (const { netns } of [first, last]) assert.ok(await ping(netns, '172.30.0.1', { timeout: 5 }));
  for (const address of bare(far.addresses)) assert.ok(await ping(host.netns, address, { timeout: 5 }));
  const gateway = await okIn(last.netns, ['ip', 'neigh', 'show', '172.30.0.1']);
  assert.match(gateway, /lladdr 02:42:ac:1e:00:01/, 'the gateway alone answers for itself');
  await using _server = await tcpServer(last.netns, '0.0.0.0', 80);
  assert.ok((await tcpConnect(host.outside, ADDRESS.host, 8080)).ok);
  assert.ok((await tcpConnect(first.netns, ADDRESS.host, 8080)).ok, 'by the host, from the first bridge');
  const network = await engine.networkInspect('web');
  assert.deepEqual(await differences(bed, network, [begin, far, beside]), []);
  assert.deepEqual(network.options.driver === 'bridge' && network.options.shards, [far.bridge]);
  // another engine on the same store sees nothing that is not wanted
  await using second = await bed.open();
  assert.deepEqual(second.recovery.repaired, []);
});

test('a further bridge reads back as it was asked, and goes without a trace', async () => {
  await using bed = await makeEngineBed();
  const { value: network } = await bed.engine.networkCreate({ name: 'web', options: { icc: 'false' } });
  using kernel = new Kernel(Netns.open(`/proc/self/fd/${bed.host.netns.fd}`));
  using scope = kernel.scope();
  const before = await snapshot(bed.host.netns);
  const facts = [...shardFacts(network, nextShard(network)), ...shardElements(network, nextShard(network))];
  await apply(
    scope,
    facts.map((fact) => ({ verb: 'add', fact })),
  );
  assert.notDeepEqual(await snapshot(bed.host.netns), before);
  assert.deepEqual(await missing(scope, facts), []);
  await remove(scope, removalOf(facts));
  assert.deepEqual(await snapshot(bed.host.netns), before);
});
