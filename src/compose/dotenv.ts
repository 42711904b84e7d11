import { NetloomError } from '../errors.ts';
import { interpolate, type Lookup } from './interpolate.ts';

/**
 * Reads an environment file: `NAME=value`, `export NAME=value`, comments, 'literal' and "interpolated" values (which may
 * go over several lines; double quotes know \n \r \t \" \\ \$). An unquoted value ends at ` #`. A name alone takes its
 * value from `lookup`, and is left out where there is none. Later lines see earlier ones.
 * @throws NetloomError EENVFILE, with file and line.
 * @see Compose Specification, 05-services.md, env_file
 */
export function parseEnvFile(text: string, file: string, lookup: Lookup): Map<string, string> {
  const values = new Map<string, string>();
  const see: Lookup = (name) => values.get(name) ?? lookup(name);
  let at = 0;
  let line = 1;
  const fail = (message: string): never => {
    throw new NetloomError('EENVFILE', `${file}:${line}: ${message}`);
  };
  const fill = (value: string): string => {
    const result = interpolate(value, see);
    return result.error === undefined ? result.text : fail(result.error);
  };

  while (at < text.length) {
    const end = endOfLine(text, at);
    const head = /^[ \t]*(?:export[ \t]+)?([A-Za-z_][\w.-]*)[ \t]*(=?)[ \t]*/.exec(text.slice(at, end));
    if (head === null) {
      const rest = text.slice(at, end).trim();
      if (rest !== '' && !rest.startsWith('#')) fail(`"${rest}" is not NAME=value`);
      at = end + 1;
      line += 1;
      continue;
    }
    const [matched, name = '', equals] = head;
    at += matched.length;
    const quote = text[at];
    if (equals === '') {
      const rest = text.slice(at, end).trim();
      if (rest !== '' && !rest.startsWith('#'))
        fail(`"${text.slice(at - matched.length, end).trim()}" is not NAME=value`);
      const value = lookup(name);
      if (value !== undefined) values.set(name, value);
      at = end + 1;
      line += 1;
    } else if (at < end && (quote === '"' || quote === "'")) {
      const close = closingQuote(text, at);
      if (close < 0) fail(`the quote of ${name} does not close`);
      const inside = text.slice(at + 1, close);
      const after = endOfLine(text, close);
      const rest = text.slice(close + 1, after).trim();
      if (rest !== '' && !rest.startsWith('#')) fail(`"${rest}" stands behind the closing quote of ${name}`);
      values.set(name, quote === "'" ? inside : unescape(inside, fill));
      line += text.slice(at, after).split('\n').length;
      at = after + 1;
    } else {
      values.set(
        name,
        fill(
          text
            .slice(at, end)
            .replace(/(?:^|[ \t]+)#.*$/, '')
            .trim(),
        ),
      );
      at = end + 1;
      line += 1;
    }
  }
  return values;
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end;
}

function closingQuote(text: string, open: number): number {
  const quote = text[open];
  for (let at = open + 1; at < text.length; at++) {
    if (quote === '"' && text[at] === '\\') at++;
    else if (text[at] === quote) return at;
  }
  return -1;
}

/** Escapes first become dollar-safe text, so that `\$` never starts a variable. */
function unescape(text: string, fill: (value: string) => string): string {
  const named: Record<string, string> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\', $: '$$' };
  return fill(text.replace(/\\([^])/g, (whole, letter: string) => named[letter] ?? whole));
}
