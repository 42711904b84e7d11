import { parseIp } from '../addr/index.ts';
import {
  ipMessages,
  linkDump,
  neighbourDelete,
  neighbourDump,
  neighbourReplace,
  parseLink,
  parseNeighbour,
} from '../rtnetlink/index.ts';
import { linkKeys } from './address.ts';
import { ipIn, placeOf, quote } from './command.ts';
import { PROTOCOL } from './ours.ts';
import type { FactBase, FactKind } from './types.ts';

/**
 * Who has an IP address on a link, once and for all: nobody is asked, and nobody can say otherwise. Ours by
 * NDA_PROTOCOL. @see ip-neighbour(8)
 */
export interface NeighbourFact extends FactBase {
  readonly kind: 'neighbour';
  readonly dev: string;
  /** Without prefix length, canonical. */
  readonly address: string;
  readonly mac: string;
}

export const neighbourKind: FactKind<NeighbourFact> = {
  key: (fact) => `neighbour ${fact.ns} ${fact.dev} ${fact.address}`,
  // one that the kernel has learned is in the way of nobody
  add: (fact) => ({
    via: 'rtnetlink',
    ns: fact.ns,
    needs: [fact.dev],
    requests: (index) => [
      neighbourReplace({ index: index(fact.dev), dst: fact.address, lladdr: fact.mac, protocol: PROTOCOL }),
    ],
  }),
  change: (want) => neighbourKind.add(want),
  delete: (fact) => ({
    via: 'rtnetlink',
    ns: fact.ns,
    needs: [fact.dev],
    requests: (index) => [neighbourDelete({ index: index(fact.dev), dst: fact.address })],
  }),
  async read(kernel, ns) {
    const conn = kernel.rtnl(ns);
    const names = new Map((await conn.execute(linkDump())).map(parseLink).map((link) => [link.index, link.name]));
    return ipMessages(await conn.execute(neighbourDump()))
      .map(parseNeighbour)
      .filter((n) => n.protocol === PROTOCOL && n.state === 'permanent')
      .map((n) => ({
        kind: 'neighbour',
        ns,
        object: '',
        dev: names.get(n.index) ?? '',
        address: n.dst,
        mac: n.lladdr,
      }));
  },
  differences: (want, have) => (want.mac === have.mac ? [] : ['lladdr']),
  describe: (fact) => `the neighbour ${fact.address} on ${fact.dev}${placeOf(fact.ns)}`,
  command(fact, verb) {
    const family = parseIp(fact.address).family === 6 ? ' -6' : '';
    const place = `${fact.address} dev ${quote(fact.dev)}`;
    if (verb === 'delete') return `${ipIn(fact.ns)}${family} neigh delete ${place}`;
    return `${ipIn(fact.ns)}${family} neigh replace ${place} lladdr ${fact.mac} nud permanent protocol ${PROTOCOL}`;
  },
  within: (fact) => linkKeys(fact.ns, fact.dev),
};
