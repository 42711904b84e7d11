import type { Netns } from '../kernel/index.ts';
import {
  type CallObserver,
  type Lane,
  NETLINK,
  NetlinkConn,
  NetlinkError,
  NlAttrs,
  type NlMessage,
  type Request,
} from '../netlink/index.ts';
import { type NftChain, chainDump, decodeChain } from './chain.ts';
import { NFT_MSG, type NftFamily } from './constants.ts';
import { decodeElements, elementDump, type NftElement } from './element.ts';
import { batchBegin, batchEnd, NFGENMSG_SIZE, nftMessageType, nftRequest } from './nfnetlink.ts';
import { decodeRule, type NftRule, ruleDump } from './rule.ts';
import { decodeSet, type NftSet, setDump } from './set.ts';
import { decodeTable, type NftTable, tableDump } from './table.ts';

/** What names a table. */
export type NftTableName = Pick<NftTable, 'family' | 'name'>;

/** All of a table, as it was at one generation of the rule set. */
export interface NftSnapshot {
  readonly generation: number;
  /** Undefined where there is no such table; everything else is empty then. */
  readonly table: NftTable | undefined;
  readonly chains: readonly NftChain[];
  readonly rules: readonly NftRule[];
  readonly sets: readonly NftSet[];
  /** By the set's name. */
  readonly elements: ReadonlyMap<string, readonly NftElement[]>;
}

/** linux/netfilter/nf_tables.h, enum nft_gen_attributes */
const NFTA_GEN_ID = 1;

/** How often a snapshot starts anew because somebody changed the rule set meanwhile. */
const SNAPSHOT_TRIES = 50;

/** nf_tables of one namespace: transactions, and all of it read back. */
export class NftConn implements Disposable {
  readonly #conn: NetlinkConn;

  private constructor(conn: NetlinkConn) {
    this.#conn = conn;
  }

  /** @param netns the namespace it belongs to; this process's own without one. @throws SyscallError */
  static open(netns?: Netns, observe?: CallObserver): NftConn {
    return new NftConn(NetlinkConn.open(NETLINK.NETFILTER, netns, observe));
  }

  /** Calls that are not finished. */
  get pending(): number {
    return this.#conn.pending;
  }

  /**
   * Does all requests at once, or none of them.
   * @param options.genid the generation that the requests were made for: the kernel refuses them for any other one
   * @param options.lane `here` for a few elements, which the kernel adds at once; deleting chains and sets can wait
   * @throws NetlinkError naming the first refused request; ERESTART for a stale `genid`
   */
  async commit(requests: readonly Request[], options?: Lane & { readonly genid?: number }): Promise<void> {
    if (requests.length === 0) return;
    const replies = await this.#conn.atomic([batchBegin(options?.genid), ...requests, batchEnd()], options);
    const refused = replies.find((reply) => reply.error !== undefined);
    if (refused?.error) throw refused.error;
  }

  /** The number that counts transactions on the rule set of this namespace, anybody's. */
  async generation(): Promise<number> {
    for (const message of await this.#conn.execute(nftRequest(NFT_MSG.GETGEN, 0, undefined, 'NFT_MSG_GETGEN'))) {
      if (nftMessageType(message) !== NFT_MSG.NEWGEN) continue;
      const attrs = new NlAttrs(message.payload, NFGENMSG_SIZE);
      let generation = 0;
      for (const a of attrs) if (a.type === NFTA_GEN_ID) generation = a.u32be();
      attrs.throwIfMalformed();
      return generation;
    }
    throw new NetlinkError({ errno: 71, request: 'NFT_MSG_GETGEN', extAck: 'no generation in the answer' });
  }

  async tables(family?: NftFamily): Promise<NftTable[]> {
    return (await this.#dump(tableDump(family), NFT_MSG.NEWTABLE)).map(decodeTable);
  }

  async chains(table: NftTableName): Promise<NftChain[]> {
    const messages = await this.#dump(chainDump(table.family), NFT_MSG.NEWCHAIN);
    return messages.map(decodeChain).filter((chain) => chain.table === table.name);
  }

  /** In the order in which they run, chain by chain. */
  async rules(table: NftTableName, chain?: string): Promise<NftRule[]> {
    return (await this.#dump(ruleDump(table, chain), NFT_MSG.NEWRULE)).map(decodeRule);
  }

  /** Sets and maps. */
  async sets(table: NftTableName): Promise<NftSet[]> {
    return (await this.#dump(setDump(table), NFT_MSG.NEWSET)).map(decodeSet);
  }

  /** @throws NetlinkError ENOENT where there is no such set */
  async elements(set: NftSet): Promise<NftElement[]> {
    return decodeElements(set, await this.#dump(elementDump(set), NFT_MSG.NEWSETELEM));
  }

  /** All of a table at one generation. @throws NetlinkError EINTR where the rule set never stands still */
  async snapshot(name: NftTableName): Promise<NftSnapshot> {
    for (let attempt = 1; attempt <= SNAPSHOT_TRIES; attempt++) {
      const generation = await this.generation();
      const snapshot = await this.#read(name, generation);
      if (snapshot && (await this.generation()) === generation) return snapshot;
    }
    const request = `snapshot of ${name.family} ${name.name}`;
    throw new NetlinkError({ errno: 4, request, extAck: `interrupted by changes ${SNAPSHOT_TRIES} times` });
  }

  close(): void {
    this.#conn.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }

  /** Undefined where something vanished between two questions. */
  async #read(name: NftTableName, generation: number): Promise<NftSnapshot | undefined> {
    const table = (await this.tables(name.family)).find((t) => t.name === name.name);
    if (!table) return { generation, table, chains: [], rules: [], sets: [], elements: new Map() };
    try {
      const [chains, rules, sets] = [await this.chains(name), await this.rules(name), await this.sets(name)];
      const elements = new Map<string, readonly NftElement[]>();
      for (const set of sets) elements.set(set.name, await this.elements(set));
      return { generation, table, chains, rules, sets, elements };
    } catch (error) {
      if (error instanceof NetlinkError && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async #dump(request: Request, type: number): Promise<NlMessage[]> {
    return (await this.#conn.execute(request)).filter((message) => nftMessageType(message) === type);
  }
}
