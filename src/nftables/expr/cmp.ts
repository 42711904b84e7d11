import { type ExprCodec, nameOf, readValue, writeValue } from './codec.ts';

/** Ends the rule unless the register compares so with the bytes, as unsigned big-endian numbers. */
export interface CmpExpr {
  readonly name: 'cmp';
  readonly sreg: number;
  readonly op: CmpOp;
  readonly data: Uint8Array;
}

/** linux/netfilter/nf_tables.h, enum nft_cmp_ops */
const CMP = { eq: 0, neq: 1, lt: 2, lte: 3, gt: 4, gte: 5 } as const;
export type CmpOp = keyof typeof CMP;

/** enum nft_cmp_attributes */
const NFTA_CMP = { SREG: 1, OP: 2, DATA: 3 } as const;

export const cmp: ExprCodec<CmpExpr> = {
  name: 'cmp',
  encode(w, e) {
    w.u32be(NFTA_CMP.SREG, e.sreg).u32be(NFTA_CMP.OP, CMP[e.op]);
    writeValue(w, NFTA_CMP.DATA, e.data);
  },
  decode(attrs) {
    const e = { name: 'cmp' as const, sreg: 0, op: 'eq' as CmpOp, data: new Uint8Array(0) as Uint8Array };
    for (const a of attrs) {
      if (a.type === NFTA_CMP.SREG) e.sreg = a.u32be();
      else if (a.type === NFTA_CMP.OP) e.op = nameOf(CMP, a.u32be(), a);
      else if (a.type === NFTA_CMP.DATA) e.data = readValue(a);
    }
    return e;
  },
};
