import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '../../src/api/client.ts';
import { withoutLength } from '../../src/addr/index.ts';
import { COMMANDS } from '../../src/cli/commands/index.ts';
import { isAlive, Netns, signalPid, waitPid } from '../../src/kernel/index.ts';
import {
  cutLinks,
  execPlan,
  heal,
  labDown,
  type LabPlan,
  type LabSpec,
  type LabStatus,
  labStatus,
  labUp,
  machineOf,
  partition,
  Place,
  plainSpec,
  type Program,
  serviceOf,
} from '../../src/lab/index.ts';
import { type Conditions, IDEAL } from '../../src/lab/spec.ts';
import { PACE } from './pace.ts';
import { okIn, run, type RunOptions, type RunResult } from './run.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
export const PROGRAM: Program = { node: [process.execPath, '--disable-warning=ExperimentalWarning'], main: MAIN };

export interface LabOptions {
  /** Default 2. */
  readonly hosts?: number;
  /** Members; default none. */
  readonly etcd?: number;
  /** Whether daemons are joined to the cluster on etcd, where there is such a verb; default true. */
  readonly join?: boolean;
  /** Instead of the above, or what is made of it. */
  readonly spec?: (plain: LabSpec) => LabSpec;
}

/** Hosts of a test's own, taken down at disposal. */
export interface TestLab extends AsyncDisposable {
  readonly place: Place;
  readonly plan: LabPlan;
  /** `host1`, `etcd1`, `router` … */
  host(name: string): LabHost;
  /** Both ways; without `b` from everybody. */
  cut(a: string, b?: string, options?: { readonly oneWay?: boolean }): Promise<void>;
  partition(...groups: readonly (readonly string[])[]): Promise<void>;
  /** All that is cut, or what is between these. */
  heal(a?: string, b?: string): Promise<void>;
  status(): Promise<LabStatus>;
  /** Once more: puts back what is missing. */
  up(spec?: LabSpec): Promise<void>;
  /** At all members, from the first; what it printed. */
  etcdctl(...words: readonly string[]): Promise<string>;
}

export interface LabHost {
  readonly name: string;
  /** On its first segment, without length; empty where it has none. */
  readonly address4: string;
  readonly address6: string;
  /** For everything of this folder that takes one; closed with the lab. */
  readonly netns: Netns;
  /** `/run/netns/NAME-host1` */
  readonly netnsPath: string;
  /** Its daemon. */
  readonly client: Client;
  /** In its namespaces, seeing its files. A status other than 0 is no error. */
  exec(argv: readonly [string, ...string[]], options?: RunOptions): Promise<RunResult>;
  /** As `exec`, for what must succeed: its output. */
  ok(argv: readonly [string, ...string[]], options?: RunOptions): Promise<string>;
  /** `netloom …` there, which its daemon answers. */
  cli(...words: readonly string[]): Promise<RunResult>;
  /** A named namespace of the host's: `path` for its daemon, `netns` for this process. Its lo is up. */
  workload(name: string): Promise<{ readonly path: string; readonly netns: Netns }>;
  /** Of its daemon, or of etcd. @throws Error where it does not run */
  pid(): number;
  /** Its daemon, or etcd. SIGKILL is waited for. */
  signal(signal: NodeJS.Signals): Promise<void>;
}

let labs = 0;

/** A lab of the test's own: names, folders and namespaces that no other has. */
export async function makeLab({ hosts = 2, etcd = 0, join: joined = true, spec }: LabOptions = {}): Promise<TestLab> {
  await using undo = new AsyncDisposableStack();
  const root = mkdtempSync(join(tmpdir(), 'lab-'));
  undo.defer(() => rmSync(root, { recursive: true, force: true }));
  const name = `t${process.pid}-${labs++}`;
  const plain = { ...plainSpec({ name, hosts, etcd }), join: joined };
  const place = new Place(name, join(root, 'l'));
  const opened = undo.use(new DisposableStack());
  const up = (wanted: LabSpec): Promise<LabPlan> =>
    labUp(place, wanted, {
      program: PROGRAM,
      canJoin: COMMANDS.some(({ path }) => path.join(' ') === 'node join'),
      patience: (15_000 + 8000 * wanted.hosts.length) * PACE,
    });
  undo.defer(() => (place.read() ? labDown(place) : undefined));
  let wanted = spec ? spec(plain) : plain;
  let plan = await up(wanted);
  const known = new Map<string, LabHost>();
  const host = (machine: string): LabHost => {
    const found = known.get(machine) ?? openHost(place, () => plan, machine, opened);
    known.set(machine, found);
    return found;
  };
  const kept = undo.move();
  return {
    place,
    get plan() {
      return plan;
    },
    host,
    async cut(a, b, options = {}) {
      await cutLinks(place, { a, ...(b !== undefined && { b }), ...options });
    },
    async partition(...groups) {
      await partition(place, groups);
    },
    async heal(a, b) {
      await heal(place, a === undefined ? undefined : { a, ...(b !== undefined && { b }) });
    },
    status: () => labStatus(place),
    async up(changed) {
      wanted = changed ?? wanted;
      plan = await up(wanted);
    },
    etcdctl: (...words) => host('etcd1').ok(['etcdctl', '--command-timeout=5s', ...words]),
    // a second time there is nothing left to do
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Of a lab whose hosts have no daemons. */
export function bare(plain: LabSpec): LabSpec {
  return { ...plain, hosts: plain.hosts.map((host) => ({ ...host, daemon: undefined })) };
}

/** What the cables of each host do from now on, and nothing else; the last is for all hosts behind it, too. */
export async function setCables(lab: TestLab, ...each: readonly Partial<Conditions>[]): Promise<void> {
  const { spec } = lab.place.mustRead();
  const hosts = spec.hosts.map((host, i) => ({
    ...host,
    links: host.links.map((link) => ({ ...link, ...IDEAL, ...(each[i] ?? each.at(-1)) })),
  }));
  await lab.up({ ...spec, hosts });
}

function openHost(place: Place, plan: () => LabPlan, name: string, opened: DisposableStack): LabHost {
  const machine = machineOf(plan(), name);
  const addresses = machine.links[0]?.addresses.map(withoutLength) ?? [];
  const netns = opened.use(Netns.open(place.netns(name)));
  const exec = async (argv: readonly [string, ...string[]], options: RunOptions = {}): Promise<RunResult> => {
    const { file, args, env } = execPlan(place, plan(), machineOf(plan(), name), argv, { cwd: '/' });
    return await run(['env', '-i', ...Object.entries(env).map(([k, v]) => `${k}=${v}`), file, ...args], options);
  };
  const ok: LabHost['ok'] = async (argv, options) => {
    const { status, stdout, stderr } = await exec(argv, options);
    if (status !== 0) throw new Error(`${name}: ${argv.join(' ')}: status ${status}: ${(stderr || stdout).trim()}`);
    return stdout;
  };
  const service = (): { pid: number; startTime: number } => {
    const found = serviceOf(place, name);
    if (!found) throw new Error(`the service of ${name} does not run`);
    return found;
  };
  return {
    name,
    address4: addresses.find((address) => !address.includes(':')) ?? '',
    address6: addresses.find((address) => address.includes(':')) ?? '',
    netns,
    netnsPath: place.netns(name),
    client: new Client(place.socket(name)),
    exec,
    ok,
    cli: (...words) => exec([...PROGRAM.node, MAIN, ...words] as [string, ...string[]]),
    async workload(workload) {
      await ok(['ip', 'netns', 'add', workload]);
      const inside = `/run/netns/${workload}`;
      const found = opened.use(Netns.open(`/proc/${service().pid}/root${inside}`));
      await okIn(found, ['ip', 'link', 'set', 'lo', 'up']);
      return { path: inside, netns: found };
    },
    pid: () => service().pid,
    async signal(signal) {
      const { pid, startTime } = service();
      signalPid(pid, startTime, signal);
      if (signal === 'SIGKILL' && isAlive(pid, startTime)) await waitPid(pid);
    },
  };
}
