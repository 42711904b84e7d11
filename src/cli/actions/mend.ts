import type { GcReport } from '../../model/index.ts';
import type { CliContext } from '../context.ts';
import { EXIT } from '../errors.ts';
import type { ChangeFlags, GlobalFlags } from '../flags.ts';
import { renderReport } from '../output/doctor.ts';
import { comment, renderPlan } from '../output/plan.ts';
import { changeOptions, outcomeDocument, printJson, printLine, wantsPlan } from '../output/print.ts';
import { change } from './session.ts';

export async function gc(this: CliContext, flags: ChangeFlags): Promise<void> {
  const outcome = await change(this, flags, 'collecting', (api) => api.gc(changeOptions(flags)));
  const lines = reportLines(outcome.value, flags.dryRun === true);
  if (flags.json === true) printJson(this, outcomeDocument(flags, outcome));
  else if (wantsPlan(flags)) {
    this.io.stdout.write(renderPlan(outcome.plan));
    for (const line of lines) printLine(this, `# ${comment(line)}`);
  } else for (const line of lines.length > 0 ? lines : ['nothing to do']) printLine(this, line);
  if (outcome.value.failed.length > 0) this.process.exitCode = EXIT.failure;
}

function reportLines(report: GcReport, dryRun: boolean): string[] {
  const titles = dryRun
    ? ({ reclaimed: 'to reclaim', removed: 'to remove', repaired: 'to repair', failed: 'impossible' } as const)
    : ({ reclaimed: 'reclaimed', removed: 'removed', repaired: 'repaired', failed: 'failed' } as const);
  return (Object.keys(titles) as (keyof GcReport)[]).flatMap((key) =>
    report[key].map((line) => comment(`${titles[key]}: ${line}`)),
  );
}

export interface DoctorFlags extends GlobalFlags {
  readonly verbose?: boolean;
}

export async function doctor(this: CliContext, flags: DoctorFlags, ...checks: string[]): Promise<void> {
  const report = await change(this, flags, 'looking', (api) => api.doctor(checks.length > 0 ? { checks } : {}));
  if (flags.json === true) printJson(this, report);
  else this.io.stdout.write(renderReport(report, this.io, flags.verbose === true));
  if (report.findings.some(({ status }) => status === 'failure')) this.process.exitCode = EXIT.failure;
}
