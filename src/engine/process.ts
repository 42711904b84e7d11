import { rmSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { NetloomError } from '../errors.ts';
import {
  isAlive,
  readShimExit,
  readShimPid,
  shimArgs,
  type ShimExit,
  shimPath,
  signalPid,
  SHIM_STATUS,
  waitPid,
} from '../kernel/index.ts';
import type { Container, ContainerState, SpawnPlan } from '../model/index.ts';
import type { Core } from './core.ts';
import { whenChanged } from './file-watch.ts';
import { etcFiles, hostnameOf, runDirOf } from './files.ts';
import type { Paths } from './paths.ts';

/** Where a command finds programs when neither its container nor we have a PATH. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What the shim's files and the process table say of a container. */
export function stateOf(paths: Paths, container: Container): ContainerState {
  const dir = runDirOf(paths, container);
  const pid = readShimPid(dir);
  const exit = readShimExit(dir);
  const startedAt = pid ? timeOf(join(dir, 'pid')) : '';
  if (exit)
    return {
      status: 'exited',
      pid: 0,
      exitCode: exit.status,
      startedAt,
      finishedAt: new Date(exit.time).toISOString(),
    };
  if (!pid) return { status: 'created', pid: 0, exitCode: 0, startedAt: '', finishedAt: '' };
  if (isAlive(pid.pid, pid.startTime))
    return { status: 'running', pid: pid.pid, exitCode: 0, startedAt, finishedAt: '' };
  // no status was written: the shim itself was killed, or the machine is about to tell
  return { status: 'dead', pid: 0, exitCode: 0, startedAt, finishedAt: '' };
}

/** How to start a container's command: by the engine in the background, or by a caller on its own terminal. */
export function spawnPlan(core: Core, container: Container, lender: Container, foreground: boolean): SpawnPlan {
  const dir = runDirOf(core.paths, container);
  const etc = etcFiles(core.paths, lender);
  const hostname = hostnameOf(lender);
  const netns = container.netns === '' ? core.hostNetns : container.netns;
  const [program, ...args] = container.command;
  if (program === undefined) throw new NetloomError('EBADCOMMAND', `container "${container.name}" has no command`);
  return {
    file: shimPath(),
    args: shimArgs({
      dir,
      command: [program, ...args],
      ...(hostname === undefined ? {} : { hostname }),
      ...(netns === '' ? {} : { netns }),
      ...etc,
      cwd: container.workingDir === '' ? '/' : container.workingDir,
      ...(foreground ? {} : { detach: true, log: join(dir, 'log') }),
      ...(core.exitCommand.length === 0 ? {} : { exitCommand: [...core.exitCommand, container.id] }),
    }),
    env: environmentOf(container, hostname),
    cwd: '/',
  };
}

/** How to run another command beside a running container's. */
export function execPlan(core: Core, container: Container, lender: Container, command: readonly string[]): SpawnPlan {
  const pid = readShimPid(runDirOf(core.paths, container));
  const [program, ...args] = command;
  if (program === undefined) throw new NetloomError('EBADCOMMAND', 'no command to run');
  if (!pid || stateOf(core.paths, container).status !== 'running') {
    throw new NetloomError('ECONTAINERNOTRUNNING', `container "${container.name}" is not running`, {
      hint: `netloom start ${container.name}`,
    });
  }
  return {
    file: shimPath(),
    args: shimArgs({
      enter: pid.pid,
      startTime: pid.startTime,
      command: [program, ...args],
      cwd: container.workingDir === '' ? '/' : container.workingDir,
    }),
    env: environmentOf(container, hostnameOf(lender)),
    cwd: '/',
  };
}

/** Starts the command in the background; resolves when it runs. @throws NetloomError ECOMMAND, ECOMMANDNOTFOUND with the shim's reason */
export async function startDetached(core: Core, container: Container, lender: Container): Promise<void> {
  const plan = spawnPlan(core, container, lender, false);
  const { spawn } = await import('node:child_process');
  const child = spawn(plan.file, plan.args, { cwd: plan.cwd, env: plan.env, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const status = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? SHIM_STATUS.FAILED));
  });
  if (status === 0) return;
  // the shim says why before it writes the status down
  await waitForEnd(core, container);
  const reason = said.trim().replace(/^netloom-shim: /, '') || `the process shim ended with status ${status}`;
  throw new NetloomError(
    status === SHIM_STATUS.NOT_FOUND ? 'ECOMMANDNOTFOUND' : 'ECOMMAND',
    `container "${container.name}": ${reason}`,
  );
}

/** Removes what an earlier run left: its pid and status, not its log. */
export function forgetRun(core: Core, container: Container): void {
  for (const name of ['pid', 'exit']) rmSync(join(runDirOf(core.paths, container), name), { force: true });
}

/** SIGTERM, SIGKILL after the timeout; resolves when the command has ended. */
export async function stop(core: Core, container: Container, timeoutSeconds: number): Promise<void> {
  if (stateOf(core.paths, container).status !== 'running') return;
  if (timeoutSeconds > 0) {
    signalContainer(core, container, 'SIGTERM');
    const limit = AbortSignal.timeout(timeoutSeconds * 1000);
    await waitForEnd(core, container, limit).catch((error: unknown) => {
      if (!limit.aborted) throw error;
    });
    if (stateOf(core.paths, container).status !== 'running') return;
  }
  signalContainer(core, container, 'SIGKILL');
  await waitForEnd(core, container);
}

/** Resolves with the status when the command has ended; 0 where none was started. */
export async function exitStatus(core: Core, container: Container): Promise<number> {
  if (stateOf(core.paths, container).status === 'created') return 0;
  // the shim was killed before it could write: nobody knows, and it was no success
  return (await waitForEnd(core, container))?.status ?? SHIM_STATUS.FAILED;
}

/** @returns false when it was not running any more. @throws NetloomError EBADSIGNAL */
export function signalContainer(core: Core, container: Container, signal: string): boolean {
  const number = signalNumber(signal);
  const pid = readShimPid(runDirOf(core.paths, container));
  return pid !== undefined && signalPid(pid.pid, pid.startTime, number);
}

/** Resolves when the command has ended, by itself or by a signal; at once when none runs. @throws signal.reason when aborted first */
export async function waitForEnd(
  core: Core,
  container: Container,
  signal?: AbortSignal,
): Promise<ShimExit | undefined> {
  const dir = runDirOf(core.paths, container);
  const run = readShimPid(dir);
  if (!run) return readShimExit(dir);
  if (isAlive(run.pid, run.startTime)) await waitPid(run.pid, signal ? { signal } : {});
  const limit = AbortSignal.timeout(STATUS_PATIENCE_MS);
  const exit = await whenChanged(dir, () => readShimExit(dir), signal ? AbortSignal.any([limit, signal]) : limit);
  if (!exit) signal?.throwIfAborted();
  return exit;
}

/** How long the shim may take to write the status after the command's end: more than that, and it was killed itself. */
const STATUS_PATIENCE_MS = 5000;

/** `TERM`, `SIGTERM`, `sigterm` and `15` are the same. @see signal(7) */
export function signalNumber(text: string): number {
  const name = text.toUpperCase();
  const number = /^\d+$/.test(text)
    ? Number(text)
    : constants.signals[(name.startsWith('SIG') ? name : `SIG${name}`) as NodeJS.Signals];
  if (number !== undefined && number >= 1 && number <= LAST_SIGNAL) return number;
  throw new NetloomError('EBADSIGNAL', `there is no signal "${text}"`, {
    hint: 'write a name such as TERM or HUP, or a number from 1 to 64',
  });
}
/** asm-generic/signal.h _NSIG */
const LAST_SIGNAL = 64;

function environmentOf(container: Container, hostname: string | undefined): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? DEFAULT_PATH,
    ...(hostname === undefined ? {} : { HOSTNAME: hostname }),
    ...container.env,
  };
}

function timeOf(path: string): string {
  return statSync(path, { throwIfNoEntry: false })?.mtime.toISOString() ?? '';
}
