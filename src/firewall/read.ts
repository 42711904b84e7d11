import { NetloomError } from '../errors.ts';
import type { NftChain, NftConn, NftElement, NftRule, NftSet, NftTableName } from '../nftables/index.ts';
import type { Question } from './packet.ts';
import { hasSay } from './verdict.ts';

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
  return await new ForeignTables(ours).read(conn);
}

/**
 * Other programs' tables, read when somebody asks and kept until it is told that they have changed: for a process that
 * hears of every change. @see NFNLGRP_NFTABLES
 */
export class ForeignTables {
  /** How often the kernel was asked. */
  reads = 0;
  readonly #ours: readonly NftTableName[];
  readonly #hooks: readonly Question['hook'][];
  readonly #tables = new Map<string, Kept>();
  #firewall: ForeignFirewall | undefined;
  #current = false;
  #reading: Promise<ForeignFirewall> | undefined;

  /**
   * @param hooks only tables that have a say at one of them are read whole: ten thousand rules of others are left where they
   *   are. Without any, all are read.
   */
  constructor(ours: readonly NftTableName[], ...hooks: readonly Question['hook'][]) {
    this.#ours = ours;
    this.#hooks = hooks;
  }

  /** A table has changed, has come or gone; without a name: any may have. */
  forget(table?: NftTableName): void {
    this.#current = false;
    if (table) this.#tables.delete(keyOf(table));
    else this.#tables.clear();
  }

  /** As they are; the same object as before where nothing was forgotten since. @throws NetlinkError EPERM */
  async read(conn: NftConn): Promise<ForeignFirewall> {
    for (let attempt = 1; ; attempt++) {
      if (this.#current && this.#firewall) return this.#firewall;
      const firewall = await (this.#reading ??= this.#read(conn).finally(() => (this.#reading = undefined)));
      // whoever changes it all the time gets an answer, too
      if (attempt >= TRIES) return firewall;
    }
  }

  async #read(conn: NftConn): Promise<ForeignFirewall> {
    this.reads++;
    this.#firewall = undefined;
    this.#current = true; // until somebody says otherwise, also meanwhile
    const tables: ForeignTable[] = [];
    const unread: string[] = [];
    const there = new Set<string>();
    for (const { family, name } of await conn.tables()) {
      if (this.#ours.some((table) => table.family === family && table.name === name)) continue;
      if (family === 'arp' || family === 'netdev') continue; // neither sees packets that are forwarded or delivered
      const key = keyOf({ family, name });
      there.add(key);
      const kept = this.#tables.get(key) ?? (await this.#readOne(conn, { family, name }, key));
      if (kept?.table) tables.push(kept.table);
      else if (kept?.fault !== undefined) unread.push(kept.fault);
    }
    for (const key of this.#tables.keys()) if (!there.has(key)) this.#tables.delete(key);
    this.#firewall = { tables, unread };
    return this.#firewall;
  }

  async #readOne(conn: NftConn, name: NftTableName, key: string): Promise<Kept | undefined> {
    const kept: Kept = {};
    this.#tables.set(key, kept); // before it is read: what is forgotten meanwhile is not kept
    try {
      const chains = await conn.chains(name);
      if (this.#hooks.length === 0 || this.#hooks.some((hook) => hasSay(chains, hook)))
        kept.table = await readTable(conn, name, chains);
    } catch (error) {
      if (this.#tables.get(key) === kept) this.#tables.delete(key);
      if (!(error instanceof NetloomError) || error.code === 'EPERM') throw error;
      if (error.code === 'ENOENT') return undefined; // gone meanwhile
      kept.fault = `table ${name.family} ${name.name}: ${error.message}`;
    }
    return kept;
  }
}

/** How often it is read anew because somebody changes it meanwhile. */
const TRIES = 3;

/** What is known of a table; neither: it has no say. */
interface Kept {
  table?: ForeignTable;
  /** Why it could not be read. */
  fault?: string;
}

function keyOf({ family, name }: NftTableName): string {
  return `${family} ${name}`;
}

async function readTable(conn: NftConn, name: NftTableName, chains: readonly NftChain[]): Promise<ForeignTable> {
  const rules = new Map<string, NftRule[]>();
  for (const rule of await conn.rules(name)) {
    const chain = rules.get(rule.chain);
    if (chain) chain.push(rule);
    else rules.set(rule.chain, [rule]);
  }
  const sets = new Map((await conn.sets(name)).map((set) => [set.name, set]));
  const elements = new Map<string, readonly NftElement[]>();
  for (const set of sets.values()) {
    try {
      elements.set(set.name, await conn.elements(set));
    } catch (error) {
      if (!(error instanceof NetloomError)) throw error;
    }
  }
  return { name, chains, rules, sets, elements };
}
