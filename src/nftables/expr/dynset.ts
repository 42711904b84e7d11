import { type NlAttrs, NLA_F_NESTED, type NlWriter } from '../../netlink/index.ts';
import { type ExprCodec, nameOf } from './codec.ts';
import type { Expr } from './index.ts';

/** Puts what a register holds into a set, from a packet. nft: `add @set { … }`, `update @set { … }`. */
export interface DynsetExpr {
  readonly name: 'dynset';
  readonly set: string;
  readonly op: keyof typeof DYNSET;
  readonly sregKey: number;
  /** For maps. */
  readonly sregData?: number;
  /** Seconds; absent: the set's own. */
  readonly timeout?: number;
  /** What each element carries: a limit, a counter. */
  readonly exprs: readonly Expr[];
  readonly inv?: true;
  /** As in a lookup. */
  readonly setId?: number;
}

/** linux/netfilter/nf_tables.h, enum nft_dynset_ops, nft_dynset_flags */
const DYNSET = { add: 0, update: 1, delete: 2 } as const;
const NFT_DYNSET_F_INV = 1;
const NFT_DYNSET_F_EXPR = 2;

/** enum nft_dynset_attributes, nft_list_attributes */
const NFTA_DYNSET = {
  SET_NAME: 1,
  SET_ID: 2,
  OP: 3,
  SREG_KEY: 4,
  SREG_DATA: 5,
  TIMEOUT: 6,
  EXPR: 7,
  FLAGS: 9,
  EXPRESSIONS: 10,
} as const;
const NFTA_LIST_ELEM = 1;

/** How the expressions inside one are written and read: handed in, because their table holds this codec too. */
export interface InnerExprs {
  encodeExpr(writer: NlWriter, expr: Expr): void;
  decodeExpr(attrs: NlAttrs): Expr;
  decodeExprs(attrs: NlAttrs): Expr[];
}

export function dynsetCodec({ encodeExpr, decodeExpr, decodeExprs }: InnerExprs): ExprCodec<DynsetExpr> {
  return {
    name: 'dynset',
    encode(w, e) {
      w.u32be(NFTA_DYNSET.SREG_KEY, e.sregKey);
      if (e.sregData !== undefined) w.u32be(NFTA_DYNSET.SREG_DATA, e.sregData);
      w.u32be(NFTA_DYNSET.OP, DYNSET[e.op]);
      if (e.timeout !== undefined) w.u64be(NFTA_DYNSET.TIMEOUT, BigInt(Math.round(e.timeout * 1000)));
      w.string(NFTA_DYNSET.SET_NAME, e.set);
      if (e.setId !== undefined) w.u32be(NFTA_DYNSET.SET_ID, e.setId);
      const flags = (e.inv ? NFT_DYNSET_F_INV : 0) | (e.exprs.length > 0 ? NFT_DYNSET_F_EXPR : 0);
      if (flags !== 0) w.u32be(NFTA_DYNSET.FLAGS, flags);
      const [first] = e.exprs;
      if (e.exprs.length === 1) w.nest(NLA_F_NESTED | NFTA_DYNSET.EXPR, (n) => encodeExpr(n, first!));
      else if (first) {
        w.nest(NLA_F_NESTED | NFTA_DYNSET.EXPRESSIONS, (list) => {
          for (const expr of e.exprs) list.nest(NLA_F_NESTED | NFTA_LIST_ELEM, (n) => encodeExpr(n, expr));
        });
      }
    },
    decode(attrs) {
      const e = { name: 'dynset' as const, set: '', op: 'add' as DynsetExpr['op'], sregKey: 0 };
      const optional: { sregData?: number; timeout?: number; inv?: true; setId?: number } = {};
      let exprs: readonly Expr[] = [];
      for (const a of attrs) {
        if (a.type === NFTA_DYNSET.SET_NAME) e.set = a.string();
        else if (a.type === NFTA_DYNSET.SET_ID) optional.setId = a.u32be();
        else if (a.type === NFTA_DYNSET.OP) e.op = nameOf(DYNSET, a.u32be(), a);
        else if (a.type === NFTA_DYNSET.SREG_KEY) e.sregKey = a.u32be();
        else if (a.type === NFTA_DYNSET.SREG_DATA) optional.sregData = a.u32be();
        else if (a.type === NFTA_DYNSET.TIMEOUT) {
          const timeout = Number(a.u64be()) / 1000;
          if (timeout > 0) optional.timeout = timeout;
        } else if (a.type === NFTA_DYNSET.EXPR) exprs = [decodeExpr(a.nested())];
        else if (a.type === NFTA_DYNSET.EXPRESSIONS) exprs = decodeExprs(a.nested());
        else if (a.type === NFTA_DYNSET.FLAGS && (a.u32be() & NFT_DYNSET_F_INV) !== 0) optional.inv = true;
      }
      return { ...e, exprs, ...optional };
    },
  };
}
