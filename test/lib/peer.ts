import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Netns } from '../../src/kernel/index.ts';
import type { Ask, ConnectAsk, Seen } from './peer-process.ts';
import { end, enter, runIn } from './run.ts';

export type { Seen } from './peer-process.ts';

/** What a connection came to: what the server saw, or the errno's name. */
export type Answer =
  | { readonly ok: true; readonly seen: Seen; readonly text: string }
  | { readonly ok: false; readonly error: string };

export interface ConnectOptions {
  /** Bind to this address first. */
  readonly source?: string;
  readonly sourcePort?: number;
  /** Milliseconds; default 2000. Give a short one where silence is what is expected. */
  readonly timeout?: number;
}

/** A server that runs until it is disposed. */
export interface TestServer extends AsyncDisposable {
  readonly port: number;
}
/** A TCP connection that stays open. */
export interface HeldConnection extends AsyncDisposable {
  readonly seen: Seen;
  /** Asks the server once more over the same connection. */
  again(timeout?: number): Promise<Answer>;
}

/** Replies to every client with what it saw of it. @throws Error with the errno's name, `EADDRINUSE`. */
export async function tcpServer(netns: Netns, address: string, port: number, reply = 'tcp'): Promise<TestServer> {
  return serve(netns, { op: 'tcp-serve', address, port, reply });
}
/** Replies to every datagram with what it saw of its sender. */
export async function udpEcho(netns: Netns, address: string, port: number, reply = 'udp'): Promise<TestServer> {
  return serve(netns, { op: 'udp-serve', address, port, reply });
}

/** Connects, reads one line, hangs up. Refusal and silence are answers, not exceptions. */
export function tcpConnect(netns: Netns, address: string, port: number, options?: ConnectOptions): Promise<Answer> {
  return reach(netns, 'tcp-connect', address, port, options);
}
export function udpConnect(netns: Netns, address: string, port: number, options?: ConnectOptions): Promise<Answer> {
  return reach(netns, 'udp-connect', address, port, options);
}
/** Connects and stays. @throws Error with the errno's name. */
export async function tcpHold(
  netns: Netns,
  address: string,
  port: number,
  options?: ConnectOptions,
): Promise<HeldConnection> {
  const peer = await Peer.of(netns);
  try {
    const ask = connectAsk(address, port, options);
    const { handle, text } = (await peer.ask({ op: 'tcp-hold', ...ask })) as { handle: number; text: string };
    return {
      seen: JSON.parse(text) as Seen,
      again: (timeout = 2000) => answerOf(peer.ask({ op: 'tcp-say', handle, timeout })),
      [Symbol.asyncDispose]: async () => {
        await peer.ask({ op: 'close', handle });
        await peer.done();
      },
    };
  } catch (error) {
    await peer.done();
    throw error;
  }
}

/** One echo request; true when it was answered. @see ping(8) */
export async function ping(
  netns: Netns,
  address: string,
  { timeout = 2, source }: { readonly timeout?: number; readonly source?: string } = {},
): Promise<boolean> {
  const from = source === undefined ? [] : ['-I', source];
  const { status } = await runIn(netns, ['ping', '-n', '-c', '1', '-W', String(timeout), ...from, address]);
  return status === 0;
}

/**
 * From now on everything that is asked of `netns` goes to one process, started at the first question and ended by the
 * disposal. It keeps the namespace alive: only for a namespace that outlives the test's questions.
 */
export function keepPeer(netns: Netns): AsyncDisposable {
  kept.set(netns, undefined);
  return {
    [Symbol.asyncDispose]: async () => {
      const peer = await kept.get(netns)?.catch(() => undefined);
      kept.delete(netns);
      await peer?.stop();
    },
  };
}

/** A namespace that is not here gets a process for each server and each question. */
const kept = new Map<Netns, Promise<Peer> | undefined>();

class Peer {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #next = 1;
  #errors = '';
  /** Belongs to a namespace's owner, not to one question. */
  kept = false;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stderr!.on('data', (chunk: Buffer) => (this.#errors += chunk.toString()));
    child.on('message', ({ id, value, error }: { id: number; value?: unknown; error?: string }) => {
      const waiter = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiter?.resolve(value);
      else waiter?.reject(new Error(error));
    });
    child.on('close', () => {
      for (const waiter of this.#waiting.values()) waiter.reject(new Error(`the peer process ended: ${this.#errors}`));
      this.#waiting.clear();
    });
  }

  static async start(netns: Netns): Promise<Peer> {
    const script = fileURLToPath(new URL('peer-process.ts', import.meta.url));
    const [file, ...args] = [...enter(netns), process.execPath, '--no-warnings', script];
    // the IPC channel is inherited through nsenter, which only enters and executes
    const peer = new Peer(spawn(file, args, { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] }));
    await peer.#wait(0);
    return peer;
  }
  static of(netns: Netns): Promise<Peer> {
    if (!kept.has(netns)) return Peer.start(netns);
    const running = kept.get(netns) ?? Peer.start(netns).then((peer) => Object.assign(peer, { kept: true }));
    kept.set(netns, running);
    return running;
  }

  ask(ask: Ask): Promise<unknown> {
    const id = this.#next++;
    const answer = this.#wait(id);
    this.#child.send({ id, ask });
    return answer;
  }
  /** The caller needs it no more: ends it unless it is kept. */
  async done(): Promise<void> {
    if (!this.kept) await this.stop();
  }
  async stop(): Promise<void> {
    await end(this.#child);
  }

  #wait(id: number): Promise<unknown> {
    const waiter = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiter);
    return waiter.promise;
  }
}

async function serve(netns: Netns, ask: Ask): Promise<TestServer> {
  const peer = await Peer.of(netns);
  try {
    const { handle, port } = (await peer.ask(ask)) as { handle: number; port: number };
    return {
      port,
      [Symbol.asyncDispose]: async () => {
        await peer.ask({ op: 'close', handle });
        await peer.done();
      },
    };
  } catch (error) {
    await peer.done();
    throw error;
  }
}

async function reach(
  netns: Netns,
  op: 'tcp-connect' | 'udp-connect',
  address: string,
  port: number,
  options?: ConnectOptions,
): Promise<Answer> {
  const peer = await Peer.of(netns);
  try {
    return await answerOf(peer.ask({ op, ...connectAsk(address, port, options) }));
  } finally {
    await peer.done();
  }
}

function connectAsk(address: string, port: number, options: ConnectOptions = {}): ConnectAsk {
  return { timeout: 2000, ...options, address, port };
}

/** A server that is not ours says something else than JSON: then only `text` means anything. */
async function answerOf(reply: Promise<unknown>): Promise<Answer> {
  let text: string;
  try {
    text = String(await reply);
  } catch (error) {
    return { ok: false, error: (error as Error).message };
  }
  try {
    return { ok: true, seen: JSON.parse(text) as Seen, text };
  } catch {
    return { ok: true, seen: { reply: text, client: '', clientPort: 0, local: '', localPort: 0 }, text };
  }
}
