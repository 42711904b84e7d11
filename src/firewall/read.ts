import { NetloomError } from '../errors.ts';
import type { NftChain, NftConn, NftElement, NftRule, NftSet, NftTableName } from '../nftables/index.ts';

/** One table of somebody else's, as the kernel holds it. */
export interface ForeignTable {
  readonly name: NftTableName;
  readonly chains: readonly NftChain[];
  /** By chain, in the order in which they run. */
  readonly rules: ReadonlyMap<string, readonly NftRule[]>;
  readonly sets: ReadonlyMap<string, NftSet>;
  /** By set. One that cannot be read is missing: what is in it is unknown. */
  readonly elements: ReadonlyMap<string, readonly NftElement[]>;
}

/** The rule sets of a namespace that are not ours. */
export interface ForeignFirewall {
  readonly tables: readonly ForeignTable[];
  /** Tables that are there and that netloom cannot read, with the reason. */
  readonly unread: readonly string[];
}

/** Reads every table that can hold up a packet, but for `ours`. Nothing is changed. @throws NetlinkError EPERM */
export async function readForeign(conn: NftConn, ours: readonly NftTableName[]): Promise<ForeignFirewall> {
  const tables: ForeignTable[] = [];
  const unread: string[] = [];
  for (const { family, name } of await conn.tables()) {
    if (ours.some((table) => table.family === family && table.name === name)) continue;
    if (family === 'arp' || family === 'netdev') continue; // neither sees packets that are forwarded or delivered
    try {
      tables.push(await readTable(conn, { family, name }));
    } catch (error) {
      if (!(error instanceof NetloomError)) throw error;
      if (error.code === 'ENOENT') continue; // gone meanwhile
      if (error.code === 'EPERM') throw error;
      unread.push(`table ${family} ${name}: ${error.message}`);
    }
  }
  return { tables, unread };
}

async function readTable(conn: NftConn, name: NftTableName): Promise<ForeignTable> {
  const rules = new Map<string, NftRule[]>();
  for (const rule of await conn.rules(name)) rules.set(rule.chain, [...(rules.get(rule.chain) ?? []), rule]);
  const sets = new Map((await conn.sets(name)).map((set) => [set.name, set]));
  const elements = new Map<string, readonly NftElement[]>();
  for (const set of sets.values()) {
    try {
      elements.set(set.name, await conn.elements(set));
    } catch (error) {
      if (!(error instanceof NetloomError)) throw error;
    }
  }
  return { name, chains: await conn.chains(name), rules, sets, elements };
}
