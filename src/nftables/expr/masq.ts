import { bitNames, bitsOf, type ExprCodec } from './codec.ts';
import { NAT_FLAGS, type NatFlag } from './nat.ts';

/** Source address of the outgoing interface. */
export interface MasqExpr {
  readonly name: 'masq';
  readonly portMin?: number;
  readonly portMax?: number;
  readonly flags: readonly NatFlag[];
}

/** linux/netfilter/nf_tables.h, enum nft_masq_attributes */
const NFTA_MASQ = { FLAGS: 1, PROTO_MIN: 2, PROTO_MAX: 3 } as const;
/** linux/netfilter/nf_nat.h */
const NF_NAT_RANGE_PROTO_SPECIFIED = 2;

export const masq: ExprCodec<MasqExpr> = {
  name: 'masq',
  encode(w, e) {
    // unlike nat and redir, the kernel's masq takes no notice of ports where this bit does not say that there are some
    const flags = bitsOf(NAT_FLAGS, e.flags) | (e.portMin === undefined ? 0 : NF_NAT_RANGE_PROTO_SPECIFIED);
    if (flags !== 0) w.u32be(NFTA_MASQ.FLAGS, flags);
    if (e.portMin !== undefined) w.u32be(NFTA_MASQ.PROTO_MIN, e.portMin);
    if (e.portMax !== undefined) w.u32be(NFTA_MASQ.PROTO_MAX, e.portMax);
  },
  decode(attrs) {
    const ports: { portMin?: number; portMax?: number } = {};
    let flags: readonly NatFlag[] = [];
    for (const a of attrs) {
      if (a.type === NFTA_MASQ.FLAGS) flags = bitNames(NAT_FLAGS, a.u32be());
      else if (a.type === NFTA_MASQ.PROTO_MIN) ports.portMin = a.u32be();
      else if (a.type === NFTA_MASQ.PROTO_MAX) ports.portMax = a.u32be();
    }
    if (ports.portMax === ports.portMin) delete ports.portMax; // as in nat
    return { name: 'masq', ...ports, flags };
  },
};
