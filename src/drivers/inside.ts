import { parseIp, parsePrefix } from '../addr/index.ts';
import type { AddressFact, Fact, LinkFact, LinkOrigin, RouteFact } from '../facts/index.ts';
import type { Endpoint, Network, NetworkOptions } from '../model/index.ts';
import type { PlanContext } from './driver.ts';

/** How an endpoint is called in explanations: `endpoint eth0 of web`. */
export function objectOf(endpoint: Endpoint, context: PlanContext): string {
  const own = endpoint.type === 'tap' || endpoint.handOver !== undefined;
  return own ? `endpoint ${endpoint.ifname}` : `endpoint ${endpoint.ifname} of ${context.workload}`;
}

/** An endpoint's interface as the workload has it, with whatever is the same for every driver around it. */
export function insideFacts(
  endpoint: Endpoint,
  object: string,
  eth: { readonly origin: LinkOrigin; readonly mtu: number; readonly mac: string; readonly alias: string },
): Fact[] {
  const { netns: ns, ifname: dev } = endpoint;
  if (endpoint.handOver !== undefined) {
    const { mac, mtu, alias, origin } = eth;
    return [
      { kind: 'link', ns, object, master: '', up: false, name: dev, origin, mac, mtu, alias, addrGenMode: 'none' },
    ];
  }
  const v6 = endpoint.addresses.some((address) => familyOf(address) === 6);
  const inside = { kind: 'link', ns, object, master: '', up: true } as const;
  const lo: LinkFact = {
    ...inside,
    name: 'lo',
    origin: { type: 'there', by: '' },
    alias: '',
    mac: '',
    mtu: 0,
    addrGenMode: 'eui64',
  };
  const { tuning } = endpoint;
  const mtu = tuning?.mtu ?? (eth.mtu === 0 ? (endpoint.lease?.mtu ?? 0) : eth.mtu);
  const link: LinkFact = {
    ...inside,
    name: dev,
    ...eth,
    mtu,
    addrGenMode: v6 ? 'eui64' : 'none',
    ...(tuning?.promisc !== undefined && { promisc: tuning.promisc }),
    ...(tuning?.allmulti !== undefined && { allmulti: tuning.allmulti }),
    ...(tuning?.txQueueLength !== undefined && { txQueueLength: tuning.txQueueLength }),
  };
  const addresses = endpoint.addresses.map((address): AddressFact => ({ kind: 'address', ns, object, dev, address }));
  return [lo, link, ...addresses, ...leasedRoutes(endpoint, object), ...defaultRoutes(endpoint, object)];
}

/** The default routes that an endpoint provides: also planned alone, when they move between endpoints. */
export function defaultRoutes(endpoint: Endpoint, object: string): RouteFact[] {
  // its workload is another machine, with routes of its own, or somebody else's
  if (endpoint.type === 'tap' || endpoint.handOver !== undefined) return [];
  return endpoint.gateways.map((via) => ({
    kind: 'route',
    ns: endpoint.netns,
    object,
    family: parseIp(via).family,
    dst: 'default',
    via: BY_DEVICE.includes(via) ? '' : via,
    dev: endpoint.ifname,
  }));
}

/** Routes that a DHCP server told, those on the link first: the others may lead by them. */
function leasedRoutes({ lease, netns: ns, ifname: dev }: Endpoint, object: string): RouteFact[] {
  return (lease?.routes ?? []).map(({ dst, gateway = '' }): RouteFact => {
    return { kind: 'route', ns, object, family: 4, dst, via: gateway, dev };
  });
}

/** What stands for a gateway where everything is sent by the interface itself. */
export const BY_DEVICE: readonly string[] = ['0.0.0.0', '::'];

export function endpointAlias(endpoint: Endpoint): string {
  return `netloom endpoint ${endpoint.id.slice(0, 12)}`;
}

export function networkAlias(network: Network): string {
  return `netloom network ${network.id.slice(0, 12)}`;
}

/** The gateways that a network's subnets name. */
export function gatewaysOf(network: Network): string[] {
  return network.internal ? [] : network.subnets.map((s) => s.gateway).filter((gateway) => gateway !== '');
}

export function familyOf(prefix: string): 4 | 6 {
  return parsePrefix(prefix).address.family;
}

/** The options of a network of one driver. @throws TypeError for another driver's */
export function optionsOf<D extends NetworkOptions['driver']>(
  network: Pick<Network, 'name' | 'options'>,
  driver: D,
): Extract<NetworkOptions, { driver: D }> {
  const { options, name } = network;
  if (options.driver !== driver) throw new TypeError(`network ${name} is no ${driver} network`);
  return options as Extract<NetworkOptions, { driver: D }>;
}
