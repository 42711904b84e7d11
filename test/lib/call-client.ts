/** The shim's side of the call socket, by hand: for what a shim never says, or says too late. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface RawQuestion {
  readonly program?: string;
  readonly request?: string;
  readonly argv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

/** As native/call.c writes it; little-endian, as the machines of the tests are. */
export function questionBytes({ program = 'netloom', request, argv = [], env = {}, stdin = '' }: RawQuestion): Buffer {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const texts = [program, request ?? '0'.repeat(32), ...argv, ...variables];
  const text = Buffer.from(texts.map((each) => `${each}\0`).join(''));
  const input = Buffer.from(stdin);
  const head = Buffer.alloc(20);
  head.write('NLC1', 'latin1');
  for (const [i, value] of [argv.length, variables.length, text.length, input.length].entries())
    head.writeUInt32LE(value, 4 + 4 * i);
  return Buffer.concat([head, text, input]);
}

export interface RawAnswer {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Sends bytes and reads until an answer is there, or the other side has closed: then undefined. The socket stays open. */
export async function askRaw(socket: Socket, bytes: Buffer): Promise<RawAnswer | undefined> {
  const { promise, resolve } = Promise.withResolvers<RawAnswer | undefined>();
  let got = Buffer.alloc(0);
  socket.on('error', () => undefined);
  socket.on('close', () => resolve(undefined));
  socket.on('data', (part: Buffer) => {
    got = Buffer.concat([got, part]);
    if (got.length < 16) return;
    const [status, out, err] = [4, 8, 12].map((at) => got.readUInt32LE(at)) as [number, number, number];
    if (got.length < 16 + out + err) return;
    const stdout = got.toString('utf8', 16, 16 + out);
    resolve({ status, stdout, stderr: got.toString('utf8', 16 + out, 16 + out + err) });
  });
  socket.write(bytes);
  return await promise;
}

export async function dial(path: string): Promise<Socket> {
  const socket = connect(path);
  await once(socket, 'connect');
  return socket;
}
