/** Message types, families and flags of nf_tables; attribute numbers stand with the objects they belong to. */

/** linux/netfilter/nfnetlink.h */
export const NFNL = {
  SUBSYS_NFTABLES: 10,
  MSG_BATCH_BEGIN: 0x10,
  MSG_BATCH_END: 0x11,
  /** enum nfnl_batch_attributes */
  BATCH_GENID: 1,
} as const;

/** linux/netfilter/nf_tables.h, enum nf_tables_msg_types */
export const NFT_MSG = {
  NEWTABLE: 0,
  GETTABLE: 1,
  DELTABLE: 2,
  NEWCHAIN: 3,
  GETCHAIN: 4,
  DELCHAIN: 5,
  NEWRULE: 6,
  GETRULE: 7,
  DELRULE: 8,
  NEWSET: 9,
  GETSET: 10,
  DELSET: 11,
  NEWSETELEM: 12,
  GETSETELEM: 13,
  DELSETELEM: 14,
  NEWGEN: 15,
  GETGEN: 16,
  TRACE: 17,
} as const;

/** linux/netfilter.h, enum NFPROTO_*: the families of tables, under nft's names. */
export const NFPROTO = { inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10 } as const;

/** The family of a table. @see nft(8) ADDRESS FAMILIES */
export type NftFamily = keyof typeof NFPROTO;

/** linux/netfilter.h: hook numbers, by family. @see nft(8) */
export const NF_HOOKS = {
  /** enum nf_inet_hooks: inet, ip, ip6; bridge has the same numbers (linux/netfilter_bridge.h) */
  inet: { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4, ingress: 5 },
  /** enum nf_dev_hooks */
  netdev: { ingress: 0, egress: 1 },
  /** linux/netfilter_arp.h */
  arp: { input: 0, output: 1 },
} as const;

/** The place in the packet's path where a base chain listens. */
export type NftHook = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting' | 'ingress' | 'egress';

/** linux/netfilter.h: verdicts, and enum nft_verdicts. */
export const VERDICT = { drop: 0, accept: 1, continue: -1, break: -2, jump: -3, goto: -4, return: -5 } as const;

/** linux/netfilter/nf_tables.h, enum nft_registers: what the kernel calls a 16-byte register, and the first of 4 bytes. */
export const NFT_REG = { VERDICT: 0, FIRST: 1, FIRST32: 8, BYTES: 16, SLOTS: 16 } as const;

/** The family's name of an NFPROTO number; undefined for one that nf_tables does not use. */
export function familyName(number: number): NftFamily | undefined {
  return familyNames.get(number);
}
const familyNames: ReadonlyMap<number, NftFamily> = new Map(
  Object.entries(NFPROTO).map(([name, number]) => [number, name as NftFamily]),
);
