import { type ExprCodec, nameOf } from './codec.ts';

/** A number below `modulus`, the same one for the same bytes (`jenkins`) or for the same flow (`sym`). */
export interface HashExpr {
  readonly name: 'hash';
  readonly type: keyof typeof HASH;
  readonly dreg: number;
  readonly modulus: number;
  readonly offset: number;
  /** The bytes that are hashed; absent for `sym`. */
  readonly sreg?: number;
  readonly len?: number;
  /** Absent: the kernel takes a random one. */
  readonly seed?: number;
}

/** linux/netfilter/nf_tables.h, enum nft_hash_types */
const HASH = { jenkins: 0, sym: 1 } as const;

/** enum nft_hash_attributes */
const NFTA_HASH = { SREG: 1, DREG: 2, LEN: 3, MODULUS: 4, SEED: 5, OFFSET: 6, TYPE: 7 } as const;

export const hash: ExprCodec<HashExpr> = {
  name: 'hash',
  encode(w, e) {
    if (e.sreg !== undefined) w.u32be(NFTA_HASH.SREG, e.sreg);
    w.u32be(NFTA_HASH.DREG, e.dreg);
    if (e.len !== undefined) w.u32be(NFTA_HASH.LEN, e.len);
    w.u32be(NFTA_HASH.MODULUS, e.modulus);
    if (e.seed !== undefined) w.u32be(NFTA_HASH.SEED, e.seed);
    w.u32be(NFTA_HASH.OFFSET, e.offset).u32be(NFTA_HASH.TYPE, HASH[e.type]);
  },
  decode(attrs) {
    const e = { name: 'hash' as const, type: 'jenkins' as HashExpr['type'], dreg: 0, modulus: 0, offset: 0 };
    const optional: { sreg?: number; len?: number; seed?: number } = {};
    for (const a of attrs) {
      if (a.type === NFTA_HASH.SREG) optional.sreg = a.u32be();
      else if (a.type === NFTA_HASH.DREG) e.dreg = a.u32be();
      else if (a.type === NFTA_HASH.LEN) optional.len = a.u32be();
      else if (a.type === NFTA_HASH.MODULUS) e.modulus = a.u32be();
      else if (a.type === NFTA_HASH.SEED) optional.seed = a.u32be();
      else if (a.type === NFTA_HASH.OFFSET) e.offset = a.u32be();
      else if (a.type === NFTA_HASH.TYPE) e.type = nameOf(HASH, a.u32be(), a);
    }
    return { ...e, ...optional };
  },
};
