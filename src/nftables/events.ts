import { NlAttrs, type NlMessage } from '../netlink/index.ts';
import { familyName, NFT_MSG } from './constants.ts';
import type { NftTableName } from './conn.ts';
import { NFGENMSG_SIZE, nftMessageType } from './nfnetlink.ts';

/** linux/netfilter/nfnetlink.h, enum nfnetlink_groups: every change of tables, chains, rules, sets and elements. */
export const NFNLGRP_NFTABLES = 7;

/** The end of a transaction, as NFT_MSG_NEWGEN tells it to those who listen. */
export interface NftGeneration {
  readonly generation: number;
  /** The thread that committed it, as the initial pid namespace numbers it; 0 where the kernel did not say. */
  readonly pid: number;
  /** Its name, as in /proc/PID/comm: `nft`, `iptables`, `firewalld`. */
  readonly name: string;
}

/** linux/netfilter/nf_tables.h, enum nft_gen_attributes */
const NFTA_GEN = { ID: 1, PROC_PID: 2, PROC_NAME: 3 } as const;
/**
 * The table's name is attribute 1 of whatever lies in one: NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE,
 * NFTA_SET_TABLE, NFTA_SET_ELEM_LIST_TABLE, NFTA_OBJ_TABLE, NFTA_FLOWTABLE_TABLE. linux/netfilter/nf_tables.h
 */
const NFTA_TABLE = 1;

/** Undefined for any message but NFT_MSG_NEWGEN. @throws MalformedError */
export function decodeGeneration(message: NlMessage): NftGeneration | undefined {
  if (nftMessageType(message) !== NFT_MSG.NEWGEN) return undefined;
  const attrs = new NlAttrs(message.payload, NFGENMSG_SIZE);
  let generation = 0;
  let pid = 0;
  let name = '';
  for (const a of attrs) {
    if (a.type === NFTA_GEN.ID) generation = a.u32be();
    else if (a.type === NFTA_GEN.PROC_PID) pid = a.u32be();
    else if (a.type === NFTA_GEN.PROC_NAME) name = a.string();
  }
  attrs.throwIfMalformed();
  return { generation, pid, name };
}

/** The table that a notification speaks of, or of something in it; undefined where it speaks of none. */
export function tableOf(message: NlMessage): NftTableName | undefined {
  if (nftMessageType(message) < 0) return undefined;
  const family = familyName(message.payload[0] ?? 0);
  if (family === undefined) return undefined;
  for (const a of new NlAttrs(message.payload, NFGENMSG_SIZE))
    if (a.type === NFTA_TABLE) return { family, name: a.string() };
  return undefined;
}

/** Whether a notification speaks of one of those tables, or of something in one. */
export function concernsTable(message: NlMessage, tables: readonly NftTableName[]): boolean {
  const table = tableOf(message);
  return table !== undefined && tables.some(({ family, name }) => family === table.family && name === table.name);
}
