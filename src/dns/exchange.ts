import { randomFillSync } from 'node:crypto';
import { isIP, Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { connectedUdpIn, native, type Netns, tcpSocketIn, whenReadable } from '../kernel/index.ts';
import { answersQuestion } from './answer.ts';
import { FLAG, HEADER, RCODE } from './wire.ts';

/** Where an upstream server is. */
export interface ServerAddress {
  readonly address: string;
  readonly port: number;
  /** Interface index of a link-local address, or 0. */
  readonly scope: number;
}

/** `192.0.2.53`, `fe80::1%eth0`, `192.0.2.53#5353`; undefined for anything else. */
export function parseServer(text: string): ServerAddress | undefined {
  const [, address = '', zone, port] = /^([^%#]+)(?:%([^#]+))?(?:#(\d{1,5}))?$/.exec(text) ?? [];
  if (isIP(address) === 0 || Number(port ?? 53) > 65535) return undefined;
  return { address, port: Number(port ?? 53), scope: zone === undefined ? 0 : scopeOf(zone) };
}

function scopeOf(zone: string): number {
  if (/^\d+$/.test(zone)) return Number(zone);
  return networkInterfaces()[zone]?.find((a) => a.family === 'IPv6')?.scopeid ?? 0;
}

/** A question on its way to one server. `close` ends it silently. */
export interface Exchange {
  close(): void;
}
export interface ExchangeListener {
  /** The whole message; its id, question and source are those of the query. */
  answer(message: Uint8Array): void;
  /** Nobody is there, or the network says no. Nothing follows. */
  failed(): void;
  /** A packet that does not belong to the question. */
  mismatch(): void;
}

const ids = new Uint16Array(1024);
let used = ids.length;

/** Unpredictable, as RFC 5452 section 9.2 asks. */
function randomId(): number {
  if (used === ids.length) {
    randomFillSync(ids);
    used = 0;
  }
  return ids[used++]!;
}

const inbox = new Uint8Array(65_536);
const lengths = new Uint32Array(1);

/**
 * Sends `query` (its id is drawn here) by UDP, from a socket of its own: the kernel draws a random port for it, drops
 * what others than the server send, and passes on that nobody listens there. @param end of the question
 */
export function askUdp(
  netns: Netns | undefined,
  server: ServerAddress,
  query: Uint8Array,
  end: number,
  listener: ExchangeListener,
): Exchange {
  const own = withId(query);
  const fd = connectedUdpIn(netns, server);
  const poll = whenReadable(fd, () => {
    while (!fd.closed) {
      let count: number;
      try {
        count = native.recvBatch(fd.number, inbox, inbox.length, lengths);
      } catch {
        close();
        return listener.failed(); // ECONNREFUSED, EHOSTUNREACH
      }
      if (count === 0) return;
      const message = inbox.subarray(0, Math.min(lengths[0]!, inbox.length));
      if (!belongs(message, own, end)) {
        listener.mismatch();
        continue;
      }
      close();
      return listener.answer(message.slice());
    }
  });
  const close = (): void => {
    poll.stop();
    fd.close();
  };
  try {
    native.send(fd.number, own);
  } catch (error) {
    close();
    throw error;
  }
  return { close };
}

/** The same by TCP, over a connection of its own. @see RFC 7766 */
export function askTcp(
  netns: Netns | undefined,
  server: ServerAddress,
  query: Uint8Array,
  end: number,
  listener: ExchangeListener,
): Exchange {
  const own = withId(query);
  const socket = new Socket({ fd: tcpSocketIn(netns, server.address.includes(':') ? 6 : 4).release() });
  const parts: Buffer[] = [];
  let size = 0;
  let over = false;
  const finish = (then: () => void): void => {
    if (over) return;
    over = true;
    socket.destroy();
    then();
  };
  socket.on('error', () => finish(() => listener.failed()));
  socket.on('close', () => finish(() => listener.failed()));
  socket.on('data', (part: Buffer) => {
    parts.push(part);
    size += part.length;
    if (size < 2) return;
    const all = parts.length === 1 ? part : Buffer.concat(parts.splice(0));
    if (parts.length === 0) parts.push(all);
    const length = all.readUInt16BE(0);
    if (size < 2 + length) return;
    const message = new Uint8Array(all.subarray(2, 2 + length));
    if (belongs(message, own, end)) return finish(() => listener.answer(message));
    listener.mismatch();
    finish(() => listener.failed());
  });
  const zone = server.scope > 0 ? `%${server.scope}` : '';
  socket.connect(server.port, server.address + zone, () => {
    const head = Buffer.alloc(2);
    head.writeUInt16BE(own.length);
    socket.write(Buffer.concat([head, own]));
  });
  return { close: () => finish(() => undefined) };
}

function withId(query: Uint8Array): Uint8Array {
  const own = query.slice();
  const id = randomId();
  own[0] = id >> 8;
  own[1] = id & 0xff;
  return own;
}

/** Also a refusal without a question, which servers give to what they could not read. */
function belongs(message: Uint8Array, query: Uint8Array, end: number): boolean {
  if (answersQuestion(message, query, end)) return true;
  if (message.length !== HEADER || !(message[2]! & 0x80) || message[4]! | message[5]!) return false;
  const rcode = message[3]! & FLAG.RCODE;
  if (rcode === RCODE.NOERROR || rcode === RCODE.NXDOMAIN) return false;
  return message[0] === query[0] && message[1] === query[1];
}
