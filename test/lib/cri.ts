import { type ClientHttp2Session, connect } from 'node:http2';
import { connect as connectSocket } from 'node:net';

/** A message of the protocol: numbers of fields, and what is in them. Lists are repeated fields. */
export type Message = { readonly [field: number]: string | number | Message | readonly (string | Message)[] };

/**
 * What the kubelet speaks with a container runtime, as far as the tests need it: unary gRPC over a unix socket.
 * @see https://github.com/kubernetes/cri-api/blob/v0.34.0/pkg/apis/runtime/v1/api.proto
 */
export class Cri implements Disposable {
  readonly #session: ClientHttp2Session;

  constructor(socket: string) {
    this.#session = connect('http://localhost', { createConnection: () => connectSocket(socket) });
    this.#session.on('error', () => undefined); // each call fails by itself
  }

  /** Whether the runtime takes calls: containerd's plugin for the kubelet comes up after containerd itself answers. */
  async version(): Promise<string> {
    return text((await this.#call('Version', {})).get(2));
  }
  /** Id of the sandbox. */
  async runPodSandbox(config: Message): Promise<string> {
    return text((await this.#call('RunPodSandbox', { 1: config })).get(1));
  }
  async stopPodSandbox(id: string): Promise<void> {
    await this.#call('StopPodSandbox', { 1: id });
  }
  async removePodSandbox(id: string): Promise<void> {
    await this.#call('RemovePodSandbox', { 1: id });
  }
  /** The address that the runtime tells the kubelet. */
  async podAddress(id: string): Promise<string> {
    const status = decode(bytes((await this.#call('PodSandboxStatus', { 1: id })).get(1)));
    return text(decode(bytes(status.get(5))).get(1));
  }
  /** Creates and starts a container in a sandbox; its id. */
  async runContainer(sandbox: string, config: Message, sandboxConfig: Message): Promise<string> {
    const id = text((await this.#call('CreateContainer', { 1: sandbox, 2: config, 3: sandboxConfig })).get(1));
    await this.#call('StartContainer', { 1: id });
    return id;
  }
  /** What a command in a container prints. @throws Error where its status is not 0 */
  async exec(container: string, ...command: readonly string[]): Promise<string> {
    const answer = await this.#call('ExecSync', { 1: container, 2: command, 3: 10 });
    if (answer.get(3)) throw new Error(`${command.join(' ')}: status ${String(answer.get(3))}: ${text(answer.get(2))}`);
    return text(answer.get(1));
  }

  [Symbol.dispose](): void {
    this.#session.destroy();
  }

  #call(method: string, request: Message): Promise<Map<number, Value>> {
    const body = encode(request);
    const frame = Buffer.alloc(5); // not compressed, and its length
    frame.writeUInt32BE(body.length, 1);
    const stream = this.#session.request({
      ':method': 'POST',
      ':path': `/runtime.v1.RuntimeService/${method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const { promise, resolve, reject } = Promise.withResolvers<Map<number, Value>>();
    const parts: Buffer[] = [];
    let verdict: NodeJS.Dict<string | string[]> = {};
    stream.on('response', (headers) => (verdict = { ...headers } as typeof verdict));
    stream.on('trailers', (trailers) => (verdict = { ...verdict, ...trailers } as typeof verdict));
    stream.on('data', (chunk: Buffer) => parts.push(chunk));
    stream.on('error', reject);
    stream.on('close', () => {
      const { 'grpc-status': status, 'grpc-message': message } = verdict;
      if (status === '0') resolve(decode(Buffer.concat(parts).subarray(5)));
      else reject(new Error(`${method}: status ${String(status)}: ${decodeURIComponent(String(message))}`));
    });
    stream.end(Buffer.concat([frame, body]));
    return promise;
  }
}

// ---- protocol buffers: https://protobuf.dev/programming-guides/encoding/ ----
type Value = number | Buffer;
const VARINT = 0;
const LENGTH = 2;

function encode(message: Message): Buffer {
  const parts: Buffer[] = [];
  for (const [field, content] of Object.entries(message)) {
    for (const each of Array.isArray(content) ? (content as readonly (string | Message)[]) : [content]) {
      if (typeof each === 'number') parts.push(varint(Number(field) * 8 + VARINT), varint(each));
      else {
        const inner = typeof each === 'string' ? Buffer.from(each) : encode(each);
        parts.push(varint(Number(field) * 8 + LENGTH), varint(inner.length), inner);
      }
    }
  }
  return Buffer.concat(parts);
}

function varint(value: number): Buffer {
  const out: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...out, rest]);
    out.push((rest % 128) + 128);
  }
}

/** The last value of each field; enough for answers without lists. */
function decode(data: Buffer): Map<number, Value> {
  const fields = new Map<number, Value>();
  let at = 0;
  const next = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = data[at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < data.length) {
    const key = next();
    const value = next();
    if (key % 8 === VARINT) fields.set(Math.floor(key / 8), value);
    else if (key % 8 === LENGTH) fields.set(Math.floor(key / 8), data.subarray(at, (at += value)));
    else throw new Error(`a field of wire type ${key % 8} was not expected`);
  }
  return fields;
}
function bytes(value: Value | undefined): Buffer {
  return Buffer.isBuffer(value) ? value : Buffer.alloc(0);
}
function text(value: Value | undefined): string {
  return bytes(value).toString();
}
