// runs: here in one mode (each verb is killed at each fact; who does it changes nothing)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Netns } from '../../src/kernel/index.ts';
import { makeEngineBed, type EngineBed } from '../lib/engine.ts';
import { ping } from '../lib/peer.ts';
import { run } from '../lib/run.ts';
import { namesIn, snapshot } from '../lib/snapshot.ts';
import { FIRST, STRIDE } from '../lib/stride.ts';
import { operations } from './operations.ts';

const CHILD = fileURLToPath(new URL('kill-child.ts', import.meta.url));
const SIGKILLED = 128 + 9;
/** More facts than any operation has. */
const ENDLESS = 200;

for (const [name, operation] of Object.entries(operations)) {
  test(`SIGKILL after every single fact of: ${name}`, { timeout: 120_000 }, async () => {
    await using bed = await makeEngineBed();
    const { netnsDir } = bed.paths;
    // what must survive whatever happens beside it
    await bed.engine.networkCreate({ name: 'kept', ipv6: true });
    const kept = await bed.workload('kept');
    await bed.workload('victim');
    const { value: survivor } = await bed.engine.endpointAttach({ netns: kept.path, network: 'kept' });
    const gateway = (await bed.engine.networkInspect('kept')).subnets[0]?.gateway ?? '';

    await operation.setup?.(bed.engine);
    let died = 0;
    for (let at = FIRST; at < ENDLESS; at += STRIDE) {
      const empty = await everything(bed);
      await operation.prepare(bed.engine, netnsDir);
      const before = operation.ends === 'before' ? empty : await everything(bed);
      const { status, stderr } = await run([
        process.execPath,
        '--no-warnings',
        CHILD,
        childOptions(bed),
        name,
        String(at),
      ]);
      if (status === 0) {
        assert.ok(died > 0 || FIRST > 1, 'the operation has facts');
        assert.notDeepEqual(await everything(bed), before, 'and did something');
        break;
      }
      assert.equal(status, SIGKILLED, stderr);
      died++;
      // the next start puts it right
      await using next = await bed.open();
      const whole = (await next.endpointList()).find((e) => e.id !== survivor.id);
      if (whole) {
        assert.ok(operation.keeps, `killed after fact ${at}: ${whole.ifname} stays`);
        assert.equal(whole.phase, 'ready');
        const { value: found } = await next.gc({ dryRun: true });
        assert.deepEqual([...found.reclaimed, ...found.removed, ...found.repaired], [], `after fact ${at} it is whole`);
        await next.endpointDetach(whole.id);
      }
      assert.deepEqual(await everything(bed), empty, `killed after fact ${at}: ${next.recovery.finished.join(', ')}`);
      assert.ok(await ping(kept.netns, gateway), `the survivor still reaches its gateway after fact ${at}`);
      assert.deepEqual(
        (await next.endpointList()).map((e) => e.id),
        [survivor.id],
      );
    }
  });
}

function childOptions(bed: EngineBed): string {
  return JSON.stringify({ ...bed.paths, netnsPath: `/proc/${process.pid}/fd/${bed.host.netns.fd}` });
}

/** Everything that a leak could show in: the kernel by the field's own tools, names of namespaces, files, the store. */
async function everything(bed: EngineBed): Promise<unknown> {
  using victim = Netns.open(`${bed.paths.netnsDir}/victim`);
  const networks = await bed.engine.networkList();
  return {
    host: await snapshot(bed.host.netns),
    victim: await snapshot(victim),
    names: namesIn(bed.paths.netnsDir),
    etc: namesIn(bed.paths.etcNetnsDir),
    containers: (await bed.engine.containerList({ all: true })).map((c) => c.name),
    networks: networks.map((n) => `${n.name} ${n.phase}`),
    endpoints: (await bed.engine.endpointList()).map((e) => e.id),
  };
}
