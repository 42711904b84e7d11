import { bitNames, bitsOf, type ExprCodec, nameOf } from './codec.ts';

/** Rewrites a connection's source or destination. @see nft(8) NAT STATEMENTS */
export interface NatExpr {
  readonly name: 'nat';
  readonly type: keyof typeof NAT_TYPE;
  readonly family: keyof typeof NAT_FAMILY;
  /** Registers that hold the first and the last address, and the first and the last port. */
  readonly addrMin?: number;
  readonly addrMax?: number;
  readonly portMin?: number;
  readonly portMax?: number;
  /** Those that the writer asks for; the kernel's own (`map`, `specified`) follow from the registers. */
  readonly flags: readonly NatFlag[];
}

/** linux/netfilter/nf_tables.h, enum nft_nat_types */
const NAT_TYPE = { snat: 0, dnat: 1 } as const;
const NAT_FAMILY = { inet: 1, ip: 2, ip6: 10 } as const;

/** linux/netfilter/nf_nat.h, NF_NAT_RANGE_* that a user can ask for, under nft's names. */
export const NAT_FLAGS = { random: 4, persistent: 8, 'fully-random': 16, netmap: 64 } as const;
export type NatFlag = keyof typeof NAT_FLAGS;

/** enum nft_nat_attributes */
const NFTA_NAT = { TYPE: 1, FAMILY: 2, ADDR_MIN: 3, ADDR_MAX: 4, PROTO_MIN: 5, PROTO_MAX: 6, FLAGS: 7 } as const;

export const nat: ExprCodec<NatExpr> = {
  name: 'nat',
  encode(w, e) {
    w.u32be(NFTA_NAT.TYPE, NAT_TYPE[e.type]).u32be(NFTA_NAT.FAMILY, NAT_FAMILY[e.family]);
    if (e.addrMin !== undefined) w.u32be(NFTA_NAT.ADDR_MIN, e.addrMin);
    if (e.addrMax !== undefined) w.u32be(NFTA_NAT.ADDR_MAX, e.addrMax);
    if (e.portMin !== undefined) w.u32be(NFTA_NAT.PROTO_MIN, e.portMin);
    if (e.portMax !== undefined) w.u32be(NFTA_NAT.PROTO_MAX, e.portMax);
    if (e.flags.length > 0) w.u32be(NFTA_NAT.FLAGS, bitsOf(NAT_FLAGS, e.flags));
  },
  decode(attrs) {
    const e = { name: 'nat' as const, type: 'snat' as NatExpr['type'], family: 'ip' as NatExpr['family'] };
    const ranges: { addrMin?: number; addrMax?: number; portMin?: number; portMax?: number } = {};
    let flags: readonly NatFlag[] = [];
    for (const a of attrs) {
      if (a.type === NFTA_NAT.TYPE) e.type = nameOf(NAT_TYPE, a.u32be(), a);
      else if (a.type === NFTA_NAT.FAMILY) e.family = nameOf(NAT_FAMILY, a.u32be(), a);
      else if (a.type === NFTA_NAT.ADDR_MIN) ranges.addrMin = a.u32be();
      else if (a.type === NFTA_NAT.ADDR_MAX) ranges.addrMax = a.u32be();
      else if (a.type === NFTA_NAT.PROTO_MIN) ranges.portMin = a.u32be();
      else if (a.type === NFTA_NAT.PROTO_MAX) ranges.portMax = a.u32be();
      else if (a.type === NFTA_NAT.FLAGS) flags = bitNames(NAT_FLAGS, a.u32be());
    }
    // a dump repeats the first register as the last one where no range was given
    if (ranges.addrMax === ranges.addrMin) delete ranges.addrMax;
    if (ranges.portMax === ranges.portMin) delete ranges.portMax;
    return { ...e, ...ranges, flags };
  },
};
