import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Netns } from '../../src/kernel/index.ts';
import { type Background, enter, run, type RunOptions, type RunResult, start } from './run.ts';
import { until } from './wait.ts';

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

export interface MachineOptions {
  /** The network namespace that everything started in the machine has: `bed.host.netns`. */
  readonly netns: Netns;
  /** Directories and files of the test's that the machine sees as well; `to` is by default the same path. */
  readonly binds?: readonly { readonly from: string; readonly to?: string }[];
}

/**
 * A machine of a test's own for programs that know no other place than /etc, /run, /var/lib and /opt: mount, process,
 * cgroup, name and IPC namespaces of its own over somebody's files, which it reads and never writes. What is written goes
 * to memory; /run, /tmp and /var/lib begin empty. The checkout lies where it lies, `netloom` is on the PATH. Whatever was
 * started inside ends with it. Needs root.
 */
export interface Machine extends AsyncDisposable {
  /** The first process inside, as the test sees it. */
  readonly pid: number;
  /** The words that run a command inside: `[...machine.argv(['podman', 'info'])]`. */
  argv(command: readonly string[]): string[];
  run(command: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** As `run`, for a command that must succeed; its output. */
  ok(command: readonly string[], options?: RunOptions): Promise<string>;
  /** Goes on beside the test. Dispose it before the machine. */
  start(command: readonly string[], env?: Readonly<Record<string, string>>): Inside;
  /** Where the test finds a path of the machine's. */
  path(inside: string): string;
}

export interface Inside extends Background {
  /** To the program itself, whose parent is not the test. False when it is gone. */
  kill(signal: NodeJS.Signals): boolean;
}

/** A machine with the clients of a later Debian suite (tools/suite.sh). */
export async function enterSuite(options: MachineOptions): Promise<Machine> {
  return enterFolder(await suiteFolder(), options);
}

/** A machine with this machine's own programs: the distribution's clients. */
export function enterDistribution(options: MachineOptions): Promise<Machine> {
  return enterFolder('/', options);
}

/** A netloom daemon inside, at its usual place, that answers. @param words how it is started */
export async function startNetloom(
  machine: Machine,
  words: readonly string[] = ['netloom', 'daemon'],
): Promise<Inside> {
  const daemon = machine.start(words);
  await until('the daemon listens', () => existsSync(machine.path('/run/netloom/netloom.sock')), {
    timeout: 20_000,
  }).catch((error: unknown) => {
    throw new Error(`netloom daemon: ${daemon.output()}`, { cause: error });
  });
  return daemon;
}

let known: Promise<string> | undefined;
function suiteFolder(): Promise<string> {
  // tools/test.sh has made it while there still was a network
  known ??= process.env['NETLOOM_SUITE']
    ? Promise.resolve(process.env['NETLOOM_SUITE'])
    : promisify(execFile)('sh', [`${CHECKOUT}/tools/suite.sh`]).then(({ stdout }) => stdout.trim());
  return known;
}

const PATH = `/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:${CHECKOUT}/node_modules/.bin`;
/** What a login would set; nothing of the test's own environment is meant for the machine. */
const ENV = { PATH, HOME: '/root', TMPDIR: '/tmp', LC_ALL: 'C' };

async function enterFolder(folder: string, { netns, binds = [] }: MachineOptions): Promise<Machine> {
  const all = [{ from: CHECKOUT, to: CHECKOUT }, ...binds.map(({ from, to = from }) => ({ from, to }))];
  const memory = mkdtempSync(join(tmpdir(), 'machine-'));
  const holder = spawn(
    'nsenter',
    [
      ...enter(netns).slice(1),
      ...['unshare', '--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--uts', '--ipc'],
      ...[
        'sh',
        `${CHECKOUT}/test/lib/machine.sh`,
        memory,
        folder,
        CHECKOUT,
        ...all.flatMap(({ from, to }) => [from, to]),
      ],
    ],
    { stdio: ['pipe', 'pipe', 'inherit'], cwd: '/' },
  );
  const gone = once(holder, 'close').then(([code]) => {
    rmdirSync(memory);
    throw new Error(`no machine: its first process ended with ${code}`);
  });
  gone.catch(() => undefined);
  const [said] = (await Promise.race([once(holder.stdout, 'data'), gone])) as [Buffer];
  const [pid, ...groups] = said
    .toString()
    .trim()
    .split(' ')
    .map((word, i) => (i === 0 ? Number(word) : word)) as [number, ...string[]];

  // by `env -i`: PATH is the machine's before anything is looked up in it
  const argv = (command: readonly string[], env: Readonly<Record<string, string>> = {}): string[] => [
    ...['nsenter', `--target=${pid}`, '--mount', '--pid', '--net', '--uts', '--ipc', '--cgroup', '--'],
    ...['env', '-i', ...Object.entries({ ...ENV, ...env }).map(([name, value]) => `${name}=${value}`)],
    ...['sh', '/run/.join', ...command],
  ];
  const runInside = (command: readonly string[], { env, cwd, ...options }: RunOptions = {}): Promise<RunResult> =>
    run(argv(cwd ? ['env', '-C', cwd, ...command] : command, env), options);
  return {
    pid,
    argv,
    run: runInside,
    async ok(command, options) {
      const { status, stdout, stderr } = await runInside(command, options);
      if (status !== 0) throw new Error(`${command.join(' ')}: status ${status}: ${(stderr || stdout).trim()}`);
      return stdout;
    },
    // whoever enters a process namespace waits outside for a child inside, and passes no signal on
    start: (command, env) => inside(start(argv(['setpriv', '--pdeathsig', 'KILL', '--', ...command], env))),
    path: (inside) => `/proc/${pid}/root${inside}`,
    async [Symbol.asyncDispose]() {
      // its first process ends when nobody holds its input; the kernel kills whoever is left before that is gone
      holder.stdin.end();
      await gone.catch(() => undefined);
      for (const group of groups) await until(`${group} is empty`, () => removeGroup(group));
    },
  };
}

/** A cgroup with those below it; two hierarchies may be one. @throws EBUSY while somebody is in it */
function removeGroup(path: string): true {
  if (!existsSync(path)) return true;
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) removeGroup(join(path, entry.name));
  rmdirSync(path);
  return true;
}

function inside(background: Background): Inside {
  const { child, output } = background;
  const kill = (signal: NodeJS.Signals): boolean => {
    const pid = onlyChild(child);
    return pid !== undefined && process.kill(pid, signal);
  };
  return {
    child,
    output,
    kill,
    async [Symbol.asyncDispose]() {
      const hard = setTimeout(() => kill('SIGKILL'), 3000);
      if (kill('SIGTERM') && child.exitCode === null && child.signalCode === null) await once(child, 'close');
      clearTimeout(hard);
      await background[Symbol.asyncDispose]();
    },
  };
}

function onlyChild({ pid }: ChildProcess): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')[0]) || undefined;
  } catch {
    return undefined; // the waiting one is gone
  }
}
