import { fileURLToPath } from 'node:url';
import { isatty } from 'node:tty';
import { isPluginCall } from '../podman/words.ts';
import type { Io, Sink } from './context.ts';
import { calledAs } from './launch.ts';

/** A reader that went away (`netloom ps | head -1`) ends the program quietly, as SIGPIPE would. */
function quietPipe(stream: NodeJS.WriteStream): Sink {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  return stream;
}

const main = fileURLToPath(import.meta.url);
const words = process.argv.slice(2);
// the launcher starts src/cli/called.ts for whom it knows; netavark calls plugins by words
const program = calledAs() ?? (isPluginCall(words) && !isatty(0) ? 'netloom' : undefined);
process.exitCode =
  program === undefined ? await command() : await (await import('./plugin.ts')).runAsPlugin(program, words, main);

async function command(): Promise<number> {
  const io: Io = {
    stdout: quietPipe(process.stdout),
    stderr: quietPipe(process.stderr),
    stdinIsTTY: process.stdin.isTTY ?? false,
    stdin: async () => await (await import('node:stream/consumers')).text(process.stdin),
    env: process.env,
    program: main,
    now: () => Date.now(),
    open: async (flags) => (await import('./connect.ts')).openApi(flags, process.env, main),
  };
  return await (await import('./app.ts')).runCli(words, io);
}
