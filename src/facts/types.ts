import type { NetlinkConn, Reply, Request } from '../netlink/index.ts';
import type { NftConn } from '../nftables/index.ts';
import type { Netns } from '../kernel/index.ts';

/**
 * A fact is a plain record of one piece of kernel state. It says what should be there, never how to get there: that
 * is its kind's business, in one file per kind.
 */
export interface FactBase {
  /** Path of the namespace it lives in; empty for the host's. */
  readonly ns: string;
  /** Which object wants it, for people: `network web`, `endpoint eth0 of blog`. No part of its identity. */
  readonly object: string;
}

/** What is done to one fact. */
export type Verb = 'add' | 'change' | 'delete';

/**
 * How a verb reaches the kernel. Netlink steps next to each other that share a namespace travel in one burst; nftables
 * steps next to each other in one atomic batch.
 */
export type Step = RtnetlinkStep | NetlinkStep | NftablesStep | CallStep;

export interface RtnetlinkStep {
  readonly via: 'rtnetlink';
  readonly ns: string;
  /** Interfaces whose index the requests need: resolved before `requests` is called. */
  readonly needs: readonly string[];
  /** What must be known or made before the requests can be written. Where it fails, nothing of this step was done. */
  prepare?(kernel: KernelView): Promise<void>;
  requests(index: (ifname: string) => number, kernel: KernelView): readonly Request[];
  /**
   * What is sent only when the requests above were accepted. The kernel goes on with a burst after it has refused one
   * of it, so what follows a creation by name would otherwise change whatever of that name was there before.
   */
  readonly after?: RtnetlinkStep;
  /** Interfaces whose index the answers teach: a link just made, or its peer where that is in the same namespace. */
  readonly teaches?: readonly string[];
  learn?(replies: readonly Reply[], indices: LinkIndices): void;
}
/** As a step of rtnetlink, on a connection of another family. */
export interface NetlinkStep extends Omit<RtnetlinkStep, 'via' | 'teaches' | 'learn'> {
  readonly via: 'genetlink' | 'xfrm';
  /** Called where the kernel refused the requests, so that nothing of them is there. */
  refused?(): void;
}
export interface NftablesStep {
  readonly via: 'nftables';
  readonly ns: string;
  readonly requests: readonly Request[];
}
export interface CallStep {
  readonly via: 'call';
  run(kernel: KernelView): void | Promise<void>;
  /** What is sent once it has run. */
  readonly after?: RtnetlinkStep;
}

/** Interface indices by namespace and name, learned as links come and go. */
export interface LinkIndices {
  get(ns: string, ifname: string): number | undefined;
  set(ns: string, ifname: string, index: number): void;
  delete(ns: string, ifname: string): void;
}

/** Connections into the namespaces that facts live in. An empty path is the host's namespace. */
export interface KernelView {
  netns(ns: string): Netns;
  rtnl(ns: string): NetlinkConn;
  nft(ns: string): NftConn;
  genetlink(ns: string): NetlinkConn;
  xfrm(ns: string): NetlinkConn;
  /** Lets go of a namespace that is about to vanish, or that was made anew under the same path. */
  forget(ns: string): void;
  readonly indices: LinkIndices;
}

/**
 * Everything that can be done with one kind of fact; the only place that knows how. The engine, repair, `--explain`,
 * garbage collection and the tests all read this one table.
 */
export interface FactKind<F extends FactBase = FactBase> {
  /** Identity in the kernel: two facts with one key cannot both be there. */
  key(fact: F): string;
  add(fact: F): Step;
  /** Turns `have` into `want` in place; undefined where the kernel cannot, and the fact must be deleted and added. */
  change(want: F, have: F): Step | undefined;
  /** Undefined where nothing is to be done: a parameter that stays, an interface that was there before us. */
  delete(fact: F): Step | undefined;
  /**
   * What is there of this kind in one namespace and is **ours** by the kernel's own fields. Where something is `wanted`,
   * what else there is may be left out. Kinds that the kernel lets nobody mark (a sysctl, a namespace's name) answer for
   * what is `wanted` only, so they are never surplus.
   */
  read(kernel: KernelView, ns: string, wanted: readonly F[]): Promise<readonly F[]>;
  /** Names of the properties in which `have` is not as wanted; empty when right. */
  differences(want: F, have: F): readonly string[];
  /** What it is, for an error: `interface eth0 in /run/netns/web`. */
  describe(fact: F): string;
  /** The same as a command that runs in a shell. */
  command(fact: F, verb: Verb): string;
  /** Keys of facts that take this one with them when they go: a namespace its links, a link its addresses. */
  within(fact: F): readonly string[];
}
