import type { Netns } from '../kernel/index.ts';
import { ResponderLink } from './link.ts';
import type { DhcpAssignment, DhcpOutcome } from './server.ts';
import { intervalOf, type RouterOptions } from './router.ts';

/** A bridge network whose machines are served. */
export interface ResponderNetwork {
  readonly network: string;
  /** The bridge's name. It may come later, go and come back. */
  readonly bridge: string;
  /** The bridge's own IPv4 address, which DHCPv4 is answered from; without one it is not. */
  readonly server?: string;
  /** Router advertisements; without, none are sent, and DHCPv6 is not answered. */
  readonly router?: RouterOptions;
}

/** What is to be told to a machine; asked at every message, so that nothing here can be out of date. */
export type DhcpDirectory = (network: string, mac: string) => DhcpAssignment | undefined;

export interface ResponderEvent {
  readonly network: string;
  /** Lower case. */
  readonly mac: string;
  /** Of DHCPv4 and DHCPv6 alike; `advert` is a router advertisement that was asked for. `declined` says that somebody else has the address. */
  readonly outcome: DhcpOutcome | 'advert';
  readonly address?: string;
}

export interface ResponderOptions {
  /** Where the bridges are; this process's own namespace without one. It must stay open as long as the responder. */
  readonly netns?: Netns;
  readonly lookup: DhcpDirectory;
  /** The machines that are sent router advertisements now and then; required for networks with `router`. */
  readonly members?: (network: string) => Iterable<string>;
  readonly onEvent?: (event: ResponderEvent) => void;
  /** A bridge or a machine that cannot be served now; tried again by itself, and told again only when it is something else. */
  readonly onTrouble?: (network: string, error: unknown) => void;
}

/**
 * DHCP and router advertisements for virtual machines on bridges. Says only what it is told by its directory, and only
 * to machines that are in it: to everybody else it is silent, even where IPv6 would have it speak to all (each gets an
 * advertisement of its own). Packet sockets on each bridge, so that no firewall is in the way and other DHCP servers
 * on other interfaces are not disturbed. Leaves hosts as they are when it ends: what they were told is good for a while.
 */
export class DhcpResponder implements Disposable {
  readonly #options: ResponderOptions;
  readonly #served = new Map<string, Served>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ResponderOptions) {
    this.#options = options;
  }

  /** Serves a network from now on, or differently from now on. A bridge that is not there yet is waited for. */
  add(network: ResponderNetwork): void {
    const before = this.#served.get(network.network);
    if (before?.spec.bridge === network.bridge && before.link) {
      // a change of what is said needs no new sockets
      before.spec = network;
      before.link.change(network);
      before.nextAdvert = 0;
    } else {
      before?.link?.close();
      this.#served.set(network.network, {
        spec: network,
        retry: FIRST_RETRY,
        retryAt: 0,
        nextAdvert: 0,
        told: false,
      });
    }
    this.#work();
  }

  remove(network: string): void {
    this.#served.get(network)?.link?.close();
    this.#served.delete(network);
    this.#arm();
  }

  /** Whether a network is served at this moment. */
  serves(network: string): boolean {
    return this.#served.get(network)?.link !== undefined;
  }
  get networks(): readonly string[] {
    return [...this.#served.keys()];
  }

  /** Sends an advertisement to one machine, or to all of the network, now: after its options changed, say. */
  advertise(network: string, mac?: string): void {
    const served = this.#served.get(network);
    if (!served) return;
    if (mac !== undefined) served.link?.advertise([mac.toLowerCase()]);
    else {
      served.nextAdvert = 0;
      this.#work();
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    for (const { link } of this.#served.values()) link?.close();
    this.#served.clear();
  }

  /** Does what is due. */
  #work(): void {
    const now = performance.now();
    for (const served of this.#served.values()) {
      if (!served.link && served.retryAt <= now) this.#open(served, now);
      if (served.link && served.spec.router && served.nextAdvert <= now) this.#advertiseAll(served, now);
    }
    this.#arm();
  }

  #open(served: Served, now: number): void {
    try {
      const link = ResponderLink.open(served.spec, this.#options, (error) => {
        if (served.link === link) this.#lost(served, error);
      });
      Object.assign(served, { link, retry: FIRST_RETRY, nextAdvert: now, told: false });
    } catch (error) {
      this.#later(served, error, now);
    }
  }

  #lost(served: Served, error: unknown): void {
    served.link?.close();
    served.link = undefined;
    if (this.#served.get(served.spec.network) !== served) return;
    // soon, the first time: a repair may have put the bridge back already
    this.#later(served, error, performance.now());
    this.#arm();
  }

  #later(served: Served, error: unknown, now: number): void {
    served.retryAt = now + served.retry;
    served.retry = Math.min(served.retry * 2, LAST_RETRY);
    if (served.told) return;
    served.told = true;
    this.#options.onTrouble?.(served.spec.network, error);
  }

  #advertiseAll(served: Served, now: number): void {
    const { network, router } = served.spec;
    let sent = true;
    try {
      sent = served.link!.advertise(this.#options.members?.(network) ?? []);
    } catch (error) {
      // what the directory or the options say is wrong: told, and tried again at the next turn
      this.#options.onTrouble?.(network, error);
    }
    // up to a quarter sooner, so that many bridges do not speak at once; soon where the bridge has no address yet
    const wait = sent ? intervalOf(router!) * 1000 * (1 - Math.random() / 4) : NO_ADDRESS_RETRY;
    served.nextAdvert = now + wait;
  }

  #arm(): void {
    clearTimeout(this.#timer);
    let due = Infinity;
    for (const { link, spec, retryAt, nextAdvert } of this.#served.values()) {
      if (!link) due = Math.min(due, retryAt);
      else if (spec.router) due = Math.min(due, nextAdvert);
    }
    if (due === Infinity) return;
    this.#timer = setTimeout(() => this.#work(), Math.min(Math.max(due - performance.now(), 1), 3_600_000)).unref();
  }
}

interface Served {
  spec: ResponderNetwork;
  link?: ResponderLink | undefined;
  /** Milliseconds until the next try, and when that is (of performance.now()). */
  retry: number;
  retryAt: number;
  nextAdvert: number;
  told: boolean;
}

const FIRST_RETRY = 20;
const LAST_RETRY = 5000;
/** Duplicate address detection takes about two seconds. */
const NO_ADDRESS_RETRY = 250;
