import { existsSync, type FSWatcher, readFileSync, watch as watchDir } from 'node:fs';
import { dirname, join } from 'node:path';
import { hasCode } from '../errors.ts';
import { DYING_GROUP, isOurGroup, OUR_TABLES, PROTOCOL } from '../facts/index.ts';
import { Netns } from '../kernel/index.ts';
import { type MonitorEvent, NETLINK, NetlinkMonitor, type NlMessage } from '../netlink/index.ts';
import { decodeGeneration, NFNLGRP_NFTABLES, tableOf } from '../nftables/index.ts';
import {
  IFF,
  type Link,
  linkDump,
  messageName,
  nsidGet,
  nsidSet,
  parseEvent,
  parseLink,
  parseNotice,
  parseNsid,
  RTNLGRP,
  type RtnlEvent,
} from '../rtnetlink/index.ts';
import type { Endpoint, Network } from '../model/index.ts';
import type { Change } from '../store/index.ts';
import type { Core } from './core.ts';
import { KEYS } from './records.ts';
import { inNamespace } from './wanted.ts';
import { WantedIndex } from './wanted-index.ts';
import { touchedByXfrm, XFRM_GROUPS } from './xfrm-touched.ts';

/** What happened, and who did it as far as the kernel says. */
export interface Cause {
  /** What the kernel told: its message and what that was about; `audit`. */
  readonly what: string;
  /** `nft (pid 42)`; empty where nobody knows. */
  readonly by: string;
}

/** Who wants to hear where to look. */
export interface WatchSink {
  /** Something happened to the fact of that key, or to what is below it, which these objects want. */
  touched(objects: readonly string[], key: string, cause: Cause): void;
  /** Somebody changed our table. */
  rulesetTouched(cause: Cause): void;
  /** A link bears our mark that nobody knows. */
  strangeLink(cause: Cause): void;
  /** Changes were lost: anything may have happened. */
  missed(): void;
  /** The watch itself has ended by a fault. */
  failed(error: unknown): void;
}

/** linux/rtnetlink.h */
const RTPROT_KERNEL = 2;
const RTPROT_RA = 9;
const RT_TABLE_LOCAL = 255;
const GROUPS = [
  RTNLGRP.LINK,
  RTNLGRP.NEIGH,
  RTNLGRP.TC,
  RTNLGRP.IPV4_IFADDR,
  RTNLGRP.IPV4_ROUTE,
  RTNLGRP.IPV4_RULE,
  RTNLGRP.IPV6_IFADDR,
  RTNLGRP.IPV6_ROUTE,
  RTNLGRP.IPV6_RULE,
  RTNLGRP.IPV4_NETCONF,
  RTNLGRP.IPV6_NETCONF,
  RTNLGRP.NSID,
];

/**
 * Hears what happens to the host's links, addresses, routes and rule set, and by the same socket to those of every
 * workload's namespace, and says which objects have to be looked at.
 *
 * What an engine does itself is told by the kernel like anything else. It is not looked at: an object that is being made
 * or taken away is not ready, and before one becomes ready everything that the kernel has told so far is taken in.
 */
export class KernelWatch implements AsyncDisposable {
  readonly index: WantedIndex = new WantedIndex();
  readonly #core: Core;
  readonly #sink: WatchSink;
  readonly #rtnl: NetlinkMonitor;
  readonly #nft: NetlinkMonitor;
  /** Open once somebody wants something of IPsec. */
  #xfrm: NetlinkMonitor | undefined;
  readonly #stop = new AbortController();
  readonly #loops: Promise<void>[] = [];
  #learning: Promise<void> | undefined;
  /** Our links on the host, by index. */
  readonly #names = new Map<number, string>();
  /** Workloads' namespaces by the number that the host's gives them, and the other way round. */
  readonly #spaces = new Map<number, string>();
  readonly #nsids = new Map<string, number>();
  /** What is known of each link's settings: an event that tells nothing new needs no look. */
  readonly #settings = new Map<string, string>();
  readonly #directories = new Map<string, FSWatcher>();
  /** The transaction that is being told of has touched our table. */
  #ours = false;
  /** The last of the rule set's generations that was told of; undefined where none was, or some were lost. */
  #generation: number | undefined;

  private constructor(core: Core, sink: WatchSink, rtnl: NetlinkMonitor, nft: NetlinkMonitor) {
    this.#core = core;
    this.#sink = sink;
    this.#rtnl = rtnl;
    this.#nft = nft;
  }

  /** Listens from here on. @throws SyscallError */
  static async open(core: Core, sink: WatchSink): Promise<KernelWatch> {
    await using stack = new AsyncDisposableStack();
    const { host } = core.kernel;
    const rtnl = stack.use(NetlinkMonitor.open(NETLINK.ROUTE, host, GROUPS, { allNamespaces: true }));
    const nft = stack.use(NetlinkMonitor.open(NETLINK.NETFILTER, host, [NFNLGRP_NFTABLES]));
    const watch = new KernelWatch(core, sink, rtnl, nft);
    stack.use(watch);
    const changes = core.store.watch('', watch.#stop.signal);
    await watch.#learn();
    // heard from here on, and so what is read from here on can be kept
    core.firewall.follow(watch);
    watch.#loops.push(watch.#followStore(changes), watch.#follow(rtnl), watch.#follow(nft));
    stack.move();
    return watch;
  }

  /** Whether every change to the rule set has been told of. */
  async hasHeardRuleset(): Promise<boolean> {
    if (this.#generation === undefined) return false;
    using kernel = this.#core.kernel.scope();
    const now = await kernel.nft('').generation();
    this.drain();
    // one that came after the question was told of all the same
    return this.#generation !== undefined && this.#generation >= now;
  }

  /** Peers and endpoints of other hosts that are in the kernel now, or gone from it, by the store's keys. */
  noteOthers(changes: Iterable<readonly [key: string, value: unknown]>): void {
    this.drain();
    for (const [key, value] of changes) this.index.change(key, value);
  }

  /** Takes in what the kernel has told until now. */
  drain(): void {
    for (const monitor of [this.#rtnl, this.#nft, this.#xfrm]) {
      if (!monitor) continue;
      for (let event = monitor.take(); event; event = monitor.take()) this.#handle(monitor, event);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#core.firewall.follow(undefined);
    this.#rtnl.close();
    this.#nft.close();
    this.#xfrm?.close();
    for (const watcher of this.#directories.values()) watcher.close();
    this.#directories.clear();
    await Promise.all([...this.#loops, this.#learning]);
  }

  /** The store and the host's links, as they are now. */
  async #learn(): Promise<void> {
    await this.#core.store.read((tx) => this.index.load(tx));
    using kernel = this.#core.kernel.scope();
    for (const message of await kernel.rtnl('').execute(linkDump())) this.#noteLink(parseLink(message));
    await this.#followSpaces(this.index.spaces);
    if (this.index.keysUnder('xfrm-').length > 0) this.#followXfrm();
  }

  /** Only where it is needed: a kernel without IPsec has nobody to ask. What happened before, the next audit sees. */
  #followXfrm(): void {
    if (this.#xfrm || this.#stop.signal.aborted) return;
    try {
      this.#xfrm = NetlinkMonitor.open(NETLINK.XFRM, this.#core.kernel.host, XFRM_GROUPS);
      this.#loops.push(this.#follow(this.#xfrm));
    } catch (error) {
      if (!hasCode(error, 'EPROTONOSUPPORT')) throw error;
    }
  }

  async #follow(monitor: NetlinkMonitor): Promise<void> {
    try {
      for await (const event of monitor) this.#handle(monitor, event);
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#sink.failed(error);
    }
  }

  #handle(monitor: NetlinkMonitor, event: MonitorEvent): void {
    if (event.kind === 'overrun') {
      this.#settings.clear();
      this.#generation = undefined;
      this.#core.firewall.forget();
      // links that came unheard would be nobody's when they are renamed or go
      this.#learning ??= this.#learn()
        .catch((error: unknown) => {
          if (!this.#stop.signal.aborted && !hasCode(error, 'ESTORECLOSED')) this.#sink.failed(error);
        })
        .finally(() => (this.#learning = undefined));
      this.#sink.missed();
    } else if (monitor === this.#xfrm) {
      for (const { key, what, pid } of touchedByXfrm(event.messages, this.index))
        this.#sink.touched(this.index.wanting(key), key, { what: `${what} ${key}`, by: nameOfProcess(pid) });
    } else if (monitor === this.#nft) {
      for (const message of event.messages) this.#onRuleset(message);
    } else if (event.nsid === -1) {
      for (const message of event.messages) this.#onHost(message);
    } else {
      const space = this.#spaces.get(event.nsid);
      if (space !== undefined) for (const message of event.messages) this.#onSpace(space, event.nsid, message);
    }
  }

  async #followStore(changes: AsyncIterable<Change>): Promise<void> {
    for (;;) {
      try {
        for await (const { key, value } of changes) {
          const endpoint = key.startsWith(KEYS.endpoints);
          if (!endpoint && !key.startsWith(KEYS.networks) && !key.startsWith(KEYS.containers)) continue;
          this.drain();
          this.index.change(key, value);
          if (key.startsWith(KEYS.networks) && (value as Network | undefined)?.overlay?.self.epochs) this.#followXfrm();
          if (endpoint && value !== undefined) await this.#followSpaces([(value as Endpoint).netns]);
        }
        return;
      } catch (error) {
        if (this.#stop.signal.aborted || hasCode(error, 'ESTORECLOSED')) return;
        if (!hasCode(error, 'ESTOREBEHIND')) {
          this.#sink.failed(error);
          return;
        }
        changes = this.#core.store.watch('', this.#stop.signal);
        await this.#learn();
        this.#sink.missed();
      }
    }
  }

  /** Listens into the namespaces of ready workloads that no link of the host led to, and for the ends of their paths. */
  async #followSpaces(paths: readonly string[]): Promise<void> {
    const unheard: string[] = [];
    for (const path of paths) {
      if (path === '') continue;
      this.#followDirectory(dirname(path));
      if (!this.#nsids.has(path) && this.index.inSpace(path).length > 0) unheard.push(path);
    }
    if (unheard.length === 0) return;
    using kernel = this.#core.kernel.scope();
    const conn = kernel.rtnl('');
    for (const path of unheard) {
      try {
        using netns = Netns.open(path);
        const ask = async (): Promise<number> => {
          const [answer] = await conn.execute(nsidGet({ fd: netns.fd }), { lane: 'here' });
          return answer ? parseNsid(answer).nsid : -1;
        };
        if ((await ask()) === -1) await conn.execute(nsidSet({ fd: netns.fd }, -1), { lane: 'here' });
        this.#noteSpace(await ask(), path);
      } catch (error) {
        // gone already: whoever looks at its objects finds that out
        if (!hasCode(error, 'ENOENT', 'EINVAL', 'EEXIST')) throw error;
      }
    }
  }

  /** A path of a namespace that goes is seen by nobody else while a process still lives in it. @see inotify(7) */
  #followDirectory(path: string): void {
    if (this.#directories.has(path) || path.startsWith('/proc/') || path === '') return;
    try {
      const watcher = watchDir(path, { persistent: false }, (_event, name) => {
        const at = name === null ? '' : join(path, name);
        const objects = this.index.inSpace(at);
        if (objects.length > 0) this.#sink.touched(objects, inNamespace(at), { what: `${at} changed`, by: '' });
      });
      watcher.on('error', () => {
        watcher.close();
        this.#directories.delete(path);
      });
      this.#directories.set(path, watcher);
    } catch {
      // no such directory, or no watch left: the audit sees it
    }
  }

  #onRuleset(message: NlMessage): void {
    const end = decodeGeneration(message);
    if (!end) {
      const table = tableOf(message);
      if (!table) return;
      if (OUR_TABLES.some(({ family, name }) => family === table.family && name === table.name)) this.#ours = true;
      else this.#core.firewall.tableTouched(table);
      return;
    }
    const touched = this.#ours;
    this.#ours = false;
    this.#generation = end.generation;
    if (!touched || isThread(end.pid, end.name)) return;
    const by = end.name === '' ? '' : `${end.name} (pid ${end.pid})`;
    this.#sink.rulesetTouched({ what: `nftables generation ${end.generation}`, by });
  }

  #onHost(message: NlMessage): void {
    const event = parseEvent(message);
    if (!event) {
      this.#onNotice(message);
      return;
    }
    this.#core.firewall.hostTouched(event);
    switch (event.kind) {
      case 'link':
      case 'port':
        this.#onHostLink(message, event);
        return;
      case 'nsid':
        if (event.verb === 'delete') this.#forgetSpace(message, event.nsid.nsid);
        return;
      case 'address':
        if (event.verb === 'delete') {
          const dev = this.#names.get(event.address.index);
          if (dev !== undefined) this.#touchFact(`address  ${dev} ${event.address.address}`, message);
        }
        return;
      case 'route':
        if (event.route.protocol === RTPROT_KERNEL) return;
        this.#touchFact(`route  ${event.route.family} ${destination(event.route.dst)}`, message);
        return;
      case 'neighbour': {
        const dev = this.#names.get(event.neighbour.index);
        if (dev !== undefined) this.#touchFact(`neighbour  ${dev} ${event.neighbour.dst}`, message);
        return;
      }
      case 'fdb': {
        const dev = this.#names.get(event.fdb.index);
        if (dev !== undefined) {
          const { mac, master } = event.fdb;
          this.#touchFact(`fdb  ${dev} ${mac} ${master === 0 ? 'self' : 'master'}`, message);
        }
        return;
      }
      case 'rule':
        for (const key of this.index.keysUnder('rule  ')) this.#touchFact(key, message);
        return;
    }
  }

  #onHostLink(message: NlMessage, event: RtnlEvent & { readonly link: Link }): void {
    const { link, kind, verb } = event;
    const before = this.#names.get(link.index);
    const key = `link  ${link.name}`;
    const settings = `${kind} -1 ${link.index}`;
    if (kind === 'link' && verb === 'delete') {
      this.#names.delete(link.index);
      this.#settings.delete(settings);
      this.#settings.delete(`port -1 ${link.index}`);
      this.#touch([...this.index.wanting(key), ...this.index.within(key)], key, message, link.name);
      return;
    }
    const same = verb === 'new' && this.#settings.get(settings) === settingsOf(link);
    if (kind === 'link') this.#noteLink(link);
    if (same) return;
    if (verb === 'new') this.#settings.set(settings, settingsOf(link));
    else this.#settings.delete(settings);
    if (before !== undefined && link.name !== '' && before !== link.name) {
      const old = `link  ${before}`;
      this.#touch([...this.index.wanting(old), ...this.index.within(old)], old, message, before);
    }
    if (kind === 'link' && isOurGroup(link.group) && !this.index.knows(key))
      this.#sink.strangeLink(causeOf(message, link.name));
    this.#touch(this.index.wanting(key), key, message, link.name);
  }

  #onNotice(message: NlMessage): void {
    const notice = parseNotice(message);
    if (notice?.kind === 'tc') {
      const dev = this.#names.get(notice.index);
      if (dev !== undefined) this.#touchFact(`link  ${dev}`, message);
    } else if (notice?.kind === 'netconf' && notice.index < 0) {
      for (const key of this.index.keysUnder('sysctl  ')) this.#touchFact(key, message);
    }
  }

  #onSpace(space: string, nsid: number, message: NlMessage): void {
    const event = parseEvent(message);
    const notice = event ? undefined : parseNotice(message);
    if (event ? !this.#matters(event, nsid) : !notice || (notice.kind === 'netconf' && notice.index >= 0)) return;
    this.#touch(this.index.inSpace(space), inNamespace(space), message, space);
  }

  /** Whether what happened inside a workload can have been to something of ours. */
  #matters(event: RtnlEvent, nsid: number): boolean {
    switch (event.kind) {
      case 'link': {
        const settings = `link ${nsid} ${event.link.index}`;
        if (event.verb === 'delete') return this.#settings.delete(settings) || true;
        const now = settingsOf(event.link);
        if (this.#settings.get(settings) === now) return false;
        this.#settings.set(settings, now);
        return true;
      }
      case 'address':
        return event.verb === 'delete' && event.address.proto === PROTOCOL;
      case 'route': {
        const { protocol, table } = event.route;
        // one of another protocol may have taken the place of ours without a word
        if (event.verb === 'delete') return protocol === PROTOCOL;
        return (
          protocol !== PROTOCOL && protocol !== RTPROT_KERNEL && protocol !== RTPROT_RA && table !== RT_TABLE_LOCAL
        );
      }
      case 'rule':
        return event.verb === 'delete' && event.rule.protocol === PROTOCOL;
      case 'neighbour':
        return event.neighbour.state === 'permanent';
      default:
        return false;
    }
  }

  #touchFact(key: string, message: NlMessage): void {
    this.#touch(this.index.wanting(key), key, message, key);
  }
  #touch(objects: readonly string[], key: string, message: NlMessage, what: string): void {
    if (objects.length > 0) this.#sink.touched(objects, key, causeOf(message, what));
  }

  #noteLink(link: Link): void {
    const key = `link  ${link.name}`;
    const known = this.index.knows(key);
    if (!known && !isOurGroup(link.group)) return;
    if (link.group !== DYING_GROUP) this.#names.set(link.index, link.name);
    const space = link.linkNetnsid === undefined ? undefined : this.index.spaceBehind(key);
    if (space !== undefined && link.linkNetnsid !== undefined) this.#noteSpace(link.linkNetnsid, space);
  }
  #noteSpace(nsid: number, path: string): void {
    if (nsid < 0 || this.#spaces.get(nsid) === path) return;
    this.#spaces.set(nsid, path);
    this.#nsids.set(path, nsid);
  }
  #forgetSpace(message: NlMessage, nsid: number): void {
    const path = this.#spaces.get(nsid);
    if (path === undefined) return;
    this.#spaces.delete(nsid);
    if (this.#nsids.get(path) === nsid) this.#nsids.delete(path);
    for (const key of this.#settings.keys()) if (key.startsWith(`link ${nsid} `)) this.#settings.delete(key);
    this.#touch(this.index.inSpace(path), inNamespace(path), message, path);
  }
}

/** Everything of a link that a fact may want. */
function settingsOf(link: Link): string {
  const { name, master, up, mtu, mac, alias, group, addrGenMode, port, txQueueLen } = link;
  const tuned = `${link.flags & (IFF.PROMISC | IFF.ALLMULTI)} ${txQueueLen}`;
  // a port's state follows from the carrier, and is nobody's wish
  const bits = port ? Object.values({ ...port, state: '' }).join(' ') : '';
  return `${name} ${master} ${up} ${mtu} ${mac} ${group} ${addrGenMode} ${tuned} ${bits} ${alias}`;
}

function destination(dst: string): string {
  return dst === '0.0.0.0/0' || dst === '::/0' ? 'default' : dst;
}

/** The message's type, and whose request it follows: a socket's port is its process's number, as a rule. */
function causeOf(message: NlMessage, what: string): Cause {
  const name = messageName(message);
  return { what: `${name} ${what}`, by: nameOfProcess(message.pid) };
}

function nameOfProcess(pid: number): string {
  if (pid === 0 || pid > 0x7fff_ffff) return '';
  if (pid === process.pid) return 'netloom';
  try {
    return `${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()} (pid ${pid})`;
  } catch {
    return `pid ${pid}`; // ended since
  }
}

/** Whether that is a thread of ours: nobody else's transaction is told under its number and name. */
function isThread(pid: number, name: string): boolean {
  const path = `/proc/self/task/${pid}/comm`;
  try {
    return existsSync(path) && readFileSync(path, 'utf8').trim() === name;
  } catch {
    return false;
  }
}
