import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { NetloomError } from '../errors.ts';
import type { DelegateCall, ProgramAnswer } from '../model/index.ts';

/** Bytes of an answer at most. */
const ANSWER_MAX = 1024 * 1024;
/** Milliseconds that another plugin has: what waits for a DHCP server takes its time. */
const PATIENCE = 110_000;

/** Runs another plugin as this one was called. @throws NetloomError EIO where it cannot be started, ETIMEDOUT */
export async function runDelegate(plugin: DelegateCall): Promise<ProgramAnswer | undefined> {
  const file = await find(plugin);
  if (file === undefined) return undefined;
  // a script needs to find its programs, and the shim does not hand over where
  const { PATH = '' } = process.env;
  const child = spawn(file, [], { env: { PATH, ...plugin.env }, cwd: '/', stdio: 'pipe' });
  let late = false;
  let long = false;
  const timer = setTimeout(() => (late = child.kill('SIGKILL')), PATIENCE);
  const limited = async (stream: NodeJS.ReadableStream): Promise<string> => {
    let size = 0;
    stream.on('data', (part: Buffer) => {
      size += part.length;
      if (size > ANSWER_MAX) long = child.kill('SIGKILL') || long;
    });
    return (await buffer(stream)).subarray(0, ANSWER_MAX).toString('utf8');
  };
  try {
    const ended = new Promise<number>((resolve, reject) => {
      child.on('error', reject).on('close', (code) => resolve(code ?? 255));
    });
    // one that does not read its input has ended, and says why
    child.stdin.on('error', () => undefined).end(plugin.stdin);
    const [status, stdout, stderr] = await Promise.all([ended, limited(child.stdout), limited(child.stderr)]);
    if (late) throw new NetloomError('ETIMEDOUT', `${file} took longer than ${PATIENCE / 1000} seconds`);
    if (long) throw new NetloomError('EIO', `${file} says more than ${ANSWER_MAX} bytes`);
    return { status, stdout, stderr };
  } catch (error) {
    if (error instanceof NetloomError) throw error;
    throw new NetloomError('EIO', `${file} cannot be started: ${(error as Error).message}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** The first file of that name that can be run. What is relative is another's here than the caller's. */
async function find({ type, path }: DelegateCall): Promise<string | undefined> {
  for (const directory of path) {
    if (!isAbsolute(directory)) continue;
    const file = join(directory, type);
    try {
      await access(file, constants.X_OK);
      if ((await stat(file)).isFile()) return file;
    } catch {
      // not in this one
    }
  }
  return undefined;
}
