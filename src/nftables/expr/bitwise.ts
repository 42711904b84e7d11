import { type ExprCodec, nameOf, readValue, writeValue } from './codec.ts';

/** `dreg = (sreg & mask) ^ xor`, or a shift by a constant. */
export type BitwiseExpr = BitwiseBool | BitwiseShift;
interface BitwiseBool {
  readonly name: 'bitwise';
  readonly op: 'mask_xor';
  readonly sreg: number;
  readonly dreg: number;
  /** Bytes. */
  readonly len: number;
  readonly mask: Uint8Array;
  readonly xor: Uint8Array;
}
interface BitwiseShift {
  readonly name: 'bitwise';
  readonly op: 'lshift' | 'rshift';
  readonly sreg: number;
  readonly dreg: number;
  /** Bytes. */
  readonly len: number;
  /** How many bits, as four bytes in host order. */
  readonly data: Uint8Array;
}

/** linux/netfilter/nf_tables.h, enum nft_bitwise_ops */
const BITWISE = { mask_xor: 0, lshift: 1, rshift: 2 } as const;

/** enum nft_bitwise_attributes */
const NFTA_BITWISE = { SREG: 1, DREG: 2, LEN: 3, MASK: 4, XOR: 5, OP: 6, DATA: 7 } as const;

export const bitwise: ExprCodec<BitwiseExpr> = {
  name: 'bitwise',
  encode(w, e) {
    w.u32be(NFTA_BITWISE.SREG, e.sreg).u32be(NFTA_BITWISE.DREG, e.dreg);
    w.u32be(NFTA_BITWISE.OP, BITWISE[e.op]).u32be(NFTA_BITWISE.LEN, e.len);
    if (e.op === 'mask_xor') {
      writeValue(w, NFTA_BITWISE.MASK, e.mask);
      writeValue(w, NFTA_BITWISE.XOR, e.xor);
    } else {
      writeValue(w, NFTA_BITWISE.DATA, e.data);
    }
  },
  decode(attrs) {
    const none: Uint8Array = new Uint8Array(0);
    const registers = { sreg: 0, dreg: 0, len: 0 };
    let op: keyof typeof BITWISE = 'mask_xor';
    let [mask, xor, data] = [none, none, none];
    for (const a of attrs) {
      if (a.type === NFTA_BITWISE.SREG) registers.sreg = a.u32be();
      else if (a.type === NFTA_BITWISE.DREG) registers.dreg = a.u32be();
      else if (a.type === NFTA_BITWISE.LEN) registers.len = a.u32be();
      else if (a.type === NFTA_BITWISE.OP) op = nameOf(BITWISE, a.u32be(), a);
      else if (a.type === NFTA_BITWISE.MASK) mask = readValue(a);
      else if (a.type === NFTA_BITWISE.XOR) xor = readValue(a);
      else if (a.type === NFTA_BITWISE.DATA) data = readValue(a);
    }
    if (op === 'mask_xor') return { name: 'bitwise', op, ...registers, mask, xor };
    return { name: 'bitwise', op, ...registers, data };
  },
};
