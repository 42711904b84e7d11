import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What becomes of the next change that passes: its answer is kept back, or it is sent once more, later. */
export type NextChange = 'pass' | 'swallow' | 'twice';

/** `before`: the change is held back for good; `after`: its answer is. Called at that moment. */
export interface Fate {
  readonly before?: () => void;
  readonly after?: () => void;
}

/** Between a store and a member of etcd: passes everything on, and can be told not to. */
export interface EtcdProxy extends AsyncDisposable {
  readonly endpoint: string;
  next: NextChange;
  /** Nothing gets through, and nobody is told. */
  cut: boolean;
  /** Told of each change; see `Fate`. */
  onChange: (() => Fate) | undefined;
  /** Milliseconds that everything takes more, each way. */
  delay: number;
}

export async function between(endpoint: string): Promise<EtcdProxy> {
  const sockets = new Set<Socket>();
  const to = new URL(endpoint);
  const far = (): Socket => {
    const socket = connect(Number(to.port), to.hostname);
    track(socket);
    return socket;
  };
  const track = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  };
  const pass = async (bytes: Buffer, socket: Socket): Promise<void> => {
    if (it.delay > 0) await sleep(it.delay, undefined, { ref: false });
    if (!socket.destroyed) socket.write(bytes);
  };
  const server = createServer((near) => {
    track(near);
    const other = far();
    let change = false;
    let fate: Fate = {};
    near.on('data', (bytes) => {
      if (it.cut) return dead(near, other);
      change = bytes.toString('latin1').startsWith('POST /v3/kv/txn');
      fate = (change ? it.onChange?.() : undefined) ?? {};
      if (fate.before) {
        fate.before();
        return dead(near, other);
      }
      if (change && it.next === 'twice') {
        it.next = 'pass';
        const again = far();
        void sleep(30, undefined, { ref: false }).then(() => again.end(bytes));
      }
      void pass(bytes, other);
    });
    other.on('data', (bytes) => {
      if (it.cut) return dead(near, other);
      if (fate.after) {
        fate.after();
        return dead(near, other);
      }
      if (change && it.next === 'swallow') {
        it.next = 'pass';
        near.destroy();
        other.destroy();
      } else void pass(bytes, near);
    });
    near.on('close', () => other.destroy());
    other.on('close', () => near.destroy());
  });
  /** What was on its way is lost for good: neither end hears any more of this connection. */
  const dead = (...ends: Socket[]): void => {
    for (const end of ends) end.removeAllListeners('data').resume();
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const it: EtcdProxy = {
    endpoint: `http://127.0.0.1:${port}`,
    next: 'pass',
    cut: false,
    onChange: undefined,
    delay: 0,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  return it;
}
