import { hexOf } from '../addr/index.ts';
import type { Fact, NeighbourFact, RouteFact } from '../facts/index.ts';
import type { Backend } from './backend.ts';
import { ipTunnel } from './ip-tunnel.ts';
import { baseOf, familyOfPrefix } from './underlay.ts';

/**
 * IP in IPv4, RFC 2003: the least that can be put around a packet. Nothing in it tells networks apart, and the kernel has
 * one such device with many ends for each address of ours: all networks share it, and only their routes are their own.
 *
 * IPv6 goes in GRE without a key. The kernel has a kind for it (sit), which remembers one route for all its ends: whoever
 * is behind a router was sent to as if he were on our segment, or the other way round (seen with Linux 6.1).
 */
export const ipip: Backend & { readonly name: 'ipip' } = ipTunnel({
  name: 'ipip',
  // of GRE, so that both families have one MTU
  overhead: 24,
  outer: { 4: 'ipencap', 6: 'gre' },
  device(_network, { self }, local, inner) {
    const type = inner === 4 ? 'ipip' : 'gre';
    return {
      name: inner === 4 ? `ipip-${hexOf(local)}` : `gre6-${hexOf(local)}`,
      origin: { type, local, parent: self.dev, key: 0 },
      alias: `netloom ipip of ${local}`,
      mtu: self.mtu - (inner === 4 ? 20 : 24),
    };
  },
  way(dst, { remote }, dev, _peer, object): readonly Fact[] {
    const family = familyOfPrefix(dst);
    const via = family === 4 ? remote : baseOf(dst);
    const route: RouteFact = { kind: 'route', ns: '', object, family, dst, via, dev, onlink: true };
    if (family === 4) return [route];
    const neighbour: NeighbourFact = { kind: 'neighbour', ns: '', object, dev, address: via, mac: remote };
    return [neighbour, route];
  },
});
