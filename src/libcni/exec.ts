import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { NetloomError } from '../errors.ts';
import { PluginError } from './errors.ts';
import type { CallOptions, ExecOptions } from './types.ts';

/** What a plugin is told by its environment. */
export interface PluginArgs {
  readonly command: string;
  readonly containerID?: string;
  readonly netns?: string;
  readonly ifName?: string;
  readonly args?: readonly (readonly [string, string])[];
  readonly path: string;
}

const OUTPUT_MAX = 4 * 1024 * 1024;
/** Of standard error: people read it, in one line. */
const STDERR_MAX = 64 * 1024;

/**
 * The file of a plugin: the first of that name on the path.
 * @throws NetloomError ECNINOPLUGIN
 */
export function findPlugin(type: string, path: readonly string[]): string {
  if (type === '' || type.includes('/') || type.includes('\0'))
    throw new NetloomError('ECNINOPLUGIN', `${JSON.stringify(type)} is no name of a plugin`, {
      hint: 'The type of a plugin is the name of its file, without a directory.',
    });
  let refused: string | undefined;
  for (const directory of path) {
    const file = join(directory, type);
    if (!statSync(file, { throwIfNoEntry: false })?.isFile()) continue;
    try {
      accessSync(file, constants.X_OK);
    } catch {
      refused ??= file;
      continue;
    }
    return wantProgram(file);
  }
  if (refused !== undefined)
    throw new NetloomError('ECNINOPLUGIN', `${refused} may not be run`, { hint: `chmod +x ${refused}` });
  const where = path.length === 0 ? 'an empty path' : path.join(', ');
  throw new NetloomError('ECNINOPLUGIN', `there is no plugin "${type}" in ${where}`, {
    hint: 'Give the directory of the plugins (CNI_PATH, --plugin-dir), or install it there.',
  });
}

/** execvp(3) has a shell try whatever the kernel takes for no program. */
function wantProgram(file: string): string {
  const head = Buffer.alloc(4);
  let fd;
  try {
    fd = openSync(file, 'r');
    readSync(fd, head);
  } catch {
    return file; // one that may be run and not read
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
  if (head.toString('latin1') === '\x7fELF' || head.toString('latin1', 0, 2) === '#!') return file;
  throw new NetloomError('ECNINOPLUGIN', `${file} cannot be run: it is no program`, {
    hint: 'A plugin is an executable of this machine (ELF), or a script whose first line names its interpreter (#!).',
  });
}

/**
 * Runs a plugin's file with a document on its standard input; what it printed. No shell: its file is run as it is, with
 * CNI_* over the environment that it inherits. What it started itself ends with it, where it is ended.
 * @throws PluginError what it said, or how it ended; NetloomError ECNITIMEOUT, ECNIABORTED
 */
export async function runPluginFile(
  file: string,
  plugin: string,
  args: PluginArgs,
  stdin: string,
  exec: ExecOptions,
  call: CallOptions,
): Promise<string> {
  const env = { ...(exec.env ?? process.env), ...environment(args) };
  for (let tries = 0; ; tries++) {
    if (call.signal?.aborted === true) throw aborted(plugin, args.command);
    try {
      return await once(file, plugin, args.command, env, stdin, exec, call);
    } catch (error) {
      // the file is being written this moment
      if ((error as NodeJS.ErrnoException).code !== 'ETXTBSY' || tries >= 25) throw error;
      await sleep(200);
    }
  }
}

/** As the specification has them; all of them, so that none is inherited. */
function environment({ command, containerID, netns, ifName, args, path }: PluginArgs): Record<string, string> {
  return {
    CNI_COMMAND: command,
    CNI_CONTAINERID: containerID ?? '',
    CNI_NETNS: netns ?? '',
    CNI_IFNAME: ifName ?? '',
    CNI_ARGS: (args ?? []).map((pair) => pair.join('=')).join(';'),
    CNI_PATH: path,
  };
}

async function once(
  file: string,
  plugin: string,
  command: string,
  env: NodeJS.ProcessEnv,
  stdin: string,
  exec: ExecOptions,
  call: CallOptions,
): Promise<string> {
  // a group of its own, so that what it started can be ended with it
  const child = spawn(file, [], { env, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  const failed = (msg: string, hint: string): PluginError =>
    new PluginError({ plugin, command, code: 0, msg, details: '' }, { hint });
  let end: NetloomError | undefined;
  const kill = (why: NetloomError): void => {
    end ??= why;
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };
  const outputMax = exec.outputMax ?? OUTPUT_MAX;
  const timeout = call.timeout ?? exec.timeout;
  const late =
    timeout === undefined ? undefined : setTimeout(() => kill(tookTooLong(plugin, command, timeout)), timeout);
  const onAbort = (): void => kill(aborted(plugin, command));
  call.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const tooMuch = (): void => kill(failed(`printed more than ${outputMax} bytes`, 'A result is some hundred.'));
    const { stdout, stderr, code, signal } = await collect(child, stdin, outputMax, tooMuch);
    if (end !== undefined) throw end;
    if (code === 0) {
      if (stderr !== '') exec.stderr?.(stderr, plugin);
      return stdout;
    }
    throw failure(
      plugin,
      command,
      stdout,
      stderr,
      code === null ? `was ended by ${signal}` : `ended with status ${code}`,
    );
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof NetloomError || code === 'ETXTBSY') throw error;
    // the kernel runs no such file
    throw new NetloomError('ECNINOPLUGIN', `${file} cannot be run: ${(error as Error).message}`, {
      cause: error,
      hint:
        code === 'ENOENT'
          ? 'What its first line names as its interpreter is not there.'
          : `file ${file} says what it is.`,
    });
  } finally {
    clearTimeout(late);
    call.signal?.removeEventListener('abort', onAbort);
  }
}

interface Ended {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** @throws Error what spawn(2) says */
function collect(
  child: ChildProcessByStdio<Writable, Readable, Readable>,
  stdin: string,
  outputMax: number,
  tooMuch: () => void,
): Promise<Ended> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  let [outBytes, errBytes] = [0, 0];
  child.stdout.on('data', (chunk: Buffer) => {
    outBytes += chunk.length;
    if (outBytes <= outputMax) out.push(chunk);
    else tooMuch();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    if (errBytes < STDERR_MAX) err.push(chunk.subarray(0, STDERR_MAX - errBytes));
    errBytes += chunk.length;
  });
  child.stdin.on('error', () => undefined); // one that ends without reading its input
  child.stdin.end(stdin);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) =>
      resolve({ stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString().trim(), code, signal }),
    );
  });
}

/** The plugin's own error where it printed one, as the specification wants; else what can be said of it. */
function failure(plugin: string, command: string, stdout: string, stderr: string, ended: string): PluginError {
  if (stdout.trim() === '') {
    const [line = '', ...more] = stderr.split('\n');
    const msg = line === '' ? `${ended} and said nothing` : `${ended}: ${line}`;
    const hint = more.length === 0 ? '' : `Standard error has ${more.length} more lines: NETLOOM_DEBUG=1 shows them.`;
    return new PluginError({ plugin, command, code: 0, msg, details: more.length === 0 ? '' : stderr }, { hint });
  }
  let said: unknown;
  try {
    said = JSON.parse(stdout);
  } catch {
    said = undefined;
  }
  if (typeof said !== 'object' || said === null || Array.isArray(said)) {
    const msg = `${ended} and printed no error that can be read: ${excerpt(stdout)}`;
    return new PluginError({ plugin, command, code: 0, msg, details: stderr });
  }
  const { code, msg, details } = said as Record<string, unknown>;
  return new PluginError({
    plugin,
    command,
    code: Number.isSafeInteger(code) && (code as number) >= 0 ? (code as number) : 0,
    msg: typeof msg === 'string' && msg !== '' ? msg : `${ended} without a message`,
    details: typeof details === 'string' ? details : '',
  });
}

/** The beginning of what a program printed, in quotes. */
export function excerpt(text: string): string {
  const short = text.trim();
  return JSON.stringify(short.length > 200 ? `${short.slice(0, 200)}…` : short);
}

function tookTooLong(plugin: string, command: string, timeout: number): NetloomError {
  return new NetloomError('ECNITIMEOUT', `plugin ${plugin}: ${command}: did not end within ${timeout} ms`, {
    hint: 'What it had done by then may be there: DEL takes it away.',
  });
}
function aborted(plugin: string, command: string): NetloomError {
  return new NetloomError('ECNIABORTED', `plugin ${plugin}: ${command}: was ended on request`, {
    hint: 'What it had done by then may be there: DEL takes it away.',
  });
}
