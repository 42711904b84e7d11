import {
  linkDump,
  parseLink,
  parseQdisc,
  qdiscDump,
  rootDelete,
  type Tbf,
  tbfAdd,
  tbfChange,
} from '../rtnetlink/index.ts';
import { linkKeys } from './address.ts';
import { ipIn, quote } from './command.ts';
import { TC_HANDLE } from './ours.ts';
import type { FactBase, FactKind } from './types.ts';

/**
 * A link's root queue that holds a rate: what is sent by it waits its turn. Ours by its handle. One that is not there
 * leaves the link its own default. @see tc-tbf(8)
 */
export interface QdiscFact extends FactBase {
  readonly kind: 'qdisc';
  readonly dev: string;
  readonly tbf: Tbf;
}

export const qdiscKind: FactKind<QdiscFact> = {
  key: (fact) => `qdisc ${fact.ns} ${fact.dev}`,
  add: (fact) => ({
    via: 'rtnetlink',
    ns: fact.ns,
    needs: [fact.dev],
    requests: (index) => [tbfAdd(index(fact.dev), TC_HANDLE, fact.tbf)],
  }),
  // in place: what waits in the queue goes on waiting
  change: (want) => ({
    via: 'rtnetlink',
    ns: want.ns,
    needs: [want.dev],
    requests: (index) => [tbfChange(index(want.dev), TC_HANDLE, want.tbf)],
  }),
  delete: (fact) => ({
    via: 'rtnetlink',
    ns: fact.ns,
    needs: [fact.dev],
    requests: (index) => [rootDelete(index(fact.dev))],
  }),
  async read(kernel, ns) {
    const conn = kernel.rtnl(ns);
    const ours = (await conn.execute(qdiscDump())).map(parseQdisc).filter((q) => q.handle === TC_HANDLE && q.tbf);
    if (ours.length === 0) return [];
    const names = new Map((await conn.execute(linkDump())).map(parseLink).map((link) => [link.index, link.name]));
    return ours.flatMap(({ index, tbf }): QdiscFact[] => {
      const dev = names.get(index);
      return dev === undefined || !tbf ? [] : [{ kind: 'qdisc', ns, object: '', dev, tbf }];
    });
  },
  differences(want, have) {
    const wrong: string[] = [];
    // the kernel holds whole bytes a second, and a burst as the time that it takes, in steps of 64 ns
    if (Math.abs(want.tbf.rate - have.tbf.rate) >= 8) wrong.push('rate');
    if (Math.abs(want.tbf.burst - have.tbf.burst) > 1 + want.tbf.rate * 1.6e-8) wrong.push('burst');
    if (want.tbf.limit !== have.tbf.limit) wrong.push('limit');
    return wrong;
  },
  describe: (fact) => `the rate limit of ${fact.dev}`,
  command({ ns, dev, tbf }, verb) {
    const root = `${ipIn(ns, 'tc')} qdisc ${verb} dev ${quote(dev)} root`;
    if (verb === 'delete') return root;
    return `${root} handle ${TC_HANDLE.toString(16)}: tbf rate ${tbf.rate}bit burst ${tbf.burst} limit ${tbf.limit}`;
  },
  within: (fact) => linkKeys(fact.ns, fact.dev),
};
