import { type ExprCodec, nameOf } from './codec.ts';

/** Loads a fact of the packet's route. @see nft(8) ROUTING EXPRESSIONS */
export interface RtExpr {
  readonly name: 'rt';
  readonly dreg: number;
  readonly key: RtKey;
}

/** linux/netfilter/nf_tables.h, enum nft_rt_keys, under nft's names. */
export const RT = { classid: 0, 'ip nexthop': 1, 'ip6 nexthop': 2, mtu: 3, ipsec: 4 } as const;
export type RtKey = keyof typeof RT;

/** enum nft_rt_attributes */
const NFTA_RT = { DREG: 1, KEY: 2 } as const;

export const rt: ExprCodec<RtExpr> = {
  name: 'rt',
  encode(w, e) {
    w.u32be(NFTA_RT.KEY, RT[e.key]).u32be(NFTA_RT.DREG, e.dreg);
  },
  decode(attrs) {
    const e = { name: 'rt' as const, dreg: 0, key: 'classid' as RtKey };
    for (const a of attrs) {
      if (a.type === NFTA_RT.DREG) e.dreg = a.u32be();
      else if (a.type === NFTA_RT.KEY) e.key = nameOf(RT, a.u32be(), a);
    }
    return e;
  },
};
