import { spawn } from 'node:child_process';
import { createReadStream, existsSync, rmSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';
import { NetloomError } from '../errors.ts';
import { isAlive, readShimExit, readShimPid, shimArgs, shimPath, signalPid, SHIM_STATUS, waitPid } from '../kernel/index.ts';
import type { Container, ContainerState, SpawnPlan } from '../model/index.ts';
import type { Core } from './core.ts';
import { etcDir, runDirOf } from './files.ts';
import type { Paths } from './paths.ts';

/** Where a command finds programs when neither its container nor we have a PATH. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What the shim's files and the process table say of a container. */
export function stateOf(paths: Paths, container: Container): ContainerState {
  const dir = runDirOf(paths, container);
  const pid = readShimPid(dir);
  const exit = readShimExit(dir);
  const startedAt = pid ? timeOf(join(dir, 'pid')) : '';
  if (exit) return { status: 'exited', pid: 0, exitCode: exit.status, startedAt, finishedAt: new Date(exit.time).toISOString() };
  if (!pid) return { status: 'created', pid: 0, exitCode: 0, startedAt: '', finishedAt: '' };
  if (isAlive(pid.pid, pid.startTime)) return { status: 'running', pid: pid.pid, exitCode: 0, startedAt, finishedAt: '' };
  // no status was written: the shim itself was killed, or the machine is about to tell
  return { status: 'dead', pid: 0, exitCode: 0, startedAt, finishedAt: '' };
}

/** How to start a container's command: by the engine in the background, or by a caller on its own terminal. */
export function spawnPlan(core: Core, container: Container, foreground: boolean): SpawnPlan {
  const dir = runDirOf(core.paths, container);
  const etc = etcDir(core.paths, container);
  const file = (name: string): string | undefined => (existsSync(join(etc, name)) ? join(etc, name) : undefined);
  const resolv = file('resolv.conf');
  const hosts = file('hosts');
  const hostnameFile = file('hostname');
  const [program, ...args] = container.command;
  if (program === undefined) throw new NetloomError('EBADCOMMAND', `container "${container.name}" has no command`);
  return {
    file: shimPath(),
    args: shimArgs({
      dir,
      command: [program, ...args],
      hostname: container.hostname,
      ...(container.netns === '' ? {} : { netns: container.netns }),
      ...(resolv === undefined ? {} : { resolv }),
      ...(hosts === undefined ? {} : { hosts }),
      ...(hostnameFile === undefined ? {} : { hostnameFile }),
      cwd: container.workingDir === '' ? '/' : container.workingDir,
      ...(foreground ? {} : { detach: true, log: join(dir, 'log') }),
      ...(core.exitCommand.length === 0 ? {} : { exitCommand: [...core.exitCommand, container.id] }),
    }),
    env: environmentOf(container),
    cwd: '/',
  };
}

/** How to run another command beside a running container's. */
export function execPlan(core: Core, container: Container, command: readonly string[]): SpawnPlan {
  const pid = readShimPid(runDirOf(core.paths, container));
  const [program, ...args] = command;
  if (program === undefined) throw new NetloomError('EBADCOMMAND', 'no command to run');
  if (!pid || stateOf(core.paths, container).status !== 'running') {
    throw new NetloomError('ECONTAINERNOTRUNNING', `container "${container.name}" is not running`, { hint: `netloom start ${container.name}` });
  }
  return {
    file: shimPath(),
    args: shimArgs({
      enter: pid.pid,
      startTime: pid.startTime,
      command: [program, ...args],
      cwd: container.workingDir === '' ? '/' : container.workingDir,
    }),
    env: environmentOf(container),
    cwd: '/',
  };
}

/** Starts the command in the background; resolves when it runs. @throws NetloomError ECOMMAND with the shim's reason */
export async function startDetached(core: Core, container: Container): Promise<void> {
  forgetRun(core, container);
  const plan = spawnPlan(core, container, false);
  const child = spawn(plan.file, plan.args, { cwd: plan.cwd, env: plan.env, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const status = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    // `exit`, not `close`: what runs in the background may hold the pipe open
    child.once('exit', (code) => resolve(code ?? SHIM_STATUS.FAILED));
  });
  child.stderr.destroy();
  if (status === 0) return;
  const reason = said.trim().replace(/^netloom-shim: /, '') || `the process shim ended with status ${status}`;
  throw new NetloomError(status === SHIM_STATUS.NOT_FOUND ? 'ECOMMANDNOTFOUND' : 'ECOMMAND', `container "${container.name}": ${reason}`);
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

/** Resolves with the status when the command has ended. */
export async function exitStatus(core: Core, container: Container): Promise<number> {
  await waitForEnd(core, container);
  const { exitCode, status } = stateOf(core.paths, container);
  // the shim was killed before it could write: nobody knows, and it was no success
  return status === 'dead' ? SHIM_STATUS.FAILED : exitCode;
}

/** @returns false when it was not running any more. */
export function signalContainer(core: Core, container: Container, signal: string): boolean {
  const pid = readShimPid(runDirOf(core.paths, container));
  if (!pid) return false;
  const name = signal.toUpperCase();
  const number = Number(signal);
  return signalPid(pid.pid, pid.startTime, Number.isInteger(number) ? number : ((name.startsWith('SIG') ? name : `SIG${name}`) as NodeJS.Signals));
}

/** Resolves when the command has ended, by itself or by a signal; at once when none runs. */
export async function waitForEnd(core: Core, container: Container, signal?: AbortSignal): Promise<void> {
  const pid = readShimPid(runDirOf(core.paths, container));
  if (pid && isAlive(pid.pid, pid.startTime)) await waitPid(pid.pid, signal ? { signal } : {});
  // the shim writes the status right after
  await appears(join(runDirOf(core.paths, container), 'exit'), STATUS_PATIENCE_MS, signal);
}

/** The command's output so far, then as it comes until the command has ended. */
export async function* readLog(core: Core, container: Container, options: { follow?: boolean; tail?: number }): AsyncGenerator<Uint8Array> {
  const path = join(runDirOf(core.paths, container), 'log');
  if (!existsSync(path)) return;
  let offset = options.tail === undefined ? 0 : await tailOffset(path, options.tail);
  const stop = new AbortController();
  let ended = false;
  const end = options.follow ? waitForEnd(core, container, stop.signal).then(() => (ended = true)) : Promise.resolve((ended = true));
  end.catch(() => undefined);
  try {
    for (;;) {
      const last = ended; // before reading: what was written until the end is read after it
      for await (const chunk of createReadStream(path, { start: offset })) {
        offset += (chunk as Uint8Array).length;
        yield chunk as Uint8Array;
      }
      if (last) return;
      await Promise.race([end, grows(path, offset, stop.signal)]);
    }
  } finally {
    stop.abort();
  }
}

/** How long a status file may lag behind the command's end. */
const STATUS_PATIENCE_MS = 2000;

/** Resolves when the file is there, or when `limit` milliseconds have passed. */
async function appears(path: string, limit: number, signal?: AbortSignal): Promise<void> {
  if (existsSync(path)) return;
  const stop = AbortSignal.any([AbortSignal.timeout(limit), ...(signal ? [signal] : [])]);
  await watched(join(path, '..'), () => existsSync(path), stop);
}

async function grows(path: string, offset: number, signal: AbortSignal): Promise<void> {
  await watched(path, () => statSync(path, { throwIfNoEntry: false })?.size !== offset, signal);
}

/** Resolves when `done` holds, asked at every change of `path`, or when the signal aborts. */
async function watched(path: string, done: () => boolean, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    let watcher: ReturnType<typeof watch> | undefined;
    const finish = (): void => {
      watcher?.close();
      signal.removeEventListener('abort', finish);
      resolve();
    };
    signal.addEventListener('abort', finish, { once: true });
    try {
      watcher = watch(path, () => {
        if (done()) finish();
      });
      watcher.on('error', finish);
    } catch {
      finish(); // removed meanwhile
      return;
    }
    if (done()) finish(); // between the caller's look and the watch
  });
}

async function tailOffset(path: string, lines: number): Promise<number> {
  const starts = [0];
  let at = 0;
  for await (const chunk of createReadStream(path)) {
    for (const byte of chunk as Uint8Array) if ((at++, byte === 10)) starts.push(at);
  }
  if (starts.at(-1) === at) starts.pop();
  return lines <= 0 ? at : (starts.at(-lines) ?? 0);
}

function environmentOf(container: Container): Record<string, string> {
  return { PATH: process.env['PATH'] ?? DEFAULT_PATH, HOSTNAME: container.hostname, ...container.env };
}

function timeOf(path: string): string {
  return statSync(path, { throwIfNoEntry: false })?.mtime.toISOString() ?? '';
}
