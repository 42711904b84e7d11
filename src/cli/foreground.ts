import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { NetloomError } from '../errors.ts';
import type { SpawnPlan } from '../model/index.ts';

export interface ForegroundOptions {
  /** Whether the command reads our standard input; else it reads /dev/null, as in Docker without -i. */
  readonly stdin: boolean;
  /** Standard input is a terminal: the kernel sends its signals to the command too (termios(3), ISIG). */
  readonly terminal: boolean;
  /** Leave it running and return at once. */
  readonly detach?: boolean;
}

const FORWARDED = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGCONT'] as const;
const FROM_TERMINAL: readonly string[] = ['SIGINT', 'SIGQUIT', 'SIGWINCH', 'SIGCONT'];

/**
 * Runs a command on our own terminal, hands it the signals that we get, and returns its status: its own, or 128 + the
 * number of the signal that ended it. @throws NetloomError ESPAWN when the plan cannot be started at all
 */
export async function foreground(plan: SpawnPlan, options: ForegroundOptions): Promise<number> {
  const output = options.detach === true ? 'ignore' : 'inherit';
  const early: NodeJS.Signals[] = [];
  let send = (signal: NodeJS.Signals): unknown => early.push(signal);
  const forward = (signal: NodeJS.Signals): void => {
    // One ^C must not arrive twice: the terminal has sent it to the whole foreground process group.
    if (options.terminal && FROM_TERMINAL.includes(signal)) return;
    send(signal);
  };
  // before the command is there: a signal that came in between would end us and leave it running
  for (const signal of FORWARDED) process.on(signal, forward);
  const child = spawn(plan.file, [...plan.args], {
    env: { ...plan.env },
    ...(plan.cwd === '' ? {} : { cwd: plan.cwd }),
    stdio: [options.stdin && options.detach !== true ? 'inherit' : 'ignore', output, output],
    detached: options.detach ?? false,
  });
  send = (signal) => child.kill(signal);
  for (const signal of early) send(signal);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (error) => {
        reject(new NetloomError('ESPAWN', `${plan.file} cannot be started: ${error.message}`, { cause: error }));
      });
      if (options.detach === true) {
        child.once('spawn', () => {
          child.unref();
          resolve(0);
        });
        return;
      }
      child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
    });
  } finally {
    for (const signal of FORWARDED) process.off(signal, forward);
  }
}
