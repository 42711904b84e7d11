import type { Check, Result } from '../check.ts';

/** How many lines of evidence are enough. */
const ENOUGH = 20;

/** Whether the kernel holds what was asked for, all of it and no more. */
export const drift: Check = {
  name: 'drift',
  about: 'the kernel against what was asked for',
  async run(view) {
    const { wrong, surplus } = await view.drift();
    const results: Result[] = [];
    if (wrong.length > 0) {
      results.push({
        status: 'failure',
        summary: `${wrong.length} piece${wrong.length === 1 ? '' : 's'} of kernel state ${wrong.length === 1 ? 'is' : 'are'} missing or not as asked for`,
        evidence: some(wrong),
        cure: ['netloom gc puts it right; netloom daemon keeps it right'],
      });
    }
    if (surplus.length > 0) {
      results.push({
        status: 'warning',
        summary: `${surplus.length} piece${surplus.length === 1 ? '' : 's'} of kernel state ${surplus.length === 1 ? 'is' : 'are'} netloom's and wanted by nobody`,
        evidence: some(surplus),
        cure: ['netloom gc'],
      });
    }
    return results.length > 0 ? results : [{ status: 'ok', summary: 'the kernel is as it was asked to be' }];
  },
};

function some(lines: readonly string[]): string[] {
  return lines.length <= ENOUGH ? [...lines] : [...lines.slice(0, ENOUGH), `… and ${lines.length - ENOUGH} more`];
}
