import { bitNames, bitsOf, type ExprCodec } from './codec.ts';

/** Hands the packet to a program that listens on nfnetlink_queue. */
export interface QueueExpr {
  readonly name: 'queue';
  readonly num?: number;
  /** How many queues from `num` on. */
  readonly total?: number;
  readonly sregQnum?: number;
  readonly flags: readonly (keyof typeof QUEUE_FLAGS)[];
}

/** linux/netfilter/nf_tables.h, NFT_QUEUE_FLAG_* */
export const QUEUE_FLAGS = { bypass: 1, fanout: 2 } as const;

/** enum nft_queue_attributes */
const NFTA_QUEUE = { NUM: 1, TOTAL: 2, FLAGS: 3, SREG_QNUM: 4 } as const;

export const queue: ExprCodec<QueueExpr> = {
  name: 'queue',
  encode(w, e) {
    if (e.num !== undefined) w.u16be(NFTA_QUEUE.NUM, e.num);
    if (e.total !== undefined) w.u16be(NFTA_QUEUE.TOTAL, e.total);
    if (e.flags.length > 0) w.u16be(NFTA_QUEUE.FLAGS, bitsOf(QUEUE_FLAGS, e.flags));
    if (e.sregQnum !== undefined) w.u32be(NFTA_QUEUE.SREG_QNUM, e.sregQnum);
  },
  decode(attrs) {
    const numbers: { num?: number; total?: number; sregQnum?: number } = {};
    let flags: QueueExpr['flags'] = [];
    for (const a of attrs) {
      if (a.type === NFTA_QUEUE.NUM) numbers.num = a.u16be();
      else if (a.type === NFTA_QUEUE.TOTAL) numbers.total = a.u16be();
      else if (a.type === NFTA_QUEUE.FLAGS) flags = bitNames(QUEUE_FLAGS, a.u16be());
      else if (a.type === NFTA_QUEUE.SREG_QNUM) numbers.sregQnum = a.u32be();
    }
    return { name: 'queue', ...numbers, flags };
  },
};
