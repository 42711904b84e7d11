import type { ExprCodec } from './codec.ts';

/** Matches while no more than so many connections exist; with `inv`, from then on. nft: `ct count`. */
export interface ConnlimitExpr {
  readonly name: 'connlimit';
  readonly count: number;
  readonly inv?: true;
}

/** linux/netfilter/nf_tables.h, enum nft_connlimit_attributes, nft_connlimit_flags */
const NFTA_CONNLIMIT = { COUNT: 1, FLAGS: 2 } as const;
const NFT_CONNLIMIT_F_INV = 1;

export const connlimit: ExprCodec<ConnlimitExpr> = {
  name: 'connlimit',
  encode(w, e) {
    w.u32be(NFTA_CONNLIMIT.COUNT, e.count).u32be(NFTA_CONNLIMIT.FLAGS, e.inv ? NFT_CONNLIMIT_F_INV : 0);
  },
  decode(attrs) {
    let count = 0;
    let inv = false;
    for (const a of attrs) {
      if (a.type === NFTA_CONNLIMIT.COUNT) count = a.u32be();
      else if (a.type === NFTA_CONNLIMIT.FLAGS) inv = (a.u32be() & NFT_CONNLIMIT_F_INV) !== 0;
    }
    return { name: 'connlimit', count, ...(inv && { inv }) };
  },
};
