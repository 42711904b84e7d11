import { networkAlias } from '../drivers/index.ts';
import type { AddressFact, LinkFact, RouteFact } from '../facts/index.ts';
import type { Network, Overlay, Peer } from '../model/index.ts';
import type { Backend } from './backend.ts';
import { mtuBy } from './mtu.ts';
import {
  baseOf,
  directRoutes,
  familyOfPrefix,
  forwarding,
  looseSource,
  objectOf,
  pathTo,
  portOf,
  unrouted,
} from './underlay.ts';

/** IP and UDP. */
const OVERHEAD = { 4: 28, 6: 48 } as const;
/** What flannel takes where nobody says. */
const USUAL_PORT = 8285;

/**
 * Each packet bare in a UDP datagram, by a program: the only backend whose packets pass user space, for underlays that carry
 * nothing else, and beside flannel's of that name. The facts are a TUN device and routes into it; who reads the device is a
 * relay, which the engine starts by `relayOf`. The device stays while there is none, with its routes, so that connections
 * outlive the daemon.
 */
export const udp: Backend & { readonly name: 'udp' } = {
  name: 'udp',
  plans: ['node'],
  overhead: (family) => OVERHEAD[family],
  outer: (overlay) => [{ protocol: 'udp', port: portOf(overlay, USUAL_PORT), whole: true }],

  networkFacts(network, overlay) {
    const object = objectOf(network);
    const dev = deviceName(network);
    const device: LinkFact = {
      kind: 'link',
      ns: '',
      object,
      name: dev,
      origin: { type: 'tun' },
      mac: '',
      mtu: mtuBy(overlay, [udp]),
      master: '',
      up: true,
      alias: networkAlias(network),
      addrGenMode: 'none',
    };
    // alone, so that no broadcast is routed: what this host itself sends to workloads of others comes from there
    const own = overlay.self.prefixes.map((prefix): AddressFact => {
      const length = familyOfPrefix(prefix) === 4 ? 32 : 128;
      return { kind: 'address', ns: '', object, dev, address: `${baseOf(prefix)}/${length}` };
    });
    return [...forwarding(network, overlay), device, ...own, looseSource(network, dev)];
  },

  peerFacts(network, overlay, peer) {
    const direct = directOf(network, overlay, peer);
    if (!pathTo(overlay, peer)) return direct;
    const object = objectOf(network, peer);
    const relayed = relayedOf(network, overlay, peer).map((dst): RouteFact => {
      return { kind: 'route', ns: '', object, family: familyOfPrefix(dst), dst, via: '', dev: deviceName(network) };
    });
    return [...relayed, ...direct];
  },

  remoteFacts: () => [],

  whyNot(_network, overlay, peer) {
    if (pathTo(overlay, peer)) return '';
    if (overlay.directRouting && peer.direct && unrouted(overlay, peer).length === 0) return '';
    return 'has no address on the underlay of a family that we have one of';
  },

  ways(network, { directRouting, self }) {
    return [deviceName(network), ...(directRouting ? [self.dev] : [])];
  },
};

/** What a relay is started with for a network, and what it is told: the arguments of `Relay.start` and of `replace`. */
export interface RelayPlan {
  readonly device: string;
  readonly addresses: readonly string[];
  readonly port: number;
  readonly entries: readonly { readonly prefix: string; readonly address: string; readonly port: number }[];
}

/**
 * The relay that a network with this backend needs: to be run as long as its device is there, and told the entries anew
 * whenever a peer comes, goes or moves. What comes from peers that are reached directly is taken as well: they may not have
 * found out yet.
 */
export function relayOf(network: Network, overlay: Overlay, peers: readonly Peer[]): RelayPlan {
  const port = portOf(overlay, USUAL_PORT);
  const entries = peers.flatMap((peer) => {
    const path = pathTo(overlay, peer);
    return path ? peer.prefixes.map((prefix) => ({ prefix, address: path.remote, port })) : [];
  });
  return { device: deviceName(network), addresses: overlay.self.addresses, port, entries };
}

function deviceName(network: Network): string {
  return `tun-${network.id.slice(0, 11)}`;
}

function directOf(network: Network, overlay: Overlay, peer: Peer): readonly RouteFact[] {
  return overlay.directRouting && peer.direct ? directRoutes(network, overlay, peer) : [];
}

function relayedOf(network: Network, overlay: Overlay, peer: Peer): readonly string[] {
  const direct = new Set(directOf(network, overlay, peer).map(({ dst }) => dst));
  return peer.prefixes.filter((prefix) => !direct.has(prefix));
}
