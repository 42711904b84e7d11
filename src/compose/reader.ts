import type { Position, Problem } from './errors.ts';
import { type KeyTable, knownKeys, nearest } from './keys.ts';
import type { Entry, MapTree, Tree } from './tree.ts';

/** What `x-netloom-ignore` says: these keys, or everything that netloom cannot honour. */
export type Ignore = true | ReadonlySet<string>;
export const IGNORE_KEY = 'x-netloom-ignore';

/** Reads trees as the types that keys ask for, and collects everything that is wrong instead of stopping at the first. */
export class Reader {
  readonly problems: Problem[] = [];
  readonly warnings: Problem[] = [];

  fail(at: Position, path: string, message: string, cure = ''): void {
    this.problems.push({ at, path, message, cure });
  }
  warn(at: Position, path: string, message: string, cure = ''): void {
    this.warnings.push({ at, path, message, cure });
  }
  /** A value that the specification allows and netloom cannot honour: an error, unless the file says to ignore `key`. */
  refuse(at: Position, path: string, key: string, ignore: Ignore, reason: string, cure: string): void {
    if (ignore === true || ignore.has(key)) return;
    this.fail(at, path, reason, `${cure}, or list ${key} under ${IGNORE_KEY}`);
  }

  /** The keys of a section that netloom honours, with complaints about all others. A missing value is an empty section. */
  section(tree: Tree, path: string, table: KeyTable, ignore: Ignore): Map<string, Entry> {
    const kept = new Map<string, Entry>();
    const map = this.map(tree, path);
    for (const [key, entry] of map?.entries ?? []) {
      const here = path === '' ? key : `${path}.${key}`;
      const listed = ignore !== true && ignore.has(key);
      if (key.startsWith('x-') || table.noEffect.includes(key) || listed) continue;
      if (table.honoured.includes(key)) kept.set(key, entry);
      else if (key in table.refused) {
        if (ignore !== true)
          this.fail(entry.keyAt, here, table.refused[key]!, `remove the key, or list it under ${IGNORE_KEY}`);
      } else {
        const meant = nearest(key, knownKeys(table));
        this.fail(
          entry.keyAt,
          here,
          'unknown key',
          meant === undefined ? 'private keys start with x-' : `did you mean ${meant}?`,
        );
      }
    }
    return kept;
  }
  /** The section's own `x-netloom-ignore` on top of what stands above it. */
  ignore(tree: Tree, path: string, above: Ignore): Ignore {
    const own = tree.kind === 'map' ? tree.entries.get(IGNORE_KEY) : undefined;
    if (own === undefined) return above;
    const here = path === '' ? IGNORE_KEY : `${path}.${IGNORE_KEY}`;
    if (own.value.kind === 'scalar' && typeof own.value.value === 'boolean') return own.value.value ? true : above;
    const names = this.strings(own.value, here);
    return above === true ? true : new Set([...above, ...(names ?? [])]);
  }

  map(tree: Tree, path: string): MapTree | undefined {
    if (tree.kind === 'map') return tree;
    if (tree.kind === 'scalar' && tree.value === null) return { kind: 'map', at: tree.at, entries: new Map(), tag: '' };
    this.#expected(tree, path, 'a map of keys and values');
    return undefined;
  }
  list(tree: Tree, path: string): readonly Tree[] | undefined {
    if (tree.kind === 'list') return tree.items;
    if (tree.kind === 'scalar' && tree.value === null) return [];
    this.#expected(tree, path, 'a list');
    return undefined;
  }
  /** Text, or a number or boolean as it is written. */
  string(tree: Tree, path: string): string | undefined {
    if (tree.kind === 'scalar' && tree.value !== null) return tree.text;
    this.#expected(tree, path, 'a text');
    return undefined;
  }
  /** A list of texts, or a single one. */
  strings(tree: Tree, path: string): string[] | undefined {
    if (tree.kind === 'scalar' && tree.value !== null) return [tree.text];
    return this.list(tree, path)?.flatMap((item, index) => this.string(item, `${path}[${index}]`) ?? []);
  }
  integer(tree: Tree, path: string, least: number, most: number): number | undefined {
    const value = tree.kind === 'scalar' && /^[+-]?\d+$/.test(tree.text) ? Number(tree.text) : Number.NaN;
    if (value >= least && value <= most) return value;
    this.#expected(tree, path, `a whole number from ${least} to ${most}`);
    return undefined;
  }
  /** `true` and `false`, also as text, which is what a variable gives. */
  boolean(tree: Tree, path: string): boolean | undefined {
    if (tree.kind === 'scalar' && (tree.text === 'true' || tree.text === 'false')) return tree.text === 'true';
    this.#expected(tree, path, 'true or false');
    return undefined;
  }
  /** A map, or a list of `key=value`; null for a key that has no value. */
  pairs(
    tree: Tree,
    path: string,
    separators = '=',
  ): Map<string, { readonly at: Position; readonly value: string | null }> | undefined {
    const pairs = new Map<string, { at: Position; value: string | null }>();
    if (tree.kind === 'list') {
      for (const [index, item] of tree.items.entries()) {
        const text = this.string(item, `${path}[${index}]`);
        if (text === undefined) continue;
        const cut = text.search(new RegExp(`[${separators}]`));
        pairs.set(cut < 0 ? text : text.slice(0, cut), { at: item.at, value: cut < 0 ? null : text.slice(cut + 1) });
      }
      return pairs;
    }
    const map = this.map(tree, path);
    if (map === undefined) return undefined;
    for (const [key, { value }] of map.entries) {
      if (value.kind === 'scalar') pairs.set(key, { at: value.at, value: value.value === null ? null : value.text });
      else this.#expected(value, `${path}.${key}`, 'a text');
    }
    return pairs;
  }
  /** Runs a parser that throws; what it throws becomes a problem here. */
  attempt<T>(at: Position, path: string, parse: () => T): T | undefined {
    try {
      return parse();
    } catch (error) {
      const { message, hint } = error as Error & { hint?: string };
      this.fail(at, path, message, hint ?? '');
      return undefined;
    }
  }

  #expected(tree: Tree, path: string, what: string): void {
    const is =
      tree.kind === 'map'
        ? 'a map'
        : tree.kind === 'list'
          ? 'a list'
          : tree.value === null
            ? 'nothing'
            : JSON.stringify(tree.text);
    this.fail(tree.at, path, `expected ${what}, found ${is}`);
  }
}
