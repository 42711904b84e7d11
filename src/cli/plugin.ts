import { runProgram } from '../daemon/programs.ts';
import type { Io } from './context.ts';

/**
 * The program as one that a runtime starts: a CNI plugin, which is called without a word, by its environment; or what the
 * shim (native/call.c) was called as, where no daemon listens. The answer is the exit status.
 */
export async function runAsPlugin(io: Io, program: string, argv: readonly string[]): Promise<number> {
  const { NETLOOM_REQUEST: request, ...env } = io.env;
  const { stdin = () => io.stdin(), flags = {} } =
    program === 'netavark' ? (await import('./netavark.ts')).netavarkWays(argv, env) : {};
  const { stdout, stderr, status } = await runProgram({
    ...{ program, argv, env },
    stdin: await stdin(),
    ...(request !== undefined && { request }),
    open: () => io.open(flags),
  });
  io.stdout.write(stdout);
  if (stderr !== undefined) io.stderr.write(stderr);
  return status;
}
