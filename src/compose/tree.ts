import type { Alias, Document, Node, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import { inFileOrder, type Position, type Problem } from './errors.ts';
import { interpolate, type Lookup } from './interpolate.ts';

/** A YAML file as plain nodes that know where they stand: aliases and merge keys resolved, variables put in. */
export type Tree = ScalarTree | ListTree | MapTree;
export interface ScalarTree {
  readonly kind: 'scalar';
  readonly at: Position;
  readonly value: string | number | boolean | null;
  /** As it is written, so that a version `1.10` stays one. */
  readonly text: string;
  readonly tag: MergeTag;
}
export interface ListTree {
  readonly kind: 'list';
  readonly at: Position;
  readonly items: readonly Tree[];
  readonly tag: MergeTag;
}
export interface MapTree {
  readonly kind: 'map';
  readonly at: Position;
  readonly entries: ReadonlyMap<string, Entry>;
  readonly tag: MergeTag;
}
export interface Entry {
  readonly keyAt: Position;
  readonly value: Tree;
}
/** `!reset` and `!override` say how a value meets the one of an earlier file. */
export type MergeTag = '' | 'reset' | 'override';

export interface Loaded {
  /** Undefined for an empty file, or one that is no YAML. */
  readonly tree: Tree | undefined;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** More nodes than any honest file has: a few aliases of aliases make billions. */
const MAX_NODES = 200_000;

/** Reads one YAML document (1.2, core schema). Never throws for what the file says: everything wrong is a problem. */
export async function loadTree(file: string, text: string, lookup: Lookup): Promise<Loaded> {
  // 20 ms of start-up that every other command line need not pay
  // the package is CommonJS: bundled, it has its names only below this one
  const { default: yaml } = (await import('yaml')) as unknown as { readonly default: typeof import('yaml') };
  const lines = new yaml.LineCounter();
  const document = yaml.parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    keepSourceTokens: false,
    version: '1.2',
  });
  const position = (offset: number | undefined): Position => {
    const { line, col } = lines.linePos(offset ?? 0);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const problems: Problem[] = document.errors.map((error) => ({
    at: position(error.pos[0]),
    path: '',
    message: `no valid YAML: ${error.message.split('\n')[0]}`,
    cure: '',
  }));
  const warnings: Problem[] = [];
  if (problems.length > 0 || document.contents === null) return { tree: undefined, problems, warnings };
  const builder = new Builder(yaml, document, position, lookup, problems, warnings);
  const tree = builder.build(document.contents, []);
  return { tree, problems: inFileOrder(problems), warnings };
}

class Builder {
  readonly #yaml: typeof import('yaml');
  readonly #document: Document;
  readonly #position: (offset: number | undefined) => Position;
  readonly #lookup: Lookup;
  readonly #problems: Problem[];
  readonly #warnings: Problem[];
  readonly #unset = new Set<string>();
  #nodes = 0;

  constructor(
    yaml: typeof import('yaml'),
    document: Document,
    position: (offset: number | undefined) => Position,
    lookup: Lookup,
    problems: Problem[],
    warnings: Problem[],
  ) {
    this.#yaml = yaml;
    this.#document = document;
    this.#position = position;
    this.#lookup = lookup;
    this.#problems = problems;
    this.#warnings = warnings;
  }

  /** `open` holds the nodes being built, to see an alias inside its own anchor. */
  build(node: Node | null, open: readonly Node[]): Tree {
    const at = this.#position(node?.range?.[0]);
    const none: ScalarTree = { kind: 'scalar', at, value: null, text: '', tag: '' };
    if (node === null) return none;
    if (++this.#nodes > MAX_NODES) {
      if (this.#nodes === MAX_NODES + 1)
        this.#fail(at, `more than ${MAX_NODES} values; its aliases multiply each other`);
      return none;
    }
    if (this.#yaml.isAlias(node)) {
      const target = this.#resolve(node, open);
      return target === undefined ? none : this.build(target, open);
    }
    const tag = this.#tag(node, at);
    if (this.#yaml.isMap(node)) return { kind: 'map', at, entries: this.#entries(node, [...open, node]), tag };
    if (this.#yaml.isSeq(node)) {
      const inside = [...open, node];
      return {
        kind: 'list',
        at,
        items: (node as YAMLSeq<Node | null>).items.map((item) => this.build(item, inside)),
        tag,
      };
    }
    return { kind: 'scalar', at, ...this.#scalar(node, at), tag };
  }

  #entries(node: YAMLMap, open: readonly Node[]): Map<string, Entry> {
    const own = new Map<string, Entry>();
    const merged = new Map<string, Entry>();
    for (const pair of node.items as Pair<Node, Node | null>[]) {
      const keyAt = this.#position(pair.key?.range?.[0]);
      if (!this.#yaml.isScalar(pair.key)) {
        this.#fail(keyAt, 'a key must be one word or a quoted text');
      } else if (pair.key.value === '<<' && pair.key.type === 'PLAIN') {
        this.#merge(pair.value, keyAt, open, merged);
      } else {
        own.set(pair.key.value === null ? '' : String(pair.key.value), { keyAt, value: this.build(pair.value, open) });
      }
    }
    // own keys win wherever `<<` stands, but the order people wrote stays: merged first
    for (const [key, entry] of own) merged.set(key, entry);
    return merged;
  }

  #merge(value: Node | null, at: Position, open: readonly Node[], into: Map<string, Entry>): void {
    const sources = this.#yaml.isSeq(value) ? (value as YAMLSeq<Node | null>).items : [value];
    for (const source of sources) {
      const tree = this.build(source, open);
      if (tree.kind !== 'map') {
        this.#fail(at, '"<<" takes a map, an alias of a map, or a list of them');
        continue;
      }
      for (const [key, entry] of tree.entries) if (!into.has(key)) into.set(key, entry);
    }
  }

  #resolve(alias: Alias, open: readonly Node[]): Node | undefined {
    const at = this.#position(alias.range?.[0]);
    const target = alias.resolve(this.#document) as Node | undefined;
    if (target === undefined) this.#fail(at, `there is no anchor &${alias.source} above`);
    else if (open.includes(target)) this.#fail(at, `the alias *${alias.source} stands inside its own anchor`);
    else return target;
    return undefined;
  }

  #scalar(node: Scalar, at: Position): { value: ScalarTree['value']; text: string } {
    const { value } = node;
    if (typeof value !== 'string') {
      const text = node.source ?? String(value);
      return typeof value === 'number' || typeof value === 'boolean' ? { value, text } : { value: null, text: '' };
    }
    const result = interpolate(value, this.#lookup);
    if (result.error !== undefined) this.#fail(at, result.error);
    for (const name of result.unset) {
      if (this.#unset.has(name)) continue;
      this.#unset.add(name);
      const cure = 'set it, write ${' + name + ':-default}, or $$ for a dollar sign';
      this.#warnings.push({ at, path: '', message: `the variable ${name} is not set and counts as empty`, cure });
    }
    return { value: result.text, text: result.text };
  }

  #tag(node: Node, at: Position): MergeTag {
    const tag = node.tag ?? '';
    if (tag === '!reset') return 'reset';
    if (tag === '!override') return 'override';
    if (tag.startsWith('!')) this.#fail(at, `the tag ${tag} is unknown; Compose files know !reset and !override`);
    return '';
  }

  #fail(at: Position, message: string): void {
    this.#problems.push({ at, path: '', message, cure: '' });
  }
}
