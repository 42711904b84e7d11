import { NetloomError } from '../errors.ts';
import type { DelegateCall, ProgramAnswer, ProgramCall } from '../model/index.ts';
import { isPluginCall } from '../podman/words.ts';

/**
 * The programs that runtimes start, each by the last part of its name: whether the call came through the daemon's socket or
 * is a process of its own (src/cli/plugin.ts).
 */
const PROGRAMS: Readonly<Record<string, (call: ProgramCall) => Promise<ProgramAnswer>>> = {
  netloom: async (call) =>
    isPluginCall(call.argv)
      ? (await import('../podman/index.ts')).runNetavarkPlugin(call)
      : (await import('../cni/index.ts')).runPlugin(call),
  netavark: async (call) => (await import('../podman/index.ts')).runNetavark(call),
  'netloom-ipam': async (call) => (await import('../cni/index.ts')).runIpam(call),
};

/** Few calls have another plugin to run. */
async function runDelegate(plugin: DelegateCall): Promise<ProgramAnswer | undefined> {
  return await (await import('./delegate.ts')).runDelegate(plugin);
}

/** Characters of a file that a call reads: a list of networks is some hundred. */
const FILE_MAX = 64 * 1024;

/** @throws NetloomError EIO for what is no file of reasonable length, or cannot be read */
async function readFile(path: string): Promise<string | undefined> {
  const { open } = await import('node:fs/promises');
  const { O_RDONLY, O_NONBLOCK } = (await import('node:fs')).constants;
  try {
    // a pipe would be waited for
    await using file = await open(path, O_RDONLY | O_NONBLOCK);
    const stat = await file.stat();
    if (!stat.isFile() || stat.size > FILE_MAX) throw new Error(`it is no file of ${FILE_MAX} bytes at most`);
    return await file.readFile('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new NetloomError('EIO', `${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** Runs the program that was called. Throws nothing. */
export async function runProgram(call: ProgramCall): Promise<ProgramAnswer> {
  const run = Object.hasOwn(PROGRAMS, call.program) ? PROGRAMS[call.program] : undefined;
  if (!run)
    return failure(199, `netloom is no ${JSON.stringify(call.program)}: it is ${Object.keys(PROGRAMS).join(', ')}`);
  try {
    return await run({ delegate: runDelegate, readFile, ...call });
  } catch (error) {
    return failure(199, `bug: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** What goes wrong before a program is reached, said so that a CNI runtime and a caller of netavark both find it. */
export function failure(code: number, message: string): ProgramAnswer {
  const text = JSON.stringify({ cniVersion: '1.1.0', code, msg: message, error: message });
  return { stdout: `${text}\n`, status: 1 };
}
