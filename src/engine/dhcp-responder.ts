import { contains, network as networkOf, parsePrefix } from '../addr/index.ts';
import { type DhcpAssignment, DhcpResponder, type ResponderEvent, type ResponderNetwork } from '../dhcp/index.ts';
import { NetloomError } from '../errors.ts';
import type { Sample } from '../metrics/index.ts';
import type { BridgeOptions, Endpoint, Network, Subnet } from '../model/index.ts';
import type { Entry } from '../store/index.ts';
import type { Core } from './core.ts';
import { Follower, type Reader } from './follow.ts';
import { KEYS } from './records.ts';
import type { Service } from './services.ts';

/**
 * How long a machine may use its address without asking again, seconds. Addresses stay what they are for as long as the
 * endpoint is there: an hour is how long a machine may go on with an old router, resolver or MTU.
 */
const LEASE_SECONDS = 3600;

/**
 * Tells virtual machines their addresses, for as long as a resident engine lives: on every bridge network that has tap
 * endpoints, by DHCPv4, router advertisements and DHCPv6. What is told is what the records say. Only machines behind taps
 * are answered; containers are configured already, and whoever else is on the bridge hears nothing.
 */
export class Machines implements Service, Reader {
  readonly #core: Core;
  readonly #responder: DhcpResponder;
  readonly #networks = new Map<string, Network>();
  /** Taps by network, then by MAC address. */
  readonly #taps = new Map<string, Map<string, Endpoint>>();
  readonly #endpoints = new Map<string, Endpoint>();
  /** What each bridge was last told to say, to tell it again only where something changed. */
  readonly #told = new Map<string, string>();
  /** Endpoints whose machines have asked for their address and were given it. */
  readonly #bound = new Set<string>();
  #follower: Follower | undefined;

  private constructor(core: Core) {
    this.#core = core;
    this.#responder = new DhcpResponder({
      netns: core.kernel.host,
      lookup: (network, mac) => this.#lookup(network, mac),
      members: (network) => this.#taps.get(network)?.keys() ?? [],
      onEvent: (event) => this.#tell(event),
      onTrouble: (network, error) => this.#trouble(network, error),
    });
  }

  static of(core: Core): Machines {
    return new Machines(core);
  }
  /** Machines are answered from here on. Not before `core.services` is there: they are told who answers names. */
  async start(): Promise<void> {
    this.#follower = await Follower.start(this.#core.store, [KEYS.networks, KEYS.endpoints], this);
  }

  load(entries: readonly Entry<unknown>[]): void {
    const gone = new Set(this.#networks.keys());
    for (const map of [this.#networks, this.#taps, this.#endpoints]) map.clear();
    for (const { key, value } of entries) this.#note(key, value);
    for (const id of [...gone, ...this.#networks.keys()]) this.#settle(id);
    for (const id of this.#bound) if (!this.#endpoints.has(id)) this.#bound.delete(id);
  }

  change(key: string, value: unknown): void {
    for (const id of this.#note(key, value)) this.#settle(id);
  }

  failed(error: unknown): void {
    this.#fault('DHCP for virtual machines', error);
  }

  sample(sample: Sample): void {
    sample.gauge('netloom_dhcp_machines', {}, this.#bound.size);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#follower?.[Symbol.asyncDispose]();
    this.#responder[Symbol.dispose]();
  }

  /** Networks for which something may be different now. */
  #note(key: string, value: unknown): readonly string[] {
    if (key.startsWith(KEYS.networks)) {
      const id = key.slice(KEYS.networks.length);
      if (value === undefined) this.#networks.delete(id);
      else this.#networks.set(id, value as Network);
      return [id];
    }
    const id = key.slice(KEYS.endpoints.length);
    const before = this.#endpoints.get(id);
    const endpoint = value as Endpoint | undefined;
    if (before) this.#forget(before);
    if (endpoint?.type !== 'tap' || endpoint.phase !== 'ready') {
      if (!endpoint || endpoint.phase === 'removing') this.#bound.delete(id);
      return before ? [before.network] : [];
    }
    this.#endpoints.set(id, endpoint);
    const taps = this.#taps.get(endpoint.network) ?? new Map<string, Endpoint>();
    this.#taps.set(endpoint.network, taps.set(endpoint.mac.toLowerCase(), endpoint));
    return [endpoint.network];
  }

  #forget(endpoint: Endpoint): void {
    this.#endpoints.delete(endpoint.id);
    const taps = this.#taps.get(endpoint.network);
    const mac = endpoint.mac.toLowerCase();
    if (taps?.get(mac)?.id === endpoint.id) taps.delete(mac);
    if (taps?.size === 0) this.#taps.delete(endpoint.network);
  }

  /** Serves a network, or serves it no longer. */
  #settle(id: string): void {
    const network = this.#networks.get(id);
    const wanted = network && this.#taps.has(id) ? this.#wordsOf(network) : undefined;
    const text = wanted && JSON.stringify(wanted);
    if (text === this.#told.get(id)) return;
    if (wanted && text !== undefined) {
      this.#told.set(id, text);
      this.#responder.add(wanted);
    } else {
      this.#told.delete(id);
      this.#responder.remove(id);
    }
  }

  /** Undefined for a network whose machines are nobody's business here. */
  #wordsOf(network: Network): ResponderNetwork | undefined {
    const { options } = network;
    // on the segment outside, its own server and routers speak
    if (options.driver !== 'bridge' || network.phase !== 'ready' || network.ipam === 'dhcp') return undefined;
    const server = subnetsOf(network, 4).find(({ gateway }) => gateway !== '')?.gateway;
    const six = subnetsOf(network, 6);
    return {
      network: network.id,
      bridge: options.bridge,
      ...(server !== undefined && { server }),
      ...(six.length > 0 && {
        router: {
          prefixes: six.map(({ subnet }) => networkOf(parsePrefix(subnet)).text),
          // the address is the endpoint's: one that a machine made up would be nobody's, and dropped as forged
          slaac: false,
          managed: true,
          gateway: !network.internal && six.some(({ gateway }) => gateway !== ''),
          dns: this.#resolversOf(network),
          search: searchOf(network),
          ...mtuOf(options),
        },
      }),
    };
  }

  #lookup(id: string, mac: string): DhcpAssignment | undefined {
    const network = this.#networks.get(id);
    const endpoint = this.#taps.get(id)?.get(mac.toLowerCase());
    if (!network || !endpoint || network.options.driver !== 'bridge') return undefined;
    const address = endpoint.addresses.find((text) => !text.includes(':'));
    const address6 = endpoint.addresses.find((text) => text.includes(':'));
    const on = address && subnetsOf(network, 4).find((s) => contains(parsePrefix(s.subnet), parsePrefix(address)));
    const gateway = on && !network.internal ? on.gateway : '';
    return {
      ...(address !== undefined && { address }),
      ...(address6 !== undefined && { address6 }),
      ...(gateway !== '' && { router: gateway }),
      dns: this.#resolversOf(network),
      search: searchOf(network),
      ...mtuOf(network.options),
      hostname: endpoint.aliases[0] ?? endpoint.ifname,
      leaseSeconds: LEASE_SECONDS,
    };
  }

  #resolversOf(network: Network): readonly string[] {
    return this.#core.services?.names.servedAt(network) ?? [];
  }

  #tell({ network: id, mac, outcome, address }: ResponderEvent): void {
    this.#core.meter.count('netloom_dhcp_replies_total', { outcome });
    const endpoint = this.#taps.get(id)?.get(mac);
    const network = this.#networks.get(id);
    if (!endpoint || !network) return;
    if (outcome === 'ack') this.#bound.add(endpoint.id);
    else if (outcome === 'released') this.#bound.delete(endpoint.id);
    if (!TOLD.has(outcome)) return;
    this.#core.events.publish({
      type: 'dhcp',
      action: outcome,
      id: endpoint.id,
      name: `machine behind ${endpoint.ifname}`,
      attributes: { network: network.name, mac, ...(address !== undefined && { address }) },
    });
  }

  #trouble(id: string, error: unknown): void {
    this.#fault(`DHCP for virtual machines on network ${this.#networks.get(id)?.name ?? id}`, error);
  }

  #fault(name: string, error: unknown): void {
    const attributes = {
      error: error instanceof Error ? error.message : String(error),
      cure: error instanceof NetloomError ? error.hint : '',
    };
    this.#core.events.publish({ type: 'dhcp', action: 'fault', name, attributes });
  }
}

/** Outcomes that somebody may want to read about; the others come before or beside them. */
const TOLD: ReadonlySet<string> = new Set(['ack', 'nak', 'declined', 'released']);

function subnetsOf(network: Network, family: 4 | 6): Subnet[] {
  return network.subnets.filter(({ subnet }) => parsePrefix(subnet).family === family);
}

function mtuOf({ mtu }: BridgeOptions): { mtu?: number } {
  return mtu > 0 ? { mtu } : {};
}

/** Libraries ask for a name without a dot in a search domain only: `web` becomes `web.front`, which is answered. */
function searchOf({ name }: Network): readonly string[] {
  return name.length <= 63 && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i.test(name)
    ? [name.toLowerCase()]
    : [];
}
