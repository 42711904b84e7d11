import { Agent, request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { NetloomError } from '../errors.ts';

/** One request, by its parts. */
export interface Request {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
}

/** HTTP over one unix socket, keeping connections for the next request. Holds no process alive while idle. */
export class Transport {
  readonly socketPath: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64, maxFreeSockets: 8 });
  /** Waits and logs may stay for hours: they must not take a place from those that answer at once. */
  readonly #slow = new Agent({ keepAlive: false });

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  /** The decoded answer; undefined for 204. @throws NetloomError as the daemon raised it, ENODAEMON, EDAEMONLOST. */
  async json(request: Request, options?: { readonly slow?: boolean }): Promise<unknown> {
    const response = await this.#send(request, options?.slow === true ? this.#slow : this.#agent);
    const text = await readText(response);
    if (response.statusCode === 204) return undefined;
    const value = parse(text);
    if ((response.statusCode ?? 500) >= 400) throw raised(value, response.statusCode ?? 500);
    if (value === undefined) throw badAnswer(`no JSON in the answer to ${request.method} ${request.path}`);
    return value;
  }

  /** The answer as it is. @throws as `json` */
  async text(request: Request): Promise<string> {
    const response = await this.#send(request, this.#agent);
    const text = await readText(response);
    if ((response.statusCode ?? 500) >= 400) throw raised(parse(text), response.statusCode ?? 500);
    return text;
  }

  /** The answer as it arrives, on a connection of its own: `destroy` it to stop. */
  async stream(request: Request): Promise<IncomingMessage> {
    const response = await this.#send(request, this.#slow);
    if ((response.statusCode ?? 500) < 400) return response;
    throw raised(parse(await readText(response)), response.statusCode ?? 500);
  }

  close(): void {
    this.#agent.destroy();
    this.#slow.destroy();
  }

  async #send(request: Request, agent: Agent): Promise<IncomingMessage> {
    for (;;) {
      const sent = this.#open(request, agent);
      try {
        return await answered(sent);
      } catch (error) {
        // The daemon closed an idle connection just as it was taken again. Asking twice is safe for what changes nothing.
        if (request.method === 'GET' && sent.reusedSocket && isLost(error)) continue;
        throw connectionError(error, this.socketPath);
      }
    }
  }

  #open({ method, path, body }: Request, agent: Agent): ClientRequest {
    // Text, not bytes: node:http sends it in one write with the headers.
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const headers =
      payload === undefined
        ? method === 'POST'
          ? { 'content-length': 0 }
          : {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
    const sent = httpRequest({
      socketPath: this.socketPath,
      agent,
      method,
      path,
      headers: { host: 'netloom', ...headers },
    });
    sent.end(payload);
    return sent;
  }
}

function answered(sent: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    sent.once('response', resolve);
    sent.on('error', reject);
  });
}

function readText(response: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    response.on('data', (part: Buffer) => parts.push(part));
    response.once('end', () => resolve((parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)).toString()));
    response.once('error', (error) => reject(lost(error)));
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The error that an answer of 400 or more carries. */
function raised(value: unknown, status: number): NetloomError {
  const { code, message, hint } = (value ?? {}) as { code?: unknown; message?: unknown; hint?: unknown };
  if (typeof code !== 'string' || typeof message !== 'string')
    return badAnswer(`status ${status} without an error of netloom`);
  return new NetloomError(code, message, typeof hint === 'string' ? { hint } : {});
}
export function badAnswer(message: string): NetloomError {
  return new NetloomError('EBADANSWER', message, {
    hint: 'does a netloom daemon of this version listen on that socket?',
  });
}

/** The errors of node:net, as netloom's. */
export function connectionError(error: unknown, socketPath: string): NetloomError {
  const { code, syscall } = error as { code?: unknown; syscall?: unknown };
  // ECONNRESET while connecting: it stopped listening with us in its backlog. Nothing was sent.
  if (code === 'ECONNREFUSED' || code === 'ENOENT' || (code === 'ECONNRESET' && syscall === 'connect')) {
    const hint = 'start one: netloom daemon, or systemctl start netloom.socket';
    return new NetloomError('ENODAEMON', `no daemon listens on ${socketPath}`, { cause: error, hint });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    const hint = 'be root, or a member of the group that owns the socket';
    return new NetloomError('EACCES', `no permission to use ${socketPath}`, { cause: error, hint });
  }
  return lost(error);
}
function isLost(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === 'ECONNRESET' || code === 'EPIPE';
}
/** For a connection that broke before the answer was complete. */
export function lost(error: unknown): NetloomError {
  const hint = 'look whether the change was made; the log of the daemon says why it went';
  return new NetloomError('EDAEMONLOST', 'the daemon went away before it answered', { cause: error, hint });
}
