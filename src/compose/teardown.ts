import type { ContainerDetail, EngineApi, RehearsalStep } from '../model/index.ts';
import { type Failure, type Journal, typedFailure } from './progress.ts';
import { LABEL } from './project.ts';

/** How long a command has after SIGTERM where nobody says otherwise, in seconds. */
const STOP_SECONDS = 10;

/**
 * Stops containers, those that depend on others first, independent ones together. Every one is tried.
 * What failed is returned.
 */
export async function stopAll(
  engine: EngineApi,
  containers: readonly ContainerDetail[],
  journal: Journal,
  timeoutSeconds?: number,
): Promise<Failure[]> {
  // also those that have ended by themselves: their endpoints may still be on their way out
  return inReverse(containers, (container) => stopOne(engine, container, journal, timeoutSeconds));
}

interface RemoveOptions {
  readonly explain?: boolean;
  readonly timeoutSeconds?: number;
}

/** As `stopAll`, and removes them. A dependency stays until what needs it is gone. */
export async function removeAll(
  engine: EngineApi,
  containers: readonly ContainerDetail[],
  journal: Journal,
  options: RemoveOptions & { readonly quiet?: boolean },
): Promise<Failure[]> {
  return inReverse(containers, async (container) => {
    await removeOne(engine, container, journal, options);
    if (options.quiet !== true) journal.done(`container ${container.name}`, 'removed');
  });
}

/** Stops and removes one container. */
export async function removeOne(
  engine: EngineApi,
  container: ContainerDetail,
  journal: Journal,
  options: RemoveOptions,
): Promise<void> {
  const object = `container ${container.name}`;
  const explain = options.explain === true;
  await stopOne(engine, container, journal, options.timeoutSeconds, explain);
  journal.report(object, 'removing');
  journal.steps((await engine.containerRemove(container.id, { force: true, explain })).plan);
}

/** The steps that stand for `removeOne` in a rehearsal. */
export function removal({ id, state }: ContainerDetail): RehearsalStep[] {
  const stop: RehearsalStep[] = state.status === 'running' ? [{ verb: 'containerStop', ref: id }] : [];
  return [...stop, { verb: 'containerRemove', ref: id, force: true }];
}

/** The order in which `removeAll` goes, where nothing takes time. */
export async function leavingOrder(containers: readonly ContainerDetail[]): Promise<ContainerDetail[]> {
  const order: ContainerDetail[] = [];
  await inReverse(containers, async (container) => void order.push(container));
  return order;
}

async function stopOne(
  engine: EngineApi,
  container: ContainerDetail,
  journal: Journal,
  timeoutSeconds: number | undefined,
  explain = false,
): Promise<void> {
  const { state } = await engine.containerInspect(container.id);
  if (state.status === 'running') journal.report(`container ${container.name}`, 'stopping');
  const own = container.labels[LABEL.stopSeconds];
  const outcome = await engine.containerStop(container.id, {
    timeoutSeconds: timeoutSeconds ?? (own === undefined ? STOP_SECONDS : Number(own)),
    explain,
  });
  journal.steps(outcome.plan);
}

/** Runs `work` on every container once all containers of services that depend on its service are through. */
async function inReverse(
  containers: readonly ContainerDetail[],
  work: (container: ContainerDetail) => Promise<void>,
): Promise<Failure[]> {
  const failures: Failure[] = [];
  const running = new Map<string, Promise<void>>();
  const services = Map.groupBy(containers, serviceOf);
  const dependants = (service: string): string[] =>
    [...services]
      .filter(([, own]) => own.some((container) => needs(container).includes(service)))
      .map(([name]) => name);
  const run = (service: string, trail: readonly string[]): Promise<void> => {
    // labels of different ages may form a circle: whoever is on the way already is not waited for
    const waits = dependants(service).filter((name) => name !== service && !trail.includes(name));
    const started = running.get(service);
    if (started !== undefined) return started;
    const first = waits.map((name) => run(name, [...trail, service]));
    const own = Promise.all(first).then(async () => {
      await Promise.all(
        services.get(service)!.map(async (container) => {
          try {
            await work(container);
          } catch (error) {
            failures.push({ object: `container ${container.name}`, error: typedFailure(error) });
          }
        }),
      );
    });
    running.set(service, own);
    return own;
  };
  await Promise.all([...services.keys()].map((service) => run(service, [])));
  return failures;
}

export function serviceOf(container: ContainerDetail): string {
  return container.labels[LABEL.service] ?? '';
}

/** `web-1` for shop-web-1; the whole name where the file gave one. */
export function shortName(container: ContainerDetail, project: string): string {
  const [service, number] = [container.labels[LABEL.service], container.labels[LABEL.number]];
  return container.name === `${project}-${service}-${number}` ? `${service}-${number}` : container.name;
}

/** The services that a container depends on, from the label that `up` wrote. */
function needs(container: ContainerDetail): string[] {
  const label = container.labels[LABEL.dependsOn] ?? '';
  return label === '' ? [] : label.split(',').map((item) => item.split(':')[0]!);
}
