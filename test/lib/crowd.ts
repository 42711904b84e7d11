import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { decode, encode } from 'dns-packet';
import { bindUdpIn, neverCut, type Netns } from '../../src/kernel/index.ts';
import { PACE } from './pace.ts';
import { transfer } from './transfer.ts';
import { until } from './wait.ts';

/** A workload of a network that hosts share, wherever it runs. */
export interface Voice {
  readonly netns: Netns;
  /** Without length, IPv4 first. */
  readonly addresses: readonly string[];
  /** What others find it by. */
  readonly name: string;
  /** Where names are asked for, one a family. */
  readonly gateways: readonly string[];
}

export interface CrowdOptions {
  /** Milliseconds for whatever is asked until it is answered. */
  readonly timeout?: number;
}

const PORT = 7070;
/** Of an IP header with UDP's. */
const HEADERS = { 4: 28, 6: 48 } as const;
/** Milliseconds after which a datagram is given up. */
const PATIENCE = 500 * PACE;
/** Of a transfer, bytes. */
const LARGE = 2 << 20;

/**
 * What workloads must have of each other, asked by sockets of this process in each of their namespaces: however many there
 * are, no process is started.
 */
export interface Crowd extends AsyncDisposable {
  /** Every one finds every other by its name, as its own host answers, and is answered at that address; each family. */
  reach(): Promise<void>;
  /** Between neighbours in the list, both ways: a packet of `mtu` bytes goes whole, the kernel refuses one byte more. */
  whole(mtu: number): Promise<void>;
  /** Each to its neighbour, families by turns: what comes is what was sent. */
  transfers(): Promise<void>;
  /** Every one calls out to everybody and to nobody: broadcast, multicast, an address that nobody has. */
  shout(nobody: readonly string[]): void;
}

export async function gather(voices: readonly Voice[], { timeout = 10_000 }: CrowdOptions = {}): Promise<Crowd> {
  await using undo = new AsyncDisposableStack();
  const mouths: Mouth[] = [];
  for (const voice of voices) mouths.push(undo.use(await Mouth.open(voice)));
  const ring = mouths.map((from, i) => ({ from, to: mouths[(i + 1) % mouths.length]! }));
  const kept = undo.move();
  return {
    async reach() {
      // one question of each at a time: ten that ask all at once are more than an emulated machine answers in time
      await Promise.all(
        mouths.map(async (from) => {
          const others = mouths.filter((to) => to !== from);
          for (const { to, address } of others.flatMap((to) =>
            to.voice.addresses.map((address) => ({ to, address })),
          )) {
            const what = `${from.voice.name} to ${to.voice.name}`;
            await until(`${what} at ${address}`, () => from.ask(address), { timeout });
            const found = (): Promise<string> => from.resolve(to.voice.name, familyOf(address));
            await until(`${what} by name`, async () => (await found()) === address, { timeout });
          }
        }),
      );
    },
    async whole(mtu) {
      await Promise.all(
        [...ring, ...ring.map(({ from, to }) => ({ from: to, to: from }))].flatMap(({ from, to }) =>
          to.voice.addresses.map(async (address) => {
            const most = mtu - HEADERS[familyOf(address)];
            await until(`${mtu} bytes to ${address}`, () => from.ask(address, most), { timeout });
            await assert.rejects(from.ask(address, most + 1), { code: 'EMSGSIZE' }, `${mtu + 1} bytes to ${address}`);
          }),
        ),
      );
    },
    async transfers() {
      await Promise.all(
        ring.map(async ({ from, to }, i) => {
          const { addresses } = to.voice;
          const address = addresses[i % addresses.length]!;
          assert.ok(await transfer(from.voice.netns, to.voice.netns, address, LARGE), `${LARGE} bytes to ${address}`);
        }),
      );
    },
    shout(nobody) {
      for (const mouth of mouths) mouth.shout(nobody);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function familyOf(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}

/** The sockets of one workload: what begins with `?` is answered with `!` and the rest. */
class Mouth implements AsyncDisposable {
  readonly voice: Voice;
  readonly #sockets: Partial<Record<4 | 6, Socket>> = {};
  readonly #names: Partial<Record<4 | 6, Socket>> = {};
  readonly #waiting = new Map<string, (answer: string) => void>();
  #next = 1;

  private constructor(voice: Voice) {
    this.voice = voice;
  }

  static async open(voice: Voice): Promise<Mouth> {
    const mouth = new Mouth(voice);
    try {
      for (const family of new Set(voice.addresses.map(familyOf))) {
        const talk = await udpSocket(voice.netns, family, PORT);
        mouth.#sockets[family] = talk;
        talk.on('message', (bytes, { port, address }) => {
          const text = bytes.toString('latin1');
          if (text.startsWith('?'))
            talk.send(Buffer.from(`!${text.slice(1)}`, 'latin1'), port, address, () => undefined);
          else mouth.#waiting.get(text.slice(1).split(' ')[0]!)?.(text);
        });
        const names = await udpSocket(voice.netns, family, 0);
        mouth.#names[family] = names;
        names.on('message', (bytes) => {
          const { id, answers = [] } = decode(bytes);
          const found = answers.flatMap((answer) => (answer.type === 'A' || answer.type === 'AAAA' ? answer.data : []));
          mouth.#waiting.get(`dns${id}`)?.(found.join());
        });
      }
      return mouth;
    } catch (error) {
      await mouth[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Whether a datagram of so many bytes, and its answer, came through, neither cut up. @throws Error EMSGSIZE */
  async ask(address: string, size = 0): Promise<boolean> {
    const id = `${this.#next++}`;
    const socket = this.#sockets[familyOf(address)]!;
    return (await this.#answer(id, (told) => socket.send(`?${id} `.padEnd(size, '.'), PORT, address, told))) !== '';
  }

  async resolve(name: string, family: 4 | 6): Promise<string> {
    const id = this.#next++ & 0xffff;
    const gateway = this.voice.gateways.find((each) => familyOf(each) === family)!;
    const bytes = encode({ id, type: 'query', flags: 0x100, questions: [{ type: family === 4 ? 'A' : 'AAAA', name }] });
    return await this.#answer(`dns${id}`, (told) => this.#names[family]!.send(bytes, 53, gateway, told));
  }

  shout(nobody: readonly string[]): void {
    this.#sockets[4]?.setBroadcast(true);
    for (const address of ['255.255.255.255', '224.0.0.1', '239.1.2.3', 'ff02::1', 'ff05::1:3', ...nobody])
      this.#sockets[familyOf(address)]?.send(SHOUT, PORT, address, () => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...Object.values(this.#sockets), ...Object.values(this.#names)];
    await Promise.all(all.map(async (socket) => await once(socket.close(), 'close')));
  }

  /** Empty after a while. A send that fails with EMSGSIZE will not do better another time. */
  async #answer(id: string, send: (told: (error: Error | null) => void) => void): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.#waiting.set(id, resolve);
    const late = setTimeout(() => resolve(''), PATIENCE);
    send((error) => {
      if (!error) return;
      if ((error as NodeJS.ErrnoException).code === 'EMSGSIZE') reject(error);
      else resolve('');
    });
    try {
      return await promise;
    } finally {
      clearTimeout(late);
      this.#waiting.delete(id);
    }
  }
}
/** No question: nobody answers. */
const SHOUT = 'shout';

async function udpSocket(netns: Netns, family: 4 | 6, port: number): Promise<Socket> {
  const fd = bindUdpIn(netns, { address: family === 4 ? '0.0.0.0' : '::', port });
  neverCut(fd, family === 6);
  const socket = createSocket(family === 4 ? 'udp4' : 'udp6').on('error', () => undefined);
  const listening = once(socket, 'listening'); // told at once
  socket.bind({ fd: fd.release() });
  await listening;
  return socket;
}
