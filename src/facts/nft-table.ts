import { hasCode } from '../errors.ts';
import { writtenOnce } from '../netlink/index.ts';
import { type NftTableName, printCommand, tableAdd, tableDelete } from '../nftables/index.ts';
import { runIn } from './command.ts';
import { TABLE } from './ours.ts';
import type { FactBase, FactKind, NftablesStep } from './types.ts';

/** One of our tables: everything in them is ours, and nothing of ours is anywhere else. @see nft(8) TABLES */
export interface NftTableFact extends FactBase {
  readonly kind: 'nft-table';
  readonly table: NftTableName;
}

/** What packets are judged by. */
export const OUR_TABLE: { readonly family: 'inet'; readonly name: string } = { family: 'inet', name: TABLE };
/** What frames are judged by, on their way through a bridge. */
export const BRIDGE_TABLE: { readonly family: 'bridge'; readonly name: string } = { family: 'bridge', name: TABLE };
/** What is not tracked, of one family of IP each: packets of the other never pass it. */
export const RAW_TABLES: { readonly [F in 4 | 6]: NftTableName } = {
  4: { family: 'ip', name: TABLE },
  6: { family: 'ip6', name: TABLE },
};
/** All of them, for every kind that lives in one. */
export const OUR_TABLES: readonly NftTableName[] = [OUR_TABLE, BRIDGE_TABLE, RAW_TABLES[4], RAW_TABLES[6]];

export const nftTableKind: FactKind<NftTableFact> = {
  key: (fact) => tableKey(fact.ns, fact.table),
  // exclusive: what was there already must not go when a later fact is refused
  add: (fact) => ({ via: 'nftables', ns: fact.ns, requests: [tableAdd(fact.table, { exclusive: true })] }),
  change: () => undefined,
  delete: (fact) => ({ via: 'nftables', ns: fact.ns, requests: [tableDelete(fact.table)] }),
  async read(kernel, ns) {
    return await inEach(async (table): Promise<readonly NftTableFact[]> => {
      const tables = await kernel.nft(ns).tables(table.family);
      return tables.some(({ name }) => name === table.name) ? [{ kind: 'nft-table', ns, object: '', table }] : [];
    });
  },
  differences: () => [],
  describe: ({ table }) => `the nftables table ${table.family} ${table.name}`,
  command: (fact, verb) => runIn(fact.ns, printCommand({ table: fact.table }, verb === 'delete' ? 'delete' : 'add')),
  within: (fact) => (fact.ns === '' ? [] : [`netns ${fact.ns}`]),
};

export function tableKey(ns: string, { family }: Pick<NftTableName, 'family'>): string {
  return `nft-table ${ns} ${family}`;
}

/**
 * How a fact is added, found out and written once for as long as the fact is there: the shared rule set comes with the first
 * network and goes with the last, and compiling and writing it took as long as the kernel takes for it.
 */
export function addedOnce<F extends FactBase>(add: (fact: F) => NftablesStep): (fact: F) => NftablesStep {
  const known = new WeakMap<F, NftablesStep>();
  return (fact) => {
    let step = known.get(fact);
    if (!step) {
      const { requests, ...rest } = add(fact);
      known.set(fact, (step = { ...rest, requests: requests.map(writtenOnce) }));
    }
    return step;
  };
}

/** What each of our tables gives, together. */
export async function inEach<T>(read: (table: NftTableName) => Promise<readonly T[]>): Promise<readonly T[]> {
  const all: T[] = [];
  for (const table of OUR_TABLES) all.push(...(await read(table)));
  return all;
}

/** What a dump of one of our tables gives; nothing where there is no such table. */
export async function orNothing<T>(dump: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await dump;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}
