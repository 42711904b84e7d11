import { type Ip, ipFromBytes, parseIp, parsePrefix } from '../addr/index.ts';
import { NlAttrs, type NlMessage, type NlWriter, NLM_F, type Request } from '../netlink/index.ts';
import { afOf, attrsOf, type Family, familyOf, i32At, ipText, request, u16At, u32At } from './codec.ts';
import { AF, RT_SCOPE, RT_TABLE, RTA, RTAX, RTM, RTM_F, RTN, RTNH_F, RTPROT } from './constants/index.ts';

/** What becomes of a packet. linux/rtnetlink.h RTN_* */
export type RouteType =
  | 'unspec'
  | 'unicast'
  | 'local'
  | 'broadcast'
  | 'anycast'
  | 'multicast'
  | 'blackhole'
  | 'unreachable'
  | 'prohibit'
  | 'throw'
  | 'nat'
  | 'xresolve';
const TYPES = Object.keys(RTN).map((name) => name.toLowerCase()) as readonly RouteType[];

/** One of several ways that a route goes. */
export interface Nexthop {
  /** Of either family; missing or empty: the destination is on the link. */
  readonly gateway?: string;
  readonly oif?: number;
  /** 1 to 256. */
  readonly weight?: number;
  /** The gateway is on the link, whatever the addresses say. */
  readonly onlink?: boolean;
}

/** Limits that a route puts on its connections. linux/rtnetlink.h RTAX_* */
export interface RouteMetrics {
  /** Bytes. */
  readonly mtu?: number;
  readonly advmss?: number;
  readonly window?: number;
  readonly hoplimit?: number;
  readonly initcwnd?: number;
  readonly initrwnd?: number;
  readonly quickack?: number;
  /** RTAX_LOCK: bits `1 << RTAX.x` of what path MTU discovery may not change. */
  readonly lock?: number;
}
const METRICS: readonly (readonly [keyof RouteMetrics, number])[] = [
  ['mtu', RTAX.MTU],
  ['window', RTAX.WINDOW],
  ['advmss', RTAX.ADVMSS],
  ['hoplimit', RTAX.HOPLIMIT],
  ['initcwnd', RTAX.INITCWND],
  ['initrwnd', RTAX.INITRWND],
  ['quickack', RTAX.QUICKACK],
  ['lock', RTAX.LOCK],
];

/** A route to make, or to take away. */
export interface RouteSpec extends RouteMetrics {
  /** `10.1.0.0/16`; `0.0.0.0/0` and `::/0` are the default routes. Host bits are an error. */
  readonly dst: string;
  /** IPv6 only, and only in a kernel with CONFIG_IPV6_SUBTREES. */
  readonly src?: string;
  /** Default RT_TABLE.MAIN; RT_TABLE.LOCAL for types local, broadcast, anycast and nat. */
  readonly table?: number;
  /** Who made it, 1 to 255. Default RTPROT.BOOT, as with `ip`; on deletion: any. */
  readonly protocol?: number;
  /** RT_SCOPE.*; default as with `ip`: link without a gateway, host for `local`, else universe. On deletion: any. */
  readonly scope?: number;
  /** Default unicast; on deletion: any. */
  readonly type?: RouteType;
  /** Lower wins. Default: 0 for IPv4, 1024 for IPv6 (the kernel's). */
  readonly metric?: number;
  /** Source address of packets that this host sends. */
  readonly prefsrc?: string;
  /** An IPv6 gateway of an IPv4 route is `via inet6` (since Linux 5.2). */
  readonly gateway?: string;
  readonly oif?: number;
  readonly onlink?: boolean;
  readonly tos?: number;
  /** Instead of `gateway` and `oif`. */
  readonly nexthops?: readonly Nexthop[];
}

/** A route as the kernel shows it. */
export interface Route extends RouteMetrics {
  readonly family: Family;
  readonly dst: string;
  /** Empty for any. */
  readonly src: string;
  readonly table: number;
  readonly protocol: number;
  readonly scope: number;
  readonly type: RouteType;
  readonly metric: number;
  readonly tos: number;
  /** Empty for none. */
  readonly prefsrc: string;
  /** Empty for none, and where there are several ways. */
  readonly gateway: string;
  /** 0 for none, and where there are several ways. */
  readonly oif: number;
  /** Of an answer to `routeGet`. */
  readonly iif: number;
  readonly onlink: boolean;
  /** RTM_F_* and RTNH_F_* bits: `linkdown`, `dead`, `offload`. */
  readonly flags: number;
  /** Empty where there is one way only. */
  readonly nexthops: readonly Required<Nexthop>[];
}

/** `ip route add`. @throws NetloomError for text that is no prefix; NetlinkError EEXIST, ENETUNREACH from the kernel. */
export function routeAdd(spec: RouteSpec): Request {
  return routeRequest(RTM.NEWROUTE, NLM_F.CREATE | NLM_F.EXCL, spec);
}
/** `ip route replace`: what has the same destination, table, tos and metric gives way. */
export function routeReplace(spec: RouteSpec): Request {
  return routeRequest(RTM.NEWROUTE, NLM_F.CREATE | NLM_F.REPLACE, spec);
}
/** `ip route append`: IPv4, behind those with the same key; IPv6, one more way of the same route. */
export function routeAppend(spec: RouteSpec): Request {
  return routeRequest(RTM.NEWROUTE, NLM_F.CREATE | NLM_F.APPEND, spec);
}
/** `ip route delete`: the first that matches what is said. ESRCH where none does. */
export function routeDelete(spec: RouteSpec): Request {
  return routeRequest(RTM.DELROUTE, 0, spec);
}

/**
 * `ip route show table …`, filtered by the kernel; without a table, all of them. Cached clones are left out. Without a
 * family, take `ipMessages` of the answer.
 */
export function routeDump(options?: {
  readonly family?: Family;
  readonly table?: number;
  readonly oif?: number;
  readonly protocol?: number;
}): Request {
  return request(RTM.GETROUTE, NLM_F.DUMP, 'RTM_GETROUTE dump', (w) => {
    const table = options?.table;
    w.rawU8(afOf(options?.family)).rawU8(0).rawU8(0).rawU8(0);
    w.rawU8(0)
      .rawU8(options?.protocol ?? 0)
      .rawU8(0)
      .rawU8(0)
      .rawU32(0);
    if (table !== undefined) w.u32(RTA.TABLE, table);
    if (options?.oif !== undefined) w.u32(RTA.OIF, options.oif);
  });
}

/** `ip route get`: the way a packet would take. With `fibMatch`, the route that decides, as it stands in its table. */
export function routeGet(
  dst: string,
  options?: {
    readonly from?: string;
    readonly iif?: number;
    readonly oif?: number;
    readonly mark?: number;
    readonly uid?: number;
    readonly fibMatch?: boolean;
  },
): Request {
  const to = parseIp(dst);
  const from = options?.from === undefined ? undefined : parseIp(options.from);
  return request(RTM.GETROUTE, 0, `RTM_GETROUTE ${to.text}`, (w) => {
    const bits = to.bytes.length * 8;
    // without LOOKUP_TABLE, IPv4 names a table that is always main; IPv6 refuses it, and names the right one
    const lookup = to.family === 4 ? RTM_F.LOOKUP_TABLE : 0;
    const flags = lookup | (options?.fibMatch === true ? RTM_F.FIB_MATCH : 0);
    w.rawU8(afOf(to.family))
      .rawU8(bits)
      .rawU8(from ? bits : 0)
      .rawU8(0)
      .rawU32(0)
      .rawU32(flags);
    w.bytes(RTA.DST, to.bytes);
    if (from) w.bytes(RTA.SRC, from.bytes);
    if (options?.uid !== undefined) w.u32(RTA.UID, options.uid);
    if (options?.iif !== undefined) w.u32(RTA.IIF, options.iif);
    if (options?.oif !== undefined) w.u32(RTA.OIF, options.oif);
    if (options?.mark !== undefined) w.u32(RTA.MARK, options.mark);
  });
}

/** RTM_NEWROUTE or RTM_DELROUTE. @throws MalformedError */
export function parseRoute(message: NlMessage): Route {
  const attrs = attrsOf(message, 12);
  const { payload } = message;
  const family = familyOf(payload[0]!);
  const flags = u32At(payload, 8);
  const any = family === 4 ? '0.0.0.0' : '::';
  let dst = any;
  let src = any;
  let table = payload[4]!;
  let metric = 0;
  let prefsrc = '';
  let gateway = '';
  let oif = 0;
  let iif = 0;
  let nexthops: readonly Required<Nexthop>[] = NO_NEXTHOPS;
  let metrics: RouteMetrics | undefined;
  for (const a of attrs) {
    switch (a.type) {
      case RTA.DST:
        dst = ipText(a);
        break;
      case RTA.SRC:
        src = ipText(a);
        break;
      case RTA.TABLE:
        table = a.u32();
        break;
      case RTA.PRIORITY:
        metric = a.u32();
        break;
      case RTA.PREFSRC:
        prefsrc = ipText(a);
        break;
      case RTA.GATEWAY:
        gateway = ipText(a);
        break;
      case RTA.VIA:
        gateway = readVia(a);
        break;
      case RTA.OIF:
        oif = a.u32();
        break;
      case RTA.IIF:
        iif = a.u32();
        break;
      case RTA.MULTIPATH:
        nexthops = readNexthops(a, payload, attrs);
        break;
      case RTA.METRICS:
        metrics = readMetrics(a.nested());
        break;
    }
  }
  attrs.throwIfMalformed();
  return {
    family,
    dst: `${dst}/${payload[1]!}`,
    src: payload[2] === 0 ? '' : `${src}/${payload[2]!}`,
    table,
    protocol: payload[5]!,
    scope: payload[6]!,
    type: TYPES[payload[7]!] ?? 'unspec',
    metric,
    tos: payload[3]!,
    prefsrc,
    gateway,
    oif,
    iif,
    onlink: (flags & RTNH_F.ONLINK) !== 0,
    flags,
    nexthops,
    ...metrics,
  };
}

const NO_NEXTHOPS: readonly Required<Nexthop>[] = Object.freeze([]);

/** struct rtmsg and its attributes. linux/rtnetlink.h */
function routeRequest(type: number, flags: number, spec: RouteSpec): Request {
  const deleting = type === RTM.DELROUTE;
  const dst = parsePrefix(spec.dst, { strict: true });
  const src = spec.src === undefined ? undefined : parsePrefix(spec.src, { strict: true });
  const { family } = dst;
  const table = spec.table ?? (isLocalType(spec.type) ? RT_TABLE.LOCAL : RT_TABLE.MAIN);
  const label = `${deleting ? 'RTM_DELROUTE' : 'RTM_NEWROUTE'} ${dst.text} table=${table}`;
  return request(type, flags, label, (w) => {
    w.rawU8(afOf(family))
      .rawU8(dst.length)
      .rawU8(src?.length ?? 0)
      .rawU8(spec.tos ?? 0);
    w.rawU8(table < 256 ? table : RT_TABLE.UNSPEC);
    w.rawU8(spec.protocol ?? (deleting ? RTPROT.UNSPEC : RTPROT.BOOT));
    w.rawU8(spec.scope ?? defaultScope(spec, family, deleting));
    w.rawU8(spec.type === undefined ? (deleting ? RTN.UNSPEC : RTN.UNICAST) : TYPES.indexOf(spec.type));
    w.rawU32(spec.onlink === true ? RTNH_F.ONLINK : 0);
    if (dst.length > 0) w.bytes(RTA.DST, dst.address.bytes);
    if (src && src.length > 0) w.bytes(RTA.SRC, src.address.bytes);
    if (spec.gateway !== undefined && spec.gateway !== '') writeGateway(w, family, parseIp(spec.gateway));
    if (table > 255) w.u32(RTA.TABLE, table);
    if (spec.metric !== undefined) w.u32(RTA.PRIORITY, spec.metric);
    if (spec.prefsrc !== undefined) w.bytes(RTA.PREFSRC, parseIp(spec.prefsrc).bytes);
    if (spec.oif !== undefined) w.u32(RTA.OIF, spec.oif);
    writeMetrics(w, spec);
    const { nexthops } = spec;
    if (nexthops) w.nest(RTA.MULTIPATH, () => nexthops.forEach((hop) => writeNexthop(w, family, hop)));
  });
}

function isLocalType(type: RouteType | undefined): boolean {
  return type === 'local' || type === 'broadcast' || type === 'anycast' || type === 'nat';
}

function defaultScope(spec: RouteSpec, family: Family, deleting: boolean): number {
  if (family === 6) return RT_SCOPE.UNIVERSE;
  if (spec.type === 'local' || spec.type === 'nat') return RT_SCOPE.HOST;
  if (spec.type === 'broadcast' || spec.type === 'multicast' || spec.type === 'anycast') return RT_SCOPE.LINK;
  if (spec.type !== undefined && spec.type !== 'unicast') return RT_SCOPE.UNIVERSE;
  if (deleting) return RT_SCOPE.NOWHERE;
  return spec.gateway === undefined && spec.nexthops === undefined ? RT_SCOPE.LINK : RT_SCOPE.UNIVERSE;
}

/** RTA_GATEWAY, or struct rtvia for a gateway of the other family. */
function writeGateway(w: NlWriter, family: Family, gateway: Ip): void {
  if (gateway.family === family) w.bytes(RTA.GATEWAY, gateway.bytes);
  else w.bytes(RTA.VIA, Uint8Array.of(afOf(gateway.family), 0, ...gateway.bytes));
}

function readVia(a: NlAttrs): string {
  const bytes = a.bytes();
  const size = bytes.length >= 2 && u16At(bytes, 0) === AF.INET6 ? 16 : 4;
  if (bytes.length >= 2 + size) return ipFromBytes(bytes.subarray(2, 2 + size)).text;
  a.fail(`RTA_VIA holds ${bytes.length} bytes, ${2 + size} wanted`);
  return '';
}

function writeMetrics(w: NlWriter, metrics: RouteMetrics): void {
  if (METRICS.every(([key]) => metrics[key] === undefined)) return;
  w.nest(RTA.METRICS, () => {
    for (const [key, attribute] of METRICS) {
      const value = metrics[key];
      if (value !== undefined) w.u32(attribute, value);
    }
  });
}

function readMetrics(attrs: NlAttrs): RouteMetrics {
  const metrics: { -readonly [K in keyof RouteMetrics]: RouteMetrics[K] } = {};
  for (const a of attrs) {
    const metric = METRICS.find(([, attribute]) => attribute === a.type);
    if (metric) metrics[metric[0]] = a.u32();
  }
  return metrics;
}

/** struct rtnexthop: its length, flags, weight less one, interface; then attributes. */
function writeNexthop(w: NlWriter, family: Family, hop: Nexthop): void {
  const gateway = hop.gateway === undefined || hop.gateway === '' ? undefined : parseIp(hop.gateway);
  const via = gateway === undefined || gateway.family === family ? 0 : 2;
  const length = 8 + (gateway ? (4 + via + gateway.bytes.length + 3) & ~3 : 0);
  w.rawU16(length)
    .rawU8(hop.onlink === true ? RTNH_F.ONLINK : 0)
    .rawU8((hop.weight ?? 1) - 1)
    .rawI32(hop.oif ?? 0);
  if (gateway) writeGateway(w, family, gateway);
}

function readNexthops(a: NlAttrs, payload: Uint8Array, root: NlAttrs): readonly Required<Nexthop>[] {
  const hops: Required<Nexthop>[] = [];
  const bytes = a.bytes();
  const offset = bytes.byteOffset - payload.byteOffset;
  for (let at = 0; at + 8 <= bytes.length;) {
    const length = u16At(bytes, at);
    if (length < 8 || length > bytes.length - at) {
      a.fail(`nexthop at byte ${at} says ${length} bytes, ${bytes.length - at} are left`);
      break;
    }
    let gateway = '';
    for (const attr of new NlAttrs(payload, offset + at + 8, offset + at + length, root)) {
      if (attr.type === RTA.GATEWAY) gateway = ipText(attr);
      else if (attr.type === RTA.VIA) gateway = readVia(attr);
    }
    const flags = bytes[at + 2]!;
    hops.push({
      gateway,
      oif: i32At(bytes, at + 4),
      weight: bytes[at + 3]! + 1,
      onlink: (flags & RTNH_F.ONLINK) !== 0,
    });
    at += (length + 3) & ~3;
  }
  return hops;
}
