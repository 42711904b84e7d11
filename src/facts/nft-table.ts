import { hasCode } from '../errors.ts';
import { printCommand, tableAdd, tableDelete } from '../nftables/index.ts';
import { runIn } from './command.ts';
import { TABLE } from './ours.ts';
import type { FactBase, FactKind } from './types.ts';

/** Our table: everything in it is ours, and nothing of ours is anywhere else. @see nft(8) TABLES */
export interface NftTableFact extends FactBase {
  readonly kind: 'nft-table';
}

/** What names the table, for every kind that lives in it. */
export const OUR_TABLE: { readonly family: 'inet'; readonly name: string } = { family: 'inet', name: TABLE };

export const nftTableKind: FactKind<NftTableFact> = {
  key: (fact) => tableKey(fact.ns),
  // exclusive: what was there already must not go when a later fact is refused
  add: (fact) => ({ via: 'nftables', ns: fact.ns, requests: [tableAdd(OUR_TABLE, { exclusive: true })] }),
  change: () => undefined,
  delete: (fact) => ({ via: 'nftables', ns: fact.ns, requests: [tableDelete(OUR_TABLE)] }),
  async read(kernel, ns) {
    const tables = await kernel.nft(ns).tables('inet');
    return tables.some((table) => table.name === TABLE) ? [{ kind: 'nft-table', ns, object: '' }] : [];
  },
  differences: () => [],
  describe: () => `the nftables table ${OUR_TABLE.name}`,
  command: (fact, verb) => runIn(fact.ns, printCommand({ table: OUR_TABLE }, verb === 'delete' ? 'delete' : 'add')),
  within: (fact) => (fact.ns === '' ? [] : [`netns ${fact.ns}`]),
};

export function tableKey(ns: string): string {
  return `nft-table ${ns}`;
}

/** What a dump of our table gives; nothing where there is no such table. */
export async function orNothing<T>(dump: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await dump;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}
