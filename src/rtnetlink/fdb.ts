import { parseIp, parseMac } from '../addr/index.ts';
import { MalformedError, type NlMessage, NLM_F, type Request } from '../netlink/index.ts';
import { attrsOf, bitNames, bitsOfNames, i32At, ipText, lladdrText, request, u16At } from './codec.ts';
import { AF, NDA, NTF, NUD, RTM } from './constants/index.ts';

/** bridge(8) fdb. `self`: the table of the device itself (VXLAN, macvlan); `master`: of the bridge above it. */
export type FdbFlag = 'use' | 'self' | 'master' | 'router' | 'extern_learn' | 'offload' | 'sticky';
const FLAGS: readonly (readonly [FdbFlag, number])[] = [
  ['use', NTF.USE],
  ['self', NTF.SELF],
  ['master', NTF.MASTER],
  ['router', NTF.ROUTER],
  ['extern_learn', NTF.EXT_LEARNED],
  ['offload', NTF.OFFLOADED],
  ['sticky', NTF.STICKY],
];

/** `permanent`: an address of the bridge itself; `static`: of a port, without ageing; `dynamic`: as if it were learned. */
export type FdbState = 'permanent' | 'static' | 'dynamic' | 'stale';

/** An entry of a forwarding database to make. */
export interface FdbSpec {
  /** Index of the port, or of the VXLAN. */
  readonly index: number;
  /** 00:00:00:00:00:00 of a VXLAN: every address that has no entry. */
  readonly mac: string;
  /** Default `self`, as with bridge(8). */
  readonly flags?: readonly FdbFlag[];
  /** Default permanent. */
  readonly state?: FdbState;
  readonly vlan?: number;
  /** VXLAN: the host where the address is. */
  readonly dst?: string;
  /** VXLAN: the UDP port there, where it is not the device's own. */
  readonly port?: number;
  /** VXLAN: the identifier there, where it is not the device's own. */
  readonly vni?: number;
  /** VXLAN with `external`: the identifier that the entry is for. */
  readonly srcVni?: number;
  /** VXLAN: index of the interface to leave by. */
  readonly via?: number;
  /** Who made it, NDA_PROTOCOL. */
  readonly protocol?: number;
}

/** An entry as the kernel shows it. */
export interface FdbEntry {
  readonly index: number;
  readonly mac: string;
  /** Index of the bridge that holds it; 0 where the device itself does. */
  readonly master: number;
  readonly flags: readonly FdbFlag[];
  readonly state: FdbState;
  /** 0 for none, as for the numbers below. */
  readonly vlan: number;
  /** Empty for none. */
  readonly dst: string;
  readonly port: number;
  readonly vni: number;
  readonly srcVni: number;
  readonly via: number;
  readonly protocol: number;
}

/** `bridge fdb add`. @throws NetloomError for text that is no address; NetlinkError EEXIST from the kernel. */
export function fdbAdd(spec: FdbSpec): Request {
  return fdbRequest(RTM.NEWNEIGH, NLM_F.CREATE | NLM_F.EXCL, spec);
}
/** `bridge fdb append`: VXLAN, one more destination of the same address. */
export function fdbAppend(spec: FdbSpec): Request {
  return fdbRequest(RTM.NEWNEIGH, NLM_F.CREATE | NLM_F.APPEND, spec);
}
/** `bridge fdb replace` */
export function fdbReplace(spec: FdbSpec): Request {
  return fdbRequest(RTM.NEWNEIGH, NLM_F.CREATE | NLM_F.REPLACE, spec);
}
/** `bridge fdb delete`. With `dst`, that destination only. ENOENT where there is none. */
export function fdbDelete(spec: FdbSpec): Request {
  return fdbRequest(RTM.DELNEIGH, 0, spec);
}
/** `bridge fdb get`, of the device's own table or of its bridge's: ENOENT where there is none (since Linux 5.0). */
export function fdbGet(spec: Pick<FdbSpec, 'index' | 'mac'> & { readonly table: 'self' | 'master' }): Request {
  return request(RTM.GETNEIGH, 0, `RTM_GETNEIGH AF_BRIDGE ${spec.mac} index=${spec.index}`, (w) => {
    w.rawU8(AF.BRIDGE).rawU8(0).rawU16(0).rawI32(spec.index).rawU16(0);
    w.rawU8(spec.table === 'self' ? NTF.SELF : NTF.MASTER).rawU8(0);
    w.bytes(NDA.LLADDR, parseMac(spec.mac));
  });
}
/** `bridge fdb show`: all, of a bridge (`master`), or of one port or VXLAN (`index`). */
export function fdbDump(options?: { readonly index?: number; readonly master?: number }): Request {
  return request(RTM.GETNEIGH, NLM_F.DUMP, 'RTM_GETNEIGH AF_BRIDGE dump', (w) => {
    w.rawU8(AF.BRIDGE)
      .rawU8(0)
      .rawU16(0)
      .rawI32(options?.index ?? 0)
      .rawU16(0)
      .rawU8(0)
      .rawU8(0);
    if (options?.master !== undefined) w.u32(NDA.MASTER, options.master);
  });
}

/** RTM_NEWNEIGH or RTM_DELNEIGH of AF_BRIDGE. @throws MalformedError */
export function parseFdb(message: NlMessage): FdbEntry {
  const attrs = attrsOf(message, 12);
  const { payload } = message;
  if (payload[0] !== AF.BRIDGE) throw new MalformedError(`family ${payload[0]} where AF_BRIDGE belongs`);
  let mac = '';
  let master = 0;
  let vlan = 0;
  let dst = '';
  let port = 0;
  let vni = 0;
  let srcVni = 0;
  let via = 0;
  let protocol = 0;
  for (const a of attrs) {
    switch (a.type) {
      case NDA.LLADDR:
        mac = lladdrText(a.bytes());
        break;
      case NDA.MASTER:
        master = a.u32();
        break;
      case NDA.VLAN:
        vlan = a.u16();
        break;
      case NDA.DST:
        dst = ipText(a);
        break;
      case NDA.PORT:
        port = a.u16be();
        break;
      case NDA.VNI:
        vni = a.u32();
        break;
      case NDA.SRC_VNI:
        srcVni = a.u32();
        break;
      case NDA.IFINDEX:
        via = a.u32();
        break;
      case NDA.PROTOCOL:
        protocol = a.u8();
        break;
    }
  }
  attrs.throwIfMalformed();
  return {
    index: i32At(payload, 4),
    mac,
    master,
    flags: bitNames(payload[10]!, FLAGS),
    state: stateOf(u16At(payload, 8)),
    vlan,
    dst,
    port,
    vni,
    srcVni,
    via,
    protocol,
  };
}

function stateOf(bits: number): FdbState {
  if ((bits & NUD.PERMANENT) !== 0) return 'permanent';
  if ((bits & NUD.NOARP) !== 0) return 'static';
  return (bits & NUD.STALE) !== 0 ? 'stale' : 'dynamic';
}
const STATE_BITS: Readonly<Record<FdbState, number>> = {
  permanent: NUD.PERMANENT | NUD.NOARP,
  static: NUD.NOARP | NUD.REACHABLE,
  dynamic: NUD.REACHABLE,
  stale: NUD.STALE,
};

/** struct ndmsg and its attributes. linux/neighbour.h */
function fdbRequest(type: number, nlFlags: number, spec: FdbSpec): Request {
  const verb = type === RTM.NEWNEIGH ? 'RTM_NEWNEIGH' : 'RTM_DELNEIGH';
  const label = `${verb} fdb ${spec.mac}${spec.dst === undefined ? '' : ` dst=${spec.dst}`} index=${spec.index}`;
  return request(type, nlFlags, label, (w) => {
    const asked = bitsOfNames(spec.flags, FLAGS);
    const flags = (asked & (NTF.SELF | NTF.MASTER)) === 0 ? asked | NTF.SELF : asked;
    w.rawU8(AF.BRIDGE).rawU8(0).rawU16(0).rawI32(spec.index);
    w.rawU16(STATE_BITS[spec.state ?? 'permanent'])
      .rawU8(flags)
      .rawU8(0);
    w.bytes(NDA.LLADDR, parseMac(spec.mac));
    if (spec.dst !== undefined) w.bytes(NDA.DST, parseIp(spec.dst).bytes);
    if (spec.vlan !== undefined) w.u16(NDA.VLAN, spec.vlan);
    if (spec.port !== undefined) w.u16be(NDA.PORT, spec.port);
    if (spec.vni !== undefined) w.u32(NDA.VNI, spec.vni);
    if (spec.srcVni !== undefined) w.u32(NDA.SRC_VNI, spec.srcVni);
    if (spec.via !== undefined) w.u32(NDA.IFINDEX, spec.via);
    if (spec.protocol !== undefined) w.u8(NDA.PROTOCOL, spec.protocol);
  });
}
