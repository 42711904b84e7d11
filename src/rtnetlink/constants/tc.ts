/** linux/rtnetlink.h TCA_* */
export const TCA = {
  KIND: 1,
  OPTIONS: 2,
} as const;

/** linux/pkt_sched.h TCA_TBF_* */
export const TCA_TBF = {
  PARMS: 1,
  RATE64: 4,
  BURST: 6,
} as const;

/** linux/pkt_sched.h TCA_NETEM_* */
export const TCA_NETEM = {
  RATE: 6,
  RATE64: 8,
  LATENCY64: 10,
} as const;

/** linux/pkt_cls.h TCA_U32_* */
export const TCA_U32 = {
  SEL: 5,
  ACT: 7,
} as const;

/** linux/pkt_cls.h TCA_BPF_* */
export const TCA_BPF = {
  FD: 6,
  NAME: 7,
  FLAGS: 8,
  ID: 11,
} as const;
/** linux/pkt_cls.h TCA_BPF_FLAG_ACT_DIRECT: what the program returns is what is done. */
export const TCA_BPF_FLAG_ACT_DIRECT = 1;

/** linux/pkt_cls.h TCA_ACT_* */
export const TCA_ACT = {
  KIND: 1,
  OPTIONS: 2,
} as const;

/** linux/tc_act/tc_mirred.h TCA_MIRRED_* */
export const TCA_MIRRED = {
  PARMS: 2,
} as const;
/** linux/tc_act/tc_mirred.h: to where */
export const TCA_EGRESS_REDIR = 1;
/** linux/pkt_cls.h TC_ACT_STOLEN: the packet is somebody else's from here on */
export const TC_ACT_STOLEN = 4;

/** linux/pkt_sched.h TC_H_*: places in a link's tree of queues. */
export const TC_H = {
  ROOT: 0xffff_ffff,
  /** The qdisc `clsact` itself. */
  CLSACT: 0xffff_fff1,
  /** The block of filters in `clsact` for what comes in. */
  INGRESS: 0xffff_fff2,
  /** And for what leaves. */
  EGRESS: 0xffff_fff3,
} as const;
/** The handle that `clsact` always has. */
export const CLSACT_HANDLE = 0xffff_0000;

/** linux/pkt_sched.h TC_LINKLAYER_ETHERNET: bytes are counted as they are, without a table that rounds them. */
export const TC_LINKLAYER_ETHERNET = 1;

/** linux/if_ether.h ETH_P_ALL */
export const ETH_P_ALL = 0x0003;
