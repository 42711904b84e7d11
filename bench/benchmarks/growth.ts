import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Client } from '../../src/api/client.ts';
import { SHARED, type SharedNetwork } from '../../src/cluster/index.ts';
import { openEtcdStore } from '../../src/store/index.ts';
import { makeDirs } from '../../test/lib/dirs.ts';
import { type Etcd, startEtcd } from '../../test/lib/etcd.ts';
import { type Background, run, start } from '../../test/lib/run.ts';
import { until } from '../../test/lib/wait.ts';
import { median, type Result, result, timed } from '../lib/measure.ts';
import { Simulated } from '../lib/simulated.ts';

/** How many other nodes there are; others by the environment: `GROWTH_NODES=10,100 GROWTH_PLANS=flat`. */
const NODES = (process.env['GROWTH_NODES'] ?? '10,100,300,1000').split(',').map(Number);
const PLANS = (process.env['GROWTH_PLANS'] ?? 'flat,node').split(',') as ('flat' | 'node')[];
const CHANGES = 7;

/**
 * One daemon in a cluster of simulated nodes, which only write their records to a real etcd: what it costs this one. The
 * reference is the same with the fewest nodes; of the memory, the daemon alone.
 */
export async function growth(): Promise<Result[]> {
  const results: Result[] = [];
  for (const plan of PLANS) {
    await using stack = new AsyncDisposableStack();
    const site = await makeSite(stack, plan);
    let first: Figures | undefined;
    for (const nodes of NODES) {
      const figures = await site.grow(nodes);
      first ??= { ...figures, memory: site.alone };
      console.error(`growth/${plan}-${nodes}: ${JSON.stringify(figures)}`);
      for (const [what, unit] of Object.entries(UNITS) as [keyof Figures, string][])
        results.push(result(`growth/${plan}-${nodes}-${what}`, unit, figures[what], first[what]));
    }
  }
  return results;
}

interface Figures {
  /** Of the daemon. */
  readonly memory: number;
  /** From its start until all is in the kernel. */
  readonly resync: number;
  /** Of its processors' time for that. */
  readonly busy: number;
  /** Questions that etcd answered for that. */
  readonly asked: number;
  /** One endpoint more of another node, or one node more, from before it is written until the kernel has it. */
  readonly change: number;
  readonly nodes: number;
  /** etcd's file. */
  readonly etcd: number;
}
const UNITS: Readonly<Record<keyof Figures, string>> = {
  ...{ memory: 'MB', resync: 'ms', busy: 'ms', asked: 'requests', change: 'ms', nodes: 'ms', etcd: 'MB' },
};

interface GrowthSite {
  /** The daemon's memory in a cluster of its own, MB. */
  readonly alone: number;
  grow(nodes: number): Promise<Figures>;
}

async function makeSite(stack: AsyncDisposableStack, plan: 'flat' | 'node'): Promise<GrowthSite> {
  const dirs = stack.use(makeDirs());
  const etcd = stack.use(await startEtcd());
  // in this very namespace, which is the benchmark's own: what the plan before left goes
  const links = JSON.parse((await run(['ip', '-j', 'link'])).stdout) as { ifname: string }[];
  for (const { ifname } of links) if (ifname !== 'lo') await run(['ip', 'link', 'del', ifname]);
  await run(['nft', 'flush', 'ruleset']);
  await run(['ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'far0']);
  for (const words of ['link set far0 up', 'link set eth0 up', 'addr add 172.16.0.1/16 dev eth0'])
    await run(['ip', ...words.split(' ')]);
  const socket = join(dirs.root, 'netloom.sock');
  const main = ['../../dist/cli/main.js', '../../src/cli/main.ts']
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(path))!;
  const env = { ...process.env, NODE_COMPILE_CACHE: join(dirs.root, 'cache/netloom/node') };
  const flags = ['--max-semi-space-size=2', '--disable-warning=ExperimentalWarning'];
  const words = ['daemon', `--socket=${socket}`, `--state-dir=${dirs.stateDir}`, `--run-dir=${dirs.runDir}`];
  let daemon: Background | undefined;
  let client: Client | undefined;
  const end = async (): Promise<void> => {
    await client?.[Symbol.asyncDispose]();
    await daemon?.[Symbol.asyncDispose]();
    client = daemon = undefined;
  };
  stack.defer(end);
  const begin = async (): Promise<Client> => {
    const running = (daemon = start([process.execPath, ...flags, main, ...words], { env }));
    const answers = async (): Promise<Client | undefined> => {
      if (running.child.exitCode !== null) throw new Error(`the daemon ended: ${running.output()}`);
      return await Client.connect(socket);
    };
    const answering = await until('the daemon answers', answers, { timeout: 60_000 });
    client = answering;
    return answering;
  };
  const api = await begin();
  await api.nodeJoin({ etcd: etcd.endpoints, name: 'real', addresses: ['172.16.0.1'] });
  const spec = { name: plan, driver: 'overlay', subnets: [{ subnet: '10.0.0.0/8' }], options: { plan } } as const;
  const { value } = await api.networkCreate(spec);
  // applied by its first endpoint
  await api.endpointAttach({ tap: true, netns: '', network: plan });
  const shared = await sharedNetwork(etcd, value.id);
  const others = stack.use(await Simulated.open(etcd.endpoints, shared, value.overlay!.self.prefixes));
  const { bridge } = value.options as { bridge: string };
  const alone = memoryOf(daemon!.child.pid!);
  return {
    alone,
    async grow(nodes) {
      await end();
      await others.growTo(nodes);
      const before = await requests(etcd);
      const now = await begin();
      const pid = daemon!.child.pid!;
      const count = async (): Promise<boolean> => (await now.nodeList()).length > nodes;
      const resync = await timed(() => until('all is there', count, { timeout: 900_000 }));
      const [asked, memory, busy] = [(await requests(etcd)) - before, memoryOf(pid), busyOf(pid)];
      const changes: number[] = [];
      for (let i = 0; i < CHANGES; i++)
        changes.push(
          await timed(async () => {
            const what = plan === 'flat' ? await others.endpoint(nodes * 10 + i) : await others.node();
            const argv = plan === 'flat' ? ['neigh', 'get', what, 'dev', bridge] : ['route', 'get', 'fibmatch', what];
            const there = async (): Promise<boolean> => (await run(['ip', ...argv])).stdout.includes(what);
            await until('it is in the kernel', there, { timeout: 30_000, every: 1 });
          }),
        );
      const list: number[] = [];
      for (let i = 0; i < CHANGES; i++) list.push(await timed(() => now.nodeList()));
      const [status] = JSON.parse(await etcd.ctl('endpoint', 'status', '-w', 'json')) as [
        { Status: { dbSize: number } },
      ];
      const size = status.Status.dbSize / 1e6;
      return { memory, resync, busy, asked, change: median(changes), nodes: median(list), etcd: size };
    },
  };
}

async function sharedNetwork(etcd: Etcd, id: string): Promise<SharedNetwork> {
  await using store = await openEtcdStore({ endpoints: etcd.endpoints });
  return (await store.read((tx) => tx.get<SharedNetwork>(SHARED.networks + id)))!;
}

/** How many questions etcd has answered. */
async function requests(etcd: Etcd): Promise<number> {
  const text = await (await fetch(`${etcd.endpoints[0]}/metrics`)).text();
  return [...text.matchAll(/^grpc_server_handled_total\{.*\} (\S+)$/gm)].reduce((sum, [, n]) => sum + Number(n), 0);
}

/** @see proc_pid_status(5) VmRSS, in kB */
function memoryOf(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return (Number(kilobytes) * 1024) / 1e6;
}

/** Milliseconds of processors' time. @see proc_pid_stat(5) utime, stime */
function busyOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
