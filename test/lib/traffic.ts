import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { bindUdpIn, listenIn, type Netns, tcpSocketIn } from '../../src/kernel/index.ts';

/** What came of the traffic. */
export interface TrafficReport {
  /** UDP datagrams, one a millisecond, each to be answered. */
  readonly sent: number;
  readonly lost: number;
  /** New TCP connections, one every ten milliseconds, each with one question and its answer. */
  readonly opened: number;
  readonly refused: number;
  /** Streams that were open all the time: bytes that went round, and those that broke. */
  readonly bytes: number;
  readonly broken: number;
  /** The longest time without an answered datagram, milliseconds. */
  readonly gap: number;
}

export interface Traffic extends AsyncDisposable {
  /** So far; a datagram counts as lost a second after it was sent. */
  report(): TrafficReport;
  /** Ends it; answers that are on their way are waited for. */
  stop(): Promise<TrafficReport>;
}

export interface TrafficOptions {
  /** Where it comes from. */
  readonly client: Netns;
  /** Where TCP and UDP are answered, on this port of every address. */
  readonly server: Netns;
  readonly serverPort: number;
  /** What the client speaks to: a published port, or the server itself. */
  readonly address: string;
  readonly port: number;
}

const STREAMS = 4;

/** Everything a workload may have going on: datagrams, streams that stay, connections that come. IPv4. */
export async function startTraffic(options: TrafficOptions): Promise<Traffic> {
  const { client, server, serverPort, address, port } = options;
  await using undo = new AsyncDisposableStack();
  const echo = createServer((socket) => socket.on('error', () => socket.destroy()).pipe(socket));
  echo.listen({ fd: listenIn(server, { address: '0.0.0.0', port: serverPort }).release() });
  await once(echo, 'listening');
  const accepted = new Set<Socket>();
  echo.on('connection', (socket) => {
    accepted.add(socket);
    socket.once('close', () => accepted.delete(socket));
  });
  undo.defer(() => {
    for (const socket of accepted) socket.destroy();
    echo.close();
  });
  const answering = await udp(server, serverPort, undo);
  answering.on('message', (text, from) => answering.send(text, from.port, from.address));

  const asking = await udp(client, 0, undo);
  const pending = new Map<number, number>();
  let sent = 0;
  let answered = 0;
  let gap = 0;
  let last = performance.now();
  asking.on('message', (text) => {
    if (!pending.delete(Number(text.toString()))) return;
    answered++;
    const now = performance.now();
    gap = Math.max(gap, now - last);
    last = now;
  });
  asking.on('error', () => undefined);
  const ticking = setInterval(() => {
    pending.set(sent, performance.now());
    asking.send(String(sent++), port, address);
  }, 1);
  undo.defer(() => clearInterval(ticking));

  let bytes = 0;
  let broken = 0;
  let ending = false;
  for (let i = 0; i < STREAMS; i++) {
    const stream = new Socket({ fd: tcpSocketIn(client, 4).release() });
    stream.connect(port, address);
    await once(stream, 'connect');
    const say = (): void => void stream.write(Buffer.alloc(1024, i));
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes % 1024 === 0 || chunk.length >= 1024) setTimeout(say, 2);
    });
    stream.on('error', () => undefined);
    stream.once('close', () => {
      if (!ending) broken++;
    });
    say();
    undo.defer(() => void stream.destroy());
  }

  let opened = 0;
  let refused = 0;
  const under = new Set<Promise<void>>();
  const opening = setInterval(() => {
    opened++;
    const one = connectOnce(client, address, port)
      .catch(() => void refused++)
      .finally(() => under.delete(one));
    under.add(one);
  }, 10);
  undo.defer(() => clearInterval(opening));

  const kept = undo.move();
  const report = (): TrafficReport => {
    const now = performance.now();
    const lost = [...pending.values()].filter((at) => now - at > 1000).length;
    return { sent, lost, opened, refused, bytes, broken, gap: Math.max(gap, answered === 0 ? 0 : now - last) };
  };
  let stopped: TrafficReport | undefined;
  const stop = async (): Promise<TrafficReport> => {
    if (stopped) return stopped;
    clearInterval(ticking);
    clearInterval(opening);
    await Promise.all(under);
    for (let waited = 0; pending.size > 0 && waited < 1000; waited += 10) await delay(10);
    const final = { ...report(), lost: pending.size, gap };
    ending = true;
    stopped = final;
    await kept.disposeAsync();
    return final;
  };
  return { report, stop, [Symbol.asyncDispose]: async () => void (await stop()) };
}

async function udp(netns: Netns, port: number, undo: AsyncDisposableStack): Promise<UdpSocket> {
  const socket = createSocket('udp4');
  const listening = once(socket, 'listening'); // told at once
  socket.bind({ fd: bindUdpIn(netns, { address: '0.0.0.0', port }).release() });
  await listening;
  undo.defer(() => void socket.close());
  return socket;
}

/** Connects, asks, and is answered, all within a second and a half: a lost SYN is sent again after one. */
async function connectOnce(netns: Netns, address: string, port: number): Promise<void> {
  const socket = new Socket({ fd: tcpSocketIn(netns, 4).release() });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const late = setTimeout(() => reject(new Error('no answer')), 900);
  socket.on('error', reject).once('close', () => reject(new Error('closed')));
  socket.on('data', () => resolve());
  socket.connect(port, address, () => void socket.write('?'));
  try {
    await promise;
  } finally {
    clearTimeout(late);
    socket.destroy();
  }
}
