import { contains, parseIp, parsePrefix, type Prefix, tryParseIp } from '../addr/index.ts';
import type { Asker, AskerPolicy, NameView, SrvTarget } from '../dns/index.ts';
import type { Container, Endpoint, Network } from '../model/index.ts';
import type { Remote } from './overlay.ts';
import { namesOf } from './pods.ts';
import { type ServiceNumbers, portNumber } from './service-names.ts';

/** Behind a container's name, to tell networks apart: `web.front`. */
const NOTHING: readonly string[] = [];
const OURS_WITHOUT: readonly SrvTarget[] = [];

/** One endpoint as DNS sees it. */
interface Named {
  /** Undefined for one of another host. */
  readonly endpoint: Endpoint | undefined;
  readonly names: readonly string[];
  readonly addresses: readonly string[];
}

/** What is known of one network. */
interface Zone {
  readonly id: string;
  name: string;
  internal: boolean;
  subnets: readonly Prefix[];
  /** Asked by those that have no servers of their own. */
  upstreams: readonly string[];
  /** Addresses by name; an array is replaced, never changed: whoever was given it may keep it. */
  readonly addresses: Map<string, readonly string[]>;
  readonly named: Map<string, readonly Named[]>;
  readonly byAddress: Map<string, Named>;
}

/**
 * The names of every workload, by network: what an asker may see follows from the networks that it is on. Fed with the
 * store's records as they change; each question costs the same with one endpoint and with ten thousand.
 *
 * A name is a container's, its hostname, an alias on that network, or one of these followed by the network's name.
 */
export class Directory implements NameView {
  readonly #zones = new Map<string, Zone>();
  readonly #endpoints = new Map<string, Named>();
  readonly #remotes = new Map<string, { readonly remote: Remote; readonly entry: Named }>();
  readonly #containers = new Map<string, Container>();
  /** Containers by the one whose namespace they run in. */
  readonly #members = new Map<string, Map<string, Container>>();
  /** Ids of endpoints by workload, in order of the default route. */
  readonly #workloads = new Map<string, Set<string>>();
  readonly #services: ServiceNumbers;

  /** @param services what /etc/services says, for SRV */
  constructor(services: ServiceNumbers) {
    this.#services = services;
  }

  clear(): void {
    for (const map of [this.#zones, this.#endpoints, this.#remotes, this.#containers, this.#members, this.#workloads])
      map.clear();
  }

  putNetwork(network: Network): void {
    const zone = this.#zone(network.id);
    const renamed = zone.name !== network.name;
    zone.name = network.name;
    zone.internal = network.internal;
    zone.upstreams = network.upstreams ?? NOTHING;
    zone.subnets = network.subnets.map(({ subnet }) => parsePrefix(subnet));
    if (!renamed) return;
    for (const { endpoint } of [...zone.byAddress.values()]) if (endpoint) this.putEndpoint(endpoint);
    for (const { remote } of [...this.#remotes.values()]) if (remote.network === network.id) this.putRemote(remote);
  }
  dropNetwork(id: string): void {
    this.#zones.delete(id);
  }

  putContainer(container: Container): void {
    const before = this.#containers.get(container.id);
    this.#containers.set(container.id, container);
    if (before?.name === container.name && before.hostname === container.hostname) return;
    this.#renew(container.id);
    const { mode } = container;
    if (mode.kind !== 'container') return;
    const members = this.#members.get(mode.container) ?? new Map<string, Container>();
    this.#members.set(mode.container, members.set(container.id, container));
    this.#renew(mode.container);
  }
  dropContainer(id: string): void {
    const mode = this.#containers.get(id)?.mode;
    this.#containers.delete(id);
    if (mode?.kind !== 'container') return;
    const members = this.#members.get(mode.container);
    members?.delete(id);
    if (members?.size === 0) this.#members.delete(mode.container);
    this.#renew(mode.container);
  }

  putEndpoint(endpoint: Endpoint): void {
    this.dropEndpoint(endpoint.id);
    if (endpoint.phase !== 'ready') return;
    const zone = this.#zone(endpoint.network);
    const names = this.#namesOf(endpoint, zone);
    const addresses = endpoint.addresses.map((address) => address.slice(0, address.indexOf('/')));
    const named: Named = { endpoint, names, addresses };
    this.#endpoints.set(endpoint.id, named);
    const workload = workloadOf(endpoint);
    const siblings = this.#workloads.get(workload) ?? new Set();
    this.#workloads.set(workload, siblings.add(endpoint.id));
    for (const address of addresses) zone.byAddress.set(address, named);
    for (const name of names) this.#setName(zone, name, [...(zone.named.get(name) ?? []), named]);
  }
  dropEndpoint(id: string): void {
    const named = this.#endpoints.get(id);
    if (!named) return;
    this.#endpoints.delete(id);
    const { endpoint } = named;
    if (!endpoint) return;
    const siblings = this.#workloads.get(workloadOf(endpoint));
    siblings?.delete(id);
    if (siblings?.size === 0) this.#workloads.delete(workloadOf(endpoint));
    const zone = this.#zones.get(endpoint.network);
    if (zone) this.#unname(zone, named);
  }

  /** An endpoint of another host: it has its names from there. */
  putRemote(remote: Remote): void {
    this.dropRemote(remote.id);
    const zone = this.#zone(remote.network);
    const names = named(remote.names, zone);
    const addresses = remote.addresses.map((address) => address.slice(0, address.indexOf('/')));
    const entry: Named = { endpoint: undefined, names, addresses };
    this.#remotes.set(remote.id, { remote, entry });
    for (const address of addresses) zone.byAddress.set(address, entry);
    for (const name of names) this.#setName(zone, name, [...(zone.named.get(name) ?? []), entry]);
  }
  dropRemote(id: string): void {
    const known = this.#remotes.get(id);
    if (!known) return;
    this.#remotes.delete(id);
    const zone = this.#zones.get(known.remote.network);
    if (zone) this.#unname(zone, known.entry);
  }

  lookup(asker: Asker, name: string): readonly string[] | undefined {
    for (const zone of this.#seenBy(asker)) {
      const found = zone.addresses.get(name);
      if (found) return found;
    }
    return undefined;
  }

  reverse(asker: Asker, address: string): readonly string[] | undefined {
    const ip = parseIp(address);
    for (const zone of this.#seenBy(asker)) {
      const named = zone.byAddress.get(ip.text);
      if (named) return named.names.slice(0, 1).map((name) => `${name}.${zone.name}`);
      if (zone.subnets.some((subnet) => subnet.family === ip.family && contains(subnet, ip))) return NOTHING;
    }
    return undefined;
  }

  srv(asker: Asker, service: string, protocol: string, name: string): readonly SrvTarget[] | undefined {
    for (const zone of this.#seenBy(asker)) {
      const named = zone.named.get(name);
      if (!named) continue;
      const port = portNumber(this.#services, service, protocol);
      if (port === undefined) return OURS_WITHOUT;
      // every workload of that name that has the port, or says nothing of its ports
      const targets = named.filter(({ endpoint }) => offers(endpoint, protocol, port));
      return targets.map(({ names }) => ({ target: names[0] ?? name, port }));
    }
    return undefined;
  }

  /** Undefined for whoever is not on the network: its gateway can be reached from elsewhere, and is no open resolver. */
  policy(asker: Asker): AskerPolicy | undefined {
    const zone = this.#zones.get(asker.network);
    const ip = tryParseIp(asker.address);
    if (!zone || !ip || !zone.subnets.some((subnet) => subnet.family === ip.family && contains(subnet, ip))) {
      return undefined;
    }
    const endpoint = this.#asking(asker);
    const own = endpoint?.upstreams ?? this.#containers.get(endpoint?.container ?? '')?.dns.servers ?? NOTHING;
    const servers = own.length > 0 ? own : zone.upstreams;
    const forward = this.#seenBy(asker).some((each) => !each.internal);
    return servers.length > 0 ? { upstreams: servers, forward } : { forward };
  }

  /** Who asks; undefined for an address that is nobody's. */
  whois(asker: Asker): Container | undefined {
    const endpoint = this.#asking(asker);
    return endpoint && this.#containers.get(endpoint.container);
  }

  /** The networks that an asker is on: first the one that it asks on. */
  #seenBy(asker: Asker): Zone[] {
    const own = this.#zones.get(asker.network);
    const zones = own ? [own] : [];
    const endpoint = this.#asking(asker);
    if (!endpoint) return zones;
    for (const id of this.#workloads.get(workloadOf(endpoint)) ?? []) {
      const zone = this.#zones.get(this.#endpoints.get(id)?.endpoint?.network ?? '');
      if (zone && zone !== own) zones.push(zone);
    }
    return zones;
  }

  #asking(asker: Asker): Endpoint | undefined {
    return this.#zones.get(asker.network)?.byAddress.get(asker.address)?.endpoint;
  }

  #unname(zone: Zone, entry: Named): void {
    for (const address of entry.addresses) if (zone.byAddress.get(address) === entry) zone.byAddress.delete(address);
    for (const name of entry.names)
      this.#setName(
        zone,
        name,
        (zone.named.get(name) ?? []).filter((other) => other !== entry),
      );
  }

  #setName(zone: Zone, name: string, named: readonly Named[]): void {
    if (named.length === 0) {
      zone.named.delete(name);
      zone.addresses.delete(name);
    } else {
      zone.named.set(name, named);
      zone.addresses.set(
        name,
        named.flatMap(({ addresses }) => addresses),
      );
    }
  }

  #namesOf(endpoint: Endpoint, zone: Zone): string[] {
    const container = this.#containers.get(endpoint.container);
    const members = [...(this.#members.get(endpoint.container)?.values() ?? [])];
    const own = container ? namesOf(container, endpoint.aliases, members) : endpoint.aliases;
    return named(own, zone);
  }

  /** The names of a container's endpoints, anew. */
  #renew(container: string): void {
    for (const id of this.#workloads.get(container) ?? []) {
      const named = this.#endpoints.get(id);
      if (named?.endpoint) this.putEndpoint(named.endpoint);
    }
  }

  #zone(id: string): Zone {
    let zone = this.#zones.get(id);
    if (!zone) {
      zone = {
        id,
        name: '',
        internal: false,
        subnets: [],
        upstreams: NOTHING,
        addresses: new Map(),
        named: new Map(),
        byAddress: new Map(),
      };
      this.#zones.set(id, zone);
    }
    return zone;
  }
}

/** As it is asked for, with the network's name behind and without. */
function named(own: readonly string[], zone: Zone): string[] {
  const names = [...new Set(own.map((name) => name.toLowerCase()))];
  if (zone.name === '') return names;
  return [...names, ...names.map((name) => `${name}.${zone.name.toLowerCase()}`)];
}

function workloadOf(endpoint: Endpoint): string {
  // a tap is a machine of its own, whatever else is in the host's namespace
  return endpoint.container || endpoint.netns || endpoint.id;
}

/** Whether a workload has a port, as far as anybody said; one that publishes nothing may have any. */
function offers(endpoint: Endpoint | undefined, protocol: string, port: number): boolean {
  const { ports = [] } = endpoint ?? {};
  return (
    ports.length === 0 ||
    ports.some((p) => p.protocol === protocol && p.containerPort <= port && port < p.containerPort + p.count)
  );
}
