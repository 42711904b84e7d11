import { contains, parseIp, parsePrefix } from '../addr/index.ts';
import type { Endpoint } from '../model/index.ts';
import type { PodmanNetwork } from './input.ts';
import { hasGateway, lowerDriver } from './network.ts';

/** The search domain of containers, and what every name of theirs also ends in. */
export const DOMAIN = 'dns.podman';

/** What Podman is told of a container's interface on a network. */
export interface StatusBlock {
  readonly dns_search_domains: readonly string[];
  readonly dns_server_ips: readonly string[];
  readonly interfaces: Readonly<
    Record<
      string,
      {
        readonly mac_address: string;
        readonly subnets: readonly { readonly gateway?: string; readonly ipnet: string }[];
      }
    >
  >;
}
export interface StatusContext {
  /** A resident engine answers names at the gateway. */
  readonly names: boolean;
  /** The container's own servers. */
  readonly dnsServers: readonly string[];
}

export function statusOf(
  endpoint: Endpoint,
  network: PodmanNetwork,
  { names, dnsServers }: StatusContext,
): StatusBlock {
  const served = network.dns && names && lowerDriver(network) === 'bridge';
  const { lease } = endpoint;
  return {
    dns_search_domains: served ? [DOMAIN] : (lease?.search ?? []),
    // without a resolver at the gateway Podman writes down the host's own servers, as for a network without names
    dns_server_ips: served
      ? network.subnets.flatMap(({ gateway }) => gateway ?? [])
      : dnsServers.length > 0
        ? dnsServers
        : network.dns && network.dnsServers.length > 0
          ? network.dnsServers
          : (lease?.dns ?? []),
    interfaces: {
      [endpoint.ifname]: {
        mac_address: endpoint.mac,
        subnets: endpoint.addresses.map((address) => {
          const gateway = gatewayOf(address, network) ?? (address.includes(':') ? undefined : lease?.router);
          return { ...(gateway !== undefined && { gateway }), ipnet: address };
        }),
      },
    },
  };
}

function gatewayOf(address: string, network: PodmanNetwork): string | undefined {
  if (!hasGateway(network)) return undefined;
  const { subnets } = network;
  const { address: ip } = parsePrefix(address);
  const subnet = subnets.find((each) => {
    const prefix = parsePrefix(each.subnet);
    return prefix.family === ip.family && contains(prefix, ip);
  });
  return subnet?.gateway === undefined ? undefined : parseIp(subnet.gateway).text;
}
