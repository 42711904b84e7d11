import type { Container, ContainerDetail, EngineApi, Outcome, PlanStep } from '../../model/index.ts';
import type { CliContext } from '../context.ts';
import { ManyErrors } from '../errors.ts';
import type { ChangeFlags, GlobalFlags } from '../flags.ts';
import { printOutcome, printWarnings } from '../output/print.ts';
import { withProgress } from '../output/progress.ts';

/** Opens netloom for the length of `body`. */
export async function withApi<T>(
  context: CliContext,
  flags: GlobalFlags,
  body: (api: EngineApi) => Promise<T>,
): Promise<T> {
  await using api = await context.io.open(flags);
  return await body(api);
}

/** As `withApi`, with a line of progress for what takes longer than a second. */
export async function change<T>(
  context: CliContext,
  flags: GlobalFlags,
  what: string,
  body: (api: EngineApi) => Promise<T>,
): Promise<T> {
  return await withProgress(context.io, what, withApi(context, flags, body));
}

/**
 * The same verb on several objects: each is tried, what worked is told, what failed is reported at the end. The plans
 * are put together. `together`: all at once, as for what takes its time.
 */
export async function changeEach<T>(
  context: CliContext,
  flags: ChangeFlags,
  refs: readonly string[],
  verb: string,
  body: (api: EngineApi, ref: string) => Promise<Outcome<T>>,
  together = false,
): Promise<void> {
  const { results, errors } = await collect(context, flags, refs, verb, body, together);
  printWarnings(context, ...results.map(({ value }) => value));
  const plan: PlanStep[] = results.flatMap(({ value }) => value.plan ?? []);
  const outcome = { value: results.map(({ value }) => value.value), plan };
  if (errors.length === 0 || flags.json !== true) {
    if (results.length > 0)
      printOutcome(
        context,
        flags,
        outcome,
        results.map(({ ref }) => ref),
      );
  }
  if (errors.length > 0) throw new ManyErrors(errors, outcome.value);
}

interface Done<T> {
  readonly ref: string;
  readonly value: T;
}

async function collect<T>(
  context: CliContext,
  flags: GlobalFlags,
  refs: readonly string[],
  verb: string,
  body: (api: EngineApi, ref: string) => Promise<T>,
  together: boolean,
): Promise<{ results: Done<T>[]; errors: unknown[] }> {
  const results: Done<T>[] = [];
  const errors: unknown[] = [];
  await withApi(context, flags, async (api) => {
    const one = async (ref: string): Promise<Done<T>> => ({
      ref,
      value: await withProgress(context.io, `${verb} ${ref}`, body(api, ref)),
    });
    const started = together ? refs.map(one) : [];
    if (together) await Promise.allSettled(started);
    for (const [index, ref] of refs.entries()) {
      try {
        results.push(await (started[index] ?? one(ref)));
      } catch (error) {
        errors.push(error);
      }
    }
  });
  return { results, errors };
}

/** Network id → name. */
export async function networkNames(api: EngineApi): Promise<ReadonlyMap<string, string>> {
  return new Map((await api.networkList()).map((network) => [network.id, network.name]));
}

/** Container id → name. */
export function namesOf(containers: readonly (Container | ContainerDetail)[]): ReadonlyMap<string, string> {
  return new Map(containers.map((container) => [container.id, container.name]));
}
