import { setImmediate as nextTurn } from 'node:timers/promises';
import { DnsServer, type QueryLogEntry } from '../dns/index.ts';
import { NetloomError } from '../errors.ts';
import type { Sample } from '../metrics/index.ts';
import type { Container, Endpoint, Network } from '../model/index.ts';
import type { Entry } from '../store/index.ts';
import type { Core } from './core.ts';
import { Directory } from './directory.ts';
import { Follower, type Reader } from './follow.ts';
import { refreshAllHosts } from './hosts.ts';
import { type ListenerSink, NameListeners } from './name-listeners.ts';
import { type Remote, REMOTES } from './overlay.ts';
import { KEYS } from './records.ts';
import { setResolverPorts } from './resolver-ports.ts';
import { readServices } from './service-names.ts';
import type { Service } from './services.ts';

/** Answers names at the gateways of networks, for as long as a resident engine lives. */
export class Names implements Service, Reader, ListenerSink {
  readonly #core: Core;
  readonly #directory = new Directory(readServices());
  readonly #server: DnsServer;
  readonly #listeners: NameListeners;
  readonly #networks = new Set<string>();
  #follower: Follower | undefined;

  private constructor(core: Core) {
    this.#core = core;
    this.#server = new DnsServer({ netns: core.kernel.host, view: this.#directory });
    this.#listeners = new NameListeners(this.#server, this);
  }

  static async begin(core: Core): Promise<Names> {
    const names = new Names(core);
    core.events.onInterest('dns', (wanted) => {
      names.#server.onQuery = wanted ? (entry): void => names.#tell(entry) : undefined;
    });
    names.#follower = await Follower.start(
      core.store,
      [KEYS.networks, KEYS.containers, KEYS.endpoints, REMOTES],
      names,
    );
    await nextTurn(); // those that are refused are known by then
    return names;
  }

  /** The gateways of a network at which its workloads are answered. */
  servedAt(network: Network): readonly string[] {
    return gatewaysOf(network).filter((address) => this.#listeners.serves(address));
  }

  load(entries: readonly Entry<unknown>[]): void {
    this.#directory.clear();
    const before = new Set(this.#networks);
    for (const { key, value } of entries) {
      if (key.startsWith(KEYS.networks)) before.delete(key.slice(KEYS.networks.length));
      this.change(key, value);
    }
    for (const id of before) this.change(KEYS.networks + id, undefined);
  }

  change(key: string, value: unknown): void {
    if (key.startsWith(KEYS.networks)) {
      const id = key.slice(KEYS.networks.length);
      const network = value as Network | undefined;
      if (network) this.#directory.putNetwork(network);
      else this.#directory.dropNetwork(id);
      if (network) this.#networks.add(id);
      else this.#networks.delete(id);
      const gateways = network && network.phase !== 'removing' ? gatewaysOf(network) : [];
      this.#listeners.set(id, gateways, network?.resolverPorts);
    } else if (key.startsWith(KEYS.containers)) {
      if (value === undefined) this.#directory.dropContainer(key.slice(KEYS.containers.length));
      else this.#directory.putContainer(value as Container);
    } else if (key.startsWith(REMOTES)) {
      if (value === undefined) this.#directory.dropRemote(key.slice(key.lastIndexOf('/') + 1));
      else this.#directory.putRemote(value as Remote);
    } else if (value === undefined) this.#directory.dropEndpoint(key.slice(KEYS.endpoints.length));
    else this.#directory.putEndpoint(value as Endpoint);
  }

  failed(error: unknown): void {
    this.#fault('names', error);
  }

  async detoured(network: string, ports: Readonly<Record<string, number>>): Promise<void> {
    await setResolverPorts(this.#core, network, ports);
    // its workloads may ask from now on; files that are written before know that they may not
    setImmediate(() => void this.#refresh());
  }

  refused(address: string, error: unknown, instead: number | undefined): void {
    // its workloads get along without
    void this.#refresh();
    this.#fault(`DNS at ${address}`, error, instead);
  }

  sample(sample: Sample): void {
    const stats = this.#server.stats();
    const queries = new Map<string, number>();
    for (const { source, rcode, count } of stats.queries) {
      const key = `${source} ${rcode}`;
      queries.set(key, (queries.get(key) ?? 0) + count);
    }
    for (const [key, count] of queries) {
      const [source = '', rcode = ''] = key.split(' ');
      sample.total('netloom_dns_queries_total', { source, rcode }, count);
    }
    for (const [reason, count] of Object.entries(stats.rejected))
      sample.total('netloom_dns_rejected_total', { reason }, count);
    sample.gauge('netloom_dns_cache_entries', {}, stats.cache.entries);
    sample.gauge('netloom_dns_cache_bytes', {}, stats.cache.bytes);
    sample.gauge('netloom_dns_questions_waiting', {}, stats.underWay);
    sample.total('netloom_dns_upstream_answers_total', {}, stats.upstream.answered);
    sample.total('netloom_dns_upstream_seconds_total', {}, stats.upstream.latency.sum);
    sample.total('netloom_dns_upstream_failures_total', {}, stats.upstream.unanswered);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#core.events.onInterest('dns', () => undefined);
    await this.#follower?.[Symbol.asyncDispose]();
    await this.#listeners[Symbol.asyncDispose]();
    await this.#server[Symbol.asyncDispose]();
  }

  async #refresh(): Promise<void> {
    if (!this.#core.services) return;
    await refreshAllHosts(this.#core).catch((failure: unknown) => this.failed(failure));
  }

  #fault(name: string, error: unknown, instead?: number): void {
    const attributes = {
      error: error instanceof Error ? error.message : String(error),
      cure: error instanceof NetloomError ? error.hint : '',
      ...(instead !== undefined && { instead: `names are answered at port ${instead}, where questions are led to` }),
    };
    this.#core.events.publish({ type: 'engine', action: 'fault', name, attributes });
  }

  #tell({ asker, protocol, name, type, source, rcode, milliseconds }: QueryLogEntry): void {
    const container = this.#directory.whois(asker)?.name ?? asker.address;
    this.#core.events.publish({
      type: 'dns',
      action: 'query',
      name,
      attributes: { container, address: asker.address, type, rcode, source, protocol, ms: milliseconds.toFixed(2) },
    });
  }
}

/** Where a network's own resolver belongs: at addresses that the host has on the network. */
function gatewaysOf(network: Network): string[] {
  if (network.options.driver !== 'bridge') return [];
  return network.subnets.map(({ gateway }) => gateway).filter((gateway) => gateway !== '');
}
