import type { CliContext } from '../context.ts';
import type { ChangeFlags, GlobalFlags, ListFlags } from '../flags.ts';
import type { ChangeOptions, Outcome, PlanStep } from '../../model/index.ts';
import { comment, renderPlan } from './plan.ts';
import { renderTable, tableWidth } from './table.ts';
import type { Column } from './table.ts';
import { compileTemplate } from './template.ts';
import type { Template } from './template.ts';
import type { View } from './views.ts';

/** The one JSON document of `--json`. */
export function printJson(context: CliContext, document: unknown): void {
  context.io.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`);
}

export function printLine(context: CliContext, text: string): void {
  context.io.stdout.write(`${text}\n`);
}

export function changeOptions(flags: ChangeFlags): ChangeOptions {
  return {
    ...(flags.dryRun === true ? { dryRun: true } : {}),
    ...(flags.explain === true || flags.dryRun === true ? { explain: true } : {}),
  };
}

export function wantsPlan(flags: ChangeFlags): boolean {
  return flags.explain === true || flags.dryRun === true;
}

/** What was done otherwise than whoever asked may think: on stderr, so that it is seen beside whatever is printed. */
export function printWarnings(context: CliContext, ...outcomes: readonly Pick<Outcome<unknown>, 'warnings'>[]): void {
  for (const { warnings = [] } of outcomes)
    for (const warning of warnings) context.io.stderr.write(`netloom: warning: ${warning}\n`);
}

/**
 * What a change has to say: with --json one document, with --explain or --dry-run the plan as a script (the result in
 * a comment of it, so that it stays one), else `lines`.
 */
export function printOutcome(
  context: CliContext,
  flags: ChangeFlags,
  outcome: Outcome<unknown>,
  lines: readonly string[],
): void {
  printWarnings(context, outcome);
  const document = outcomeDocument(flags, outcome);
  if (flags.json === true) printJson(context, document);
  else if (wantsPlan(flags)) {
    context.io.stdout.write(renderPlan(outcome.plan));
    if (flags.dryRun !== true) for (const line of lines) printLine(context, `# ${comment(line)}`);
  } else for (const line of lines) printLine(context, line);
}

export function outcomeDocument(flags: ChangeFlags, outcome: Outcome<unknown>): unknown {
  if (!wantsPlan(flags)) return outcome.value;
  const plan: readonly PlanStep[] = outcome.plan ?? [];
  return { dryRun: flags.dryRun === true, result: outcome.value, plan };
}

export interface Listing<T> {
  readonly records: readonly T[];
  readonly id: (record: T) => string;
  /** The id is a name, and never cut. */
  readonly named?: true;
  readonly row: (record: T) => View;
  readonly columns: readonly Column<View>[];
}

/** A list as a table, as ids (`-q`), as the API's records (`--json`), or by a template over Docker's fields (`--format`). */
export function printList<T>(context: CliContext, flags: ListFlags, listing: Listing<T>): void {
  const { records, row } = listing;
  if (flags.json === true) printJson(context, records);
  else if (flags.quiet === true)
    for (const record of records)
      printLine(
        context,
        flags.noTrunc === true || listing.named === true ? listing.id(record) : listing.id(record).slice(0, 12),
      );
  else if (flags.format === undefined || flags.format === 'table')
    context.io.stdout.write(
      renderTable(listing.columns, records.map(row), tableWidth(context.io.stdout, context.io.env)),
    );
  else if (flags.format === 'json') for (const record of records) printLine(context, JSON.stringify(row(record)));
  else if (/^table\s/.test(flags.format))
    printTableTemplate(context, flags.format.replace(/^table\s+/, ''), records.map(row));
  else {
    const template = compileTemplate(flags.format);
    for (const record of records) printLine(context, template(row(record)));
  }
}

/** `table {{.ID}}\t{{.Name}}`: the fields' own names head the columns. */
function printTableTemplate(context: CliContext, source: string, rows: readonly View[]): void {
  const template = compileTemplate(source);
  const titles = source
    .replaceAll(/\{\{[^}]*?\.(\w+)[^}]*\}\}/g, (_, name: string) => name.toUpperCase())
    .replaceAll('\\t', '\t')
    .split('\t');
  const lines = rows.map((row) => template(row).split('\t'));
  const columns = titles.map((title, index) => ({
    title,
    cell: (line: readonly string[]) => line[index] ?? '',
    flexible: true,
  }));
  context.io.stdout.write(renderTable(columns, lines, tableWidth(context.io.stdout, context.io.env)));
}

/** `inspect`: an array under Docker's names; with --json the API's records; with --format a line each. */
export function printInspect<T>(
  context: CliContext,
  flags: GlobalFlags & { readonly format?: string },
  records: readonly T[],
  view: (record: T) => View,
): void {
  if (flags.json === true) printJson(context, records);
  else if (flags.format === undefined) printJson(context, records.map(view));
  else {
    const template: Template = flags.format === 'json' ? (data) => JSON.stringify(data) : compileTemplate(flags.format);
    for (const record of records) printLine(context, template(view(record)));
  }
}
