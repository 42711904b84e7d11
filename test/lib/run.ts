import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import type { Netns } from '../../src/kernel/index.ts';
import { PACE } from './pace.ts';

export interface RunResult {
  /** Exit status; 128 + the signal's number where a signal ended it. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}
export interface RunOptions {
  readonly input?: string;
  /** Milliseconds until it is killed and the call fails; default 20000. */
  readonly timeout?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Runs a command in this process's own namespaces and collects what it says. A status other than 0 is no error. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return collect(argv, options);
}

/** As `run`, inside a network namespace: an oracle such as `['ip', '-j', 'addr']`. */
export function runIn(netns: Netns, argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return collect([...enter(netns), ...argv], options);
}

/** As `runIn`, for a command that must succeed; its output. @throws Error with the command and what it said. */
export async function okIn(netns: Netns, argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const { status, stdout, stderr } = await runIn(netns, argv, options);
  if (status !== 0) throw new Error(`${argv.join(' ')}: status ${status}: ${(stderr || stdout).trim()}`);
  return stdout;
}

const NEXT = '-- next --\n';

/**
 * As `okIn`, for several lines of shell one after the other at the price of one process: Node copies itself for each that it
 * starts, and it is large. What each has said.
 */
export async function eachIn(netns: Netns, lines: readonly string[]): Promise<string[]> {
  return (await okIn(netns, ['sh', '-ec', lines.join(`\nprintf '%s\\n' '${NEXT.trim()}'\n`)])).split(NEXT);
}

/** As `okIn`, for commands that print JSON; an empty output is an empty list. */
export async function jsonIn<T>(netns: Netns, argv: readonly string[]): Promise<T> {
  return JSON.parse((await okIn(netns, argv)) || '[]') as T;
}

/** Lines for `ip -batch -`, all of which must succeed: one process for any number of changes. */
export async function ipBatch(netns: Netns, lines: readonly string[]): Promise<void> {
  await okIn(netns, ['ip', '-batch', '-'], { input: lines.join('\n') + '\n' });
}

/** A process that goes on beside the test (tcpdump, a server); dispose it to end it. */
export interface Background extends AsyncDisposable {
  readonly child: ChildProcess;
  /** What it has said so far, standard output and error together. */
  readonly output: () => string;
}

/** Starts a command inside a namespace and lets it run: SIGTERM at disposal, SIGKILL a second later. */
export function startIn(netns: Netns, argv: readonly string[], options: SpawnOptions = {}): Background {
  return start([...enter(netns), ...argv], options);
}

/** As `startIn`, in this process's own namespaces. */
export function start(argv: readonly string[], options: SpawnOptions = {}): Background {
  const [file, ...args] = argv;
  const child = spawn(file!, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.on('error', (error) => (text += error.message));
  return { child, output: () => text, [Symbol.asyncDispose]: () => end(child) };
}

/** Ends a child by its pid and waits until it is gone with its pipes. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return;
  if (child.exitCode !== null || child.signalCode !== null) {
    child.stdout?.destroy();
    child.stderr?.destroy();
    return;
  }
  const closed = once(child, 'close');
  child.kill('SIGTERM');
  const hard = setTimeout(() => child.kill('SIGKILL'), 1000);
  await closed;
  clearTimeout(hard);
}

/**
 * The words before a command that runs it in `netns`. The namespace goes by this process's own descriptor, so that a
 * namespace without a name can be entered too; the command itself inherits no descriptor of it.
 */
export function enter(netns: Netns): string[] {
  return ['nsenter', `--net=/proc/${process.pid}/fd/${netns.fd}`, '--'];
}

async function collect(argv: readonly string[], options: RunOptions): Promise<RunResult> {
  const { timeout = 20_000 * PACE } = options;
  const [file, ...args] = argv;
  const child = spawn(file!, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C', ...options.env },
    cwd: options.cwd,
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  child.stdin.on('error', () => undefined); // a command that ends without reading its input
  child.stdin.end(options.input ?? '');
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, timeout);
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    const stderr = Buffer.concat(err).toString();
    if (late) throw new Error(`${argv.join(' ')}: did not end within ${timeout} ms: ${stderr.trim()}`);
    return { status: code ?? 128 + (SIGNALS[signal!] ?? 0), stdout: Buffer.concat(out).toString(), stderr };
  } finally {
    clearTimeout(timer);
  }
}

const SIGNALS: Record<string, number> = constants.signals;
