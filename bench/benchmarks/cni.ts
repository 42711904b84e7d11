import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '../../src/api/client.ts';
import { writeShim } from '../../src/cli/shim-file.ts';
import { Netns } from '../../src/kernel/index.ts';
import { makeDirs } from '../../test/lib/dirs.ts';
import { makeHost } from '../../test/lib/host.ts';
import { okIn, startIn } from '../../test/lib/run.ts';
import { until } from '../../test/lib/wait.ts';
import { median, type Result, result } from '../lib/measure.ts';

/** Where Debian's containernetworking-plugins has them. */
const REFERENCE = '/usr/lib/cni';
const ROUNDS = 30;
/** Before they count: a daemon's code is compiled after its first few hundred calls. */
const WARM = 200;
const CROWD = 50;
/** What the issue asks of an ADD where no daemon runs, milliseconds. */
const COLD_MS = 150;

/**
 * ADD and DEL, a process a call, of our one plugin beside the reference's chain (bridge, portmap, firewall, with host-local)
 * and beside its bridge alone; a port is published by ours and by the chain.
 */
export async function cni(): Promise<Result[]> {
  if (!existsSync(join(REFERENCE, 'portmap'))) throw new Error(`needs containernetworking-plugins in ${REFERENCE}`);
  await using site = await makeSite();
  const { ours, chain, bridge, cold } = site;
  const adds = { ours: [] as number[], chain: [] as number[], bridge: [] as number[], cold: [] as number[] };
  const crowds = { ours: [] as number[], chain: [] as number[] };

  await site.daemon(async () => {
    for (let done = 0; done < WARM; done += CROWD) {
      await ours.call('ADD', CROWD);
      await ours.call('DEL', CROWD);
    }
    for (let round = 0; round < ROUNDS; round++) {
      // neither always follows the same other one
      const order = (['ours', 'chain', 'bridge'] as const).map((_, i, all) => all[(i + round) % all.length]!);
      for (const name of order) adds[name].push(await site[name].call('ADD', 1, round));
    }
    for (const side of [ours, chain, bridge]) await side.call('DEL', ROUNDS);
    for (let round = 0; round < 3; round++) {
      for (const name of ['ours', 'chain'] as const) {
        // one after another: how they come is not what is measured
        for (let i = 0; i < CROWD; i++) await site[name].call('ADD', 1, i);
        crowds[name].push(await site[name].call('DEL', CROWD));
      }
    }
  });
  for (let round = 0; round < ROUNDS; round++) {
    adds.cold.push(await cold.call('ADD', 1));
    await cold.call('DEL', 1);
  }
  const coldest = median(adds.cold.slice(3));
  return [
    result('cni/add-chain', 'ms', median(adds.ours), median(adds.chain)),
    result('cni/add-bridge', 'ms', median(adds.ours), median(adds.bridge)),
    result('cni/del-50', 'ms', median(crowds.ours), median(crowds.chain)),
    result('cni/cold-add', 'ms', coldest, COLD_MS),
  ];
}

/** One list of plugins, called for workloads in namespaces of its own. */
interface Side {
  /** @param first the number of the first workload. @returns milliseconds until all have answered */
  call(verb: 'ADD' | 'DEL', count: number, first?: number): Promise<number>;
}
interface Site extends AsyncDisposable, Readonly<Record<'ours' | 'chain' | 'bridge' | 'cold', Side>> {
  /** Runs `body` beside a daemon. */
  daemon(body: () => Promise<void>): Promise<void>;
}

async function makeSite(): Promise<Site> {
  await using stack = new AsyncDisposableStack();
  const dirs = stack.use(makeDirs());
  const host = stack.use(await makeHost());
  const program = installed(dirs.root);
  const shim = join(dirs.root, 'netloom');
  writeShim(shim, { program, socket: join(dirs.runDir, 'call.sock') });
  const pods: string[] = [];
  stack.defer(() => pods.forEach((path) => Netns.unpin(path)));
  const env = {
    NETLOOM_STATE_DIR: dirs.stateDir,
    NETLOOM_RUN_DIR: dirs.runDir,
    // as the launcher chooses it
    NODE_COMPILE_CACHE: join(dirs.root, 'cache/netloom/node'),
  };

  const side = (name: string, plugins: readonly (readonly [path: string, conf: object])[]): Side => {
    const dir = join(dirs.root, name);
    for (const each of ['ns', 'results']) mkdirSync(join(dir, each), { recursive: true });
    for (let i = 0; i < CROWD; i++) {
      const path = join(dir, 'ns', String(i));
      using netns = Netns.create();
      netns.pin(path);
      pods.push(path);
    }
    const list = plugins.flatMap(([path, conf], i) => {
      const file = join(dir, `${i}.conf`);
      const text = JSON.stringify({ cniVersion: '1.0.0', name, ...conf, prevResult: '@PREV@' });
      writeFileSync(file, text.replaceAll('"@PREV@"', '@PREV@').replaceAll('"@PORT@"', '@PORT@'));
      return [path, file];
    });
    const driver = fileURLToPath(new URL('../build/cni_call', import.meta.url));
    return {
      call: async (verb, count, first = 0) => {
        const words = [verb, String(count), String(first), join(dir, 'ns'), join(dir, 'results')];
        return Number(await okIn(host.netns, [driver, ...words, ...list], { env, timeout: 120_000 }));
      },
    };
  };
  const runtimeConfig = { portMappings: [{ hostPort: '@PORT@', containerPort: 80, protocol: 'tcp' }] };
  const subnet = (n: number): string => `10.${n}.0.0/16`;
  const bridge = (n: number, masquerade: boolean): readonly [string, object] => [
    join(REFERENCE, 'bridge'),
    {
      type: 'bridge',
      bridge: `br${n}`,
      isGateway: true,
      ipMasq: masquerade,
      ipam: { type: 'host-local', dataDir: join(dirs.root, 'ipam'), ranges: [[{ subnet: subnet(n) }]] },
    },
  ];
  const own: readonly [string, object] = [shim, { type: 'netloom', subnets: [{ subnet: subnet(61) }], runtimeConfig }];
  const sides = {
    ours: side('ours', [own]),
    chain: side('chain', [
      bridge(62, true),
      [join(REFERENCE, 'portmap'), { type: 'portmap', runtimeConfig }],
      [join(REFERENCE, 'firewall'), { type: 'firewall' }],
    ]),
    bridge: side('alone', [bridge(63, false)]),
    cold: side('ours-cold', [[shim, { ...own[1], subnets: [{ subnet: subnet(64) }] }]]),
  };
  const kept = stack.move();
  return {
    ...sides,
    async daemon(body) {
      const socket = join(dirs.runDir, 'netloom.sock');
      const words = ['daemon', `--socket=${socket}`, `--state-dir=${dirs.stateDir}`, `--run-dir=${dirs.runDir}`];
      await using daemon = startIn(host.netns, [program, ...words], { env: { ...process.env, ...env } });
      await until(
        'the daemon answers',
        async () => {
          if (daemon.child.exitCode !== null) throw new Error(`the daemon ended: ${daemon.output()}`);
          const client = await Client.connect(socket);
          await client?.[Symbol.asyncDispose]();
          return client !== undefined;
        },
        { timeout: 20_000 },
      );
      await body();
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** The program as a package has it, which tools/bench.sh has built: a checkout's launcher runs its sources. */
function installed(root: string): string {
  const checkout = fileURLToPath(new URL('../..', import.meta.url));
  if (!existsSync(join(checkout, 'dist/cli/main.js'))) throw new Error('dist is not built: run it by npm run bench');
  const program = join(root, 'package/bin/netloom');
  mkdirSync(join(root, 'package/bin'), { recursive: true });
  copyFileSync(join(checkout, 'bin/netloom'), program);
  for (const each of ['dist', 'node_modules']) symlinkSync(join(checkout, each), join(root, 'package', each));
  return program;
}
