import type { DnsServer } from '../dns/index.ts';
import { hasCode } from '../errors.ts';
import type { Network } from '../model/index.ts';

/** Where everybody asks. */
const DNS = 53;
/** Where names are answered instead: the first that is free, so that it is the same for most networks. */
const DETOURS: readonly number[] = Array.from({ length: 16 }, (_, i) => 20_053 + 100 * i);
/** How often a port that somebody else had is tried again. */
const RETRY_MS = 5_000;

/** What whoever keeps listeners is told. */
export interface ListenerSink {
  /** Which gateways of a network are answered at another port has changed: what leads there must follow. */
  detoured(network: string, ports: Readonly<Record<string, number>>): Promise<void>;
  /** Port 53 of a gateway belongs to somebody else. @param instead the port taken for it; undefined where none was free */
  refused(address: string, error: unknown, instead: number | undefined): void;
  failed(error: unknown): void;
}

interface Gateway {
  readonly network: string;
  /** 53, or the port taken instead; 0 where nobody answers. */
  port: number;
  /** Whether the rule set leads there, or need not. */
  led: boolean;
}

/**
 * Listens at the gateways of networks: at port 53 or, for as long as another program has that, at a free one to which the
 * rule set leads what workloads ask. A gateway is served once both are so.
 */
export class NameListeners implements AsyncDisposable {
  readonly #server: DnsServer;
  readonly #sink: ListenerSink;
  readonly #gateways = new Map<string, Gateway>();
  readonly #timer: NodeJS.Timeout;
  #settling: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(server: DnsServer, sink: ListenerSink) {
    this.#server = server;
    this.#sink = sink;
    this.#timer = setInterval(() => this.#retry(), RETRY_MS).unref();
  }

  /** Of a gateway that is not known yet, the best is believed: whoever is disappointed is told. */
  serves(address: string): boolean {
    const gateway = this.#gateways.get(address);
    return gateway === undefined || (gateway.port !== 0 && gateway.led);
  }

  /** Listens at these gateways of a network and at no other of it. @param resolverPorts as they were at the last time */
  set(network: string, gateways: readonly string[], resolverPorts: Network['resolverPorts'] = {}): void {
    for (const [address, gateway] of this.#gateways) {
      if (gateway.network !== network || gateways.includes(address)) continue;
      this.#gateways.delete(address);
      void this.#server.unlisten(network, address);
    }
    for (const address of gateways) {
      if (this.#gateways.has(address)) continue;
      const gateway: Gateway = { network, port: DNS, led: true };
      this.#gateways.set(address, gateway);
      this.#listen(address, gateway, resolverPorts[address]).catch((error: unknown) => this.#sink.failed(error));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#settling;
  }

  async #listen(address: string, gateway: Gateway, recorded: number | undefined): Promise<void> {
    const { network } = gateway;
    let refusal: unknown;
    try {
      await this.#server.listen(network, address);
    } catch (error) {
      refusal = error;
      gateway.port = 0;
      const ports = recorded === undefined ? DETOURS : [recorded, ...DETOURS];
      if (hasCode(error, 'EADDRINUSE')) gateway.port = await this.#elsewhere(network, address, ports);
    }
    gateway.led = gateway.port === (recorded ?? DNS);
    if (refusal !== undefined) this.#sink.refused(address, refusal, gateway.port === 0 ? undefined : gateway.port);
    if (!gateway.led) this.#lead(network);
  }

  /** The first of these ports that is free, and listened at from now on; 0 where none is. */
  async #elsewhere(network: string, address: string, ports: readonly number[]): Promise<number> {
    for (const port of ports) {
      if (!this.#server.isFree(address, port)) continue;
      try {
        await this.#server.listen(network, address, port);
        return port;
      } catch (error) {
        if (!hasCode(error, 'EADDRINUSE')) throw error;
      }
    }
    return 0;
  }

  /** The listener at the other port stays as long as the network: connections that were led there may still ask. */
  #retry(): void {
    for (const [address, gateway] of this.#gateways) {
      if (gateway.port === DNS || !this.#isFree(address)) continue;
      this.#server.listen(gateway.network, address).then(
        () => {
          gateway.port = DNS;
          gateway.led = false;
          this.#lead(gateway.network);
        },
        () => undefined, // somebody was faster
      );
    }
  }

  #isFree(address: string): boolean {
    try {
      return this.#server.isFree(address);
    } catch {
      return false; // was said when it was first tried
    }
  }

  #lead(network: string): void {
    this.#settling = this.#settling.then(async () => {
      const own = [...this.#gateways].filter(([, gateway]) => gateway.network === network);
      if (this.#closed || own.length === 0) return;
      const detours = own.flatMap(([address, { port }]) =>
        port === DNS || port === 0 ? [] : [[address, port] as const],
      );
      const ports = new Map(own.map(([address, { port }]) => [address, port]));
      try {
        await this.#sink.detoured(network, Object.fromEntries(detours));
        for (const [address, gateway] of own) if (gateway.port === ports.get(address)) gateway.led = true;
      } catch (error) {
        this.#sink.failed(error);
      }
    });
  }
}
