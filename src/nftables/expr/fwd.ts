import type { ExprCodec } from './codec.ts';

/** Sends the packet out of another interface; netdev family only. */
export interface FwdExpr {
  readonly name: 'fwd';
  readonly sregDev: number;
  readonly sregAddr?: number;
  /** NFPROTO number of the address. */
  readonly nfproto?: number;
}

/** linux/netfilter/nf_tables.h, enum nft_fwd_attributes */
const NFTA_FWD = { SREG_DEV: 1, SREG_ADDR: 2, NFPROTO: 3 } as const;

export const fwd: ExprCodec<FwdExpr> = {
  name: 'fwd',
  encode(w, e) {
    w.u32be(NFTA_FWD.SREG_DEV, e.sregDev);
    if (e.sregAddr !== undefined) w.u32be(NFTA_FWD.SREG_ADDR, e.sregAddr);
    if (e.nfproto !== undefined) w.u32be(NFTA_FWD.NFPROTO, e.nfproto);
  },
  decode(attrs) {
    let sregDev = 0;
    const optional: { sregAddr?: number; nfproto?: number } = {};
    for (const a of attrs) {
      if (a.type === NFTA_FWD.SREG_DEV) sregDev = a.u32be();
      else if (a.type === NFTA_FWD.SREG_ADDR) optional.sregAddr = a.u32be();
      else if (a.type === NFTA_FWD.NFPROTO) optional.nfproto = a.u32be();
    }
    return { name: 'fwd', sregDev, ...optional };
  },
};
