import { unlinkSync } from 'node:fs';
import { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type Caller, acceptCaller, type Fd, listenForCallers, POLL, Poll, receiveFirst } from '../kernel/index.ts';
import type { EngineApi, ProgramAnswer } from '../model/index.ts';
import { isPluginCall } from '../podman/words.ts';
import { answerFrame, FrameError, type Question, QuestionReader } from './call-frame.ts';
import { lent } from './lent.ts';
import type { Logger } from './log.ts';
import { Pins } from './pins.ts';
import { failure, runProgram } from './programs.ts';

export interface CallOptions {
  readonly engine: EngineApi;
  /** Where to listen: the path is this process's by a claim. */
  readonly path: string;
  /** Where namespaces get a path that have none here. */
  readonly runDir: string;
  readonly log: Logger;
  /** Milliseconds that a caller has to say all of its call; default 10,000. */
  readonly patience?: number;
  /** Callers that have not said all yet, at most: the one that took longest goes first. Default 256. */
  readonly crowd?: number;
}

/** Milliseconds in which a caller prints what it was told: into a pipe that somebody reads. */
const PRINTING = 30_000;

/**
 * Answers calls of programs that runtimes start, which the shim (native/call.c) hands over: root's and this user's own,
 * nobody else's. What a caller's call made is taken back when the caller is gone before it has printed the answer.
 */
export class CallServer {
  readonly #options: CallOptions;
  readonly #listener: Fd;
  readonly #poll: Poll;
  readonly #pins: Pins;
  /** Not said all yet, oldest first. */
  readonly #speaking = new Set<Connection>();
  /** Being answered. */
  readonly #served = new Set<Promise<void>>();
  readonly #open = new Set<Connection>();
  /** The last call for each attachment that has one under way. */
  readonly #turns = new Map<string, Promise<void>>();
  #stopping = false;

  constructor(options: CallOptions) {
    this.#options = options;
    this.#pins = new Pins(options.runDir, options.engine);
    this.#listener = listenForCallers(options.path);
    this.#poll = Poll.start(this.#listener, POLL.READABLE, () => this.#accept());
    void this.#sweep();
  }

  /** No new calls from now on; those under way are answered, those that last longer than `deadline` ms are cut: how many. */
  async stop(deadline: number): Promise<number> {
    this.#stopping = true;
    this.#poll.stop();
    this.#listener.close();
    unlinkSync(this.#options.path);
    for (const each of this.#speaking) each.close();
    const timer = new AbortController();
    await Promise.race([this.#idle(), delay(deadline, undefined, { signal: timer.signal }).catch(() => undefined)]);
    timer.abort();
    // whoever is cut asks the next daemon, and gets what was made
    for (const each of this.#open) each.cut();
    return this.#open.size;
  }

  async #idle(): Promise<void> {
    while (this.#served.size > 0) await Promise.all(this.#served);
  }

  #accept(): void {
    // a few at a time: the poll tells again of those that are left
    for (let i = 0; i < 32; i++) {
      let caller: Caller | undefined;
      try {
        caller = acceptCaller(this.#listener);
      } catch (error) {
        this.#options.log.error({ err: error }, 'a call could not be accepted');
        return;
      }
      if (caller === undefined) return;
      this.#greet(caller);
    }
  }

  #greet(caller: Caller): void {
    const { log, patience = 10_000, crowd = 256 } = this.#options;
    if (!mayCall(caller.uid)) {
      log.warn({ pid: caller.pid, uid: caller.uid }, 'a stranger was refused');
      const why = `user ${caller.uid} may not call netloom: root may, and the user that its daemon runs as`;
      return void new Socket({ fd: caller.fd.release() })
        .on('error', () => undefined)
        .end(answerFrame(failure(104, why)));
    }
    const connection = new Connection(caller, patience);
    this.#open.add(connection);
    this.#speaking.add(connection);
    const [oldest] = this.#speaking;
    if (oldest && this.#speaking.size > crowd) {
      this.#speaking.delete(oldest);
      oldest.close();
    }
    const served = this.#serve(connection).finally(() => this.#served.delete(served));
    this.#served.add(served);
  }

  async #serve(connection: Connection): Promise<void> {
    const { log } = this.#options;
    const { pid } = connection;
    let over = (): void => undefined;
    try {
      const question = await connection.question();
      this.#speaking.delete(connection);
      if (!question) return;
      over = await this.#turn(question);
      const answer = await this.#answer(question, connection);
      const told = await connection.answer(answer);
      if (told || connection.wasCut || !answer.undo) return await answer.after?.();
      log.warn({ pid, request: question.request }, 'the caller is gone: what it asked for is taken back');
      await answer.undo();
    } catch (error) {
      const expected = error instanceof FrameError;
      log[expected ? 'warn' : 'error']({ pid, err: error }, 'a call failed');
      if (expected) await connection.answer(failure(4, `netloom cannot read the call: ${error.message}`));
    } finally {
      over();
      this.#speaking.delete(connection);
      this.#open.delete(connection);
      connection.close();
      void this.#sweep();
    }
  }

  /**
   * Calls for one attachment go one after another, what one takes back included: a runtime that has killed an ADD asks for
   * DEL at once, which must not come before what ADD is still about to make. @returns what says that this one is over
   */
  async #turn({ program, env }: Question): Promise<() => void> {
    const { CNI_CONTAINERID: container = '', CNI_IFNAME: ifname = '' } = env;
    if (container === '') return () => undefined;
    const key = `${program} ${container} ${ifname}`;
    const before = this.#turns.get(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turns.set(key, promise);
    await before;
    return () => {
      if (this.#turns.get(key) === promise) this.#turns.delete(key);
      resolve();
    };
  }

  async #answer(question: Question, { passed, gone }: Connection): Promise<ProgramAnswer> {
    const { engine, log } = this.#options;
    const { program, argv, env, stdin, request } = question;
    const path = (program === 'netavark' || isPluginCall(argv) ? argv.at(-1) : env['CNI_NETNS']) ?? '';
    using reached = passed && this.#pins.reach(passed, path);
    const begun = performance.now();
    const answer = await runProgram({
      ...{ program, argv, env, stdin, request, signal: gone },
      ...(reached?.path !== undefined && { netns: reached.path }),
      open: () => Promise.resolve(lent(engine)),
    });
    if (log.isLevelEnabled('debug')) {
      const what = env['CNI_COMMAND'] ?? argv.join(' ');
      log.debug({ program, what, status: answer.status, ms: Number((performance.now() - begun).toFixed(2)) }, 'call');
    }
    return answer;
  }

  async #sweep(): Promise<void> {
    if (this.#stopping) return;
    await this.#pins.sweep().catch((error: unknown) => {
      this.#options.log.error({ err: error }, 'paths of namespaces could not be taken away');
    });
  }
}

/** Whoever may do anything to the host already. */
function mayCall(uid: number): boolean {
  return uid === 0 || uid === process.getuid!();
}

/** One caller: its question, then its answer. */
class Connection {
  readonly pid: number;
  /** The namespace that it handed over. */
  passed: Fd | undefined;
  readonly #gone = new AbortController();
  readonly #fd: Fd;
  readonly #late: NodeJS.Timeout;
  #poll: Poll | undefined;
  #socket: Socket | undefined;
  readonly #reader = new QuestionReader();
  readonly #asked = Promise.withResolvers<Question | undefined>();
  #whole = false;
  #told = false;
  #answered: (() => void) | undefined;

  constructor({ fd, pid }: Caller, patience: number) {
    this.pid = pid;
    this.#fd = fd;
    this.#late = setTimeout(() => this.close(), patience);
    if (!this.#first()) this.#poll = Poll.start(fd, POLL.READABLE, () => this.#first());
  }

  /** Aborted when it is. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }
  /** @returns undefined where it went before it had said all. @throws FrameError */
  question(): Promise<Question | undefined> {
    return this.#asked.promise;
  }

  /** @returns whether it has said that it printed all of it */
  answer(answer: ProgramAnswer): Promise<boolean> {
    const socket = this.#socket;
    if (!socket || socket.destroyed) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#answered = () => resolve(this.#told);
      socket.setTimeout(PRINTING, () => socket.destroy());
      socket.write(answerFrame(answer));
    });
  }

  /** Closed by us, before it has its answer. */
  wasCut = false;
  cut(): void {
    this.wasCut = true;
    this.close();
  }

  close(): void {
    clearTimeout(this.#late);
    this.#poll?.stop();
    this.#poll = undefined;
    this.passed?.close();
    if (this.#socket) this.#socket.destroy();
    else {
      this.#fd.close();
      this.#ended();
    }
  }

  /** The first of what it says, with which the descriptor comes; the rest arrives by a socket of Node's. */
  #first(): boolean {
    try {
      const first = receiveFirst(this.#fd);
      if (!first) return false;
      this.#poll?.stop();
      this.#poll = undefined;
      this.passed = first.passed;
      this.#socket = new Socket({ fd: this.#fd.release() });
      this.#socket
        .on('data', (part) => this.#take(part))
        .on('error', () => undefined)
        .on('close', () => this.#ended());
      if (first.bytes.length > 0) this.#take(first.bytes);
      else this.#socket.destroy();
    } catch (error) {
      this.#asked.reject(error);
      this.close();
    }
    return true;
  }

  #take(part: Buffer): void {
    if (this.#answered) {
      this.#told = true;
      return void this.#socket!.destroy();
    }
    // what is said while it is answered is nothing, and is not kept
    if (this.#whole || this.#gone.signal.aborted) return;
    try {
      const question = this.#reader.push(part);
      if (!question) return;
      this.#whole = true;
      clearTimeout(this.#late);
      this.#asked.resolve(question);
    } catch (error) {
      this.#whole = true;
      this.#asked.reject(error);
    }
  }

  #ended(): void {
    clearTimeout(this.#late);
    this.#gone.abort();
    this.#asked.resolve(undefined);
    this.#answered?.();
  }
}
