import {
  elementAdd,
  elementDelete,
  elementId,
  type NftElement,
  type NftSet,
  printCommand,
  sameRest,
} from '../nftables/index.ts';
import { runIn } from './command.ts';
import { setKey } from './nft-set.ts';
import { inEach, orNothing, tableKey } from './nft-table.ts';
import type { FactBase, FactKind } from './types.ts';

/** One element of a set or map of one of our tables: what an endpoint, a port or a network costs in the rule set. @see nft(8) */
export interface NftElementFact extends FactBase {
  readonly kind: 'nft-element';
  readonly set: NftSet;
  readonly element: NftElement;
}

export const nftElementKind: FactKind<NftElementFact> = {
  key: (fact) => `nft-element ${fact.ns} ${fact.set.family} ${fact.set.name} ${elementId(fact.set, fact.element)}`,
  // exclusive: an element that is there with another value must be seen, not overlooked
  add: (fact) => ({
    via: 'nftables',
    ns: fact.ns,
    requests: elementAdd(fact.set, [fact.element], { exclusive: true }),
  }),
  change: (want, have) => ({
    via: 'nftables',
    ns: want.ns,
    requests: [...elementDelete(have.set, [have.element]), ...elementAdd(want.set, [want.element])],
  }),
  delete: (fact) => ({ via: 'nftables', ns: fact.ns, requests: elementDelete(fact.set, [fact.element]) }),
  async read(kernel, ns) {
    const conn = kernel.nft(ns);
    return await inEach(async (table): Promise<readonly NftElementFact[]> => {
      const facts: NftElementFact[] = [];
      for (const set of await orNothing(conn.sets(table))) {
        if (set.flags?.includes('dynamic')) continue; // filled by packets: nobody's wish
        for (const element of await conn.elements(set)) {
          facts.push({ kind: 'nft-element', ns, object: '', set, element });
        }
      }
      return facts;
    });
  },
  differences: (want, have) => (sameRest(want.set, want.element, have.element) ? [] : ['value']),
  describe(fact) {
    const { name } = fact.set;
    const [, text = ''] = printCommand({ set: fact.set, elements: [fact.element] }, 'add').split(`${name} `);
    return `the element ${text} of the nftables set ${fact.set.family} ${name}`;
  },
  command(fact, verb) {
    const one = { set: fact.set, elements: [fact.element] };
    // an element that is there is not replaced by one with the same key
    const verbs = verb === 'change' ? (['delete', 'add'] as const) : [verb];
    return verbs.map((word) => runIn(fact.ns, printCommand(one, word))).join('\n');
  },
  within: (fact) => [setKey(fact.ns, fact.set), tableKey(fact.ns, fact.set)],
};
