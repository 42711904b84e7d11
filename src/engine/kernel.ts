import { ConntrackConn } from '../conntrack/index.ts';
import type { KernelView, LinkIndices } from '../facts/index.ts';
import { Netns } from '../kernel/index.ts';
import { NETLINK, NetlinkConn } from '../netlink/index.ts';
import { NftConn } from '../nftables/index.ts';

/** Told how long each exchange with the kernel took. */
export type KernelObserver = (family: 'rtnetlink' | 'nftables', lane: 'thread' | 'here', seconds: number) => void;

/** One namespace, with the connections into it that were needed so far. */
class Space implements Disposable {
  readonly netns: Netns;
  readonly #observe: KernelObserver | undefined;
  #rtnl: NetlinkConn | undefined;
  #nft: NftConn | undefined;
  #conntrack: ConntrackConn | undefined;
  #genetlink: NetlinkConn | undefined;
  #xfrm: NetlinkConn | undefined;

  constructor(netns: Netns, observe: KernelObserver | undefined) {
    this.netns = netns;
    this.#observe = observe;
  }
  get rtnl(): NetlinkConn {
    const observe = this.#observe;
    return (this.#rtnl ??= NetlinkConn.open(
      NETLINK.ROUTE,
      this.netns,
      observe && ((lane, seconds) => observe('rtnetlink', lane, seconds)),
    ));
  }
  get nft(): NftConn {
    const observe = this.#observe;
    return (this.#nft ??= NftConn.open(this.netns, observe && ((lane, seconds) => observe('nftables', lane, seconds))));
  }
  get conntrack(): ConntrackConn {
    return (this.#conntrack ??= ConntrackConn.open(this.netns));
  }
  get genetlink(): NetlinkConn {
    return (this.#genetlink ??= NetlinkConn.open(NETLINK.GENERIC, this.netns));
  }
  get xfrm(): NetlinkConn {
    return (this.#xfrm ??= NetlinkConn.open(NETLINK.XFRM, this.netns));
  }
  /** Exchanges that are not finished. */
  get waiting(): { readonly rtnetlink: number; readonly nftables: number } {
    return { rtnetlink: this.#rtnl?.pending ?? 0, nftables: this.#nft?.pending ?? 0 };
  }
  [Symbol.dispose](): void {
    this.#rtnl?.close();
    this.#nft?.[Symbol.dispose]();
    this.#conntrack?.close();
    this.#genetlink?.close();
    this.#xfrm?.close();
    this.netns.close();
  }
}

/** The host namespace, held for the engine's life; every operation works in a `scope()` of its own. */
export class Kernel implements Disposable {
  readonly #host: Space;
  readonly #observe: KernelObserver | undefined;

  /** @param host owned by the kernel from here on. */
  constructor(host: Netns, observe?: KernelObserver) {
    this.#host = new Space(host, observe);
    this.#observe = observe;
  }
  get host(): Netns {
    return this.#host.netns;
  }
  /**
   * The host's tracked connections. Kept open: closing a socket of netfilter's makes its caller wait for the grace period
   * of whatever was deleted from the rule set just before.
   */
  get conntrack(): ConntrackConn {
    return this.#host.conntrack;
  }
  /** Exchanges on the host's connections that are not finished. */
  get waiting(): { readonly rtnetlink: number; readonly nftables: number } {
    return this.#host.waiting;
  }
  /** Connections for one operation: workloads' namespaces are opened when first used, and closed with the scope. */
  scope(): KernelScope {
    return new KernelScope(this.#host, this.#observe);
  }
  [Symbol.dispose](): void {
    this.#host[Symbol.dispose]();
  }
}

export class KernelScope implements KernelView, Disposable {
  readonly #host: Space;
  readonly #spaces = new Map<string, Space>();
  /** Interface indices, known for this operation only: outside of it anyone may remake a link. */
  readonly indices: Indices = new Indices();

  readonly #observe: KernelObserver | undefined;

  constructor(host: Space, observe?: KernelObserver) {
    this.#host = host;
    this.#observe = observe;
  }

  netns(ns: string): Netns {
    return this.#space(ns).netns;
  }
  rtnl(ns: string): NetlinkConn {
    return this.#space(ns).rtnl;
  }
  nft(ns: string): NftConn {
    return this.#space(ns).nft;
  }
  genetlink(ns: string): NetlinkConn {
    return this.#space(ns).genetlink;
  }
  xfrm(ns: string): NetlinkConn {
    return this.#space(ns).xfrm;
  }
  forget(ns: string): void {
    this.#spaces.get(ns)?.[Symbol.dispose]();
    this.#spaces.delete(ns);
    this.indices.forget(ns);
  }
  [Symbol.dispose](): void {
    for (const space of this.#spaces.values()) space[Symbol.dispose]();
    this.#spaces.clear();
  }

  #space(ns: string): Space {
    if (ns === '') return this.#host;
    let space = this.#spaces.get(ns);
    if (!space) this.#spaces.set(ns, (space = new Space(Netns.open(ns), this.#observe)));
    return space;
  }
}

class Indices implements LinkIndices {
  readonly #byNs = new Map<string, Map<string, number>>();

  get(ns: string, ifname: string): number | undefined {
    if (ifname === 'lo') return LOOPBACK_IFINDEX;
    return this.#byNs.get(ns)?.get(ifname);
  }
  set(ns: string, ifname: string, index: number): void {
    let names = this.#byNs.get(ns);
    if (!names) this.#byNs.set(ns, (names = new Map<string, number>()));
    names.set(ifname, index);
  }
  delete(ns: string, ifname: string): void {
    this.#byNs.get(ns)?.delete(ifname);
  }
  forget(ns: string): void {
    this.#byNs.delete(ns);
  }
}

/** net/flow.h: in every namespace */
const LOOPBACK_IFINDEX = 1;
