/** What a name stands for; undefined when it is not set. */
export type Lookup = (name: string) => string | undefined;

export interface Interpolated {
  readonly text: string;
  /** Names used without a default that are not set: they became an empty string. */
  readonly unset: readonly string[];
  /** The first thing that forbids the text: a `${NAME:?message}` without value, or a brace that never closes. */
  readonly error: string | undefined;
}

/**
 * Puts variables into one value: `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:?message}`,
 * `${NAME?message}`, `${NAME:+instead}`, `${NAME+instead}`, nested at will, and `$$` for a dollar sign. With a colon an
 * empty value counts as not set. Any other `$` stands for itself.
 * @see Compose Specification, 12-interpolation.md
 */
export function interpolate(text: string, lookup: Lookup): Interpolated {
  const unset: string[] = [];
  let error: string | undefined;

  const expand = (input: string): string => {
    let output = '';
    let at = 0;
    while (at < input.length) {
      const dollar = input.indexOf('$', at);
      if (dollar < 0) return output + input.slice(at);
      output += input.slice(at, dollar);
      const next = input[dollar + 1];
      if (next === '$') {
        output += '$';
        at = dollar + 2;
      } else if (next === '{') {
        const end = closing(input, dollar + 2);
        if (end < 0) {
          error ??= `"${input.slice(dollar)}" has no closing brace`;
          return output;
        }
        output += braced(input.slice(dollar + 2, end));
        at = end + 1;
      } else {
        const name = /^[A-Za-z_]\w*/.exec(input.slice(dollar + 1))?.[0] ?? '';
        output += name === '' ? '$' : plain(name);
        at = dollar + 1 + name.length;
      }
    }
    return output;
  };
  const plain = (name: string): string => {
    const value = lookup(name);
    if (value === undefined) unset.push(name);
    return value ?? '';
  };
  const braced = (inside: string): string => {
    const match = /^([A-Za-z_]\w*)(?:(:?[-?+])([^]*))?$/.exec(inside);
    if (match === null) {
      error ??= `"\${${inside}}" is no variable`;
      return '';
    }
    const [, name = '', operator, word = ''] = match;
    if (operator === undefined) return plain(name);
    const value = lookup(name);
    const present = value !== undefined && !(operator.startsWith(':') && value === '');
    switch (operator.at(-1)) {
      case '-':
        return present ? value : expand(word);
      case '+':
        return present ? expand(word) : '';
      default:
        if (!present) error ??= `the variable ${name} is required${word === '' ? '' : `: ${expand(word)}`}`;
        return value ?? '';
    }
  };

  return { text: expand(text), unset, error };
}

/** Where the brace that was opened just before `from` closes, counting those opened in between; -1 when it does not. */
function closing(text: string, from: number): number {
  let depth = 1;
  for (let at = from; at < text.length; at++) {
    if (text.startsWith('$$', at)) at++;
    else if (text.startsWith('${', at)) depth++;
    else if (text[at] === '}' && --depth === 0) return at;
  }
  return -1;
}
