import { printable } from '../api/printable.ts';
import { NetloomError } from '../errors.ts';

/** Exit statuses of `netloom`, as documented under EXIT STATUS of every page. `run` and `exec` also pass the command's own. */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  /** `run` and `exec` only: it was netloom that failed, not the command. */
  netloom: 125,
  cannotRun: 126,
  notFound: 127,
} as const;

/** The command line itself is wrong: exit status 2, and the page to read is named. */
export class UsageError extends NetloomError {
  constructor(message: string, hint?: string) {
    super('EUSAGE', message, hint === undefined ? undefined : { hint });
  }
}

/** Several objects were named and some of them failed; each failure is reported by itself. */
export class ManyErrors extends NetloomError {
  readonly errors: readonly unknown[];
  /** What did succeed. */
  readonly results: readonly unknown[];

  constructor(errors: readonly unknown[], results: readonly unknown[]) {
    super(describe(errors[0]).code, describe(errors[0]).message);
    this.errors = errors;
    this.results = results;
  }
}

export interface ErrorRecord {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

/** Any thrown value as code, message and hint; a bug in netloom keeps its stack for `--json` readers and NETLOOM_DEBUG. */
export function describe(error: unknown): ErrorRecord {
  if (error instanceof NetloomError) return { code: error.code, message: error.message.trim(), hint: error.hint };
  if (error instanceof AggregateError) {
    const parts = error.errors.map((each) => describe(each).message);
    return { code: 'EMANY', message: parts.length > 0 ? parts.join('; ') : error.message.trim(), hint: '' };
  }
  if (error instanceof Error) {
    const code = 'code' in error && typeof error.code === 'string' ? error.code : 'EINTERNAL';
    return {
      code,
      message: error.message.trim(),
      hint: code === 'EINTERNAL' ? 'This is a bug in netloom; NETLOOM_DEBUG=1 shows where.' : '',
    };
  }
  return { code: 'EINTERNAL', message: String(error), hint: '' };
}

/** `netloom: MESSAGE` (a line each where a file has several faults), the hint indented below it. */
export function renderError(record: ErrorRecord): string {
  const lines = record.message.split(/\s*\n\s*/).map((line) => `netloom: ${printable(line)}\n`);
  return lines.join('') + (record.hint === '' ? '' : `  ${printable(record.hint)}\n`);
}
