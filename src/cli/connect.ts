import { existsSync } from 'node:fs';
import { getCompileCacheDir } from 'node:module';
import { dirname, join } from 'node:path';
import { NetloomError } from '../errors.ts';
import type { EngineApi, FirewallWish } from '../model/index.ts';
import { UsageError } from './errors.ts';
import type { GlobalFlags } from './flags.ts';

export interface Directories {
  readonly stateDir?: string;
  readonly runDir?: string;
}

/** `/run/netloom`: sockets, logs, what does not outlive the machine (hier(7)). */
export const RUN_DIR = '/run/netloom';

type Env = Readonly<Record<string, string | undefined>>;

/** What flags and environment say; the engine has the defaults. */
export function directories(flags: GlobalFlags, env: Env): Directories {
  const stateDir = flags.stateDir ?? env['NETLOOM_STATE_DIR'];
  const runDir = flags.runDir ?? env['NETLOOM_RUN_DIR'];
  return { ...(stateDir ? { stateDir } : {}), ...(runDir ? { runDir } : {}) };
}

/** `--socket`, NETLOOM_SOCKET, else `netloom.sock` in the run directory. */
export function socketPath(flags: GlobalFlags, env: Env): string {
  return flags.socket ?? env['NETLOOM_SOCKET'] ?? join(directories(flags, env).runDir ?? RUN_DIR, 'netloom.sock');
}

/**
 * The daemon behind the socket, or the engine in this process where none answers: both may work on one store.
 * @param program  what the end of a container's command calls, as `Io.program`
 * @throws NetloomError ENODAEMON when `--socket` names one that does not answer
 */
export async function openApi(flags: GlobalFlags, env: Env, program: string): Promise<EngineApi> {
  const socket = socketPath(flags, env);
  // The client's module is not loaded where there is no socket at all.
  if (existsSync(socket)) {
    const { Client } = await import('../api/client.ts');
    const client = await Client.connect(socket);
    if (client !== undefined) return client;
  }
  if (flags.socket !== undefined) {
    throw new NetloomError('ENODAEMON', `no daemon answers on ${socket}`, {
      hint: `Start one with netloom daemon --socket ${socket}, or leave --socket out.`,
    });
  }
  const choice = publishedPorts(undefined, env);
  const { openEngine } = await import('../engine/index.ts');
  return await openEngine({ ...directories(flags, env), ...choice, exitCommand: exitCommand(flags, env, program) });
}

/** Whether published ports obey the host's firewall, as a flag or the environment says. @throws UsageError */
export function publishedPorts(flag: FirewallWish | undefined, env: Env): { publishedPorts?: FirewallWish } {
  const choice = flag ?? env['NETLOOM_PUBLISHED_PORTS'];
  if (choice === undefined || choice === '') return {};
  if (choice === 'obey' || choice === 'open') return { publishedPorts: choice };
  throw new UsageError(`NETLOOM_PUBLISHED_PORTS is "${choice}"`, 'It is obey or open.');
}

/**
 * What the process shim runs when a command has ended, an id added. It runs in the command's environment, so that
 * everything it needs is said in words. By the daemon where one serves, as any other verb.
 */
export function exitCommand(flags: GlobalFlags, env: Env, program: string): string[] {
  const cache = getCompileCacheDir();
  const { stateDir, runDir } = directories(flags, env);
  return [
    ...(cache === undefined ? [] : ['/usr/bin/env', `NODE_COMPILE_CACHE=${dirname(cache)}`]),
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    program,
    '_exited',
    `--socket=${socketPath(flags, env)}`,
    ...(stateDir === undefined ? [] : [`--state-dir=${stateDir}`]),
    ...(runDir === undefined ? [] : [`--run-dir=${runDir}`]),
  ];
}
