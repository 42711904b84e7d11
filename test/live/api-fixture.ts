import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCode, NetloomError } from '../../src/errors.ts';
import type * as model from '../../src/model/index.ts';
import { Client } from '../../src/api/client.ts';
import { EventHub } from '../../src/engine/events.ts';
import { type ApiLog, type ApiServer, createApiServer } from '../../src/api/server.ts';

/** An engine in memory with no kernel under it: it keeps what it is given, so that HTTP can be tested alone. */
export class MemoryEngine implements model.EngineApi {
  readonly networks: Map<string, model.Network> = new Map();
  readonly containers: Map<string, model.ContainerDetail> = new Map();
  readonly endpoints: Map<string, model.Endpoint> = new Map();
  /** Verb and arguments of every call. */
  readonly calls: unknown[][] = [];
  /** Thrown by every verb while set. */
  failure: unknown;
  /** Held before `endpointAttach` answers. */
  gate: Promise<void> = Promise.resolve();
  /** Resolves when the first `containerWait` has come. */
  readonly waited: PromiseWithResolvers<void> = Promise.withResolvers();
  /** What `containerWait` resolves with. */
  readonly exit: PromiseWithResolvers<number> = Promise.withResolvers();
  /** What `containerLogs` gives, then waits. */
  readonly lines: string[] = [];
  logsReturned: PromiseWithResolvers<void> = Promise.withResolvers();
  logPulls = 0;
  /** The engine's own, so that its bounds hold here too. */
  readonly hub: EventHub = new EventHub();
  disposed = 0;

  #note(...call: unknown[]): void {
    this.calls.push(call);
    if (this.failure !== undefined) throw this.failure;
  }
  #find<T>(map: ReadonlyMap<string, T>, ref: string, code: string): T {
    const found = map.get(ref);
    if (found === undefined) throw new NetloomError(code, `no such object: ${ref}`, { hint: 'look at the list' });
    return found;
  }
  #outcome<T>(value: T, options?: model.ChangeOptions): model.Outcome<T> {
    if (options?.dryRun !== true && options?.explain !== true) return { value };
    return {
      value,
      plan: [{ object: 'network web', kind: 'link', verb: 'add', command: 'ip link add br0 type bridge' }],
    };
  }

  async version(): Promise<model.VersionInfo> {
    this.#note('version');
    return { version: '9.9.9', apiVersion: 'v1', node: process.version, kernel: '6.1', mode: 'in-process' };
  }
  async networkCreate(spec: model.NetworkSpec, options?: model.ChangeOptions): Promise<model.Outcome<model.Network>> {
    this.#note('networkCreate', spec, options);
    const value = aNetwork(spec);
    if (options?.dryRun !== true) this.networks.set(spec.name, value);
    return this.#outcome(value, options);
  }
  async networkList(): Promise<readonly model.Network[]> {
    this.#note('networkList');
    return [...this.networks.values()];
  }
  async networkInspect(ref: string): Promise<model.NetworkDetail> {
    this.#note('networkInspect', ref);
    return { ...this.#find(this.networks, ref, 'ENOENT'), endpoints: [...this.endpoints.values()] };
  }
  async networkRemove(ref: string, options?: model.ChangeOptions): Promise<model.Outcome<model.Network>> {
    this.#note('networkRemove', ref, options);
    const value = this.#find(this.networks, ref, 'ENOENT');
    this.networks.delete(ref);
    return this.#outcome(value, options);
  }
  async networkPrune(options?: model.ChangeOptions): Promise<model.Outcome<readonly model.Network[]>> {
    this.#note('networkPrune', options);
    return this.#outcome([...this.networks.values()], options);
  }
  async networkUpdate(
    ref: string,
    update: model.NetworkUpdate,
    options?: model.ChangeOptions,
  ): Promise<model.Outcome<model.Network>> {
    this.#note('networkUpdate', ref, update, options);
    return this.#outcome({ ...this.#find(this.networks, ref, 'ENOENT'), labels: update.labels ?? {} }, options);
  }
  async networkConnect(
    container: string,
    spec: model.EndpointSpec,
    options?: model.ChangeOptions,
  ): Promise<model.Outcome<model.Endpoint>> {
    this.#note('networkConnect', container, spec, options);
    return this.#outcome(anEndpoint({ ...spec, netns: `/run/netns/${container}` }), options);
  }
  async networkDisconnect(
    container: string,
    network: string,
    options?: model.ChangeOptions,
  ): Promise<model.Outcome<model.Endpoint>> {
    this.#note('networkDisconnect', container, network, options);
    return this.#outcome(anEndpoint({ network, netns: `/run/netns/${container}` }), options);
  }
  async containerCreate(
    spec: model.ContainerSpec,
    options?: model.ChangeOptions,
  ): Promise<model.Outcome<model.ContainerDetail>> {
    this.#note('containerCreate', spec, options);
    const value = aContainer(spec);
    this.containers.set(value.name, value);
    return this.#outcome(value, options);
  }
  async containerStart(ref: string, options?: model.ChangeOptions): Promise<model.Outcome<model.ContainerDetail>> {
    this.#note('containerStart', ref, options);
    return this.#outcome(this.#find(this.containers, ref, 'ENOENT'), options);
  }
  async containerSpawnPlan(ref: string, options: { readonly foreground: boolean }): Promise<model.SpawnPlan> {
    this.#note('containerSpawnPlan', ref, options);
    return { file: '/bin/sh', args: ['-c', 'exec "$0"', 'ü'], env: { 'A.B': 'c' }, cwd: '/' };
  }
  async containerExecPlan(ref: string, command: readonly string[]): Promise<model.SpawnPlan> {
    this.#note('containerExecPlan', ref, command);
    return { file: command[0] as string, args: command.slice(1), env: {}, cwd: '/' };
  }
  async containerList(options?: { readonly all?: boolean }): Promise<readonly model.ContainerDetail[]> {
    this.#note('containerList', options);
    return [...this.containers.values()];
  }
  async containerInspect(ref: string): Promise<model.ContainerDetail> {
    this.#note('containerInspect', ref);
    return this.#find(this.containers, ref, 'ENOENT');
  }
  async containerStop(
    ref: string,
    options?: model.ChangeOptions & { readonly timeoutSeconds?: number },
  ): Promise<model.Outcome<model.ContainerDetail>> {
    this.#note('containerStop', ref, options);
    return this.#outcome(this.#find(this.containers, ref, 'ENOENT'), options);
  }
  async containerKill(
    ref: string,
    signal: string,
    options?: model.ChangeOptions,
  ): Promise<model.Outcome<model.ContainerDetail>> {
    this.#note('containerKill', ref, signal, options);
    return this.#outcome(this.#find(this.containers, ref, 'ENOENT'), options);
  }
  async containerUpdate(
    ref: string,
    update: model.EndpointUpdate & { readonly network?: string },
    options?: model.ChangeOptions,
  ): Promise<model.Outcome<model.Endpoint>> {
    this.#note('containerUpdate', ref, update, options);
    return this.#outcome(anEndpoint({ network: update.network ?? 'web', netns: `/run/netns/${ref}` }), options);
  }
  containerWait(ref: string): Promise<number> {
    this.#note('containerWait', ref);
    this.waited.resolve();
    return this.exit.promise;
  }
  async containerRemove(
    ref: string,
    options?: model.ChangeOptions & { readonly force?: boolean },
  ): Promise<model.Outcome<model.Container>> {
    this.#note('containerRemove', ref, options);
    const { state: _state, endpoints: _endpoints, ...value } = this.#find(this.containers, ref, 'ENOENT');
    return this.#outcome(value, options);
  }
  async containerExited(ref: string): Promise<void> {
    this.#note('containerExited', ref);
  }
  containerLogs(
    ref: string,
    options?: { readonly follow?: boolean; readonly tail?: number },
  ): AsyncIterable<Uint8Array> {
    this.#note('containerLogs', ref, options);
    const waiting = [...this.lines];
    const ended = Promise.withResolvers<IteratorResult<Uint8Array>>();
    const next = async (): Promise<IteratorResult<Uint8Array>> => {
      this.logPulls += 1;
      const line = waiting.shift();
      if (line !== undefined) return { done: false, value: Buffer.from(line) };
      if (options?.follow === true) return ended.promise;
      return { done: true, value: undefined };
    };
    const end = async (): Promise<IteratorResult<Uint8Array>> => {
      ended.resolve({ done: true, value: undefined });
      this.logsReturned.resolve();
      return { done: true, value: undefined };
    };
    return { [Symbol.asyncIterator]: () => ({ next, return: end }) };
  }
  async endpointAttach(spec: model.AttachSpec, options?: model.ChangeOptions): Promise<model.Outcome<model.Endpoint>> {
    this.#note('endpointAttach', spec, options);
    await this.gate;
    const value = anEndpoint(spec);
    this.endpoints.set(value.id, value);
    return this.#outcome(value, options);
  }
  async endpointDetach(id: string, options?: model.ChangeOptions): Promise<model.Outcome<model.Endpoint>> {
    this.#note('endpointDetach', id, options);
    const value = this.#find(this.endpoints, id, 'ENOENT');
    this.endpoints.delete(id);
    return this.#outcome(value, options);
  }
  async endpointList(): Promise<readonly model.Endpoint[]> {
    this.#note('endpointList');
    return [...this.endpoints.values()];
  }
  async endpointInspect(ref: string): Promise<model.Endpoint> {
    this.#note('endpointInspect', ref);
    return this.#find(this.endpoints, ref, 'ENOENT');
  }
  async endpointCheck(ref: string): Promise<model.EndpointCheck> {
    this.#note('endpointCheck', ref);
    const { mac } = this.#find(this.endpoints, ref, 'ENOENT');
    return { faults: [{ object: 'x', kind: 'link', verb: 'add', command: 'ip link add x' }], mac, mtu: 1500 };
  }
  async endpointUpdate(
    id: string,
    update: model.EndpointUpdate,
    options?: model.ChangeOptions,
  ): Promise<model.Outcome<model.Endpoint>> {
    this.#note('endpointUpdate', id, update, options);
    return this.#outcome(this.#find(this.endpoints, id, 'ENOENT'), options);
  }
  async poolCreate(spec: model.PoolSpec): Promise<model.AddressPool> {
    this.#note('poolCreate', spec);
    return { ...POOL, name: spec.name ?? POOL.name };
  }
  async poolList(): Promise<readonly model.AddressPool[]> {
    this.#note('poolList');
    return [POOL];
  }
  async poolInspect(ref: string): Promise<model.AddressPoolDetail> {
    this.#note('poolInspect', ref);
    return { ...POOL, allocations: [{ address: '10.7.0.2/24', owner: 'a b' }] };
  }
  async poolRemove(ref: string, options?: { readonly force?: boolean }): Promise<model.AddressPool> {
    this.#note('poolRemove', ref, options);
    return POOL;
  }
  async addressAllocate(spec: model.AllocateSpec): Promise<model.Allocation> {
    this.#note('addressAllocate', spec);
    return { address: '10.7.0.2/24', owner: spec.owner };
  }
  async addressRelease(spec: model.ReleaseSpec): Promise<void> {
    this.#note('addressRelease', spec);
  }
  async nodeJoin(
    spec: model.JoinSpec,
    options?: { readonly force?: boolean },
  ): Promise<{ readonly node: model.Node; readonly findings: readonly model.JoinFinding[] }> {
    this.#note('nodeJoin', spec, options);
    const node = { ...NODE, name: spec.name ?? NODE.name };
    return { node, findings: [{ check: 'clock', severity: 'warn', text: '3 s behind ü' }] };
  }
  async nodeCheck(nodes?: readonly string[]): Promise<readonly model.JoinFinding[]> {
    this.#note('nodeCheck', nodes);
    return [{ check: 'mtu', severity: 'ok', text: '1500' }];
  }
  async nodeList(): Promise<readonly model.Node[]> {
    this.#note('nodeList');
    return [NODE];
  }
  async nodeInspect(name: string): Promise<model.Node> {
    this.#note('nodeInspect', name);
    return { ...NODE, name };
  }
  async nodeDrain(name: string, options?: { readonly undo?: boolean }): Promise<model.Node> {
    this.#note('nodeDrain', name, options);
    return { ...NODE, name, state: options?.undo === true ? 'ready' : 'draining' };
  }
  async nodeRemove(name: string, options?: { readonly force?: boolean }): Promise<model.Node> {
    this.#note('nodeRemove', name, options);
    return { ...NODE, name, state: 'down' };
  }
  async nodeRotateKeys(networks?: readonly string[]): Promise<readonly model.NodeNetwork[]> {
    this.#note('nodeRotateKeys', networks);
    return NODE.networks.map((each) => ({ ...each, publicKey: 'ü=', rekeyed: '2026-01-01T00:00:00.000Z' }));
  }
  async clusterStatus(): Promise<model.ClusterStatus> {
    this.#note('clusterStatus');
    return {
      node: 'a',
      etcd: ['http://192.0.2.10:2379'],
      state: 'away',
      reason: 'no answer',
      faults: ['network pods: node b is away'],
    };
  }
  async rehearse(steps: readonly model.RehearsalStep[]): Promise<readonly (readonly model.PlanStep[])[]> {
    this.#note('rehearse', steps);
    return steps.map((step) => [
      { object: step.verb, kind: 'link', verb: 'add', command: 'ip link add br0 type bridge' },
    ]);
  }
  async gc(options?: model.ChangeOptions): Promise<model.Outcome<model.GcReport>> {
    this.#note('gc', options);
    return this.#outcome({ reclaimed: ['endpoint eth0: dead'], removed: [], repaired: ['x'], failed: [] }, options);
  }
  async doctor(options?: { readonly checks?: readonly string[] }): Promise<model.DoctorReport> {
    this.#note('doctor', options);
    const finding = { status: 'ok', summary: 'fine', evidence: ['a'], cure: [], object: '' } as const;
    const findings = (options?.checks ?? ['all']).map((check) => ({ check, ...finding }));
    return { time: '2026-11-21T08:00:00.000Z', kernel: '6.1', findings };
  }
  events(filter?: model.EventFilter, signal?: AbortSignal): AsyncIterable<model.EngineEvent> {
    this.#note('events', filter);
    return this.hub.subscribe(filter ?? {}, signal);
  }
  async metrics(): Promise<string> {
    this.#note('metrics');
    return '# TYPE netloom_endpoints gauge\nnetloom_endpoints{network="wëb"} 1\n';
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed += 1;
  }
}

function aNetwork(spec: model.NetworkSpec): model.Network {
  const options = {
    driver: 'bridge',
    bridge: 'br0',
    mtu: 1500,
    icc: true,
    masquerade: true,
    hairpin: true,
    hostBinding: '',
  } as const;
  return {
    id: randomBytes(32).toString('hex'),
    name: spec.name,
    driver: 'bridge',
    created: '2026-11-21T08:00:00.000Z',
    internal: spec.internal ?? false,
    subnets: [
      {
        subnet: '172.18.0.0/16',
        gateway: '172.18.0.1',
        ipRange: '172.18.1.0/24',
        auxAddresses: { 'a b': '172.18.0.9' },
      },
    ],
    options,
    labels: spec.labels ?? {},
    phase: 'ready',
    owner: '',
  };
}
const POOL: model.AddressPool = {
  id: '5'.repeat(64),
  name: 'lab',
  created: '2026-11-21T08:00:00.000Z',
  subnet: '10.7.0.0/24',
  gateway: '10.7.0.1',
  auxAddresses: { router: '10.7.0.9' },
};
const NODE: model.Node = {
  name: 'a',
  id: '7'.repeat(32),
  state: 'ready',
  self: true,
  addresses: ['192.0.2.1', '2001:db8::1'],
  reason: 'towards etcd at 192.0.2.10',
  dev: 'eth0',
  mtu: 1500,
  version: '0.0.1',
  joined: '2026-11-21T07:00:00.000Z',
  networks: [{ name: 'web', plan: 'node', backend: 'vxlan', prefixes: ['10.244.1.0/24'], endpoints: 2 }],
};
function anEndpoint(spec: model.AttachSpec): model.Endpoint {
  return {
    id: randomBytes(32).toString('hex'),
    network: spec.network,
    container: '',
    type: spec.tap === true ? 'tap' : 'veth',
    netns: spec.netns,
    netnsId: '4:4026532345',
    ifname: spec.ifname ?? 'eth0',
    hostIfname: 'nl0123456789',
    mac: spec.mac ?? '02:42:ac:12:00:02',
    addresses: ['172.18.0.2/16', 'fd00::2/64'],
    gateways: ['172.18.0.1', 'fd00::1'],
    aliases: spec.aliases ?? [],
    gatewayPriority: spec.gatewayPriority ?? 0,
    ports: [{ protocol: 'tcp', hostAddress: '0.0.0.0', hostPort: 8888, containerPort: 80, count: 1 }],
    rates: { ingress: spec.ingressRate ?? 0, egress: spec.egressRate ?? 0 },
    created: '2026-11-21T08:00:00.000Z',
    phase: 'ready',
    owner: '',
  };
}
function aContainer(spec: model.ContainerSpec): model.ContainerDetail {
  return {
    id: randomBytes(32).toString('hex'),
    name: spec.name ?? 'calm_loom',
    created: '2026-11-21T08:00:00.000Z',
    netns: '/run/netns/calm_loom',
    mode: spec.networkMode === 'container:web' ? { kind: 'container', container: 'web' } : { kind: 'networks' },
    hostname: spec.hostname ?? 'calm',
    command: spec.command,
    env: spec.env ?? {},
    workingDir: spec.workingDir ?? '/',
    dns: { servers: [], search: [], options: [], ...spec.dns },
    extraHosts: spec.extraHosts ?? [],
    labels: spec.labels ?? {},
    autoRemove: spec.autoRemove ?? false,
    networks: spec.networks ?? [],
    ports: spec.ports ?? [],
    phase: 'ready',
    owner: '',
    state: { status: 'running', pid: 42, exitCode: 0, startedAt: '2026-11-21T08:00:00.000Z', finishedAt: '' },
    endpoints: [anEndpoint({ network: 'web', netns: '/run/netns/calm_loom' })],
  };
}

/** A server on a socket of its own, and its client; everything goes at the end of the scope. */
export interface Rig extends AsyncDisposable {
  readonly engine: MemoryEngine;
  readonly api: ApiServer;
  readonly client: Client;
  readonly socketPath: string;
}
export async function rig(options?: {
  readonly log?: ApiLog;
  readonly keepAliveTimeout?: number;
  readonly bodyLimit?: number;
}): Promise<Rig> {
  const folder = mkdtempSync(join(tmpdir(), 'netloom-api-'));
  const socketPath = join(folder, 'netloom.sock');
  const engine = new MemoryEngine();
  const api = await createApiServer({ engine, version: '9.9.9', ...options });
  await new Promise<void>((resolve) => void api.http.listen(socketPath, resolve));
  const client = new Client(socketPath);
  return {
    engine,
    api,
    client,
    socketPath,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await api.stop(0);
      rmSync(folder, { recursive: true });
    },
  };
}

/** For assert.rejects: a NetloomError of that code. */
export function withCode(code: string): (error: unknown) => true {
  return (error) => {
    if (hasCode(error, code)) return true;
    throw error;
  };
}
