import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NetloomError } from '../errors.ts';
import type {
  ChangeOptions,
  ContainerDetail,
  ContainerSpec,
  ContainerState,
  Endpoint,
  EndpointCheck,
  EngineApi,
  Network,
  NetworkSpec,
  Outcome,
  PlanStep,
  RehearsalStep,
} from '../model/index.ts';

/**
 * The engine's contract without a kernel: records, states and the rules that Compose relies on (unique names, networks
 * in use, endpoints that live as long as the command). Every call that changes something is written to `calls`.
 */
export class MemoryEngine implements EngineApi {
  readonly calls: string[] = [];
  /** As `calls`, of rehearsals, which leave nothing else behind. */
  readonly rehearsed: string[] = [];
  readonly networks: Network[] = [];
  readonly containers: ContainerDetail[] = [];
  /** Commands that end by themselves, with this status, as soon as they are started. */
  readonly endsWith: Map<string, number> = new Map();
  /** Names whose start or creation fails, with the code. */
  readonly fails: Map<string, string> = new Map();
  /** What each command says. */
  readonly output: Map<string, string> = new Map();
  #next = 1;
  #waiting = new Map<string, PromiseWithResolvers<number>>();

  version: () => Promise<never> = absent;

  async networkCreate(spec: NetworkSpec, options?: ChangeOptions): Promise<Outcome<Network>> {
    this.#failIfTold(spec.name);
    if (this.networks.some((network) => network.name === spec.name))
      throw new NetloomError('ENAMETAKEN', `network ${spec.name} is there`);
    const network: Network = {
      id: this.#id(),
      name: spec.name,
      driver: 'bridge',
      created: '',
      internal: spec.internal ?? false,
      subnets: [],
      options: { driver: 'none' },
      labels: spec.labels ?? {},
      phase: 'ready',
      owner: '',
    };
    return this.#change(options, `network create ${spec.name}`, network, () => void this.networks.push(network));
  }
  async networkList(): Promise<readonly Network[]> {
    return this.networks;
  }
  async networkInspect(ref: string): Promise<Network & { endpoints: readonly Endpoint[] }> {
    const network = this.#network(ref);
    return { ...network, endpoints: (await this.endpointList()).filter((endpoint) => endpoint.network === network.id) };
  }
  async networkRemove(ref: string, options?: ChangeOptions): Promise<Outcome<Network>> {
    const network = this.#network(ref);
    if ((await this.endpointList()).some((endpoint) => endpoint.network === network.id)) {
      throw new NetloomError('ENETWORKINUSE', `network ${network.name} has endpoints`);
    }
    return this.#change(
      options,
      `network rm ${network.name}`,
      network,
      () => void this.networks.splice(this.networks.indexOf(network), 1),
    );
  }
  networkPrune: () => Promise<never> = absent;
  networkConnect: () => Promise<never> = absent;
  networkDisconnect: () => Promise<never> = absent;
  containerSpawnPlan: () => Promise<never> = absent;
  containerExecPlan: () => Promise<never> = absent;
  containerKill: () => Promise<never> = absent;
  containerExited: () => Promise<never> = absent;
  endpointAttach: () => Promise<never> = absent;
  endpointDetach: () => Promise<never> = absent;
  networkUpdate: () => Promise<never> = absent;
  containerUpdate: () => Promise<never> = absent;
  endpointUpdate: () => Promise<never> = absent;
  poolCreate: () => Promise<never> = absent;
  poolList: () => Promise<never> = absent;
  poolInspect: () => Promise<never> = absent;
  poolRemove: () => Promise<never> = absent;
  addressAllocate: () => Promise<never> = absent;
  addressRelease: () => Promise<never> = absent;
  nodeJoin: () => Promise<never> = absent;
  nodeCheck: () => Promise<never> = absent;
  nodeList: () => Promise<never> = absent;
  nodeInspect: () => Promise<never> = absent;
  nodeDrain: () => Promise<never> = absent;
  nodeRemove: () => Promise<never> = absent;
  nodeRotateKeys: () => Promise<never> = absent;
  clusterStatus: () => Promise<never> = absent;
  gc: () => Promise<never> = absent;
  doctor: () => Promise<never> = absent;
  metrics: () => Promise<never> = absent;
  events(): never {
    throw new Error('not part of this fixture');
  }

  /** Does the steps and puts everything back. */
  async rehearse(steps: readonly RehearsalStep[]): Promise<readonly (readonly PlanStep[])[]> {
    const before = { calls: [...this.calls], networks: [...this.networks], containers: [...this.containers] };
    const waiting = new Map(this.#waiting);
    this.calls.length = 0;
    const plans: (readonly PlanStep[])[] = [];
    try {
      for (const [index, step] of steps.entries()) {
        try {
          plans.push((await this.#perform(step)).plan ?? []);
        } catch (error) {
          const { code, message } = error as NetloomError;
          const what = 'spec' in step ? step.spec.name : step.ref;
          throw new NetloomError(code, `step ${index + 1} (${step.verb} ${what}): ${message}`);
        }
      }
    } finally {
      this.rehearsed.push(...this.calls);
      this.#waiting = waiting;
      for (const key of ['calls', 'networks', 'containers'] as const)
        this[key].splice(0, this[key].length, ...(before[key] as never[]));
    }
    return plans;
  }
  #perform(step: RehearsalStep): Promise<Outcome<unknown>> {
    const options = { explain: true };
    switch (step.verb) {
      case 'networkCreate':
        return this.networkCreate(step.spec, options);
      case 'networkRemove':
        return this.networkRemove(step.ref, options);
      case 'containerCreate':
        return this.containerCreate(step.spec, options);
      case 'containerStart':
        return this.containerStart(step.ref, options);
      case 'containerStop':
        return this.containerStop(step.ref, options);
      case 'containerRemove':
        return this.containerRemove(step.ref, { ...options, force: step.force === true });
    }
  }

  async containerCreate(spec: ContainerSpec, options?: ChangeOptions): Promise<Outcome<ContainerDetail>> {
    // as with the kernel, others get their turn in between
    await new Promise((resolve) => setImmediate(resolve));
    const name = spec.name ?? '';
    this.#failIfTold(name);
    if (this.containers.some((container) => container.name === name))
      throw new NetloomError('ENAMETAKEN', `container ${name} is there`);
    for (const { network } of spec.networks ?? []) this.#network(network);
    if (spec.networkMode?.startsWith('container:') === true)
      this.#container(spec.networkMode.slice('container:'.length));
    const container: ContainerDetail = {
      id: this.#id(),
      name,
      created: '',
      netns: `/run/netns/${name}`,
      mode: { kind: 'networks' },
      hostname: spec.hostname ?? '',
      command: spec.command,
      env: spec.env ?? {},
      workingDir: spec.workingDir ?? '',
      dns: { servers: [], search: [], options: [] },
      extraHosts: [],
      labels: spec.labels ?? {},
      autoRemove: false,
      networks: spec.networks ?? [],
      ports: spec.ports ?? [],
      phase: 'ready',
      owner: '',
      state: { status: 'created', pid: 0, exitCode: 0, startedAt: '', finishedAt: '' },
      endpoints: [],
    };
    const made = this.#withEndpoints(container);
    return this.#change(options, `create ${name}`, made, () => void this.containers.push(made));
  }
  async containerStart(ref: string, options?: ChangeOptions): Promise<Outcome<ContainerDetail>> {
    await new Promise((resolve) => setImmediate(resolve));
    const container = this.#container(ref);
    this.#failIfTold(`start ${container.name}`);
    this.calls.push(`start ${container.name}`);
    this.#waiting.set(container.id, Promise.withResolvers());
    this.#replace(container, this.#withEndpoints(this.#inState(container, 'running', 0)));
    const status = this.endsWith.get(container.name);
    if (status !== undefined) this.end(container.name, status);
    return this.#explained(options, `start ${container.name}`, this.#container(ref));
  }
  async containerList(): Promise<readonly ContainerDetail[]> {
    return [...this.containers];
  }
  async containerInspect(ref: string): Promise<ContainerDetail> {
    return this.#container(ref);
  }
  async containerStop(
    ref: string,
    options?: ChangeOptions & { readonly timeoutSeconds?: number },
  ): Promise<Outcome<ContainerDetail>> {
    const container = this.#container(ref);
    if (container.state.status !== 'running') return { value: container };
    this.calls.push(`stop ${container.name} ${options?.timeoutSeconds ?? ''}`.trim());
    this.end(ref, 143);
    return this.#explained(options, `stop ${container.name}`, this.#container(ref));
  }
  async containerWait(ref: string): Promise<number> {
    const { id, state } = this.#container(ref);
    return state.status === 'running' ? this.#waiting.get(id)!.promise : state.exitCode;
  }
  async containerRemove(
    ref: string,
    options?: ChangeOptions & { readonly force?: boolean },
  ): Promise<Outcome<ContainerDetail>> {
    const container = this.#container(ref);
    if (container.state.status === 'running' && options?.force !== true)
      throw new NetloomError('ECONTAINERRUNNING', container.name);
    return this.#change(
      options,
      `rm ${container.name}`,
      container,
      () => void this.containers.splice(this.containers.indexOf(container), 1),
    );
  }
  async *containerLogs(
    ref: string,
    options?: { readonly follow?: boolean; readonly tail?: number },
  ): AsyncGenerator<Uint8Array> {
    const { name, id } = this.#container(ref);
    if (options?.tail !== 0) yield new TextEncoder().encode(this.output.get(name) ?? '');
    if (options?.follow === true) await this.containerWait(id);
  }
  async endpointList(): Promise<readonly Endpoint[]> {
    return this.containers.flatMap((container) => container.endpoints);
  }
  async endpointInspect(ref: string): Promise<Endpoint> {
    const found = (await this.endpointList()).find(({ id, name }) => id === ref || name === ref);
    if (!found) throw new NetloomError('EENDPOINTNOTFOUND', `no endpoint "${ref}"`);
    return found;
  }
  async endpointCheck(): Promise<EndpointCheck> {
    return { faults: [], mac: '', mtu: 0 };
  }
  async [Symbol.asyncDispose](): Promise<void> {}

  /** The command of a container ends by itself. */
  end(ref: string, exitCode: number): void {
    const container = this.#container(ref);
    this.#replace(container, { ...this.#inState(container, 'exited', exitCode), endpoints: [] });
    this.#waiting.get(container.id)?.resolve(exitCode);
  }
  statuses(): Record<string, ContainerState['status']> {
    return Object.fromEntries(this.containers.map((container) => [container.name, container.state.status]));
  }

  #explained<T>(options: ChangeOptions | undefined, call: string, value: T): Outcome<T> {
    if (options?.explain !== true) return { value };
    return { value, plan: [{ object: call, kind: 'link', verb: 'add', command: call }] };
  }
  #change<T>(options: ChangeOptions | undefined, call: string, value: T, act: () => void): Outcome<T> {
    const plan = [{ object: call, kind: 'link', verb: 'add' as const, command: call }];
    if (options?.dryRun === true) return { value, plan };
    this.calls.push(call);
    act();
    return options?.explain === true ? { value, plan } : { value };
  }
  #withEndpoints(container: ContainerDetail): ContainerDetail {
    const endpoints = container.networks.map((spec): Endpoint => {
      const network = this.#network(spec.network).id;
      const base = {
        id: this.#id(),
        network,
        container: container.id,
        type: 'veth' as const,
        netns: container.netns,
        netnsId: '',
        ifname: 'eth0',
        hostIfname: '',
        mac: '',
      };
      return {
        ...base,
        addresses: spec.addresses ?? [],
        gateways: [],
        aliases: spec.aliases ?? [],
        gatewayPriority: 0,
        ports: [],
        rates: { ingress: 0, egress: 0 },
        created: '',
        phase: 'ready',
        owner: '',
      };
    });
    return { ...container, endpoints };
  }
  #inState(container: ContainerDetail, status: ContainerState['status'], exitCode: number): ContainerDetail {
    return { ...container, state: { ...container.state, status, exitCode } };
  }
  #replace(old: ContainerDetail, now: ContainerDetail): void {
    this.containers[this.containers.indexOf(old)] = now;
  }
  #network(ref: string): Network {
    const found = this.networks.find((network) => network.name === ref || network.id === ref);
    if (found === undefined) throw new NetloomError('ENETWORKNOTFOUND', `there is no network ${ref}`);
    return found;
  }
  #container(ref: string): ContainerDetail {
    const found = this.containers.find((container) => container.name === ref || container.id === ref);
    if (found === undefined) throw new NetloomError('ECONTAINERNOTFOUND', `there is no container ${ref}`);
    return found;
  }
  #failIfTold(name: string): void {
    const code = this.fails.get(name);
    if (code !== undefined) throw new NetloomError(code, `${name} was told to fail`);
  }
  #id(): string {
    return String(this.#next++).padStart(64, '0');
  }
}

/** Verbs that Compose has no use for. */
async function absent(): Promise<never> {
  throw new Error('not part of this fixture');
}

test('the fixture keeps the rules that Compose relies on', async () => {
  const engine = new MemoryEngine();
  await engine.networkCreate({ name: 'front' });
  await assert.rejects(engine.networkCreate({ name: 'front' }), { code: 'ENAMETAKEN' });
  await engine.containerCreate({ name: 'web', command: ['x'], networks: [{ network: 'front' }] });
  await assert.rejects(engine.networkRemove('front'), { code: 'ENETWORKINUSE' });
  await engine.containerStart('web');
  engine.end('web', 3);
  assert.equal(await engine.containerWait('web'), 3);
  await engine.networkRemove('front');
  await assert.rejects(engine.containerStart('web'), { code: 'ENETWORKNOTFOUND' });
});
