import type { DoctorReport, Finding } from '../../model/index.ts';
import type { Io } from '../context.ts';
import { styler, type Style } from './style.ts';
import { oneLine, tableWidth } from './table.ts';
import { wrap } from './wrap.ts';

const MARKS: Readonly<Record<Finding['status'], readonly [mark: string, style: Style]>> = {
  ok: ['✔', 'green'],
  info: ['i', 'cyan'],
  warning: ['!', 'yellow'],
  failure: ['✘', 'red'],
  unknown: ['?', 'dim'],
};
const LEFT = 2;
const BODY = 6;

/**
 * A line a finding, with its mark; below what is not in order the evidence and the cure (below every one with
 * `verbose`), and at the end how many there are of each. Evidence and cures are never wrapped: they are to be copied.
 */
export function renderReport(report: DoctorReport, io: Io, verbose: boolean): string {
  const style = styler(io);
  const width = tableWidth(io.stdout, io.env);
  const lines = report.findings.flatMap((finding) => {
    const [mark, colour] = MARKS[finding.status];
    const about = finding.object === '' ? finding.check : `${finding.check} (${finding.object})`;
    const [first = '', ...rest] = wrap(oneLine(`${about}: ${finding.summary}`), width, LEFT);
    const head = [`${style(colour, mark)} ${first.trimStart()}`, ...rest];
    if (!verbose && (finding.status === 'ok' || finding.status === 'info')) return head;
    const indented = (text: string): string => ' '.repeat(BODY) + oneLine(text);
    return [
      ...head,
      ...(finding.evidence.length > 0 ? [style('dim', '    seen:'), ...finding.evidence.map(indented)] : []),
      ...(finding.cure.length > 0 ? [style('bold', '    cure:'), ...finding.cure.map(indented)] : []),
    ];
  });
  return [...lines, tally(report.findings), ''].join('\n');
}

/** `1 failure, 2 warnings, 14 ok` */
function tally(findings: readonly Finding[]): string {
  const words = { failure: 'failure', warning: 'warning', unknown: 'unknown', info: 'note', ok: 'ok' } as const;
  const parts = (Object.keys(words) as Finding['status'][]).flatMap((status) => {
    const count = findings.filter((finding) => finding.status === status).length;
    const plural = status === 'ok' || status === 'unknown' || count === 1 ? '' : 's';
    return count === 0 ? [] : [`${count} ${words[status]}${plural}`];
  });
  return parts.length === 0 ? 'nothing was checked' : parts.join(', ');
}
