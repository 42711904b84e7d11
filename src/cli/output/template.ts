import { UsageError } from '../errors.ts';

/**
 * The part of Go's text/template that Docker's users write: fields (`.State.Status`), `range`, `if`/`else if`/`else`,
 * `with`, variables, pipelines, and the functions json, index, len, join, lower, upper, title, println, printf, eq,
 * ne, lt, le, gt, ge, not, and, or. `\t` and `\n` stand for a tab and a line break, as on Docker's command line.
 */
export type Template = (data: unknown) => string;

/** @throws UsageError naming what is wrong with the template */
export function compileTemplate(source: string): Template {
  const tokens = lex(source.replaceAll('\\t', '\t').replaceAll('\\n', '\n'));
  const parser = new Parser(tokens);
  const nodes = parser.block([]);
  return (data) => run(nodes, { dot: data, root: data, variables: new Map() });
}

interface Scope {
  readonly dot: unknown;
  readonly root: unknown;
  readonly variables: Map<string, unknown>;
}
type Node = (scope: Scope) => string;
type Value = (scope: Scope) => unknown;
type Token = { readonly text: string } | { readonly action: string };

function lex(source: string): Token[] {
  const tokens: Token[] = [];
  let rest = source;
  let trim = false;
  for (;;) {
    const open = rest.indexOf('{{');
    let text = open < 0 ? rest : rest.slice(0, open);
    if (trim) text = text.trimStart();
    if (open < 0) {
      if (text !== '') tokens.push({ text });
      return tokens;
    }
    const close = rest.indexOf('}}', open);
    if (close < 0) throw new UsageError('the template opens {{ and never closes it');
    let action = rest.slice(open + 2, close);
    if (/^-\s/.test(action)) {
      text = text.trimEnd();
      action = action.slice(1);
    }
    trim = /\s-$/.test(action);
    if (trim) action = action.slice(0, -1);
    if (text !== '') tokens.push({ text });
    tokens.push({ action: action.trim() });
    rest = rest.slice(close + 2);
  }
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  /** Nodes up to one of `ends`, which is left for the caller; without ends, to the end of the template. */
  block(ends: readonly string[]): Node[] {
    const nodes: Node[] = [];
    for (;;) {
      const token = this.#tokens[this.#at];
      if (token === undefined) {
        if (ends.length > 0) throw new UsageError('the template lacks an {{end}}');
        return nodes;
      }
      if ('action' in token && ends.includes(token.action.split(/\s/)[0] ?? '')) return nodes;
      this.#at++;
      if ('text' in token) nodes.push(() => token.text);
      else if (!token.action.startsWith('/*')) nodes.push(this.#action(token.action));
    }
  }

  #action(action: string): Node {
    const word = /^\w+/.exec(action)?.[0] ?? '';
    const rest = action.slice(word.length).trim();
    if (word === 'range') return this.#range(rest);
    if (word === 'if' || word === 'with') return this.#branch(word, rest);
    if (word === 'end' || word === 'else') throw new UsageError(`the template has {{${word}}} without a beginning`);
    const assign = /^(\$\w+)\s*:?=\s*(.+)$/s.exec(action);
    if (assign !== null) {
      const value = parsePipeline(assign[2] ?? '');
      return (scope) => {
        scope.variables.set(assign[1] ?? '', value(scope));
        return '';
      };
    }
    const value = parsePipeline(action);
    return (scope) => show(value(scope));
  }

  #range(head: string): Node {
    const named = /^(?:(\$\w+)\s*,\s*)?(\$\w+)\s*:=\s*(.+)$/s.exec(head);
    const value = parsePipeline(named?.[3] ?? head);
    const body = this.block(['end', 'else']);
    const otherwise = this.#otherwise();
    return (scope) => {
      const entries = entriesOf(value(scope));
      if (entries.length === 0) return run(otherwise, scope);
      return entries
        .map(([key, item]) => {
          const variables = new Map(scope.variables);
          if (named?.[1] !== undefined) variables.set(named[1], key);
          if (named?.[2] !== undefined) variables.set(named[2], item);
          return run(body, { ...scope, dot: item, variables });
        })
        .join('');
    };
  }

  #branch(word: string, head: string): Node {
    const value = parsePipeline(head);
    const body = this.block(['end', 'else']);
    const otherwise = this.#otherwise();
    return (scope) => {
      const found = value(scope);
      return isTrue(found) ? run(body, word === 'with' ? { ...scope, dot: found } : scope) : run(otherwise, scope);
    };
  }

  /** `{{else}} … {{end}}`, `{{else if …}} … {{end}}`, or `{{end}}`. */
  #otherwise(): Node[] {
    const token = this.#tokens[this.#at++];
    const action = token !== undefined && 'action' in token ? token.action : '';
    if (action === 'end') return [];
    if (action === 'else') {
      const nodes = this.block(['end']);
      this.#at++;
      return nodes;
    }
    return [this.#action(action.slice('else'.length).trim())];
  }
}

function run(nodes: readonly Node[], scope: Scope): string {
  return nodes.map((node) => node(scope)).join('');
}

const WORD =
  /\s*(\(|\)(?:\.\w+)*|\||"(?:[^"\\]|\\.)*"|`[^`]*`|'[^']*'|\$\w*(?:\.\w+)*|\.(?:\w+(?:\.\w+)*)?|-?\d+(?:\.\d+)?|\w+)/y;

function parsePipeline(source: string): Value {
  const words: string[] = [];
  WORD.lastIndex = 0;
  while (WORD.lastIndex < source.length) {
    const before = WORD.lastIndex;
    const found = WORD.exec(source);
    if (found === null) {
      if (source.slice(before).trim() === '') break;
      throw new UsageError(`the template has "${source.slice(before).trim()}", which is not understood`);
    }
    words.push(found[1] ?? '');
  }
  if (words.length === 0) throw new UsageError('the template has an empty {{}}');
  const [value, used] = pipeline(words, 0);
  if (used < words.length) throw new UsageError(`the template has "${words[used]}" where nothing may stand`);
  return value;
}

function pipeline(words: readonly string[], start: number): [Value, number] {
  let [value, at] = call(words, start, undefined);
  while (words[at] === '|') [value, at] = call(words, at + 1, value);
  return [value, at];
}

function call(words: readonly string[], start: number, piped: Value | undefined): [Value, number] {
  const operands: Value[] = [];
  let at = start;
  const name = words[at] ?? '';
  const isFunction = /^[a-z]\w*$/i.test(name) && !['true', 'false', 'nil'].includes(name);
  if (isFunction) at++;
  while (at < words.length && words[at] !== '|' && words[at]?.startsWith(')') !== true) {
    if (words[at] === '(') {
      const [value, next] = pipeline(words, at + 1);
      const close = words[next];
      if (close?.startsWith(')') !== true) throw new UsageError('the template opens ( and never closes it');
      // `(index .Ports "80/tcp").HostPort`: the fields stand at the bracket.
      const path = close.split('.').slice(1);
      operands.push((scope) => follow(value(scope), path));
      at = next + 1;
    } else operands.push(operand(words[at++] ?? ''));
  }
  if (piped !== undefined) operands.push(piped);
  if (!isFunction) {
    const [only] = operands;
    if (only === undefined || operands.length > 1)
      throw new UsageError('the template has several values where one belongs');
    return [only, at];
  }
  const body = FUNCTIONS[name];
  if (body === undefined)
    throw new UsageError(`the template calls "${name}"`, `Known are ${Object.keys(FUNCTIONS).join(', ')}.`);
  return [(scope) => body(...operands.map((each) => each(scope))), at];
}

function operand(word: string): Value {
  if (word.startsWith('"')) return constant(JSON.parse(word));
  if (word.startsWith('`') || word.startsWith("'")) return constant(word.slice(1, -1));
  if (/^-?\d/.test(word)) return constant(Number(word));
  if (word === 'true' || word === 'false') return constant(word === 'true');
  if (word === 'nil') return constant(undefined);
  if (word.startsWith('$')) {
    const [name = '$', ...path] = word.split('.');
    return (scope) => follow(name === '$' ? scope.root : scope.variables.get(name), path);
  }
  if (word.startsWith('.')) {
    const path = word === '.' ? [] : word.slice(1).split('.');
    return (scope) => follow(scope.dot, path);
  }
  throw new UsageError(
    `the template has "${word}", which is not understood`,
    "A field begins with a dot: '{{.Name}}'.",
  );
}

function constant(value: unknown): Value {
  return () => value;
}

function follow(value: unknown, path: readonly string[]): unknown {
  let here = value;
  for (const name of path) {
    if (here === undefined || here === null) return undefined;
    if (typeof here !== 'object' || Array.isArray(here))
      throw new UsageError(`the template asks for .${name} of what has no fields`);
    if (!Object.hasOwn(here, name)) {
      const known = Object.keys(here);
      // A map's missing key is empty; a record's missing field is a mistake worth telling.
      if (known.length > 0 && /^[A-Z]/.test(known[0] ?? ''))
        throw new UsageError(`there is no field .${name}`, `There are ${known.map((each) => `.${each}`).join(' ')}.`);
      return undefined;
    }
    here = (here as Record<string, unknown>)[name];
  }
  return here;
}

function entriesOf(value: unknown): [unknown, unknown][] {
  if (Array.isArray(value)) return value.map((item, index) => [index, item]);
  if (typeof value === 'object' && value !== null) return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return [];
}

function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return value !== undefined && value !== null && value !== false && value !== 0 && value !== '';
}

/** Go's fmt for plain values; lists and maps as fmt prints them. */
function show(value: unknown): string {
  if (value === undefined || value === null) return '<no value>';
  if (Array.isArray(value)) return `[${value.map(show).join(' ')}]`;
  if (typeof value === 'object')
    return `map[${entriesOf(value)
      .map(([key, item]) => `${String(key)}:${show(item)}`)
      .join(' ')}]`;
  return String(value);
}

const equal = (a: unknown, ...others: unknown[]): boolean => others.includes(a);
const order = (a: unknown, b: unknown): number =>
  typeof a === 'number' && typeof b === 'number' ? a - b : String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0;

const FUNCTIONS: Readonly<Record<string, (...args: unknown[]) => unknown>> = {
  json: (value) => JSON.stringify(value ?? null),
  index: (value, ...keys) =>
    keys.reduce<unknown>(
      (here, key) =>
        Array.isArray(here) ? here[Number(key)] : (here as Record<string, unknown> | undefined)?.[String(key)],
      value,
    ),
  len: (value) => (typeof value === 'string' ? value.length : entriesOf(value).length),
  join: (value, separator) => (Array.isArray(value) ? value.map(String).join(String(separator)) : String(value)),
  split: (value, separator) => String(value).split(String(separator)),
  lower: (value) => String(value).toLowerCase(),
  upper: (value) => String(value).toUpperCase(),
  title: (value) => String(value).replaceAll(/\b\w/g, (letter) => letter.toUpperCase()),
  println: (...values) => `${values.map(show).join(' ')}\n`,
  print: (...values) => values.map(show).join(''),
  printf: (form, ...values) => {
    let at = 0;
    return String(form).replaceAll(/%(?:%|-?\d*[svdq])/g, (verb) => format(verb, () => values[at++]));
  },
  eq: equal,
  ne: (a, b) => a !== b,
  lt: (a, b) => order(a, b) < 0,
  le: (a, b) => order(a, b) <= 0,
  gt: (a, b) => order(a, b) > 0,
  ge: (a, b) => order(a, b) >= 0,
  not: (value) => !isTrue(value),
  and: (...values) => values.find((value) => !isTrue(value)) ?? values.at(-1),
  or: (...values) => values.find(isTrue) ?? values.at(-1),
};

function format(verb: string, next: () => unknown): string {
  if (verb === '%%') return '%';
  const value = next();
  const shown = verb.endsWith('q') ? JSON.stringify(String(value)) : show(value);
  const width = Number(/\d+/.exec(verb)?.[0] ?? 0);
  return verb.startsWith('%-') ? shown.padEnd(width) : shown.padStart(width);
}
