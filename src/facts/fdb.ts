import {
  fdbDelete,
  fdbDump,
  fdbGet,
  type FdbEntry,
  fdbReplace,
  type FdbSpec,
  linkDump,
  parseFdb,
  parseLink,
} from '../rtnetlink/index.ts';
import { linkKeys } from './address.ts';
import { ipIn, quote } from './command.ts';
import { readFew } from './few.ts';
import { isOurs } from './link.ts';
import type { FactBase, FactKind } from './types.ts';

/**
 * By which way frames for an address leave, once and for all. Ours because the tunnel is: the kernel keeps no
 * NDA_PROTOCOL of a forwarding database. @see bridge(8) "fdb"
 */
export interface FdbFact extends FactBase {
  readonly kind: 'fdb';
  /** A VXLAN of ours. */
  readonly dev: string;
  readonly mac: string;
  /** `self`: the device's own table, which says on what host the address is; `master`: that of the bridge above it. */
  readonly table: 'self' | 'master';
  /** The host, an address of the device's family; empty for `master`. */
  readonly dst: string;
}

export const fdbKind: FactKind<FdbFact> = {
  key: (fact) => `fdb ${fact.ns} ${fact.dev} ${fact.mac} ${fact.table}`,
  // an address may have been behind another port, or on another host, before
  add: (fact) => ({
    via: 'rtnetlink',
    ns: fact.ns,
    needs: [fact.dev],
    requests: (index) => [fdbReplace(specOf(fact, index(fact.dev)))],
  }),
  change: (want) => fdbKind.add(want),
  delete: (fact) => ({
    via: 'rtnetlink',
    ns: fact.ns,
    needs: [fact.dev],
    requests: (index) => [fdbDelete(specOf(fact, index(fact.dev)))],
  }),
  async read(kernel, ns, wanted) {
    const conn = kernel.rtnl(ns);
    const names = new Map<number, string>();
    for (const link of (await conn.execute(linkDump())).map(parseLink))
      if (link.info?.kind === 'vxlan' && isOurs(link)) names.set(link.index, link.name);
    if (names.size === 0) return [];
    const indices = new Map([...names].map(([index, name]) => [name, index]));
    const few = await readFew(
      conn,
      wanted.flatMap(({ dev, mac, table }) => {
        const index = indices.get(dev);
        return index === undefined ? [] : [fdbGet({ index, mac, table })];
      }),
    );
    return (few ?? (await conn.execute(fdbDump()))).flatMap((message): FdbFact[] => {
      const entry = parseFdb(message);
      const dev = names.get(entry.index);
      return dev !== undefined && isSettled(entry) ? [factOf(entry, ns, dev)] : [];
    });
  },
  differences: (want, have) => (want.dst === have.dst ? [] : ['dst']),
  describe: (fact) => `the forwarding entry ${fact.mac} of ${fact.dev}${fact.table === 'master' ? "'s bridge" : ''}`,
  command(fact, verb) {
    const words = [ipIn(fact.ns, 'bridge'), 'fdb', verb === 'delete' ? 'delete' : 'replace', fact.mac];
    words.push('dev', quote(fact.dev));
    if (fact.table === 'self') words.push(`dst ${fact.dst} self permanent`);
    else words.push('master static');
    return words.join(' ');
  },
  within: (fact) => linkKeys(fact.ns, fact.dev),
};

/** Not learned, and not the address of the device itself. */
function isSettled({ master, state, dst }: FdbEntry): boolean {
  return master === 0 ? state === 'permanent' && dst !== '' : state === 'static';
}

function specOf({ mac, table, dst }: FdbFact, index: number): FdbSpec {
  return table === 'self'
    ? { index, mac, dst, flags: ['self'], state: 'permanent' }
    : { index, mac, flags: ['master'], state: 'static' };
}

function factOf({ mac, master, dst }: FdbEntry, ns: string, dev: string): FdbFact {
  return { kind: 'fdb', ns, object: '', dev, mac, table: master === 0 ? 'self' : 'master', dst };
}
