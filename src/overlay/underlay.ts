import { type Family, parseIp, parsePrefix } from '../addr/index.ts';
import type { Fact, RouteFact } from '../facts/index.ts';
import type { Network, Overlay, Peer } from '../model/index.ts';

/** The two ends of what goes to another host. */
export interface Path {
  readonly family: Family;
  readonly local: string;
  readonly remote: string;
}

export function familyOf(address: string): Family {
  return parseIp(address).family;
}
export function familyOfPrefix(prefix: string): Family {
  return parsePrefix(prefix).address.family;
}

/** The address of one family, where there is one. */
export function addressOf({ addresses }: Pick<Peer, 'addresses'>, family: Family): string | undefined {
  return addresses.find((address) => familyOf(address) === family);
}

/** How a host is reached: in the first of our own families that it has, too. */
export function pathTo({ self }: Overlay, peer: Peer, families: readonly Family[] = [4, 6]): Path | undefined {
  for (const local of self.addresses) {
    const family = familyOf(local);
    const remote = families.includes(family) ? addressOf(peer, family) : undefined;
    if (remote !== undefined) return { family, local, remote };
  }
  return undefined;
}

/** The UDP port of its tunnels, on every host. @param usual where nobody said */
export function portOf({ port }: Overlay, usual: number): number {
  return port === 0 ? usual : port;
}

/** Which host and network a fact is there for, for people. */
export function objectOf(network: Network, peer?: Peer): string {
  return peer ? `node ${peer.node} in network ${network.name}` : `network ${network.name}`;
}

/** The first address of a prefix, by which the host that holds it is called inside of a tunnel. */
export function baseOf(prefix: string): string {
  return parsePrefix(prefix).address.text;
}

/** What lies between bridges and tunnels is forwarded, in a network that is internal, too. */
export function forwarding(network: Network, overlay: Overlay): Fact[] {
  const object = objectOf(network);
  const families = new Set(overlay.self.prefixes.map(familyOfPrefix));
  const names: string[] = [];
  if (families.has(4)) names.push('net.ipv4.ip_forward');
  if (families.has(6)) names.push('net.ipv6.conf.all.forwarding');
  return names.map((name) => ({ kind: 'sysctl', ns: '', object, name, value: '1', dev: '' }));
}

/** What comes by a tunnel may be answered by another way, while hosts change from one backend to another. */
export function looseSource(network: Network, dev: string): Fact {
  const name = `net.ipv4.conf.${dev.replaceAll('.', '/')}.rp_filter`;
  return { kind: 'sysctl', ns: '', object: objectOf(network), name, value: '2', dev };
}

/** Plain routes to what a neighbour of our segment holds, by its own address; not for what no address of its can carry. */
export function directRoutes(network: Network, overlay: Overlay, peer: Peer): RouteFact[] {
  const { dev } = overlay.self;
  return peer.prefixes.flatMap((dst): RouteFact[] => {
    const family = familyOfPrefix(dst);
    const via = gatewayFor(overlay, peer, family);
    return via === undefined ? [] : [{ kind: 'route', ns: '', object: objectOf(network, peer), family, dst, via, dev }];
  });
}

/** The kernel takes a gateway of IPv6 for IPv4 as well, and not the other way round. */
function gatewayFor(overlay: Overlay, peer: Peer, family: Family): string | undefined {
  return (pathTo(overlay, peer, [family]) ?? (family === 4 ? pathTo(overlay, peer, [6]) : undefined))?.remote;
}

/** Prefixes of a neighbour that no plain route leads to. */
export function unrouted(overlay: Overlay, peer: Peer): readonly string[] {
  return peer.prefixes.filter((prefix) => gatewayFor(overlay, peer, familyOfPrefix(prefix)) === undefined);
}
