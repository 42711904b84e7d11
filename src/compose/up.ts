import type { ChangeOptions, EngineApi, PlanStep } from '../model/index.ts';
import { problemText } from './errors.ts';
import { loadProject, type ProjectSource } from './load.ts';
import { type FollowedContainer, followLogs, type Output } from './logs.ts';
import { type Observed, planUp, type UpPlan } from './plan.ts';
import { ComposeRunError, Journal, type ObjectAction, type OnProgress } from './progress.ts';
import type { Project } from './project.ts';
import { shortName, stopAll } from './teardown.ts';
import { untilAborted, UpRun } from './up-run.ts';

export interface UpOptions extends ProjectSource, ChangeOptions {
  /** False: follow the output until `signal` or until every command has ended, then stop the services. */
  readonly detach: boolean;
  /** These services and what they need; missing or empty: all. */
  readonly services?: readonly string[];
  /** Remove containers of services that the file has no longer. */
  readonly removeOrphans?: boolean;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
  /** Where the services' output goes without `detach`. */
  readonly stdout?: Output;
  /** Default: where `stdout` is a terminal and NO_COLOR is not set. */
  readonly colour?: boolean;
}

export interface UpResult {
  readonly project: string;
  /** What was done, or with `dryRun` what would be, in the order in which it happened. */
  readonly actions: readonly ObjectAction[];
  /** With `explain` and `dryRun`. */
  readonly plan?: readonly PlanStep[];
  readonly warnings: readonly string[];
  /** Exit status by container, of a run without `detach`. */
  readonly exitCodes?: Readonly<Record<string, number>>;
}

/**
 * Makes what the file asks for. What is right already stays untouched, so that a second run changes nothing.
 * @throws ComposeError before anything was changed; ComposeRunError when something failed on the way: what had
 * worked by then stays, and the error says what is up and what is not.
 */
export async function composeUp(engine: EngineApi, options: UpOptions): Promise<UpResult> {
  const { project, warnings } = await loadProject(options);
  const observed = await observe(engine);
  const plan = planUp(project, observed, { removeOrphans: options.removeOrphans === true });
  const journal = new Journal(options.onProgress);
  for (const warning of warnings) journal.warn(problemText(warning));
  if (plan.orphans.length > 0) {
    const names = plan.orphans.map((container) => container.name).join(', ');
    journal.warn(
      `${names} ${plan.orphans.length === 1 ? 'belongs' : 'belong'} to services that the file has no longer; remove them with --remove-orphans`,
    );
  }
  const run = new UpRun(engine, plan, journal, options);
  await (options.dryRun === true ? run.rehearse() : run.perform());
  const result = {
    project: project.name,
    actions: journal.actions,
    warnings: journal.warnings,
    ...(options.explain === true || options.dryRun === true ? { plan: journal.plan } : {}),
  };
  if (options.detach || options.dryRun === true) return result;
  return { ...result, exitCodes: await stayInForeground(engine, project, plan, journal, options) };
}

async function observe(engine: EngineApi): Promise<Observed> {
  const [networks, containers, endpoints] = await Promise.all([
    engine.networkList(),
    engine.containerList({ all: true }),
    engine.endpointList(),
  ]);
  return { networks, containers, endpoints };
}

/** Shows the output until everything has ended or the caller has had enough; then nothing runs any more. */
async function stayInForeground(
  engine: EngineApi,
  project: Project,
  plan: UpPlan,
  journal: Journal,
  options: UpOptions,
): Promise<Record<string, number>> {
  const planned = plan.services.flatMap((service) =>
    service.containers.map((container) => ({ service: service.desired, container })),
  );
  const details = await Promise.all(planned.map(({ container }) => engine.containerInspect(container.desired.name)));
  const followed = planned.flatMap(({ service, container }, index): FollowedContainer[] => {
    const detail = details[index]!;
    if (!service.attach) return [];
    // what ran before was seen by somebody else
    return [
      { ref: detail.id, label: shortName(detail, project.name), ...(container.action === 'keep' ? { tail: 0 } : {}) },
    ];
  });
  const colour =
    options.colour ??
    (options.stdout?.isTTY === true && (options.environment ?? process.env)['NO_COLOR'] === undefined);
  const ended = Promise.all([
    followLogs(engine, followed, options.stdout, { follow: true, colour, announceExit: true }),
    ...details.map((detail) => engine.containerWait(detail.id)),
  ]);
  try {
    await untilAborted(ended, options.signal);
  } catch (error) {
    if (options.signal?.aborted !== true) throw error;
  }
  const failures = await stopAll(engine, details, journal);
  if (failures.length > 0) throw new ComposeRunError(failures, journal.actions, '');
  const [, ...codes] = await ended;
  return Object.fromEntries(details.map((detail, index) => [detail.name, codes[index]!]));
}
