import type { AddressFact, Fact, LinkFact } from '../facts/index.ts';
import type { Network, Overlay, Peer } from '../model/index.ts';
import type { Backend } from './backend.ts';
import {
  addressOf,
  baseOf,
  directRoutes,
  familyOfPrefix,
  forwarding,
  looseSource,
  objectOf,
  type Path,
  pathTo,
  unrouted,
} from './underlay.ts';

/**
 * What IP tunnels over IPv4 have in common: a device with many ends, the first address of our own prefix on it, and
 * something for each prefix of another host. Over IPv6 the kernel has no such device: its routes refuse a gateway as on
 * the link that another interface leads to, which a neighbour's always is.
 */
export interface IpTunnel {
  readonly name: 'ipip' | 'gre';
  /** Bytes around a packet of either family, at most. */
  readonly overhead: number;
  /** What is put around a packet of that family. */
  readonly outer: { readonly 4: 'ipencap' | 'gre'; readonly 6: 'gre' };
  /** The device that carries a family of inner packets; one may carry both. */
  device(
    network: Network,
    overlay: Overlay,
    local: string,
    inner: 4 | 6,
  ): Pick<LinkFact, 'name' | 'origin' | 'alias' | 'mtu'>;
  /** How a prefix of another host is reached by that device. */
  way(prefix: string, path: Path, dev: string, peer: Peer, object: string): readonly Fact[];
}

export function ipTunnel<N extends IpTunnel['name']>(tunnel: IpTunnel & { readonly name: N }): Backend & { name: N } {
  const devices = (network: Network, overlay: Overlay): LinkFact[] => {
    const local = addressOf(overlay.self, 4);
    if (local === undefined) return [];
    const links = overlay.self.prefixes.map((prefix) => linkOf(network, overlay, local, familyOfPrefix(prefix)));
    return links.filter((link, i) => links.findIndex(({ name }) => name === link.name) === i);
  };
  const linkOf = (network: Network, overlay: Overlay, local: string, inner: 4 | 6): LinkFact => ({
    ...{ kind: 'link', ns: '', object: objectOf(network), mac: '' },
    ...{ master: '', up: true, addrGenMode: 'none' },
    ...tunnel.device(network, overlay, local, inner),
  });
  const path = (overlay: Overlay, peer: Peer): Path | undefined => pathTo(overlay, peer, [4]);
  return {
    name: tunnel.name,
    plans: ['node'],
    overhead: () => tunnel.overhead,
    outer({ self }, family) {
      if (family === 6) return [];
      const protocols = new Set(self.prefixes.map((prefix) => tunnel.outer[familyOfPrefix(prefix)]));
      return [...protocols].map((protocol) => ({ protocol, whole: true }));
    },
    networkFacts(network, overlay) {
      const object = objectOf(network);
      const links = devices(network, overlay);
      const local = addressOf(overlay.self, 4) ?? '';
      const addresses = links.length === 0 ? [] : overlay.self.prefixes;
      return [
        ...forwarding(network, overlay),
        ...links,
        ...addresses.map((prefix): AddressFact => {
          const inner = familyOfPrefix(prefix);
          const { name: dev } = linkOf(network, overlay, local, inner);
          return { kind: 'address', ns: '', object, dev, address: `${baseOf(prefix)}/${inner === 4 ? 32 : 128}` };
        }),
        ...links.map(({ name }) => looseSource(network, name)),
      ];
    },
    peerFacts(network, overlay, peer) {
      const direct = overlay.directRouting && peer.direct ? directRoutes(network, overlay, peer) : [];
      const routed = new Set(direct.map(({ dst }) => dst));
      const way = path(overlay, peer);
      if (!way) return direct;
      const object = objectOf(network, peer);
      const tunnelled = peer.prefixes
        .filter((prefix) => !routed.has(prefix))
        .flatMap((prefix) => {
          const { name } = linkOf(network, overlay, way.local, familyOfPrefix(prefix));
          return tunnel.way(prefix, way, name, peer, object);
        });
      return [...tunnelled, ...direct];
    },
    remoteFacts: () => [],
    whyNot(_network, overlay, peer) {
      if (path(overlay, peer)) return '';
      if (overlay.directRouting && peer.direct && unrouted(overlay, peer).length === 0) return '';
      return `cannot be reached over IPv4, the only underlay of ${tunnel.name}`;
    },
    ways(network, overlay) {
      const names = devices(network, overlay).map(({ name }) => name);
      return overlay.directRouting ? [...names, overlay.self.dev] : names;
    },
  };
}
