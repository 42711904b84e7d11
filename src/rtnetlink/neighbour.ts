import { parseIp, parseMac } from '../addr/index.ts';
import { type NlMessage, NLM_F, type Request } from '../netlink/index.ts';
import {
  afOf,
  attrsOf,
  bitNames,
  bitsOfNames,
  type Family,
  familyOf,
  i32At,
  ipText,
  lladdrText,
  request,
  u16At,
} from './codec.ts';
import { NDA, NTF, NUD, RTM } from './constants/index.ts';

/** Whether the kernel believes it, and for how long. linux/neighbour.h NUD_* */
export type NeighbourState =
  | 'none'
  | 'incomplete'
  | 'reachable'
  | 'stale'
  | 'delay'
  | 'probe'
  | 'failed'
  | 'noarp'
  | 'permanent';
const STATES: Readonly<Record<NeighbourState, number>> = {
  none: NUD.NONE,
  incomplete: NUD.INCOMPLETE,
  reachable: NUD.REACHABLE,
  stale: NUD.STALE,
  delay: NUD.DELAY,
  probe: NUD.PROBE,
  failed: NUD.FAILED,
  noarp: NUD.NOARP,
  permanent: NUD.PERMANENT,
};
const STATE_NAMES = new Map(Object.entries(STATES).map(([name, bits]) => [bits, name as NeighbourState]));

/** ip-neighbour(8) */
export type NeighbourFlag = 'use' | 'router' | 'extern_learn' | 'offload';
const FLAGS: readonly (readonly [NeighbourFlag, number])[] = [
  ['use', NTF.USE],
  ['router', NTF.ROUTER],
  ['extern_learn', NTF.EXT_LEARNED],
  ['offload', NTF.OFFLOADED],
];
/** linux/neighbour.h NTF_EXT_MANAGED, in NDA_FLAGS_EXT */
const NTF_EXT_MANAGED = 1;

/** A neighbour to make. */
export interface NeighbourSpec {
  /** Index of the link. */
  readonly index: number;
  /** IP address. */
  readonly dst: string;
  /** MAC address, or the IPv4 address that a GRE with many ends sends to (NBMA); none for a proxy entry. */
  readonly lladdr?: string;
  /** Default permanent; none where the kernel is to find out (`managed`, flag `use`). */
  readonly state?: NeighbourState;
  readonly flags?: readonly NeighbourFlag[];
  /** This host answers for the address (`ip neigh add proxy`). */
  readonly proxy?: boolean;
  /** The kernel keeps it reachable by itself (since Linux 5.16). */
  readonly managed?: boolean;
  /** Who made it, NDA_PROTOCOL (since Linux 5.0). */
  readonly protocol?: number;
}

/** A neighbour as the kernel shows it. */
export interface Neighbour {
  readonly index: number;
  readonly family: Family;
  readonly dst: string;
  /** As of `NeighbourSpec`; empty where it is not known. */
  readonly lladdr: string;
  readonly state: NeighbourState;
  readonly flags: readonly NeighbourFlag[];
  readonly proxy: boolean;
  readonly managed: boolean;
  /** 0 where nobody said. */
  readonly protocol: number;
}

/** `ip neigh add`. @throws NetloomError for text that is no address; NetlinkError EEXIST from the kernel. */
export function neighbourAdd(spec: NeighbourSpec): Request {
  return neighbourRequest(RTM.NEWNEIGH, NLM_F.CREATE | NLM_F.EXCL, spec);
}
/** `ip neigh replace` */
export function neighbourReplace(spec: NeighbourSpec): Request {
  return neighbourRequest(RTM.NEWNEIGH, NLM_F.CREATE | NLM_F.REPLACE, spec);
}
/** `ip neigh delete`: by link, address, and whether it is a proxy entry. ENOENT where there is none. */
export function neighbourDelete(spec: Pick<NeighbourSpec, 'index' | 'dst' | 'proxy'>): Request {
  return neighbourRequest(RTM.DELNEIGH, 0, spec);
}
/** `ip neigh get`: ENOENT where there is none (since Linux 5.0). */
export function neighbourGet(spec: Pick<NeighbourSpec, 'index' | 'dst'>): Request {
  const dst = parseIp(spec.dst);
  return request(RTM.GETNEIGH, 0, `RTM_GETNEIGH ${dst.text} index=${spec.index}`, (w) => {
    w.rawU8(afOf(dst.family)).rawU8(0).rawU16(0).rawI32(spec.index).rawU16(0).rawU8(0).rawU8(0);
    w.bytes(NDA.DST, dst.bytes);
  });
}
/** `ip neigh show`, filtered by the kernel. Proxy entries come only when asked for, and alone. */
export function neighbourDump(options?: {
  readonly family?: Family;
  readonly index?: number;
  /** Index of a master: neighbours of its ports. */
  readonly master?: number;
  readonly proxy?: boolean;
}): Request {
  return request(RTM.GETNEIGH, NLM_F.DUMP, 'RTM_GETNEIGH dump', (w) => {
    w.rawU8(afOf(options?.family)).rawU8(0).rawU16(0).rawI32(0).rawU16(0);
    w.rawU8(options?.proxy === true ? NTF.PROXY : 0).rawU8(0);
    if (options?.index !== undefined) w.u32(NDA.IFINDEX, options.index);
    if (options?.master !== undefined) w.u32(NDA.MASTER, options.master);
  });
}

/** RTM_NEWNEIGH or RTM_DELNEIGH of an IP family; those of AF_BRIDGE are for `parseFdb`. @throws MalformedError */
export function parseNeighbour(message: NlMessage): Neighbour {
  const attrs = attrsOf(message, 12);
  const { payload } = message;
  const family = familyOf(payload[0]!);
  const flags = payload[10]!;
  let dst = '';
  let lladdr = '';
  let managed = false;
  let protocol = 0;
  for (const a of attrs) {
    switch (a.type) {
      case NDA.DST:
        dst = ipText(a);
        break;
      case NDA.LLADDR:
        lladdr = a.length === 4 ? ipText(a) : lladdrText(a.bytes());
        break;
      case NDA.FLAGS_EXT:
        managed = (a.u32() & NTF_EXT_MANAGED) !== 0;
        break;
      case NDA.PROTOCOL:
        protocol = a.u8();
        break;
    }
  }
  attrs.throwIfMalformed();
  return {
    index: i32At(payload, 4),
    family,
    dst,
    lladdr,
    state: STATE_NAMES.get(u16At(payload, 8)) ?? 'none',
    flags: bitNames(flags, FLAGS),
    proxy: (flags & NTF.PROXY) !== 0,
    managed,
    protocol,
  };
}

/** struct ndmsg and its attributes. linux/neighbour.h */
function neighbourRequest(type: number, nlFlags: number, spec: NeighbourSpec): Request {
  const dst = parseIp(spec.dst);
  const verb = type === RTM.NEWNEIGH ? 'RTM_NEWNEIGH' : 'RTM_DELNEIGH';
  return request(type, nlFlags, `${verb} ${dst.text} index=${spec.index}`, (w) => {
    const resolving = spec.managed === true || spec.flags?.includes('use') === true;
    const flags = bitsOfNames(spec.flags, FLAGS) | (spec.proxy === true ? NTF.PROXY : 0);
    w.rawU8(afOf(dst.family)).rawU8(0).rawU16(0).rawI32(spec.index);
    w.rawU16(STATES[spec.state ?? (resolving ? 'none' : 'permanent')])
      .rawU8(flags)
      .rawU8(0);
    if (spec.protocol !== undefined) w.u8(NDA.PROTOCOL, spec.protocol);
    w.bytes(NDA.DST, dst.bytes);
    if (spec.managed === true) w.u32(NDA.FLAGS_EXT, NTF_EXT_MANAGED);
    if (spec.lladdr !== undefined)
      w.bytes(NDA.LLADDR, spec.lladdr.includes('.') ? parseIp(spec.lladdr).bytes : parseMac(spec.lladdr));
  });
}
