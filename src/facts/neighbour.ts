import { parseIp } from '../addr/index.ts';
import {
  ipMessages,
  linkDump,
  neighbourDelete,
  neighbourDump,
  neighbourGet,
  neighbourReplace,
  parseLink,
  parseNeighbour,
} from '../rtnetlink/index.ts';
import { linkKeys } from './address.ts';
import { ipIn, placeOf, quote } from './command.ts';
import { readFew } from './few.ts';
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
  /** On a GRE with many ends: the address on the underlay instead. */
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
  async read(kernel, ns, wanted) {
    const conn = kernel.rtnl(ns);
    const names = new Map((await conn.execute(linkDump())).map(parseLink).map((link) => [link.index, link.name]));
    const indices = new Map([...names].map(([index, name]) => [name, index]));
    const few = await readFew(
      conn,
      wanted.flatMap(({ dev, address }) => {
        const index = indices.get(dev);
        return index === undefined ? [] : [neighbourGet({ index, dst: address })];
      }),
    );
    return ipMessages(few ?? (await conn.execute(neighbourDump())))
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
