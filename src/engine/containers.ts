import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { NetloomError } from '../errors.ts';
import { type Fact, factKey, type LinkFact, type NetnsFact } from '../facts/index.ts';
import { FileLock } from '../kernel/index.ts';
import {
  type ChangeOptions,
  type Container,
  type ContainerDetail,
  type ContainerSpec,
  type Endpoint,
  type EndpointSpec,
  newId,
  type Outcome,
  parseContainerSpec,
  parseEndpointSpec,
  randomName,
} from '../model/index.ts';
import type { ReadTx, Tx } from '../store/index.ts';
import { type Change, removalOf } from './apply.ts';
import { change, type Decision } from './change.ts';
import type { Core } from './core.ts';
import {
  type AttachPlan,
  factsOfEndpoint,
  forgetEndpoint,
  planAttach,
  planDetach,
  revertAttach,
  settleAttach,
  workloadOfContainer,
} from './endpoints.ts';
import { removeEtc, runDirOf, writeEtc } from './files.ts';
import { neighboursOf, refreshHosts } from './hosts.ts';
import { DEFAULT_NETWORK, ensureDefaultNetwork } from './networks.ts';
import { stateOf } from './process.ts';
import { endpointsOf, findContainer, findNetwork, KEYS } from './records.ts';

export async function containerCreate(core: Core, spec: ContainerSpec, options?: ChangeOptions): Promise<Outcome<ContainerDetail>> {
  const id = newId(core.random);
  const parts = parseContainerSpec(spec, { id, name: randomName(core.random) });
  if (parts.networks.some((n) => n.network === DEFAULT_NETWORK)) await ensureDefaultNetwork(core);
  const outcome = await change(core, options, async (tx) => {
    if ((await tx.get(KEYS.containerNames + parts.name)) !== undefined) {
      throw new NetloomError('ENAMETAKEN', `container "${parts.name}" exists already`, { hint: `netloom rm ${parts.name} removes it` });
    }
    const container: Container = {
      ...parts,
      id,
      created: core.now().toISOString(),
      netns: await namespaceFor(core, tx, parts),
      phase: 'creating',
      owner: core.id,
    };
    await tx.create(KEYS.containerNames + container.name, id);
    const decision = await bringUp(core, tx, container);
    return {
      ...decision,
      async revert(tx: Tx) {
        await decision.revert(tx);
        await forgetContainer(tx, container);
      },
      cleanup() {
        removeFiles(core, container);
      },
    };
  });
  if (!options?.dryRun) await refreshHosts(core, outcome.value);
  return outcome;
}

/** Makes namespace and endpoints of a stored container again, after its command has ended. */
export async function containerReady(core: Core, ref: string): Promise<ContainerDetail> {
  const container = await core.store.read((tx) => findContainer(tx, ref));
  if (container.netns === '' || container.mode.kind === 'container' || existsSync(container.netns)) return await containerInspect(core, container.id);
  const { value } = await change(core, undefined, async (tx) => {
    const now = requireIdle(core, await findContainer(tx, container.id));
    return await bringUp(core, tx, { ...now, phase: 'creating', owner: core.id });
  });
  await refreshHosts(core, value);
  return value;
}

export async function containerInspect(core: Core, ref: string): Promise<ContainerDetail> {
  return await core.store.read(async (tx) => detailOf(core, tx, await findContainer(tx, ref)));
}

export async function containerList(core: Core, all: boolean): Promise<readonly ContainerDetail[]> {
  return await core.store.read(async (tx) => {
    const details: ContainerDetail[] = [];
    for (const { value } of await tx.list<Container>(KEYS.containers)) {
      const detail = await detailOf(core, tx, value);
      if (all || detail.state.status === 'running') details.push(detail);
    }
    return details.sort((a, b) => b.created.localeCompare(a.created));
  });
}

/** The command has ended: endpoints and namespace go; the record stays unless it asked to go, too. */
export async function containerExited(core: Core, ref: string): Promise<void> {
  const container = await core.store.read(async (tx) => findContainer(tx, ref)).catch((error: unknown) => {
    if (error instanceof NetloomError && error.code === 'ECONTAINERNOTFOUND') return undefined; // removed meanwhile
    throw error;
  });
  if (!container || stateOf(core.paths, container).status === 'running') return;
  if (container.autoRemove) await containerRemove(core, container.id);
  else await takeDown(core, container, false);
}

export async function containerRemove(core: Core, ref: string, options?: ChangeOptions): Promise<Outcome<Container>> {
  const container = await core.store.read((tx) => findContainer(tx, ref));
  if (stateOf(core.paths, container).status === 'running') {
    throw new NetloomError('ECONTAINERRUNNING', `container "${container.name}" is running`, { hint: `stop it first, or use rm --force` });
  }
  return await takeDown(core, container, true, options);
}

export async function networkConnect(core: Core, ref: string, given: EndpointSpec, options?: ChangeOptions): Promise<Outcome<Endpoint>> {
  const spec = parseEndpointSpec(given);
  if (spec.network === DEFAULT_NETWORK) await ensureDefaultNetwork(core);
  const outcome = await change(core, options, async (tx): Promise<Decision<Endpoint>> => {
    const container = requireIdle(core, await findContainer(tx, ref));
    if (container.mode.kind !== 'networks') {
      throw new NetloomError('EBADMODE', `container "${container.name}" is in network mode ${container.mode.kind}: it cannot be connected to a network`);
    }
    const workload = workloadOfContainer(container);
    const plan = await planAttach(core, tx, workload, spec, []);
    await tx.put(KEYS.containers + container.id, { ...container, networks: [...container.networks, spec] });
    return {
      key: `endpoint/${plan.endpoint.id}`,
      value: plan.endpoint,
      changes: plan.changes,
      settle: (tx) => settleAttach(tx, plan, workload),
      async revert(tx) {
        await tx.put(KEYS.containers + container.id, container);
        await revertAttach(tx, plan, workload);
      },
    };
  });
  if (!options?.dryRun) await refreshHosts(core, await containerInspect(core, ref));
  return outcome;
}

export async function networkDisconnect(core: Core, ref: string, networkRef: string, options?: ChangeOptions): Promise<Outcome<Endpoint>> {
  const before = await containerInspect(core, ref);
  const outcome = await change(core, options, async (tx) => {
    const container = requireIdle(core, await findContainer(tx, ref));
    const network = await findNetwork(tx, networkRef);
    const workload = workloadOfContainer(container);
    const endpoint = (await endpointsOf(tx, workload)).find((e) => e.network === network.id);
    if (!endpoint) throw new NetloomError('ENOTCONNECTED', `container "${container.name}" is not connected to network "${network.name}"`);
    const decision = await planDetach(core, tx, endpoint, workload);
    return {
      ...decision,
      async settle(tx: Tx) {
        const now = await findContainer(tx, container.id);
        const networks = now.networks.filter((n) => n.network !== network.name && !network.id.startsWith(n.network));
        await tx.put(KEYS.containers + container.id, { ...now, networks });
        return await decision.settle(tx);
      },
    };
  });
  if (!options?.dryRun) await refreshHosts(core, before);
  return outcome;
}

/** Everything that a container wants of the kernel beside its endpoints. */
export function factsOfContainer(container: Container): readonly Fact[] {
  if (container.netns === '' || container.mode.kind === 'container') return [];
  const object = `container ${container.name}`;
  const netns: NetnsFact = { kind: 'netns', ns: '', object, path: container.netns };
  const lo: LinkFact = {
    kind: 'link',
    ns: container.netns,
    object,
    name: 'lo',
    origin: { type: 'there', by: '' },
    mac: '',
    mtu: 0,
    master: '',
    up: true,
    alias: '',
    addrGenMode: 'eui64',
  };
  return [netns, lo];
}

export async function forgetContainer(tx: Tx, container: Container): Promise<void> {
  await tx.delete(KEYS.containers + container.id);
  await tx.delete(KEYS.containerNames + container.name);
}

export function removeFiles(core: Core, container: Container): void {
  if (container.mode.kind !== 'container') removeEtc(core.paths, container);
  rmSync(runDirOf(core.paths, container), { recursive: true, force: true });
}

async function bringUp(core: Core, tx: Tx, container: Container): Promise<Decision<ContainerDetail>> {
  const workload = workloadOfContainer(container);
  await tx.put(KEYS.containers + container.id, container);
  const plans: AttachPlan[] = [];
  if (container.mode.kind === 'networks') {
    const target = await publishingNetwork(tx, container);
    for (const spec of container.networks) {
      plans.push(await planAttach(core, tx, workload, spec, spec === target ? container.ports : []));
    }
  }
  const neighbours = await neighboursOf(tx, container, plans.map((p) => p.endpoint));
  const endpoints = await endpointsOf(tx, workload);
  const own = factsOfContainer(container).map((fact): Change => ({ verb: 'add', fact }));
  // endpoints made together settle their default routes before any of them is there
  const attach = plans.flatMap((plan) => {
    const endpoint = endpoints.find((e) => e.id === plan.endpoint.id) ?? plan.endpoint;
    const shared = plan.changes.slice(0, plan.changes.length - factsOfEndpoint(plan.network, plan.endpoint, workload).length);
    return [...shared, ...factsOfEndpoint(plan.network, endpoint, workload).map((fact): Change => ({ verb: 'add', fact }))];
  });
  const ready: Container = { ...container, phase: 'ready', owner: '' };
  return {
    key: `container/${container.id}`,
    value: { ...ready, state: stateOf(core.paths, container), endpoints },
    changes: unique([...own, ...attach]),
    prepare() {
      mkdirSync(runDirOf(core.paths, container), { recursive: true, mode: 0o700 });
      if (container.mode.kind !== 'container') writeEtc(core.paths, container, endpoints, neighbours);
    },
    async settle(tx) {
      await tx.put(KEYS.containers + container.id, ready);
      const settled: Endpoint[] = [];
      for (const plan of plans) {
        const endpoint = endpoints.find((e) => e.id === plan.endpoint.id) ?? plan.endpoint;
        settled.push(await settleAttach(tx, { ...plan, endpoint }, workload));
      }
      return { ...ready, state: stateOf(core.paths, container), endpoints: settled };
    },
    async revert(tx) {
      for (const plan of plans.toReversed()) await revertAttach(tx, plan, workload);
      await tx.put(KEYS.containers + container.id, { ...container, phase: 'ready', owner: '' });
    },
  };
}

async function takeDown(core: Core, container: Container, forgetRecord: boolean, options?: ChangeOptions): Promise<Outcome<Container>> {
  const before = await containerInspect(core, container.id);
  const outcome = await change(core, options, async (tx): Promise<Decision<Container>> => {
    const now = requireIdle(core, await findContainer(tx, container.id));
    const removing: Container = { ...now, phase: 'removing', owner: core.id };
    await tx.put(KEYS.containers + container.id, removing);
    const workload = workloadOfContainer(now);
    const endpoints = await endpointsOf(tx, workload);
    const facts: Fact[] = [...factsOfContainer(now)];
    const networks = new Map<string, Awaited<ReturnType<typeof findNetwork>>>();
    for (const endpoint of endpoints) {
      const network = await findNetwork(tx, endpoint.network);
      networks.set(endpoint.id, network);
      facts.push(...factsOfEndpoint(network, endpoint, workload));
    }
    return {
      key: `container/${container.id}`,
      value: removing,
      changes: removalOf(facts),
      async settle(tx) {
        for (const endpoint of endpoints) await forgetEndpoint(tx, networks.get(endpoint.id), endpoint, workload);
        const rest: Container = { ...now, phase: 'ready', owner: '' };
        if (forgetRecord) {
          await forgetContainer(tx, now);
          removeFiles(core, now);
        } else {
          await tx.put(KEYS.containers + container.id, rest);
        }
        return rest;
      },
      revert: async (tx) => tx.put(KEYS.containers + container.id, { ...removing, owner: '' }),
    };
  });
  if (!options?.dryRun) await refreshHosts(core, before);
  return outcome;
}

/** The namespace that a container's command runs in. */
async function namespaceFor(core: Core, tx: ReadTx, parts: Pick<Container, 'name' | 'mode'>): Promise<string> {
  switch (parts.mode.kind) {
    case 'host':
      return '';
    case 'container': {
      const target = await findContainer(tx, parts.mode.container);
      if (target.netns === '' || existsSync(target.netns)) return target.netns;
      throw new NetloomError('ECONTAINERNOTRUNNING', `container "${target.name}" has no network namespace now`, { hint: `netloom start ${target.name} makes it again` });
    }
    default: {
      const path = join(core.paths.netnsDir, parts.name);
      if (!existsSync(path)) return path;
      throw new NetloomError('ENAMETAKEN', `a network namespace "${parts.name}" exists already, and is not netloom's`, {
        hint: 'choose another name; ip netns shows those there are',
      });
    }
  }
}

/** The network that a container's ports are published on: the first that the outside can reach. */
async function publishingNetwork(tx: ReadTx, container: Container): Promise<EndpointSpec | undefined> {
  for (const spec of container.networks) if (!(await findNetwork(tx, spec.network)).internal) return spec;
  return container.networks[0];
}

async function detailOf(core: Core, tx: ReadTx, container: Container): Promise<ContainerDetail> {
  return { ...container, state: stateOf(core.paths, container), endpoints: await endpointsOf(tx, workloadOfContainer(container)) };
}

/** @throws NetloomError ECONTAINERBUSY while another living engine is changing it. */
function requireIdle(core: Core, container: Container): Container {
  if (container.phase === 'ready' || container.owner === '' || container.owner === core.id) return container;
  if (!FileLock.isHeld(join(core.paths.runDir, 'engines', `${container.owner}.lock`))) return container;
  throw new NetloomError('ECONTAINERBUSY', `container "${container.name}" is being ${container.phase === 'creating' ? 'created' : 'removed'}`, {
    hint: 'try again in a moment',
  });
}

/** Two endpoints may both bring what their networks share. */
function unique(changes: readonly Change[]): Change[] {
  const seen = new Set<string>();
  return changes.filter(({ verb, fact }) => {
    const key = `${verb} ${factKey(fact)}`;
    return !seen.has(key) && seen.add(key);
  });
}

