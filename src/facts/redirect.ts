import {
  clsactEnsure,
  filterDump,
  linkDump,
  parseLink,
  parseQdisc,
  parseRedirect,
  qdiscDump,
  redirectAdd,
} from '../rtnetlink/index.ts';
import { linkKeys } from './address.ts';
import { ipIn, quote } from './command.ts';
import { filterRemoval } from './filter.ts';
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
    const conn = kernel.rtnl(ns);
    const places = (await conn.execute(qdiscDump())).map(parseQdisc).filter((q) => q.kind === 'clsact');
    if (places.length === 0) return [];
    const names = new Map((await conn.execute(linkDump())).map(parseLink).map((link) => [link.index, link.name]));
    const facts: RedirectFact[] = [];
    for (const { index } of places) {
      const dev = names.get(index);
      if (dev === undefined) continue;
      for (const message of await conn.execute(filterDump(index))) {
        const redirect = parseRedirect(message);
        if (redirect?.pref !== TC_HANDLE) continue;
        facts.push({ kind: 'redirect', ns, object: '', dev, to: names.get(redirect.to) ?? '' });
      }
    }
    return facts;
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
