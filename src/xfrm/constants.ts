/** linux/xfrm.h XFRM_MSG_* */
export const XFRM_MSG = {
  NEWSA: 0x10,
  DELSA: 0x11,
  GETSA: 0x12,
  NEWPOLICY: 0x13,
  DELPOLICY: 0x14,
  GETPOLICY: 0x15,
  ACQUIRE: 0x17,
  EXPIRE: 0x18,
  UPDPOLICY: 0x19,
  UPDSA: 0x1a,
  POLEXPIRE: 0x1b,
  FLUSHSA: 0x1c,
  FLUSHPOLICY: 0x1d,
} as const;
/** linux/xfrm.h enum xfrm_attr_type_t */
export const XFRMA = {
  TMPL: 5,
  SA: 6,
  POLICY: 7,
  ALG_AEAD: 18,
  MARK: 21,
  REPLAY_ESN_VAL: 23,
  SET_MARK: 29,
  IF_ID: 31,
} as const;
/** linux/xfrm.h enum xfrm_nlgroups: who hears of what. */
export const XFRMNLGRP = { ACQUIRE: 1, EXPIRE: 2, SA: 3, POLICY: 4 } as const;
export const XFRM_MODE = { transport: 0, tunnel: 1 } as const;
export const XFRM_POLICY = { in: 0, out: 1, fwd: 2 } as const;
export const XFRM_POLICY_ALLOW = 0;
export const XFRM_POLICY_BLOCK = 1;
/** struct xfrm_usersa_info, flags */
export const XFRM_STATE = { AF_UNSPEC: 32, ESN: 128 } as const;
/** "No limit". */
export const XFRM_INF = 0xffff_ffff_ffff_ffffn;
/** linux/in.h */
export const IPPROTO_ESP = 50;
/** linux/socket.h */
export const AF = { INET: 2, INET6: 10 } as const;
