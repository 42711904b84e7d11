// runs: here in one mode (what is killed where; who does it changes nothing)
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parsePublish } from '../../src/model/index.ts';
import { ADDRESS } from '../lib/host.ts';
import { ping } from '../lib/peer.ts';
import { run } from '../lib/run.ts';
import { snapshot } from '../lib/snapshot.ts';
import { FIRST, STRIDE } from '../lib/stride.ts';
import { changes } from './containers-changes.ts';
import { type ContainerBed, logOf, makeContainerBed, namespaceOf, runPlan, traces } from './containers-bed.ts';

const WORKER = fileURLToPath(new URL('containers-worker.ts', import.meta.url));
const SIGKILLED = 128 + 9;

for (const [name, change] of Object.entries(changes)) {
  test(`SIGKILL after every fact of ${name}: the container stays whole, up or down`, { timeout: 120_000 }, async () => {
    await using bed = await makeContainerBed();
    const { engine } = bed;
    await engine.networkCreate({
      name: 'a',
      ipv6: true,
      subnets: [{ subnet: '10.9.1.0/24' }, { subnet: 'fd09:1::/64' }],
    });
    await engine.networkCreate({
      name: 'b',
      ipv6: true,
      subnets: [{ subnet: '10.9.2.0/24' }, { subnet: 'fd09:2::/64' }],
    });
    const clean = await traces(bed);
    let after: State | undefined;
    let died = 0;
    // first to its end, to see where that is
    for (let at = 0; ; at = at === 0 ? FIRST : at + STRIDE) {
      assert.ok(at < 100);
      await engine.containerCreate({
        name: 'box',
        command: ['echo', 'ran'],
        networks: change.networks,
        ports: [parsePublish('8888:80')],
      });
      await engine.containerStart('box');
      assert.equal(await engine.containerWait('box'), 0);
      const ended = await inside(bed);
      if (change.from !== 'ended') await engine.containerExited('box');
      const down = await inside(bed);
      if (change.from === 'up') await engine.containerSpawnPlan('box', { foreground: true });
      const before = await inside(bed);
      const { status, stderr } = await run([
        process.execPath,
        '--no-warnings',
        WORKER,
        bed.options,
        'die',
        String(at),
        name,
      ]);
      if (status === 0) {
        after ??= await inside(bed);
        assert.notDeepEqual(after, change.from === 'ended' ? ended : before, 'the change changes something');
      } else {
        assert.equal(status, SIGKILLED, stderr);
        died++;
        await using next = await bed.open();
        const state = await inside(bed);
        assert.deepEqual(
          state,
          { down: change.from === 'ended' ? after : down, before, after }[change.ends],
          `killed after fact ${at}: ${next.recovery.finished.join()}`,
        );
        if (state.up) {
          using netns = namespaceOf(bed, 'box');
          for (const address of [ADDRESS.internet, ADDRESS.internet6])
            assert.ok(await ping(netns, address), `${address} after fact ${at}`);
        }
        assert.equal(await logOf(engine, 'box'), 'ran\n', 'its log stays');
        assert.equal(
          (await runPlan(await engine.containerSpawnPlan('box', { foreground: true }))).status,
          0,
          'it can be started',
        );
      }
      await engine.containerRemove('box', { force: true });
      assert.deepEqual(await traces(bed), clean, `removed after fact ${at}`);
      if (status === 0 && at > 0) break;
    }
    assert.ok(died > 0 || FIRST > 1, 'the change has facts');
  });
}

interface State {
  readonly up: boolean;
  readonly kernel: unknown;
  readonly host: unknown;
  readonly endpoints: unknown;
  readonly networks: unknown;
}

async function inside(bed: ContainerBed): Promise<State> {
  const up = existsSync(join(bed.paths.netnsDir, 'box'));
  const { endpoints, networks } = await bed.engine.containerInspect('box');
  const shown = endpoints.map((e) => [e.ifname, e.addresses, e.gateways, e.phase, e.ports]);
  if (!up) return { up, kernel: '', host: withoutIds(await snapshot(bed.host.netns)), endpoints: shown, networks };
  using netns = namespaceOf(bed, 'box');
  return {
    up,
    kernel: withoutIds(await snapshot(netns)),
    host: withoutIds(await snapshot(bed.host.netns)),
    endpoints: shown,
    networks,
  };
}

/** A container that is made again has other endpoint ids. */
function withoutIds(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value)
      .replaceAll(/\bve[0-9a-f]{11}\b/g, 'veth')
      .replaceAll(/endpoint [0-9a-f]{12}/g, 'endpoint'),
  );
}
