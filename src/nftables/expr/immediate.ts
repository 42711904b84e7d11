import { type ExprCodec, readData, writeValue, writeVerdict } from './codec.ts';
import type { NftVerdict } from '../verdict.ts';

/** Puts constant bytes into a register, or a verdict into register 0. */
export type ImmediateExpr =
  | { readonly name: 'immediate'; readonly dreg: number; readonly data: Uint8Array }
  | { readonly name: 'immediate'; readonly dreg: 0; readonly verdict: NftVerdict };

/** linux/netfilter/nf_tables.h, enum nft_immediate_attributes */
const NFTA_IMMEDIATE = { DREG: 1, DATA: 2 } as const;

export const immediate: ExprCodec<ImmediateExpr> = {
  name: 'immediate',
  encode(w, e) {
    w.u32be(NFTA_IMMEDIATE.DREG, e.dreg);
    if ('verdict' in e) writeVerdict(w, NFTA_IMMEDIATE.DATA, e.verdict);
    else writeValue(w, NFTA_IMMEDIATE.DATA, e.data);
  },
  decode(attrs) {
    let dreg = 0;
    let data: Uint8Array | NftVerdict = new Uint8Array(0);
    for (const a of attrs) {
      if (a.type === NFTA_IMMEDIATE.DREG) dreg = a.u32be();
      else if (a.type === NFTA_IMMEDIATE.DATA) data = readData(a);
    }
    if (data instanceof Uint8Array) return { name: 'immediate', dreg, data };
    return { name: 'immediate', dreg: 0, verdict: data };
  },
};
