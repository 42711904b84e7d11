import { type NftSet, printCommand, setAdd, setDelete } from '../nftables/index.ts';
import { runIn } from './command.ts';
import { addedOnce, inEach, orNothing, tableKey } from './nft-table.ts';
import type { FactBase, FactKind } from './types.ts';

/** A set or a map of one of our tables, without its elements. @see nft(8) SETS, MAPS */
export interface NftSetFact extends FactBase {
  readonly kind: 'nft-set';
  readonly set: NftSet;
}

export const nftSetKind: FactKind<NftSetFact> = {
  key: (fact) => setKey(fact.ns, fact.set),
  // exclusive: what was there already must not go when a later fact is refused
  add: addedOnce((fact) => ({
    via: 'nftables',
    ns: fact.ns,
    requests: [setAdd(fact.set, { exclusive: true })],
  })),
  change: () => undefined,
  delete: (fact) => ({ via: 'nftables', ns: fact.ns, requests: [setDelete(fact.set)] }),
  async read(kernel, ns) {
    return await inEach(async (table): Promise<readonly NftSetFact[]> => {
      return (await orNothing(kernel.nft(ns).sets(table))).map((set) => ({ kind: 'nft-set', ns, object: '', set }));
    });
  },
  differences(want, have) {
    const wrong: string[] = [];
    if (String(want.set.type) !== String(have.set.type)) wrong.push('type');
    if (String(want.set.map ?? '') !== String(have.set.map ?? '')) wrong.push('map');
    if (String(want.set.flags ?? []) !== String(have.set.flags ?? [])) wrong.push('flags');
    return wrong;
  },
  describe: ({ set }) => `the nftables set ${set.family} ${set.name}`,
  command: (fact, verb) => runIn(fact.ns, printCommand({ set: fact.set }, verb === 'delete' ? 'delete' : 'add')),
  within: (fact) => [tableKey(fact.ns, fact.set)],
};

export function setKey(ns: string, { family, name }: Pick<NftSet, 'family' | 'name'>): string {
  return `nft-set ${ns} ${family} ${name}`;
}
