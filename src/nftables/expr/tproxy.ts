import type { ExprCodec } from './codec.ts';

/** Hands the packet to a local socket without changing it. @see nft(8) TPROXY STATEMENT */
export interface TproxyExpr {
  readonly name: 'tproxy';
  /** NFPROTO number. */
  readonly family: number;
  readonly sregAddr?: number;
  readonly sregPort?: number;
}

/** linux/netfilter/nf_tables.h, enum nft_tproxy_attributes */
const NFTA_TPROXY = { FAMILY: 1, REG_ADDR: 2, REG_PORT: 3 } as const;

export const tproxy: ExprCodec<TproxyExpr> = {
  name: 'tproxy',
  encode(w, e) {
    w.u32be(NFTA_TPROXY.FAMILY, e.family);
    if (e.sregAddr !== undefined) w.u32be(NFTA_TPROXY.REG_ADDR, e.sregAddr);
    if (e.sregPort !== undefined) w.u32be(NFTA_TPROXY.REG_PORT, e.sregPort);
  },
  decode(attrs) {
    let family = 0;
    const registers: { sregAddr?: number; sregPort?: number } = {};
    for (const a of attrs) {
      if (a.type === NFTA_TPROXY.FAMILY) family = a.u32be();
      else if (a.type === NFTA_TPROXY.REG_ADDR) registers.sregAddr = a.u32be();
      else if (a.type === NFTA_TPROXY.REG_PORT) registers.sregPort = a.u32be();
    }
    return { name: 'tproxy', family, ...registers };
  },
};
