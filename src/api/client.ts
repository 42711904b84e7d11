import { connect as netConnect } from 'node:net';
import type {
  AddressPool,
  AddressPoolDetail,
  AllocateSpec,
  Allocation,
  AttachSpec,
  ChangeOptions,
  ClusterStatus,
  Container,
  ContainerDetail,
  ContainerSpec,
  DetachOptions,
  DoctorReport,
  Endpoint,
  EndpointCheck,
  EndpointSpec,
  EndpointUpdate,
  EngineApi,
  EngineEvent,
  EventFilter,
  GcReport,
  JoinFinding,
  JoinSpec,
  Network,
  NetworkDetail,
  NetworkSpec,
  NetworkUpdate,
  Node,
  NodeNetwork,
  Outcome,
  PlanStep,
  PoolSpec,
  RehearsalStep,
  ReleaseSpec,
  SpawnPlan,
  VersionInfo,
} from '../model/index.ts';
import { ByteReader, EventReader } from './streams.ts';
import { connectionError, type Request, Transport } from './transport.ts';

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
  networkUpdate(ref: string, update: NetworkUpdate, options?: ChangeOptions): Promise<Outcome<Network>> {
    return this.#change('PATCH', `/v1/networks/${segment(ref)}`, options, update);
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
  containerStart(ref: string, options?: ChangeOptions): Promise<Outcome<ContainerDetail>> {
    return this.#change('POST', `${containerPath(ref)}/start`, options);
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
  containerStop(
    ref: string,
    options?: ChangeOptions & { readonly timeoutSeconds?: number },
  ): Promise<Outcome<ContainerDetail>> {
    return this.#change('POST', `${containerPath(ref)}/stop`, options);
  }
  containerKill(ref: string, signal: string, options?: ChangeOptions): Promise<Outcome<ContainerDetail>> {
    return this.#change('POST', `${containerPath(ref)}/kill`, { ...options, signal });
  }
  containerUpdate(
    ref: string,
    update: EndpointUpdate & { readonly network?: string },
    options?: ChangeOptions,
  ): Promise<Outcome<Endpoint>> {
    return this.#change('PATCH', containerPath(ref), options, update);
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
    const request: Request = { method: 'GET', path: `${containerPath(ref)}/logs${query(options)}` };
    return { [Symbol.asyncIterator]: () => new ByteReader(this.#http, request) };
  }

  endpointAttach(spec: AttachSpec, options?: ChangeOptions): Promise<Outcome<Endpoint>> {
    return this.#change('POST', '/v1/endpoints', options, spec);
  }
  endpointDetach(id: string, options?: DetachOptions): Promise<Outcome<Endpoint>> {
    return this.#change('DELETE', `/v1/endpoints/${segment(id)}`, options);
  }
  endpointList(): Promise<readonly Endpoint[]> {
    return this.#get('/v1/endpoints');
  }
  endpointInspect(ref: string): Promise<Endpoint> {
    return this.#get(`/v1/endpoints/${segment(ref)}`);
  }
  endpointCheck(ref: string): Promise<EndpointCheck> {
    return this.#get(`/v1/endpoints/${segment(ref)}/check`);
  }
  endpointUpdate(id: string, update: EndpointUpdate, options?: ChangeOptions): Promise<Outcome<Endpoint>> {
    return this.#change('PATCH', `/v1/endpoints/${segment(id)}`, options, update);
  }

  poolCreate(spec: PoolSpec): Promise<AddressPool> {
    return this.#change('POST', '/v1/pools', undefined, spec);
  }
  poolList(): Promise<readonly AddressPool[]> {
    return this.#get('/v1/pools');
  }
  poolInspect(ref: string): Promise<AddressPoolDetail> {
    return this.#get(`/v1/pools/${segment(ref)}`);
  }
  poolRemove(ref: string, options?: { readonly force?: boolean }): Promise<AddressPool> {
    return this.#change('DELETE', `/v1/pools/${segment(ref)}`, options);
  }
  addressAllocate(spec: AllocateSpec): Promise<Allocation> {
    return this.#change('POST', '/v1/pools/allocate', undefined, spec);
  }
  addressRelease(spec: ReleaseSpec): Promise<void> {
    return this.#change('POST', '/v1/pools/release', undefined, spec);
  }

  nodeJoin(
    spec: JoinSpec,
    options?: { readonly force?: boolean },
  ): Promise<{ readonly node: Node; readonly findings: readonly JoinFinding[] }> {
    return this.#change('POST', '/v1/nodes', options, spec);
  }
  nodeCheck(nodes?: readonly string[]): Promise<readonly JoinFinding[]> {
    return this.#get(`/v1/cluster/check${query(nodes && nodes.length > 0 ? { nodes } : undefined)}`);
  }
  nodeList(): Promise<readonly Node[]> {
    return this.#get('/v1/nodes');
  }
  nodeInspect(name: string): Promise<Node> {
    return this.#get(`/v1/nodes/${segment(name)}`);
  }
  nodeDrain(name: string, options?: { readonly undo?: boolean }): Promise<Node> {
    return this.#change('POST', `/v1/nodes/${segment(name)}/drain`, options);
  }
  nodeRemove(name: string, options?: { readonly force?: boolean }): Promise<Node> {
    return this.#change('DELETE', `/v1/nodes/${segment(name)}`, options);
  }
  nodeRotateKeys(networks?: readonly string[]): Promise<readonly NodeNetwork[]> {
    return this.#change('POST', '/v1/cluster/rotate-keys', networks && networks.length > 0 ? { networks } : {});
  }
  clusterStatus(): Promise<ClusterStatus> {
    return this.#get('/v1/cluster');
  }

  rehearse(steps: readonly RehearsalStep[]): Promise<readonly (readonly PlanStep[])[]> {
    return this.#change('POST', '/v1/rehearse', {}, { steps });
  }
  gc(options?: ChangeOptions): Promise<Outcome<GcReport>> {
    return this.#change('POST', '/v1/gc', options);
  }
  doctor(options?: { readonly checks?: readonly string[] }): Promise<DoctorReport> {
    return this.#get(`/v1/doctor${query(options)}`);
  }
  events(filter?: EventFilter, signal?: AbortSignal): AsyncIterable<EngineEvent> {
    return new EventReader(this.#http, { method: 'GET', path: `/v1/events${query(filter)}` }, signal);
  }
  metrics(): Promise<string> {
    return this.#http.text({ method: 'GET', path: '/v1/metrics' });
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
  #change<T>(method: Request['method'], path: string, options: object | undefined, body?: unknown): Promise<T> {
    return this.#http.json({ method, path: path + query(options), body }) as Promise<T>;
  }
}

function containerPath(ref: string): string {
  return `/v1/containers/${segment(ref)}`;
}
function segment(ref: string): string {
  // Half a surrogate pair has no form in a URL, and no object has such a name.
  return encodeURIComponent(ref.toWellFormed());
}
function query(options: object | undefined): string {
  const parts = Object.entries(options ?? {}).filter(
    ([, value]) => value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0),
  );
  return parts.length === 0 ? '' : `?${parts.map(([name, value]) => `${name}=${segment(String(value))}`).join('&')}`;
}
function errorCode(error: unknown): unknown {
  return (error as { code?: unknown }).code;
}
