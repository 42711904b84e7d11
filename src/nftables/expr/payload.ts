import { bitNames, bitsOf, type ExprCodec, nameOf } from './codec.ts';

/** Loads bytes of the packet into a register, or writes a register into the packet. */
export interface PayloadExpr {
  readonly name: 'payload';
  readonly base: PayloadBase;
  /** Bytes from the start of that header. */
  readonly offset: number;
  /** Bytes. */
  readonly len: number;
  /** Where a load puts them; absent for a write. */
  readonly dreg?: number;
  /** Where a write takes them from. */
  readonly sreg?: number;
  /** Which checksum a write keeps right; absent for a load, and always there in a write that was read. */
  readonly checksum?: PayloadChecksum;
}

/** linux/netfilter/nf_tables.h, enum nft_payload_bases */
const BASE = { link: 0, network: 1, transport: 2, inner: 3 } as const;
export type PayloadBase = keyof typeof BASE;

export interface PayloadChecksum {
  readonly type: keyof typeof CSUM;
  /** Where the checksum lies in the same header, bytes. */
  readonly offset: number;
  readonly flags: readonly (keyof typeof CSUM_FLAGS)[];
}
/** enum nft_payload_csum_types, nft_payload_csum_flags */
const CSUM = { none: 0, inet: 1, sctp: 2 } as const;
const CSUM_FLAGS = { pseudohdr: 1 } as const;

/** enum nft_payload_attributes */
const NFTA_PAYLOAD = {
  DREG: 1,
  BASE: 2,
  OFFSET: 3,
  LEN: 4,
  SREG: 5,
  CSUM_TYPE: 6,
  CSUM_OFFSET: 7,
  CSUM_FLAGS: 8,
} as const;

export const payload: ExprCodec<PayloadExpr> = {
  name: 'payload',
  encode(w, e) {
    if (e.sreg !== undefined) w.u32be(NFTA_PAYLOAD.SREG, e.sreg);
    if (e.dreg !== undefined) w.u32be(NFTA_PAYLOAD.DREG, e.dreg);
    w.u32be(NFTA_PAYLOAD.BASE, BASE[e.base]);
    w.u32be(NFTA_PAYLOAD.OFFSET, e.offset);
    w.u32be(NFTA_PAYLOAD.LEN, e.len);
    if (!e.checksum) return;
    w.u32be(NFTA_PAYLOAD.CSUM_TYPE, CSUM[e.checksum.type]);
    w.u32be(NFTA_PAYLOAD.CSUM_OFFSET, e.checksum.offset);
    if (e.checksum.flags.length > 0) w.u32be(NFTA_PAYLOAD.CSUM_FLAGS, bitsOf(CSUM_FLAGS, e.checksum.flags));
  },
  decode(attrs) {
    const e = { name: 'payload' as const, base: 'link' as PayloadBase, offset: 0, len: 0 };
    const optional: { dreg?: number; sreg?: number } = {};
    let type: keyof typeof CSUM = 'none';
    let offset = 0;
    let flags: PayloadChecksum['flags'] = [];
    for (const a of attrs) {
      if (a.type === NFTA_PAYLOAD.DREG) optional.dreg = a.u32be();
      else if (a.type === NFTA_PAYLOAD.SREG) optional.sreg = a.u32be();
      else if (a.type === NFTA_PAYLOAD.BASE) e.base = nameOf(BASE, a.u32be(), a);
      else if (a.type === NFTA_PAYLOAD.OFFSET) e.offset = a.u32be();
      else if (a.type === NFTA_PAYLOAD.LEN) e.len = a.u32be();
      else if (a.type === NFTA_PAYLOAD.CSUM_TYPE) type = nameOf(CSUM, a.u32be(), a);
      else if (a.type === NFTA_PAYLOAD.CSUM_OFFSET) offset = a.u32be();
      else if (a.type === NFTA_PAYLOAD.CSUM_FLAGS) flags = bitNames(CSUM_FLAGS, a.u32be());
    }
    return { ...e, ...optional, ...(optional.sreg !== undefined && { checksum: { type, offset, flags } }) };
  },
};
