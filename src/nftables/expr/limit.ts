import { type ExprCodec, nameOf } from './codec.ts';

/** A token bucket: matches while the rate is kept; with `inv`, while it is exceeded. */
export interface LimitExpr {
  readonly name: 'limit';
  readonly rate: bigint;
  /** Seconds that `rate` counts for. */
  readonly unit: bigint;
  readonly burst: number;
  readonly type: keyof typeof LIMIT_TYPE;
  readonly inv?: true;
}

/** linux/netfilter/nf_tables.h, enum nft_limit_type, nft_limit_flags */
const LIMIT_TYPE = { packets: 0, bytes: 1 } as const;
const NFT_LIMIT_F_INV = 1;

/** enum nft_limit_attributes */
const NFTA_LIMIT = { RATE: 1, UNIT: 2, BURST: 3, TYPE: 4, FLAGS: 5 } as const;

export const limit: ExprCodec<LimitExpr> = {
  name: 'limit',
  encode(w, e) {
    w.u64be(NFTA_LIMIT.RATE, e.rate).u64be(NFTA_LIMIT.UNIT, e.unit).u32be(NFTA_LIMIT.BURST, e.burst);
    w.u32be(NFTA_LIMIT.TYPE, LIMIT_TYPE[e.type]).u32be(NFTA_LIMIT.FLAGS, e.inv ? NFT_LIMIT_F_INV : 0);
  },
  decode(attrs) {
    const e = { name: 'limit' as const, rate: 0n, unit: 0n, burst: 0, type: 'packets' as LimitExpr['type'] };
    let inv = false;
    for (const a of attrs) {
      if (a.type === NFTA_LIMIT.RATE) e.rate = a.u64be();
      else if (a.type === NFTA_LIMIT.UNIT) e.unit = a.u64be();
      else if (a.type === NFTA_LIMIT.BURST) e.burst = a.u32be();
      else if (a.type === NFTA_LIMIT.TYPE) e.type = nameOf(LIMIT_TYPE, a.u32be(), a);
      else if (a.type === NFTA_LIMIT.FLAGS) inv = (a.u32be() & NFT_LIMIT_F_INV) !== 0;
    }
    return { ...e, ...(inv && { inv }) };
  },
};
