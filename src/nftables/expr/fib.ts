import { bitNames, bitsOf, type ExprCodec, nameOf } from './codec.ts';

/** Asks the routing tables about the packet. @see nft(8) FIB EXPRESSIONS */
export interface FibExpr {
  readonly name: 'fib';
  readonly dreg: number;
  readonly result: keyof typeof FIB_RESULT;
  readonly flags: readonly FibFlag[];
}

/** linux/netfilter/nf_tables.h, enum nft_fib_result, nft_fib_flags, under nft's names. */
const FIB_RESULT = { oif: 1, oifname: 2, type: 3 } as const;
const FIB_FLAGS = { saddr: 1, daddr: 2, mark: 4, iif: 8, oif: 16, check: 32 } as const;
export type FibFlag = keyof typeof FIB_FLAGS;
export type FibResult = keyof typeof FIB_RESULT;

/** enum nft_fib_attributes */
const NFTA_FIB = { DREG: 1, RESULT: 2, FLAGS: 3 } as const;

export const fib: ExprCodec<FibExpr> = {
  name: 'fib',
  encode(w, e) {
    w.u32be(NFTA_FIB.FLAGS, bitsOf(FIB_FLAGS, e.flags)).u32be(NFTA_FIB.RESULT, FIB_RESULT[e.result]);
    w.u32be(NFTA_FIB.DREG, e.dreg);
  },
  decode(attrs) {
    const e = { name: 'fib' as const, dreg: 0, result: 'oif' as FibResult, flags: [] as readonly FibFlag[] };
    for (const a of attrs) {
      if (a.type === NFTA_FIB.DREG) e.dreg = a.u32be();
      else if (a.type === NFTA_FIB.RESULT) e.result = nameOf(FIB_RESULT, a.u32be(), a);
      else if (a.type === NFTA_FIB.FLAGS) e.flags = bitNames(FIB_FLAGS, a.u32be());
    }
    return e;
  },
};
