import { NetloomError } from '../errors.ts';
import {
  MalformedError,
  NlAttrs,
  type NlMessage,
  type NlWriter,
  NLA_F_NESTED,
  NLM_F,
  type Request,
} from '../netlink/index.ts';
import { type BridgePort, readBridgePort, writeBridgePort } from './bridgeport.ts';
import { attrsOf, i32At, lladdrText, request, text, u16At, u32At } from './codec.ts';
import { AF, IFF, IFLA, IFLA_INET6, IFLA_INFO, RTEXT_FILTER, RTM } from './constants/index.ts';
import { kindName, kindWriter, type LinkKind, type LinkKindName, readKind, type Tun } from './kinds/index.ts';
import { ADDR_GEN_MODES, type AddrGenMode, type LinkAttributes, type LinkLater, writeLinkBody } from './linkbody.ts';

/** A link to make. Its alias and its `addrGenMode` are for `linkSet`, in the same burst if need be. */
export interface LinkSpec extends LinkAttributes {
  readonly name: string;
  readonly info: Exclude<LinkKind, Tun>;
}
/** What to change of a link; with `info`, also settings of its kind. */
export interface LinkChange extends Omit<LinkAttributes, 'index'>, LinkLater {
  readonly info?: LinkKind;
  /** Settings of a bridge's port, as `ip link set type bridge_slave`: unlike `linkSetPort`, by name, too. Not with `info`. */
  readonly port?: BridgePort;
}
/** Which link. An index is found faster; a name is right even where the link was made in the same burst. */
export type LinkSelector = { readonly index: number } | { readonly name: string };

/** RFC 2863 states. linux/if.h IF_OPER_* */
export type OperState = 'unknown' | 'notpresent' | 'down' | 'lowerlayerdown' | 'testing' | 'dormant' | 'up';
const OPER_STATES: readonly OperState[] = [
  'unknown',
  'notpresent',
  'down',
  'lowerlayerdown',
  'testing',
  'dormant',
  'up',
];

/** The counters that `ip -s link` prints: the first ten of struct rtnl_link_stats64, which have never moved. */
export interface LinkStats {
  readonly rxPackets: bigint;
  readonly txPackets: bigint;
  readonly rxBytes: bigint;
  readonly txBytes: bigint;
  readonly rxErrors: bigint;
  readonly txErrors: bigint;
  readonly rxDropped: bigint;
  readonly txDropped: bigint;
  readonly multicast: bigint;
  readonly collisions: bigint;
}

/** A link as the kernel shows it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** ARPHRD_* */
  readonly type: number;
  /** IFF_* */
  readonly flags: number;
  /** IFF_UP: wanted up. Whether it works is `operState`. */
  readonly up: boolean;
  /** Bytes. */
  readonly mtu: number;
  /** Hardware address: six bytes for Ethernet, a tunnel's local address for tunnels; empty where there is none. */
  readonly mac: string;
  /** Index of the bridge or VRF that it belongs to; 0 for none. */
  readonly master: number;
  /** Index of the interface below it, or of a veth's peer, in the namespace `linkNetnsid`; 0 for none. */
  readonly link: number;
  /** The namespace of `link`, as this one numbers it; undefined when it is this one. */
  readonly linkNetnsid: number | undefined;
  readonly group: number;
  readonly alias: string;
  readonly txQueueLen: number;
  readonly operState: OperState;
  /** Undefined where the interface has no IPv6 (an MTU below 1280, a kernel without it). */
  readonly addrGenMode: AddrGenMode | undefined;
  readonly promiscuity: number;
  readonly altNames: readonly string[];
  /** Undefined for hardware and for loopback. */
  readonly info: LinkKind | undefined;
  /** Set when the master is a bridge. */
  readonly port: Required<BridgePort> | undefined;
}

/** `ip link add`. @throws NetloomError for a name, address or kind that cannot be; NetlinkError EEXIST from the kernel. */
export function linkAdd(spec: LinkSpec): Request {
  const label = `RTM_NEWLINK name=${spec.name} kind=${kindName(spec.info)}`;
  return request(RTM.NEWLINK, NLM_F.CREATE | NLM_F.EXCL, label, (w) => {
    writeLinkBody(w, spec);
    writeInfo(w, spec.info);
  });
}

/** `ip link set`. A new name needs the link's index, since a name that is given with it would be the new one. */
export function linkSet(link: LinkSelector, change: LinkChange): Request {
  if ('name' in link && change.name !== undefined) {
    throw new NetloomError('EINVAL', `link ${link.name} can only be renamed by index`);
  }
  return request(RTM.NEWLINK, 0, `RTM_NEWLINK ${selectorText(link)}`, (w) => {
    writeLinkBody(w, { ...change, ...link });
    if (change.info) writeInfo(w, change.info);
    const { port } = change;
    if (port) {
      w.nest(IFLA.LINKINFO, () => {
        w.string(IFLA_INFO.SLAVE_KIND, 'bridge').nest(IFLA_INFO.SLAVE_DATA, () => writeBridgePort(w, port));
      });
    }
  });
}

/** `ip link delete`; with a group, every link of it in one message, which costs the kernel little more than one. */
export function linkDelete(link: LinkSelector | { readonly group: number }): Request {
  return request(RTM.DELLINK, 0, `RTM_DELLINK ${selectorText(link)}`, (w) => writeLinkBody(w, link));
}

/** `ip link show dev`. One message answers; ENODEV where there is none. */
export function linkGet(link: LinkSelector): Request {
  return request(RTM.GETLINK, 0, `RTM_GETLINK ${selectorText(link)}`, (w) => {
    writeLinkBody(w, link);
    w.u32(IFLA.EXT_MASK, RTEXT_FILTER.SKIP_STATS);
  });
}

/** `ip link show`, filtered by the kernel. */
export function linkDump(options?: {
  readonly kind?: LinkKindName | (string & {});
  /** Index of the master. */
  readonly master?: number;
}): Request {
  return request(RTM.GETLINK, NLM_F.DUMP, 'RTM_GETLINK dump', (w) => {
    writeLinkBody(w, options?.master === undefined ? {} : { master: options.master });
    w.u32(IFLA.EXT_MASK, RTEXT_FILTER.SKIP_STATS);
    const kind = options?.kind;
    if (kind !== undefined) w.nest(IFLA.LINKINFO, () => w.bytes(IFLA_INFO.KIND, utf8.encode(kind)));
  });
}

/** `bridge link set`: settings of a bridge's port. By index only, as the kernel wants it. */
export function linkSetPort(link: { readonly index: number }, change: BridgePort): Request {
  return request(RTM.SETLINK, 0, `RTM_SETLINK index=${link.index} (bridge port)`, (w) => {
    writeLinkBody(w, link, AF.BRIDGE);
    w.nest(NLA_F_NESTED | IFLA.PROTINFO, () => writeBridgePort(w, change));
  });
}

/** Just the numbers of a link and of what it is linked to: a tenth of what `parseLink` costs. @throws MalformedError */
export function parseLinkIndex(message: NlMessage): Pick<Link, 'index' | 'link'> {
  const attrs = attrsOf(message, 16);
  let link = 0;
  for (const a of attrs) {
    if (a.type !== IFLA.LINK) continue;
    link = a.u32();
    break;
  }
  attrs.throwIfMalformed();
  return { index: i32At(message.payload, 4), link };
}

/** RTM_NEWLINK or RTM_DELLINK. @throws MalformedError */
export function parseLink(message: NlMessage): Link {
  const attrs = attrsOf(message, 16);
  const { payload } = message;
  const flags = u32At(payload, 8);
  let name = '';
  let mtu = 0;
  let mac = '';
  let master = 0;
  let link = 0;
  let linkNetnsid: number | undefined;
  let group = 0;
  let alias = '';
  let txQueueLen = 0;
  let operState: OperState = 'unknown';
  let addrGenMode: AddrGenMode | undefined;
  let promiscuity = 0;
  let altNames: readonly string[] = NO_NAMES;
  let info: LinkKind | undefined;
  let port: Required<BridgePort> | undefined;
  for (const a of attrs) {
    switch (a.type) {
      case IFLA.IFNAME:
        name = text(a);
        break;
      case IFLA.MTU:
        mtu = a.u32();
        break;
      case IFLA.ADDRESS:
        mac = lladdrText(a.bytes());
        break;
      case IFLA.MASTER:
        master = a.u32();
        break;
      case IFLA.LINK:
        link = a.u32();
        break;
      case IFLA.LINK_NETNSID:
        linkNetnsid = a.i32();
        break;
      case IFLA.GROUP:
        group = a.u32();
        break;
      case IFLA.IFALIAS:
        alias = text(a);
        break;
      case IFLA.TXQLEN:
        txQueueLen = a.u32();
        break;
      case IFLA.OPERSTATE:
        operState = OPER_STATES[a.u8()] ?? 'unknown';
        break;
      case IFLA.PROMISCUITY:
        promiscuity = a.u32();
        break;
      case IFLA.AF_SPEC:
        // an AF_BRIDGE message has VLANs here, which are none of our business
        if (payload[0] === AF.UNSPEC) addrGenMode = readAddrGenMode(a.nested());
        break;
      case IFLA.PROP_LIST:
        altNames = readAltNames(a.nested());
        break;
      case IFLA.LINKINFO: {
        const both = readInfo(a.nested());
        info = both.info;
        port = both.port;
        break;
      }
      case IFLA.PROTINFO:
        if (payload[0] === AF.BRIDGE) port = readBridgePort(a.nested());
        break;
    }
  }
  attrs.throwIfMalformed();
  return {
    index: i32At(payload, 4),
    name,
    type: u16At(payload, 2),
    flags,
    up: (flags & IFF.UP) !== 0,
    mtu,
    mac,
    master,
    link,
    linkNetnsid,
    group,
    alias,
    txQueueLen,
    operState,
    addrGenMode,
    promiscuity,
    altNames,
    info,
    port,
  };
}

/** The counters that an RTM_NEWLINK carries. @throws MalformedError, also where it has none. */
export function parseLinkStats(message: NlMessage): LinkStats {
  const attrs = attrsOf(message, 16);
  let bytes: Uint8Array = NO_BYTES;
  for (const a of attrs) if (a.type === IFLA.STATS64) bytes = a.bytes();
  attrs.throwIfMalformed();
  if (bytes.length < 80) throw new MalformedError(`IFLA_STATS64 holds ${bytes.length} bytes, 80 wanted`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const counter = (i: number): bigint => view.getBigUint64(i * 8, true);
  return {
    rxPackets: counter(0),
    txPackets: counter(1),
    rxBytes: counter(2),
    txBytes: counter(3),
    rxErrors: counter(4),
    txErrors: counter(5),
    rxDropped: counter(6),
    txDropped: counter(7),
    multicast: counter(8),
    collisions: counter(9),
  };
}

const NO_NAMES: readonly string[] = Object.freeze([]);
const utf8 = new TextEncoder();

function selectorText(link: LinkSelector | { readonly group: number }): string {
  return 'index' in link ? `index=${link.index}` : 'name' in link ? `name=${link.name}` : `group=${link.group}`;
}

function writeInfo(w: NlWriter, info: LinkKind): void {
  w.nest(IFLA.LINKINFO, () => {
    w.bytes(IFLA_INFO.KIND, utf8.encode(kindName(info)));
    const data = kindWriter(info);
    if (data) w.nest(IFLA_INFO.DATA, data);
  });
}

function readInfo(attrs: NlAttrs): { info: LinkKind | undefined; port: Required<BridgePort> | undefined } {
  let info: LinkKind | undefined;
  let port: Required<BridgePort> | undefined;
  let kind = '';
  let masterKind = '';
  for (const a of attrs) {
    switch (a.type) {
      case IFLA_INFO.KIND:
        kind = text(a);
        break;
      case IFLA_INFO.DATA: // the kernel puts a kind before its data
        info = readKind(kind, a.nested());
        break;
      case IFLA_INFO.SLAVE_KIND:
        masterKind = text(a);
        break;
      case IFLA_INFO.SLAVE_DATA:
        if (masterKind === 'bridge') port = readBridgePort(a.nested());
        break;
    }
  }
  if (kind !== '') info ??= readKind(kind, new NlAttrs(NO_BYTES));
  return { info, port };
}
const NO_BYTES = new Uint8Array(0);

function readAddrGenMode(families: NlAttrs): AddrGenMode | undefined {
  let mode: AddrGenMode | undefined;
  for (const family of families) {
    if (family.type !== AF.INET6) continue;
    for (const a of family.nested()) {
      if (a.type === IFLA_INET6.ADDR_GEN_MODE) mode = ADDR_GEN_MODE_NAMES[a.u8()];
    }
  }
  return mode;
}
const ADDR_GEN_MODE_NAMES = Object.keys(ADDR_GEN_MODES) as AddrGenMode[];

function readAltNames(attrs: NlAttrs): readonly string[] {
  const names: string[] = [];
  for (const a of attrs) if (a.type === IFLA.ALT_IFNAME) names.push(text(a));
  return names;
}
