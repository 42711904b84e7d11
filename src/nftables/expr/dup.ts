import type { ExprCodec } from './codec.ts';

/** Sends a copy of the packet elsewhere. */
export interface DupExpr {
  readonly name: 'dup';
  readonly sregAddr?: number;
  readonly sregDev?: number;
}

/** linux/netfilter/nf_tables.h, enum nft_dup_attributes */
const NFTA_DUP = { SREG_ADDR: 1, SREG_DEV: 2 } as const;

export const dup: ExprCodec<DupExpr> = {
  name: 'dup',
  encode(w, e) {
    if (e.sregAddr !== undefined) w.u32be(NFTA_DUP.SREG_ADDR, e.sregAddr);
    if (e.sregDev !== undefined) w.u32be(NFTA_DUP.SREG_DEV, e.sregDev);
  },
  decode(attrs) {
    const registers: { sregAddr?: number; sregDev?: number } = {};
    for (const a of attrs) {
      if (a.type === NFTA_DUP.SREG_ADDR) registers.sregAddr = a.u32be();
      else if (a.type === NFTA_DUP.SREG_DEV) registers.sregDev = a.u32be();
    }
    return { name: 'dup', ...registers };
  },
};
