import { mkdirSync, rmSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { hasCode, NetloomError } from '../errors.ts';
import { DropTotals } from '../guard/index.ts';
import { DEFAULT_POOLS, type Pool, ulaPool } from '../ipam/index.ts';
import { FileLock, Netns, randomBytes } from '../kernel/index.ts';
import { type Meter, NO_METER } from '../metrics/index.ts';
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
  FirewallWish,
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
import { newId, type RandomSource } from '../model/index.ts';
import { openEmbeddedStore, type Store } from '../store/index.ts';
import { API_VERSION, VERSION } from '../version.ts';
import type { Change } from './apply.ts';
import { clusterStatus } from './cluster-status.ts';
import * as cluster from './cluster.ts';
import * as connections from './connections.ts';
import * as containers from './containers.ts';
import type { Core } from './core.ts';
import { endpointCheck } from './endpoint-check.ts';
import * as endpoints from './endpoints.ts';
import { Behind } from './behind.ts';
import { EventHub } from './events.ts';
import { collect } from './gc.ts';
import { HostFirewall } from './host-firewall.ts';
import { Kernel } from './kernel.ts';
import { whileLingering } from './lingering.ts';
import { readLog } from './log.ts';
import { exposition } from './metrics.ts';
import * as networks from './networks.ts';
import { DEFAULT_PATHS, type Paths } from './paths.ts';
import * as pools from './pools.ts';
import { Reaper } from './reaper.ts';
import { rehearse, rehearseSteps } from './rehearse.ts';
import { needsRecovery, recover, type Recovery } from './recover.ts';
import { KeyedMutex } from './mutex.ts';
import * as updates from './updates.ts';

export interface EngineOptions extends Partial<Paths> {
  /** The host namespace to manage; default: this process's own. The engine closes it. */
  readonly netns?: Netns;
  /** Where automatic subnets come from; default: private IPv4 space, and a ULA prefix drawn once. */
  readonly pools?: readonly Pool[];
  /** Run by the process shim when a container's command has ended, with the id added. Empty: nobody calls. */
  readonly exitCommand?: readonly string[];
  /**
   * Stay and look after everything: compare the kernel with the store at the start and whenever it changes, answer names,
   * keep leases. What a daemon does; one engine on a store at a time.
   */
  readonly resident?: boolean;
  /**
   * When a resident engine compares the kernel with the store for the first time: `first`, before `openEngine` resolves, or
   * `behind`, half a second later and beside whatever is asked of it. Default: first.
   */
  readonly comparison?: 'first' | 'behind';
  /**
   * Published ports that say nothing themselves: `obey` the host's own firewall, closed to the outside where it refuses
   * them, or `open` whatever it says. Default: obey.
   */
  readonly publishedPorts?: FirewallWish;
  /** Who runs it, for `version`. */
  readonly mode?: VersionInfo['mode'];
  /** Called after each fact has reached the kernel: how the fault tests die at every step. */
  readonly onFact?: (change: Change) => void;
}

/** Opens an engine on a store, beside any others that are open on it. @throws NetloomError, SyscallError EPERM, EACCES */
export async function openEngine(options: EngineOptions = {}): Promise<Engine> {
  const paths: Paths = { ...DEFAULT_PATHS, ...definedPaths(options) };
  await using stack = new AsyncDisposableStack();
  const store = stack.use(await openEmbeddedStore(paths));
  const meter: Meter = options.resident ? new (await import('../metrics/prometheus.ts')).PrometheusMeter() : NO_METER;
  const kernel = stack.use(
    new Kernel(
      options.netns ?? Netns.current(),
      options.resident
        ? (family, lane, seconds) => meter.observe('netloom_kernel_call_duration_seconds', { family, lane }, seconds)
        : undefined,
    ),
  );
  const reaper = stack.use(openReaper(kernel));
  const id = newId(randomBytes).slice(0, 16);
  mkdirSync(join(paths.runDir, 'engines'), { recursive: true, mode: 0o700 });
  const lockPath = join(paths.runDir, 'engines', `${id}.lock`);
  const lock = stack.use(requireLock(lockPath));
  stack.defer(() => rmSync(lock.path, { force: true }));
  const events = stack.use(new EventHub());
  const core: Core = {
    id,
    store,
    kernel,
    hostNetns: options.netns ? `/proc/${process.pid}/fd/${kernel.host.fd}` : '',
    reaper,
    turns: new KeyedMutex(join(paths.runDir, 'locks')),
    paths,
    pools: options.pools ?? [...DEFAULT_POOLS, await ownUla(store)],
    now: () => new Date(),
    random: pooled(randomBytes),
    exitCommand: options.exitCommand ?? [],
    onFact: options.onFact,
    events,
    behind: new Behind(events),
    meter,
    firewall: new HostFirewall(options.publishedPorts ?? 'obey'),
    drops: new DropTotals(),
    services: undefined,
  };
  let recovery: Recovery = { finished: [], failed: [], repaired: [] };
  if (options.resident) await (await import('./rekey.ts')).refreshKeys(core);
  if (options.resident || (await needsRecovery(core))) recovery = await recover(core, options.comparison);
  // what only some need is loaded by them alone: a plugin's process is over in a tenth of a second
  if (options.resident) stack.use(await (await import('./services.ts')).Services.start(core));
  return new Engine(core, options.mode ?? 'in-process', recovery, stack.move());
}

/** @see EngineApi */
export class Engine implements EngineApi {
  readonly #core: Core;
  readonly #mode: VersionInfo['mode'];
  readonly #stack: AsyncDisposableStack;
  /** What the start found half done, and put right. */
  readonly recovery: Recovery;

  constructor(core: Core, mode: VersionInfo['mode'], recovery: Recovery, stack: AsyncDisposableStack) {
    this.#core = core;
    this.#mode = mode;
    this.#stack = stack;
    this.recovery = recovery;
  }

  version(): Promise<VersionInfo> {
    const node = process.versions.node;
    return Promise.resolve({ version: VERSION, apiVersion: API_VERSION, node, kernel: release(), mode: this.#mode });
  }

  networkCreate(spec: NetworkSpec, options?: ChangeOptions): Promise<Outcome<Network>> {
    return this.#change('networkCreate', options, (core, wishes) => cluster.networkCreate(core, spec, wishes));
  }
  networkList(): Promise<readonly Network[]> {
    return networks.networkList(this.#core);
  }
  networkInspect(ref: string): Promise<NetworkDetail> {
    return networks.networkInspect(this.#core, ref);
  }
  networkRemove(ref: string, options?: ChangeOptions): Promise<Outcome<Network>> {
    return this.#change('networkRemove', options, (core, wishes) => cluster.networkRemove(core, ref, wishes));
  }
  networkPrune(options?: ChangeOptions): Promise<Outcome<readonly Network[]>> {
    return this.#change('networkPrune', options, (core, wishes) => networks.networkPrune(core, wishes));
  }
  networkUpdate(ref: string, update: NetworkUpdate, options?: ChangeOptions): Promise<Outcome<Network>> {
    return this.#change('networkUpdate', options, (core, wishes) => cluster.networkUpdate(core, ref, update, wishes));
  }
  networkConnect(container: string, spec: EndpointSpec, options?: ChangeOptions): Promise<Outcome<Endpoint>> {
    return this.#change('networkConnect', options, (core, wishes) =>
      taking(core, () => connections.networkConnect(core, container, spec, wishes)),
    );
  }
  networkDisconnect(container: string, network: string, options?: ChangeOptions): Promise<Outcome<Endpoint>> {
    return this.#change('networkDisconnect', options, (core, wishes) =>
      connections.networkDisconnect(core, container, network, wishes),
    );
  }

  containerCreate(spec: ContainerSpec, options?: ChangeOptions): Promise<Outcome<ContainerDetail>> {
    return this.#change('containerCreate', options, (core, wishes) =>
      taking(core, () => containers.containerCreate(core, spec, wishes)),
    );
  }
  containerStart(ref: string, options?: ChangeOptions): Promise<Outcome<ContainerDetail>> {
    return this.#change('containerStart', options, (core, wishes) =>
      taking(core, () => containers.containerStart(core, ref, wishes)),
    );
  }
  containerSpawnPlan(ref: string, options: { readonly foreground: boolean }): Promise<SpawnPlan> {
    return containers.containerSpawnPlan(this.#core, ref, options.foreground);
  }
  containerExecPlan(ref: string, command: readonly string[]): Promise<SpawnPlan> {
    return containers.containerExecPlan(this.#core, ref, command);
  }
  containerList(options?: { readonly all?: boolean }): Promise<readonly ContainerDetail[]> {
    return containers.containerList(this.#core, options?.all === true);
  }
  containerInspect(ref: string): Promise<ContainerDetail> {
    return containers.containerInspect(this.#core, ref);
  }
  containerStop(
    ref: string,
    options?: ChangeOptions & { readonly timeoutSeconds?: number },
  ): Promise<Outcome<ContainerDetail>> {
    return this.#change('containerStop', options, (core, wishes) => containers.containerStop(core, ref, wishes));
  }
  containerKill(ref: string, signal: string, options?: ChangeOptions): Promise<Outcome<ContainerDetail>> {
    return this.#change('containerKill', options, (core, wishes) =>
      containers.containerKill(core, ref, signal, wishes),
    );
  }
  containerUpdate(
    ref: string,
    update: EndpointUpdate & { readonly network?: string },
    options?: ChangeOptions,
  ): Promise<Outcome<Endpoint>> {
    return this.#change('containerUpdate', options, (core, wishes) =>
      taking(core, () => updates.containerUpdate(core, ref, update, wishes)),
    );
  }
  containerWait(ref: string): Promise<number> {
    return containers.containerWait(this.#core, ref);
  }
  containerRemove(ref: string, options?: ChangeOptions & { readonly force?: boolean }): Promise<Outcome<Container>> {
    return this.#change('containerRemove', options, (core, wishes) => containers.containerRemove(core, ref, wishes));
  }
  containerExited(ref: string): Promise<void> {
    return containers.containerExited(this.#core, ref);
  }
  containerLogs(
    ref: string,
    options?: { readonly follow?: boolean; readonly tail?: number },
  ): AsyncIterable<Uint8Array> {
    return readLog(this.#core, ref, options ?? {});
  }

  endpointAttach(spec: AttachSpec, options?: ChangeOptions): Promise<Outcome<Endpoint>> {
    return this.#change('endpointAttach', options, (core, wishes) =>
      taking(core, () => endpoints.endpointAttach(core, spec, wishes)),
    );
  }
  endpointDetach(id: string, options?: DetachOptions): Promise<Outcome<Endpoint>> {
    return this.#change('endpointDetach', options, (core, wishes) => endpoints.endpointDetach(core, id, wishes));
  }
  endpointList(): Promise<readonly Endpoint[]> {
    return endpoints.endpointList(this.#core);
  }
  endpointInspect(ref: string): Promise<Endpoint> {
    return endpoints.endpointInspect(this.#core, ref);
  }
  endpointCheck(ref: string): Promise<EndpointCheck> {
    return endpointCheck(this.#core, ref);
  }
  endpointUpdate(id: string, update: EndpointUpdate, options?: ChangeOptions): Promise<Outcome<Endpoint>> {
    return this.#change('endpointUpdate', options, (core, wishes) =>
      taking(core, () => updates.endpointUpdate(core, id, update, wishes)),
    );
  }

  poolCreate(spec: PoolSpec): Promise<AddressPool> {
    return pools.poolCreate(this.#core, spec);
  }
  poolList(): Promise<readonly AddressPool[]> {
    return pools.poolList(this.#core);
  }
  poolInspect(ref: string): Promise<AddressPoolDetail> {
    return pools.poolInspect(this.#core, ref);
  }
  poolRemove(ref: string, options?: { readonly force?: boolean }): Promise<AddressPool> {
    return pools.poolRemove(this.#core, ref, options);
  }
  addressAllocate(spec: AllocateSpec): Promise<Allocation> {
    return pools.addressAllocate(this.#core, spec);
  }
  addressRelease(spec: ReleaseSpec): Promise<void> {
    return pools.addressRelease(this.#core, spec);
  }

  nodeJoin(
    spec: JoinSpec,
    options?: { readonly force?: boolean },
  ): Promise<{ readonly node: Node; readonly findings: readonly JoinFinding[] }> {
    return cluster.nodeJoin(this.#core, spec, options);
  }
  nodeCheck(nodes?: readonly string[]): Promise<readonly JoinFinding[]> {
    return cluster.nodeCheck(this.#core, nodes);
  }
  nodeList(): Promise<readonly Node[]> {
    return cluster.nodeList(this.#core);
  }
  nodeInspect(name: string): Promise<Node> {
    return cluster.nodeInspect(this.#core, name);
  }
  nodeDrain(name: string, options?: { readonly undo?: boolean }): Promise<Node> {
    return cluster.nodeDrain(this.#core, name, options);
  }
  nodeRemove(name: string, options?: { readonly force?: boolean }): Promise<Node> {
    return cluster.nodeRemove(this.#core, name, options);
  }
  nodeRotateKeys(networks?: readonly string[]): Promise<readonly NodeNetwork[]> {
    return cluster.nodeRotateKeys(this.#core, networks);
  }
  clusterStatus(): Promise<ClusterStatus> {
    return clusterStatus(this.#core);
  }

  rehearse(steps: readonly RehearsalStep[]): Promise<readonly (readonly PlanStep[])[]> {
    return rehearseSteps(this.#core, steps);
  }
  gc(options?: ChangeOptions): Promise<Outcome<GcReport>> {
    return collect(this.#core, options);
  }
  async doctor(options?: { readonly checks?: readonly string[] }): Promise<DoctorReport> {
    const { examine } = await import('./doctor.ts');
    return await examine(this.#core, options?.checks ?? []);
  }
  events(filter?: EventFilter, signal?: AbortSignal): AsyncIterable<EngineEvent> {
    return this.#core.events.subscribe(filter ?? {}, signal);
  }
  metrics(): Promise<string> {
    return exposition(this.#core);
  }

  /** A dry run is the same verb on a stage. */
  #change<O extends ChangeOptions, T>(
    name: string,
    options: O | undefined,
    verb: (core: Core, options: O | undefined) => Promise<T>,
  ): Promise<T> {
    if (options?.dryRun) return rehearse(this.#core, (core) => verb(core, { ...options, explain: true }));
    return this.#core.meter === NO_METER ? verb(this.#core, options) : this.#measure(name, verb(this.#core, options));
  }

  async #measure<T>(verb: string, work: Promise<T>): Promise<T> {
    const { meter } = this.#core;
    const began = performance.now();
    let result = 'ok';
    try {
      return await work;
    } catch (error) {
      result = error instanceof NetloomError ? error.code : 'EINTERNAL';
      throw error;
    } finally {
      meter.count('netloom_operations_total', { verb, result });
      meter.observe('netloom_operation_duration_seconds', { verb }, (performance.now() - began) / 1000);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#core.reaper.idle();
    await this.#core.behind.idle();
    await this.#stack.disposeAsync();
  }
}

/** What takes addresses of either kind, or ports: where something is yet to come, or yet to go, it is done again. */
function taking<T>(core: Core, body: () => Promise<T>): Promise<T> {
  return whileLingering(() => cluster.withParts(core, body));
}

/** Draws many bytes at a time: a call of the generator costs some twenty microseconds, however few it gives. */
function pooled(random: RandomSource, size = 4096): RandomSource {
  let pool: Uint8Array = new Uint8Array(0);
  return (count) => {
    if (count > pool.length) pool = random(Math.max(size, count));
    const drawn = pool.subarray(0, count);
    pool = pool.subarray(count);
    return drawn;
  };
}

/** The IPv6 pool of this installation: drawn once, kept with the networks. @see RFC 4193 */
async function ownUla(store: Store): Promise<Pool> {
  const key = 'meta/ula-seed';
  const known = await store.read((tx) => tx.get<string>(key));
  if (known !== undefined) return ulaPool(Buffer.from(known, 'hex'));
  const seed = await store.transact(async (tx) => {
    const drawn = (await tx.get<string>(key)) ?? randomBytes(5).toString('hex');
    await tx.put(key, drawn);
    return drawn;
  });
  return ulaPool(Buffer.from(seed, 'hex'));
}

/** The first that needs a privilege, and so the place to say what it takes. @throws NetloomError EPERM */
function openReaper(kernel: Kernel): Reaper {
  try {
    return new Reaper(kernel.host);
  } catch (error) {
    if (!hasCode(error, 'EPERM')) throw error;
    throw new NetloomError('EPERM', 'no privilege to manage network namespaces', {
      cause: error,
      hint: 'run it as root, or in a user namespace of your own: unshare -Urnm',
    });
  }
}

function requireLock(path: string): FileLock {
  const lock = FileLock.tryAcquire(path);
  if (!lock) throw new NetloomError('EBUSY', `${path} is locked by another process`);
  return lock;
}

function definedPaths(options: EngineOptions): Partial<Paths> {
  const keys = ['stateDir', 'runDir', 'netnsDir', 'etcNetnsDir'] as const;
  return Object.fromEntries(keys.flatMap((key) => (options[key] === undefined ? [] : [[key, options[key]]])));
}
