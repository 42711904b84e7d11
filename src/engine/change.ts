import { kindOf } from '../facts/index.ts';
import type { ChangeOptions, Outcome, PlanStep } from '../model/index.ts';
import type { Tx } from '../store/index.ts';
import { apply, type Change, remove, undo } from './apply.ts';
import type { Core } from './core.ts';
import type { NewEvent } from './events.ts';
import type { KernelScope } from './kernel.ts';
import { KEYS } from './records.ts';

/** The rest of a change, which only the network can tell once the first part is in the kernel: an address by DHCP. */
export interface Later {
  /** For an explanation: what will be asked. */
  readonly steps: readonly PlanStep[];
  /** @returns what is to be done besides. What it throws takes everything back. */
  run(kernel: KernelScope): Promise<readonly Change[]>;
  /** What it returned was refused. */
  abandon(): void;
}

/** What a request turned out to mean, decided inside its first transaction. */
export interface Decision<T> {
  /**
   * Names the work in the store while it goes on: `network/<id>`, `container/<id>`, `endpoint/<id>`. Empty where the
   * record itself says, by its phase and owner, that work is going on.
   */
  readonly key: string;
  readonly value: T;
  /** What to tell whoever listens, once all of it is done. */
  readonly tells?: readonly NewEvent[];
  /** What is done otherwise than whoever asked may think, a line each. */
  readonly warnings?: readonly string[];
  /** In order: additions and changes as given, and deletions as `removalOf` makes them. */
  readonly changes: readonly Change[];
  readonly later?: Later | undefined;
  /** What is beside the facts, files and connections: before they are touched; when they were refused; when all is done. */
  readonly prepare?: () => void;
  readonly cleanup?: () => void;
  readonly finish?: () => void | Promise<void>;
  /** The kernel is as wanted: what the store says from now on. */
  settle(tx: Tx, kernel: KernelScope): Promise<T>;
  /**
   * What `settle` will return, known before: then nobody waits for it. Only where `recover` would come to the same (it keeps
   * what is whole in the kernel, and ends what was going), and for a `settle` that looks whether the record is still its own.
   */
  readonly settled?: T | undefined;
  /** Whoever asked waits no longer than until it is recorded. Only where `recover` would end what is left of it. */
  readonly behind?: boolean;
  /** The kernel refused and is as before: take back what the first transaction wrote. */
  revert(tx: Tx): Promise<void>;
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
  const kernel = core.kernel.scope();
  let left = false;
  try {
    const decision = await record(core, (tx) => decide(tx, kernel));
    if (!decision.behind || core.stage) return await perform(core, kernel, options, decision);
    left = true;
    core.behind.run(decision.key, async () => {
      try {
        await perform(core, kernel, options, decision);
      } finally {
        kernel[Symbol.dispose]();
      }
    });
    return { value: decision.value };
  } finally {
    if (!left) kernel[Symbol.dispose]();
  }
}

/** All but the first transaction. */
async function perform<T>(
  core: Core,
  kernel: KernelScope,
  options: ChangeOptions | undefined,
  decision: Decision<T>,
): Promise<Outcome<T>> {
  const changes = core.stage ? core.stage.take(decision.changes) : decision.changes;
  const { later } = decision;
  const plan = options?.explain ? { plan: [...changes.map(stepOf), ...(later?.steps ?? [])] } : {};
  const pending = pendingKey(core.id, decision.key);
  if (!core.stage) {
    try {
      decision.prepare?.();
      await carryOutIn(core, kernel, changes);
      if (later) await carryOutLater(core, kernel, changes, later);
    } catch (error) {
      decision.cleanup?.();
      await core.store.transact(async (tx) => {
        await decision.revert(tx);
        if (decision.key !== '') await tx.delete(pending);
      });
      throw error;
    }
  }
  if (!core.stage) await decision.finish?.();
  const settle = async (tx: Tx): Promise<T> => {
    if (decision.key !== '') await tx.delete(pending);
    return decision.settle(tx, kernel);
  };
  const { settled } = decision;
  if (settled !== undefined && !core.stage) core.store.transactSoon(async (tx) => void (await settle(tx)));
  const value = settled === undefined || core.stage ? await core.store.transact(settle) : settled;
  if (!core.stage) for (const event of decision.tells ?? []) core.events.publish(event);
  const { warnings = [] } = decision;
  return { value, ...plan, ...(warnings.length > 0 && { warnings }) };
}

export function pendingKey(engine: string, key: string): string {
  return `${KEYS.pending}${engine}/${key}`;
}

async function record<T>(core: Core, decide: (tx: Tx) => Promise<Decision<T>>): Promise<Decision<T>> {
  return await core.store.transact(async (tx) => {
    const decision = await decide(tx);
    if (decision.key !== '') await tx.put(pendingKey(core.id, decision.key), 1);
    return decision;
  });
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
    reap: core.reaper.reap,
  };
  const split = changes.findLastIndex((c) => c.verb !== 'delete') + 1;
  await apply(kernel, changes.slice(0, split), options);
  await remove(kernel, changes.slice(split), options);
}

/** The rest, without which the first part must not stay. */
async function carryOutLater(core: Core, kernel: KernelScope, done: readonly Change[], later: Later): Promise<void> {
  try {
    const changes = await later.run(kernel);
    try {
      await carryOutIn(core, kernel, changes);
    } catch (error) {
      later.abandon();
      throw error;
    }
  } catch (error) {
    const failures = await undo(kernel, done);
    if (failures.length > 0) throw new AggregateError([error, ...failures], String(error), { cause: error });
    throw error;
  }
}

/** One line of an explanation. */
export function stepOf({ verb, fact }: Change): PlanStep {
  return { object: fact.object, kind: fact.kind, verb, command: kindOf(fact).command(fact, verb) };
}
