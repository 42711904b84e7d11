import { NetloomError } from '../errors.ts';
import { tryParseIp } from '../addr/index.ts';
import { ERRNO, type Netns, serviceSocketIn, SyscallError } from '../kernel/index.ts';
import { Askers } from './askers.ts';
import { Cache } from './cache.ts';
import { Counters, type DnsStats, type RefusedAsker } from './counters.ts';
import type { ServerAddress } from './exchange.ts';
import { Forwarder } from './forwarder.ts';
import { findHolder } from './holder.ts';
import { LocalNames } from './local.ts';
import { ResolvConf } from './resolv-conf.ts';
import { Responder } from './responder.ts';
import { ServerGroups } from './servers.ts';
import { Connections, TcpListener } from './tcp.ts';
import { DEFAULT_LIMITS, type DnsOptions, type QueryLogEntry, type UpstreamSource } from './types.ts';
import { UdpListener } from './udp.ts';

interface Listener {
  readonly network: string;
  readonly address: string;
  readonly port: number;
  readonly stack: DisposableStack;
}

/**
 * The resolver of a host: listens at the gateway addresses of networks, by UDP and TCP, and tells each asker what the
 * view shows it; everything else it asks the upstream servers for, from the host's namespace.
 *
 * Keeps the process alive while it listens.
 */
export class DnsServer implements AsyncDisposable {
  readonly #netns: Netns | undefined;
  readonly #upstreams: UpstreamSource;
  readonly #counters = new Counters();
  readonly #cache: Cache;
  readonly #forwarder: Forwarder;
  readonly #responder: Responder;
  readonly #connections: Connections;
  readonly #listeners = new Map<string, Listener>();
  readonly #networks = new Map<string, Askers>();
  #closed = false;

  constructor(options: DnsOptions) {
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const now = (): number => performance.now();
    const { netns, view } = options;
    const counters = this.#counters;
    this.#netns = netns;
    this.#upstreams = options.upstreams ?? new ResolvConf();
    const cache = new Cache({ entries: limits.cacheEntries, bytes: limits.cacheBytes });
    const groups = new ServerGroups((server) => this.#isOurs(server));
    const forwarder = new Forwarder({
      site: { netns, counters, patience: limits.patience, now },
      cache,
      groups,
      limits,
      log: (waiter, rcode) => this.#responder.log(waiter, rcode),
    });
    const local = new LocalNames(view, options.localTtl ?? 5);
    const upstreams = this.#upstreams;
    this.#cache = cache;
    this.#forwarder = forwarder;
    this.#responder = new Responder({ view, local, cache, groups, forwarder, counters, upstreams, now });
    this.#responder.onQuery = options.onQuery;
    this.#connections = new Connections(limits);
  }

  /** The query log, which may be taken up and left while the server runs. */
  get onQuery(): ((entry: QueryLogEntry) => void) | undefined {
    return this.#responder.onQuery;
  }
  set onQuery(log: ((entry: QueryLogEntry) => void) | undefined) {
    this.#responder.onQuery = log;
  }

  /**
   * Listens by UDP and TCP at an address for the askers of a network, which may have several addresses. The address need
   * not be there yet. Doing it twice is doing it once.
   *
   * @throws NetloomError EADDRINUSE, with who listens there and what to do; EBADADDRESS; ECONFLICT where the address
   *   belongs to another network; SyscallError EACCES
   */
  async listen(network: string, address: string, port = 53): Promise<void> {
    if (this.#closed) throw new NetloomError('ESTOPPING', 'the DNS server is closed');
    const ip = tryParseIp(address);
    if (!ip) throw new NetloomError('EBADADDRESS', `"${address}" is no address to answer DNS questions at`);
    const key = `${ip.text}#${port}`;
    const there = this.#listeners.get(key);
    if (there?.network === network) return;
    if (there) {
      throw new NetloomError(
        'ECONFLICT',
        `DNS at ${ip.text} port ${port} answers for network ${there.network} already`,
      );
    }
    let askers = this.#networks.get(network);
    if (!askers) this.#networks.set(network, (askers = new Askers(network)));
    using stack = new DisposableStack();
    const at = { address: ip.text, port };
    const counters = this.#counters;
    const responder = this.#responder;
    const site = { askers, responder, counters, connections: this.#connections };
    const udp = stack.use(
      this.#bound('udp', at, () => new UdpListener(this.#netns, at, site.askers, responder, counters)),
    );
    stack.use(this.#bound('tcp', at, () => new TcpListener(this.#netns, at, site)));
    udp.start();
    this.#listeners.set(key, { network, address: ip.text, port, stack: stack.move() });
  }

  /** Stops at one address of a network, or at all of them. What is under way there is dropped. */
  async unlisten(network: string, address?: string): Promise<void> {
    const text = address === undefined ? undefined : (tryParseIp(address)?.text ?? address);
    for (const [key, listener] of this.#listeners) {
      if (listener.network !== network || (text !== undefined && listener.address !== text)) continue;
      this.#listeners.delete(key);
      listener.stack.dispose();
    }
    if (![...this.#listeners.values()].some((l) => l.network === network)) this.#networks.delete(network);
  }

  /** Whether a port of an address could be listened at. */
  isFree(address: string, port = 53): boolean {
    try {
      for (const protocol of ['udp', 'tcp'] as const) serviceSocketIn(this.#netns, protocol, { address, port }).close();
      return true;
    } catch (error) {
      if (error instanceof SyscallError && error.errno === ERRNO.EADDRINUSE) return false;
      throw error;
    }
  }

  /** Forgets what upstream servers said. */
  flush(): void {
    this.#cache.clear();
  }

  stats(): DnsStats {
    return {
      queries: this.#counters.queries(),
      cache: this.#cache.stats(),
      upstream: this.#counters.upstream(),
      rejected: { ...this.#counters.rejected },
      refused: this.#refused(),
      underWay: this.#forwarder.underWay,
      connections: this.#connections.count,
      listeners: this.#listeners.size,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const { stack } of this.#listeners.values()) stack.dispose();
    this.#listeners.clear();
    this.#forwarder.close();
    this.#connections.close();
    this.#upstreams[Symbol.dispose]();
  }

  #isOurs({ address, port }: ServerAddress): boolean {
    return this.#listeners.has(`${tryParseIp(address)?.text}#${port}`);
  }

  #refused(): RefusedAsker[] {
    const refused: RefusedAsker[] = [];
    for (const askers of this.#networks.values()) {
      for (const { network, address, refused: count } of askers)
        if (count > 0) refused.push({ network, address, count });
    }
    return refused.sort((a, b) => b.count - a.count).slice(0, 100);
  }

  #bound<T>(protocol: 'udp' | 'tcp', { address, port }: { address: string; port: number }, make: () => T): T {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof SyscallError) || error.errno !== ERRNO.EADDRINUSE) throw error;
      const holder = findHolder(this.#netns, protocol, address, port);
      const who = holder ? `${holder.program || 'another program'}, which listens at ${holder.at}` : 'another program';
      throw new NetloomError('EADDRINUSE', `${protocol} port ${port} of ${address} is taken by ${who}`, {
        cause: error,
        hint: 'let that program listen at its own addresses only (dnsmasq: bind-interfaces with except-interface; named, unbound: interface), or stop it',
      });
    }
  }
}
