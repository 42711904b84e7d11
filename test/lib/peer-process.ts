/**
 * The other end of a test's packets: a process inside one namespace that serves and connects as it is told, with
 * Node's own sockets and nothing of netloom's. Driven over the IPC channel by test/lib/peer.ts.
 */
import { createSocket } from 'node:dgram';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** What a server saw of one client: sent back as the reply, so that the client learns it. */
export interface Seen {
  /** The `reply` that the server was given: which of several servers it was. */
  readonly reply: string;
  /** The client's address and port, as the server sees them. */
  readonly client: string;
  readonly clientPort: number;
  /** The address and port that the packet arrived at, as the server sees them. */
  readonly local: string;
  readonly localPort: number;
}
export interface ServeAsk {
  readonly address: string;
  /** 0: any free one. */
  readonly port: number;
  readonly reply: string;
}
export interface ConnectAsk {
  readonly address: string;
  readonly port: number;
  /** Bind to this address first. */
  readonly source?: string;
  readonly sourcePort?: number;
  /** Milliseconds. */
  readonly timeout: number;
}
export type Ask =
  | ({ readonly op: 'tcp-serve' | 'udp-serve' } & ServeAsk)
  | ({ readonly op: 'tcp-connect' | 'udp-connect' } & ConnectAsk)
  /** A connection that stays open, to see whether it lives through something. */
  | ({ readonly op: 'tcp-hold' } & ConnectAsk)
  | { readonly op: 'tcp-say'; readonly handle: number; readonly timeout: number }
  | { readonly op: 'close'; readonly handle: number };

const open = new Map<number, () => void>();
const held = new Map<number, Socket>();
let nextHandle = 1;

process.on('message', (message: { id: number; ask: Ask }) => {
  answer(message.ask).then(
    (value) => process.send?.({ id: message.id, value }),
    (error: NodeJS.ErrnoException) => process.send?.({ id: message.id, error: error.code ?? error.message }),
  );
});
process.on('disconnect', () => process.exit(0));
process.send?.({ id: 0, value: 'ready' });

async function answer(ask: Ask): Promise<unknown> {
  switch (ask.op) {
    case 'tcp-serve':
      return tcpServe(ask);
    case 'udp-serve':
      return udpServe(ask);
    case 'tcp-connect':
      return tcpConnect(ask);
    case 'udp-connect':
      return udpConnect(ask);
    case 'tcp-hold':
      return tcpHold(ask);
    case 'tcp-say':
      return say(held.get(ask.handle)!, ask.timeout);
    case 'close':
      open.get(ask.handle)?.();
      open.delete(ask.handle);
      held.delete(ask.handle);
      return undefined;
  }
}

function keep(close: () => void): number {
  open.set(nextHandle, close);
  return nextHandle++;
}

function plain(address: string | undefined): string {
  return (address ?? '').replace(/^::ffff:(?=\d+\.)/, '');
}

/** Answers once at once, and again to every chunk that comes. Bytes, not lines: an answer ends with a newline. */
function tcpServe({ address, port, reply }: ServeAsk): Promise<{ handle: number; port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const seen: Seen = {
      reply,
      client: plain(socket.remoteAddress),
      clientPort: socket.remotePort ?? 0,
      local: plain(socket.localAddress),
      localPort: socket.localPort ?? 0,
    };
    const line = JSON.stringify(seen) + '\n';
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    socket.on('data', () => socket.write(line));
    socket.write(line);
  });
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    // ipv6Only: a server on :: must not answer for 0.0.0.0 as well; a test names what it means
    server.listen({ host: address, port, ipv6Only: address.includes(':') }, () => {
      const handle = keep(() => {
        server.close();
        for (const socket of sockets) socket.destroy();
      });
      resolve({ handle, port: (server.address() as AddressInfo).port });
    });
  });
}

function udpServe({ address, port, reply }: ServeAsk): Promise<{ handle: number; port: number }> {
  const v6 = address.includes(':');
  const socket = createSocket({ type: v6 ? 'udp6' : 'udp4', ipv6Only: v6 });
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('message', (_, from) => {
      const { address: local, port: localPort } = socket.address();
      const seen: Seen = { reply, client: plain(from.address), clientPort: from.port, local, localPort };
      socket.send(JSON.stringify(seen), from.port, from.address);
    });
    socket.bind({ address, port, exclusive: true }, () => {
      resolve({ handle: keep(() => socket.close()), port: socket.address().port });
    });
  });
}

function dial(ask: ConnectAsk): Socket {
  return connect({
    host: ask.address,
    port: ask.port,
    ...(ask.source === undefined ? {} : { localAddress: ask.source }),
    ...(ask.sourcePort === undefined ? {} : { localPort: ask.sourcePort }),
  });
}

async function tcpConnect(ask: ConnectAsk): Promise<string> {
  const socket = dial(ask);
  try {
    return await line(socket, ask.timeout);
  } finally {
    socket.destroy();
  }
}

async function tcpHold(ask: ConnectAsk): Promise<{ handle: number; text: string }> {
  const socket = dial(ask);
  try {
    const text = await line(socket, ask.timeout);
    socket.on('error', () => undefined);
    const handle = keep(() => socket.destroy());
    held.set(handle, socket);
    return { handle, text };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function say(socket: Socket, timeout: number): Promise<string> {
  const answered = line(socket, timeout);
  socket.write('again\n');
  return answered;
}

/** The next line, or what came before the end, or an error with a code. */
function line(socket: Socket, timeout: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const late = setTimeout(() => settle(() => reject(new Error('ETIMEDOUT'))), timeout);
    const data = (chunk: Buffer): void => {
      text += chunk.toString();
      if (text.includes('\n')) settle(() => resolve(text));
    };
    const failed = (error: Error): void => settle(() => reject(error));
    const ended = (): void => settle(() => (text ? resolve(text) : reject(new Error('ECONNRESET'))));
    const settle = (how: () => void): void => {
      clearTimeout(late);
      socket.off('data', data).off('error', failed).off('end', ended).off('close', ended);
      how();
    };
    socket.on('data', data).on('error', failed).on('end', ended).on('close', ended);
  });
}

/** Sends the question again every 100 ms, as resolvers do: a first datagram may be lost to neighbour discovery. */
function udpConnect(ask: ConnectAsk): Promise<string> {
  const socket = createSocket(ask.address.includes(':') ? 'udp6' : 'udp4');
  return new Promise<string>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('ETIMEDOUT')), ask.timeout);
    let again: NodeJS.Timeout | undefined;
    socket.on('error', reject);
    socket.on('message', (message) => resolve(message.toString()));
    socket.bind({ address: ask.source, port: ask.sourcePort ?? 0 }, () => {
      socket.connect(ask.port, ask.address, (error?: Error) => {
        if (error) return reject(error);
        socket.send('?');
        again = setInterval(() => socket.send('?'), 100);
      });
    });
    socket.on('close', () => {
      clearTimeout(late);
      clearInterval(again);
    });
  }).finally(() => socket.close());
}
