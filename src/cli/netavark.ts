import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failure, type NetavarkCommand, parseCommand, runNetavark } from '../podman/index.ts';
import type { ProgramAnswer } from '../model/index.ts';
import type { Io } from './context.ts';
import type { GlobalFlags } from './flags.ts';

/** The program as netavark, by which Podman starts it. The answer is the exit status. */
export async function runAsNetavark(io: Io, argv: readonly string[]): Promise<number> {
  const { stdout, stderr = '', status } = await answer(io, argv);
  if (stderr !== '') io.stderr.write(stderr);
  io.stdout.write(stdout);
  return status;
}

async function answer(io: Io, argv: readonly string[]): Promise<ProgramAnswer> {
  try {
    const command = parseCommand(argv);
    const { verb, file } = command;
    const reads = verb === 'setup' || verb === 'teardown' || verb === 'create';
    const stdin = !reads ? '' : file === '' || file === '-' ? await io.stdin() : await readFile(file, 'utf8');
    return await runNetavark({
      program: 'netavark',
      // what it names was read
      argv: file === '' ? argv : [...argv, '--file', '-'],
      env: io.env,
      stdin,
      open: () => io.open(flagsOf(io, command)),
    });
  } catch (error) {
    return failure(error);
  }
}

/**
 * A user's Podman runs in a namespace of its own where the machine's directories are not to be written: what is ours lies
 * beside what is Podman's, and is gone with it.
 */
function flagsOf({ env }: Io, { rootless, config }: NetavarkCommand): GlobalFlags {
  if (!rootless || config === '') return {};
  return {
    ...((env['NETLOOM_STATE_DIR'] ?? '') === '' && { stateDir: join(config, 'netloom/state') }),
    ...((env['NETLOOM_RUN_DIR'] ?? '') === '' && { runDir: join(config, 'netloom/run') }),
  };
}
