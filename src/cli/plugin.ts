import { readFileSync, writeFileSync } from 'node:fs';
import { runProgram } from '../daemon/programs.ts';
import { openApi } from './connect.ts';

/**
 * The program as one that a runtime starts: a CNI plugin, which is called without a word, by its environment; or what the
 * shim (native/call.c) was called as, where no daemon listens. Without the streams of a command, and with as few modules as
 * it can: loading is most of the time that such a process has.
 * @param main the program that is a command @returns the exit status
 */
export async function runAsPlugin(program: string, argv: readonly string[], main: string): Promise<number> {
  const { NETLOOM_REQUEST: request, ...env } = process.env;
  const { stdin = () => readFileSync(0, 'utf8'), flags = {} } =
    program === 'netavark' ? (await import('./netavark.ts')).netavarkWays(argv, env) : {};
  const { stdout, stderr, status, after } = await runProgram({
    ...{ program, argv, env },
    stdin: stdin(),
    ...(request !== undefined && { request }),
    open: () => openApi(flags, process.env, main),
  });
  writeFileSync(1, stdout);
  if (stderr !== undefined) writeFileSync(2, stderr);
  await after?.();
  return status;
}
