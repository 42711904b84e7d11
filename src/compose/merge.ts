import type { Entry, ListTree, MapTree, ScalarTree, Tree } from './tree.ts';

/**
 * Puts a later file over an earlier one: maps join key by key, lists are appended, everything else is replaced, and a
 * value tagged `!reset` or `!override` does as it says. @see Compose Specification, 13-merge.md
 */
export function mergeTrees(base: Tree, over: Tree, path: readonly string[] = []): Tree {
  if (over.tag === 'override') return over;
  const key = serviceKey(path);
  if (REPLACED.has(key)) return over;
  if (base.kind === 'scalar' && base.value === null) return over;
  if (key in AS_MAP) return joinMaps(asMap(base, AS_MAP[key]!), asMap(over, AS_MAP[key]!), path);
  if (base.kind === 'map' && over.kind === 'map') return joinMaps(base, over, path);
  if (LISTS.has(key) || (base.kind === 'list' && over.kind === 'list')) return append(asList(base), asList(over), key);
  return over;
}

/** Takes `!reset` values out of a tree that stands alone: there is nothing that they could reset. */
export function dropResets(tree: Tree): Tree {
  if (tree.kind === 'list')
    return { ...tree, items: tree.items.filter((item) => item.tag !== 'reset').map(dropResets) };
  if (tree.kind !== 'map') return tree;
  const kept = [...tree.entries].filter(([, entry]) => entry.value.tag !== 'reset');
  return { ...tree, entries: new Map(kept.map(([key, entry]) => [key, { ...entry, value: dropResets(entry.value) }])) };
}

/** Commands are one value, not a list of values. */
const REPLACED: ReadonlySet<string> = new Set(['command', 'entrypoint', 'healthcheck.test']);
/** One value or a list of them, as people like. */
const LISTS: ReadonlySet<string> = new Set(['dns', 'dns_search', 'env_file']);
/** Maps that may be written as lists, with what stands between key and value there; empty where a list has keys only. */
const AS_MAP: Readonly<Record<string, string>> = {
  environment: '=',
  labels: '=',
  annotations: '=',
  sysctls: '=',
  extra_hosts: ':=',
  depends_on: '',
  networks: '',
};

/** The key inside a service that a path names: `ports` for services.web.ports; empty elsewhere. */
function serviceKey(path: readonly string[]): string {
  return path[0] === 'services' && path.length >= 3 ? path.slice(2).join('.') : '';
}

function joinMaps(base: Tree, over: Tree, path: readonly string[]): Tree {
  if (base.kind !== 'map' || over.kind !== 'map') return over;
  const entries = new Map<string, Entry>(base.entries);
  for (const [key, entry] of over.entries) {
    const before = entries.get(key);
    if (entry.value.tag === 'reset') entries.delete(key);
    else
      entries.set(
        key,
        before === undefined
          ? entry
          : { keyAt: entry.keyAt, value: mergeTrees(before.value, entry.value, [...path, key]) },
      );
  }
  return { kind: 'map', at: over.at, entries, tag: '' };
}

function append(base: ListTree, over: ListTree, key: string): ListTree {
  const kept =
    key === 'ports' ? base.items.filter((item) => !over.items.some((other) => samePort(item, other))) : base.items;
  return { kind: 'list', at: over.at, items: [...kept, ...over.items], tag: '' };
}

/** The same address, host port, container port and protocol: the later file's entry takes the earlier one's place. */
function samePort(a: Tree, b: Tree): boolean {
  return portKey(a) === portKey(b);
}
function portKey(tree: Tree): string {
  if (tree.kind === 'scalar') {
    const [ports = '', protocol = 'tcp'] = tree.text.split('/');
    const parts = /^(?:(.*):)?([\d-]*):([\d-]+)$/.exec(ports);
    return parts === null
      ? ['', '', ports, protocol].join(' ')
      : [parts[1] ?? '', parts[2], parts[3], protocol].join(' ');
  }
  if (tree.kind !== 'map') return '';
  const text = (key: string): string => {
    const value = tree.entries.get(key)?.value;
    return value?.kind === 'scalar' ? value.text : '';
  };
  return [text('host_ip'), text('published'), text('target'), text('protocol') || 'tcp'].join(' ');
}

function asList(tree: Tree): ListTree {
  return tree.kind === 'list' ? tree : { kind: 'list', at: tree.at, items: [tree], tag: '' };
}

function asMap(tree: Tree, separators: string): Tree {
  if (tree.kind !== 'list') return tree;
  const entries = new Map<string, Entry>();
  for (const item of tree.items) {
    // what is no text stays for the reader to complain about
    if (item.kind !== 'scalar') return tree;
    const cut = item.text.search(separators === '' ? /$/ : new RegExp(`[${separators}]`));
    const key = cut < 0 ? item.text : item.text.slice(0, cut);
    const rest: string | null = cut < 0 || separators === '' ? null : item.text.slice(cut + 1);
    const value: ScalarTree = { kind: 'scalar', at: item.at, value: rest, text: rest ?? '', tag: '' };
    entries.set(key, { keyAt: item.at, value });
  }
  const map: MapTree = { kind: 'map', at: tree.at, entries, tag: '' };
  return map;
}
