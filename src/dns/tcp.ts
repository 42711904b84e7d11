import { createServer, type Server, type Socket } from 'node:net';
import { type Netns, serviceSocketIn } from '../kernel/index.ts';
import type { Askers, AskerState } from './askers.ts';
import type { Counters } from './counters.ts';
import type { Reply } from './forwarder.ts';
import type { Deferral, Responder } from './responder.ts';
import type { DnsLimits } from './types.ts';

/** Longest message, by its prefix of two bytes (RFC 1035 section 4.2.2). */
const MOST = 65_535;
/** Bytes of answers that a client may leave unread before no more of its questions are read. */
const UNREAD = 256 * 1024;

/** Connections of all listeners of a server: their number, and the clock that ends those which stand still. */
export class Connections {
  readonly limits: DnsLimits;
  readonly #all = new Set<Connection>();
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: DnsLimits) {
    this.limits = limits;
  }
  get count(): number {
    return this.#all.size;
  }
  add(connection: Connection): void {
    this.#all.add(connection);
    this.#timer ??= setInterval(() => this.#sweep(), Math.min(1000, this.limits.idle / 2)).unref();
  }
  delete(connection: Connection): void {
    this.#all.delete(connection);
    if (this.#all.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
  /** Ends the oldest one of whoever has most; false where the newcomer has as many. */
  makeRoom(asker: AskerState): boolean {
    let most: Connection | undefined;
    for (const one of this.#all) if (!most || one.asker.connections > most.asker.connections) most = one;
    if (!most || most.asker.connections <= asker.connections + 1) return false;
    most.end();
    return true;
  }
  close(): void {
    clearInterval(this.#timer);
    for (const connection of this.#all) connection.end();
  }
  #sweep(): void {
    const now = performance.now();
    for (const connection of this.#all) if (now - connection.since > this.limits.idle) connection.end();
  }
}

/** Memory that questions are answered in; nothing stays in it after a call. */
const box = new Uint8Array(MOST);

/** The TCP side of one address. Questions on one connection are answered as they get ready (RFC 7766 section 6.2.1.1). */
export class TcpListener implements Disposable {
  readonly #server: Server;
  readonly #own = new Set<Connection>();

  /** @throws SyscallError EADDRINUSE, EACCES */
  constructor(
    netns: Netns | undefined,
    at: { readonly address: string; readonly port: number; readonly scope?: number },
    site: {
      readonly askers: Askers;
      readonly responder: Responder;
      readonly counters: Counters;
      readonly connections: Connections;
    },
  ) {
    const { connections, counters, askers } = site;
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
      const asker = askers.ofText((socket.remoteAddress ?? '').replace(/%.*/, ''));
      const { limits } = connections;
      const full = connections.count >= limits.connections && !connections.makeRoom(asker);
      if (full || asker.connections >= limits.connectionsPerAsker) {
        counters.rejected.connections++;
        asker.refused++;
        socket.on('error', () => undefined).destroy();
        return;
      }
      const connection = new Connection(socket, asker, site);
      this.#own.add(connection);
      socket.on('close', () => this.#own.delete(connection));
      connection.start();
    });
    this.#server.listen({ fd: serviceSocketIn(netns, 'tcp', at).release() });
    this.#server.on('error', () => undefined); // EMFILE at accept: the connection waits in the kernel
  }

  [Symbol.dispose](): void {
    this.#server.close();
    for (const connection of this.#own) connection.end();
  }
}

class Connection implements Deferral {
  readonly asker: AskerState;
  readonly #socket: Socket;
  readonly #responder: Responder;
  readonly #connections: Connections;
  #parts: Buffer[] = [];
  #size = 0;
  #waiting = 0;
  #finished = false;
  /** When it last had a whole question. */
  since: number = performance.now();

  constructor(
    socket: Socket,
    asker: AskerState,
    site: { readonly responder: Responder; readonly connections: Connections },
  ) {
    this.#socket = socket;
    this.asker = asker;
    this.#responder = site.responder;
    this.#connections = site.connections;
  }

  start(): void {
    const socket = this.#socket;
    this.asker.connections++;
    this.#connections.add(this);
    socket.on('data', (part: Buffer) => this.#data(part));
    socket.on('drain', () => socket.resume());
    socket.on('error', () => undefined); // 'close' follows
    socket.on('end', () => {
      this.#finished = true;
      if (this.#waiting === 0) socket.end();
    });
    socket.on('close', () => {
      this.asker.connections--;
      this.#connections.delete(this);
    });
  }
  end(): void {
    this.#socket.destroy();
  }

  defer(): Reply {
    this.#waiting++;
    return {
      tcp: true,
      room: MOST,
      send: (message, length) => {
        this.#waiting--;
        this.#write(message, length);
        if (this.#finished && this.#waiting === 0) this.#socket.end();
      },
    };
  }

  #data(part: Buffer): void {
    this.#parts.push(part);
    this.#size += part.length;
    if (this.#size < 2) return;
    let all = this.#parts.length === 1 ? part : undefined;
    if (!all) {
      // not for every byte that drips in: only when the question may be whole
      const wanted = this.#wanted();
      if (this.#size < wanted) return;
      all = Buffer.concat(this.#parts);
    }
    let at = 0;
    this.#responder.tick();
    while (all.length - at >= 2) {
      const length = all.readUInt16BE(at);
      if (all.length - at - 2 < length) break;
      if (length === 0) return this.end(); // RFC 7766 knows no empty message
      this.since = performance.now();
      box.set(all.subarray(at + 2, at + 2 + length));
      at += 2 + length;
      const size = this.#responder.answer(box, 0, length, MOST, this.asker, true, this);
      if (size > 0) this.#write(box, size);
      if (this.#socket.destroyed) return;
    }
    const rest = all.subarray(at);
    this.#parts = rest.length > 0 ? [rest] : [];
    this.#size = rest.length;
    if (this.#socket.writableLength > UNREAD) this.#socket.pause();
  }

  /** Bytes until the first question is whole. */
  #wanted(): number {
    const [first, second] = this.#parts;
    const high = first![0]!;
    const low = first!.length > 1 ? first![1]! : second![0]!;
    return 2 + high * 256 + low;
  }

  #write(message: Uint8Array, length: number): void {
    if (this.#socket.destroyed) return;
    const out = Buffer.allocUnsafe(2 + length);
    out.writeUInt16BE(length);
    out.set(message.subarray(0, length), 2);
    this.#socket.write(out);
  }
}
