import { Agent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as TlsAgent, request as httpsRequest } from 'node:https';
import { NetloomError } from '../errors.ts';
import { EtcdAwayError, EtcdError } from './errors.ts';
import { Patience } from './patience.ts';

export interface EtcdOptions {
  /** `http://10.0.0.1:2379`, `https://…`: members of one cluster, the first that answers is asked. */
  readonly endpoints: readonly string[];
  /** PEM texts. Without `ca`, the certificates that Node trusts. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly user?: string;
  readonly password?: string;
  /** In which an answer must have come, milliseconds; several members may be asked within it. Default 5000. */
  readonly deadline?: number;
}

/** So long one member may take, when there are others, milliseconds. */
const EACH = 2000;

/** The code that is given to failures in which nothing had been sent. */
const UNSENT = 'ECONNTIMEOUT';
/** Failures that no other member would be spared: the two do not trust each other. */
const TLS = /^(CERT_|ERR_TLS|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|ERR_SSL|EPROTO|HOSTNAME_MISMATCH)/;
/** gRPC codes after which the next member may do better: canceled, which a member says that ends; deadline exceeded, unavailable. */
const ELSEWHERE = new Set([1, 4, 14]);
const UNAUTHENTICATED = 16;

interface Call {
  readonly body: string;
  readonly signal: AbortSignal;
}

/**
 * etcd's v3 API by its JSON gateway: POST, one member after the other. Of no meaning here are keys and values.
 * @see https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/
 */
export class Gateway implements Disposable {
  readonly #endpoints: readonly URL[];
  readonly #agent: Agent | TlsAgent;
  readonly #tls: boolean;
  readonly #login: { readonly name: string; readonly password: string } | undefined;
  readonly #deadline: number;
  /** Who answered last. */
  #current = 0;
  /** Streams that are open, all of them with whoever answered last. */
  readonly #streams = new Set<AbortController>();
  #token: string | undefined;

  /** @throws NetloomError EBADETCD for endpoints that are none, or differ in scheme */
  constructor(options: EtcdOptions) {
    this.#endpoints = options.endpoints.map(parseEndpoint);
    const [first] = this.#endpoints;
    if (!first)
      throw new NetloomError('EBADETCD', 'no endpoint of etcd is given', { hint: 'such as http://10.0.0.1:2379' });
    this.#tls = first.protocol === 'https:';
    if (this.#endpoints.some(({ protocol }) => protocol !== first.protocol))
      throw new NetloomError('EBADETCD', 'endpoints of etcd with http:// and with https://', {
        hint: 'all are of one kind',
      });
    const kept = { keepAlive: true, keepAliveMsecs: 5000 };
    const { ca, cert, key } = options;
    this.#agent = this.#tls
      ? new TlsAgent({ ...kept, ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) })
      : new Agent(kept);
    this.#login = options.user === undefined ? undefined : { name: options.user, password: options.password ?? '' };
    this.#deadline = options.deadline ?? 5000;
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  /**
   * Asks, and asks the next member where one does not answer.
   * @param changes a question that must not be asked twice: once it may have arrived, no other member gets it
   * @throws EtcdError what etcd says; EtcdAwayError; NetloomError EETCDTLS
   */
  async call<T>(path: string, body: object, changes = false): Promise<T> {
    const text = JSON.stringify(body);
    const end = performance.now() + this.#deadline;
    let last: unknown;
    for (let tries = 0; ; tries++) {
      const left = end - performance.now();
      if (left <= 0 || (tries >= this.#endpoints.length && left < this.#deadline / 2)) throw this.#away(last, false);
      using patience = new Patience(this.#endpoints.length > 1 ? Math.min(left, EACH) : left);
      try {
        return (await this.#once(path, { body: text, signal: patience.signal })) as T;
      } catch (error) {
        if (error instanceof EtcdError && error.grpc === UNAUTHENTICATED && this.#token !== undefined) {
          this.#token = undefined; // it has run out
          continue;
        }
        if (!isElsewhere(error)) throw this.#translate(error);
        if (changes && !isUnsent(error)) throw this.#away(error, true);
        last = error;
        this.#moveOn();
        if (tries >= this.#endpoints.length - 1) await pause(Math.min(100, left));
      }
    }
  }

  /**
   * The next member is asked from now on. Streams go along: a member that is frozen, or has lost the others, keeps the
   * connection and says nothing.
   */
  #moveOn(): void {
    this.#current++;
    for (const stream of this.#streams) stream.abort();
    this.#streams.clear();
  }

  /**
   * A question that is answered for as long as somebody listens; ends when `signal` aborts.
   * @throws as `call`; EtcdAwayError also when the answers break off, or the member is left for another
   */
  async *stream<T>(path: string, body: object, signal: AbortSignal): AsyncIterable<T> {
    const left = new AbortController();
    this.#streams.add(left);
    try {
      yield* this.#answers<T>(path, body, signal, left.signal);
    } finally {
      this.#streams.delete(left);
    }
  }

  async *#answers<T>(path: string, body: object, signal: AbortSignal, left: AbortSignal): AsyncIterable<T> {
    let response: IncomingMessage;
    const moveOn = (): void => {
      if (!left.aborted) this.#moveOn();
    };
    try {
      using patience = new Patience(this.#deadline);
      await this.#authenticate(AbortSignal.any([signal, left, patience.signal]));
      response = await this.#send(path, { body: JSON.stringify(body), signal: AbortSignal.any([signal, left]) });
      if (response.statusCode !== 200) throw errorOf(parseAnswer(await textOf(response)));
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof EtcdError && error.grpc === UNAUTHENTICATED) this.#token = undefined;
      else moveOn();
      throw isElsewhere(error) ? this.#away(error, false) : this.#translate(error);
    }
    let rest = '';
    response.setEncoding('utf8');
    try {
      for await (const chunk of response) {
        const lines = (rest + String(chunk)).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const { result, error } = JSON.parse(line) as { result?: T; error?: object };
          if (error) throw errorOf(error);
          if (result) yield result;
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof EtcdError && !ELSEWHERE.has(error.grpc)) throw error;
      moveOn();
      throw this.#away(error, false);
    }
    moveOn();
    throw this.#away(new Error('the stream ended'), false);
  }

  async #once(path: string, call: Call): Promise<unknown> {
    await this.#authenticate(call.signal);
    const response = await this.#send(path, call);
    const answer = parseAnswer(await textOf(response));
    if (response.statusCode !== 200) throw errorOf(answer);
    // the gateway's streams answer a single question in an envelope
    return 'result' in answer ? answer.result : answer;
  }

  async #authenticate(signal: AbortSignal): Promise<void> {
    if (!this.#login || this.#token !== undefined) return;
    const response = await this.#send('/v3/auth/authenticate', { body: JSON.stringify(this.#login), signal });
    const answer = parseAnswer(await textOf(response)) as { token?: string };
    if (response.statusCode !== 200) {
      const error = errorOf(answer);
      // whoever has no users needs no name
      if (/not enabled/.test(error.message)) this.#token = '';
      else if (ELSEWHERE.has(error.grpc)) throw error;
      else throw new EtcdError(UNAUTHENTICATED, error.message);
    } else this.#token = answer.token ?? '';
  }

  #send(path: string, { body, signal }: Call): Promise<IncomingMessage> {
    const url = new URL(path, this.#endpoints[this.#current % this.#endpoints.length]);
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      ...(this.#token && { authorization: this.#token }),
    };
    return new Promise((resolve, reject) => {
      const send = this.#tls ? httpsRequest : httpRequest;
      const asked = send(url, { method: 'POST', agent: this.#agent, headers, signal }, resolve);
      let connected = false;
      const onConnect = (): void => void (connected = true);
      asked.once('socket', (socket) => {
        if (!socket.connecting) onConnect();
        else socket.once(this.#tls ? 'secureConnect' : 'connect', onConnect);
      });
      asked.once('error', (error: NodeJS.ErrnoException) => {
        // whatever went wrong before there was a connection: nothing was sent
        if (!connected && !TLS.test(error.code ?? '')) error.code = UNSENT;
        reject(error);
      });
      asked.end(body);
    });
  }

  #away(cause: unknown, unsure: boolean): EtcdAwayError {
    const where = this.#endpoints.map(({ host }) => host).join(', ');
    const why = cause instanceof Error ? `: ${cause.message}` : '';
    return new EtcdAwayError(`etcd does not answer at ${where}${why}`, { unsure, cause });
  }

  #translate(error: unknown): unknown {
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (error instanceof NetloomError || !TLS.test(code)) return error;
    const { host } = this.#endpoints[this.#current % this.#endpoints.length]!;
    return new NetloomError('EETCDTLS', `etcd at ${host}: ${message}`, {
      cause: error,
      hint: 'check the authority’s certificate, our own and its key, and the name in theirs',
    });
  }
}

function parseEndpoint(text: string): URL {
  const url = URL.parse(text);
  if (url && /^https?:$/.test(url.protocol) && url.hostname !== '' && /^\/?$/.test(url.pathname) && url.search === '')
    return url;
  throw new NetloomError('EBADETCD', `"${text}" is no endpoint of etcd`, {
    hint: 'write http://HOST:PORT or https://HOST:PORT',
  });
}

function errorOf(answer: unknown): EtcdError {
  const { code, grpc_code, error, message } = answer as Record<string, unknown>;
  // the gateway's streams have it in an envelope
  if (typeof error === 'object' && error !== null) return errorOf(error);
  const text = String(message ?? error ?? 'etcd refused').replace(/^etcdserver: /, '');
  // it calls these an invalid argument: nobody logged in, or did before users were changed
  const unauthenticated = /user name is empty|revision of auth store is old/.test(text);
  return new EtcdError(unauthenticated ? UNAUTHENTICATED : Number(code ?? grpc_code ?? 2), text);
}

/** @throws SyntaxError where it is no etcd that answers */
function parseAnswer(text: string): object {
  // the one refusal that is no JSON: with users, a certificate could be taken for one of them
  if (text.startsWith('CommonName'))
    throw new EtcdError(
      UNAUTHENTICATED,
      'our certificate has a common name, which etcd refuses where it has users',
      'take one whose subject has no CN: openssl req -subj /O=netloom',
    );
  return JSON.parse(text) as object;
}

/** Whether another member may do better: this one is not reached, breaks off, is late, or is no etcd. */
function isElsewhere(error: unknown): boolean {
  if (error instanceof EtcdError) return ELSEWHERE.has(error.grpc);
  const { code = '' } = error as NodeJS.ErrnoException;
  return error instanceof SyntaxError || (/^(E[A-Z]+|ABORT_ERR|HPE_\w+)$/.test(code) && !TLS.test(code));
}

function isUnsent(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === UNSENT;
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  response.setEncoding('utf8');
  for await (const chunk of response) text += String(chunk);
  return text;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
