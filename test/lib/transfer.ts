import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, Socket } from 'node:net';
import { listenIn, type Netns, tcpSocketIn } from '../../src/kernel/index.ts';

const PORT = 7777;

/** Sends so many bytes over one TCP connection; true where those that came are those that were sent. */
export async function transfer(from: Netns, to: Netns, address: string, bytes: number): Promise<boolean> {
  const family = address.includes(':') ? 6 : 4;
  const data = randomBytes(bytes);
  const server = createServer({ allowHalfOpen: true });
  server.listen({ fd: listenIn(to, { address: family === 6 ? '::' : '0.0.0.0', port: PORT }).release() });
  await once(server, 'listening');
  const socket = new Socket({ fd: tcpSocketIn(from, family).release() });
  try {
    const hash = createHash('sha256');
    const heard = new Promise<void>((done, failed) => {
      server.once('connection', (peer) => {
        peer.on('data', (chunk: Buffer) => hash.update(chunk));
        peer.once('error', failed).once('end', () => {
          peer.end();
          done();
        });
      });
    });
    socket.connect({ port: PORT, host: address, family });
    socket.end(data);
    await Promise.race([heard, once(socket, 'close').then(() => heard)]);
    return hash.digest('hex') === createHash('sha256').update(data).digest('hex');
  } finally {
    socket.destroy();
    server.close();
  }
}
