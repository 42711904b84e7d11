import { type NlAttrs, NLA_F_NESTED, type NlWriter } from '../../netlink/index.ts';
import type { NftVerdict } from '../verdict.ts';
import { decodeVerdict, encodeVerdict } from '../verdict.ts';

/** How one kind of expression is written and read: its attributes, inside NFTA_EXPR_DATA. */
export interface ExprCodec<E extends { readonly name: string }> {
  /** The kernel's name for it. */
  readonly name: E['name'];
  encode(writer: NlWriter, expr: E): void;
  /** Reports what it cannot read through `attrs.fail`; the caller checks once, at the root. */
  decode(attrs: NlAttrs): E;
}

/** linux/netfilter/nf_tables.h, enum nft_data_attributes */
const NFTA_DATA = { VALUE: 1, VERDICT: 2 } as const;

/** Writes `value` as nested NFTA_DATA_VALUE. */
export function writeValue(writer: NlWriter, type: number, value: Uint8Array): void {
  writer.nest(NLA_F_NESTED | type, (w) => w.bytes(NFTA_DATA.VALUE, value));
}

export function writeVerdict(writer: NlWriter, type: number, verdict: NftVerdict): void {
  writer.nest(NLA_F_NESTED | type, (w) => w.nest(NLA_F_NESTED | NFTA_DATA.VERDICT, (v) => encodeVerdict(v, verdict)));
}

/** The current attribute's NFTA_DATA_VALUE; empty where it holds none. */
export function readValue(attrs: NlAttrs): Uint8Array {
  const data = readData(attrs);
  return data instanceof Uint8Array ? data : EMPTY;
}

/** The current attribute's value or verdict. */
export function readData(attrs: NlAttrs): Uint8Array | NftVerdict {
  let data: Uint8Array | NftVerdict = EMPTY;
  for (const a of attrs.nested()) {
    if (a.type === NFTA_DATA.VALUE) data = copyOf(a);
    else if (a.type === NFTA_DATA.VERDICT) data = decodeVerdict(a.nested());
  }
  return data;
}

/** The current attribute's bytes, free of the message they came in. */
export function copyOf(attrs: NlAttrs): Uint8Array {
  return new Uint8Array(attrs.bytes());
}

/** The name of a number in a table of constants; fails the reader where the kernel says one that we do not know. */
export function nameOf<T extends string>(table: Readonly<Record<T, number>>, value: number, attrs: NlAttrs): T {
  for (const name in table) if (table[name] === value) return name;
  attrs.fail(`attribute ${attrs.type} holds ${value}, which has no name here`);
  return Object.keys(table)[0] as T;
}

/** The names of the bits that are set, in the order of the table. */
export function bitNames<T extends string>(table: Readonly<Record<T, number>>, bits: number): T[] {
  return (Object.keys(table) as T[]).filter((name) => (bits & table[name]) !== 0);
}

export function bitsOf<T extends string>(table: Readonly<Record<T, number>>, names: readonly T[]): number {
  return names.reduce((bits, name) => bits | table[name], 0);
}

const EMPTY = new Uint8Array(0);
