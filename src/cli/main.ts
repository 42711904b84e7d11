import { fileURLToPath } from 'node:url';
import { runCli } from './app.ts';
import type { Io, Sink } from './context.ts';
import type { GlobalFlags } from './flags.ts';
import type { EngineApi } from '../model/index.ts';

/** A reader that went away (`netloom ps | head -1`) ends the program quietly, as SIGPIPE would. */
function quietPipe(stream: NodeJS.WriteStream): Sink {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  return stream;
}

// The launcher's setting has done its work when this line runs; a command that we start must not inherit it.
if (process.env['NODE_COMPILE_CACHE']?.endsWith('/netloom/node') === true) delete process.env['NODE_COMPILE_CACHE'];

const program = fileURLToPath(import.meta.url);
const io: Io = {
  stdout: quietPipe(process.stdout),
  stderr: quietPipe(process.stderr),
  stdinIsTTY: process.stdin.isTTY ?? false,
  stdin: async () => await (await import('node:stream/consumers')).text(process.stdin),
  env: process.env,
  program,
  now: () => Date.now(),
  open: async (flags: GlobalFlags): Promise<EngineApi> =>
    (await import('./connect.ts')).openApi(flags, process.env, program),
};

const words = process.argv.slice(2);
if (words.length === 0 && process.env['CNI_COMMAND'] !== undefined) {
  process.exitCode = await (await import('./plugin.ts')).runAsPlugin(io);
} else if (words[0] === 'netavark') {
  process.exitCode = await (await import('./netavark.ts')).runAsNetavark(io, words.slice(1));
} else process.exitCode = await runCli(words, io);
