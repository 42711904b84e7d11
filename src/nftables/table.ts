import { NlAttrs, type NlMessage, NLM_F, type Request } from '../netlink/index.ts';
import { NFT_MSG, type NftFamily } from './constants.ts';
import { bitNames, bitsOf } from './expr/codec.ts';
import { familyOf, NFGENMSG_SIZE, nftRequest } from './nfnetlink.ts';
import { commentOf, commentUserdata, UDATA_COMMENT } from './userdata.ts';

/** A table: a name space for chains and sets. Its identity is family and name. */
export interface NftTable {
  readonly family: NftFamily;
  readonly name: string;
  readonly flags?: readonly (keyof typeof TABLE_FLAGS)[];
  readonly comment?: string;
  /** The kernel's number for it; only in what was read. */
  readonly handle?: bigint;
}

/** linux/netfilter/nf_tables.h, enum nft_table_flags */
const TABLE_FLAGS = { dormant: 1, owner: 2, persist: 4 } as const;

/** enum nft_table_attributes */
const NFTA_TABLE = { NAME: 1, FLAGS: 2, HANDLE: 4, USERDATA: 6 } as const;

/** Adds the table; no error where it is there already, unless `exclusive`. */
export function tableAdd(table: NftTable, options?: { readonly exclusive?: boolean }): Request {
  const flags = NLM_F.CREATE | (options?.exclusive ? NLM_F.EXCL : 0);
  return nftRequest(NFT_MSG.NEWTABLE, flags, table.family, label('NEW', table), (w) => {
    w.string(NFTA_TABLE.NAME, table.name).u32be(NFTA_TABLE.FLAGS, bitsOf(TABLE_FLAGS, table.flags ?? []));
    const userdata = commentUserdata(UDATA_COMMENT.table, table.comment);
    if (userdata) w.bytes(NFTA_TABLE.USERDATA, userdata);
  });
}

/** Deletes the table with everything in it. The kernel answers ENOENT where there is none. */
export function tableDelete(table: Pick<NftTable, 'family' | 'name'>): Request {
  return nftRequest(NFT_MSG.DELTABLE, 0, table.family, label('DEL', table), (w) => {
    w.string(NFTA_TABLE.NAME, table.name);
  });
}

/** Asks for all tables of a family, or of every family. */
export function tableDump(family?: NftFamily): Request {
  return nftRequest(NFT_MSG.GETTABLE, NLM_F.DUMP, family, 'NFT_MSG_GETTABLE');
}

/** Reads NFT_MSG_NEWTABLE. @throws MalformedError */
export function decodeTable(message: NlMessage): NftTable {
  const attrs = new NlAttrs(message.payload, NFGENMSG_SIZE);
  let name = '';
  const optional: { flags?: NonNullable<NftTable['flags']>; comment?: string; handle?: bigint } = {};
  for (const a of attrs) {
    if (a.type === NFTA_TABLE.NAME) name = a.string();
    else if (a.type === NFTA_TABLE.HANDLE) optional.handle = a.u64be();
    else if (a.type === NFTA_TABLE.FLAGS) {
      const flags = bitNames(TABLE_FLAGS, a.u32be());
      if (flags.length > 0) optional.flags = flags;
    } else if (a.type === NFTA_TABLE.USERDATA) {
      const comment = commentOf(UDATA_COMMENT.table, a.bytes());
      if (comment !== undefined) optional.comment = comment;
    }
  }
  const family = familyOf(message);
  if (!family) attrs.fail(`a table of family ${message.payload[0]}`);
  attrs.throwIfMalformed();
  return { family: family!, name, ...optional };
}

function label(verb: 'NEW' | 'DEL', table: Pick<NftTable, 'family' | 'name'>): string {
  return `NFT_MSG_${verb}TABLE ${table.family} ${table.name}`;
}
