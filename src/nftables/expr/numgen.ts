import { type ExprCodec, nameOf } from './codec.ts';

/** The next number, or a random one, below `modulus`. */
export interface NumgenExpr {
  readonly name: 'numgen';
  readonly dreg: number;
  readonly modulus: number;
  readonly mode: keyof typeof NG;
  /** Added to the result. */
  readonly offset: number;
}

/** linux/netfilter/nf_tables.h, enum nft_ng_types, under nft's names. */
const NG = { inc: 0, random: 1 } as const;

/** enum nft_ng_attributes */
const NFTA_NG = { DREG: 1, MODULUS: 2, TYPE: 3, OFFSET: 4 } as const;

export const numgen: ExprCodec<NumgenExpr> = {
  name: 'numgen',
  encode(w, e) {
    w.u32be(NFTA_NG.DREG, e.dreg).u32be(NFTA_NG.MODULUS, e.modulus);
    w.u32be(NFTA_NG.TYPE, NG[e.mode]).u32be(NFTA_NG.OFFSET, e.offset);
  },
  decode(attrs) {
    const e = { name: 'numgen' as const, dreg: 0, modulus: 0, mode: 'inc' as NumgenExpr['mode'], offset: 0 };
    for (const a of attrs) {
      if (a.type === NFTA_NG.DREG) e.dreg = a.u32be();
      else if (a.type === NFTA_NG.MODULUS) e.modulus = a.u32be();
      else if (a.type === NFTA_NG.TYPE) e.mode = nameOf(NG, a.u32be(), a);
      else if (a.type === NFTA_NG.OFFSET) e.offset = a.u32be();
    }
    return e;
  },
};
