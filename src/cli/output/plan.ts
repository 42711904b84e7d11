import type { PlanStep } from '../../model/index.ts';

/** The plan as a script: the object as a comment, its commands below it. Runs in sh as it stands. */
export function renderPlan(plan: readonly PlanStep[] | undefined): string {
  if (plan === undefined || plan.length === 0) return '# nothing to change\n';
  const lines: string[] = [];
  let object: string | undefined;
  for (const step of plan) {
    if (step.object !== object) {
      object = step.object;
      lines.push(`# ${comment(object)}`);
    }
    lines.push(step.command);
  }
  return `${lines.join('\n')}\n`;
}

/** A comment is one line: nothing in a name may become a command of the script. */
export function comment(text: string): string {
  // oxlint-disable-next-line no-control-regex -- line breaks of every kind end a comment or hide what follows
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ');
}
