import type { ExprCodec } from './codec.ts';

/** Counts what reaches it. Written, it gives the values to start from. */
export interface CounterExpr {
  readonly name: 'counter';
  readonly bytes: bigint;
  readonly packets: bigint;
}

/** linux/netfilter/nf_tables.h, enum nft_counter_attributes */
const NFTA_COUNTER = { BYTES: 1, PACKETS: 2 } as const;

export const counter: ExprCodec<CounterExpr> = {
  name: 'counter',
  encode(w, e) {
    if (e.bytes !== 0n) w.u64be(NFTA_COUNTER.BYTES, e.bytes);
    if (e.packets !== 0n) w.u64be(NFTA_COUNTER.PACKETS, e.packets);
  },
  decode(attrs) {
    const e = { name: 'counter' as const, bytes: 0n, packets: 0n };
    for (const a of attrs) {
      if (a.type === NFTA_COUNTER.BYTES) e.bytes = a.u64be();
      else if (a.type === NFTA_COUNTER.PACKETS) e.packets = a.u64be();
    }
    return e;
  },
};
