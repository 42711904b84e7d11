import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeShim } from '../../src/cli/shim-file.ts';
import { Netns } from '../../src/kernel/index.ts';
import { makeDirs } from '../../test/lib/dirs.ts';
import { makeHost } from '../../test/lib/host.ts';
import { podmanNetwork, podmanRequest, REAL_NETAVARK } from '../../test/lib/netavark.ts';
import { enter } from '../../test/lib/run.ts';
import { until } from '../../test/lib/wait.ts';
import { median, result, type Result, timed } from '../lib/measure.ts';
import { makeSite } from '../lib/site.ts';

const WARM = 10;
const ROUNDS = 30;

/**
 * A container with one published port, the first and the last of its network, as Podman asks for it: a process a call. Ours
 * is the shim before a daemon; beside it netavark of this machine's release, each on a host of its own, in turns.
 */
export async function podman(): Promise<Result[]> {
  if (!existsSync(REAL_NETAVARK)) throw new Error(`${REAL_NETAVARK} is missing: apt-get install netavark`);
  await using site = await makeSite('daemon');
  // nothing else is there: the shared rule set comes and goes, too
  await site.api.networkRemove('bench');
  await using other = await makeHost();
  using dirs = makeDirs();
  mkdirSync(dirs.runDir);
  const shim = join(dirs.root, 'netavark');
  writeShim(shim, { program: fileURLToPath(new URL('../../bin/netloom', import.meta.url)), socket: site.calls });
  const sides = {
    ours: { program: shim, host: site.host, setup: [] as number[], teardown: [] as number[] },
    reference: { program: REAL_NETAVARK, host: other.netns, setup: [] as number[], teardown: [] as number[] },
  };
  const request = podmanRequest('c1', [[podmanNetwork('web'), { static_ips: ['10.89.0.2'] }]], {
    port_mappings: [{ container_port: 80, host_ip: '', host_port: 8080, protocol: 'tcp', range: 1 }],
  });
  for (let round = -WARM; round < ROUNDS; round++) {
    for (const name of round % 2 === 0 ? (['ours', 'reference'] as const) : (['reference', 'ours'] as const)) {
      const side = sides[name];
      const path = join(dirs.root, 'ns');
      using netns = Netns.create();
      netns.pin(path);
      try {
        for (const verb of ['setup', 'teardown'] as const) {
          const cost = await timed(() => call(side, [verb, path], dirs.runDir, request));
          if (round >= 0) side[verb].push(cost);
        }
        // the network goes with its last container, and nobody waits for that; whoever is next is not what is measured
        if (name === 'ours')
          await until('the network is gone', async () => (await site.api.networkList()).every((n) => n.name !== 'web'));
      } finally {
        Netns.unpin(path);
      }
    }
  }
  const { ours, reference } = sides;
  return (['setup', 'teardown'] as const).map((verb) =>
    result(`podman/${verb}`, 'ms', median(ours[verb]), median(reference[verb])),
  );
}

/** One call from beginning to end. Both sides pay for the way into their host's namespace. */
async function call(
  { program, host }: { readonly program: string; readonly host: Netns },
  words: readonly string[],
  config: string,
  request: object,
): Promise<void> {
  const options = ['--config', config, '--rootless=false', '--aardvark-binary=/nonexistent'];
  const [file, ...args] = [...enter(host), program, ...options, ...words];
  const child = spawn(file!, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (part: Buffer) => (said += part.toString()));
  child.stdin.end(JSON.stringify(request));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${program} ${words.join(' ')}: status ${code}: ${said}`);
}
