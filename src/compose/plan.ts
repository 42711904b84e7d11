import type { ContainerDetail, Endpoint, Network } from '../model/index.ts';
import { ComposeError, type Position, type Problem } from './errors.ts';
import { type DesiredContainer, type DesiredNetwork, type DesiredService, LABEL, type Project } from './project.ts';

/** What the engine has, as far as a project can care. */
export interface Observed {
  readonly networks: readonly Network[];
  readonly containers: readonly ContainerDetail[];
  readonly endpoints: readonly Endpoint[];
}

/** What `up` will do, found out before anything is done. */
export interface UpPlan {
  readonly networks: readonly PlannedNetwork[];
  /** Dependencies first. */
  readonly services: readonly PlannedService[];
  /** Containers that are too many: of a service that shrank, or orphans where asked for. */
  readonly remove: readonly ContainerDetail[];
  /** Containers of services that the file has no longer; left alone. */
  readonly orphans: readonly ContainerDetail[];
}
export interface PlannedNetwork {
  readonly desired: DesiredNetwork;
  readonly action: 'create' | 'recreate' | 'keep';
  readonly existing?: Network;
}
export interface PlannedService {
  readonly desired: DesiredService;
  readonly containers: readonly PlannedContainer[];
}
export interface PlannedContainer {
  readonly desired: DesiredContainer;
  readonly action: 'create' | 'recreate' | 'start' | 'keep';
  readonly existing?: ContainerDetail;
  /** The old one must go before networks are touched and other containers start. */
  readonly early: boolean;
}

/** True when `up` would change nothing. */
export function isEmptyPlan(plan: UpPlan): boolean {
  return (
    plan.remove.length === 0 &&
    plan.networks.every((network) => network.action === 'keep') &&
    plan.services.every((service) => service.containers.every((container) => container.action === 'keep'))
  );
}

/**
 * Compares a project with what is there. Pure.
 * @throws ComposeError for what `up` must not do: take over a network or a container of somebody else, re-create a
 * network under containers that are not its own, join an external network that does not exist.
 */
export function planUp(project: Project, observed: Observed, options?: { readonly removeOrphans?: boolean }): UpPlan {
  const problems: Problem[] = [];
  const networks = project.networks.map((desired) => planNetwork(project, desired, observed, problems));
  const recreated = new Set(
    networks.filter((network) => network.action === 'recreate').map((network) => network.desired.name),
  );

  const services: PlannedService[] = [];
  const completed = new Set(
    project.services.flatMap((service) =>
      service.dependsOn.filter((edge) => edge.condition === 'completed').map((edge) => edge.service),
    ),
  );
  const changed = new Set<string>();
  for (const desired of project.services) {
    const anew = desired.dependsOn.some((edge) => edge.restart && changed.has(edge.service));
    const containers = desired.containers.map((container) =>
      planContainer(
        project,
        desired,
        container,
        observed,
        { recreated, anew, oneShot: completed.has(desired.name) },
        problems,
      ),
    );
    if (containers.some((container) => container.action !== 'keep')) changed.add(desired.name);
    services.push({ desired, containers });
  }

  const own = observed.containers.filter((container) => container.labels[LABEL.project] === project.name);
  const names = new Set(project.services.flatMap((service) => service.containers.map((container) => container.name)));
  const running = new Set(project.services.map((service) => service.name));
  const serviceOf = (container: ContainerDetail): string => container.labels[LABEL.service] ?? '';
  const surplus = own.filter((container) => running.has(serviceOf(container)) && !names.has(container.name));
  const orphans = own.filter((container) => !project.known.includes(serviceOf(container)));
  const remove = options?.removeOrphans === true ? [...surplus, ...orphans] : surplus;
  checkUsers(networks, services, remove, observed, problems);
  if (problems.length > 0) throw new ComposeError(problems);
  return { networks, services, remove, orphans: options?.removeOrphans === true ? [] : orphans };
}

function planNetwork(
  project: Project,
  desired: DesiredNetwork,
  observed: Observed,
  problems: Problem[],
): PlannedNetwork {
  const existing = observed.networks.find((network) => network.name === desired.name);
  if (desired.spec === undefined) {
    if (existing === undefined) {
      problems.push(
        problem(
          desired.at,
          `the external network ${desired.name} does not exist`,
          `create it: netloom network create ${desired.name}`,
        ),
      );
    }
    return { desired, action: 'keep', ...(existing === undefined ? {} : { existing }) };
  }
  if (existing === undefined) return { desired, action: 'create' };
  if (existing.labels[LABEL.project] !== project.name) {
    const owner = existing.labels[LABEL.project];
    const message = `the network ${desired.name} exists and belongs to ${owner === undefined ? 'no project' : `project ${owner}`}`;
    problems.push(problem(desired.at, message, 'write external: true to join it, or name this one differently'));
  }
  return { desired, action: existing.labels[LABEL.hash] === desired.hash ? 'keep' : 'recreate', existing };
}

function planContainer(
  project: Project,
  service: DesiredService,
  desired: DesiredContainer,
  observed: Observed,
  context: { readonly recreated: ReadonlySet<string>; readonly anew: boolean; readonly oneShot: boolean },
  problems: Problem[],
): PlannedContainer {
  const existing = observed.containers.find((container) => container.name === desired.name);
  if (existing === undefined) return { desired, action: 'create', early: false };
  if (existing.labels[LABEL.project] !== project.name) {
    problems.push(
      problem(
        service.at,
        `a container ${desired.name} exists that is not of this project`,
        'remove it, or choose another name',
      ),
    );
  }
  // Namespaces and networks go under the feet of those that use them: such containers leave first.
  const early = context.anew || usesNetwork(desired, existing, context.recreated);
  if (early || existing.labels[LABEL.hash] !== desired.hash) return { desired, action: 'recreate', existing, early };
  const { status, exitCode } = existing.state;
  const done = status === 'running' || (context.oneShot && status === 'exited' && exitCode === 0);
  return { desired, action: done ? 'keep' : 'start', existing, early: false };
}

/** By what it should join, and by what the old one had joined. */
function usesNetwork(desired: DesiredContainer, existing: ContainerDetail, names: ReadonlySet<string>): boolean {
  return [...(desired.spec.networks ?? []), ...existing.networks].some((endpoint) => names.has(endpoint.network));
}

/** A network can be made anew only when all that use it leave in the same run. */
function checkUsers(
  networks: readonly PlannedNetwork[],
  services: readonly PlannedService[],
  remove: readonly ContainerDetail[],
  observed: Observed,
  problems: Problem[],
): void {
  const leaving = new Set(remove.map((container) => container.id));
  for (const service of services) {
    for (const container of service.containers)
      if (container.early && container.existing !== undefined) leaving.add(container.existing.id);
  }
  for (const { desired, action, existing } of networks) {
    if (action !== 'recreate' || existing === undefined) continue;
    const staying = observed.endpoints.filter(
      (endpoint) => endpoint.network === existing.id && !leaving.has(endpoint.container),
    );
    if (staying.length === 0) continue;
    const users = [...new Set(staying.map((endpoint) => nameOf(endpoint, observed)))].join(', ');
    problems.push(
      problem(
        desired.at,
        `the network ${desired.name} has changed, and ${users} would lose it`,
        'disconnect what is not of this run first',
      ),
    );
  }
}

function nameOf(endpoint: Endpoint, observed: Observed): string {
  return observed.containers.find((container) => container.id === endpoint.container)?.name ?? endpoint.netns;
}

function problem(at: Position, message: string, cure: string): Problem {
  return { at, path: '', message, cure };
}
