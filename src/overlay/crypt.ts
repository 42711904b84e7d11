import type { AddressFact, Fact, LinkFact, LinkOrigin, RouteFact } from '../facts/index.ts';
import type { Network, Overlay, Peer } from '../model/index.ts';
import { networkAlias } from '../drivers/index.ts';
import { baseOf, familyOfPrefix, forwarding, looseSource, objectOf } from './underlay.ts';

// What the backends that encrypt have in common: one interface a network, through which packets of other hosts come and go.

/** Behind every route that knows better: what no host holds goes into the tunnel, which drops it, and not out in the clear. */
const LAST = { wireguard: 28268, xfrm: 28269 } as const;

/** The interface, the address by which the host itself talks to others' workloads, and a route for what nobody holds. */
export function deviceFacts(
  network: Network,
  overlay: Overlay,
  { name, origin, mtu }: { name: string; origin: LinkOrigin & { type: keyof typeof LAST }; mtu: number },
): Fact[] {
  const object = objectOf(network);
  const link: LinkFact = {
    kind: 'link',
    ns: '',
    object,
    name,
    origin,
    mac: '',
    mtu,
    master: '',
    up: true,
    alias: networkAlias(network),
    addrGenMode: 'none',
  };
  const addresses = overlay.self.prefixes.map((prefix): AddressFact => {
    const length = familyOfPrefix(prefix) === 4 ? 32 : 128;
    return { kind: 'address', ns: '', object, dev: name, address: `${baseOf(prefix)}/${length}` };
  });
  const last = overlay.ranges.map((dst): RouteFact => {
    const family = familyOfPrefix(dst);
    return { kind: 'route', ns: '', object, family, dst, via: '', dev: name, metric: LAST[origin.type] };
  });
  return [...forwarding(network, overlay), link, ...addresses, looseSource(network, name), ...last];
}

/** What a host holds, by the interface. */
export function deviceRoutes(network: Network, peer: Peer, dev: string): RouteFact[] {
  const object = objectOf(network, peer);
  return peer.prefixes.map((dst) => ({
    kind: 'route',
    ns: '',
    object,
    family: familyOfPrefix(dst),
    dst,
    via: '',
    dev,
  }));
}

/** Two backends' interfaces of one network are apart, and a name has 15 bytes. */
export function deviceName(network: Network, prefix: 'wg' | 'xf'): string {
  return `${prefix}-${network.id.slice(0, 12)}`;
}

export const NO_PATH = 'has no address on the underlay of a family that we have one of';
