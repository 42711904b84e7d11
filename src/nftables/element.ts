import { NlAttrs, NLA_F_NESTED, type NlMessage, NLM_F, NlWriter, type Request } from '../netlink/index.ts';
import { NFT_MSG } from './constants.ts';
import { type NftDataType, type NftScalar, numberBytes } from './datatype.ts';
import { readData, readValue, writeValue, writeVerdict } from './expr/codec.ts';
import { decodeExpr, decodeExprs, encodeExpr, type Expr } from './expr/index.ts';
import {
  CATCHALL,
  compareBytes,
  type KeyBytes,
  keyBytes,
  keyFromBytes,
  nextBytes,
  type NftKey,
  previousBytes,
  scalarFromBytes,
} from './key.ts';
import { NFGENMSG_SIZE, nftRequest } from './nfnetlink.ts';
import { isInterval, type NftSet, type NftSetName, typesOf, typeSize } from './set.ts';
import { commentOf, commentRecord, encodeUserdata, UDATA_COMMENT, type UserdataRecord } from './userdata.ts';
import type { NftVerdict } from './verdict.ts';

/** A member of a set, or a key of a map with its value. Its identity is set and key. */
export interface NftElement {
  readonly key: NftKey;
  /** Maps only. */
  readonly data?: NftData;
  readonly comment?: string;
  /** Seconds until it goes by itself. */
  readonly timeout?: number;
  /** Seconds that are left of them; only in what was read. */
  readonly expires?: number;
  /** What it carries, a counter for instance; a set that has `exprs` gives them to each element by itself. */
  readonly exprs?: readonly Expr[];
}

/** What a map gives for a key. */
export type NftData = NftScalar | { readonly concat: readonly NftScalar[] } | NftVerdict;

/** linux/netfilter/nf_tables.h, enum nft_set_elem_attributes, nft_set_elem_list_attributes, nft_set_elem_flags */
const NFTA_SET_ELEM = {
  KEY: 1,
  DATA: 2,
  FLAGS: 3,
  TIMEOUT: 4,
  EXPIRATION: 5,
  USERDATA: 6,
  EXPR: 7,
  KEY_END: 10,
  EXPRESSIONS: 11,
} as const;
const NFTA_SET_ELEM_LIST = { TABLE: 1, SET: 2, ELEMENTS: 3, SET_ID: 4 } as const;
const NFT_SET_ELEM_INTERVAL_END = 0x1;
const NFT_SET_ELEM_CATCHALL = 0x2;
const NFTA_LIST_ELEM = 1;

/** Where one element is written, to be copied: nothing else is done in between. */
const ONE = new NlWriter(256);

/** A list of elements is one attribute, whose length has sixteen bits. */
const LIST_MAX = 0xffff - 4;

/** Adds elements; no error for one that is there already, unless `exclusive`. As few messages as hold them. */
export function elementAdd(
  set: NftSet,
  elements: readonly NftElement[],
  options?: { readonly exclusive?: boolean; readonly setId?: number },
): Request[] {
  const flags = NLM_F.CREATE | (options?.exclusive ? NLM_F.EXCL : 0);
  return requests(NFT_MSG.NEWSETELEM, flags, set, elements, options?.setId);
}

/** Deletes elements by their keys. The kernel answers ENOENT where one is missing, and then the whole batch fails. */
export function elementDelete(set: NftSet, elements: readonly Pick<NftElement, 'key'>[]): Request[] {
  const keys = elements.map(({ key }) => ({ key }));
  return requests(NFT_MSG.DELSETELEM, 0, set, keys, undefined);
}

/** Deletes every element of a set. nft: `flush set`. */
export function setFlush(set: NftSetName): Request {
  return nftRequest(NFT_MSG.DELSETELEM, 0, set.family, `${label(NFT_MSG.DELSETELEM, set)} (all)`, (w) => {
    w.string(NFTA_SET_ELEM_LIST.TABLE, set.table).string(NFTA_SET_ELEM_LIST.SET, set.name);
  });
}

/** Asks for all elements of a set. */
export function elementDump(set: NftSetName): Request {
  return nftRequest(NFT_MSG.GETSETELEM, NLM_F.DUMP, set.family, `NFT_MSG_GETSETELEM ${set.table} ${set.name}`, (w) => {
    w.string(NFTA_SET_ELEM_LIST.TABLE, set.table).string(NFTA_SET_ELEM_LIST.SET, set.name);
  });
}

/** Reads the elements of a dump, in the order of their keys. @throws MalformedError */
export function decodeElements(set: NftSet, messages: readonly NlMessage[]): NftElement[] {
  const raw: RawElement[] = [];
  const shape = shapeOf(set);
  for (const message of messages) {
    const attrs = new NlAttrs(message.payload, NFGENMSG_SIZE);
    for (const a of attrs) {
      if (a.type !== NFTA_SET_ELEM_LIST.ELEMENTS) continue;
      for (const element of a.nested()) raw.push(readElement(shape, element.nested()));
    }
    attrs.throwIfMalformed();
  }
  return assemble(shape, raw);
}

/** A text that is the same for two elements exactly when their keys cover the same: for comparing and for Map keys. */
export function elementId(set: NftSet, element: Pick<NftElement, 'key'>): string {
  if (element.key === CATCHALL) return CATCHALL;
  const { first, last } = keyBytes(typesOf(set.type), element.key, isInterval(set));
  return first === last ? hex(first) : `${hex(first)}-${hex(last)}`;
}

/** Whether two elements of a set say the same: key, value, comment and timeout. */
export function sameElement(set: NftSet, a: NftElement, b: NftElement): boolean {
  return elementId(set, a) === elementId(set, b) && sameRest(set, a, b);
}

/** As `sameElement`, for two elements of which one knows that their keys cover the same. */
export function sameRest(set: NftSet, a: NftElement, b: NftElement): boolean {
  if (a.comment !== b.comment || a.timeout !== b.timeout) return false;
  if (a.data === undefined || b.data === undefined) return a.data === b.data;
  const { values } = shapeOf(set);
  const [left, right] = [dataBytes(values, a.data), dataBytes(values, b.data)];
  if (left instanceof Uint8Array && right instanceof Uint8Array) return compareBytes(left, right) === 0;
  return JSON.stringify(left) === JSON.stringify(right);
}

function requests(
  type: number,
  flags: number,
  set: NftSet,
  elements: readonly NftElement[],
  setId: number | undefined,
): Request[] {
  const out: Request[] = [];
  let list: NlWriter | undefined;
  let count = 0;
  const flush = (list: NlWriter): void => {
    const [bytes, name] = [list.finish(), `${label(type, set)} (${count} element${count === 1 ? '' : 's'})`];
    out.push(
      nftRequest(type, flags, set.family, name, (w) => {
        w.string(NFTA_SET_ELEM_LIST.TABLE, set.table).string(NFTA_SET_ELEM_LIST.SET, set.name);
        if (setId !== undefined) w.u32be(NFTA_SET_ELEM_LIST.SET_ID, setId);
        w.bytes(NLA_F_NESTED | NFTA_SET_ELEM_LIST.ELEMENTS, bytes);
      }),
    );
    count = 0;
  };
  const shape = shapeOf(set);
  for (const [i, element] of elements.entries()) {
    writeElement(ONE.reset(), shape, element);
    const bytes = ONE.finish();
    if (list && list.length + bytes.length > LIST_MAX) {
      flush(list);
      list = undefined;
    }
    list ??= new NlWriter(Math.min(LIST_MAX, (elements.length - i) * 96 + 64));
    list.rawBytes(bytes);
    count++;
  }
  if (list) flush(list);
  return out;
}

/** One list entry; two for an interval of a set of single fields, whose end is an element of its own. */
function writeElement(writer: NlWriter, { types, values, interval }: Shape, element: NftElement): void {
  const key = element.key === CATCHALL ? undefined : keyBytes(types, element.key, interval);
  // up to the last value that there is: an interval without an end, which nft marks for itself
  const tree = key !== undefined && interval && types.length === 1;
  const end = tree ? nextBytes(key.last) : undefined;
  const open = tree && end === undefined;
  writer.nest(NLA_F_NESTED | NFTA_LIST_ELEM, (w) => {
    if (!key) w.u32be(NFTA_SET_ELEM.FLAGS, NFT_SET_ELEM_CATCHALL);
    if (element.timeout !== undefined) w.u64be(NFTA_SET_ELEM.TIMEOUT, BigInt(Math.round(element.timeout * 1000)));
    if (key) {
      writeValue(w, NFTA_SET_ELEM.KEY, key.first);
      if (interval && types.length > 1) writeValue(w, NFTA_SET_ELEM.KEY_END, key.last);
    }
    if (element.data !== undefined) {
      const data = dataBytes(values, element.data);
      if (data instanceof Uint8Array) writeValue(w, NFTA_SET_ELEM.DATA, data);
      else writeVerdict(w, NFTA_SET_ELEM.DATA, data);
    }
    const userdata = elementUserdata(element.comment, open);
    if (userdata.length > 0) w.bytes(NFTA_SET_ELEM.USERDATA, userdata);
    const [expr] = element.exprs ?? [];
    if (element.exprs?.length === 1) w.nest(NLA_F_NESTED | NFTA_SET_ELEM.EXPR, (n) => encodeExpr(n, expr!));
    else if (expr) {
      w.nest(NLA_F_NESTED | NFTA_SET_ELEM.EXPRESSIONS, (l) => {
        for (const e of element.exprs!) l.nest(NLA_F_NESTED | NFTA_LIST_ELEM, (n) => encodeExpr(n, e));
      });
    }
  });
  if (!end) return;
  writer.nest(NLA_F_NESTED | NFTA_LIST_ELEM, (w) => {
    w.u32be(NFTA_SET_ELEM.FLAGS, NFT_SET_ELEM_INTERVAL_END);
    writeValue(w, NFTA_SET_ELEM.KEY, end);
  });
}

/** The comment, and nft's mark for an interval without an end: nftables' include/netlink.h, SET_ELEM_F_INTERVAL_OPEN. */
function elementUserdata(comment: string | undefined, open: boolean): Uint8Array {
  const records: UserdataRecord[] = [];
  if (comment !== undefined) records.push(commentRecord(UDATA_COMMENT.element, comment));
  if (open) records.push({ type: UDATA_ELEMENT_FLAGS, value: numberBytes(1, 4, 'host') });
  return encodeUserdata(records);
}
const UDATA_ELEMENT_FLAGS = 1;

function dataBytes(values: readonly NftDataType[], data: NftData): Uint8Array | NftVerdict {
  if (typeof data === 'object' && !('concat' in data)) return data;
  return keyBytes(values, data, false).first;
}

/** What all elements of a set have in common. */
interface Shape {
  readonly types: readonly NftDataType[];
  /** Of what a map gives; `integer` where that is a verdict. */
  readonly values: readonly NftDataType[];
  readonly interval: boolean;
}

function shapeOf(set: NftSet): Shape {
  const values = typesOf(set.map === undefined || set.map === 'verdict' ? 'integer' : set.map);
  return { types: typesOf(set.type), values, interval: isInterval(set) };
}

interface RawElement {
  first: Uint8Array;
  last: Uint8Array | undefined;
  flags: number;
  rest: Omit<NftElement, 'key'>;
}

function readElement(shape: Shape, attrs: NlAttrs): RawElement {
  const none: Uint8Array = new Uint8Array(0);
  const raw: RawElement = { first: none, last: undefined, flags: 0, rest: {} };
  const rest: { -readonly [K in keyof NftElement as K extends 'key' ? never : K]?: NonNullable<NftElement[K]> } = {};
  for (const a of attrs) {
    if (a.type === NFTA_SET_ELEM.KEY) raw.first = readValue(a);
    else if (a.type === NFTA_SET_ELEM.KEY_END) raw.last = readValue(a);
    else if (a.type === NFTA_SET_ELEM.FLAGS) raw.flags = a.u32be();
    else if (a.type === NFTA_SET_ELEM.DATA) rest.data = readMapped(shape.values, a);
    else if (a.type === NFTA_SET_ELEM.TIMEOUT) rest.timeout = Number(a.u64be()) / 1000;
    else if (a.type === NFTA_SET_ELEM.EXPIRATION) rest.expires = Number(a.u64be()) / 1000;
    else if (a.type === NFTA_SET_ELEM.EXPR) rest.exprs = [decodeExpr(a.nested())];
    else if (a.type === NFTA_SET_ELEM.EXPRESSIONS) rest.exprs = decodeExprs(a.nested());
    else if (a.type === NFTA_SET_ELEM.USERDATA) {
      const comment = commentOf(UDATA_COMMENT.element, a.bytes());
      if (comment !== undefined) rest.comment = comment;
    }
  }
  if (rest.timeout === 0) delete rest.timeout;
  raw.rest = rest;
  if ((raw.flags & NFT_SET_ELEM_CATCHALL) === 0) requireSize(attrs, raw.first, shape.types);
  if (raw.last) requireSize(attrs, raw.last, shape.types);
  return raw;
}

function readMapped(types: readonly NftDataType[], attrs: NlAttrs): NftData {
  const data = readData(attrs);
  if (!(data instanceof Uint8Array)) return data;
  if (!requireSize(attrs, data, types)) return 0;
  if (types.length === 1) return scalarFromBytes(types[0]!, data, false);
  return keyFromBytes(types, { first: data, last: data }, false) as { concat: readonly NftScalar[] };
}

/** Integers are as long as the expression they came from; everything else has its type's length. */
function requireSize(attrs: NlAttrs, bytes: Uint8Array, types: readonly NftDataType[]): boolean {
  const size = typeSize(types);
  if (bytes.length === size || types.some((t) => t.name === 'integer')) return true;
  attrs.fail(`an element's value has ${bytes.length} bytes, ${size} wanted`);
  return false;
}

function assemble({ types, interval }: Shape, raw: readonly RawElement[]): NftElement[] {
  const element = (key: KeyBytes, rest: RawElement['rest']): NftElement => ({
    key: keyFromBytes(types, key, interval),
    ...rest,
  });
  const catchall = raw
    .filter((r) => (r.flags & NFT_SET_ELEM_CATCHALL) !== 0)
    .map((r) => ({ key: CATCHALL, ...r.rest }));
  const keyed = raw.filter((r) => (r.flags & NFT_SET_ELEM_CATCHALL) === 0);
  // an end sorts before a start at the same place: it belongs to the interval before
  keyed.sort((a, b) => compareBytes(a.first, b.first) || (b.flags & 1) - (a.flags & 1));
  if (!interval || types.length > 1) {
    return [...keyed.map((r) => element({ first: r.first, last: r.last ?? r.first }, r.rest)), ...catchall];
  }
  const out: NftElement[] = [];
  for (const [i, { first, flags, rest }] of keyed.entries()) {
    if ((flags & NFT_SET_ELEM_INTERVAL_END) !== 0) continue;
    const next = keyed[i + 1];
    const last = next ? previousBytes(next.first) : new Uint8Array(first.length).fill(0xff);
    out.push(element({ first, last }, rest));
  }
  return [...out, ...catchall];
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

function label(type: number, set: NftSetName): string {
  const name = type === NFT_MSG.NEWSETELEM ? 'NFT_MSG_NEWSETELEM' : 'NFT_MSG_DELSETELEM';
  return `${name} ${set.family} ${set.table} ${set.name}`;
}
