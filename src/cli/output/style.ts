import type { Io, Sink } from '../context.ts';

/** Colours and bold of ECMA-48 (SGR). */
const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
export type Style = keyof typeof CODES;

/** Whether a stream shows styles: a terminal, and nobody said NO_COLOR (https://no-color.org). */
export function isStyled(sink: Sink, env: Io['env']): boolean {
  return sink.isTTY === true && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
}

/** `text` in a style where standard output shows it, else as it is. */
export function styler(io: Io): (style: Style, text: string) => string {
  const styled = isStyled(io.stdout, io.env);
  return (style, text) => (styled && text !== '' ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text);
}
