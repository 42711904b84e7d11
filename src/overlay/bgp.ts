import type { RouteFact } from '../facts/index.ts';
import type { Network, Overlay, Peer } from '../model/index.ts';
import type { Backend } from './backend.ts';
import { familyOfPrefix, forwarding, objectOf, pathTo } from './underlay.ts';

/**
 * No tunnel: plain routes, as of host-gw, but by the ways that BGP neighbours told of, so that hosts may be behind routers.
 * Who speaks is the engine, by `bgpOf`; what it learned is in the peers' records, and stays while nobody speaks.
 */
export const bgp: Backend & { readonly name: 'bgp' } = {
  name: 'bgp',
  plans: ['node'],
  overhead: () => 0,
  networkFacts: forwarding,
  peerFacts: (network, _overlay, { ways = [], ...peer }) =>
    ways.map(({ prefix, via, dev }): RouteFact => {
      const family = familyOfPrefix(prefix);
      return { kind: 'route', ns: '', object: objectOf(network, peer), family, dst: prefix, via, dev };
    }),
  remoteFacts: () => [],
  whyNot(_network, overlay, peer) {
    const unknown = untold(peer);
    if (unknown.length === 0) return '';
    if (isMesh(overlay) && peer.bgp) {
      if (!peer.bgp.mesh) return 'speaks BGP with routers, and this host with the other nodes';
      if (!peer.direct) return 'is behind a router, and without neighbors nodes of one segment alone speak BGP';
      if (!pathTo(overlay, peer)) return 'has no address on the underlay of a family that we have one of';
    }
    return `is not reached: no BGP neighbor told of ${unknown.join(', ')}`;
  },
  ways: (_network, overlay) => [overlay.self.dev],
  untold,
};

/** What a host's speaker needs of one network: the arguments of the speaker's `announce`, and whom it speaks with. */
export interface BgpPlan {
  readonly prefixes: readonly string[];
  readonly nextHop: readonly string[];
  readonly neighbors: readonly {
    readonly address: string;
    readonly asn: number;
    /** The other host that it is. */
    readonly node?: string;
    readonly source?: string;
  }[];
}

/** Hosts without neighbours of their own speak with each other, as far as they are on one segment. */
export function bgpOf(_network: Network, overlay: Overlay, peers: readonly Peer[]): BgpPlan {
  const { self, bgp: options } = overlay;
  const mesh = peers.flatMap((peer) => {
    const path = pathTo(overlay, peer);
    if (!path || !peer.bgp?.mesh || !peer.direct) return [];
    return [{ address: path.remote, asn: peer.bgp.asn, node: peer.node, source: path.local }];
  });
  return {
    prefixes: self.prefixes,
    nextHop: self.addresses,
    neighbors: isMesh(overlay) ? mesh : (options?.neighbors ?? []),
  };
}

function isMesh({ bgp: options }: Overlay): boolean {
  return options?.neighbors.length === 0;
}

function untold({ prefixes, ways = [] }: Peer): readonly string[] {
  return prefixes.filter((prefix) => !ways.some((way) => way.prefix === prefix));
}
