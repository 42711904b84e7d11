import type { Netns } from '../kernel/index.ts';
import { NETLINK, NetlinkConn, type NlMessage, NetlinkError, type Request } from '../netlink/index.ts';
import * as address from './address.ts';
import { ipMessages } from './codec.ts';
import * as fdb from './fdb.ts';
import { kindName } from './kinds/index.ts';
import * as link from './link.ts';
import * as neighbour from './neighbour.ts';
import * as nsid from './nsid.ts';
import * as route from './route.ts';
import * as rule from './rule.ts';
import { linkKindUnsupported } from './unsupported.ts';

/**
 * rtnetlink of one namespace, a method a request. For many changes at once, put the requests of the pure functions into
 * one `conn.batch`.
 *
 * ```ts
 * using rtnl = Rtnl.open(netns);
 * await rtnl.link.add({ name: 'br0', up: true, info: { kind: 'bridge' } });
 * ```
 */
export class Rtnl implements Disposable {
  readonly conn: NetlinkConn;
  readonly link: LinkVerbs;
  readonly address: AddressVerbs;
  readonly route: RouteVerbs;
  readonly rule: RuleVerbs;
  readonly neighbour: NeighbourVerbs;
  readonly fdb: FdbVerbs;
  readonly nsid: NsidVerbs;

  /** @param conn closed with this object */
  constructor(conn: NetlinkConn) {
    this.conn = conn;
    const run = async (request: Request): Promise<void> => void (await conn.execute(request));
    const all = async <T>(request: Request, parse: (m: NlMessage) => T): Promise<T[]> =>
      (await conn.execute(request)).map((m) => parse(m));
    const allIp = async <T>(request: Request, parse: (m: NlMessage) => T): Promise<T[]> =>
      ipMessages(await conn.execute(request)).map((m) => parse(m));
    const one = async <T>(request: Request, parse: (m: NlMessage) => T): Promise<T> => {
      const [message] = await conn.execute(request);
      if (!message) throw new NetlinkError({ errno: ENODATA, request: request.label, extAck: 'no answer' });
      return parse(message);
    };
    this.link = {
      add: (spec) =>
        run(link.linkAdd(spec)).catch((error: unknown) => {
          throw linkKindUnsupported(error, kindName(spec.info));
        }),
      set: (which, change) => run(link.linkSet(which, change)),
      setPort: (which, change) => run(link.linkSetPort(which, change)),
      delete: (which) => run(link.linkDelete(which)),
      get: (which) => one(link.linkGet(typeof which === 'string' ? { name: which } : which), link.parseLink),
      list: (options) => all(link.linkDump(options), link.parseLink),
    };
    this.address = {
      add: (spec) => run(address.addressAdd(spec)),
      replace: (spec) => run(address.addressReplace(spec)),
      delete: (spec) => run(address.addressDelete(spec)),
      list: (options) => allIp(address.addressDump(options), address.parseAddress),
    };
    this.route = {
      add: (spec) => run(route.routeAdd(spec)),
      replace: (spec) => run(route.routeReplace(spec)),
      append: (spec) => run(route.routeAppend(spec)),
      delete: (spec) => run(route.routeDelete(spec)),
      get: (dst, options) => one(route.routeGet(dst, options), route.parseRoute),
      list: (options) => allIp(route.routeDump(options), route.parseRoute),
    };
    this.rule = {
      add: (spec) => run(rule.ruleAdd(spec)),
      delete: (spec) => run(rule.ruleDelete(spec)),
      list: (options) => allIp(rule.ruleDump(options), rule.parseRule),
    };
    this.neighbour = {
      add: (spec) => run(neighbour.neighbourAdd(spec)),
      replace: (spec) => run(neighbour.neighbourReplace(spec)),
      delete: (spec) => run(neighbour.neighbourDelete(spec)),
      get: (spec) => one(neighbour.neighbourGet(spec), neighbour.parseNeighbour),
      list: (options) => allIp(neighbour.neighbourDump(options), neighbour.parseNeighbour),
    };
    this.fdb = {
      add: (spec) => run(fdb.fdbAdd(spec)),
      append: (spec) => run(fdb.fdbAppend(spec)),
      replace: (spec) => run(fdb.fdbReplace(spec)),
      delete: (spec) => run(fdb.fdbDelete(spec)),
      get: (spec) => one(fdb.fdbGet(spec), fdb.parseFdb),
      list: (options) => all(fdb.fdbDump(options), fdb.parseFdb),
    };
    this.nsid = {
      set: (netns, id) => run(nsid.nsidSet(netns, id)),
      get: async (netns) => (await one(nsid.nsidGet(netns), nsid.parseNsid)).nsid,
      list: async () => (await all(nsid.nsidDump(), nsid.parseNsid)).map((entry) => entry.nsid),
    };
  }

  /** @param netns this process's own without one. @throws SyscallError */
  static open(netns?: Netns): Rtnl {
    return new Rtnl(NetlinkConn.open(NETLINK.ROUTE, netns));
  }
  close(): void {
    this.conn.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }
}

/** asm-generic/errno.h */
const ENODATA = 61;

type Options<F extends (options?: never) => Request> = Parameters<F>[0];

export interface LinkVerbs {
  /** @throws UnsupportedError for a kind that the kernel does not have. */
  add(spec: link.LinkSpec): Promise<void>;
  set(which: link.LinkSelector, change: link.LinkChange): Promise<void>;
  setPort(which: Parameters<typeof link.linkSetPort>[0], change: Parameters<typeof link.linkSetPort>[1]): Promise<void>;
  delete(which: Parameters<typeof link.linkDelete>[0]): Promise<void>;
  /** By name or by selector. */
  get(which: string | link.LinkSelector): Promise<link.Link>;
  list(options?: Options<typeof link.linkDump>): Promise<link.Link[]>;
}
export interface AddressVerbs {
  add(spec: address.AddressSpec): Promise<void>;
  replace(spec: address.AddressSpec): Promise<void>;
  delete(spec: address.AddressSpec): Promise<void>;
  list(options?: Options<typeof address.addressDump>): Promise<address.Address[]>;
}
export interface RouteVerbs {
  add(spec: route.RouteSpec): Promise<void>;
  replace(spec: route.RouteSpec): Promise<void>;
  append(spec: route.RouteSpec): Promise<void>;
  delete(spec: route.RouteSpec): Promise<void>;
  get(dst: string, options?: Parameters<typeof route.routeGet>[1]): Promise<route.Route>;
  list(options?: Options<typeof route.routeDump>): Promise<route.Route[]>;
}
export interface RuleVerbs {
  add(spec: rule.RuleSpec): Promise<void>;
  delete(spec: rule.RuleSpec): Promise<void>;
  list(options?: Options<typeof rule.ruleDump>): Promise<rule.Rule[]>;
}
export interface NeighbourVerbs {
  add(spec: neighbour.NeighbourSpec): Promise<void>;
  replace(spec: neighbour.NeighbourSpec): Promise<void>;
  delete(spec: Parameters<typeof neighbour.neighbourDelete>[0]): Promise<void>;
  get(spec: Parameters<typeof neighbour.neighbourGet>[0]): Promise<neighbour.Neighbour>;
  list(options?: Options<typeof neighbour.neighbourDump>): Promise<neighbour.Neighbour[]>;
}
export interface FdbVerbs {
  add(spec: fdb.FdbSpec): Promise<void>;
  append(spec: fdb.FdbSpec): Promise<void>;
  replace(spec: fdb.FdbSpec): Promise<void>;
  delete(spec: fdb.FdbSpec): Promise<void>;
  get(spec: Parameters<typeof fdb.fdbGet>[0]): Promise<fdb.FdbEntry>;
  list(options?: Options<typeof fdb.fdbDump>): Promise<fdb.FdbEntry[]>;
}
export interface NsidVerbs {
  set(netns: nsid.NetnsSelector, id: number): Promise<void>;
  /** -1 where it has none. */
  get(netns: nsid.NetnsSelector): Promise<number>;
  list(): Promise<number[]>;
}
