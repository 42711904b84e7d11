import { NetloomError } from '../errors.ts';
import { quote, runIn } from '../facts/index.ts';
import {
  type ChangeOptions,
  type Container,
  type ContainerDetail,
  type ContainerSpec,
  newId,
  type Outcome,
  parseContainerSpec,
  type PlanStep,
  randomName,
  type SpawnPlan,
} from '../model/index.ts';
import type { ReadTx } from '../store/index.ts';
import { change } from './change.ts';
import type { Core } from './core.ts';
import { workloadOfContainer } from './endpoints.ts';
import { growCrowded } from './growth.ts';
import { refreshHosts } from './hosts.ts';
import { DEFAULT_NETWORK, ensureDefaultNetwork, withPlan } from './networks.ts';
import {
  execPlan,
  exitStatus,
  forgetRun,
  signalContainer,
  signalNumber,
  spawnPlan,
  startDetached,
  stateOf,
  stop,
} from './process.ts';
import { endpointsOf, findContainer, KEYS } from './records.ts';
import { joined, memberKey, membersOf, requireCommand } from './pods.ts';
import { bringUp, containerEvent, isThere, isUp, lenderOf, takeDown } from './sandbox.ts';

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
  await core.firewall.prepare(core, parts.ports);
  const wantsDefault = parts.networks.some((n) => n.network === DEFAULT_NETWORK);
  const first = wantsDefault ? await ensureDefaultNetwork(core, options) : [];
  // whoever finds it in the store meanwhile waits until it is whole
  return await core.turns.run(id, async () => {
    const outcome = await change(core, options, async (tx) => {
      await requireFreeName(tx, parts.name);
      await tx.create(KEYS.containerNames + parts.name, id);
      const container: Container = {
        ...(await joined(tx, parts)),
        id,
        created: core.now().toISOString(),
        netns: '',
        phase: 'creating',
        owner: core.id,
      };
      const member = memberKey(container);
      if (member !== undefined) await tx.put(member, 1);
      return await bringUp(core, tx, container, false);
    });
    await refreshHosts(core, [...networksOf(outcome.value), ...(await networksOfPod(core, outcome.value))]);
    await growCrowded(core, networksOf(outcome.value));
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

export async function containerStart(
  core: Core,
  ref: string,
  options?: ChangeOptions,
): Promise<Outcome<ContainerDetail>> {
  return await exclusively(core, ref, async (id) => {
    const { container, lender, plan, warnings } = await startable(core, id, options);
    if (container.pod)
      return { value: await containerInspect(core, id), ...(options?.explain ? { plan } : {}), ...warnings };
    if (!core.stage) {
      try {
        await startDetached(core, container, lender);
      } catch (error) {
        // a command that cannot be run has ended
        await ended(core, container);
        throw error;
      }
    }
    if (!core.stage) core.events.publish(containerEvent('start', container));
    const steps = [...plan, startStep(container)];
    return { value: await containerInspect(core, id), ...(options?.explain ? { plan: steps } : {}), ...warnings };
  });
}

export async function containerSpawnPlan(core: Core, ref: string, foreground: boolean): Promise<SpawnPlan> {
  return await exclusively(core, ref, async (id) => {
    requireCommand(await find(core, id));
    const { container, lender } = await startable(core, id);
    return spawnPlan(core, container, lender, foreground);
  });
}

export async function containerExecPlan(core: Core, ref: string, command: readonly string[]): Promise<SpawnPlan> {
  const { container, lender } = await core.store.read(async (tx) => {
    const container = await findContainer(tx, ref);
    requireCommand(container);
    // the one that lent its namespace may be gone since
    return { container, lender: await lenderOf(tx, container).catch(() => container) };
  });
  return execPlan(core, container, lender, command);
}

export async function containerStop(
  core: Core,
  ref: string,
  options?: ChangeOptions & { readonly timeoutSeconds?: number },
): Promise<Outcome<ContainerDetail>> {
  const { container, members } = await findWithMembers(core, ref);
  const stopped = await Promise.all(members.map(({ id }) => containerStop(core, id, options)));
  if (container.pod) return await podStop(core, container, stopped, options);
  const signals = signalSteps(core, container, 'SIGTERM');
  if (!core.stage) await stop(core, container, options?.timeoutSeconds ?? STOP_TIMEOUT);
  const state = stateOf(core.paths, container);
  const plan = await endedOnce(core, container.id, options);
  // one that asked to be removed at its end is gone by now
  const value = await unlessGone(containerInspect(core, container.id), { ...container, state, endpoints: [] });
  return { value, ...(options?.explain ? { plan: [...signals, ...plan] } : {}) };
}

/** Its containers have ended: its interfaces and its namespace go, until it is started again. */
async function podStop(
  core: Core,
  pod: Container,
  stopped: readonly Outcome<ContainerDetail>[],
  options?: ChangeOptions,
): Promise<Outcome<ContainerDetail>> {
  const plan = stopped.flatMap((each) => each.plan ?? []);
  plan.push(...(await exclusively(core, pod.id, (id) => find(core, id).then((now) => ended(core, now, options)))));
  return { value: await containerInspect(core, pod.id), ...(options?.explain ? { plan } : {}) };
}

export async function containerKill(
  core: Core,
  ref: string,
  signal: string,
  options?: ChangeOptions,
): Promise<Outcome<ContainerDetail>> {
  const container = await find(core, ref);
  requireCommand(container);
  const plan = signalSteps(core, container, signal);
  if (plan.length === 0 || (!core.stage && !signalContainer(core, container, signal))) throw notRunning(container);
  // its end, where the signal brings it, is noticed by whoever watches it
  const gone: ContainerDetail = { ...container, state: stateOf(core.paths, container), endpoints: [] };
  const value = await unlessGone(containerInspect(core, container.id), gone);
  return { value, ...(options?.explain ? { plan } : {}) };
}

export async function containerWait(core: Core, ref: string): Promise<number> {
  const container = await find(core, ref);
  requireCommand(container);
  return await exitStatus(core, container);
}

/** The command has ended: endpoints and namespace go; the record stays unless it asked to go, too. */
export async function containerExited(core: Core, ref: string): Promise<void> {
  await endedOnce(core, ref);
}

async function endedOnce(core: Core, ref: string, options?: ChangeOptions): Promise<readonly PlanStep[]> {
  return await unlessGone(
    exclusively(core, ref, async (id) => {
      const container = await find(core, id);
      const { status, exitCode } = stateOf(core.paths, container);
      // started again meanwhile, or about to be; what is removed at its end is never started twice
      if (!core.stage && (status === 'running' || (status === 'created' && !container.autoRemove))) return [];
      const died = containerEvent('die', container, { exitCode: String(exitCode) });
      if (!core.stage && (status === 'exited' || status === 'dead')) core.events.publish(died);
      return await ended(core, container, options);
    }),
    [],
  );
}

export async function containerRemove(
  core: Core,
  ref: string,
  options?: ChangeOptions & { readonly force?: boolean },
): Promise<Outcome<Container>> {
  const { container, members } = await findWithMembers(core, ref);
  const [first] = members;
  if (first && !options?.force) {
    throw new NetloomError(
      'EPODINUSE',
      `pod "${container.name}" has containers: ${first.name}${members.length > 1 ? ', …' : ''}`,
      {
        hint: 'remove them first, or use --force',
      },
    );
  }
  const before = await Promise.all(
    members.map(({ id, ...rest }) => unlessGone(containerRemove(core, id, options), { value: { id, ...rest } })),
  );
  const remove = exclusively(core, container.id, async (id) => {
    const { status } = stateOf(core.paths, container);
    if (status === 'running' && !options?.force) {
      throw new NetloomError('ECONTAINERRUNNING', `container "${container.name}" is running`, {
        hint: 'stop it first, or use rm --force',
      });
    }
    const signals = signalSteps(core, container, 'SIGKILL');
    // with the lock: nobody starts it again in between
    if (!core.stage) await stop(core, container, 0);
    const plan = [...before.flatMap((each) => each.plan ?? []), ...signals];
    return withPlan(await takeDown(core, await find(core, id), false, options), plan);
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
async function startable(core: Core, id: string, options?: ChangeOptions): Promise<Startable> {
  const { container, up } = await core.store.read(async (tx) => {
    const container = await findContainer(tx, id);
    return { container, up: await isUp(tx, container) };
  });
  if (stateOf(core.paths, container).status === 'running') {
    throw new NetloomError('ECONTAINERRUNNING', `container "${container.name}" is running already`);
  }
  const whole = up && container.mode.kind !== 'container' && (container.netns === '' || isThere(core, container.netns));
  const plan: PlanStep[] = [];
  let warnings: Pick<Outcome<unknown>, 'warnings'> = {};
  if (!whole) {
    await core.firewall.prepare(core, container.ports);
    // what there may be is half of it: left by an engine that died, or by somebody who took the namespace away
    if (up || container.phase !== 'ready') plan.push(...((await takeDown(core, container, true, options)).plan ?? []));
    const outcome = await change(core, options, async (tx) => bringUp(core, tx, await findContainer(tx, id), true));
    plan.push(...(outcome.plan ?? []));
    if (outcome.warnings) warnings = { warnings: outcome.warnings };
    await refreshHosts(core, networksOf(outcome.value));
    await growCrowded(core, networksOf(outcome.value));
  }
  if (!core.stage) forgetRun(core, container);
  return await core.store.read(async (tx) => {
    const container = await findContainer(tx, id);
    return { container, lender: await lenderOf(tx, container), plan, warnings };
  });
}
interface Startable {
  readonly container: Container;
  readonly lender: Container;
  /** What was missing, where a plan was asked for. */
  readonly plan: readonly PlanStep[];
  readonly warnings: Pick<Outcome<unknown>, 'warnings'>;
}

async function ended(core: Core, container: Container, options?: ChangeOptions): Promise<readonly PlanStep[]> {
  const up = await core.store.read((tx) => isUp(tx, container));
  if (!container.autoRemove && !up && container.phase === 'ready') return [];
  return (await takeDown(core, container, !container.autoRemove, options)).plan ?? [];
}

/** The command itself, as a step of an explanation. */
function startStep(container: Container): PlanStep {
  const command = runIn(container.netns, container.command.map(quote).join(' '));
  return { object: `container ${container.name}`, kind: 'process', verb: 'add', command };
}

/** The signal to a command; none where it does not run. @throws NetloomError EBADSIGNAL */
function signalSteps(core: Core, container: Container, signal: string): PlanStep[] {
  const number = signalNumber(signal);
  const { status, pid } = stateOf(core.paths, container);
  if (status !== 'running') return [];
  const command = `kill -${number} ${pid}`;
  return [{ object: `container ${container.name}`, kind: 'process', verb: 'delete', command }];
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

/** A container, and those that were made to run in it where it is a pod. */
async function findWithMembers(
  core: Core,
  ref: string,
): Promise<{ readonly container: Container; readonly members: readonly Container[] }> {
  return await core.store.read(async (tx) => {
    const container = await findContainer(tx, ref);
    return { container, members: await membersOf(tx, container) };
  });
}

function networksOf({ endpoints }: ContainerDetail): string[] {
  return endpoints.map((e) => e.network);
}

/** Those whose workloads know a pod's containers by name. */
async function networksOfPod(core: Core, { mode }: Container): Promise<string[]> {
  if (mode.kind !== 'container') return [];
  return await core.store.read(async (tx) => {
    const pod = await findContainer(tx, mode.container);
    return pod.pod ? (await endpointsOf(tx, workloadOfContainer(pod))).map((e) => e.network) : [];
  });
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
