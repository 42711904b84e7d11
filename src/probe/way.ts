import {
  errnoName,
  type Fd,
  mtuProbeTo,
  native,
  omitChecksum,
  type Netns,
  type Poll,
  randomBytes,
  whenReadable,
} from '../kernel/index.ts';
import { type Answer, LEAST, PROBE_PORT, readMessage, writeMessage } from './message.ts';
import { box } from './responder.ts';

/** One other node, by one of its addresses. */
export interface Target {
  readonly node: string;
  /** The node's id, by which it knows that we are of its cluster. */
  readonly id: string;
  /** Ours, of the same family. */
  readonly local: string;
  readonly remote: string;
  /** Bytes of the biggest IP packet that should come through, both ways. */
  readonly mtu: number;
}

/** An answer with what is known here beside it. */
export interface Heard extends Answer {
  /** Milliseconds from question to answer. */
  readonly rtt: number;
  /** How far its clock is ahead of ours, milliseconds; uncertain by half of `rtt`. */
  readonly ahead: number;
}

interface Waiting {
  readonly sent: number;
  readonly clock: number;
  done(heard: Heard | undefined): void;
}

/** A socket to one address of another node, on which several questions may be under way. */
export class Way implements Disposable {
  readonly #fd: Fd;
  readonly #id: string;
  readonly #now: () => number;
  readonly #waiting = new Map<string, Waiting>();
  #poll: Poll | undefined;
  /** What the network said instead of an answer: `ECONNREFUSED`, `EMSGSIZE`, `EHOSTUNREACH` … */
  readonly told: Set<string> = new Set();
  /** The answer that came back fastest. */
  best: Heard | undefined;

  /** @throws SyscallError EADDRNOTAVAIL, ENETUNREACH, EHOSTUNREACH */
  constructor(
    netns: Netns | undefined,
    target: Target,
    options: { readonly now: () => number; readonly port?: number },
  ) {
    const { local, remote, id } = target;
    this.#id = id;
    this.#now = options.now;
    this.#fd = mtuProbeTo(netns, { address: local, port: 0 }, { address: remote, port: options.port ?? PROBE_PORT });
    this.#listen();
  }

  /**
   * Asks with a datagram of `size` bytes for one of `want`; undefined when none has come in time.
   * @param timeout milliseconds
   * @param bare  without checksums, there and back; IPv4 only
   */
  async ask(size: number, want: number, timeout: number, bare = false): Promise<Heard | undefined> {
    const nonce = Buffer.from(randomBytes(8)).toString('hex');
    const datagram = new Uint8Array(Math.max(size, LEAST));
    writeMessage(datagram, { kind: 'question', nonce, want, ...(bare && { bare }) }, this.#id);
    const { promise, resolve } = Promise.withResolvers<Heard | undefined>();
    const timer = setTimeout(() => resolve(undefined), timeout);
    this.#waiting.set(nonce, { sent: performance.now(), clock: this.#now(), done: resolve });
    try {
      if (bare) omitChecksum(this.#fd, true);
      // an error that came for an earlier one is told in its place, and it is not sent
      for (let tries = 0; !this.#send(datagram) && tries < 2; tries++);
      if (bare) omitChecksum(this.#fd, false);
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(nonce);
    }
  }

  [Symbol.dispose](): void {
    this.#poll?.stop();
    this.#fd.close();
    for (const { done } of this.#waiting.values()) done(undefined);
  }

  #send(datagram: Uint8Array): boolean {
    try {
      native.send(this.#fd.number, datagram);
      return true;
    } catch (error) {
      this.#note(error);
      return false;
    }
  }

  #listen(): void {
    this.#poll = whenReadable(this.#fd, () => {
      if (this.#fd.closed) return;
      try {
        this.#receive();
      } catch (error) {
        // it also ends the poll
        this.#note(error);
        this.#poll?.stop();
        if (!this.#fd.closed) this.#listen();
      }
    });
  }

  #receive(): void {
    const { buffer, lengths, slot } = box();
    const count = box().receive(this.#fd.number);
    const now = performance.now();
    for (let i = 0; i < count; i++) {
      const answer = readMessage(buffer.subarray(i * slot, i * slot + Math.min(lengths[i]!, slot)), this.#id);
      const waiting = answer?.kind === 'answer' ? this.#waiting.get(answer.nonce) : undefined;
      if (!waiting || answer?.kind !== 'answer') continue;
      const rtt = now - waiting.sent;
      const heard: Heard = { ...answer, rtt, ahead: answer.clock - (waiting.clock + rtt / 2) };
      if (!this.best || rtt < this.best.rtt) this.best = heard;
      waiting.done(heard);
    }
  }

  #note(error: unknown): void {
    const { errno } = error as { errno?: unknown };
    if (typeof errno !== 'number') throw error;
    this.told.add(errnoName(Math.abs(errno)));
  }
}
