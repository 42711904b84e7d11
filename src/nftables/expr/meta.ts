import { type ExprCodec, nameOf } from './codec.ts';

/** Loads a fact about the packet that is not in its bytes, or sets one. @see nft(8) META EXPRESSIONS */
export interface MetaExpr {
  readonly name: 'meta';
  readonly key: MetaKey;
  /** Where a load puts it. */
  readonly dreg?: number;
  /** Where a change takes it from. */
  readonly sreg?: number;
}

/** linux/netfilter/nf_tables.h, enum nft_meta_keys, under nft's names. */
export const META = {
  length: 0,
  protocol: 1,
  priority: 2,
  mark: 3,
  iif: 4,
  oif: 5,
  iifname: 6,
  oifname: 7,
  iiftype: 8,
  oiftype: 9,
  skuid: 10,
  skgid: 11,
  nftrace: 12,
  rtclassid: 13,
  secmark: 14,
  nfproto: 15,
  l4proto: 16,
  ibrname: 17,
  obrname: 18,
  pkttype: 19,
  cpu: 20,
  iifgroup: 21,
  oifgroup: 22,
  cgroup: 23,
  random: 24,
  ipsec: 25,
  iifkind: 26,
  oifkind: 27,
  ibrpvid: 28,
  ibrvproto: 29,
  time: 30,
  day: 31,
  hour: 32,
  sdif: 33,
  sdifname: 34,
  broute: 35,
} as const;
export type MetaKey = keyof typeof META;

/** enum nft_meta_attributes */
const NFTA_META = { DREG: 1, KEY: 2, SREG: 3 } as const;

export const meta: ExprCodec<MetaExpr> = {
  name: 'meta',
  encode(w, e) {
    w.u32be(NFTA_META.KEY, META[e.key]);
    if (e.dreg !== undefined) w.u32be(NFTA_META.DREG, e.dreg);
    if (e.sreg !== undefined) w.u32be(NFTA_META.SREG, e.sreg);
  },
  decode(attrs) {
    let key: MetaKey = 'length';
    const registers: { dreg?: number; sreg?: number } = {};
    for (const a of attrs) {
      if (a.type === NFTA_META.KEY) key = nameOf(META, a.u32be(), a);
      else if (a.type === NFTA_META.DREG) registers.dreg = a.u32be();
      else if (a.type === NFTA_META.SREG) registers.sreg = a.u32be();
    }
    return { name: 'meta', key, ...registers };
  },
};
