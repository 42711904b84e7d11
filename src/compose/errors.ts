import { NetloomError } from '../errors.ts';

/** A place in a Compose file, counted from 1, as editors count. */
export interface Position {
  /** The file's name as the caller gave it. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One thing that is wrong, or worth a warning. */
export interface Problem {
  readonly at: Position;
  /** `services.web.ports[0]`; empty for what belongs to the whole file. */
  readonly path: string;
  readonly message: string;
  /** What to do about it; empty where the message says it. */
  readonly cure: string;
}

/** A Compose file that cannot be honoured: all that is wrong with it, in the order of the file. Code `ECOMPOSE`. */
export class ComposeError extends NetloomError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super('ECOMPOSE', problems.map(problemText).join('\n'));
    this.problems = problems;
  }
}

/** `compose.yaml:12:7: services.web.image: netloom runs no images; remove the key`. */
export function problemText(problem: Problem): string {
  const path = problem.path === '' ? '' : ` ${problem.path}:`;
  const cure = problem.cure === '' ? '' : `; ${problem.cure}`;
  return `${positionText(problem.at)}:${path} ${problem.message}${cure}`;
}

export function positionText(at: Position): string {
  return `${at.file}:${at.line}:${at.column}`;
}

/** Sorts by file in order of appearance, then by line and column. */
export function inFileOrder(problems: readonly Problem[]): Problem[] {
  const files = [...new Set(problems.map((problem) => problem.at.file))];
  return problems.toSorted(
    (a, b) => files.indexOf(a.at.file) - files.indexOf(b.at.file) || a.at.line - b.at.line || a.at.column - b.at.column,
  );
}
