import { clsactEnsure, parseRedirect, redirectAdd } from '../rtnetlink/index.ts';
import { linkKeys } from './address.ts';
import { ipIn, quote } from './command.ts';
import { filterRemoval, filtersIn } from './filter.ts';
import { TC_HANDLE } from './ours.ts';
import type { FactBase, FactKind } from './types.ts';

/**
 * Everything that comes in by a link takes the way by an ifb, whose queue can make it wait, and then goes on as if it had
 * just come in. Ours by the filter's preference. @see tc-mirred(8)
 */
export interface RedirectFact extends FactBase {
  readonly kind: 'redirect';
  readonly dev: string;
  /** Name of the ifb. */
  readonly to: string;
}

export const redirectKind: FactKind<RedirectFact> = {
  key: (fact) => `redirect ${fact.ns} ${fact.dev}`,
  add: (fact) => ({
    via: 'rtnetlink',
    ns: fact.ns,
    needs: [fact.dev, fact.to],
    requests(index) {
      const dev = index(fact.dev);
      return [clsactEnsure(dev), redirectAdd({ index: dev, pref: TC_HANDLE, to: index(fact.to) })];
    },
  }),
  change: () => undefined,
  delete: (fact) => filterRemoval(fact.ns, fact.dev, { pref: TC_HANDLE }),
  async read(kernel, ns) {
    const { found, names } = await filtersIn(kernel.rtnl(ns), ['ingress'], parseRedirect);
    return found
      .filter(({ pref }) => pref === TC_HANDLE)
      .map(({ dev, to }) => ({ kind: 'redirect', ns, object: '', dev, to: names.get(to) ?? '' }));
  },
  differences: (want, have) => (want.to === have.to ? [] : ['to']),
  describe: (fact) => `the redirection of what comes in by ${fact.dev}`,
  command({ ns, dev, to }, verb) {
    const tc = ipIn(ns, 'tc');
    if (verb === 'delete') {
      const show = (direction: string): string => `${tc} filter show dev ${quote(dev)} ${direction}`;
      return (
        `${tc} filter delete dev ${quote(dev)} ingress pref ${TC_HANDLE} && ` +
        `{ [ -n "$(${show('ingress')}; ${show('egress')})" ] || ${tc} qdisc delete dev ${quote(dev)} clsact; }`
      );
    }
    return (
      `${tc} qdisc add dev ${quote(dev)} clsact && ${tc} filter add dev ${quote(dev)} ingress pref ${TC_HANDLE} ` +
      `protocol all handle 800::800 u32 match u32 0 0 action mirred egress redirect dev ${quote(to)}`
    );
  },
  // without its ifb, the filter drops what it gets
  within: (fact) => linkKeys(fact.ns, fact.dev),
};
