import { once } from 'node:events';
import { Socket } from 'node:net';
import { type Frame, Framer } from '../../src/bgp/framer.ts';
import { decodeNotification, type Notification } from '../../src/bgp/notification.ts';
import { encodeOpen, type Open } from '../../src/bgp/open.ts';
import { frameOf, TYPE } from '../../src/bgp/wire.ts';
import { native, type Netns, tcpSocketIn } from '../../src/kernel/index.ts';
import { until } from './wait.ts';

export const RAW_OPEN: Open = {
  ...{ asn: 65010, id: '192.0.2.1', holdTime: 90, families: [4, 6], as4: true, refresh: true, extendedNextHop: false },
};

/** A BGP peer without manners: it says what it is told to, byte by byte. */
export class RawPeer implements AsyncDisposable {
  readonly #socket: Socket;
  readonly frames: Frame[] = [];
  #alive: NodeJS.Timeout | undefined;
  bytes = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const framer = new Framer();
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      framer.push(chunk, (frame) => this.frames.push(frame) > 0);
    });
  }
  /** Connected, and nothing said. @param room bytes that the kernel keeps for it; as many as it likes without */
  static async connect(netns: Netns, address: string, room = 0): Promise<RawPeer> {
    const fd = tcpSocketIn(netns, address.includes(':') ? 6 : 4);
    if (room > 0) native.socketOption(fd.number, SOL_SOCKET, SO_RCVBUF, room);
    const socket = new Socket({ fd: fd.release() });
    const peer = new RawPeer(socket);
    socket.connect({ host: address, port: 179 });
    await once(socket, 'connect');
    return peer;
  }
  /** With a session that is up and kept alive; tries again where the other side is not ready. */
  static async session(netns: Netns, address: string, open: Open = RAW_OPEN, room = 0): Promise<RawPeer> {
    return until(
      'a session',
      async () => {
        const peer = await RawPeer.connect(netns, address, room);
        peer.send(frameOf(TYPE.OPEN, encodeOpen(open)));
        peer.send(frameOf(TYPE.KEEPALIVE));
        const up = (): boolean => peer.frames.some(({ type }) => type === TYPE.KEEPALIVE);
        await until('their KEEPALIVE', () => up() || peer.closed);
        if (up() && !peer.notification) {
          peer.#alive = setInterval(() => peer.send(frameOf(TYPE.KEEPALIVE)), 1000);
          return peer;
        }
        await peer[Symbol.asyncDispose]();
        return undefined;
      },
      { timeout: 15_000 },
    );
  }

  send(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }
  /** Reads nothing any more, or again. */
  deaf(on: boolean): void {
    if (on) this.#socket.pause();
    else this.#socket.resume();
  }
  get closed(): boolean {
    return this.#socket.destroyed || this.#socket.readableEnded;
  }
  /** Why the other side ended it. */
  get notification(): Notification | undefined {
    const frame = this.frames.find(({ type }) => type === TYPE.NOTIFICATION);
    return frame && decodeNotification(frame.body);
  }
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#alive);
    if (this.#socket.closed) return;
    const closed = once(this.#socket, 'close');
    this.#socket.destroy();
    await closed;
  }
}

/** asm-generic/socket.h */
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
