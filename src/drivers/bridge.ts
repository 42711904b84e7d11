import { macFor, parseIp, parsePrefix } from '../addr/index.ts';
import {
  type AddressFact,
  type Fact,
  type LinkFact,
  type PortFact,
  type RouteFact,
  type SysctlFact,
} from '../facts/index.ts';
import type { BridgeOptions, Endpoint, Network } from '../model/index.ts';
import type { Driver, PlanContext } from './driver.ts';

/**
 * A Linux bridge per network: the gateway's address on the bridge, a veth pair per endpoint whose far end is born in
 * the workload's namespace, the default route through the gateway. Addresses are translated and ports published by
 * src/nat, which knows no links.
 */
export const bridgeDriver: Driver = {
  networkFacts(network) {
    const options = bridgeOptions(network);
    const object = `network ${network.name}`;
    const dev = options.bridge;
    const v4 = network.subnets.some((s) => familyOf(s.subnet) === 4);
    const v6 = network.subnets.some((s) => familyOf(s.subnet) === 6);
    const link: LinkFact = {
      kind: 'link',
      ns: '',
      object,
      name: dev,
      origin: { type: 'bridge' },
      // fixed: a bridge without one changes its address as ports come and go
      mac: bridgeMac(network),
      mtu: options.mtu,
      master: '',
      up: true,
      alias: `netloom network ${network.id.slice(0, 12)}`,
      addrGenMode: 'none',
    };
    const addresses = network.subnets
      .filter((s) => s.gateway !== '')
      .map((s): AddressFact => ({
        kind: 'address',
        ns: '',
        object,
        dev,
        address: `${s.gateway}/${parsePrefix(s.subnet).length}`,
      }));
    if (v6) addresses.push({ kind: 'address', ns: '', object, dev, address: LINK_LOCAL });
    return [...sysctls(network, dev, v4, v6), link, ...addresses, ...linkSysctls(network, dev, v4)];
  },

  endpointFacts(network, endpoint, context) {
    const options = bridgeOptions(network);
    const object = objectOf(endpoint, context);
    const { netns: ns, ifname: dev } = endpoint;
    const v6 = endpoint.addresses.some((address) => familyOf(address) === 6);
    const host: LinkFact = {
      kind: 'link',
      ns: '',
      object,
      name: endpoint.hostIfname,
      origin: { type: 'veth', peer: { ns, name: dev, mac: endpoint.mac } },
      mac: '',
      mtu: options.mtu,
      master: options.bridge,
      up: true,
      alias: `netloom endpoint ${endpoint.id.slice(0, 12)}`,
      addrGenMode: 'none',
    };
    const inside = { kind: 'link', ns, object, master: '', up: true, alias: '' } as const;
    const lo: LinkFact = {
      ...inside,
      name: 'lo',
      origin: { type: 'there', by: '' },
      mac: '',
      mtu: 0,
      addrGenMode: 'eui64',
    };
    const eth: LinkFact = {
      ...inside,
      name: dev,
      origin: { type: 'there', by: `link  ${endpoint.hostIfname}` },
      mac: endpoint.mac,
      mtu: options.mtu,
      addrGenMode: v6 ? 'eui64' : 'none',
    };
    const addresses = endpoint.addresses.map((address): AddressFact => ({ kind: 'address', ns, object, dev, address }));
    return [host, ...portFacts(options, endpoint, object), lo, eth, ...addresses, ...defaultRoutes(endpoint, object)];
  },
};

/**
 * The bridge's own link-local address, without duplicate detection: while one that the kernel makes is being checked,
 * some two seconds, the kernel solicits no neighbour for packets that it forwards.
 */
const LINK_LOCAL = 'fe80::1/64';

/** The default routes that an endpoint provides: also planned alone, when they move between endpoints. */
export function defaultRoutes(endpoint: Endpoint, object: string): RouteFact[] {
  return endpoint.gateways.map((via) => ({
    kind: 'route',
    ns: endpoint.netns,
    object,
    family: parseIp(via).family,
    dst: 'default',
    via,
    dev: endpoint.ifname,
  }));
}

/** Without inter-container traffic, ports may only speak to the bridge itself. */
function portFacts(options: BridgeOptions, endpoint: Endpoint, object: string): PortFact[] {
  if (!options.hairpin && options.icc) return [];
  return [{ kind: 'port', ns: '', object, dev: endpoint.hostIfname, hairpin: options.hairpin, isolated: !options.icc }];
}

/** How an endpoint is called in explanations: `endpoint eth0 of web`. */
export function objectOf(endpoint: Endpoint, context: PlanContext): string {
  return `endpoint ${endpoint.ifname} of ${context.workload}`;
}

export function bridgeOptions(network: Pick<Network, 'name' | 'options'>): BridgeOptions {
  if (network.options.driver !== 'bridge') throw new TypeError(`network ${network.name} is no bridge network`);
  return network.options;
}

function sysctls(network: Network, dev: string, v4: boolean, v6: boolean): Fact[] {
  if (network.internal) return [];
  const object = `network ${network.name}`;
  const global = (name: string): SysctlFact => ({ kind: 'sysctl', ns: '', object, name, value: '1', dev: '' });
  return [...(v4 ? [global('net.ipv4.ip_forward')] : []), ...(v6 ? [global('net.ipv6.conf.all.forwarding')] : [])];
}

/** Lets a port published on 127.0.0.1 be reached through the bridge; the rule set keeps everyone else from using it. */
function linkSysctls(network: Network, dev: string, v4: boolean): SysctlFact[] {
  if (network.internal || !v4) return [];
  const name = `net.ipv4.conf.${dev.replaceAll('.', '/')}.route_localnet`;
  return [{ kind: 'sysctl', ns: '', object: `network ${network.name}`, name, value: '1', dev }];
}

function bridgeMac(network: Network): string {
  const gateway = network.subnets.find((s) => s.gateway !== '')?.gateway;
  if (gateway !== undefined && parseIp(gateway).family === 4) return macFor(parseIp(gateway));
  // locally administered, unicast, as stable as the network
  return `02:${network.id.slice(0, 10).replace(/../g, '$&:').slice(0, -1)}`;
}

function familyOf(prefix: string): 4 | 6 {
  return parsePrefix(prefix).address.family;
}
