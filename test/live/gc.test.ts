import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Netns } from '../../src/kernel/index.ts';
import { openEmbeddedStore } from '../../src/store/index.ts';
import { makeEngineBed } from '../lib/engine.ts';
import { checkDescriptors } from '../lib/fds.ts';
import { until } from '../lib/wait.ts';
import { stateOf } from '../lib/kernel-state.ts';
import { okIn } from '../lib/run.ts';
import { namesIn } from '../lib/snapshot.ts';

checkDescriptors();

/** What a person who came by may have done, with netloom's own marks and without. */
const MARK = String(0x6e6c);

test('gc on demand: says what it would do, does it, and then finds nothing', async () => {
  await using bed = await makeEngineBed();
  const { netns } = bed.host;
  await bed.engine.networkCreate({ name: 'web', ipv6: true });
  const [alive, dead] = [await bed.workload('alive'), await bed.workload('dead')];
  const { value: kept } = await bed.engine.endpointAttach({ netns: alive.path, network: 'web' });
  const { value: gone } = await bed.engine.endpointAttach({
    netns: dead.path,
    network: 'web',
    ports: [{ protocol: 'tcp', hostPort: 8080, containerPort: 80, count: 1 }],
  });
  const whole = await stateOf([alive.netns]);
  // foreign things, which must stay
  await okIn(netns, ['ip', 'link', 'add', 'theirs', 'up', 'type', 'bridge']);
  await okIn(netns, ['nft', 'add', 'table', 'inet', 'theirs']);
  await okIn(netns, ['ip', 'route', 'add', '203.0.113.0/24', 'dev', 'theirs', 'proto', 'static']);
  Netns.create().close();
  mkdirSync(join(bed.paths.etcNetnsDir, 'theirs'), { recursive: true });
  writeFileSync(join(bed.paths.etcNetnsDir, 'theirs', 'resolv.conf'), 'nameserver 192.0.2.53\n');
  using foreignSpace = Netns.create();
  foreignSpace.pin(join(bed.paths.netnsDir, 'theirs'));
  // and ours, of which nobody knows
  await okIn(netns, ['ip', 'link', 'add', 'veleak', 'group', MARK, 'type', 'veth', 'peer', 'name', 'peer']);
  await okIn(netns, ['nft', 'add', 'element', 'inet', 'netloom', 'bridges', '{ "leak0" }']);
  using leaked = Netns.create();
  leaked.pin(join(bed.paths.netnsDir, 'leaked'));
  mkdirSync(join(bed.paths.etcNetnsDir, 'leaked'), { recursive: true });
  writeFileSync(join(bed.paths.etcNetnsDir, 'leaked', 'hosts'), '# made by netloom; gone with its container\n');
  mkdirSync(join(bed.paths.runDir, 'containers', 'f'.repeat(64)), { recursive: true });
  {
    await using store = await openEmbeddedStore(bed.paths);
    await store.transact(
      (tx) => void tx.put('ports/tcp/one/09999/0.0.0.0', { endpoint: 'f'.repeat(64), workload: 'x' }),
    );
  }
  // damage, in both places
  await okIn(netns, ['nft', 'flush', 'chain', 'inet', 'netloom', 'forward']);
  await okIn(alive.netns, ['ip', 'route', 'del', 'default']);
  // and one dead
  Netns.unpin(dead.path);
  dead.netns.close();
  await until(
    'the kernel has taken its link away',
    async () => !(await okIn(netns, ['ip', '-o', 'link'])).includes(` ${gone.hostIfname}`),
  );

  const before = await stateOf([netns, alive.netns]);
  const dry = await bed.engine.gc({ dryRun: true });
  assert.deepEqual(await stateOf([netns, alive.netns]), before, 'a dry run changes nothing');
  assert.ok(
    (dry.plan ?? []).some(({ command }) => /ip -?.*link delete veleak/.test(command)),
    JSON.stringify(dry.plan),
  );

  const { value } = await bed.engine.gc();
  assert.deepEqual(value.failed, []);
  assert.match(value.reclaimed.join('\n'), /endpoint eth0 of .*dead: its namespace .* is gone/);
  assert.match(value.reclaimed.join('\n'), /ports\/tcp\/one\/09999/);
  assert.match(value.removed.join('\n'), /interface veleak/);
  assert.match(value.removed.join('\n'), /leak0/);
  assert.match(value.removed.join('\n'), /namespace .*leaked/);
  assert.match(value.removed.join('\n'), /files of container ffffffffffff/);
  assert.match(value.repaired.join('\n'), /forward/);
  assert.match(value.repaired.join('\n'), /route default/);
  assert.equal(dry.value.repaired.length, value.repaired.length, 'as the dry run said');

  assert.deepEqual(await stateOf([alive.netns]), whole);
  assert.deepEqual(namesIn(bed.paths.netnsDir), ['alive', 'theirs']);
  assert.deepEqual(namesIn(bed.paths.etcNetnsDir), ['theirs']);
  await okIn(netns, ['ip', 'link', 'show', 'theirs']);
  await okIn(netns, ['nft', 'list', 'table', 'inet', 'theirs']);
  assert.match(await okIn(netns, ['ip', 'route']), /203\.0\.113\.0/);
  assert.deepEqual(
    (await bed.engine.endpointList()).map((e) => e.id),
    [kept.id],
  );

  const nothing = { reclaimed: [], removed: [], repaired: [], failed: [] };
  assert.deepEqual((await bed.engine.gc()).value, nothing);
});

test('gc where nothing was ever made: nothing to do, nothing touched', async () => {
  await using bed = await makeEngineBed();
  const before = await stateOf([bed.host.netns]);
  assert.deepEqual((await bed.engine.gc()).value, { reclaimed: [], removed: [], repaired: [], failed: [] });
  assert.deepEqual(await stateOf([bed.host.netns]), before);
});
