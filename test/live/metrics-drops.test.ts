import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Engine } from '../../src/engine/index.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { rawSocket, sniff, udp } from '../lib/frames.ts';
import { okIn } from '../lib/run.ts';
import { until } from '../lib/wait.ts';

checkDescriptors();

/** What one metric says, by the label `reason`; without those at zero. */
async function dropped(engine: Engine, what: 'packets' | 'bytes'): Promise<Record<string, number>> {
  const found = (await engine.metrics()).matchAll(/^netloom_dropped_(\w+)_total\{reason="(\w+)"\} (\S+)$/gm);
  const all = [...found].filter(([, unit, , count]) => unit === what && count !== '0');
  return Object.fromEntries(all.map(([, , reason, count]) => [reason, Number(count)]));
}

test('drops are scraped by reason, and never go back when the rule set is flushed or goes', async () => {
  await using bed = await makeEngineBed({}, { resident: true });
  const { engine, host } = bed;
  const { value: network } = await engine.networkCreate({ name: 'web' });
  const gateway = network.subnets[0]!.gateway;
  const [a, b] = [await bed.workload('a'), await bed.workload('b')];
  const { value: mallory } = await engine.endpointAttach({ netns: a.path, network: 'web' });
  const { value: alice } = await engine.endpointAttach({ netns: b.path, network: 'web' });
  const ip = ({ addresses }: typeof alice): string => addresses[0]!.replace(/\/.*/, '');
  using socket = rawSocket(a.netns);
  using heard = sniff(b.netns);
  let sent = 0;
  const ports = { sport: 9, dport: 9 };
  const spoof = async (): Promise<void> => {
    const way = { from: mallory.mac, to: alice.mac, dst: ip(alice), ...ports };
    socket.send(udp({ ...way, src: gateway, text: 'a lie of 22 characters' }));
    // a true word behind it: what was to be counted has been
    socket.send(udp({ ...way, src: ip(mallory), text: `truth ${++sent}.` }));
    await heard.upTo(`truth ${sent}.`);
  };
  assert.match(await engine.metrics(), /^netloom_dropped_packets_total\{reason="ipv4_source"\} 0$/m);
  assert.deepEqual(await dropped(engine, 'packets'), {});

  await spoof();
  await spoof();
  assert.deepEqual(await dropped(engine, 'packets'), { ipv4_source: 2 });
  const bytes = (await dropped(engine, 'bytes'))['ipv4_source'];
  assert.equal(bytes, 2 * (20 + 8 + 22));

  const chains = (): Promise<string> => okIn(host.netns, ['nft', 'list', 'chain', 'bridge', 'netloom', 'drop_mac']);
  for (const damage of [
    'flush chain bridge netloom drop_ipv4_source',
    'flush ruleset',
    'delete table bridge netloom',
  ]) {
    const before = (await dropped(engine, 'packets'))['ipv4_source']!;
    await okIn(host.netns, ['nft', ...damage.split(' ')]);
    assert.equal((await dropped(engine, 'packets'))['ipv4_source'], before, damage);
    await until(`repaired: ${damage}`, async () => (await chains()).includes('counter packets'));
    await until('counts again', async () => {
      await spoof();
      return (await dropped(engine, 'packets'))['ipv4_source']! > before;
    });
  }

  // two scrapes at once count nothing twice
  const both = await Promise.all(Array.from({ length: 8 }, () => dropped(engine, 'packets')));
  for (const each of both) assert.deepEqual(each, both[0]);

  const total = (await dropped(engine, 'packets'))['ipv4_source']!;
  await engine.endpointDetach(mallory.id);
  await engine.endpointDetach(alice.id);
  await engine.networkRemove('web');
  assert.equal((await dropped(engine, 'packets'))['ipv4_source'], total, 'the last network took the rule set along');
});

test('an engine that does not stay tells what the kernel has counted', async () => {
  await using bed = await makeEngineBed();
  await bed.engine.networkCreate({ name: 'web' });
  assert.match(await bed.engine.metrics(), /^netloom_dropped_packets_total\{reason="unpublished"\} 0$/m);
});
