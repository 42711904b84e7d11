import { parsePrefix } from '../addr/index.ts';
import { type NlAttrs, type NlMessage, type NlWriter, NLM_F, type Request } from '../netlink/index.ts';
import { afOf, attrsOf, type Family, familyOf, ipText, request, u16At, u32At } from './codec.ts';
import { FIB_RULE, FR_ACT, FRA, RT_TABLE, RTM } from './constants/index.ts';

/** What the rule does. linux/fib_rules.h FR_ACT_*, names as in ip-rule(8). */
export type RuleAction = 'table' | 'goto' | 'nop' | 'blackhole' | 'unreachable' | 'prohibit' | 'unspec';
const ACTIONS: Readonly<Record<RuleAction, number>> = {
  unspec: 0,
  table: FR_ACT.TO_TBL,
  goto: FR_ACT.GOTO,
  nop: FR_ACT.NOP,
  blackhole: FR_ACT.BLACKHOLE,
  unreachable: FR_ACT.UNREACHABLE,
  prohibit: FR_ACT.PROHIBIT,
};
const ACTION_NAMES = new Map(Object.entries(ACTIONS).map(([name, number]) => [number, name as RuleAction]));

export interface Range {
  readonly start: number;
  readonly end: number;
}

/** What both a rule to make and a rule to be shown may have; missing: does not matter. */
interface RuleMatch {
  /** Lower is asked first. Missing in a new rule: the kernel takes one before those that are there. */
  readonly priority?: number;
  /** `10.1.0.0/16` */
  readonly from?: string;
  readonly to?: string;
  /** Interface name; need not exist. */
  readonly iif?: string;
  readonly oif?: string;
  /** The packet matches not. */
  readonly not?: boolean;
  readonly fwmark?: number;
  /** Default all bits. */
  readonly fwmask?: number;
  readonly tos?: number;
  readonly ipproto?: number;
  readonly sport?: Range;
  readonly dport?: Range;
  readonly uidRange?: Range;
  /** Packets of a VRF's interface: the table is the VRF's. */
  readonly l3mdev?: boolean;
  /** Where to go on: a priority. */
  readonly goto?: number;
  /** A route found is not taken when its prefix is this short, or shorter. */
  readonly suppressPrefixlength?: number;
  readonly suppressIfgroup?: number;
}

/** A policy rule to make, or to take away. */
export interface RuleSpec extends RuleMatch {
  /** Taken from `from` or `to` where one is given, else 4. */
  readonly family?: Family;
  /** Default `goto` where that is set, else `table`. */
  readonly action?: RuleAction;
  /** Default RT_TABLE.MAIN. */
  readonly table?: number;
  /** Who made it (since Linux 4.17). Default 0; on deletion: any. */
  readonly protocol?: number;
}

/** A policy rule as the kernel shows it. */
export interface Rule extends RuleMatch {
  readonly family: Family;
  readonly priority: number;
  readonly action: RuleAction;
  readonly table: number;
  readonly protocol: number;
  /** FIB_RULE.* */
  readonly flags: number;
}

/** `ip rule add`. The kernel refuses a second one like it with EEXIST. @throws NetloomError for text that is no prefix. */
export function ruleAdd(spec: RuleSpec): Request {
  return ruleRequest(RTM.NEWRULE, NLM_F.CREATE | NLM_F.EXCL, spec);
}
/** `ip rule delete`: the first that has all that is said. ENOENT where none has. */
export function ruleDelete(spec: RuleSpec): Request {
  return ruleRequest(RTM.DELRULE, 0, spec);
}
/** `ip rule show`. Without a family, both; then take `ipMessages` of the answer. */
export function ruleDump(options?: { readonly family?: Family }): Request {
  return request(RTM.GETRULE, NLM_F.DUMP, 'RTM_GETRULE dump', (w) => {
    w.rawU8(afOf(options?.family)).rawU8(0).rawU16(0).rawU32(0).rawU32(0);
  });
}

/** RTM_NEWRULE or RTM_DELRULE. @throws MalformedError */
export function parseRule(message: NlMessage): Rule {
  const attrs = attrsOf(message, 12);
  const { payload } = message;
  const family = familyOf(payload[0]!);
  const flags = u32At(payload, 8);
  const match: { -readonly [K in keyof RuleMatch]: RuleMatch[K] } = {};
  let priority = 0;
  let protocol = 0;
  let table = payload[4]!;
  let fwmask: number | undefined;
  for (const a of attrs) {
    switch (a.type) {
      case FRA.PRIORITY:
        priority = a.u32();
        break;
      case FRA.DST:
        match.to = `${ipText(a)}/${payload[1]!}`;
        break;
      case FRA.SRC:
        match.from = `${ipText(a)}/${payload[2]!}`;
        break;
      case FRA.IIFNAME:
        match.iif = a.string();
        break;
      case FRA.OIFNAME:
        match.oif = a.string();
        break;
      case FRA.FWMARK:
        match.fwmark = a.u32();
        break;
      case FRA.FWMASK:
        fwmask = a.u32();
        break;
      case FRA.TABLE:
        table = a.u32();
        break;
      case FRA.GOTO:
        match.goto = a.u32();
        break;
      case FRA.PROTOCOL:
        protocol = a.u8();
        break;
      case FRA.IP_PROTO:
        match.ipproto = a.u8();
        break;
      case FRA.SPORT_RANGE:
        match.sport = readRange(a, 2);
        break;
      case FRA.DPORT_RANGE:
        match.dport = readRange(a, 2);
        break;
      case FRA.UID_RANGE:
        match.uidRange = readRange(a, 4);
        break;
      case FRA.L3MDEV:
        if (a.u8() !== 0) match.l3mdev = true;
        break;
      case FRA.SUPPRESS_PREFIXLEN:
        if (a.i32() !== -1) match.suppressPrefixlength = a.u32();
        break;
      case FRA.SUPPRESS_IFGROUP:
        if (a.i32() !== -1) match.suppressIfgroup = a.u32();
        break;
    }
  }
  attrs.throwIfMalformed();
  // the mask comes with every rule that has a mark, and says nothing where it is the default
  if (fwmask !== undefined && (fwmask !== 0xffff_ffff || match.fwmark === undefined)) match.fwmask = fwmask;
  if ((flags & FIB_RULE.INVERT) !== 0) match.not = true;
  if (payload[3] !== 0) match.tos = payload[3]!;
  return { family, priority, action: ACTION_NAMES.get(payload[7]!) ?? 'unspec', table, protocol, flags, ...match };
}

/** struct fib_rule_hdr and its attributes. linux/fib_rules.h */
function ruleRequest(type: number, flags: number, spec: RuleSpec): Request {
  const deleting = type === RTM.DELRULE;
  const from = spec.from === undefined ? undefined : parsePrefix(spec.from);
  const to = spec.to === undefined ? undefined : parsePrefix(spec.to);
  const family = spec.family ?? from?.family ?? to?.family ?? 4;
  const action = spec.action ?? (spec.goto !== undefined ? 'goto' : deleting ? 'unspec' : 'table');
  const table =
    spec.table ?? (deleting || action !== 'table' || spec.l3mdev === true ? RT_TABLE.UNSPEC : RT_TABLE.MAIN);
  const label = `${deleting ? 'RTM_DELRULE' : 'RTM_NEWRULE'} priority=${spec.priority ?? 'any'} table=${table}`;
  return request(type, flags, label, (w) => {
    w.rawU8(afOf(family))
      .rawU8(to?.length ?? 0)
      .rawU8(from?.length ?? 0)
      .rawU8(spec.tos ?? 0);
    w.rawU8(table < 256 ? table : RT_TABLE.UNSPEC)
      .rawU8(0)
      .rawU8(0)
      .rawU8(ACTIONS[action]);
    w.rawU32(spec.not === true ? FIB_RULE.INVERT : 0);
    if (from) w.bytes(FRA.SRC, from.address.bytes);
    if (to) w.bytes(FRA.DST, to.address.bytes);
    if (spec.iif !== undefined) w.string(FRA.IIFNAME, spec.iif);
    if (spec.oif !== undefined) w.string(FRA.OIFNAME, spec.oif);
    if (spec.fwmark !== undefined) w.u32(FRA.FWMARK, spec.fwmark);
    if (spec.fwmask !== undefined) w.u32(FRA.FWMASK, spec.fwmask);
    if (table > 255) w.u32(FRA.TABLE, table);
    if (spec.priority !== undefined) w.u32(FRA.PRIORITY, spec.priority);
    if (spec.suppressPrefixlength !== undefined) w.u32(FRA.SUPPRESS_PREFIXLEN, spec.suppressPrefixlength);
    if (spec.suppressIfgroup !== undefined) w.u32(FRA.SUPPRESS_IFGROUP, spec.suppressIfgroup);
    if (spec.l3mdev === true) w.u8(FRA.L3MDEV, 1);
    if (spec.goto !== undefined) w.u32(FRA.GOTO, spec.goto);
    if (spec.ipproto !== undefined) w.u8(FRA.IP_PROTO, spec.ipproto);
    writeRange(w, FRA.SPORT_RANGE, 2, spec.sport);
    writeRange(w, FRA.DPORT_RANGE, 2, spec.dport);
    writeRange(w, FRA.UID_RANGE, 4, spec.uidRange);
    if (spec.protocol !== undefined) w.u8(FRA.PROTOCOL, spec.protocol);
  });
}

/** struct fib_rule_port_range (2 bytes a number), struct fib_rule_uid_range (4) */
function writeRange(w: NlWriter, type: number, size: 2 | 4, range: Range | undefined): void {
  if (!range) return;
  w.nest(type, () => {
    if (size === 2) w.rawU16(range.start).rawU16(range.end);
    else w.rawU32(range.start).rawU32(range.end);
  });
}
function readRange(a: NlAttrs, size: 2 | 4): Range {
  const bytes = a.bytes();
  if (bytes.length < size * 2) {
    a.fail(`attribute ${a.type} holds ${bytes.length} bytes, ${size * 2} wanted`);
    return { start: 0, end: 0 };
  }
  const at = size === 2 ? u16At : u32At;
  return { start: at(bytes, 0), end: at(bytes, size) };
}
