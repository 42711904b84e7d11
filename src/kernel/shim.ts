import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { builtProgram } from './built.ts';

/** Starts a command with a network namespace and names of its own. @see native/shim.c */
export interface ShimRun {
  /** Gets the files `pid` and `exit`. */
  readonly dir: string;
  readonly command: readonly [string, ...string[]];
  /** Path of the network namespace; that of the shim without one. */
  readonly netns?: string;
  readonly hostname?: string;
  /** Files that are seen as /etc/resolv.conf, /etc/hosts and /etc/hostname, where those exist. */
  readonly resolv?: string;
  readonly hosts?: string;
  readonly hostnameFile?: string;
  readonly cwd?: string;
  /** Returns as soon as the command runs; its output goes to `log`, or nowhere. */
  readonly detach?: boolean;
  readonly log?: string;
  /** Runs in place of the shim when the command has ended, in the namespaces of the shim's caller. */
  readonly exitCommand?: readonly string[];
  /** What the command sees elsewhere, in this order. Paths without a colon. */
  readonly mounts?: readonly ShimMount[];
}
/** `overlay`: what is written below `target` lies in the folder `upper` of `source`, which also has one called `work`. */
export interface ShimMount {
  readonly type: 'bind' | 'overlay';
  readonly source: string;
  readonly target: string;
}
/** Runs a command in the network, mount and UTS namespaces of a process. */
export interface ShimEnter {
  readonly enter: number;
  /** Gets the file `pid` before the command, which takes the shim's place, runs. */
  readonly dir?: string;
  /** Refuses another process that got the number meanwhile. */
  readonly startTime?: number;
  readonly command: readonly [string, ...string[]];
  readonly cwd?: string;
}

/** The statuses of the shim itself; a command's own are the same numbers as in a shell. */
export const SHIM_STATUS = { FAILED: 125, CANNOT_RUN: 126, NOT_FOUND: 127 } as const;

/** The shim's program. @throws NetloomError ENOSHIM when it is not built. */
export function shimPath(): string {
  return builtProgram('netloom-shim');
}

/** The arguments for `shimPath()`. */
export function shimArgs(options: ShimRun | ShimEnter): string[] {
  const args: string[] = [];
  const add = (flag: string, value: string | number | undefined): void => {
    if (value !== undefined) args.push(flag, String(value));
  };
  if ('enter' in options) {
    add('--enter', options.enter);
    add('--start-time', options.startTime);
    add('--dir', options.dir);
    add('--cwd', options.cwd);
  } else {
    add('--dir', options.dir);
    add('--netns', options.netns);
    add('--hostname', options.hostname);
    add('--resolv', options.resolv);
    add('--hosts', options.hosts);
    add('--hostname-file', options.hostnameFile);
    add('--cwd', options.cwd);
    if (options.detach) args.push('--detach');
    add('--log', options.log);
    for (const word of options.exitCommand ?? []) add('--exit-arg', word);
    for (const { type, source, target } of options.mounts ?? []) add(`--${type}`, `${source}:${target}`);
  }
  return [...args, '--', ...options.command];
}

/** The command's process, for `signalPid` and `isAlive`. */
export interface ShimPid {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly startTime: number;
}
/** How the command ended. */
export interface ShimExit {
  /** Its status, or 128 + signal. */
  readonly status: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Why it could not be started; empty where it ran. */
  readonly reason: string;
}

/** What the shim wrote to `dir` before the command ran; undefined before that. */
export function readShimPid(dir: string): ShimPid | undefined {
  const [pid, startTime] = read(join(dir, 'pid'))?.trim().split(' ').map(Number) ?? [];
  return pid === undefined || startTime === undefined ? undefined : { pid, startTime };
}

/** What the shim wrote to `dir` after the command had ended; undefined before that, or when the shim was killed. */
export function readShimExit(dir: string): ShimExit | undefined {
  const text = read(join(dir, 'exit'));
  if (text === undefined) return undefined;
  const [first = '', ...rest] = text.split('\n');
  const [status = 0, time = 0] = first.split(' ').map(Number);
  return { status, time, reason: rest.join('\n').trim() };
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
