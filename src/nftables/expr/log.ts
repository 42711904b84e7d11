import { bitNames, bitsOf, type ExprCodec, nameOf } from './codec.ts';

/** Writes a line to the kernel's log, or hands the packet to a listener of nfnetlink_log where `group` is given. */
export interface LogExpr {
  readonly name: 'log';
  readonly prefix?: string;
  readonly group?: number;
  /** Bytes of the packet for the listener. */
  readonly snaplen?: number;
  readonly queueThreshold?: number;
  readonly level?: keyof typeof LOG_LEVEL;
  readonly flags?: readonly (keyof typeof LOG_FLAGS)[];
}

/** linux/netfilter/nf_tables.h, enum nft_log_level, under nft's names. */
export const LOG_LEVEL = {
  emerg: 0,
  alert: 1,
  crit: 2,
  err: 3,
  warn: 4,
  notice: 5,
  info: 6,
  debug: 7,
  audit: 8,
} as const;

/** linux/netfilter/nf_log.h, NF_LOG_* */
export const LOG_FLAGS = { 'tcp sequence': 1, 'tcp options': 2, 'ip options': 4, skuid: 8, ether: 32 } as const;

/** enum nft_log_attributes */
const NFTA_LOG = { GROUP: 1, PREFIX: 2, SNAPLEN: 3, QTHRESHOLD: 4, LEVEL: 5, FLAGS: 6 } as const;

export const log: ExprCodec<LogExpr> = {
  name: 'log',
  encode(w, e) {
    if (e.prefix !== undefined) w.string(NFTA_LOG.PREFIX, e.prefix);
    if (e.group !== undefined) w.u16be(NFTA_LOG.GROUP, e.group);
    if (e.snaplen !== undefined) w.u32be(NFTA_LOG.SNAPLEN, e.snaplen);
    if (e.queueThreshold !== undefined) w.u16be(NFTA_LOG.QTHRESHOLD, e.queueThreshold);
    if (e.level !== undefined) w.u32be(NFTA_LOG.LEVEL, LOG_LEVEL[e.level]);
    if (e.flags !== undefined && e.flags.length > 0) w.u32be(NFTA_LOG.FLAGS, bitsOf(LOG_FLAGS, e.flags));
  },
  decode(attrs) {
    const e: { -readonly [K in keyof LogExpr as K extends 'name' ? never : K]?: NonNullable<LogExpr[K]> } = {};
    for (const a of attrs) {
      if (a.type === NFTA_LOG.GROUP) e.group = a.u16be();
      else if (a.type === NFTA_LOG.PREFIX) e.prefix = a.string();
      else if (a.type === NFTA_LOG.SNAPLEN) e.snaplen = a.u32be();
      else if (a.type === NFTA_LOG.QTHRESHOLD) e.queueThreshold = a.u16be();
      else if (a.type === NFTA_LOG.LEVEL) e.level = nameOf(LOG_LEVEL, a.u32be(), a);
      else if (a.type === NFTA_LOG.FLAGS) e.flags = bitNames(LOG_FLAGS, a.u32be());
    }
    return { name: 'log', ...e };
  },
};
