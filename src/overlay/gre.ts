import { networkAlias } from '../drivers/index.ts';
import type { Fact } from '../facts/index.ts';
import type { Backend } from './backend.ts';
import { ipTunnel } from './ip-tunnel.ts';
import { baseOf, familyOfPrefix } from './underlay.ts';

/** IP 20, GRE 4, key 4. */
const OVERHEAD = 28;

/**
 * IP in GRE in IPv4, RFC 2784, with a key (RFC 2890) that tells networks apart: a device for each. It has many ends: where
 * the gateway of a route is, a permanent neighbour says, whose link-layer address is the other host's on the underlay.
 */
export const gre: Backend & { readonly name: 'gre' } = ipTunnel({
  name: 'gre',
  overhead: OVERHEAD,
  outer: { 4: 'gre', 6: 'gre' },
  device: (network, { self, vni }, local) => ({
    name: `gre-${network.id.slice(0, 11)}`,
    origin: { type: 'gre', local, parent: self.dev, key: vni },
    alias: networkAlias(network),
    mtu: self.mtu - OVERHEAD,
  }),
  way(dst, { remote }, dev, _peer, object): Fact[] {
    const via = baseOf(dst);
    return [
      { kind: 'neighbour', ns: '', object, dev, address: via, mac: remote },
      { kind: 'route', ns: '', object, family: familyOfPrefix(dst), dst, via, dev, onlink: true },
    ];
  },
});
