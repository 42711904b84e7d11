import { createServer, type Server, type Socket } from 'node:net';
import { network, parseIp, parsePrefix, tryParseIp } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import { listenIn, signTcp } from '../kernel/index.ts';
import type { LearnedRoute } from './best.ts';
import { checkCommunities, checkSpeaker, type NeighbourOptions, neighbourOf, type SpeakerOptions } from './config.ts';
import { familyOf } from './nlri.ts';
import { CEASE, ERROR, type Notification, shutdown } from './notification.ts';
import { Peer } from './peer.ts';
import type { Announcement } from './rib-out.ts';
import type { NeighbourStatus } from './status.ts';
import { type RouteChange, RouteTable } from './table.ts';

/** What happens, told within the event loop; an error that it throws is the process's. */
export interface SpeakerEvents {
  /** Ways that came, changed or went, several at once. */
  routes?(changes: readonly RouteChange[]): void;
  /** A session came up, or it, or a try to have one, ended. */
  neighbour?(status: NeighbourStatus): void;
}

/**
 * A BGP speaker for a host: it announces the host's own prefixes, and learns others'. It never passes on what it learned:
 * no router sends a host packets that are not for it.
 *
 * Announce before `start`: a neighbour that kept our routes drops those which it is not told of in the first burst.
 * @see RFC 4271, RFC 4760, RFC 4724, RFC 7606
 */
export class Speaker implements AsyncDisposable {
  #options: SpeakerOptions;
  readonly #events: SpeakerEvents;
  readonly #own: Map<string, Announcement> = new Map();
  readonly #table: RouteTable = new RouteTable(this.#own);
  readonly #peers: Map<string, Peer> = new Map();
  readonly #listeners: { readonly server: Server; readonly number: number; readonly family: 4 | 6 }[] = [];
  readonly #changed: Set<string> = new Set();
  readonly #settled: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly #restartTime: number;
  #settle: NodeJS.Immediate | undefined;
  #deferral: NodeJS.Timeout | undefined;
  #restartingUntil = 0;
  #state: 'new' | 'running' | 'closed' = 'new';
  #strangers = 0;

  /** Opens nothing yet. @throws NetloomError EBADBGPOPTION, EBADADDRESS, EBADPREFIX */
  constructor(options: SpeakerOptions, events: SpeakerEvents = {}) {
    checkSpeaker(options);
    this.#options = options;
    this.#events = events;
    this.#restartTime = options.restart?.time ?? 120;
    for (const neighbour of options.neighbours) neighbourOf(neighbour, options.asn);
  }

  /** Listens, and speaks to the neighbours. @throws SyscallError EADDRINUSE, EADDRNOTAVAIL, EACCES */
  start(): void {
    if (this.#state !== 'new') return;
    const { listen = [], neighbours, restart } = this.#options;
    if (restart?.resumed) this.#restartingUntil = performance.now() + this.#restartTime * 1000;
    for (const neighbour of neighbours) this.#add(neighbour);
    try {
      for (const { address, port } of listen) this.listen(address, port);
    } catch (error) {
      void this.#closeListeners();
      this.#peers.clear();
      throw error;
    }
    this.#state = 'running';
    this.#deferral = setTimeout(() => this.#settled.resolve(), Math.max(this.#restartTime, 1) * 1000).unref();
    if (neighbours.length === 0) this.#settled.resolve();
    for (const peer of this.#peers.values()) peer.start();
  }

  /**
   * When all neighbours have told everything that they had, or the restart time is over: only then are routes that were
   * in the kernel before, and that nobody told of, to be taken away. Also resolved by `close`.
   */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }
  /** The way to each prefix that somebody told of, ours excepted. */
  get routes(): readonly LearnedRoute[] {
    return this.#table.routes;
  }
  get neighbours(): readonly NeighbourStatus[] {
    return [...this.#peers.values()].map(({ status }) => status);
  }
  /** Connections of those who are no neighbours, all closed at once. */
  get strangers(): number {
    return this.#strangers;
  }

  /** What was announced before with the same prefixes is replaced. @throws NetloomError EBADPREFIX, EBADADDRESS, EBADBGPOPTION */
  announce(prefixes: readonly string[], how: Announcement = {}): void {
    checkCommunities(how.communities ?? []);
    const nextHop = (how.nextHop ?? []).map((address) => parseIp(address).text);
    const own: Announcement = { ...how, nextHop };
    this.#changeOwn(
      prefixes.map((text) => parsePrefix(text, { strict: true }).text),
      (prefix) => this.#own.set(prefix, own),
    );
  }
  /** Prefixes that were not announced are no error. @throws NetloomError EBADPREFIX */
  withdraw(prefixes: readonly string[]): void {
    this.#changeOwn(
      prefixes.map((text) => network(parsePrefix(text)).text),
      (prefix) => this.#own.delete(prefix),
    );
  }
  /** The prefixes that are announced now. */
  get announced(): readonly string[] {
    return [...this.#own.keys()];
  }

  /** The neighbours from now on: sessions of those that stay as they are, but for what is taken of them, go on. @throws as the constructor */
  setNeighbours(neighbours: readonly NeighbourOptions[]): void {
    checkSpeaker({ ...this.#options, neighbours });
    const wanted = new Map(
      neighbours.map((each) => [parseIp(each.address).text, neighbourOf(each, this.#options.asn)]),
    );
    this.#options = { ...this.#options, neighbours };
    if (this.#state !== 'running') return;
    for (const [address, peer] of this.#peers) {
      const next = wanted.get(address);
      if (next && JSON.stringify(next) === JSON.stringify(peer.neighbour)) continue;
      const { accept } = next ?? peer.neighbour;
      if (next && JSON.stringify(next) === JSON.stringify({ ...peer.neighbour, accept })) {
        peer.restrict(accept);
        continue;
      }
      this.#remove(address, peer, next ? CEASE.CHANGED : CEASE.DECONFIGURED);
    }
    for (const each of neighbours) {
      if (this.#peers.has(parseIp(each.address).text)) continue;
      this.#add(each).start();
    }
  }

  /** Ends a neighbour's session, and begins another. @throws NetloomError ENOENT for one that is none */
  resetNeighbour(address: string): void {
    const peer = this.#peers.get(tryParseIp(address)?.text ?? '');
    if (!peer) throw new NetloomError('ENOENT', `${address} is no neighbour`);
    peer.reset({ code: ERROR.CEASE, subcode: CEASE.RESET }, 'reset by the operator');
  }

  /**
   * Ends all sessions. Learned routes are not told to be gone.
   * @param keep our routes stay with neighbours that know restarts, for the restart time: another speaker comes back
   * soon. Else they are told to forget them, with `words` for their operators
   */
  async close({ keep = false, words = '' }: { readonly keep?: boolean; readonly words?: string } = {}): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    clearTimeout(this.#deferral);
    clearImmediate(this.#settle);
    const notification = keep ? undefined : shutdown(words);
    for (const peer of this.#peers.values()) peer.stop(notification, 'this speaker ends');
    this.#settled.resolve();
    const gone = this.#closeListeners();
    await Promise.all([gone, ...[...this.#peers.values()].map((peer) => peer.gone)]);
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #add(options: NeighbourOptions): Peer {
    const { asn: localAs, routerId, netns } = this.#options;
    const neighbour = neighbourOf(options, localAs);
    const peer = new Peer(neighbour, {
      ...{ netns, localAs, routerId, own: this.#own, random: Math.random },
      ...{ restartTime: this.#restartTime, restartingUntil: this.#restartingUntil },
      changed: (prefixes) => this.#routesChanged(prefixes),
      turned: (turned) => this.#turned(turned),
    });
    this.#peers.set(neighbour.address, peer);
    for (const listener of this.#listeners) if (familyOf(neighbour.address) === listener.family) peer.sign(listener);
    return peer;
  }
  #remove(address: string, peer: Peer, subcode: number): void {
    const notification: Notification = { code: ERROR.CEASE, subcode };
    peer.stop(notification, 'it is no neighbour any more');
    this.#peers.delete(address);
    if (peer.neighbour.password === undefined) return;
    for (const listener of this.#listeners)
      if (familyOf(address) === listener.family) signTcp(listener, parseIp(address), new Uint8Array());
  }

  /** Neighbours find us there, too. @throws SyscallError EADDRINUSE, EADDRNOTAVAIL, EACCES */
  listen(address: string, port = 179): void {
    if (this.#state === 'closed') return;
    const fd = listenIn(this.#options.netns, { address: parseIp(address).text, port });
    const listener = {
      server: createServer((socket) => this.#accept(socket)),
      number: fd.number,
      family: familyOf(address),
    };
    try {
      for (const peer of this.#peers.values()) if (familyOf(peer.neighbour.address) === listener.family) peer.sign(fd);
    } catch (error) {
      fd.close();
      throw error;
    }
    listener.server.on('error', () => undefined); // EMFILE at accept: the connection waits in the kernel
    listener.server.listen({ fd: fd.release() });
    this.#listeners.push(listener);
  }
  #accept(socket: Socket): void {
    const peer = this.#peers.get(tryParseIp(socket.remoteAddress ?? '')?.text ?? '');
    if (peer && this.#state === 'running') return peer.accept(socket);
    this.#strangers++;
    socket.on('error', () => undefined).destroy();
  }
  #closeListeners(): Promise<unknown> {
    const open = this.#listeners.splice(0);
    return Promise.all(open.map(({ server }) => new Promise((resolve) => void server.close(resolve))));
  }

  #changeOwn(prefixes: readonly string[], change: (prefix: string) => void): void {
    for (const prefix of prefixes) change(prefix);
    this.#routesChanged(prefixes);
    for (const peer of this.#peers.values()) peer.announce(prefixes);
  }

  /** Looked at once a turn of the loop, however many messages came in it. */
  #routesChanged(prefixes: readonly string[]): void {
    if (this.#state === 'closed') return;
    for (const prefix of prefixes) this.#changed.add(prefix);
    this.#settle ??= setImmediate(() => {
      this.#settle = undefined;
      const looked = [...this.#changed];
      this.#changed.clear();
      const tellers = [...this.#peers.values()].map(({ adjacency }) => adjacency.routes);
      const changes = this.#table.settle(looked, tellers);
      if (changes.length > 0) this.#events.routes?.(changes);
      this.#checkSettled();
    });
  }
  #turned(peer: Peer): void {
    if (this.#state !== 'closed') this.#events.neighbour?.(peer.status);
    this.#routesChanged([]);
  }
  #checkSettled(): void {
    for (const { adjacency } of this.#peers.values()) if (!adjacency.toldAll) return;
    this.#settled.resolve();
  }
}
