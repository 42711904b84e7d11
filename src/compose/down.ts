import { hasCode } from '../errors.ts';
import type { ChangeOptions, ContainerDetail, EngineApi, Network, PlanStep } from '../model/index.ts';
import { loadNames, type ProjectSource } from './load.ts';
import { followLogs, type Output } from './logs.ts';
import {
  ComposeRunError,
  type Failure,
  Journal,
  type ObjectAction,
  type OnProgress,
  typedFailure,
} from './progress.ts';
import { LABEL } from './project.ts';
import { Rehearsal } from './rehearsal.ts';
import { leavingOrder, removal, removeAll, serviceOf, shortName } from './teardown.ts';

export interface DownOptions extends ProjectSource, ChangeOptions {
  /** Also the containers of services that the file has no longer. */
  readonly removeOrphans?: boolean;
  /** Seconds between SIGTERM and SIGKILL; default: the service's `stop_grace_period`, or 10. */
  readonly timeoutSeconds?: number;
  readonly onProgress?: OnProgress;
}

export interface DownResult {
  readonly project: string;
  readonly actions: readonly ObjectAction[];
  readonly plan?: readonly PlanStep[];
  readonly warnings: readonly string[];
}

/**
 * Takes a project down: its containers, dependants first, then the networks that `up` made. External networks stay.
 * Goes by labels, so that it works on whatever an older file has left, and with a project name alone where the file is
 * gone. Every step is tried. @throws ComposeRunError with all that failed.
 */
export async function composeDown(engine: EngineApi, options: DownOptions): Promise<DownResult> {
  const { name, services } = await findProject(options);
  const journal = new Journal(options.onProgress);
  const own = await containersOf(engine, name);
  const known = (container: ContainerDetail): boolean =>
    services === undefined || services.includes(serviceOf(container));
  const going = options.removeOrphans === true ? own : own.filter(known);
  const staying = own.filter((container) => !going.includes(container));
  if (staying.length > 0) {
    journal.warn(
      `${staying.map((container) => container.name).join(', ')} stay: the file has no such services; remove them with --remove-orphans`,
    );
  }
  const networks = await networksOf(engine, name, staying, journal);
  if (options.dryRun === true) await rehearse(engine, going, networks, journal);
  else await perform(engine, going, networks, journal, options);
  return {
    project: name,
    actions: journal.actions,
    warnings: journal.warnings,
    ...(options.dryRun === true || options.explain === true ? { plan: journal.plan } : {}),
  };
}

async function perform(
  engine: EngineApi,
  going: readonly ContainerDetail[],
  networks: readonly Network[],
  journal: Journal,
  { timeoutSeconds, explain = false }: DownOptions,
): Promise<void> {
  const limit = timeoutSeconds === undefined ? {} : { timeoutSeconds };
  const failures: Failure[] = [...(await removeAll(engine, going, journal, { explain, ...limit }))];
  // One after another: the engine's rule set goes with the last network, which of several at once none is.
  for (const network of networks) {
    const object = `network ${network.name}`;
    try {
      journal.report(object, 'removing');
      journal.steps((await engine.networkRemove(network.id, { explain })).plan);
      journal.done(object, 'removed');
    } catch (error) {
      failures.push({ object, error: typedFailure(error) });
    }
  }
  if (failures.length > 0) throw new ComposeRunError(failures, journal.actions, '');
}

async function rehearse(
  engine: EngineApi,
  going: readonly ContainerDetail[],
  networks: readonly Network[],
  journal: Journal,
): Promise<void> {
  const rehearsal = new Rehearsal();
  for (const container of await leavingOrder(going)) {
    const object = `container ${container.name}`;
    rehearsal.add({ object, place: '' }, ...removal(container));
    journal.done(object, 'removed');
  }
  for (const network of networks) {
    const object = `network ${network.name}`;
    rehearsal.add({ object, place: '' }, { verb: 'networkRemove', ref: network.id });
    journal.done(object, 'removed');
  }
  await rehearsal.run(engine, journal);
}

/** The containers of a project, in the order of service and number. */
export async function composePs(engine: EngineApi, source: ProjectSource): Promise<readonly ContainerDetail[]> {
  return containersOf(engine, (await findProject(source)).name);
}

/** Writes what the services have said; with `follow` goes on until all have ended. */
export async function composeLogs(
  engine: EngineApi,
  options: ProjectSource & {
    readonly services?: readonly string[];
    readonly follow?: boolean;
    readonly tail?: number;
    readonly stdout: Output;
    readonly colour?: boolean;
  },
): Promise<void> {
  const { name } = await findProject(options);
  const wanted = options.services ?? [];
  const containers = (await containersOf(engine, name)).filter(
    (container) => wanted.length === 0 || wanted.includes(serviceOf(container)),
  );
  const colour =
    options.colour ?? (options.stdout.isTTY === true && (options.environment ?? process.env)['NO_COLOR'] === undefined);
  const followed = containers.map((container) => ({
    ref: container.id,
    label: shortName(container, name),
    ...(options.tail === undefined ? {} : { tail: options.tail }),
  }));
  await followLogs(engine, followed, options.stdout, { follow: options.follow === true, colour });
}

/** By the file; without one, by the name alone. */
async function findProject(source: ProjectSource): Promise<{ name: string; services: readonly string[] | undefined }> {
  try {
    return await loadNames(source);
  } catch (error) {
    const { projectName } = source;
    if (projectName === undefined || source.files.length > 0 || !hasCode(error, 'ENOENT')) throw error;
    return { name: projectName, services: undefined };
  }
}

async function containersOf(engine: EngineApi, project: string): Promise<readonly ContainerDetail[]> {
  const all = await engine.containerList({ all: true });
  const number = (container: ContainerDetail): number => Number(container.labels[LABEL.number] ?? 0);
  return all
    .filter((container) => container.labels[LABEL.project] === project)
    .toSorted((a, b) => (serviceOf(a) < serviceOf(b) ? -1 : serviceOf(a) > serviceOf(b) ? 1 : number(a) - number(b)));
}

/** The project's networks that nothing which stays would miss. */
async function networksOf(
  engine: EngineApi,
  project: string,
  staying: readonly ContainerDetail[],
  journal: Journal,
): Promise<Network[]> {
  const own = (await engine.networkList()).filter((network) => network.labels[LABEL.project] === project);
  return own.filter((network) => {
    const user = staying.find((container) => container.endpoints.some((endpoint) => endpoint.network === network.id));
    if (user !== undefined) journal.warn(`network ${network.name} stays: ${user.name} uses it`);
    return user === undefined;
  });
}
