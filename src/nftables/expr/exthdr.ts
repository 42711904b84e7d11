import { type ExprCodec, nameOf } from './codec.ts';

/** Loads bytes of an option or extension header, or writes them. @see nft(8) EXTENSION HEADER EXPRESSIONS */
export interface ExthdrExpr {
  readonly name: 'exthdr';
  readonly op: keyof typeof EXTHDR;
  /** The option's or header's number. */
  readonly type: number;
  readonly offset: number;
  readonly len: number;
  /** Loads 1 where it is there and 0 where it is not. */
  readonly present?: true;
  readonly dreg?: number;
  readonly sreg?: number;
}

/** linux/netfilter/nf_tables.h, enum nft_exthdr_op, nft_exthdr_flags */
const EXTHDR = { ipv6: 0, tcpopt: 1, ipv4: 2, sctp: 3, dccp: 4 } as const;
const NFT_EXTHDR_F_PRESENT = 1;

/** enum nft_exthdr_attributes */
const NFTA_EXTHDR = { DREG: 1, TYPE: 2, OFFSET: 3, LEN: 4, FLAGS: 5, OP: 6, SREG: 7 } as const;

export const exthdr: ExprCodec<ExthdrExpr> = {
  name: 'exthdr',
  encode(w, e) {
    if (e.dreg !== undefined) w.u32be(NFTA_EXTHDR.DREG, e.dreg);
    if (e.sreg !== undefined) w.u32be(NFTA_EXTHDR.SREG, e.sreg);
    w.u8(NFTA_EXTHDR.TYPE, e.type).u32be(NFTA_EXTHDR.OFFSET, e.offset).u32be(NFTA_EXTHDR.LEN, e.len);
    w.u32be(NFTA_EXTHDR.OP, EXTHDR[e.op]);
    if (e.present) w.u32be(NFTA_EXTHDR.FLAGS, NFT_EXTHDR_F_PRESENT);
  },
  decode(attrs) {
    const e = { name: 'exthdr' as const, op: 'ipv6' as ExthdrExpr['op'], type: 0, offset: 0, len: 0 };
    const optional: { present?: true; dreg?: number; sreg?: number } = {};
    for (const a of attrs) {
      if (a.type === NFTA_EXTHDR.OP) e.op = nameOf(EXTHDR, a.u32be(), a);
      else if (a.type === NFTA_EXTHDR.TYPE) e.type = a.u8();
      else if (a.type === NFTA_EXTHDR.OFFSET) e.offset = a.u32be();
      else if (a.type === NFTA_EXTHDR.LEN) e.len = a.u32be();
      else if (a.type === NFTA_EXTHDR.DREG) optional.dreg = a.u32be();
      else if (a.type === NFTA_EXTHDR.SREG) optional.sreg = a.u32be();
      else if (a.type === NFTA_EXTHDR.FLAGS && (a.u32be() & NFT_EXTHDR_F_PRESENT) !== 0) optional.present = true;
    }
    return { ...e, ...optional };
  },
};
