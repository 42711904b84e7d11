import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { NetloomError } from '../errors.ts';
import { DEFAULT_POOLS, type Pool, ulaPool } from '../ipam/index.ts';
import { FileLock, Netns } from '../kernel/index.ts';
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
import { newId } from '../model/index.ts';
import { openEmbeddedStore, type Store } from '../store/index.ts';
import { API_VERSION, VERSION } from '../version.ts';
import type { Change } from './apply.ts';
import * as containers from './containers.ts';
import type { Core } from './core.ts';
import * as endpoints from './endpoints.ts';
import { Kernel } from './kernel.ts';
import * as networks from './networks.ts';
import { DEFAULT_PATHS, type Paths } from './paths.ts';
import * as processes from './process.ts';
import { Reaper } from './reaper.ts';
import { endpointsOn, findContainer, findNetwork } from './records.ts';
import { needsRecovery, reconcile, recover, type Recovery } from './recover.ts';
import { KeyedMutex } from './mutex.ts';

export interface EngineOptions extends Partial<Paths> {
  /** The host namespace to manage; default: this process's own. The engine closes it. */
  readonly netns?: Netns;
  /** Where automatic subnets come from; default: private IPv4 space, and a ULA prefix drawn once. */
  readonly pools?: readonly Pool[];
  /** Run by the process shim when a container's command has ended, with the id added. Empty: nobody calls. */
  readonly exitCommand?: readonly string[];
  /** Compare the kernel with the store at the start, not only after a crash: what a daemon does. */
  readonly reconcile?: boolean;
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
  const kernel = stack.use(new Kernel(options.netns ?? Netns.current()));
  const reaper = stack.use(new Reaper(kernel.host));
  const id = newId(randomBytes).slice(0, 16);
  mkdirSync(join(paths.runDir, 'engines'), { recursive: true, mode: 0o700 });
  const lockPath = join(paths.runDir, 'engines', `${id}.lock`);
  const lock = stack.use(requireLock(lockPath));
  stack.defer(() => rmSync(lock.path, { force: true }));
  const core: Core = {
    id,
    store,
    kernel,
    reaper,
    paths,
    pools: options.pools ?? [...DEFAULT_POOLS, await ownUla(store)],
    now: () => new Date(),
    random: randomBytes,
    exitCommand: options.exitCommand ?? [],
    onFact: options.onFact,
  };
  let recovery: Recovery = { finished: [], repaired: [] };
  if (await needsRecovery(core)) recovery = await recover(core);
  else if (options.reconcile) recovery = { finished: [], repaired: await reconcile(core) };
  return new Engine(core, options.mode ?? 'in-process', recovery, stack.move());
}

/** @see EngineApi */
export class Engine implements EngineApi {
  readonly #core: Core;
  readonly #mode: VersionInfo['mode'];
  readonly #stack: AsyncDisposableStack;
  /** Changes of one container go one after another. */
  readonly #containers = new KeyedMutex();
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
    return networks.networkCreate(this.#core, spec, options);
  }
  networkList(): Promise<readonly Network[]> {
    return networks.networkList(this.#core);
  }
  async networkInspect(ref: string): Promise<NetworkDetail> {
    const builtIn = networks.BUILT_IN.find((n) => n.name === ref);
    if (builtIn) return { ...builtIn, endpoints: [] };
    return await this.#core.store.read(async (tx) => {
      const network = await findNetwork(tx, ref);
      return { ...network, endpoints: await endpointsOn(tx, network.id) };
    });
  }
  networkRemove(ref: string, options?: ChangeOptions): Promise<Outcome<Network>> {
    return networks.networkRemove(this.#core, ref, options);
  }
  networkPrune(options?: ChangeOptions): Promise<Outcome<readonly Network[]>> {
    return networks.networkPrune(this.#core, options);
  }
  networkConnect(container: string, spec: EndpointSpec, options?: ChangeOptions): Promise<Outcome<Endpoint>> {
    return this.#exclusively(container, (id) => containers.networkConnect(this.#core, id, spec, options));
  }
  networkDisconnect(container: string, network: string, options?: ChangeOptions): Promise<Outcome<Endpoint>> {
    return this.#exclusively(container, (id) => containers.networkDisconnect(this.#core, id, network, options));
  }

  containerCreate(spec: ContainerSpec, options?: ChangeOptions): Promise<Outcome<ContainerDetail>> {
    return containers.containerCreate(this.#core, spec, options);
  }
  containerStart(ref: string): Promise<ContainerDetail> {
    return this.#exclusively(ref, async (id) => {
      const container = await this.#startable(id);
      await processes.startDetached(this.#core, container);
      return await containers.containerInspect(this.#core, id);
    });
  }
  containerSpawnPlan(ref: string, options: { readonly foreground: boolean }): Promise<SpawnPlan> {
    return this.#exclusively(ref, async (id) => {
      const container = await this.#startable(id);
      processes.forgetRun(this.#core, container);
      return processes.spawnPlan(this.#core, container, options.foreground);
    });
  }
  async containerExecPlan(ref: string, command: readonly string[]): Promise<SpawnPlan> {
    return processes.execPlan(this.#core, await this.#find(ref), command);
  }
  containerList(options?: { readonly all?: boolean }): Promise<readonly ContainerDetail[]> {
    return containers.containerList(this.#core, options?.all === true);
  }
  containerInspect(ref: string): Promise<ContainerDetail> {
    return containers.containerInspect(this.#core, ref);
  }
  async containerStop(ref: string, options?: { readonly timeoutSeconds?: number }): Promise<ContainerDetail> {
    const container = await this.#find(ref);
    await processes.stop(this.#core, container, options?.timeoutSeconds ?? 10);
    await this.containerExited(container.id);
    // one that asked to be removed at its end is gone by now
    return await containers.containerInspect(this.#core, container.id).catch((error: unknown) => {
      if (!(error instanceof NetloomError && error.code === 'ECONTAINERNOTFOUND')) throw error;
      return { ...container, state: processes.stateOf(this.#core.paths, container), endpoints: [] };
    });
  }
  async containerKill(ref: string, signal: string): Promise<void> {
    const container = await this.#find(ref);
    if (processes.signalContainer(this.#core, container, signal)) return;
    throw new NetloomError('ECONTAINERNOTRUNNING', `container "${container.name}" is not running`);
  }
  async containerWait(ref: string): Promise<number> {
    const container = await this.#find(ref);
    return await processes.exitStatus(this.#core, container);
  }
  async containerRemove(ref: string, options?: ChangeOptions & { readonly force?: boolean }): Promise<Outcome<Container>> {
    if (options?.force && !options.dryRun) {
      const container = await this.#find(ref);
      await processes.stop(this.#core, container, 0);
    }
    return await this.#exclusively(ref, (id) => containers.containerRemove(this.#core, id, options));
  }
  async containerExited(ref: string): Promise<void> {
    try {
      await this.#exclusively(ref, (id) => containers.containerExited(this.#core, id));
    } catch (error) {
      if (!(error instanceof NetloomError && error.code === 'ECONTAINERNOTFOUND')) throw error; // removed meanwhile
    }
  }
  async *containerLogs(ref: string, options?: { readonly follow?: boolean; readonly tail?: number }): AsyncGenerator<Uint8Array> {
    yield* processes.readLog(this.#core, await this.#find(ref), options ?? {});
  }

  endpointAttach(spec: AttachSpec, options?: ChangeOptions): Promise<Outcome<Endpoint>> {
    return endpoints.endpointAttach(this.#core, spec, options);
  }
  endpointDetach(id: string, options?: ChangeOptions): Promise<Outcome<Endpoint>> {
    return endpoints.endpointDetach(this.#core, id, options);
  }
  endpointList(): Promise<readonly Endpoint[]> {
    return endpoints.endpointList(this.#core);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#core.reaper.idle();
    await this.#stack.disposeAsync();
  }

  async #find(ref: string): Promise<Container> {
    return await this.#core.store.read((tx) => findContainer(tx, ref));
  }
  async #exclusively<T>(ref: string, body: (id: string) => Promise<T>): Promise<T> {
    const { id } = await this.#find(ref);
    return await this.#containers.run(id, () => body(id));
  }
  async #startable(id: string): Promise<Container> {
    const { state, name } = await containers.containerInspect(this.#core, id);
    if (state.status === 'running') throw new NetloomError('ECONTAINERRUNNING', `container "${name}" is running already`);
    return await containers.containerReady(this.#core, id);
  }
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

function requireLock(path: string): FileLock {
  const lock = FileLock.tryAcquire(path);
  if (!lock) throw new NetloomError('EBUSY', `${path} is locked by another process`);
  return lock;
}

function definedPaths(options: EngineOptions): Partial<Paths> {
  const keys = ['stateDir', 'runDir', 'netnsDir', 'etcNetnsDir'] as const;
  return Object.fromEntries(keys.flatMap((key) => (options[key] === undefined ? [] : [[key, options[key]]])));
}
