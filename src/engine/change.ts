import { kindOf } from '../facts/index.ts';
import type { ChangeOptions, Outcome, PlanStep } from '../model/index.ts';
import type { Tx } from '../store/index.ts';
import { apply, type Change, remove } from './apply.ts';
import type { Core } from './core.ts';
import type { KernelScope } from './kernel.ts';
import { KEYS } from './records.ts';

/** What a request turned out to mean, decided inside its first transaction. */
export interface Decision<T> {
  /**
   * Names the work in the store while it goes on: `network/<id>`, `container/<id>`, `endpoint/<id>`. Empty where the
   * record itself says, by its phase and owner, that work is going on.
   */
  readonly key: string;
  readonly value: T;
  /** In order: additions and changes as given, and deletions as `removalOf` makes them. */
  readonly changes: readonly Change[];
  /** What is beside the kernel, files, before it is touched; and their end, when it has refused. */
  readonly prepare?: () => void;
  readonly cleanup?: () => void;
  /** The kernel is as wanted: what the store says from now on. */
  settle(tx: Tx): Promise<T>;
  /** The kernel refused and is as before: take back what the first transaction wrote. */
  revert(tx: Tx): Promise<void>;
}

/** Carries a decision out of a transaction that must leave no trace. */
class DryRun<T> extends Error {
  readonly decision: Decision<T>;
  constructor(decision: Decision<T>) {
    super('dry run');
    this.decision = decision;
  }
}

/**
 * The one way in which anything is changed: record what is wanted, apply it, record that it is there. Killed anywhere
 * in between, the store still says who was doing what, and `recover` finishes or removes it.
 */
export async function change<T>(
  core: Core,
  options: ChangeOptions | undefined,
  decide: (tx: Tx, kernel: KernelScope) => Promise<Decision<T>>,
): Promise<Outcome<T>> {
  using kernel = core.kernel.scope();
  const decision = await record(core, options?.dryRun === true, (tx) => decide(tx, kernel));
  const plan = options?.dryRun || options?.explain ? { plan: decision.changes.map(stepOf) } : {};
  if (options?.dryRun) return { value: decision.value, ...plan };
  const pending = pendingKey(core.id, decision.key);
  try {
    decision.prepare?.();
    await carryOutIn(core, kernel, decision.changes);
  } catch (error) {
    decision.cleanup?.();
    await core.store.transact(async (tx) => {
      await decision.revert(tx);
      if (decision.key !== '') await tx.delete(pending);
    });
    throw error;
  }
  const value = await core.store.transact(async (tx) => {
    if (decision.key !== '') await tx.delete(pending);
    return decision.settle(tx);
  });
  return { value, ...plan };
}

export function pendingKey(engine: string, key: string): string {
  return `${KEYS.pending}${engine}/${key}`;
}

async function record<T>(core: Core, dryRun: boolean, decide: (tx: Tx) => Promise<Decision<T>>): Promise<Decision<T>> {
  try {
    return await core.store.transact(async (tx) => {
      const decision = await decide(tx);
      if (dryRun) throw new DryRun(decision);
      if (decision.key !== '') await tx.put(pendingKey(core.id, decision.key), 1);
      return decision;
    });
  } catch (error) {
    if (error instanceof DryRun) return error.decision as Decision<T>;
    throw error;
  }
}

/** Applies changes; deletions, which all belong together, go last and run to their end whatever fails. */
export async function carryOut(core: Core, changes: readonly Change[]): Promise<void> {
  using kernel = core.kernel.scope();
  await carryOutIn(core, kernel, changes);
}

async function carryOutIn(core: Core, kernel: KernelScope, changes: readonly Change[]): Promise<void> {
  const options = {
    onFact: core.onFact,
    mayWait: core.reaper.busy,
    deleteLink: (ifname: string) => core.reaper.delete(ifname),
  };
  const split = changes.findLastIndex((c) => c.verb !== 'delete') + 1;
  await apply(kernel, changes.slice(0, split), options);
  await remove(kernel, changes.slice(split), options);
}

/** One line of an explanation. */
export function stepOf({ verb, fact }: Change): PlanStep {
  return { object: fact.object, kind: fact.kind, verb, command: kindOf(fact).command(fact, verb) };
}
