import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '../../src/api/client.ts';
import { writeShim } from '../../src/cli/shim-file.ts';
import { cniEnv } from './cni.ts';
import { type EngineBed, makeEngineBed } from './engine.ts';
import { type Background, enter, startIn } from './run.ts';
import { until } from './wait.ts';

/** One call of a plugin, as a runtime makes it. */
export interface PluginCall {
  readonly id?: string;
  readonly netns?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Over the bed's own; a text goes as it is. */
  readonly conf?: object | string;
  /** Words before the shim's path, that run it: `unshare -m …`. */
  readonly before?: readonly string[];
}
export interface PluginAnswer {
  /** 128 + the signal's number where one ended it. */
  readonly status: number;
  readonly json: Readonly<Record<string, unknown>>;
  readonly stderr: string;
}
/** A call that goes on. */
export interface Calling {
  readonly child: ChildProcess;
  readonly answer: Promise<PluginAnswer>;
}

/** A host with the shim installed and a daemon that can be started and killed. */
export interface ShimBed extends AsyncDisposable {
  readonly bed: EngineBed;
  /** The installed shim. */
  readonly shim: string;
  readonly callSocket: string;
  /** Which runs now. */
  readonly daemon: Background | undefined;
  /** Starts the daemon; resolves when it answers. */
  start(): Promise<Background>;
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  call(verb: string, call: PluginCall): Promise<PluginAnswer>;
  calling(verb: string, call: PluginCall): Calling;
}

const NETLOOM = fileURLToPath(new URL('../../bin/netloom', import.meta.url));
const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
export const CONF: object = {
  cniVersion: '1.1.0',
  name: 'dbnet',
  type: 'netloom',
  subnets: [{ subnet: '10.1.0.0/16' }],
  ipv6: true,
};

export async function makeShimBed(): Promise<ShimBed> {
  await using stack = new AsyncDisposableStack();
  const bed = stack.use(await makeEngineBed());
  const { runDir, stateDir } = bed.paths;
  const shim = join(bed.dirs.root, 'netloom');
  const callSocket = join(runDir, 'call.sock');
  writeShim(shim, { program: NETLOOM, socket: callSocket });
  let daemon: Background | undefined;
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    const ended = daemon;
    daemon = undefined;
    if (signal === 'SIGKILL') ended?.child.kill('SIGKILL');
    await ended?.[Symbol.asyncDispose]();
  };
  stack.defer(() => end('SIGTERM'));
  const calling = (verb: string, { conf = {}, before = [], ...call }: PluginCall): Calling => {
    const [file, ...args] = [...enter(bed.host.netns), ...before, shim];
    const child = spawn(file, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        ...process.env,
        ...cniEnv(bed, verb, call),
      },
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(typeof conf === 'string' ? conf : JSON.stringify({ ...CONF, ...conf }));
    return { child, answer: answerOf(child) };
  };
  const kept = stack.move();
  return {
    bed,
    shim,
    callSocket,
    get daemon() {
      return daemon;
    },
    async start() {
      const socket = join(runDir, 'netloom.sock');
      const words = ['daemon', `--socket=${socket}`, `--state-dir=${stateDir}`, `--run-dir=${runDir}`];
      const argv = [process.execPath, '--disable-warning=ExperimentalWarning', MAIN, ...words];
      const running = (daemon = startIn(bed.host.netns, argv));
      await until(
        'the daemon answers',
        async () => {
          if (running.child.exitCode !== null) throw new Error(`the daemon ended: ${running.output()}`);
          const client = await Client.connect(socket);
          await client?.[Symbol.asyncDispose]();
          return client !== undefined;
        },
        { timeout: 20_000 },
      );
      return running;
    },
    end,
    call: (verb, call) => calling(verb, call).answer,
    calling,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function answerOf(child: ChildProcess): Promise<PluginAnswer> {
  const [out, err]: [Buffer[], Buffer[]] = [[], []];
  child.stdout!.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr!.on('data', (chunk: Buffer) => err.push(chunk));
  const late = setTimeout(() => child.kill('SIGKILL'), 60_000);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.once('error', reject);
  child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGTERM' ? 143 : 137)));
  const status = await promise;
  clearTimeout(late);
  const stdout = Buffer.concat(out).toString();
  return {
    status,
    json: stdout === '' ? {} : (JSON.parse(stdout) as PluginAnswer['json']),
    stderr: Buffer.concat(err).toString(),
  };
}

/** Waits until the shim has asked and sleeps over the answer; nsenter has become it by then. */
export async function asked({ child }: Calling, shim: string): Promise<void> {
  const proc = `/proc/${child.pid}`;
  await until('the shim waits for its answer', () => {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
    const state = /^State:\s+(\S)/m.exec(readFileSync(`${proc}/status`, 'utf8'))?.[1];
    const sockets = readdirSync(`${proc}/fd`).filter((fd) => linkOf(`${proc}/fd/${fd}`).startsWith('socket:'));
    return readlinkSync(`${proc}/exe`) === shim && state === 'S' && sockets.some((fd) => Number(fd) > 2);
  });
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
