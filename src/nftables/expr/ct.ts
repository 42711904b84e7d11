import { type ExprCodec, nameOf } from './codec.ts';

/** Loads a field of the packet's connection, or sets one. @see nft(8) CONNTRACK EXPRESSIONS */
export interface CtExpr {
  readonly name: 'ct';
  readonly key: CtKey;
  readonly dreg?: number;
  readonly sreg?: number;
  /** For keys that both directions have. */
  readonly dir?: keyof typeof CT_DIR;
}

/** linux/netfilter/nf_tables.h, enum nft_ct_keys, under nft's names. */
export const CT = {
  state: 0,
  direction: 1,
  status: 2,
  mark: 3,
  secmark: 4,
  expiration: 5,
  helper: 6,
  l3proto: 7,
  saddr: 8,
  daddr: 9,
  protocol: 10,
  'proto-src': 11,
  'proto-dst': 12,
  label: 13,
  packets: 14,
  bytes: 15,
  avgpkt: 16,
  zone: 17,
  event: 18,
  'ip saddr': 19,
  'ip daddr': 20,
  'ip6 saddr': 21,
  'ip6 daddr': 22,
  id: 23,
} as const;
export type CtKey = keyof typeof CT;

/** linux/netfilter/nf_conntrack_tuple_common.h, enum ip_conntrack_dir */
const CT_DIR = { original: 0, reply: 1 } as const;

/** enum nft_ct_attributes */
const NFTA_CT = { DREG: 1, KEY: 2, DIRECTION: 3, SREG: 4 } as const;

export const ct: ExprCodec<CtExpr> = {
  name: 'ct',
  encode(w, e) {
    w.u32be(NFTA_CT.KEY, CT[e.key]);
    if (e.dreg !== undefined) w.u32be(NFTA_CT.DREG, e.dreg);
    if (e.dir !== undefined) w.u8(NFTA_CT.DIRECTION, CT_DIR[e.dir]);
    if (e.sreg !== undefined) w.u32be(NFTA_CT.SREG, e.sreg);
  },
  decode(attrs) {
    let key: CtKey = 'state';
    const optional: { dreg?: number; sreg?: number; dir?: keyof typeof CT_DIR } = {};
    for (const a of attrs) {
      if (a.type === NFTA_CT.KEY) key = nameOf(CT, a.u32be(), a);
      else if (a.type === NFTA_CT.DREG) optional.dreg = a.u32be();
      else if (a.type === NFTA_CT.SREG) optional.sreg = a.u32be();
      else if (a.type === NFTA_CT.DIRECTION) optional.dir = nameOf(CT_DIR, a.u8(), a);
    }
    return { name: 'ct', key, ...optional };
  },
};
