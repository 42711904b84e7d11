import { type ExprCodec, nameOf } from './codec.ts';

/** Drops the packet and tells its sender. */
export interface RejectExpr {
  readonly name: 'reject';
  readonly type: keyof typeof REJECT_TYPE;
  /** Of ICMP or ICMPv6, or the family-neutral code of `icmpx`; 0 for a reset. */
  readonly code: number;
}

/** linux/netfilter/nf_tables.h, enum nft_reject_types, under nft's names. */
const REJECT_TYPE = { icmp: 0, 'tcp reset': 1, icmpx: 2 } as const;

/** enum nft_reject_attributes */
const NFTA_REJECT = { TYPE: 1, ICMP_CODE: 2 } as const;

export const reject: ExprCodec<RejectExpr> = {
  name: 'reject',
  encode(w, e) {
    w.u32be(NFTA_REJECT.TYPE, REJECT_TYPE[e.type]).u8(NFTA_REJECT.ICMP_CODE, e.code);
  },
  decode(attrs) {
    const e = { name: 'reject' as const, type: 'icmp' as RejectExpr['type'], code: 0 };
    for (const a of attrs) {
      if (a.type === NFTA_REJECT.TYPE) e.type = nameOf(REJECT_TYPE, a.u32be(), a);
      else if (a.type === NFTA_REJECT.ICMP_CODE) e.code = a.u8();
    }
    return e;
  },
};
