import type { ExprCodec } from './codec.ts';

/** Matches until so many bytes have passed; with `inv`, from then on. */
export interface QuotaExpr {
  readonly name: 'quota';
  readonly bytes: bigint;
  /** Bytes that count as passed already. */
  readonly consumed: bigint;
  readonly inv?: true;
}

/** linux/netfilter/nf_tables.h, enum nft_quota_attributes, nft_quota_flags */
const NFTA_QUOTA = { BYTES: 1, FLAGS: 2, CONSUMED: 4 } as const;
const NFT_QUOTA_F_INV = 1;

export const quota: ExprCodec<QuotaExpr> = {
  name: 'quota',
  encode(w, e) {
    w.u64be(NFTA_QUOTA.BYTES, e.bytes).u64be(NFTA_QUOTA.CONSUMED, e.consumed);
    w.u32be(NFTA_QUOTA.FLAGS, e.inv ? NFT_QUOTA_F_INV : 0);
  },
  decode(attrs) {
    const e = { name: 'quota' as const, bytes: 0n, consumed: 0n };
    let inv = false;
    for (const a of attrs) {
      if (a.type === NFTA_QUOTA.BYTES) e.bytes = a.u64be();
      else if (a.type === NFTA_QUOTA.CONSUMED) e.consumed = a.u64be();
      else if (a.type === NFTA_QUOTA.FLAGS) inv = (a.u32be() & NFT_QUOTA_F_INV) !== 0;
    }
    return { ...e, ...(inv && { inv }) };
  },
};
