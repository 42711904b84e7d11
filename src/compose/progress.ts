import { NetloomError } from '../errors.ts';
import type { Outcome, PlanStep } from '../model/index.ts';

/** Something that `up` or `down` is doing, for a person who waits. */
export interface ProgressEvent {
  /** `network shop_front`, `container shop-web-1`; empty for a warning about the file. */
  readonly object: string;
  readonly status:
    | 'creating'
    | 'created'
    | 'starting'
    | 'started'
    | 'waiting'
    | 'stopping'
    | 'removing'
    | 'removed'
    | 'unchanged'
    | 'failed'
    | 'warning';
  readonly detail?: string;
}
export type OnProgress = (event: ProgressEvent) => void;

/** What became of one object. */
export interface ObjectAction {
  readonly object: string;
  readonly action: 'created' | 'started' | 'recreated' | 'unchanged' | 'removed';
}

/** Collects what happened, while it happens. */
export class Journal {
  readonly actions: ObjectAction[] = [];
  readonly plan: PlanStep[] = [];
  readonly warnings: string[] = [];
  readonly #onProgress: OnProgress;

  constructor(onProgress: OnProgress = () => undefined) {
    this.#onProgress = onProgress;
  }
  report(object: string, status: ProgressEvent['status'], detail?: string): void {
    this.#onProgress({ object, status, ...(detail === undefined ? {} : { detail }) });
  }
  done(object: string, action: ObjectAction['action']): void {
    this.actions.push({ object, action });
    this.report(object, action === 'recreated' ? 'created' : action);
  }
  steps(plan: readonly PlanStep[] | undefined): void {
    if (plan !== undefined) this.plan.push(...plan);
  }
  /** A change that was made: its plan, and what it warns of. */
  outcome({ plan, warnings = [] }: Pick<Outcome<unknown>, 'plan' | 'warnings'>): void {
    this.steps(plan);
    for (const warning of warnings) this.warn(warning);
  }
  warn(text: string): void {
    this.warnings.push(text);
    this.report('', 'warning', text);
  }
}

/** One thing that went wrong, with the object that it went wrong with. */
export interface Failure {
  readonly object: string;
  readonly error: NetloomError;
}

/** `up` or `down` ended half way. The code is the first failure's; nothing that worked was taken back. */
export class ComposeRunError extends NetloomError {
  readonly failures: readonly Failure[];
  readonly actions: readonly ObjectAction[];

  constructor(failures: readonly Failure[], actions: readonly ObjectAction[], rest: string) {
    const first = failures[0]!.error;
    const lines = failures.map(
      ({ object, error }) => `${object}: ${error.message}${error.hint === '' ? '' : `; ${error.hint}`}`,
    );
    super(first.code, [...lines, ...(rest === '' ? [] : [rest])].join('\n'), { cause: first });
    this.failures = failures;
    this.actions = actions;
  }
}

/** Any error as one of ours, with the place in the file that wanted what failed. */
export function typedFailure(error: unknown, place = ''): NetloomError {
  const before = place === '' ? '' : `${place}: `;
  if (error instanceof NetloomError)
    return new NetloomError(error.code, before + error.message, { cause: error, hint: error.hint });
  return new NetloomError('EINTERNAL', before + (error instanceof Error ? error.message : String(error)), {
    cause: error,
  });
}
