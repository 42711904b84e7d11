import type { ExprCodec } from './codec.ts';

/** Ends the rule unless the register's content is in the set; with `dreg`, loads what a map holds for it. */
export interface LookupExpr {
  readonly name: 'lookup';
  readonly set: string;
  readonly sreg: number;
  /** For maps; 0 takes the verdict of a verdict map. */
  readonly dreg?: number;
  /** Matches what the set does not hold. */
  readonly inv?: true;
  /** Names a set that the same transaction adds under a pattern (`__set%d`); the kernel never shows it. */
  readonly setId?: number;
}

/** linux/netfilter/nf_tables.h, enum nft_lookup_attributes, nft_lookup_flags */
const NFTA_LOOKUP = { SET: 1, SREG: 2, DREG: 3, SET_ID: 4, FLAGS: 5 } as const;
const NFT_LOOKUP_F_INV = 1;

export const lookup: ExprCodec<LookupExpr> = {
  name: 'lookup',
  encode(w, e) {
    w.u32be(NFTA_LOOKUP.SREG, e.sreg);
    if (e.dreg !== undefined) w.u32be(NFTA_LOOKUP.DREG, e.dreg);
    w.string(NFTA_LOOKUP.SET, e.set);
    if (e.setId !== undefined) w.u32be(NFTA_LOOKUP.SET_ID, e.setId);
    if (e.inv) w.u32be(NFTA_LOOKUP.FLAGS, NFT_LOOKUP_F_INV);
  },
  decode(attrs) {
    const e = { name: 'lookup' as const, set: '', sreg: 0 };
    const optional: { dreg?: number; inv?: true; setId?: number } = {};
    for (const a of attrs) {
      if (a.type === NFTA_LOOKUP.SET) e.set = a.string();
      else if (a.type === NFTA_LOOKUP.SREG) e.sreg = a.u32be();
      else if (a.type === NFTA_LOOKUP.DREG) optional.dreg = a.u32be();
      else if (a.type === NFTA_LOOKUP.SET_ID) optional.setId = a.u32be();
      else if (a.type === NFTA_LOOKUP.FLAGS && (a.u32be() & NFT_LOOKUP_F_INV) !== 0) optional.inv = true;
    }
    return { ...e, ...optional };
  },
};
