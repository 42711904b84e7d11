import type { Sink } from '../context.ts';

export interface Column<T> {
  readonly title: string;
  readonly cell: (row: T) => string;
  /** May be cut short with `…` where the terminal is too narrow; others never are. */
  readonly flexible?: boolean;
}

/** Width that a table must fit: the terminal's, `COLUMNS` where somebody set it, else none. */
export function tableWidth(sink: Sink, env: Readonly<Record<string, string | undefined>>): number {
  const asked = Number(env['COLUMNS'] ?? '');
  if (Number.isInteger(asked) && asked >= 20) return asked;
  return sink.isTTY === true && sink.columns !== undefined && sink.columns >= 20 ? sink.columns : Infinity;
}

const GAP = 3;
/** Narrower than this no column is cut: it would say nothing any more. */
const LEAST = 8;

/** Aligned columns, one line a row, header first; no trailing spaces. */
export function renderTable<T>(columns: readonly Column<T>[], rows: readonly T[], width: number = Infinity): string {
  const cells = [
    columns.map((column) => column.title),
    ...rows.map((row) => columns.map((column) => oneLine(column.cell(row)))),
  ];
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => displayWidth(line[index] ?? ''))));
  fit(widths, columns, width);
  return cells
    .map(
      (line) =>
        `${line
          .map((cell, index) =>
            pad(cut(cell, widths[index] ?? 0), index === line.length - 1 ? 0 : (widths[index] ?? 0)),
          )
          .join(' '.repeat(GAP))
          .trimEnd()}\n`,
    )
    .join('');
}

/** Takes the excess from the widest flexible column first, so that they end up equally wide. */
function fit(widths: number[], columns: readonly Column<never>[], width: number): void {
  const total = (): number => widths.reduce((sum, each) => sum + each, 0) + GAP * (widths.length - 1);
  while (total() > width) {
    let widest = -1;
    for (const [index, column] of columns.entries()) {
      const least = Math.max(LEAST, displayWidth(column.title));
      if (
        column.flexible === true &&
        (widths[index] ?? 0) > least &&
        (widest < 0 || (widths[index] ?? 0) > (widths[widest] ?? 0))
      )
        widest = index;
    }
    if (widest < 0) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
}

/** One line of printable text: what a name or command brings along must not move the cursor. */
export function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are exactly what is meant
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, ' ');
}

export function cut(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let out = '';
  let used = 0;
  for (const letter of text) {
    const wide = displayWidth(letter);
    if (used + wide > width - 1) break;
    out += letter;
    used += wide;
  }
  return `${out}…`;
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - displayWidth(text)));
}

/** Columns on a terminal: two for East Asian wide letters (UAX #11), none for combining marks. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const letter of text) {
    if (/\p{Mark}|\u200d/u.test(letter)) continue;
    width +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u.test(
        letter,
      )
        ? 2
        : 1;
  }
  return width;
}
