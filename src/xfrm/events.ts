import { type NlMessage } from '../netlink/index.ts';
import { XFRM_MSG } from './constants.ts';
import { parsePolicy, type XfrmPolicy } from './policy.ts';
import { parseState, parseStateAt, USERSA_INFO_SIZE, type XfrmState, type XfrmStateId } from './state.ts';
import { Struct, type XfrmSelector } from './structs.ts';

/** What the groups XFRMNLGRP tell. */
export type XfrmEvent =
  /** A packet met a policy and no state that serves: between whom, and which packets. */
  | { readonly kind: 'acquire'; readonly src: string; readonly dst: string; readonly selector?: XfrmSelector }
  /** A state has come to a limit; `hard`: and is gone. */
  | { readonly kind: 'expire'; readonly hard: boolean; readonly state: XfrmState }
  | { readonly kind: 'state'; readonly verb: 'new'; readonly state: XfrmState }
  | { readonly kind: 'state'; readonly verb: 'delete'; readonly id: XfrmStateId }
  | { readonly kind: 'policy'; readonly verb: 'new' | 'change'; readonly policy: XfrmPolicy }
  /** What the kernel says of it depends on how it was deleted: which one it was is to be looked up. */
  | { readonly kind: 'policy'; readonly verb: 'delete' }
  /** All of one sort are gone. */
  | { readonly kind: 'flush'; readonly of: 'states' | 'policies' };

/** Undefined for what says nothing about states and policies. @throws MalformedError */
export function parseXfrmEvent(message: NlMessage): XfrmEvent | undefined {
  const { payload, type } = message;
  switch (type) {
    case XFRM_MSG.ACQUIRE: {
      // struct xfrm_user_acquire: the template's id, a source, what was selected, the policy
      const acquire = new Struct(payload, 0, USER_ACQUIRE_SIZE, 'xfrm_user_acquire');
      const selector = acquire.selector(40);
      // the tunnel's own family is said nowhere: an IPv4 address leaves twelve bytes of the sixteen empty
      const outer = [4, 8, 12].every((at) => acquire.u32(at) === 0) ? AF_INET : AF_INET6;
      const [src, dst] = [acquire.address(24, outer), acquire.address(0, outer)];
      return { kind: 'acquire', src, dst, ...(selector && { selector }) };
    }
    case XFRM_MSG.EXPIRE: {
      const hard = new Struct(payload, 0, USER_EXPIRE_SIZE, 'xfrm_user_expire').u8(USERSA_INFO_SIZE) !== 0;
      const { state, attrs } = parseStateAt(payload, 0, USER_EXPIRE_SIZE);
      attrs.throwIfMalformed();
      return { kind: 'expire', hard, state };
    }
    case XFRM_MSG.NEWSA:
    case XFRM_MSG.UPDSA:
      return { kind: 'state', verb: 'new', state: parseState(message) };
    case XFRM_MSG.DELSA: {
      const id = new Struct(payload, 0, USERSA_ID_SIZE, 'xfrm_usersa_id');
      return { kind: 'state', verb: 'delete', id: { dst: id.address(0, id.u16(20)), spi: id.u32be(16) } };
    }
    case XFRM_MSG.NEWPOLICY:
    case XFRM_MSG.UPDPOLICY: {
      const policy = parsePolicy(message);
      return policy && { kind: 'policy', verb: type === XFRM_MSG.NEWPOLICY ? 'new' : 'change', policy };
    }
    case XFRM_MSG.DELPOLICY:
    case XFRM_MSG.POLEXPIRE:
      return { kind: 'policy', verb: 'delete' };
    case XFRM_MSG.FLUSHSA:
      return { kind: 'flush', of: 'states' };
    case XFRM_MSG.FLUSHPOLICY:
      return { kind: 'flush', of: 'policies' };
    default:
      return undefined;
  }
}

const USER_ACQUIRE_SIZE = 280;
const USER_EXPIRE_SIZE = 232;
const USERSA_ID_SIZE = 24;
const AF_INET = 2;
const AF_INET6 = 10;
