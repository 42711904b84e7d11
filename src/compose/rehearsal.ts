import { NetloomError } from '../errors.ts';
import type { EngineApi, RehearsalStep } from '../model/index.ts';
import { ComposeRunError, type Failure, type Journal, typedFailure } from './progress.ts';

/** Whom a step is for. */
interface About {
  /** `container shop-web-1` */
  readonly object: string;
  /** Where the file wants it; empty where it is gone from the file. */
  readonly place: string;
}

/** A dry run: the steps in the order of the deed, planned by the engine one upon the other. */
export class Rehearsal {
  readonly #steps: RehearsalStep[] = [];
  readonly #abouts: About[] = [];

  add(about: About, ...steps: readonly RehearsalStep[]): void {
    for (const step of steps) {
      this.#steps.push(step);
      this.#abouts.push(about);
    }
  }

  /** Asks for the plans and notes them. @throws ComposeRunError with the first step that could not be done */
  async run(engine: EngineApi, journal: Journal): Promise<void> {
    if (this.#steps.length === 0) return;
    try {
      for (const plan of await engine.rehearse(this.#steps)) journal.steps(plan);
    } catch (error) {
      const failure = this.#failure(error);
      if (failure === undefined) throw error;
      throw new ComposeRunError([failure], journal.actions, '');
    }
  }

  /** The engine counts steps; a person knows the objects of the file. */
  #failure(error: unknown): Failure | undefined {
    const { message } = error as Error;
    const [, number, rest = ''] = /^step (\d+) \(.*?\): ([^]*)$/s.exec(message) ?? [];
    const about = this.#abouts[Number(number) - 1];
    if (about === undefined) return undefined;
    const { code, hint } = typedFailure(error);
    const plain = new NetloomError(code, rest, { cause: error, hint });
    return { object: about.object, error: typedFailure(plain, about.place) };
  }
}
