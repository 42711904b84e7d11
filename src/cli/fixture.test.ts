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
  NetworkPeer,
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
import { NetloomError } from '../errors.ts';
import { runCli } from './app.ts';
import type { Io } from './context.ts';

/** 2026-11-21T08:00:00Z, the fixture's "now". */
export const NOW: number = Date.UTC(2026, 10, 21, 8);
const hex = (letter: string): string => letter.repeat(64);

export const WEB: Network = {
  id: hex('a'),
  name: 'web',
  driver: 'bridge',
  created: '2026-11-21T07:00:00Z',
  internal: false,
  subnets: [
    {
      subnet: '172.20.0.0/16',
      gateway: '172.20.0.1',
      ipRange: '172.20.5.0/24',
      auxAddresses: { router: '172.20.0.9' },
    },
    { subnet: 'fd00:20::/64', gateway: 'fd00:20::1' },
  ],
  options: {
    driver: 'bridge',
    bridge: 'br-web',
    mtu: 1500,
    icc: true,
    masquerade: true,
    hairpin: false,
    hostBinding: '',
  },
  labels: { tier: 'front' },
  phase: 'ready',
  owner: '',
};
export const HOST: Network = {
  ...WEB,
  id: hex('b'),
  name: 'host',
  driver: 'host',
  subnets: [],
  options: { driver: 'host' },
  labels: {},
};

/** One that hosts share. */
export const SHARED: Network = {
  ...WEB,
  id: hex('9'),
  name: 'shared',
  driver: 'overlay',
  subnets: [{ subnet: '10.244.1.0/24', gateway: '10.244.1.1' }],
  labels: {},
  overlay: {
    plan: 'node',
    backend: 'wireguard',
    ranges: ['10.244.0.0/16', 'fd00:244::/56'],
    vni: 4097,
    port: 51820,
    directRouting: false,
    self: {
      node: 'a',
      addresses: ['192.0.2.1'],
      prefixes: ['10.244.1.0/24'],
      backend: 'wireguard',
      mac: '',
      direct: true,
      dev: 'eth0',
      mtu: 1500,
    },
  },
};

/** Who else has it. */
export const PEERS: readonly NetworkPeer[] = [
  { node: 'b', addresses: ['2001:db8::2'], prefixes: ['10.244.2.0/24'], backend: 'vxlan', direct: false },
];

export const ENDPOINT: Endpoint = {
  id: hex('e'),
  network: WEB.id,
  container: hex('c'),
  type: 'veth',
  netns: '/run/netns/blog',
  netnsId: '4:4026532345',
  ifname: 'eth0',
  hostIfname: 'veth0',
  mac: '02:42:ac:14:00:02',
  addresses: ['172.20.0.2/16', 'fd00:20::2/64'],
  gateways: ['172.20.0.1', 'fd00:20::1'],
  aliases: ['www'],
  gatewayPriority: 0,
  ports: [
    { protocol: 'tcp', hostAddress: '0.0.0.0', hostPort: 8888, containerPort: 80, count: 1 },
    { protocol: 'tcp', hostAddress: '::', hostPort: 8888, containerPort: 80, count: 1 },
    { protocol: 'udp', hostAddress: '127.0.0.1', hostPort: 5000, containerPort: 53, count: 2 },
  ],
  rates: { ingress: 0, egress: 0 },
  created: '2026-11-21T07:30:00Z',
  phase: 'ready',
  owner: '',
};

export const BLOG: ContainerDetail = {
  id: hex('c'),
  name: 'blog',
  created: '2026-11-21T07:30:00Z',
  netns: '/run/netns/blog',
  mode: { kind: 'networks' },
  hostname: 'blog',
  command: ['python3', '-m', 'http.server', '80'],
  env: { TZ: 'UTC' },
  workingDir: '/srv',
  dns: { servers: [], search: [], options: [] },
  extraHosts: [],
  labels: { a: 'b' },
  autoRemove: false,
  networks: [{ network: WEB.id }],
  ports: [{ protocol: 'tcp', hostPort: 8888, containerPort: 80, count: 1 }],
  phase: 'ready',
  owner: '',
  state: { status: 'running', pid: 4711, exitCode: 0, startedAt: '2026-11-21T07:55:00Z', finishedAt: '' },
  endpoints: [ENDPOINT],
};
export const JOB: ContainerDetail = {
  ...BLOG,
  id: hex('d'),
  name: 'job',
  created: '2026-11-21T05:00:00Z',
  mode: { kind: 'none' },
  command: ['sh', '-c', 'exit 3'],
  networks: [],
  ports: [],
  state: {
    status: 'exited',
    pid: 0,
    exitCode: 3,
    startedAt: '2026-11-21T05:00:00Z',
    finishedAt: '2026-11-21T06:00:00Z',
  },
  endpoints: [],
};

const PLAN: readonly PlanStep[] = [
  { object: 'network web', kind: 'link', verb: 'add', command: 'ip link add br-web type bridge' },
  { object: 'network web', kind: 'address', verb: 'add', command: 'ip addr add 172.20.0.1/16 dev br-web' },
  { object: 'endpoint eth0 of blog', kind: 'link', verb: 'add', command: 'ip link add veth0 type veth peer eth0' },
];

export const REPORT: DoctorReport = {
  time: '2026-11-21T08:00:00.000Z',
  kernel: '6.1.0',
  findings: [
    {
      check: 'kernel-features',
      status: 'ok',
      summary: 'everything is there',
      evidence: ['nf_tables'],
      cure: [],
      object: '',
    },
    {
      check: 'foreign-drops',
      status: 'failure',
      summary: 'a rule of Docker drops what is forwarded from and to network web: its containers reach nobody outside',
      evidence: ['table ip filter, chain FORWARD: policy drop', 'counter packets 12 bytes 720'],
      cure: ['iptables -I FORWARD -i br-web -j ACCEPT', 'Or set "ip-forward-no-drop": true in daemon.json.'],
      object: 'network web',
    },
    {
      check: 'clock',
      status: 'unknown',
      summary: 'no time server was asked',
      evidence: [],
      cure: [],
      object: '',
    },
  ],
};
export const GC: GcReport = {
  reclaimed: ['endpoint eth0 of blog: its namespace is gone'],
  removed: ['link nl0123456789'],
  repaired: [],
  failed: [],
};
export const EVENTS: readonly EngineEvent[] = [
  {
    time: '2026-11-21T08:00:00.123Z',
    type: 'network',
    action: 'create',
    id: hex('a'),
    name: 'web',
    attributes: { driver: 'bridge' },
  },
  {
    time: '2026-11-21T08:00:01.000Z',
    type: 'repair',
    action: 'repair',
    id: '',
    name: 'link br-web',
    attributes: { cause: 'link down', object: 'network web' },
  },
  {
    time: '2026-11-21T08:00:02.000Z',
    type: 'dns',
    action: 'query',
    id: '',
    name: 'db',
    attributes: { type: 'A', of: 'blog' },
  },
];

const POOL: AddressPool = {
  id: '5'.repeat(64),
  name: 'lab',
  created: '2026-11-21T08:00:00.000Z',
  subnet: '10.7.0.0/24',
  gateway: '10.7.0.1',
};

export const NODE: Node = {
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
/** Another of the same cluster, which is gone. */
export const DOWN: Node = {
  ...NODE,
  name: 'b',
  id: '8'.repeat(32),
  state: 'down',
  self: false,
  addresses: ['192.0.2.2'],
  reason: 'as asked',
  networks: [],
};
export const FINDINGS: readonly JoinFinding[] = [
  { check: 'reachable', severity: 'ok', text: 'all of 1 node answer' },
  { check: 'clock', severity: 'warn', text: "the clock is 3 s behind etcd's: set it by NTP" },
];

/** An engine that remembers what it was asked and answers from the records above. */
export class FixtureEngine implements EngineApi {
  readonly calls: [method: string, ...args: unknown[]][] = [];
  networks: Network[] = [WEB, HOST];
  nodes: Node[] = [NODE, DOWN];
  status: ClusterStatus = { node: 'a', etcd: ['http://192.0.2.10:2379'], state: 'connected', reason: '', faults: [] };
  containers: ContainerDetail[] = [BLOG, JOB];
  spawn: SpawnPlan = { file: '/bin/sh', args: ['-c', 'exit 7'], env: { PATH: '/usr/bin:/bin' }, cwd: '/' };
  logs: string[] = ['one\n', 'two\n'];
  report: DoctorReport = REPORT;
  garbage: GcReport = GC;
  mode: VersionInfo['mode'] = 'daemon';
  /** Told once all events are out: a person would press ^C. */
  onQuiet: () => void = () => undefined;
  closed = 0;

  #note(method: string, ...args: unknown[]): void {
    this.calls.push([method, ...args.filter((arg) => arg !== undefined)]);
  }
  #outcome<T>(value: T, options?: ChangeOptions): Outcome<T> {
    return options?.explain === true || options?.dryRun === true ? { value, plan: PLAN } : { value };
  }
  #container(ref: string): ContainerDetail {
    const found = this.containers.find((each) => each.name === ref || each.id.startsWith(ref));
    if (found === undefined)
      throw new NetloomError('ECONTAINERNOTFOUND', `no container "${ref}"`, { hint: 'netloom ps -a lists them.' });
    return found;
  }
  #network(ref: string): Network {
    const found = this.networks.find((each) => each.name === ref || each.id.startsWith(ref));
    if (found === undefined)
      throw new NetloomError('ENETWORKNOTFOUND', `no network "${ref}"`, { hint: 'netloom network ls lists them.' });
    return found;
  }

  async version(): Promise<VersionInfo> {
    return { version: '0.0.1', apiVersion: 'v1', node: '24', kernel: '6', mode: this.mode };
  }
  async networkCreate(spec: NetworkSpec, options?: ChangeOptions): Promise<Outcome<Network>> {
    this.#note('networkCreate', spec, options);
    return this.#outcome({ ...WEB, name: spec.name }, options);
  }
  async networkList(): Promise<readonly Network[]> {
    return this.networks;
  }
  async networkInspect(ref: string): Promise<NetworkDetail> {
    const network = this.#network(ref);
    return { ...network, endpoints: network.id === WEB.id ? [ENDPOINT] : [], ...(network.overlay && { peers: PEERS }) };
  }
  async networkRemove(ref: string, options?: ChangeOptions): Promise<Outcome<Network>> {
    this.#note('networkRemove', ref, options);
    return this.#outcome(this.#network(ref), options);
  }
  async networkPrune(options?: ChangeOptions): Promise<Outcome<readonly Network[]>> {
    this.#note('networkPrune', options);
    return this.#outcome([WEB], options);
  }
  async networkUpdate(ref: string, update: NetworkUpdate, options?: ChangeOptions): Promise<Outcome<Network>> {
    this.#note('networkUpdate', ref, update, options);
    return this.#outcome(this.#network(ref), options);
  }
  async networkConnect(container: string, spec: EndpointSpec, options?: ChangeOptions): Promise<Outcome<Endpoint>> {
    this.#note('networkConnect', container, spec, options);
    return this.#outcome(ENDPOINT, options);
  }
  async networkDisconnect(container: string, network: string, options?: ChangeOptions): Promise<Outcome<Endpoint>> {
    this.#note('networkDisconnect', container, network, options);
    return this.#outcome(ENDPOINT, options);
  }
  async containerCreate(spec: ContainerSpec, options?: ChangeOptions): Promise<Outcome<ContainerDetail>> {
    this.#note('containerCreate', spec, options);
    return this.#outcome(BLOG, options);
  }
  async containerStart(ref: string, options?: ChangeOptions): Promise<Outcome<ContainerDetail>> {
    this.#note('containerStart', ref, options);
    return this.#outcome(this.#container(ref), options);
  }
  async containerSpawnPlan(ref: string, options: { readonly foreground: boolean }): Promise<SpawnPlan> {
    this.#note('containerSpawnPlan', ref, options);
    return this.spawn;
  }
  async containerExecPlan(ref: string, command: readonly string[]): Promise<SpawnPlan> {
    this.#note('containerExecPlan', ref, command);
    this.#container(ref);
    return { ...this.spawn, file: command[0] ?? '', args: command.slice(1) };
  }
  async containerList(options?: { readonly all?: boolean }): Promise<readonly ContainerDetail[]> {
    return this.containers.filter((each) => options?.all === true || each.state.status === 'running');
  }
  async containerInspect(ref: string): Promise<ContainerDetail> {
    return this.#container(ref);
  }
  async containerStop(
    ref: string,
    options?: ChangeOptions & { readonly timeoutSeconds?: number },
  ): Promise<Outcome<ContainerDetail>> {
    this.#note('containerStop', ref, options);
    return this.#outcome(this.#container(ref), options);
  }
  async containerKill(ref: string, signal: string, options?: ChangeOptions): Promise<Outcome<ContainerDetail>> {
    this.#note('containerKill', ref, signal, options);
    return this.#outcome(this.#container(ref), options);
  }
  async containerUpdate(
    ref: string,
    update: EndpointUpdate & { readonly network?: string },
    options?: ChangeOptions,
  ): Promise<Outcome<Endpoint>> {
    this.#note('containerUpdate', ref, update, options);
    this.#container(ref);
    return this.#outcome(ENDPOINT, options);
  }
  async containerWait(ref: string): Promise<number> {
    return this.#container(ref).state.exitCode;
  }
  async containerRemove(
    ref: string,
    options?: ChangeOptions & { readonly force?: boolean },
  ): Promise<Outcome<Container>> {
    this.#note('containerRemove', ref, options);
    return this.#outcome(this.#container(ref), options);
  }
  async containerExited(ref: string): Promise<void> {
    this.#note('containerExited', ref);
  }
  async *containerLogs(
    ref: string,
    options?: { readonly follow?: boolean; readonly tail?: number },
  ): AsyncIterable<Uint8Array> {
    this.#note('containerLogs', ref, options);
    for (const line of this.logs) yield Buffer.from(line);
  }
  async endpointAttach(spec: AttachSpec, options?: ChangeOptions): Promise<Outcome<Endpoint>> {
    this.#note('endpointAttach', spec, options);
    return this.#outcome(ENDPOINT, options);
  }
  async endpointDetach(id: string, options?: ChangeOptions): Promise<Outcome<Endpoint>> {
    this.#note('endpointDetach', id, options);
    return this.#outcome(ENDPOINT, options);
  }
  async endpointList(): Promise<readonly Endpoint[]> {
    return [ENDPOINT];
  }
  async endpointInspect(): Promise<Endpoint> {
    return ENDPOINT;
  }
  async endpointCheck(): Promise<EndpointCheck> {
    return { faults: [], mac: '', mtu: 0 };
  }
  async endpointUpdate(id: string, update: EndpointUpdate, options?: ChangeOptions): Promise<Outcome<Endpoint>> {
    this.#note('endpointUpdate', id, update, options);
    return this.#outcome(ENDPOINT, options);
  }
  async poolCreate(spec: PoolSpec): Promise<AddressPool> {
    this.#note('poolCreate', spec);
    return POOL;
  }
  async poolList(): Promise<readonly AddressPool[]> {
    return [POOL];
  }
  async poolInspect(): Promise<AddressPoolDetail> {
    return { ...POOL, allocations: [{ address: '10.7.0.2/24', owner: 'cni:web:3f1c:eth0' }] };
  }
  async poolRemove(ref: string, options?: { readonly force?: boolean }): Promise<AddressPool> {
    this.#note('poolRemove', ref, options);
    return POOL;
  }
  async addressAllocate(spec: AllocateSpec): Promise<Allocation> {
    this.#note('addressAllocate', spec);
    return { address: '10.7.0.2/24', owner: spec.owner };
  }
  async addressRelease(spec: ReleaseSpec): Promise<void> {
    this.#note('addressRelease', spec);
  }
  async nodeJoin(
    spec: JoinSpec,
    options?: { readonly force?: boolean },
  ): Promise<{ readonly node: Node; readonly findings: readonly JoinFinding[] }> {
    this.#note('nodeJoin', spec, options);
    return { node: NODE, findings: FINDINGS };
  }
  async nodeCheck(nodes?: readonly string[]): Promise<readonly JoinFinding[]> {
    this.#note('nodeCheck', nodes);
    return FINDINGS;
  }
  async nodeList(): Promise<readonly Node[]> {
    return this.nodes;
  }
  async nodeInspect(name: string): Promise<Node> {
    const found = this.nodes.find((each) => each.name === name);
    if (found === undefined)
      throw new NetloomError('ENODENOTFOUND', `no node "${name}"`, { hint: 'netloom node ls lists them.' });
    return found;
  }
  async nodeDrain(name: string, options?: { readonly undo?: boolean }): Promise<Node> {
    this.#note('nodeDrain', name, options);
    return { ...(await this.nodeInspect(name)), state: options?.undo === true ? 'ready' : 'draining' };
  }
  async nodeRemove(name: string, options?: { readonly force?: boolean }): Promise<Node> {
    this.#note('nodeRemove', name, options);
    return await this.nodeInspect(name);
  }
  async nodeRotateKeys(networks?: readonly string[]): Promise<readonly NodeNetwork[]> {
    this.#note('nodeRotateKeys', networks);
    return this.nodes[0]?.networks ?? [];
  }
  async clusterStatus(): Promise<ClusterStatus> {
    return this.status;
  }
  async rehearse(steps: readonly RehearsalStep[]): Promise<readonly (readonly PlanStep[])[]> {
    this.#note('rehearse', steps);
    return steps.map(() => PLAN);
  }
  async gc(options?: ChangeOptions): Promise<Outcome<GcReport>> {
    this.#note('gc', options);
    return this.#outcome(this.garbage, options);
  }
  async doctor(options?: { readonly checks?: readonly string[] }): Promise<DoctorReport> {
    this.#note('doctor', options);
    const findings = this.report.findings.filter(
      ({ check }) => (options?.checks ?? []).length === 0 || options?.checks?.includes(check) === true,
    );
    return { ...this.report, findings };
  }
  async *events(filter?: EventFilter, signal?: AbortSignal): AsyncIterable<EngineEvent> {
    this.#note('events', filter);
    const wanted = filter?.types;
    yield* EVENTS.filter(({ type }) => (wanted === undefined ? type !== 'dns' : wanted.includes(type)));
    const aborted = Promise.withResolvers<void>();
    signal?.addEventListener('abort', () => aborted.resolve(), { once: true });
    this.onQuiet();
    await aborted.promise;
  }
  async metrics(): Promise<string> {
    return '# HELP netloom_endpoints Endpoints.\n# TYPE netloom_endpoints gauge\nnetloom_endpoints 1\n';
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.closed++;
  }
}

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly calls: FixtureEngine['calls'];
}

/** Runs a command line on the fixture, in this process. */
export async function ran(
  line: readonly string[],
  options?: { engine?: FixtureEngine; columns?: number; env?: Record<string, string> },
): Promise<Ran> {
  const engine = options?.engine ?? new FixtureEngine();
  let stdout = '';
  let stderr = '';
  const before = engine.closed;
  let opened = 0;
  const io: Io = {
    stdout: {
      write: (chunk) => (stdout += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString()),
      ...(options?.columns === undefined ? {} : { isTTY: true, columns: options.columns }),
    },
    stderr: { write: (chunk) => (stderr += String(chunk)) },
    stdinIsTTY: false,
    stdin: () => Promise.resolve(''),
    env: options?.env ?? {},
    program: '/usr/lib/netloom/main.js',
    now: () => NOW,
    open: async () => {
      opened++;
      return engine;
    },
  };
  const status = await runCli(line, io);
  const closed = engine.closed - before;
  if (closed !== opened) throw new Error(`the engine was opened ${opened} times and closed ${closed} times`);
  return { status, stdout, stderr, calls: engine.calls };
}
