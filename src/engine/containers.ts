import { existsSync } from 'node:fs';
import { NetloomError } from '../errors.ts';
import {
  type ChangeOptions,
  type Container,
  type ContainerDetail,
  type ContainerSpec,
  newId,
  type Outcome,
  parseContainerSpec,
  randomName,
  type SpawnPlan,
} from '../model/index.ts';
import type { ReadTx } from '../store/index.ts';
import { change } from './change.ts';
import type { Core } from './core.ts';
import { workloadOfContainer } from './endpoints.ts';
import { refreshHosts } from './hosts.ts';
import { DEFAULT_NETWORK, ensureDefaultNetwork, withPlan } from './networks.ts';
import {
  execPlan,
  exitStatus,
  forgetRun,
  signalContainer,
  spawnPlan,
  startDetached,
  stateOf,
  stop,
} from './process.ts';
import { endpointsOf, findContainer, KEYS } from './records.ts';
import { bringUp, isUp, lenderOf, takeDown } from './sandbox.ts';

/** How long a stopping container's command has after SIGTERM, seconds. */
const STOP_TIMEOUT = 10;

export async function containerCreate(
  core: Core,
  spec: ContainerSpec,
  options?: ChangeOptions,
): Promise<Outcome<ContainerDetail>> {
  const id = newId(core.random);
  const parts = parseContainerSpec(spec, { id, name: randomName(core.random) });
  await core.store.read((tx) => requireFreeName(tx, parts.name)); // before the default network is made for it
  const wantsDefault = parts.networks.some((n) => n.network === DEFAULT_NETWORK);
  const first = wantsDefault ? await ensureDefaultNetwork(core, options) : undefined;
  // whoever finds it in the store meanwhile waits until it is whole
  return await core.turns.run(id, async () => {
    const outcome = await change(core, options, async (tx) => {
      await first?.plant?.(tx);
      await requireFreeName(tx, parts.name);
      await tx.create(KEYS.containerNames + parts.name, id);
      const container: Container = {
        ...parts,
        id,
        created: core.now().toISOString(),
        netns: '',
        phase: 'creating',
        owner: core.id,
      };
      return await bringUp(core, tx, container, false);
    });
    if (!options?.dryRun) await refreshHosts(core, networksOf(outcome.value));
    return withPlan(outcome, first);
  });
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

export async function containerStart(core: Core, ref: string): Promise<ContainerDetail> {
  return await exclusively(core, ref, async (id) => {
    const { container, lender } = await startable(core, id);
    try {
      await startDetached(core, container, lender);
    } catch (error) {
      // a command that cannot be run has ended
      await ended(core, container);
      throw error;
    }
    return await containerInspect(core, id);
  });
}

export async function containerSpawnPlan(core: Core, ref: string, foreground: boolean): Promise<SpawnPlan> {
  return await exclusively(core, ref, async (id) => {
    const { container, lender } = await startable(core, id);
    return spawnPlan(core, container, lender, foreground);
  });
}

export async function containerExecPlan(core: Core, ref: string, command: readonly string[]): Promise<SpawnPlan> {
  const { container, lender } = await core.store.read(async (tx) => {
    const container = await findContainer(tx, ref);
    // the one that lent its namespace may be gone since
    return { container, lender: await lenderOf(tx, container).catch(() => container) };
  });
  return execPlan(core, container, lender, command);
}

export async function containerStop(
  core: Core,
  ref: string,
  timeoutSeconds: number = STOP_TIMEOUT,
): Promise<ContainerDetail> {
  const container = await find(core, ref);
  await stop(core, container, timeoutSeconds);
  const state = stateOf(core.paths, container);
  await containerExited(core, container.id);
  // one that asked to be removed at its end is gone by now
  return await unlessGone(containerInspect(core, container.id), { ...container, state, endpoints: [] });
}

export async function containerKill(core: Core, ref: string, signal: string): Promise<void> {
  const container = await find(core, ref);
  if (!signalContainer(core, container, signal)) throw notRunning(container);
}

export async function containerWait(core: Core, ref: string): Promise<number> {
  return await exitStatus(core, await find(core, ref));
}

/** The command has ended: endpoints and namespace go; the record stays unless it asked to go, too. */
export async function containerExited(core: Core, ref: string): Promise<void> {
  await unlessGone(
    exclusively(core, ref, async (id) => {
      const container = await find(core, id);
      const { status } = stateOf(core.paths, container);
      // started again meanwhile, or about to be; what is removed at its end is never started twice
      if (status === 'running' || (status === 'created' && !container.autoRemove)) return;
      await ended(core, container);
    }),
    undefined,
  );
}

export async function containerRemove(
  core: Core,
  ref: string,
  options?: ChangeOptions & { readonly force?: boolean },
): Promise<Outcome<Container>> {
  const container = await find(core, ref);
  const remove = exclusively(core, container.id, async (id) => {
    const { status } = stateOf(core.paths, container);
    if (status === 'running' && !options?.force) {
      throw new NetloomError('ECONTAINERRUNNING', `container "${container.name}" is running`, {
        hint: 'stop it first, or use rm --force',
      });
    }
    // with the lock: nobody starts it again in between
    if (!options?.dryRun) await stop(core, container, 0);
    return await takeDown(core, await find(core, id), false, options);
  });
  // one that removes itself at its end may have been faster
  return options?.force ? await unlessGone(remove, { value: container }) : await remove;
}

/** Runs `body` with the container to itself, among all engines on the store. */
export async function exclusively<T>(core: Core, ref: string, body: (id: string) => Promise<T>): Promise<T> {
  const { id } = await find(core, ref);
  return await core.turns.run(id, () => body(id));
}

/** Makes sure that a container has what its command needs, and forgets its last run. */
async function startable(
  core: Core,
  id: string,
): Promise<{ readonly container: Container; readonly lender: Container }> {
  const { container, up } = await core.store.read(async (tx) => {
    const container = await findContainer(tx, id);
    return { container, up: await isUp(tx, container) };
  });
  if (stateOf(core.paths, container).status === 'running') {
    throw new NetloomError('ECONTAINERRUNNING', `container "${container.name}" is running already`);
  }
  const whole = up && container.mode.kind !== 'container' && (container.netns === '' || existsSync(container.netns));
  if (!whole) {
    // what there may be is half of it: left by an engine that died, or by somebody who took the namespace away
    if (up || container.phase !== 'ready') await takeDown(core, container, true);
    const { value } = await change(core, undefined, async (tx) => bringUp(core, tx, await findContainer(tx, id), true));
    await refreshHosts(core, networksOf(value));
  }
  forgetRun(core, container);
  return await core.store.read(async (tx) => {
    const container = await findContainer(tx, id);
    return { container, lender: await lenderOf(tx, container) };
  });
}

async function ended(core: Core, container: Container): Promise<void> {
  const up = await core.store.read((tx) => isUp(tx, container));
  if (container.autoRemove) await takeDown(core, container, false);
  else if (up || container.phase !== 'ready') await takeDown(core, container, true);
}

async function requireFreeName(tx: ReadTx, name: string): Promise<void> {
  if ((await tx.get(KEYS.containerNames + name)) === undefined) return;
  throw new NetloomError('ENAMETAKEN', `container "${name}" exists already`, { hint: `netloom rm ${name} removes it` });
}

async function detailOf(core: Core, tx: ReadTx, container: Container): Promise<ContainerDetail> {
  return {
    ...container,
    state: stateOf(core.paths, container),
    endpoints: await endpointsOf(tx, workloadOfContainer(container)),
  };
}

async function find(core: Core, ref: string): Promise<Container> {
  return await core.store.read((tx) => findContainer(tx, ref));
}

function networksOf({ endpoints }: ContainerDetail): string[] {
  return endpoints.map((e) => e.network);
}

function notRunning(container: Container): NetloomError {
  return new NetloomError('ECONTAINERNOTRUNNING', `container "${container.name}" is not running`, {
    hint: `netloom start ${container.name}`,
  });
}

async function unlessGone<T>(promise: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof NetloomError && error.code === 'ECONTAINERNOTFOUND') return otherwise;
    throw error;
  }
}
