import { contains, parseIp, parsePrefix } from '../addr/index.ts';
import type { Endpoint, EngineApi, Network } from '../model/index.ts';
import { dnsOf } from './attach.ts';
import type { Configuration } from './configuration.ts';
import { parseDns } from './result.ts';
import type { Result, ResultDns, ResultRoute } from './spec.ts';
import { resultRoute } from './tuning.ts';

/**
 * What an attachment came to.
 * @param networks as they were listed beside the attachment: one that it made is not among them
 * @param sandbox the namespace as the runtime calls it
 * @param given what an IPAM plugin said, where one was asked
 */
export async function resultOf(
  api: EngineApi,
  networks: Promise<readonly Network[]>,
  endpoint: Endpoint,
  conf: Configuration,
  sandbox: string,
  given: Result | undefined,
): Promise<Result> {
  const its = ({ id }: Network): boolean => id === endpoint.network;
  // not by networkInspect, which reads all that is attached
  const network = (await networks.catch(() => [])).find(its) ?? (await api.networkList()).find(its)!;
  const { hostIfname } = endpoint;
  const ofNetwork = 'mtu' in network.options ? network.options.mtu : 0;
  // those on an interface of the host have its MTU and, of ipvlan, its hardware address: only the kernel knows
  const known = hostIfname !== '' ? { mac: endpoint.mac, mtu: ofNetwork } : await api.endpointCheck(endpoint.id);
  const mtu = endpoint.tuning?.mtu ?? known.mtu;
  const mac = endpoint.mac === '' ? known.mac : endpoint.mac;
  const inside = { name: endpoint.ifname, ...(mac !== '' && { mac }), ...(mtu > 0 && { mtu }), sandbox };
  const host = hostIfname === '' ? [] : [{ name: hostIfname, ...(ofNetwork > 0 && { mtu: ofNetwork }) }];
  return {
    interfaces: [...host, inside],
    ips: endpoint.addresses.map((address) => {
      const gateway = gatewayOf(endpoint, network, address);
      return { address, ...(gateway !== '' && { gateway }), interface: host.length };
    }),
    routes: routesOf(endpoint),
    dns:
      dnsOf(conf, parseDns) ??
      (given && Object.keys(given.dns).length > 0 ? given.dns : await resolverOf(api, network, endpoint)),
  };
}

/** The router of an address's subnet; empty where everything goes by the interface itself, or nowhere. */
function gatewayOf({ lease, gateways }: Endpoint, network: Network, address: string): string {
  if (network.internal) return '';
  const { family, address: ip } = parsePrefix(address);
  const subnet = network.subnets.find((each) => contains(parsePrefix(each.subnet), ip));
  if (subnet && subnet.gateway !== '') return subnet.gateway;
  return lease?.router ?? gateways.find((gateway) => isRouter(gateway) && parseIp(gateway).family === family) ?? '';
}

function routesOf({ gateways, lease, tuning }: Endpoint): ResultRoute[] {
  return [
    ...gateways.map((gw) => ({ dst: parseIp(gw).family === 4 ? '0.0.0.0/0' : '::/0', ...(isRouter(gw) && { gw }) })),
    ...(lease?.routes ?? []).map(({ dst, gateway = '' }) => ({ dst, ...(gateway !== '' && { gw: gateway }) })),
    ...(tuning?.routes ?? []).map(resultRoute),
  ];
}

/** Not what stands for the interface itself. */
function isRouter(gateway: string): boolean {
  return parseIp(gateway).value !== 0n;
}

/** Names are answered at the gateways of bridges, for as long as a daemon runs; a lease may name servers of the segment. */
async function resolverOf(api: EngineApi, network: Network, { lease }: Endpoint): Promise<ResultDns> {
  if (lease && lease.dns.length > 0)
    return { nameservers: lease.dns, ...(lease.search.length > 0 && { search: lease.search }) };
  if (network.options.driver !== 'bridge') return {};
  const nameservers = network.subnets.map(({ gateway }) => gateway).filter((gateway) => gateway !== '');
  if (nameservers.length === 0 || (await api.version()).mode !== 'daemon') return {};
  return { nameservers };
}
