import { NlAttrs, NLA_F_NESTED, type NlMessage, NLM_F, type Request } from '../netlink/index.ts';
import { NFT_MSG, type NftFamily } from './constants.ts';
import { dataType, dataTypeById, type NftDataType, type NftTypeName, numberBytes, padded } from './datatype.ts';
import { bitNames, bitsOf } from './expr/codec.ts';
import { decodeExpr, decodeExprs, encodeExpr, type Expr } from './expr/index.ts';
import { familyOf, NFGENMSG_SIZE, nftRequest } from './nfnetlink.ts';
import { commentOf, commentRecord, encodeUserdata, UDATA_COMMENT, UDATA_SET, type UserdataRecord } from './userdata.ts';

/** A set; with `map`, a map or a verdict map. Its identity is family, table and name. @see nft(8) SETS, MAPS */
export interface NftSet {
  readonly family: NftFamily;
  readonly table: string;
  readonly name: string;
  /** One data type, or those of a concatenation. */
  readonly type: NftType;
  /** What a map gives for a key. */
  readonly map?: NftType | 'verdict';
  /** `timeout` need not be named where a default timeout is given. */
  readonly flags?: readonly NftSetFlag[];
  /** Seconds after which elements go by themselves. */
  readonly timeout?: number;
  /** Seconds between clean-ups. */
  readonly gcInterval?: number;
  /** The most elements that it takes. */
  readonly size?: number;
  readonly policy?: 'memory';
  /** What every element carries: a counter, a limit. */
  readonly exprs?: readonly Expr[];
  readonly comment?: string;
  /** The kernel's number for it; only in what was read. */
  readonly handle?: bigint;
}

export type NftType = NftTypeName | readonly NftTypeName[];

/** What names a set. */
export type NftSetName = Pick<NftSet, 'family' | 'table' | 'name'>;

/** linux/netfilter/nf_tables.h, enum nft_set_flags, under nft's names; the rest follow from the set's types. */
const SET_FLAGS = { anonymous: 0x1, constant: 0x2, interval: 0x4, timeout: 0x10, dynamic: 0x20 } as const;
export type NftSetFlag = keyof typeof SET_FLAGS;
const NFT_SET_MAP = 0x8;
const NFT_SET_CONCAT = 0x80;
const NFT_SET_POL_MEMORY = 1;
const NFT_DATA_VERDICT = 0xffff_ff00;

/** enum nft_set_attributes, nft_set_desc_attributes, nft_set_field_attributes, nft_list_attributes */
const NFTA_SET = {
  TABLE: 1,
  NAME: 2,
  FLAGS: 3,
  KEY_TYPE: 4,
  KEY_LEN: 5,
  DATA_TYPE: 6,
  DATA_LEN: 7,
  POLICY: 8,
  DESC: 9,
  ID: 10,
  TIMEOUT: 11,
  GC_INTERVAL: 12,
  USERDATA: 13,
  HANDLE: 16,
  EXPR: 17,
  EXPRESSIONS: 18,
} as const;
const NFTA_SET_DESC = { SIZE: 1, CONCAT: 2 } as const;
const NFTA_SET_FIELD_LEN = 1;
const NFTA_LIST_ELEM = 1;

/**
 * Adds the set; no error where the same one is there already, unless `exclusive`.
 * @param options.id names it to lookups of the same transaction, which only a set with a pattern as name (`__set%d`) needs
 */
export function setAdd(set: NftSet, options?: { readonly exclusive?: boolean; readonly id?: number }): Request {
  const types = typesOf(set.type);
  const concatRange = types.length > 1 && isInterval(set);
  const nlFlags = NLM_F.CREATE | (options?.exclusive ? NLM_F.EXCL : 0);
  return nftRequest(NFT_MSG.NEWSET, nlFlags, set.family, label('NEW', set), (w) => {
    let flags = bitsOf(SET_FLAGS, set.flags ?? []);
    if (set.map !== undefined) flags |= NFT_SET_MAP;
    if (set.timeout !== undefined) flags |= SET_FLAGS.timeout;
    if (concatRange) flags |= NFT_SET_CONCAT;
    w.string(NFTA_SET.TABLE, set.table).string(NFTA_SET.NAME, set.name).u32be(NFTA_SET.FLAGS, flags);
    w.u32be(NFTA_SET.KEY_TYPE, typeId(types)).u32be(NFTA_SET.KEY_LEN, typeSize(types));
    if (set.map === 'verdict') w.u32be(NFTA_SET.DATA_TYPE, NFT_DATA_VERDICT).u32be(NFTA_SET.DATA_LEN, 0);
    else if (set.map !== undefined) {
      const data = typesOf(set.map);
      w.u32be(NFTA_SET.DATA_TYPE, typeId(data)).u32be(NFTA_SET.DATA_LEN, typeSize(data));
    }
    if (set.policy === 'memory') w.u32be(NFTA_SET.POLICY, NFT_SET_POL_MEMORY);
    w.u32be(NFTA_SET.ID, options?.id ?? 0);
    if (set.size !== undefined || concatRange) {
      w.nest(NLA_F_NESTED | NFTA_SET.DESC, (desc) => {
        if (set.size !== undefined) desc.u32be(NFTA_SET_DESC.SIZE, set.size);
        if (!concatRange) return;
        desc.nest(NLA_F_NESTED | NFTA_SET_DESC.CONCAT, (fields) => {
          for (const type of types) {
            fields.nest(NLA_F_NESTED | NFTA_LIST_ELEM, (field) => field.u32be(NFTA_SET_FIELD_LEN, type.size));
          }
        });
      });
    }
    if (set.timeout !== undefined) w.u64be(NFTA_SET.TIMEOUT, BigInt(Math.round(set.timeout * 1000)));
    if (set.gcInterval !== undefined) w.u32be(NFTA_SET.GC_INTERVAL, Math.round(set.gcInterval * 1000));
    w.bytes(NFTA_SET.USERDATA, setUserdata(set));
    const [expr] = set.exprs ?? [];
    if (set.exprs?.length === 1) w.nest(NLA_F_NESTED | NFTA_SET.EXPR, (n) => encodeExpr(n, expr!));
    else if (expr) {
      w.nest(NLA_F_NESTED | NFTA_SET.EXPRESSIONS, (list) => {
        for (const e of set.exprs!) list.nest(NLA_F_NESTED | NFTA_LIST_ELEM, (n) => encodeExpr(n, e));
      });
    }
  });
}

/** Deletes the set, which no rule may use. The kernel answers ENOENT where there is none, EBUSY where it is used. */
export function setDelete(set: NftSetName): Request {
  return nftRequest(NFT_MSG.DELSET, 0, set.family, label('DEL', set), (w) => {
    w.string(NFTA_SET.TABLE, set.table).string(NFTA_SET.NAME, set.name);
  });
}

/** Asks for the sets and maps of a table. */
export function setDump(table: { readonly family: NftFamily; readonly name: string }): Request {
  return nftRequest(NFT_MSG.GETSET, NLM_F.DUMP, table.family, `NFT_MSG_GETSET ${table.family} ${table.name}`, (w) => {
    w.string(NFTA_SET.TABLE, table.name);
  });
}

/**
 * Reads NFT_MSG_NEWSET. A data type that netloom does not know reads as `integer`.
 * @throws MalformedError
 */
export function decodeSet(message: NlMessage): NftSet {
  const attrs = new NlAttrs(message.payload, NFGENMSG_SIZE);
  const names = { table: '', name: '' };
  const optional: { -readonly [K in keyof NftSet]?: NftSet[K] } = {};
  let keyType = 0;
  let dataTypeId = 0;
  let flags = 0;
  for (const a of attrs) {
    if (a.type === NFTA_SET.TABLE) names.table = a.string();
    else if (a.type === NFTA_SET.NAME) names.name = a.string();
    else if (a.type === NFTA_SET.FLAGS) flags = a.u32be();
    else if (a.type === NFTA_SET.KEY_TYPE) keyType = a.u32be();
    else if (a.type === NFTA_SET.DATA_TYPE) dataTypeId = a.u32be();
    else if (a.type === NFTA_SET.POLICY && a.u32be() === NFT_SET_POL_MEMORY) optional.policy = 'memory';
    else if (a.type === NFTA_SET.DESC) {
      for (const d of a.nested()) if (d.type === NFTA_SET_DESC.SIZE) optional.size = d.u32be();
    } else if (a.type === NFTA_SET.TIMEOUT) optional.timeout = Number(a.u64be()) / 1000;
    else if (a.type === NFTA_SET.GC_INTERVAL) optional.gcInterval = a.u32be() / 1000;
    else if (a.type === NFTA_SET.HANDLE) optional.handle = a.u64be();
    else if (a.type === NFTA_SET.EXPR) optional.exprs = [decodeExpr(a.nested())];
    else if (a.type === NFTA_SET.EXPRESSIONS) optional.exprs = decodeExprs(a.nested());
    else if (a.type === NFTA_SET.USERDATA) {
      const comment = commentOf(UDATA_COMMENT.set, a.bytes());
      if (comment !== undefined) optional.comment = comment;
    }
  }
  if (optional.timeout === 0) delete optional.timeout;
  if (optional.gcInterval === 0) delete optional.gcInterval;
  if ((flags & NFT_SET_MAP) !== 0) optional.map = dataTypeId === NFT_DATA_VERDICT ? 'verdict' : typeOfId(dataTypeId);
  const named = bitNames(SET_FLAGS, flags).filter((flag) => flag !== 'timeout' || optional.timeout === undefined);
  if (named.length > 0) optional.flags = named;
  const family = familyOf(message);
  if (!family) attrs.fail(`a set of family ${message.payload[0]}`);
  attrs.throwIfMalformed();
  return { family: family!, ...names, type: typeOfId(keyType), ...optional };
}

export function isInterval(set: Pick<NftSet, 'flags'>): boolean {
  return set.flags?.includes('interval') ?? false;
}

/** The data types of a key or of a map's values. @throws NetloomError EBADVALUE */
export function typesOf(type: NftType): NftDataType[] {
  return (typeof type === 'string' ? [type] : type).map(dataType);
}

/** Bytes of a key: each field of a concatenation is padded to four. */
export function typeSize(types: readonly NftDataType[]): number {
  if (types.length === 1) return types[0]!.size;
  return types.reduce((sum, type) => sum + padded(type.size), 0);
}

/** nftables' include/datatype.h, TYPE_BITS: a concatenation's number holds six bits for each field. */
const TYPE_BITS = 6;

function typeId(types: readonly NftDataType[]): number {
  return types.reduce((id, type) => (id << TYPE_BITS) | type.id, 0) >>> 0;
}

function typeOfId(id: number): NftType {
  const names: NftTypeName[] = [];
  for (let rest = id; rest !== 0; rest >>>= TYPE_BITS) {
    names.unshift(dataTypeById(rest & ((1 << TYPE_BITS) - 1))?.name ?? 'integer');
  }
  return names.length === 1 ? names[0]! : names.length === 0 ? 'integer' : names;
}

/** nftables' include/datatype.h, enum byteorder; include/expression.h, enum expr_types: EXPR_CONCAT */
const BYTEORDER = { none: 0, host: 1, network: 2 } as const;
const EXPR_CONCAT = 13;

/** What nft writes beside a set, so that it can print the set again. */
function setUserdata(set: NftSet): Uint8Array {
  const types = typesOf(set.type);
  const records: UserdataRecord[] = [{ type: UDATA_SET.KEYBYTEORDER, value: u32(byteorderOf(types)) }];
  const data = set.map === undefined || set.map === 'verdict' ? undefined : typesOf(set.map);
  if (set.map !== undefined) records.push({ type: UDATA_SET.DATABYTEORDER, value: u32(byteorderOf(data ?? [])) });
  if (types.length > 1) records.push({ type: UDATA_SET.KEY_TYPEOF, value: CONCAT_TYPEOF });
  if (data && data.length > 1) records.push({ type: UDATA_SET.DATA_TYPEOF, value: CONCAT_TYPEOF });
  if (set.map !== undefined) records.push({ type: UDATA_SET.DATA_INTERVAL, value: u32(0) });
  if (set.comment !== undefined) records.push(commentRecord(UDATA_SET.COMMENT, set.comment));
  return encodeUserdata(records);
}

/** libnftnl's nftnl_udata_set_typeof: the kind of expression, and nothing about it. */
const CONCAT_TYPEOF: Uint8Array = encodeUserdata([
  { type: 0, value: u32(EXPR_CONCAT) },
  { type: 1, value: new Uint8Array(0) },
]);

function byteorderOf(types: readonly NftDataType[]): number {
  return types.length === 1 ? BYTEORDER[types[0]!.byteorder] : BYTEORDER.none;
}

function u32(value: number): Uint8Array {
  return numberBytes(value, 4, 'host');
}

function label(verb: 'NEW' | 'DEL', set: NftSetName): string {
  return `NFT_MSG_${verb}SET ${set.family} ${set.table} ${set.name}`;
}
