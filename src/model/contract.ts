import type { ClusterStatus, JoinFinding, JoinSpec, Node, NodeNetwork } from './cluster.ts';
import type {
  AttachSpec,
  Container,
  ContainerSpec,
  ContainerState,
  Endpoint,
  EndpointSpec,
  EndpointUpdate,
} from './container.ts';
import type { DoctorReport } from './doctor.ts';
import type { EngineEvent, EventFilter } from './events.ts';
import type { Network, NetworkSpec, NetworkUpdate } from './network.ts';
import type { Peer } from './overlay.ts';
import type { AddressPool, AddressPoolDetail, AllocateSpec, Allocation, PoolSpec, ReleaseSpec } from './pool.ts';

/** Asked of every verb that changes something. */
export interface ChangeOptions {
  /** Plan only: nothing is stored, nothing is applied. Implies `explain`. */
  readonly dryRun?: boolean;
  /** Return the plan beside the result. */
  readonly explain?: boolean;
}

/** Asked when an endpoint is taken away. */
export interface DetachOptions extends ChangeOptions {
  /**
   * Do not wait for the kernel, which takes some 40 ms: answer once it is recorded that the endpoint goes. Until it has gone
   * it is there in the phase `removing`; whoever wants its name, addresses, ports or network next waits for that by himself.
   */
  readonly behind?: boolean;
}

/** One step of a plan: the fact, as the command it stands for, and the object that wants it. */
export interface PlanStep {
  /** `network web`, `endpoint eth0 of blog`, `netloom` for what every network shares. */
  readonly object: string;
  /** `link`, `address`, `nft-element` … */
  readonly kind: string;
  readonly verb: 'add' | 'change' | 'delete';
  /** Runs in a shell as it stands: `ip -n web addr add 172.18.0.2/16 dev eth0`. */
  readonly command: string;
}

/** What a change returned, with its plan where asked for. */
export interface Outcome<T> {
  readonly value: T;
  readonly plan?: readonly PlanStep[];
  /** What was done otherwise than whoever asked may think, a line each: a published port that the host's firewall refuses. */
  readonly warnings?: readonly string[];
}

export interface NetworkDetail extends Network {
  readonly endpoints: readonly Endpoint[];
  /** Of a network that hosts share: the others that have it, by name, as this one knows them; with etcd away, too. */
  readonly peers?: readonly NetworkPeer[];
}
/** Another host of a shared network. Of flannel's, `node` is what its lease is called: `10.244.1.0-24`. */
export type NetworkPeer = Pick<Peer, 'node' | 'addresses' | 'prefixes' | 'backend' | 'direct'>;
export interface ContainerDetail extends Container {
  readonly state: ContainerState;
  readonly endpoints: readonly Endpoint[];
}

/**
 * One step of a rehearsal: a verb of `EngineApi` that changes something, with its arguments. (This takes the place of any
 * `assume` option: a dry run of several steps, each of which sees what the ones before it would have made or removed.)
 */
export type RehearsalStep =
  | { readonly verb: 'networkCreate'; readonly spec: NetworkSpec }
  | { readonly verb: 'networkRemove'; readonly ref: string }
  | { readonly verb: 'containerCreate'; readonly spec: ContainerSpec }
  | { readonly verb: 'containerStart'; readonly ref: string }
  | { readonly verb: 'containerStop'; readonly ref: string }
  | { readonly verb: 'containerRemove'; readonly ref: string; readonly force?: boolean };

/** What a collection found and did. */
export interface GcReport {
  /** `endpoint eth0 of blog: its namespace is gone`: what was reclaimed, each with its reason. */
  readonly reclaimed: readonly string[];
  /** Kernel objects that were ours and that nobody wanted. */
  readonly removed: readonly string[];
  /** What was wanted, missing or wrong, and put right. */
  readonly repaired: readonly string[];
  /** What could not be put right, each with its reason. */
  readonly failed: readonly string[];
}

/** What a comparison of one endpoint with the kernel found. */
export interface EndpointCheck {
  /** Its namespace is not the one that it was attached to, or none: why. Nothing else is looked at then. */
  readonly gone?: string;
  /** What would put right what is missing or different: of the endpoint, its network, and the rule set. */
  readonly faults: readonly PlanStep[];
  /** The interface inside as it is: its hardware address, empty for none, and its MTU; 0 where it is not there. */
  readonly mac: string;
  readonly mtu: number;
}

/** How to start a container's command: what the caller passes to `spawn`. */
export interface SpawnPlan {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

export interface VersionInfo {
  readonly version: string;
  readonly apiVersion: string;
  readonly node: string;
  readonly kernel: string;
  /** `daemon` or `in-process`. */
  readonly mode: 'daemon' | 'in-process';
}

/**
 * Everything that can be asked of netloom, in one interface with two implementations: the engine itself, and the
 * client that reaches a daemon over its socket. Every door (CLI, Compose, later CNI and Docker) speaks to this.
 *
 * Names, ids and unique beginnings of ids are accepted wherever `ref` stands. Failures are `NetloomError`s with the
 * codes that docs/errors.md lists; the client raises the same class with the same code as the engine.
 */
export interface EngineApi extends AsyncDisposable {
  version(): Promise<VersionInfo>;

  networkCreate(spec: NetworkSpec, options?: ChangeOptions): Promise<Outcome<Network>>;
  /** By name; `bridge`, `host` and `none` are always there. */
  networkList(): Promise<readonly Network[]>;
  networkInspect(ref: string): Promise<NetworkDetail>;
  networkRemove(ref: string, options?: ChangeOptions): Promise<Outcome<Network>>;
  /** Removes every network that nothing uses; those removed. */
  networkPrune(options?: ChangeOptions): Promise<Outcome<readonly Network[]>>;
  /** Changes options in place. @throws NetloomError EIMMUTABLE for what only a new network can have */
  networkUpdate(ref: string, update: NetworkUpdate, options?: ChangeOptions): Promise<Outcome<Network>>;
  networkConnect(container: string, spec: EndpointSpec, options?: ChangeOptions): Promise<Outcome<Endpoint>>;
  networkDisconnect(container: string, network: string, options?: ChangeOptions): Promise<Outcome<Endpoint>>;

  /** Makes namespace, endpoints, ports and files; starts nothing. */
  containerCreate(spec: ContainerSpec, options?: ChangeOptions): Promise<Outcome<ContainerDetail>>;
  /** Starts the command in the background, its output going to the container's log. Makes endpoints again after an exit. */
  containerStart(ref: string, options?: ChangeOptions): Promise<Outcome<ContainerDetail>>;
  /** For a caller that runs the command on its own terminal, after `containerCreate`. */
  containerSpawnPlan(ref: string, options: { readonly foreground: boolean }): Promise<SpawnPlan>;
  containerExecPlan(ref: string, command: readonly string[]): Promise<SpawnPlan>;
  containerList(options?: { readonly all?: boolean }): Promise<readonly ContainerDetail[]>;
  containerInspect(ref: string): Promise<ContainerDetail>;
  /** SIGTERM, then SIGKILL after `timeoutSeconds` (default 10); resolves when it has ended and its endpoints are gone. */
  containerStop(
    ref: string,
    options?: ChangeOptions & { readonly timeoutSeconds?: number },
  ): Promise<Outcome<ContainerDetail>>;
  containerKill(ref: string, signal: string, options?: ChangeOptions): Promise<Outcome<ContainerDetail>>;
  /**
   * Publishes and unpublishes ports, or sets rates, while the command runs or before its next start. `network` says
   * which endpoint; default: for ports the one that has some or could, for rates the only one.
   */
  containerUpdate(
    ref: string,
    update: EndpointUpdate & { readonly network?: string },
    options?: ChangeOptions,
  ): Promise<Outcome<Endpoint>>;
  /** Resolves with the exit status when the command ends. */
  containerWait(ref: string): Promise<number>;
  /** `force` kills a running one first. */
  containerRemove(ref: string, options?: ChangeOptions & { readonly force?: boolean }): Promise<Outcome<Container>>;
  /** Called when the command has ended: takes the endpoints down, removes the record where `autoRemove` says so. */
  containerExited(ref: string): Promise<void>;
  /** Bytes of the log from `offset` on; ends at the end of the file, or with `follow` when the container has ended. */
  containerLogs(
    ref: string,
    options?: { readonly follow?: boolean; readonly tail?: number },
  ): AsyncIterable<Uint8Array>;

  endpointAttach(spec: AttachSpec, options?: ChangeOptions): Promise<Outcome<Endpoint>>;
  endpointDetach(id: string, options?: DetachOptions): Promise<Outcome<Endpoint>>;
  endpointList(): Promise<readonly Endpoint[]>;
  /** By its name, its id or a unique beginning of it. @throws NetloomError EENDPOINTNOTFOUND */
  endpointInspect(ref: string): Promise<Endpoint>;
  /** Compares an endpoint with the kernel, and changes nothing. @throws NetloomError EENDPOINTNOTFOUND */
  endpointCheck(ref: string): Promise<EndpointCheck>;
  /** The same for an endpoint of a bare namespace. */
  endpointUpdate(id: string, update: EndpointUpdate, options?: ChangeOptions): Promise<Outcome<Endpoint>>;

  /** Makes a pool of addresses, or finds the one of that name. @throws NetloomError ENAMETAKEN where that is another */
  poolCreate(spec: PoolSpec): Promise<AddressPool>;
  /** By name. */
  poolList(): Promise<readonly AddressPool[]>;
  poolInspect(ref: string): Promise<AddressPoolDetail>;
  /** @throws NetloomError EPOOLINUSE where addresses are given out, unless `force` */
  poolRemove(ref: string, options?: { readonly force?: boolean }): Promise<AddressPool>;
  /** An address for an owner, who has the same one until it is released. */
  addressAllocate(spec: AllocateSpec): Promise<Allocation>;
  /** What nobody has is given back already. */
  addressRelease(spec: ReleaseSpec): Promise<void>;

  /**
   * Makes this host a member of a cluster, for good: it is one again after each start. Joining again with the same words
   * changes nothing; with others it changes what they say. Findings that stop it throw and change nothing.
   * @throws NetloomError ENODAEMON, EBADETCD, EETCDAWAY, EETCDTLS, EETCDDENIED, ENODETAKEN, ENODEADDRESS, EVERSIONSKEW;
   *   ENODEUNFIT where a finding stops it, unless `force`
   */
  nodeJoin(
    spec: JoinSpec,
    options?: { readonly force?: boolean },
  ): Promise<{ readonly node: Node; readonly findings: readonly JoinFinding[] }>;
  /**
   * Looks again at what a join looks at, of these nodes, or of all that are heard of; changes nothing. Takes seconds where
   * packets get lost. @throws NetloomError ENOCLUSTER, EETCDAWAY, ENODENOTFOUND
   */
  nodeCheck(nodes?: readonly string[]): Promise<readonly JoinFinding[]>;
  /** By name. @throws NetloomError ENOCLUSTER, EETCDAWAY */
  nodeList(): Promise<readonly Node[]>;
  /** By name. @throws NetloomError ENOCLUSTER, ENODENOTFOUND */
  nodeInspect(name: string): Promise<Node>;
  /** It takes no new endpoints of shared networks; `undo`: it does again. Default name: this host's. */
  nodeDrain(name: string, options?: { readonly undo?: boolean }): Promise<Node>;
  /**
   * Takes a node out of the cluster, with all it had there: its prefixes may be another's from now on. This very host leaves.
   * @throws NetloomError ENODEINUSE where it has endpoints on shared networks, or is heard of, unless `force`
   */
  nodeRemove(name: string, options?: { readonly force?: boolean }): Promise<Node>;
  /**
   * This host begins to change its keys in these networks, or in all whose backend has some; resolves once the others are told.
   * @returns what it has of these networks @throws NetloomError ENOCLUSTER, EETCDAWAY, ENETWORKNOTFOUND, EBADBACKEND,
   *   ENETWORKBUSY
   */
  nodeRotateKeys(networks?: readonly string[]): Promise<readonly NodeNetwork[]>;
  /** Never throws for a cluster that is away. */
  clusterStatus(): Promise<ClusterStatus>;

  /**
   * Plans several steps, one upon the other, and does nothing: the plan of each, in order. The first that cannot be done
   * ends it with its error, whose message begins with `step 3 (containerCreate web): `.
   */
  rehearse(steps: readonly RehearsalStep[]): Promise<readonly (readonly PlanStep[])[]>;

  /** Reclaims what the dead left, removes what nobody wants, puts back what is missing; says what it did. */
  gc(options?: ChangeOptions): Promise<Outcome<GcReport>>;
  /** Looks at the host and at what netloom made on it; changes nothing. `checks`: these only. */
  doctor(options?: { readonly checks?: readonly string[] }): Promise<DoctorReport>;
  /** What happens from now on; ends with `signal` or with the engine. */
  events(filter?: EventFilter, signal?: AbortSignal): AsyncIterable<EngineEvent>;
  /** Prometheus' text format. @see https://prometheus.io/docs/instrumenting/exposition_formats/ */
  metrics(): Promise<string>;
}
