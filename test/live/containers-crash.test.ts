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
import { changes } from './containers-changes.ts';
import { type ContainerBed, logOf, makeContainerBed, namespaceOf, runPlan, traces } from './containers-bed.ts';

const WORKER = fileURLToPath(new URL('containers-worker.ts', import.meta.url));
const SIGKILLED = 128 + 9;

for (const [name, change] of Object.entries(changes)) {
  test(`SIGKILL after every fact of ${name}: the container stays whole, up or down`, { timeout: 120_000 }, async () => {
    await using bed = await makeContainerBed();
    const { engine } = bed;
    await engine.networkCreate({ name: 'a', ipv6: true });
    await engine.networkCreate({ name: 'b', ipv6: true });
    let died = 0;
    for (let at = 1; ; at++) {
      assert.ok(at < 100);
      const clean = await traces(bed);
      await engine.containerCreate({ name: 'box', command: ['echo', 'ran'], networks: [{ network: 'a' }], ports: [parsePublish('8888:80')] });
      await engine.containerStart('box');
      await engine.containerWait('box');
      await engine.containerExited('box');
      const down = await inside(bed);
      if (change.from === 'up') await engine.containerSpawnPlan('box', { foreground: true });
      const before = await inside(bed);
      const { status, stderr } = await run([process.execPath, '--no-warnings', WORKER, bed.options, 'die', String(at), name]);
      if (status !== 0) {
        assert.equal(status, SIGKILLED, stderr);
        died++;
        await using _next = await bed.open();
        const state = await inside(bed);
        // with its namespace it has its network, too; without, nothing is left of either
        if (state.up) {
          assert.deepEqual(state, before, `killed after fact ${at}`);
          using netns = namespaceOf(bed, 'box');
          assert.ok(await ping(netns, ADDRESS.internet), `it reaches the outside after fact ${at}`);
          assert.ok(await ping(netns, ADDRESS.internet6), `it reaches the outside after fact ${at}`);
        } else {
          assert.deepEqual(state, down, `killed after fact ${at}`);
        }
        assert.equal(await logOf(engine, 'box'), 'ran\n', 'its log stays');
        const { status: again } = await runPlan(await engine.containerSpawnPlan('box', { foreground: true }));
        assert.equal(again, 0, 'it can be started');
      }
      await engine.containerRemove('box', { force: true });
      assert.deepEqual(await traces(bed), clean, `removed after fact ${at}`);
      if (status === 0) break;
    }
    assert.ok(died > 0, 'the change has facts');
  });
}

async function inside(bed: ContainerBed): Promise<{ readonly up: boolean; readonly kernel: unknown; readonly host: unknown; readonly endpoints: unknown }> {
  const up = existsSync(join(bed.paths.netnsDir, 'box'));
  const { endpoints } = await bed.engine.containerInspect('box');
  const shown = endpoints.map((e) => [e.ifname, e.addresses, e.gateways, e.phase, e.ports]);
  if (!up) return { up, kernel: '', host: withoutIds(await snapshot(bed.host.netns)), endpoints: shown };
  using netns = namespaceOf(bed, 'box');
  return { up, kernel: withoutIds(await snapshot(netns)), host: withoutIds(await snapshot(bed.host.netns)), endpoints: shown };
}

/** A container that is made again has other endpoint ids. */
function withoutIds(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value).replaceAll(/\bve[0-9a-f]{11}\b/g, 'veth').replaceAll(/endpoint [0-9a-f]{12}/g, 'endpoint'));
}
