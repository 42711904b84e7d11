import { readFileSync, writeFileSync } from 'node:fs';
import { isatty } from 'node:tty';
import { fileURLToPath } from 'node:url';
import { isPluginCall } from '../podman/words.ts';
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

const main = fileURLToPath(import.meta.url);
const open = async (flags: GlobalFlags): Promise<EngineApi> =>
  (await import('./connect.ts')).openApi(flags, process.env, main);

const words = process.argv.slice(2);
// The shim says what it was called as; a link to the program itself is called without a word, or as netavark calls plugins.
const bare =
  (words.length === 0 && process.env['CNI_COMMAND'] !== undefined) || (isPluginCall(words) && !isatty(0))
    ? 'netloom'
    : undefined;
const program = process.env['NETLOOM_CALLED_AS'] ?? bare;
delete process.env['NETLOOM_CALLED_AS'];
process.exitCode = program === undefined ? await command() : await plugin(program);

async function command(): Promise<number> {
  const io: Io = {
    stdout: quietPipe(process.stdout),
    stderr: quietPipe(process.stderr),
    stdinIsTTY: process.stdin.isTTY ?? false,
    stdin: async () => await (await import('node:stream/consumers')).text(process.stdin),
    env: process.env,
    program: main,
    now: () => Date.now(),
    open,
  };
  return await (await import('./app.ts')).runCli(words, io);
}

/** Without the streams of a command: loading them takes a tenth of the time that such a process has. */
async function plugin(name: string): Promise<number> {
  return await (
    await import('./plugin.ts')
  ).runAsPlugin(
    {
      env: process.env,
      stdin: () => readFileSync(0, 'utf8'),
      write: (stream, text) => writeFileSync(stream === 'stdout' ? 1 : 2, text),
      open: (flags = {}) => open(flags),
    },
    name,
    words,
  );
}
