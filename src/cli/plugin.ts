import { runProgram } from '../daemon/programs.ts';
import type { EngineApi } from '../model/index.ts';
import type { GlobalFlags } from './flags.ts';

/** What such a program sees of the world: less than a command does, so that its process is over sooner. */
export interface PluginIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** All of it. */
  stdin(): string;
  write(stream: 'stdout' | 'stderr', text: string): void;
  open(flags?: GlobalFlags): Promise<EngineApi>;
}

/**
 * The program as one that a runtime starts: a CNI plugin, which is called without a word, by its environment; or what the
 * shim (native/call.c) was called as, where no daemon listens. The answer is the exit status.
 */
export async function runAsPlugin(io: PluginIo, program: string, argv: readonly string[]): Promise<number> {
  const { NETLOOM_REQUEST: request, ...env } = io.env;
  const { stdin = () => io.stdin(), flags = {} } =
    program === 'netavark' ? (await import('./netavark.ts')).netavarkWays(argv, env) : {};
  const { stdout, stderr, status, after } = await runProgram({
    ...{ program, argv, env },
    stdin: stdin(),
    ...(request !== undefined && { request }),
    open: () => io.open(flags),
  });
  io.write('stdout', stdout);
  if (stderr !== undefined) io.write('stderr', stderr);
  await after?.();
  return status;
}
