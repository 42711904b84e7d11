import { parseIp, parsePrefix } from '../addr/index.ts';
import type { NftElementFact } from '../facts/index.ts';
import { bridgesOf, gatewayMode } from '../drivers/index.ts';
import type { Endpoint, Network, Peer, PublishedPort, RemoteEndpoint } from '../model/index.ts';
import type { NftElement, NftField, NftSet } from '../nftables/index.ts';
import { SETS } from './ruleset.ts';

/** What one network adds to the shared rule set. */
export function networkElements(network: Network): NftElementFact[] {
  if (network.options.driver !== 'bridge') return [];
  const { bridge, icc, masquerade, shards = [] } = network.options;
  const fact = factOf(`network ${network.name}`);
  const facts = [fact(SETS.bridges, { key: bridge }), ...shards.flatMap((shard) => shardElements(network, shard))];
  if (network.options.fairPorts === false) facts.push(fact(SETS.unfair, { key: bridge }));
  facts.push(...resolverElements(network));
  if (icc) facts.push(fact(SETS.intra, { key: { concat: [bridge, bridge] } }));
  if (network.internal) return [...facts, fact(SETS.internal, { key: bridge })];
  for (const { subnet } of network.subnets) {
    const { address, length, family } = parsePrefix(subnet);
    const prefix: NftField = { prefix: { addr: address.text, len: length } };
    const mode = gatewayMode(network.options, family);
    if (mode === 'routed') {
      facts.push(fact(family === 4 ? SETS.routed4 : SETS.routed6, { key: prefix }));
      continue;
    }
    if (mode === 'nat-unprotected')
      facts.push(fact(family === 4 ? SETS.unprotected4 : SETS.unprotected6, { key: prefix }));
    if (masquerade) facts.push(fact(family === 4 ? SETS.masquerade4 : SETS.masquerade6, { key: prefix }));
    facts.push(fact(family === 4 ? SETS.hairpin4 : SETS.hairpin6, { key: { concat: [prefix, bridge] } }));
  }
  return facts;
}

/** What lets a network's packets go between the hosts that share it. @param ways interfaces by which others' come in */
export function overlayElements(network: Network, ways: readonly string[]): NftElementFact[] {
  if (!network.overlay || network.options.driver !== 'bridge') return [];
  const fact = factOf(`network ${network.name}`);
  return [
    ...[...bridgesOf(network.options), ...ways].map((device) => fact(SETS.ways, { key: device })),
    ...network.overlay.ranges.map((range) => betweenElement(network, range, range)),
  ];
}

/** What lets another host itself reach endpoints here: its own address has no part in the network's range. */
export function peerElements(network: Network, { addresses }: Peer): NftElementFact[] {
  return addresses.flatMap((address) =>
    network.subnets
      .filter(({ subnet }) => parsePrefix(subnet).family === parseIp(address).family)
      .map(({ subnet }) => betweenElement(network, address, subnet)),
  );
}

/**
 * What leads from this host's ports to an endpoint of another, and has its answers come back by this host: the address of
 * ours in the network from which the other host is spoken to.
 */
export function ingressElements(network: Network, remote: RemoteEndpoint): NftElementFact[] {
  const { id, node, addresses, ports = [] } = remote;
  const fact = factOf(`endpoint ${id.slice(0, 12)} on node ${node} in network ${network.name}`);
  const led = new Map<string, NftElementFact>();
  const elements = ports.flatMap((port) => {
    const { family } = parseIp(port.hostAddress);
    const target = addresses.map((a) => parsePrefix(a).address).find((ip) => ip.family === family);
    const source = ownAddress(network, family);
    if (!target || source === undefined) return [];
    led.set(target.text, fact(family === 4 ? SETS.via4 : SETS.via6, { key: target.text, data: source }));
    const set = family === 4 ? SETS.ingress4 : SETS.ingress6;
    const ways = Array.from({ length: port.count }, (_, i) =>
      fact(set, {
        key: { concat: [port.protocol, port.hostPort + i] },
        data: { concat: [target.text, port.containerPort + i] },
      }),
    );
    return port.denied === true ? [...ways, denialElement(port, ways[0]!.object)] : ways;
  });
  return [...led.values(), ...elements];
}

/** What this host is called in the network by other hosts: its own in one segment, else its bridge's, in its own prefix. */
function ownAddress({ overlay, subnets }: Network, family: 4 | 6): string | undefined {
  const own =
    overlay?.plan === 'flat'
      ? (overlay.self.hostAddresses ?? []).map((address) => parsePrefix(address).address)
      : subnets.flatMap(({ gateway }) => (gateway === '' ? [] : [parseIp(gateway)]));
  return own.find((ip) => ip.family === family)?.text;
}

function betweenElement({ name }: Network, from: string, to: string): NftElementFact {
  const field = (text: string): NftField => {
    if (!text.includes('/')) return text;
    const { address, length } = parsePrefix(text);
    return { prefix: { addr: address.text, len: length } };
  };
  const set = parsePrefix(to).family === 4 ? SETS.overlay4 : SETS.overlay6;
  return factOf(`network ${name}`)(set, { key: { concat: [field(from), field(to)] } });
}

/** What leads questions for a gateway to where they are answered, where another program has the port. */
export function resolverElements({ name, resolverPorts = {} }: Network): NftElementFact[] {
  const fact = factOf(`network ${name}`);
  return Object.entries(resolverPorts).flatMap(([address, port]) =>
    ['udp', 'tcp'].map((protocol) =>
      fact(parseIp(address).family === 4 ? SETS.resolver4 : SETS.resolver6, {
        key: { concat: [address, protocol, DNS_PORT] },
        data: { concat: [address, port] },
      }),
    ),
  );
}
const DNS_PORT = 53;

/**
 * What a further bridge of a network adds, for hosts where bridged frames pass the rule set, too (br_netfilter). Whoever
 * may not speak to others there is kept from it by its port, as on the first.
 */
export function shardElements(network: Network, shard: string): NftElementFact[] {
  const fact = factOf(`network ${network.name}`);
  return [fact(SETS.bridges, { key: shard }), fact(SETS.intra, { key: { concat: [shard, shard] } })];
}

/** What an endpoint's published ports add: an element a port, and one for a range that keeps its numbers. */
export function portElements(endpoint: Endpoint, object: string): NftElementFact[] {
  return endpoint.ports.flatMap((port) => elementsOfPort(endpoint, port, object));
}

/** What keeps one published port from the outside, where the host's own firewall does. */
export function denialElement(port: PublishedPort, object: string): NftElementFact {
  const { family, text } = parseIp(port.hostAddress);
  const any = text === '0.0.0.0' || text === '::';
  const fact = factOf(object);
  if (port.count > 1) {
    const addresses: NftField = any ? { prefix: { addr: text, len: 0 } } : text;
    const ports: NftField = { range: [port.hostPort, port.hostPort + port.count - 1] };
    const key = { concat: [addresses, port.protocol, ports] };
    return fact(family === 4 ? SETS.denied4_range : SETS.denied6_range, { key });
  }
  if (any)
    return fact(family === 4 ? SETS.denied4_any : SETS.denied6_any, {
      key: { concat: [port.protocol, port.hostPort] },
    });
  return fact(family === 4 ? SETS.denied4 : SETS.denied6, { key: { concat: [text, port.protocol, port.hostPort] } });
}

function elementsOfPort(endpoint: Endpoint, port: PublishedPort, object: string): NftElementFact[] {
  const { family, text: host } = parseIp(port.hostAddress);
  const target = endpoint.addresses.map((a) => parsePrefix(a).address).find((ip) => ip.family === family);
  if (!target) return [];
  if (port.denied === true) return [...elementsOfPort(endpoint, open(port), object), denialElement(port, object)];
  const fact = factOf(object);
  const any = host === '0.0.0.0' || host === '::';
  if (host === target.text) {
    // nothing is translated: the port is open where it is
    const number: NftField =
      port.count === 1 ? port.hostPort : { range: [port.hostPort, port.hostPort + port.count - 1] };
    return [fact(family === 4 ? SETS.open4 : SETS.open6, { key: { concat: [host, port.protocol, number] } })];
  }
  if (port.count > 1 && port.hostPort === port.containerPort) {
    const addresses: NftField = any ? { prefix: { addr: host, len: 0 } } : host;
    const ports: NftField = { range: [port.hostPort, port.hostPort + port.count - 1] };
    const key = { concat: [addresses, port.protocol, ports] };
    return [fact(family === 4 ? SETS.publish4_range : SETS.publish6_range, { key, data: target.text })];
  }
  const set = any
    ? family === 4
      ? SETS.publish4_any
      : SETS.publish6_any
    : family === 4
      ? SETS.publish4
      : SETS.publish6;
  return Array.from({ length: port.count }, (_, i) => {
    const number = port.hostPort + i;
    const key = { concat: any ? [port.protocol, number] : [host, port.protocol, number] };
    return fact(set, { key, data: { concat: [target.text, port.containerPort + i] } });
  });
}

function open({ denied: _, ...port }: PublishedPort): PublishedPort {
  return port;
}

function factOf(object: string): (set: NftSet, element: NftElement) => NftElementFact {
  return (set, element) => ({ kind: 'nft-element', ns: '', object, set, element });
}
