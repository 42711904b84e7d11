import { type Fact, kindOf, KINDS, type KernelView } from '../facts/index.ts';
import { keyOf } from './fact-keys.ts';
import type { Netns } from '../kernel/index.ts';
import { type NetlinkConn, rememberDumps, type Request, sameRequest } from '../netlink/index.ts';
import { linkDump, linkGet } from '../rtnetlink/index.ts';
import type { NftConn, NftTable, NftTableName } from '../nftables/index.ts';
import type { Change } from './apply.ts';
import type { Core } from './core.ts';

/** What must be done so that the kernel holds `wanted`: additions and changes, in the order of `wanted`. */
export async function additions(core: Core, wanted: readonly Fact[]): Promise<Change[]> {
  using kernel = core.kernel.scope();
  return await missing(kernel, wanted);
}

export async function missing(kernel: KernelView, wanted: readonly Fact[]): Promise<Change[]> {
  if (wanted.length === 0) return [];
  const there = await readAll(looking(kernel, wanted), wanted);
  const changes: Change[] = [];
  const seen = new Set<string>();
  for (const fact of wanted) {
    const key = keyOf(fact);
    if (seen.has(key)) continue; // two objects may want the same: `lo`, forwarding
    seen.add(key);
    const have = there.get(key);
    if (!have) {
      changes.push({ verb: 'add', fact });
      continue;
    }
    const kind = kindOf(fact);
    if (kind.differences(fact, have).length === 0) continue;
    if (kind.change(fact, have)) changes.push({ verb: 'change', fact, have });
    else changes.push({ verb: 'delete', fact: have }, { verb: 'add', fact });
  }
  return changes;
}

/** What the kernel holds of the kinds, and in the namespaces, that `wanted` speaks of; ours only, by key. */
export async function readAll(kernel: KernelView, wanted: readonly Fact[]): Promise<Map<string, Fact>> {
  const groups = new Map<string, Fact[]>();
  for (const fact of wanted) {
    const group = `${fact.kind} ${fact.ns}`;
    const facts = groups.get(group) ?? [];
    facts.push(fact);
    groups.set(group, facts);
  }
  const there = new Map<string, Fact>();
  for (const facts of groups.values()) {
    const [first] = facts;
    if (!first) continue;
    for (const fact of await kindOf(first).read(kernel, first.ns, facts)) there.set(keyOf(fact), fact);
  }
  return there;
}

/**
 * Everything in one namespace that is ours by the kernel's own marks and not `known`, in the order of the kinds, so that
 * what holds others comes before them. @param kinds all of them by default
 */
export async function surplus(
  kernel: KernelView,
  ns: string,
  known: ReadonlySet<string>,
  kinds: (kind: Fact['kind']) => boolean = () => true,
): Promise<Fact[]> {
  const view = looking(kernel, []);
  const found: Fact[] = [];
  for (const [name, { read }] of Object.entries(KINDS) as [Fact['kind'], { read: Reader }][]) {
    if (!kinds(name)) continue;
    for (const fact of await read(view, ns, [])) if (!known.has(keyOf(fact))) found.push(fact);
  }
  return found;
}
type Reader = (kernel: KernelView, ns: string, wanted: readonly never[]) => Promise<readonly Fact[]>;

/**
 * A view for one comparison, of `wanted` only; of everything where that is empty. Given to several functions of this file,
 * it lets them see the same moment.
 */
export function looking(kernel: KernelView, wanted: readonly Fact[]): KernelView {
  return kernel instanceof Looking ? kernel : new Looking(kernel, wanted);
}

/** Beyond so many links, all of the host's are asked for in one dump: some 4 µs each, against 20 for one by name. */
const FEW = 64;

/**
 * A view for one comparison: each table is read once, however many kinds ask for it, and of the host's links, of which
 * there may be thousands, only those that matter to a few facts.
 */
class Looking implements KernelView {
  readonly #kernel: KernelView;
  readonly #names: readonly string[] | undefined;
  readonly #conns = new Map<string, NetlinkConn>();
  readonly #others = new Map<string, NetlinkConn>();
  readonly #rulesets = new Map<string, NftConn>();

  constructor(kernel: KernelView, wanted: readonly Fact[]) {
    this.#kernel = kernel;
    const names = new Set(wanted.flatMap(linksOf));
    this.#names = names.size > 0 && names.size <= FEW ? [...names] : undefined;
  }
  get indices(): KernelView['indices'] {
    return this.#kernel.indices;
  }
  netns(ns: string): Netns {
    return this.#kernel.netns(ns);
  }
  nft(ns: string): NftConn {
    let conn = this.#rulesets.get(ns);
    if (!conn) this.#rulesets.set(ns, (conn = rememberRuleset(this.#kernel.nft(ns))));
    return conn;
  }
  forget(ns: string): void {
    this.#kernel.forget(ns);
  }
  genetlink(ns: string): NetlinkConn {
    return this.#other('genetlink', ns);
  }
  xfrm(ns: string): NetlinkConn {
    return this.#other('xfrm', ns);
  }
  #other(family: 'genetlink' | 'xfrm', ns: string): NetlinkConn {
    const key = `${family} ${ns}`;
    let conn = this.#others.get(key);
    if (!conn) this.#others.set(key, (conn = rememberDumps(this.#kernel[family](ns))));
    return conn;
  }
  rtnl(ns: string): NetlinkConn {
    let conn = this.#conns.get(ns);
    if (!conn) {
      const names = ns === '' ? this.#names : undefined;
      const narrow = (dump: Request): Request[] | undefined =>
        names && sameRequest(dump, ALL_LINKS) ? names.map((name) => linkGet({ name })) : undefined;
      this.#conns.set(ns, (conn = rememberDumps(this.#kernel.rtnl(ns), narrow)));
    }
    return conn;
  }
}
const ALL_LINKS = linkDump();

/** As `rememberDumps`, for a rule set. */
function rememberRuleset(conn: NftConn): NftConn {
  const heard = new Map<string, unknown>();
  const once = <T>(key: string, ask: () => Promise<T>): Promise<T> => {
    let answer = heard.get(key) as Promise<T> | undefined;
    if (!answer) heard.set(key, (answer = ask()));
    return answer;
  };
  // a table that was not there when it was asked for has nothing in it
  const within = <T>(table: NftTableName, key: string, ask: () => Promise<T[]>): Promise<T[]> =>
    once(key, async () => {
      const tables = (await heard.get(`tables ${table.family}`)) as NftTable[] | undefined;
      return tables && !tables.some(({ name }) => name === table.name) ? [] : await ask();
    });
  const memo: Pick<NftConn, 'tables' | 'chains' | 'rules' | 'sets' | 'elements'> = {
    tables: (family) => once(`tables ${family}`, () => conn.tables(family)),
    chains: (table) => within(table, `chains ${table.family} ${table.name}`, () => conn.chains(table)),
    rules: (table, chain) =>
      within(table, `rules ${table.family} ${table.name} ${chain}`, () => conn.rules(table, chain)),
    sets: (table) => within(table, `sets ${table.family} ${table.name}`, () => conn.sets(table)),
    elements: (set) => once(`elements ${set.family} ${set.table} ${set.name}`, () => conn.elements(set)),
  };
  // all that a reader of facts calls
  return memo as NftConn;
}

/** The host's links whose state a fact speaks of, or whose index or name it needs. */
function linksOf(fact: Fact): string[] {
  if (fact.ns !== '' || fact.kind.startsWith('nft-')) return [];
  const step = kindOf(fact).add(fact);
  const names = step.via === 'rtnetlink' ? [...step.needs] : [];
  if (fact.kind === 'link') names.push(fact.name);
  for (const key of kindOf(fact).within(fact)) if (key.startsWith(HOST_LINK)) names.push(key.slice(HOST_LINK.length));
  return names;
}
const HOST_LINK = 'link  ';
