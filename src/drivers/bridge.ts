import { macFor, parseIp, parsePrefix } from '../addr/index.ts';
import {
  type AddressFact,
  type Fact,
  type LinkFact,
  type NeighbourFact,
  type PortFact,
  type SysctlFact,
} from '../facts/index.ts';
import type { BridgeOptions, Endpoint, GatewayMode, Network } from '../model/index.ts';
import type { Driver } from './driver.ts';
import { endpointAlias, familyOf, gatewaysOf, insideFacts, networkAlias, objectOf, optionsOf } from './inside.ts';

/**
 * A Linux bridge per network: the gateway's address on the bridge, a veth pair per endpoint whose far end is born in
 * the workload's namespace, the default route through the gateway. Addresses are translated and ports published by
 * src/nat, which knows no links.
 */
export const bridgeDriver: Driver = {
  endpointType: 'veth',
  networkFacts(network) {
    const options = optionsOf(network, 'bridge');
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
      alias: networkAlias(network),
      addrGenMode: 'none',
    };
    const addresses = network.subnets
      .filter((s) => s.gateway !== '')
      .flatMap((s) => gatewayAddress(network, s.gateway, parsePrefix(s.subnet).length))
      .map((a): AddressFact => ({ kind: 'address', ns: '', object, dev, ...a }));
    if (v6 && options.gatewayMode6 !== 'isolated')
      addresses.push({ kind: 'address', ns: '', object, dev, address: LINK_LOCAL });
    const shards = (options.shards ?? []).flatMap((shard) => shardFacts(network, shard));
    return [...sysctls(network, dev, v4, v6), link, ...addresses, ...linkSysctls(network, dev, v4), ...shards];
  },

  endpointFacts(network, endpoint, context) {
    const options = optionsOf(network, 'bridge');
    const object = objectOf(endpoint, context);
    const { netns, ifname } = endpoint;
    const tap = endpoint.type === 'tap';
    const host: LinkFact = {
      kind: 'link',
      ns: '',
      object,
      name: endpoint.hostIfname,
      origin: tap
        ? { type: 'tap', uid: endpoint.tapUid ?? -1 }
        : { type: 'veth', peer: { ns: netns, name: ifname, mac: endpoint.mac } },
      mac: '',
      mtu: options.mtu,
      master: endpoint.bridge ?? options.bridge,
      up: true,
      alias: endpointAlias(endpoint),
      addrGenMode: 'none',
      ...(isGuarded(network) && { guarded: true }),
    };
    const port = portFacts(network, options, endpoint, object);
    const neighbours = neighbourFacts(network, endpoint, object);
    // the other end of a tap is a virtual machine, which configures itself; one that was handed over is somebody else's
    if (tap || endpoint.handOver !== undefined) return [host, ...port, ...neighbours];
    const inside = insideFacts(endpoint, object, {
      origin: { type: 'there', by: `link  ${endpoint.hostIfname}` },
      mac: endpoint.mac,
      mtu: options.mtu,
      alias: '',
    });
    return [host, ...port, ...neighbours, ...inside, ...gatewayFacts(network, endpoint, object)];
  },

  gateways: gatewaysOf,
  whyNotPublished: (network) =>
    network.internal
      ? 'is internal: nothing outside can reach a port published on it'
      : network.ipam === 'dhcp'
        ? 'takes its addresses from the segment outside, where every port of its endpoints is reached'
        : '',
  hostIfname: (id) => `ve${id.slice(0, 11)}`,
  ownMac: () => true,
  capacity: () => PORTS * (SHARDS + 1),
};

/**
 * How many endpoints a bridge takes. The kernel gives it 1,023 ports (net/bridge/br_private.h BR_PORT_BITS), of which the
 * first keeps some for the joints, and for whatever people hang on it.
 */
export const PORTS = 1000;
/** How many further bridges a network may have. */
export const SHARDS = 20;

/**
 * Whether endpoints can say nothing but what they are. Not where somebody else gives them their addresses, who may give
 * them others tomorrow.
 */
export function isGuarded(network: Network): boolean {
  return network.options.driver === 'bridge' && network.options.guard !== false && network.ipam !== 'dhcp';
}

/** Every bridge of a network, the first one first. */
export function bridgesOf(options: BridgeOptions): readonly string[] {
  return [options.bridge, ...(options.shards ?? [])];
}

/** The name of a network's next bridge. */
export function nextShard(network: Network): string {
  const { shards = [] } = optionsOf(network, 'bridge');
  return `brs${shards.length + 1}-${network.id.slice(0, 8)}`;
}

/**
 * A further bridge, joined to the first as one cable would join two switches: one segment, one gateway. Its own address
 * stack is kept from answering for the gateway. Where endpoints may not talk to each other, the first bridge takes the
 * joint for one more such port: what comes from there reaches the gateway alone, and nobody's frames go there.
 */
export function shardFacts(network: Network, shard: string): readonly Fact[] {
  const options = optionsOf(network, 'bridge');
  const object = `network ${network.name}`;
  const number = shardNumber(shard);
  const tag = network.id.slice(0, 9);
  const [near, far] = [`nj${number}-${tag}`, `nk${number}-${tag}`];
  const base = { kind: 'link', ns: '', object, up: true, addrGenMode: 'none' } as const;
  const bridge: LinkFact = {
    ...base,
    name: shard,
    origin: { type: 'bridge' },
    mac: `06:${number.toString(16).padStart(2, '0')}:${colons(network.id.slice(0, 8))}`,
    mtu: options.mtu,
    master: '',
    alias: networkAlias(network),
  };
  const cable: LinkFact = {
    ...base,
    name: near,
    origin: { type: 'veth', peer: { ns: '', name: far, mac: '' } },
    mac: '',
    mtu: options.mtu,
    master: options.bridge,
    alias: networkAlias(network),
  };
  const end: LinkFact = {
    ...base,
    name: far,
    origin: { type: 'there', by: `link  ${near}` },
    mac: '',
    mtu: options.mtu,
    master: shard,
    alias: '',
  };
  const port: PortFact = { kind: 'port', ns: '', object, dev: near, hairpin: false, isolated: true };
  // the kernel answers ARP for any address of the host, by whatever interface the question came
  const silence = shardSysctl(network, shard, 'arp_ignore', '8');
  // where br_netfilter translates a frame there, the packet goes on from there, whose source is the first bridge's
  const loose = shardSysctl(network, shard, 'rp_filter', '2');
  return [bridge, silence, loose, cable, ...(options.icc ? [] : [port]), end];
}

function shardSysctl(network: Network, shard: string, name: string, value: string): SysctlFact {
  const object = `network ${network.name}`;
  return { kind: 'sysctl', ns: '', object, name: `net.ipv4.conf.${shard}.${name}`, value, dev: shard };
}

function shardNumber(shard: string): number {
  return Number(/^brs(\d+)-/.exec(shard)?.[1] ?? 0);
}

/**
 * The bridge's own link-local address, without duplicate detection: while one that the kernel makes is being checked,
 * some two seconds, the kernel solicits no neighbour for packets that it forwards.
 */
const LINK_LOCAL = 'fe80::1/64';

/** Without inter-container traffic, ports may only speak to the bridge itself. */
function portFacts(network: Network, options: BridgeOptions, endpoint: Endpoint, object: string): PortFact[] {
  const { hairpin, icc } = options;
  const guarded = isGuarded(network);
  if (!hairpin && icc && !guarded) return [];
  const { hostIfname: dev, mac } = endpoint;
  const asked = guarded && icc && isFlat6(network);
  return [
    { kind: 'port', ns: '', object, dev, hairpin, isolated: !icc, ...(guarded && { mac }), ...(asked && { asked }) },
  ];
}

/** One segment over several hosts, with IPv6: the bridge has a port that is a tunnel, as `PortFact.asked` says. */
function isFlat6({ overlay, subnets }: Network): boolean {
  return overlay?.plan === 'flat' && subnets.some(({ subnet }) => familyOf(subnet) === 6);
}

/** Where the endpoints of a network are, so that nobody has to ask: the host does not, and its bridge answers others. */
function neighbourFacts(network: Network, endpoint: Endpoint, object: string): NeighbourFact[] {
  if (!isGuarded(network)) return [];
  const { bridge: dev } = optionsOf(network, 'bridge');
  return endpoint.addresses.map((address) => ({
    kind: 'neighbour',
    ns: '',
    object,
    dev,
    address: parsePrefix(address).address.text,
    mac: endpoint.mac,
  }));
}

/**
 * Where the gateway is, as its endpoints know it. They would ask by a broadcast, which a bridge of a thousand ports makes
 * a thousand frames of at once: more than a processor's backlog takes (net.core.netdev_max_backlog), and the answer is
 * lost behind them.
 */
function gatewayFacts(network: Network, endpoint: Endpoint, object: string): NeighbourFact[] {
  if (network.ipam === 'dhcp') return [];
  const { netns: ns, ifname: dev } = endpoint;
  const mac = bridgeMac(network);
  return network.subnets
    .filter(({ gateway, subnet }) => gateway !== '' && endpoint.addresses.some((a) => familyOf(a) === familyOf(subnet)))
    .map(({ gateway }) => ({ kind: 'neighbour', ns, object, dev, address: parseIp(gateway).text, mac }));
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

/**
 * In one segment over several hosts each has the gateway's address, and answers to it would go to whoever is asked first: the
 * host speaks from an address of its own, beside which that of the gateway has no route and no preference.
 */
function gatewayAddress(
  { overlay }: Network,
  gateway: string,
  length: number,
): readonly Pick<AddressFact, 'address' | 'deprecated'>[] {
  const { family } = parseIp(gateway);
  const own = overlay?.self.hostAddresses?.find((address) => familyOf(address) === family);
  if (own === undefined) return [{ address: `${gateway}/${length}` }];
  if (family === 4) return [{ address: own }, { address: `${gateway}/32` }];
  return [{ address: own }, { address: `${gateway}/${length}`, deprecated: true }];
}

/** The hardware address that its endpoints know the gateway by. */
export function bridgeMac(network: Network): string {
  // another one on each host of the segment
  if (network.overlay?.plan === 'flat') return network.overlay.self.mac;
  const gateway = network.subnets.find((s) => s.gateway !== '')?.gateway;
  if (gateway !== undefined && parseIp(gateway).family === 4) return macFor(parseIp(gateway));
  // locally administered, unicast, as stable as the network
  return `02:${colons(network.id.slice(0, 10))}`;
}

function colons(hex: string): string {
  return hex.replace(/../g, '$&:').slice(0, -1);
}

/** The options of a bridge network. @throws TypeError for another driver's */
export function bridgeOptions(network: Pick<Network, 'name' | 'options'>): BridgeOptions {
  return optionsOf(network, 'bridge');
}

/** How one family of a bridge network meets the outside. */
export function gatewayMode(options: BridgeOptions, family: 4 | 6): GatewayMode {
  return (family === 4 ? options.gatewayMode4 : options.gatewayMode6) ?? 'nat';
}
