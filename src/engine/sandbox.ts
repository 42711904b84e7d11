import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { NetloomError } from '../errors.ts';
import { driverOf } from '../drivers/index.ts';
import { type Fact, factKey, type LinkFact, type NetnsFact } from '../facts/index.ts';
import type {
  ChangeOptions,
  Container,
  ContainerDetail,
  Endpoint,
  EndpointSpec,
  Network,
  Outcome,
} from '../model/index.ts';
import type { ReadTx, Tx } from '../store/index.ts';
import { type Change, removalOf } from './apply.ts';
import { change, type Decision } from './change.ts';
import { forgetConnections, forgetStale } from './conntrack.ts';
import type { Core } from './core.ts';
import { acquisitionFor } from './dhcp-acquire.ts';
import type { NewEvent } from './events.ts';
import {
  type AttachPlan,
  endpointEvent,
  factsOfEndpoint,
  forgetEndpoint,
  planAttach,
  revertAttach,
  settleAttach,
  workloadOfContainer,
} from './endpoints.ts';
import { removeEtc, runDirOf, writeEtc } from './files.ts';
import { refreshHosts, surroundingsOf } from './hosts.ts';
import { memberKey } from './pods.ts';
import { stateOf } from './process.ts';
import { endpointsOf, findContainer, findNetwork, KEYS } from './records.ts';

/**
 * What of a container is in the kernel: its namespace and its endpoints. A container has one from its creation until
 * its command ends, and again from each start until the next end.
 */
interface Sandbox {
  /** False while it is being made or taken down. */
  readonly up: boolean;
  /** Where an engine dies meanwhile: the container itself stays, without its sandbox. */
  readonly keep: boolean;
}
const SANDBOXES = 'sandboxes/';

export async function isUp(tx: ReadTx, container: Container): Promise<boolean> {
  return (await tx.get<Sandbox>(SANDBOXES + container.id))?.up === true;
}

/** Everything that a container wants of the kernel beside its endpoints. */
export function factsOfContainer(container: Container): readonly Fact[] {
  if (!ownsNamespace(container)) return [];
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

/** Records a sandbox and says what must happen. @param keep where it fails, the container was there before and stays */
export async function bringUp(core: Core, tx: Tx, given: Container, keep: boolean): Promise<Decision<ContainerDetail>> {
  const container: Container = {
    ...given,
    netns: await namespaceFor(core, tx, given),
    phase: 'creating',
    owner: core.id,
  };
  const workload = workloadOfContainer(container);
  await tx.put(KEYS.containers + container.id, container);
  await tx.put(SANDBOXES + container.id, { up: false, keep } satisfies Sandbox);
  const plans: AttachPlan[] = [];
  if (container.mode.kind === 'networks') {
    const target = await publishingNetwork(tx, container);
    const ticking = { ...core, now: tickingClock(core) };
    for (const spec of container.networks) {
      plans.push(await planAttach(ticking, tx, workload, spec, spec === target ? container.ports : []));
    }
  }
  const around = await surroundingsOf(
    core,
    tx,
    container,
    plans.map((p) => p.endpoint),
  );
  const endpoints = await endpointsOf(tx, workload);
  const own = factsOfContainer(container).map((fact): Change => ({ verb: 'add', fact }));
  // endpoints made together settle their default routes before any of them is there
  const attach = plans.flatMap((plan) => {
    const endpoint = endpoints.find((e) => e.id === plan.endpoint.id) ?? plan.endpoint;
    const shared = plan.changes.slice(
      0,
      plan.changes.length - factsOfEndpoint(plan.network, plan.endpoint, workload).length,
    );
    return [
      ...shared,
      ...factsOfEndpoint(plan.network, endpoint, workload).map((fact): Change => ({ verb: 'add', fact })),
    ];
  });
  const ready: Container = { ...container, phase: 'ready', owner: '' };
  const later = acquisitionFor(core, plans, workload);
  return {
    key: `container/${container.id}`,
    value: { ...ready, state: stateOf(core.paths, container), endpoints },
    get tells() {
      return [
        ...(keep ? [] : [containerEvent('create', container)]),
        ...plans.map(({ endpoint, network }) =>
          endpointEvent('attach', later?.endpoint(endpoint) ?? endpoint, network, workload),
        ),
      ];
    },
    changes: unique([...own, ...attach]),
    warnings: await core.firewall.warnings(
      core,
      plans.flatMap(({ endpoint }) => endpoint.ports),
    ),
    later,
    prepare() {
      mkdirSync(runDirOf(core.paths, container), { recursive: true, mode: 0o700 });
      if (container.mode.kind !== 'container') writeEtc(core.paths, container, endpoints, around);
    },
    cleanup() {
      if (keep) removeEtcOf(core, container);
      else removeFiles(core, container);
    },
    async finish() {
      for (const { endpoint } of plans) await forgetStale(core, endpoint, endpoint.ports);
    },
    async settle(tx) {
      await tx.put(KEYS.containers + container.id, ready);
      await tx.put(SANDBOXES + container.id, { up: true, keep } satisfies Sandbox);
      const settled: Endpoint[] = [];
      for (const plan of plans) {
        const endpoint = endpoints.find((e) => e.id === plan.endpoint.id) ?? plan.endpoint;
        settled.push(await settleAttach(tx, { ...plan, endpoint }, later));
      }
      return { ...ready, state: stateOf(core.paths, container), endpoints: settled };
    },
    async revert(tx) {
      for (const plan of plans.toReversed()) await revertAttach(tx, plan, workload);
      await tx.delete(SANDBOXES + container.id);
      if (keep) await tx.put(KEYS.containers + container.id, { ...given, phase: 'ready', owner: '' });
      else await forgetContainer(tx, container);
    },
  };
}

/** Takes endpoints and namespace away; with `keep` the container stays, and can be started again. */
export async function takeDown(
  core: Core,
  container: Container,
  keep: boolean,
  options?: ChangeOptions,
): Promise<Outcome<Container>> {
  let networks: readonly string[] = [];
  const outcome = await change(core, options, async (tx): Promise<Decision<Container>> => {
    const now = await findContainer(tx, container.id);
    const removing: Container = { ...now, phase: 'removing', owner: core.id };
    await tx.put(KEYS.containers + container.id, removing);
    const left = await holdingsOf(tx, now);
    await tx.put(SANDBOXES + container.id, { up: false, keep } satisfies Sandbox);
    networks = left.networks;
    return {
      key: `container/${container.id}`,
      value: { ...now, phase: 'ready', owner: '' },
      tells: [...left.tells, ...(keep ? [] : [containerEvent('remove', container)])],
      changes: removalOf(left.facts),
      async settle(tx) {
        await left.release(tx, keep);
        return { ...now, phase: 'ready', owner: '' };
      },
      async finish() {
        if (keep) removeEtcOf(core, now);
        else removeFiles(core, now);
        await forgetConnections(core, left.endpoints);
      },
      revert: async (tx) => tx.put(KEYS.containers + container.id, { ...removing, owner: '' }),
    };
  });
  await refreshHosts(core, networks);
  return outcome;
}

/** What a dead engine may have left of a container that it was making or taking down, and how it goes. */
export async function leftOfContainer(core: Core, tx: ReadTx, container: Container): Promise<LeftOfContainer> {
  const { facts, release } = await holdingsOf(tx, container);
  const keep = (await tx.get<Sandbox>(SANDBOXES + container.id))?.keep === true;
  return {
    facts,
    forget: (tx) => release(tx, keep),
    tidy: () => (keep ? removeEtcOf(core, container) : removeFiles(core, container)),
  };
}
interface LeftOfContainer {
  readonly facts: readonly Fact[];
  forget(tx: Tx): Promise<void>;
  /** Removes files. */
  tidy(): void;
}

/** The container whose namespace, name and files a container uses: itself but in the mode `container:NAME`. */
export async function lenderOf(tx: ReadTx, container: Pick<Container, 'mode'>): Promise<Container> {
  let lender = container as Container;
  const seen = new Set<string>();
  while (lender.mode.kind === 'container') {
    lender = await findContainer(tx, lender.mode.container);
    if (seen.has(lender.id))
      throw new NetloomError('EBADMODE', `container "${lender.name}" would share the namespace with itself`);
    seen.add(lender.id);
  }
  return lender;
}

async function holdingsOf(tx: ReadTx, container: Container): Promise<Holdings> {
  const workload = workloadOfContainer(container);
  const held: { readonly endpoint: Endpoint; readonly network: Network | undefined }[] = [];
  for (const endpoint of await endpointsOf(tx, workload)) {
    held.push({ endpoint, network: await tx.get<Network>(KEYS.networks + endpoint.network) });
  }
  const attached = held.flatMap(({ endpoint, network }) =>
    network ? factsOfEndpoint(network, endpoint, workload) : [],
  );
  return {
    // a namespace of that name that is there without us is somebody else's
    facts: [
      ...((await tx.get(SANDBOXES + container.id)) === undefined ? [] : factsOfContainer(container)),
      ...attached,
    ],
    networks: held.map(({ endpoint }) => endpoint.network),
    endpoints: held.map(({ endpoint }) => endpoint),
    tells: held.map(({ endpoint, network }) => endpointEvent('detach', endpoint, network, workload)),
    async release(tx, keep) {
      for (const { endpoint, network } of held) await forgetEndpoint(tx, network, endpoint, workload);
      await tx.delete(SANDBOXES + container.id);
      if (keep) await tx.put(KEYS.containers + container.id, { ...container, phase: 'ready', owner: '' });
      else await forgetContainer(tx, container);
    },
  };
}
interface Holdings {
  readonly facts: readonly Fact[];
  /** Ids. */
  readonly networks: readonly string[];
  readonly endpoints: readonly Endpoint[];
  /** What its end is told as. */
  readonly tells: readonly NewEvent[];
  release(tx: Tx, keep: boolean): Promise<void>;
}

export function containerEvent(
  action: string,
  { id, name }: Container,
  attributes: Readonly<Record<string, string>> = {},
): NewEvent {
  return { type: 'container', action, id, name, attributes };
}

async function forgetContainer(tx: Tx, container: Container): Promise<void> {
  const member = memberKey(container);
  if (member !== undefined) await tx.delete(member);
  await tx.delete(KEYS.containers + container.id);
  await tx.delete(KEYS.containerNames + container.name);
}

function removeFiles(core: Core, container: Container): void {
  removeEtcOf(core, container);
  rmSync(runDirOf(core.paths, container), { recursive: true, force: true });
}

function removeEtcOf(core: Core, container: Container): void {
  if (container.mode.kind !== 'container') removeEtc(core.paths, container);
}

function ownsNamespace({ mode }: Pick<Container, 'mode'>): boolean {
  return mode.kind === 'networks' || mode.kind === 'none';
}

/** The namespace that a container's command is going to run in. @throws NetloomError ENAMETAKEN, ECONTAINERNOTRUNNING */
async function namespaceFor(core: Core, tx: ReadTx, container: Pick<Container, 'name' | 'mode'>): Promise<string> {
  const lender = await lenderOf(tx, container);
  if (lender.mode.kind === 'host') return '';
  if (lender !== container) {
    if ((await isUp(tx, lender)) && isThere(core, lender.netns)) return lender.netns;
    throw new NetloomError(
      'ECONTAINERNOTRUNNING',
      `${lender.pod ? 'pod' : 'container'} "${lender.name}" has no network namespace now, for "${container.name}" to share`,
      {
        hint: `netloom ${lender.pod ? 'pod ' : ''}start ${lender.name} makes it again`,
      },
    );
  }
  const path = join(core.paths.netnsDir, container.name);
  if (!isThere(core, path)) return path;
  throw new NetloomError('ENAMETAKEN', `a network namespace "${container.name}" exists already, and is not netloom's`, {
    hint: 'choose another name; ip netns shows those there are',
  });
}

/** Whether there is a namespace of that name, or in a rehearsal would be. */
export function isThere(core: Core, path: string): boolean {
  const foreseen = core.stage?.foresees({ kind: 'netns', ns: '', object: '', path });
  return foreseen === undefined ? existsSync(path) : foreseen === 'there';
}

/** The network that a container's ports are published on: the first that the outside can reach. */
async function publishingNetwork(tx: ReadTx, container: Container): Promise<EndpointSpec | undefined> {
  for (const spec of container.networks) {
    const network = await findNetwork(tx, spec.network);
    if (driverOf(network).whyNotPublished(network) === '') return spec;
  }
  return container.networks[0];
}

/** A moment of its own for each endpoint made together: their order decides about the default route. */
function tickingClock(core: Core): () => Date {
  let last = 0;
  return () => new Date((last = Math.max(last + 1, core.now().getTime())));
}

/** Two endpoints may both bring what their networks share. */
function unique(changes: readonly Change[]): Change[] {
  const seen = new Set<string>();
  return changes.filter(({ verb, fact }) => {
    const key = `${verb} ${factKey(fact)}`;
    return !seen.has(key) && seen.add(key);
  });
}
