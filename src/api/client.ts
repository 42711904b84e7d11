import type { IncomingMessage } from 'node:http';
import { connect as netConnect } from 'node:net';
import type {
  AttachSpec,
  ChangeOptions,
  Container,
  ContainerDetail,
  ContainerSpec,
  Endpoint,
  EndpointSpec,
  EngineApi,
  Network,
  NetworkDetail,
  NetworkSpec,
  Outcome,
  SpawnPlan,
  VersionInfo,
} from '../model/index.ts';
import { connectionError, lost, type Request, Transport } from './transport.ts';

/** Where the daemon listens unless told otherwise. */
export const DEFAULT_SOCKET = '/run/netloom/netloom.sock';

/**
 * A daemon's engine, over its unix socket. Failures carry the code, message and hint that the engine gave them, and
 * besides: ENODAEMON (nobody listens), EACCES (the socket is not for this user), EDAEMONLOST (it went away before it
 * answered), ESTOPPING (it is stopping).
 */
export class Client implements EngineApi {
  readonly #http: Transport;

  constructor(socketPath: string = DEFAULT_SOCKET) {
    this.#http = new Transport(socketPath);
  }

  /**
   * A client of the daemon that listens on the socket; undefined when none does. @throws NetloomError EACCES when the
   * socket is there but not for this user.
   */
  static async connect(socketPath: string = DEFAULT_SOCKET): Promise<Client | undefined> {
    const listens = await new Promise<boolean>((resolve, reject) => {
      const socket = netConnect(socketPath);
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', (error) => {
        const typed = connectionError(error, socketPath);
        if (typed.code === 'ENODAEMON' || errorCode(error) === 'ENOTDIR') resolve(false);
        else reject(typed);
      });
    });
    return listens ? new Client(socketPath) : undefined;
  }

  version(): Promise<VersionInfo> {
    return this.#get('/v1/version');
  }

  networkCreate(spec: NetworkSpec, options?: ChangeOptions): Promise<Outcome<Network>> {
    return this.#change('POST', '/v1/networks', options, spec);
  }
  networkList(): Promise<readonly Network[]> {
    return this.#get('/v1/networks');
  }
  networkInspect(ref: string): Promise<NetworkDetail> {
    return this.#get(`/v1/networks/${segment(ref)}`);
  }
  networkRemove(ref: string, options?: ChangeOptions): Promise<Outcome<Network>> {
    return this.#change('DELETE', `/v1/networks/${segment(ref)}`, options);
  }
  networkPrune(options?: ChangeOptions): Promise<Outcome<readonly Network[]>> {
    return this.#change('POST', '/v1/networks/prune', options);
  }
  networkConnect(container: string, spec: EndpointSpec, options?: ChangeOptions): Promise<Outcome<Endpoint>> {
    return this.#change('POST', `${containerPath(container)}/networks`, options, spec);
  }
  networkDisconnect(container: string, network: string, options?: ChangeOptions): Promise<Outcome<Endpoint>> {
    return this.#change('DELETE', `${containerPath(container)}/networks/${segment(network)}`, options);
  }

  containerCreate(spec: ContainerSpec, options?: ChangeOptions): Promise<Outcome<ContainerDetail>> {
    return this.#change('POST', '/v1/containers', options, spec);
  }
  containerStart(ref: string): Promise<ContainerDetail> {
    return this.#change('POST', `${containerPath(ref)}/start`, {});
  }
  containerSpawnPlan(ref: string, options: { readonly foreground: boolean }): Promise<SpawnPlan> {
    return this.#get(`${containerPath(ref)}/spawn-plan${query(options)}`);
  }
  containerExecPlan(ref: string, command: readonly string[]): Promise<SpawnPlan> {
    return this.#change('POST', `${containerPath(ref)}/exec-plan`, {}, { command });
  }
  containerList(options?: { readonly all?: boolean }): Promise<readonly ContainerDetail[]> {
    return this.#get(`/v1/containers${query(options)}`);
  }
  containerInspect(ref: string): Promise<ContainerDetail> {
    return this.#get(containerPath(ref));
  }
  containerStop(ref: string, options?: { readonly timeoutSeconds?: number }): Promise<ContainerDetail> {
    return this.#change('POST', `${containerPath(ref)}/stop`, options);
  }
  containerKill(ref: string, signal: string): Promise<void> {
    return this.#change('POST', `${containerPath(ref)}/kill`, { signal });
  }
  async containerWait(ref: string): Promise<number> {
    const request = { method: 'GET', path: `${containerPath(ref)}/wait` } as const;
    const { exitCode } = (await this.#http.json(request, { slow: true })) as { exitCode: number };
    return exitCode;
  }
  containerRemove(ref: string, options?: ChangeOptions & { readonly force?: boolean }): Promise<Outcome<Container>> {
    return this.#change('DELETE', containerPath(ref), options);
  }
  containerExited(ref: string): Promise<void> {
    return this.#change('POST', `${containerPath(ref)}/exited`, {});
  }
  containerLogs(
    ref: string,
    options?: { readonly follow?: boolean; readonly tail?: number },
  ): AsyncIterable<Uint8Array> {
    const request = { method: 'GET', path: `${containerPath(ref)}/logs${query(options)}` } as const;
    return { [Symbol.asyncIterator]: () => new LogReader(this.#http, request) };
  }

  endpointAttach(spec: AttachSpec, options?: ChangeOptions): Promise<Outcome<Endpoint>> {
    return this.#change('POST', '/v1/endpoints', options, spec);
  }
  endpointDetach(id: string, options?: ChangeOptions): Promise<Outcome<Endpoint>> {
    return this.#change('DELETE', `/v1/endpoints/${segment(id)}`, options);
  }
  endpointList(): Promise<readonly Endpoint[]> {
    return this.#get('/v1/endpoints');
  }

  /** The API's OpenAPI document. */
  openapi(): Promise<object> {
    return this.#get('/v1/openapi.json');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#http.close();
  }

  #get<T>(path: string): Promise<T> {
    return this.#http.json({ method: 'GET', path }) as Promise<T>;
  }
  #change<T>(method: 'POST' | 'DELETE', path: string, options: object | undefined, body?: unknown): Promise<T> {
    return this.#http.json({ method, path: path + query(options), body }) as Promise<T>;
  }
}

/** The bytes of a log. `return` ends it at once, even while it waits for the next line. */
class LogReader implements AsyncIterator<Uint8Array, undefined> {
  readonly #http: Transport;
  readonly #request: Request;
  #response: IncomingMessage | undefined;
  #chunks: AsyncIterator<Uint8Array> | undefined;
  #ended = false;

  constructor(http: Transport, request: Request) {
    this.#http = http;
    this.#request = request;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    try {
      this.#response ??= this.#ended ? undefined : await this.#http.stream(this.#request);
      if (this.#ended) this.#response?.destroy();
      this.#chunks ??= this.#response?.[Symbol.asyncIterator]() as AsyncIterator<Uint8Array> | undefined;
      const result = await this.#chunks?.next();
      if (result !== undefined && result.done !== true) return { done: false, value: result.value };
    } catch (error) {
      // Ended by the reader itself: what broke is what was told to.
      if (!this.#ended) throw this.#response === undefined ? error : lost(error);
    }
    this.#ended = true;
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#ended = true;
    this.#response?.destroy();
    return { done: true, value: undefined };
  }
}

function containerPath(ref: string): string {
  return `/v1/containers/${segment(ref)}`;
}
function segment(ref: string): string {
  return encodeURIComponent(ref);
}
function query(options: object | undefined): string {
  const parts = Object.entries(options ?? {}).filter(([, value]) => value !== undefined && value !== false);
  return parts.length === 0
    ? ''
    : `?${parts.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join('&')}`;
}
function errorCode(error: unknown): unknown {
  return (error as { code?: unknown }).code;
}
