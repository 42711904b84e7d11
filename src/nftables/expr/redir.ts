import { bitNames, bitsOf, type ExprCodec } from './codec.ts';
import { NAT_FLAGS, type NatFlag } from './nat.ts';

/** Destination address of the incoming interface: to this machine, on another port where one is given. */
export interface RedirExpr {
  readonly name: 'redir';
  readonly portMin?: number;
  readonly portMax?: number;
  readonly flags: readonly NatFlag[];
}

/** linux/netfilter/nf_tables.h, enum nft_redir_attributes */
const NFTA_REDIR = { PROTO_MIN: 1, PROTO_MAX: 2, FLAGS: 3 } as const;

export const redir: ExprCodec<RedirExpr> = {
  name: 'redir',
  encode(w, e) {
    if (e.portMin !== undefined) w.u32be(NFTA_REDIR.PROTO_MIN, e.portMin);
    if (e.portMax !== undefined) w.u32be(NFTA_REDIR.PROTO_MAX, e.portMax);
    if (e.flags.length > 0) w.u32be(NFTA_REDIR.FLAGS, bitsOf(NAT_FLAGS, e.flags));
  },
  decode(attrs) {
    const ports: { portMin?: number; portMax?: number } = {};
    let flags: readonly NatFlag[] = [];
    for (const a of attrs) {
      if (a.type === NFTA_REDIR.FLAGS) flags = bitNames(NAT_FLAGS, a.u32be());
      else if (a.type === NFTA_REDIR.PROTO_MIN) ports.portMin = a.u32be();
      else if (a.type === NFTA_REDIR.PROTO_MAX) ports.portMax = a.u32be();
    }
    if (ports.portMax === ports.portMin) delete ports.portMax; // as in nat
    return { name: 'redir', ...ports, flags };
  },
};
