import { type ExprCodec, nameOf } from './codec.ts';

/** Turns numbers in a register between host and network order. */
export interface ByteorderExpr {
  readonly name: 'byteorder';
  readonly sreg: number;
  readonly dreg: number;
  readonly op: keyof typeof BYTEORDER;
  /** Bytes in all. */
  readonly len: number;
  /** Bytes of each number. */
  readonly size: number;
}

/** linux/netfilter/nf_tables.h, enum nft_byteorder_ops */
const BYTEORDER = { ntoh: 0, hton: 1 } as const;

/** enum nft_byteorder_attributes */
const NFTA_BYTEORDER = { SREG: 1, DREG: 2, OP: 3, LEN: 4, SIZE: 5 } as const;

export const byteorder: ExprCodec<ByteorderExpr> = {
  name: 'byteorder',
  encode(w, e) {
    w.u32be(NFTA_BYTEORDER.SREG, e.sreg).u32be(NFTA_BYTEORDER.DREG, e.dreg);
    w.u32be(NFTA_BYTEORDER.OP, BYTEORDER[e.op]).u32be(NFTA_BYTEORDER.LEN, e.len).u32be(NFTA_BYTEORDER.SIZE, e.size);
  },
  decode(attrs) {
    const e = { name: 'byteorder' as const, sreg: 0, dreg: 0, op: 'ntoh' as keyof typeof BYTEORDER, len: 0, size: 0 };
    for (const a of attrs) {
      if (a.type === NFTA_BYTEORDER.SREG) e.sreg = a.u32be();
      else if (a.type === NFTA_BYTEORDER.DREG) e.dreg = a.u32be();
      else if (a.type === NFTA_BYTEORDER.OP) e.op = nameOf(BYTEORDER, a.u32be(), a);
      else if (a.type === NFTA_BYTEORDER.LEN) e.len = a.u32be();
      else if (a.type === NFTA_BYTEORDER.SIZE) e.size = a.u32be();
    }
    return e;
  },
};
