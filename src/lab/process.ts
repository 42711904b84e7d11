import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  accessSync,
  closeSync,
  constants,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { NetloomError } from '../errors.ts';
import { isAlive, readShimPid, shimArgs, type ShimMount, type ShimPid, shimPath } from '../kernel/index.ts';
import { withoutLength } from '../addr/index.ts';
import type { LabPlan, Machine } from './plan.ts';
import type { Place } from './place.ts';

/** How this program is started again. */
export interface Program {
  /** `process.execPath`, and what it is given before the file. */
  readonly node: readonly string[];
  /** Its main file. */
  readonly main: string;
}

/** What a machine has of its own: it sees the rest of this one's files. */
const LAYERED = ['/etc', '/var/lib'] as const;
const OWN = [...LAYERED, '/run'] as const;
/** What of this machine it must not even see: whoever made these is not on that host. */
const EMPTY = ['/etc/netns', '/etc/cni', '/var/lib/netloom', '/var/lib/cni'] as const;

/** The process that holds a machine's namespaces: undefined where it is not running. */
export function initOf(place: Place, machine: string): ShimPid | undefined {
  return alive(place.of(machine, 'init'));
}
/** A machine's daemon, or etcd; of the wire, its line. */
export function serviceOf(place: Place, machine: string): ShimPid | undefined {
  return alive(place.of(machine, 'service'));
}

function alive(dir: string): ShimPid | undefined {
  const found = readShimPid(dir);
  return found && isAlive(found.pid, found.startTime) ? found : undefined;
}

/** Starts what holds the machine's namespaces: network, mounts and host name. @throws NetloomError ELABSTART */
export async function startInit(place: Place, plan: LabPlan, machine: Machine): Promise<void> {
  const own = (path: string): string => place.of(machine.name, path.slice(1).replaceAll('/', '-'));
  const init = place.of(machine.name, 'init');
  rmSync(init, { recursive: true, force: true });
  mkdirSync(init, { recursive: true });
  for (const path of LAYERED) mkdirSync(`${own(path)}/work`, { recursive: true, mode: 0o755 });
  for (const path of EMPTY) {
    const below = LAYERED.find((each) => path.startsWith(`${each}/`))!;
    mkdirSync(`${own(below)}/upper${path.slice(below.length)}`, { recursive: true, mode: 0o755 });
    mkdirSync(own(path), { recursive: true, mode: 0o755 });
  }
  writeNames(`${own('/etc')}/upper`, plan, machine);
  mkdirSync(own('/run'), { recursive: true, mode: 0o755 });
  const bind = (path: string): ShimMount => ({ type: 'bind', source: own(path), target: path });
  const inner: ShimMount[] = EMPTY.map(bind);
  const cache = compileCache();
  if (cache !== undefined && isOwn(cache)) {
    mkdirSync(`${own('/run')}/node-cache`, { recursive: true });
    inner.push({ type: 'bind', source: cache, target: `${own('/run')}/node-cache` });
  }
  inner.push(bind('/run'));
  const start = (outer: readonly ShimMount[]): Promise<void> =>
    runShim(
      shimArgs({
        dir: init,
        netns: place.netns(machine.name),
        hostname: machine.name,
        mounts: [...outer, ...inner],
        detach: true,
        log: `${init}/log`,
        cwd: '/',
        command: ['sleep', '2147483647'],
      }),
      machine.name,
    );
  try {
    await start(LAYERED.map((path) => ({ type: 'overlay', source: own(path), target: path })));
  } catch (error) {
    // no overlayfs, or one upon too many others: /etc is copied, and /var/lib begins with what is netloom's
    if (!(error instanceof NetloomError) || !error.message.includes('mount an overlay')) throw error;
    copyReadable('/etc', `${own('/etc')}/upper`);
    await start(LAYERED.map((path) => ({ type: 'bind', source: `${own(path)}/upper`, target: path })));
  }
}

/** Files and folders that this user may read; what is there already stays. */
function copyReadable(from: string, to: string): void {
  const filter = (path: string): boolean => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isSymbolicLink()) return true;
    if (!stat?.isFile() && !stat?.isDirectory()) return false;
    try {
      accessSync(path, stat.isFile() ? constants.R_OK : constants.R_OK | constants.X_OK);
      return true;
    } catch {
      return false;
    }
  };
  cpSync(from, to, { recursive: true, force: false, verbatimSymlinks: true, filter });
}

/** Everybody by name; no name server is on the wire. */
function writeNames(etc: string, plan: LabPlan, self: Machine): void {
  const lines = plan.machines.flatMap((machine) =>
    machine.links.flatMap((link) => link.addresses.map((address) => `${withoutLength(address)} ${machine.name}`)),
  );
  writeFileSync(`${etc}/hosts`, ['127.0.0.1 localhost', '::1 localhost', ...lines, ''].join('\n'));
  writeFileSync(`${etc}/hostname`, `${self.name}\n`);
  rmSync(`${etc}/resolv.conf`, { force: true });
  writeFileSync(`${etc}/resolv.conf`, '# no name server is on the wire of a lab: names are in /etc/hosts\n');
}

/**
 * Starts a machine's service, which goes on by itself; its output goes to `service/log`.
 * @throws NetloomError ELABSTART
 */
export async function startService(place: Place, plan: LabPlan, machine: Machine, program: Program): Promise<void> {
  const dir = place.of(machine.name, 'service');
  mkdirSync(dir, { recursive: true });
  rmSync(`${dir}/pid`, { force: true });
  const log = openSync(`${dir}/log`, 'a', 0o640);
  try {
    const { file, args, env } = execPlan(place, plan, machine, serviceCommand(machine, program), { dir });
    const child = spawn(file, args, { env, cwd: '/', detached: true, stdio: ['ignore', log, log] });
    let failed = '';
    child.once('error', (error) => (failed = error.message));
    child.once('exit', (code, signal) => (failed = `it ended with ${signal ?? code}; see ${dir}/log`));
    // from then on it is found by whoever comes next
    while (!readShimPid(dir)) {
      if (failed !== '') throw startError(machine.name, failed);
      await delay(2);
    }
    child.unref();
  } finally {
    closeSync(log);
  }
}

function serviceCommand(machine: Machine, program: Program): [string, ...string[]] {
  const args = machine.service ?? [];
  // nothing that is kept in /run survives a power cut anyway
  if (machine.kind === 'etcd')
    return ['etcd', '--data-dir=/run/etcd', '--unsafe-no-fsync', '--log-level=warn', ...args];
  const [node = process.execPath, ...flags] = program.node;
  return [node, ...flags, program.main, 'daemon', ...args];
}

/** How a command is run in a machine: to be spawned as it is. */
export interface ExecPlan {
  readonly file: string;
  readonly args: string[];
  readonly env: Record<string, string>;
}

/** @throws NetloomError ELABDOWN where the machine does not run */
export function execPlan(
  place: Place,
  plan: LabPlan,
  machine: Machine,
  command: readonly [string, ...string[]],
  options: {
    readonly dir?: string;
    readonly cwd?: string;
    readonly env?: Readonly<Record<string, string | undefined>>;
  } = {},
): ExecPlan {
  const init = initOf(place, machine.name);
  if (!init) {
    throw new NetloomError('ELABDOWN', `${machine.name} of the lab ${place.name} is not running`, {
      hint: 'netloom lab up starts what is missing.',
    });
  }
  const { dir, cwd } = options;
  const args = shimArgs({
    enter: init.pid,
    startTime: init.startTime,
    command,
    ...(dir !== undefined && { dir }),
    ...(cwd !== undefined && { cwd }),
  });
  return { file: shimPath(), args, env: environment(options.env ?? process.env, plan, machine) };
}

/** The caller's environment, without what leads to this machine's own netloom, files and folders. */
function environment(
  from: Readonly<Record<string, string | undefined>>,
  plan: LabPlan,
  machine: Machine,
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(from)) {
    if (value === undefined || /^(NETLOOM_|XDG_|LISTEN_|ETCDCTL_)/.test(name)) continue;
    if (/^(TMPDIR|HOME|NODE_COMPILE_CACHE)$/.test(name) && isOwn(value)) continue;
    env[name] = value;
  }
  const cache = compileCache();
  return {
    ...env,
    ...(cache !== undefined && { NODE_COMPILE_CACHE: isOwn(cache) ? '/run/node-cache' : cache }),
    HOME: env['HOME'] ?? '/',
    PATH: `${binDir()}:${env['PATH'] ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'}`,
    NETLOOM_LAB: plan.name,
    NETLOOM_LAB_HOST: machine.name,
    NETLOOM_SOCKET: '/run/netloom/netloom.sock',
    NETLOOM_RUN_DIR: '/run/netloom',
    NETLOOM_STATE_DIR: '/var/lib/netloom',
    ...(process.arch === 'arm64' && { ETCD_UNSUPPORTED_ARCH: 'arm64' }),
    ...(plan.etcd.length > 0 && { ETCDCTL_API: '3', ETCDCTL_ENDPOINTS: plan.etcd.join() }),
  };
}

function isOwn(path: string): boolean {
  return OWN.some((own) => path === own || path.startsWith(`${own}/`));
}

/** Compiled code is shared by all daemons of a lab: compiling is most of a first start. */
function compileCache(): string | undefined {
  const found = process.env['NODE_COMPILE_CACHE'] ?? getCompileCacheDir();
  if (found === undefined || found === '') return undefined;
  const dir = found === process.env['NODE_COMPILE_CACHE'] ? found : dirname(found);
  try {
    mkdirSync(dir, { recursive: true });
  } catch {
    return undefined; // not ours to make
  }
  return dir;
}

/** Whether a daemon would have to compile its sources first: then one does so for all the others. */
export function startsCold({ main }: Program): boolean {
  if (!main.endsWith('.ts')) return false;
  const dir = compileCache();
  if (dir === undefined) return false;
  const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  const kept = readdirSync(dir, { recursive: true, encoding: 'utf8' }).map((name) => sizeOf(`${dir}/${name}`));
  return kept.reduce((sum, size) => sum + size, 0) < WARM;
}
/** Bytes: more than of the command line's modules alone, less than of a daemon's, as sources or bundled. */
const WARM = 1_000_000;

/** The folder of the command `netloom`, of a checkout or of the package. */
function binDir(): string {
  for (let dir = import.meta.dirname; ; dir = dirname(dir)) {
    if (existsSync(`${dir}/bin/netloom`) || dir === '/') return `${dir}/bin`;
  }
}

/** Starts what the shim returns from: what it detaches. @throws NetloomError ELABSTART */
export async function runShim(args: readonly string[], machine: string): Promise<void> {
  const child = spawn(shimPath(), args, { stdio: ['ignore', 'ignore', 'pipe'], cwd: '/' });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw startError(machine, said.trim().replace(NAMED, ''));
}

/** What a machine's service said last: its own error, rather than the advice that stands below it. */
export function lastLine(place: Place, machine: string): string {
  const lines = readFileSync(place.of(machine, 'service/log'), 'utf8').trim().split('\n');
  const error = lines.findLast((line) => NAMED.test(line)) ?? lines.at(-1)!;
  return error.replace(NAMED, '').slice(0, 500) || 'it said nothing';
}
/** Who says it. */
const NAMED = /^netloom(-\w+)?: /;

function startError(machine: string, why: string): NetloomError {
  return new NetloomError('ELABSTART', `${machine} cannot be started: ${why}`);
}
