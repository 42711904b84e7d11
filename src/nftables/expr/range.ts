import { type ExprCodec, nameOf, readValue, writeValue } from './codec.ts';

/** Ends the rule unless the register lies inside (`eq`) or outside (`neq`) two bounds, both included. */
export interface RangeExpr {
  readonly name: 'range';
  readonly sreg: number;
  readonly op: keyof typeof RANGE;
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** linux/netfilter/nf_tables.h, enum nft_range_ops */
const RANGE = { eq: 0, neq: 1 } as const;

/** enum nft_range_attributes */
const NFTA_RANGE = { SREG: 1, OP: 2, FROM_DATA: 3, TO_DATA: 4 } as const;

export const range: ExprCodec<RangeExpr> = {
  name: 'range',
  encode(w, e) {
    w.u32be(NFTA_RANGE.SREG, e.sreg).u32be(NFTA_RANGE.OP, RANGE[e.op]);
    writeValue(w, NFTA_RANGE.FROM_DATA, e.from);
    writeValue(w, NFTA_RANGE.TO_DATA, e.to);
  },
  decode(attrs) {
    const none: Uint8Array = new Uint8Array(0);
    const e = { name: 'range' as const, sreg: 0, op: 'eq' as keyof typeof RANGE, from: none, to: none };
    for (const a of attrs) {
      if (a.type === NFTA_RANGE.SREG) e.sreg = a.u32be();
      else if (a.type === NFTA_RANGE.OP) e.op = nameOf(RANGE, a.u32be(), a);
      else if (a.type === NFTA_RANGE.FROM_DATA) e.from = readValue(a);
      else if (a.type === NFTA_RANGE.TO_DATA) e.to = readValue(a);
    }
    return e;
  },
};
