import { type Fact, factKey } from '../facts/index.ts';
import { NetloomError } from '../errors.ts';
import type { PlanStep, RehearsalStep } from '../model/index.ts';
import type { ReadTx, Store, Tx } from '../store/index.ts';
import type { Change } from './apply.ts';
import * as containers from './containers.ts';
import * as cluster from './cluster.ts';
import type { Core } from './core.ts';
import type { Turns } from './mutex.ts';

/** What a rehearsal would have done so far: the next step is planned as if the kernel had it. */
export class Stage {
  readonly #there = new Set<string>();
  readonly #gone = new Set<string>();

  /** Those of `changes` that still need to be done, noted as done. */
  take(changes: readonly Change[]): Change[] {
    return changes.filter(({ verb, fact }) => {
      const key = factKey(fact);
      const [from, to] = verb === 'delete' ? [this.#there, this.#gone] : [this.#gone, this.#there];
      if (to.has(key)) return false;
      from.delete(key);
      to.add(key);
      return true;
    });
  }
  /** What the steps so far would have made of a fact; undefined where they leave it as it is. */
  foresees(fact: Fact): 'there' | 'gone' | undefined {
    const key = factKey(fact);
    return this.#there.has(key) ? 'there' : this.#gone.has(key) ? 'gone' : undefined;
  }
}

/** Carries a result out of a transaction that must leave no trace. */
class Rollback<T> extends Error {
  readonly result: T;
  constructor(result: T) {
    super('rehearsal');
    this.result = result;
  }
}

/**
 * Runs verbs with a store that forgets everything at the end, and without touching the kernel: a dry run. Whatever the
 * body does sees what it did before.
 */
export async function rehearse<T>(core: Core, body: (core: Core) => Promise<T>): Promise<T> {
  if (core.stage) return await body(core);
  try {
    return await core.store.transact(async (tx): Promise<never> => {
      throw new Rollback(await body({ ...core, store: new OneTransaction(tx), turns: AT_ONCE, stage: new Stage() }));
    });
  } catch (error) {
    if (error instanceof Rollback) return error.result as T;
    throw error;
  }
}

/** @see EngineApi.rehearse */
export async function rehearseSteps(
  core: Core,
  steps: readonly RehearsalStep[],
): Promise<readonly (readonly PlanStep[])[]> {
  return await rehearse(core, async (stage) => {
    const plans: (readonly PlanStep[])[] = [];
    for (const [i, step] of steps.entries()) {
      try {
        plans.push((await perform(stage, step)).plan ?? []);
      } catch (error) {
        if (!(error instanceof NetloomError)) throw error;
        const what = `step ${i + 1} (${step.verb} ${'spec' in step ? (step.spec.name ?? '') : step.ref})`;
        throw new NetloomError(error.code, `${what}: ${error.message}`, { cause: error, hint: error.hint });
      }
    }
    return plans;
  });
}

function perform(core: Core, step: RehearsalStep): Promise<{ readonly plan?: readonly PlanStep[] }> {
  const options = { explain: true };
  switch (step.verb) {
    case 'networkCreate':
      return cluster.networkCreate(core, step.spec, options);
    case 'networkRemove':
      return cluster.networkRemove(core, step.ref, options);
    case 'containerCreate':
      return containers.containerCreate(core, step.spec, options);
    case 'containerStart':
      return containers.containerStart(core, step.ref, options);
    case 'containerStop':
      return containers.containerStop(core, step.ref, options);
    case 'containerRemove':
      return containers.containerRemove(core, step.ref, { ...options, force: step.force === true });
  }
}

/** One transaction that plays the store for as long as it lasts. */
class OneTransaction implements Store {
  readonly #tx: Tx;
  constructor(tx: Tx) {
    this.#tx = tx;
  }
  async read<T>(body: (tx: ReadTx) => T | Promise<T>): Promise<T> {
    return await body(this.#tx);
  }
  async transact<T>(body: (tx: Tx) => T | Promise<T>): Promise<T> {
    return await body(this.#tx);
  }
  transactSoon(): never {
    throw new TypeError('a rehearsal ends with its transaction');
  }
  watch(): never {
    throw new TypeError('a rehearsal has nothing to watch');
  }
  /** Nobody else changes anything while it lasts. */
  revision(): Promise<number> {
    return Promise.resolve(0);
  }
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** The transaction keeps everybody else away already; waiting for anyone in it would be waiting for ever. */
const AT_ONCE: Turns = {
  run: (_key, body) => body(),
  runShared: () => Promise.resolve(),
};
