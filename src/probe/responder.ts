import { ipFromBytes } from '../addr/index.ts';
import {
  Datagrams,
  type Fd,
  type Netns,
  neverCut,
  omitChecksum,
  type Poll,
  serviceSocketIn,
  whenReadable,
} from '../kernel/index.ts';
import { LEAST, MOST, PROBE_PORT, readMessage, writeMessage } from './message.ts';

/** Answers a second, and how many at once after a rest: a search for a path MTU asks about a hundred times. */
const RATE = 500;
const BURST = 1000;

const AF_INET = 2;

interface ResponderOptions {
  /** Underlay addresses of this node. */
  readonly addresses: readonly string[];
  /** This node's id: who does not know it gets no answer. */
  readonly id: string;
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
  readonly port?: number;
}

interface Socket {
  readonly fd: Fd;
  poll: Poll | undefined;
}

/** Memory that all take turns in; nothing stays in it between two turns of the event loop. */
let shared: Datagrams | undefined;
export function box(): Datagrams {
  return (shared ??= new Datagrams(MOST));
}

/**
 * Answers whoever of the cluster asks what comes through to this node, with never more bytes than came, and so often and no
 * oftener. Answers are not cut up on their way, as questions are not.
 */
export class Responder implements Disposable {
  readonly #options: ResponderOptions;
  readonly #sockets: Socket[] = [];
  #left = BURST;
  #since = performance.now();

  /** @throws SyscallError EADDRINUSE */
  constructor(netns: Netns | undefined, options: ResponderOptions) {
    this.#options = options;
    try {
      for (const address of options.addresses) {
        const fd = serviceSocketIn(netns, 'udp', { address, port: options.port ?? PROBE_PORT });
        this.#sockets.push({ fd, poll: undefined });
        neverCut(fd, address.includes(':'));
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
    for (const socket of this.#sockets) this.#listen(socket);
  }

  [Symbol.dispose](): void {
    for (const { fd, poll } of this.#sockets) {
      poll?.stop();
      fd.close();
    }
  }

  #listen(socket: Socket): void {
    socket.poll = whenReadable(socket.fd, () => {
      if (socket.fd.closed) return;
      try {
        this.#answer(socket.fd);
      } catch {
        // an error of an earlier answer that the kernel tells now; it also ends the poll
        socket.poll?.stop();
        if (!socket.fd.closed) this.#listen(socket);
      }
    });
  }

  /** One batch a turn of the loop: a flood must not keep the rest of the process from running. */
  #answer(fd: Fd): void {
    const { buffer, lengths, peers, slot } = box();
    const count = box().receive(fd.number);
    const { id, now } = this.#options;
    const clock = now();
    this.#refill();
    const bare: { readonly at: number; readonly length: number }[] = [];
    for (let i = 0; i < count; i++) {
      const length = lengths[i]!;
      lengths[i] = 0;
      if (length > slot || length < LEAST || this.#left < 1) continue;
      const datagram = buffer.subarray(i * slot, i * slot + length);
      const question = readMessage(datagram, id);
      if (question?.kind !== 'question') continue;
      this.#left--;
      const { nonce, want } = question;
      const { address, port } = senderOf(peers, i * Datagrams.PEER);
      writeMessage(datagram, { kind: 'answer', nonce, size: length, clock, address, port }, id);
      const answer = Math.min(Math.max(want, LEAST), length);
      if (question.bare) bare.push({ at: i, length: answer });
      else lengths[i] = answer;
    }
    box().send(fd.number, count);
    if (bare.length === 0) return;
    lengths.fill(0);
    for (const { at, length } of bare) lengths[at] = length;
    omitChecksum(fd, true);
    try {
      box().send(fd.number, count);
    } finally {
      omitChecksum(fd, false);
    }
  }

  #refill(): void {
    const now = performance.now();
    this.#left = Math.min(BURST, this.#left + ((now - this.#since) * RATE) / 1000);
    this.#since = now;
  }
}

/** struct sockaddr_in: port at 2, address at 4; struct sockaddr_in6: address at 8 */
function senderOf(peers: Uint8Array, at: number): { readonly address: string; readonly port: number } {
  const four = peers[at] === AF_INET;
  const bytes = Uint8Array.from(four ? peers.subarray(at + 4, at + 8) : peers.subarray(at + 8, at + 24));
  return { address: ipFromBytes(bytes).text, port: (peers[at + 2]! << 8) | peers[at + 3]! };
}
