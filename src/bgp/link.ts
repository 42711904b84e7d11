import type { Socket } from 'node:net';
import { BgpError } from './errors.ts';
import { type Frame, Framer } from './framer.ts';
import { ERROR } from './notification.ts';

export interface LinkListener {
  /** False: nothing more is wanted of this link. */
  received(frame: Frame): boolean;
  broken(error: BgpError): void;
  /** Nothing follows. */
  lost(words: string): void;
  /** What was sent is on its way, and there is room for more. */
  drained(): void;
}

/** One TCP connection that carries messages. */
export class Link {
  readonly #socket: Socket;
  readonly #framer: Framer = new Framer();
  #listener: LinkListener | undefined;
  #moved: number = performance.now();

  constructor(socket: Socket, listener: LinkListener) {
    this.#socket = socket;
    this.#listener = listener;
    let words = 'the peer closed the connection';
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#data(chunk));
    socket.on('drain', () => this.#listener?.drained());
    socket.on(
      'error',
      (error: NodeJS.ErrnoException) => (words = `the connection broke: ${error.code ?? error.message}`),
    );
    socket.on('end', () => this.#lost(words));
    socket.on('close', () => this.#lost(words));
  }

  /** Our address on it, and the peer's. */
  get local(): string {
    return this.#socket.localAddress ?? '';
  }
  /** Whether it takes more without piling it up. */
  get roomy(): boolean {
    return this.#socket.writableLength < UNSENT;
  }

  /** A peer that takes nothing for long is given up, although it may still talk. @see RFC 9687 */
  send(frame: Uint8Array): void {
    const now = performance.now();
    if (this.#socket.writableLength === 0) this.#moved = now;
    if (now - this.#moved > SEND_HOLD) {
      const words = `nothing was taken for ${SEND_HOLD / 60_000} minutes`;
      // not within whoever sends
      setImmediate(() => this.#listener?.broken(new BgpError({ code: ERROR.SEND_HOLD, subcode: 0 }, words)));
      return;
    }
    this.#socket.write(frame, () => (this.#moved = performance.now()));
  }

  /**
   * Ends it behind what was sent. What still comes is read and dropped: closed with bytes unread, the kernel would reset
   * the connection, and the peer lose our last word.
   */
  close(): void {
    this.#listener = undefined;
    if (this.#socket.destroyed) return;
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), LINGER).unref();
  }
  destroy(): void {
    this.#listener = undefined;
    this.#socket.destroy();
  }

  #data(chunk: Buffer): void {
    if (!this.#listener) return;
    try {
      this.#framer.push(chunk, (frame) => this.#listener?.received(frame) ?? false);
    } catch (error) {
      if (!(error instanceof BgpError)) throw error;
      this.#listener?.broken(error);
    }
  }
  #lost(words: string): void {
    const listener = this.#listener;
    this.#listener = undefined;
    this.#socket.destroy();
    listener?.lost(words);
  }
}

/** Bytes that wait to be taken before no more is written. */
const UNSENT = 64 * 1024;
const SEND_HOLD = 480_000;
const LINGER = 1000;
