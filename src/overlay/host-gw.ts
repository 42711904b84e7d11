import type { Backend } from './backend.ts';
import { directRoutes, forwarding, unrouted } from './underlay.ts';

/** No tunnel: a route for each prefix by the host that holds it, which must be on our own segment. */
export const hostGw: Backend & { readonly name: 'host-gw' } = {
  name: 'host-gw',
  plans: ['node'],
  overhead: () => 0,
  networkFacts: forwarding,
  peerFacts: (network, overlay, peer) => (peer.direct ? directRoutes(network, overlay, peer) : []),
  remoteFacts: () => [],
  whyNot(_network, overlay, peer) {
    if (!peer.direct) return 'is behind a router, which knows no way to its prefix';
    const lost = unrouted(overlay, peer);
    return lost.length === 0 ? '' : `has no address on the underlay by which ${lost.join(', ')} could be reached`;
  },
  ways: (_network, overlay) => [overlay.self.dev],
};
