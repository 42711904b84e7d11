import type { DownResult, OnProgress, ProgressEvent, UpResult } from '../../compose/index.ts';
import type { CliContext, Io } from '../context.ts';
import type { ChangeFlags } from '../flags.ts';
import { renderPlan } from '../output/plan.ts';
import { changeOptions, printJson, wantsPlan } from '../output/print.ts';
import { stopSignal } from '../stop-signal.ts';
import { withApi } from './session.ts';

interface ProjectFlags extends ChangeFlags {
  readonly file?: readonly string[];
  readonly projectName?: string;
  readonly projectDirectory?: string;
  readonly profile?: readonly string[];
  readonly removeOrphans?: boolean;
}
export interface UpFlags extends ProjectFlags {
  readonly detach?: boolean;
}
export interface DownFlags extends ProjectFlags {
  readonly timeout?: number;
}

export async function up(this: CliContext, flags: UpFlags, ...services: string[]): Promise<void> {
  const { composeUp } = await import('../../compose/index.ts');
  using stop = stopSignal();
  const result = await withApi(this, flags, (api) =>
    composeUp(api, {
      ...projectOptions(this.io, flags),
      ...changeOptions(flags),
      detach: flags.detach ?? false,
      services,
      signal: stop.signal,
      // With --json standard output is one document, so that what the services say goes beside it.
      stdout: flags.json === true ? this.io.stderr : this.io.stdout,
    }),
  );
  // In the foreground standard output was the services' own.
  report(this, flags, result, flags.detach === true || flags.dryRun === true);
}

export async function down(this: CliContext, flags: DownFlags): Promise<void> {
  const { composeDown } = await import('../../compose/index.ts');
  const result = await withApi(this, flags, (api) =>
    composeDown(api, {
      ...projectOptions(this.io, flags),
      ...changeOptions(flags),
      ...(flags.timeout === undefined ? {} : { timeoutSeconds: flags.timeout }),
    }),
  );
  report(this, flags, result, true);
}

function projectOptions(
  io: Io,
  flags: ProjectFlags,
): {
  files: readonly string[];
  environment: Io['env'];
  removeOrphans: boolean;
  onProgress: OnProgress;
  projectName?: string;
  projectDirectory?: string;
  profiles?: readonly string[];
} {
  return {
    files: flags.file ?? [],
    environment: io.env,
    removeOrphans: flags.removeOrphans ?? false,
    onProgress: progressLines(io, flags),
    ...(flags.projectName === undefined ? {} : { projectName: flags.projectName }),
    ...(flags.projectDirectory === undefined ? {} : { projectDirectory: flags.projectDirectory }),
    ...(flags.profile === undefined ? {} : { profiles: flags.profile }),
  };
}

function report(context: CliContext, flags: ChangeFlags, result: UpResult | DownResult, toStdout: boolean): void {
  if (flags.json === true) printJson(context, result);
  else if (wantsPlan(flags)) (toStdout ? context.io.stdout : context.io.stderr).write(renderPlan(result.plan));
}

/** On a terminal every step as it begins and ends; elsewhere what became of each object, a line each. */
function progressLines(io: Io, flags: ChangeFlags): OnProgress {
  const passing: readonly ProgressEvent['status'][] = ['creating', 'starting', 'stopping', 'removing'];
  return ({ object, status, detail }) => {
    if (status === 'warning') io.stderr.write(`netloom: warning: ${detail ?? ''}\n`);
    else if (flags.json !== true && flags.dryRun !== true && (io.stderr.isTTY === true || !passing.includes(status))) {
      io.stderr.write(`${object}  ${status}${detail === undefined ? '' : `: ${detail}`}\n`);
    }
  };
}
