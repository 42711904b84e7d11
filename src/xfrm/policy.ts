import { parsePrefix } from '../addr/index.ts';
import { MalformedError, NlAttrs, type NlMessage, NLM_F, type NlWriter, type Request } from '../netlink/index.ts';
import {
  IPPROTO_ESP,
  XFRM_MODE,
  XFRM_MSG,
  XFRM_POLICY,
  XFRM_POLICY_ALLOW,
  XFRM_POLICY_BLOCK,
  XFRMA,
} from './constants.ts';
import {
  afOf,
  ID_SIZE,
  Struct,
  writeAddress,
  writeId,
  writeLimits,
  writeSelector,
  type XfrmSelector,
} from './structs.ts';

export type XfrmDir = keyof typeof XFRM_POLICY;

/** Which policy: what it selects, for which way. */
export interface XfrmPolicyId extends XfrmSelector {
  readonly dir: XfrmDir;
  /** Interface id of a link of kind xfrm, whose packets alone it is for; missing: none. */
  readonly ifId?: number;
}

/** A policy that asks for one tunnel. @see ip-xfrm(8) */
export interface XfrmPolicySpec extends XfrmPolicyId {
  /** Lower is asked first. */
  readonly priority: number;
  readonly tmpl: XfrmTemplate;
}

/** The states that serve: ESP in tunnel mode between two hosts. */
export interface XfrmTemplate {
  readonly src: string;
  readonly dst: string;
  readonly reqid: number;
}

/** A policy as the kernel has it. */
export interface XfrmPolicy extends XfrmPolicyId {
  readonly ifId: number;
  readonly priority: number;
  readonly action: 'allow' | 'block' | 'other';
  /** Those of ESP in tunnel mode. */
  readonly tmpls: readonly XfrmTemplate[];
}

/** XFRM_MSG_NEWPOLICY: refused where one selects the same. */
export function policyAdd(spec: XfrmPolicySpec): Request {
  return {
    type: XFRM_MSG.NEWPOLICY,
    flags: 0,
    label: labelOf('XFRM_MSG_NEWPOLICY', spec),
    body: (w) => writePolicy(w, spec),
  };
}
/** XFRM_MSG_UPDPOLICY: puts it in the place of the one that selects the same, at once. */
export function policyUpdate(spec: XfrmPolicySpec): Request {
  return {
    ...policyAdd(spec),
    type: XFRM_MSG.UPDPOLICY,
    label: labelOf('XFRM_MSG_UPDPOLICY', spec),
  };
}
/** XFRM_MSG_DELPOLICY, with struct xfrm_userpolicy_id. */
export function policyDelete(id: XfrmPolicyId): Request {
  return {
    type: XFRM_MSG.DELPOLICY,
    flags: 0,
    label: labelOf('XFRM_MSG_DELPOLICY', id),
    body(w) {
      writeSelector(w, id);
      w.rawU32(0).rawU8(XFRM_POLICY[id.dir]).rawBytes(new Uint8Array(3));
      if (id.ifId !== undefined) w.u32(XFRMA.IF_ID, id.ifId);
    },
  };
}
/** XFRM_MSG_GETPOLICY: all */
export function policyDump(): Request {
  return { type: XFRM_MSG.GETPOLICY, flags: NLM_F.DUMP, label: 'XFRM_MSG_GETPOLICY', body: () => {} };
}

/** struct xfrm_userpolicy_info with its attributes; undefined for one of a socket, or of no address family. @throws MalformedError */
export function parsePolicy({ payload }: NlMessage): XfrmPolicy | undefined {
  return parsePolicyAt(payload, 0, USERPOLICY_INFO_SIZE);
}

/** As `parsePolicy`, where the attributes do not follow at once. */
export function parsePolicyAt(payload: Uint8Array, at: number, next: number): XfrmPolicy | undefined {
  const info = new Struct(payload, at, USERPOLICY_INFO_SIZE, 'xfrm_userpolicy_info');
  const selector = info.selector(0);
  const dir = DIRS[info.u8(160)];
  const attrs = new NlAttrs(payload, next);
  let ifId = 0;
  const tmpls: XfrmTemplate[] = [];
  for (const a of attrs) {
    if (a.type === XFRMA.IF_ID) ifId = a.u32();
    else if (a.type === XFRMA.TMPL) tmpls.push(...readTemplates(a.bytes()));
  }
  attrs.throwIfMalformed();
  if (!selector || !dir) return undefined;
  const action = info.u8(161);
  return {
    ...selector,
    dir,
    ifId,
    priority: info.u32(152),
    action: action === XFRM_POLICY_ALLOW ? 'allow' : action === XFRM_POLICY_BLOCK ? 'block' : 'other',
    tmpls,
  };
}

/** The order of XFRM_POLICY_IN, OUT and FWD; those of sockets come behind. */
const DIRS: readonly XfrmDir[] = ['in', 'out', 'fwd'];

function writePolicy(w: NlWriter, spec: XfrmPolicySpec): void {
  if (parsePrefix(spec.src).family !== parsePrefix(spec.dst).family) {
    throw new MalformedError(`a policy from ${spec.src} to ${spec.dst} is of two families`);
  }
  writeSelector(w, spec);
  writeLimits(w);
  w.rawBytes(new Uint8Array(32)); // struct xfrm_lifetime_cur
  w.rawU32(spec.priority).rawU32(0);
  w.rawU8(XFRM_POLICY[spec.dir]).rawU8(XFRM_POLICY_ALLOW).rawU8(0).rawU8(0).rawU32(0);
  w.nest(XFRMA.TMPL, () => writeTemplate(w, spec.tmpl));
  if (spec.ifId !== undefined) w.u32(XFRMA.IF_ID, spec.ifId);
}

/** struct xfrm_user_tmpl: whatever algorithm the state has. */
function writeTemplate(w: NlWriter, { src, dst, reqid }: XfrmTemplate): void {
  writeId(w, { dst, spi: 0, proto: IPPROTO_ESP });
  w.rawU16(afOf(dst)).rawU16(0);
  writeAddress(w, src);
  w.rawU32(reqid).rawU8(XFRM_MODE.tunnel).rawU8(0).rawU8(0).rawU8(0);
  w.rawU32(ANY).rawU32(ANY).rawU32(ANY);
}

function readTemplates(bytes: Uint8Array): XfrmTemplate[] {
  const found: XfrmTemplate[] = [];
  for (let at = 0; at + USER_TMPL_SIZE <= bytes.length; at += USER_TMPL_SIZE) {
    const tmpl = new Struct(bytes, at, USER_TMPL_SIZE, 'xfrm_user_tmpl');
    if (tmpl.u8(20) !== IPPROTO_ESP || tmpl.u8(48) !== XFRM_MODE.tunnel) continue;
    const family = tmpl.u16(ID_SIZE);
    found.push({ dst: tmpl.address(0, family), src: tmpl.address(28, family), reqid: tmpl.u32(44) });
  }
  return found;
}

function labelOf(name: string, { dir, src, dst }: XfrmPolicyId): string {
  return `${name} dir=${dir} src=${src} dst=${dst}`;
}

export const USERPOLICY_INFO_SIZE = 168;
const USER_TMPL_SIZE = 64;
const ANY = 0xffff_ffff;
