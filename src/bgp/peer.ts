import { Socket } from 'node:net';
import { parseIp } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import { type Fd, type Netns, setHops, signTcp, tcpSocketIn } from '../kernel/index.ts';
import { Adjacency, type AdjacencyWatcher, type LinkAction } from './adjacency.ts';
import type { Neighbour } from './config.ts';
import { Link } from './link.ts';
import type { Ending } from './machine.ts';
import type { Notification } from './notification.ts';
import type { OwnRoutes } from './rib-out.ts';
import { type NeighbourStatus, PeerHistory } from './status.ts';

/** What a neighbour's runner is given by the speaker. */
export interface PeerSite {
  readonly netns: Netns | undefined;
  readonly localAs: number;
  readonly routerId: string;
  readonly restartTime: number;
  readonly restartingUntil: number;
  readonly own: OwnRoutes;
  readonly random: () => number;
  changed(prefixes: readonly string[]): void;
  turned(peer: Peer): void;
}

/** One neighbour on real sockets and a real clock. */
export class Peer {
  #neighbour: Neighbour;
  readonly adjacency: Adjacency;
  readonly #site: PeerSite;
  readonly #history: PeerHistory = new PeerHistory();
  readonly #links: Map<number, Link> = new Map();
  readonly #sockets: Set<Socket> = new Set();
  #attempt: Socket | undefined;
  #lastLink = 0;
  #timer: NodeJS.Timeout | undefined;
  #flush: NodeJS.Immediate | undefined;
  #stopped = false;

  constructor(neighbour: Neighbour, site: PeerSite) {
    this.#neighbour = neighbour;
    this.#site = site;
    const { localAs, routerId, restartTime, restartingUntil, own, random } = site;
    const watcher: AdjacencyWatcher = {
      changed: (prefixes) => site.changed(prefixes),
      turned: (ending) => this.#turned(ending),
      fault: (line) => this.#history.fault(line),
    };
    const settings = { ...neighbour, localAs, routerId, restartTime, restartingUntil };
    this.adjacency = new Adjacency(settings, own, random, watcher);
  }

  get neighbour(): Neighbour {
    return this.#neighbour;
  }
  /** What is taken from now on; the session goes on. */
  restrict(accept: readonly string[]): void {
    this.#neighbour = { ...this.#neighbour, accept };
    this.#step((now) => this.adjacency.restrict(accept, now));
  }

  get status(): NeighbourStatus {
    return this.#history.status(this.neighbour, this.adjacency);
  }

  /** When every connection is closed, after `stop`. */
  get gone(): Promise<unknown> {
    return Promise.all(
      [...this.#sockets].map((socket) => new Promise((resolve) => void socket.once('close', resolve))),
    );
  }

  start(): void {
    this.#step((now) => this.adjacency.start(now));
  }
  /** For good. Without a notification the neighbour may keep our routes. */
  stop(notification: Notification | undefined, words: string): void {
    this.#step((now) => this.adjacency.stop(notification, words, now));
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#flush);
  }
  reset(notification: Notification, words: string): void {
    this.#step((now) => this.adjacency.reset(notification, words, now));
  }
  /** Some of our own prefixes are to be told anew. */
  announce(prefixes: Iterable<string>): void {
    if (!this.adjacency.session) return;
    this.adjacency.out.changed(prefixes);
    this.#scheduleFlush();
  }
  /** The neighbour connected to us. */
  accept(socket: Socket): void {
    this.#watch(socket);
    const link = this.#adopt(socket);
    this.#step((now) => this.adjacency.accepted(link, now));
  }

  #step(next: (now: number) => readonly LinkAction[]): void {
    if (this.#stopped) return;
    for (const action of next(performance.now())) this.#perform(action);
    if (!this.adjacency.out.empty) this.#scheduleFlush();
    clearTimeout(this.#timer);
    const wait = this.adjacency.wake - performance.now();
    // a look at what has come lies between: after a pause of ours, what waits in the kernel tells that the peer lives
    const tick = (): void => void setImmediate(() => this.#step((now) => this.adjacency.tick(now)));
    if (Number.isFinite(wait)) this.#timer = setTimeout(tick, Math.min(Math.max(wait, 0), LONGEST_TIMER));
  }

  #perform(action: LinkAction): void {
    switch (action.kind) {
      case 'connect':
        return this.#connect();
      case 'abandon':
        this.#attempt?.destroy();
        this.#attempt = undefined;
        return;
      case 'send':
        return this.#links.get(action.link)?.send(action.frame);
      case 'close':
        this.#links.get(action.link)?.close();
        this.#links.delete(action.link);
    }
  }

  #connect(): void {
    const { address, port, source } = this.neighbour;
    let socket: Socket;
    try {
      const fd = this.#socket();
      socket = new Socket({ fd: fd.release() });
    } catch (error) {
      const words = error instanceof NetloomError ? error.message : String(error);
      setImmediate(() => this.#step((now) => this.adjacency.unreachable(words, now)));
      return;
    }
    this.#attempt = socket;
    this.#watch(socket);
    const failed = (error: NodeJS.ErrnoException): void => {
      if (this.#attempt !== socket) return;
      this.#attempt = undefined;
      socket.destroy();
      this.#step((now) => this.adjacency.unreachable(`no connection: ${error.code ?? error.message}`, now));
    };
    socket.on('error', failed);
    socket.connect({ host: address, port, ...(source === undefined ? {} : { localAddress: source }) }, () => {
      if (this.#attempt !== socket) return;
      this.#attempt = undefined;
      socket.off('error', failed);
      const link = this.#adopt(socket);
      this.#step((now) => this.adjacency.connected(link, now));
    });
  }

  #watch(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
  }
  #socket(): Fd {
    const { address, hops } = this.neighbour;
    const peer = parseIp(address);
    const fd = tcpSocketIn(this.#site.netns, peer.family);
    try {
      setHops(fd, peer.family, hops);
      this.sign(fd);
      return fd;
    } catch (error) {
      fd.close();
      throw error;
    }
  }
  /** Segments to and from this neighbour carry its password's signature, where it has one. */
  sign(fd: { readonly number: number }): void {
    const { address, password } = this.neighbour;
    if (password !== undefined) signTcp(fd, parseIp(address), Buffer.from(password));
  }

  #adopt(socket: Socket): number {
    const id = ++this.#lastLink;
    const link: Link = new Link(socket, {
      received: (frame) => {
        this.#step((now) => this.adjacency.received(id, frame, this.#self(link), now));
        return this.#links.has(id);
      },
      broken: (error) => this.#step((now) => this.adjacency.broken(id, error, now)),
      lost: (words) => {
        this.#links.delete(id);
        this.#step((now) => this.adjacency.lost(id, words, now));
      },
      drained: () => this.#scheduleFlush(),
    });
    this.#links.set(id, link);
    return id;
  }
  #self(link: Link): readonly string[] {
    return [link.local, ...(this.neighbour.source === undefined ? [] : [this.neighbour.source])];
  }

  #scheduleFlush(): void {
    if (this.#stopped) return;
    this.#flush ??= setImmediate(() => {
      this.#flush = undefined;
      this.#tell();
    });
  }
  /** Tells what is to be told, as long as the connection takes it; goes on when it has drained. */
  #tell(): void {
    const link = this.#links.get(this.adjacency.link);
    while (link?.roomy) {
      if (this.adjacency.out.empty) return;
      for (const frame of this.adjacency.outgoing(link.local)) link.send(frame);
    }
  }

  #turned(ending: Ending | undefined): void {
    this.#history.turned(ending);
    this.#site.turned(this);
  }
}

const LONGEST_TIMER = 2 ** 31 - 1;
