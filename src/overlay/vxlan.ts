import { type Family, withoutLength } from '../addr/index.ts';
import { bridgeOptions, networkAlias } from '../drivers/index.ts';
import type { AddressFact, Fact, FdbFact, LinkFact, NeighbourFact, RouteFact } from '../facts/index.ts';
import type { Network, Overlay, Peer, RemoteEndpoint } from '../model/index.ts';
import type { Backend } from './backend.ts';
import {
  baseOf,
  directRoutes,
  familyOf,
  familyOfPrefix,
  forwarding,
  looseSource,
  objectOf,
  type Path,
  pathTo,
  portOf,
  unrouted,
} from './underlay.ts';

/** Outer Ethernet inside of the packet 14, VXLAN 8, UDP 8, and IP. @see RFC 7348 section 5 */
const OVERHEAD = { 4: 50, 6: 70 } as const;
/** What the kernel and flannel take where nobody says. IANA's is 4789. */
const USUAL_PORT = 8472;

/**
 * Ethernet in UDP, with everything written down that others would learn or ask for: which host has an address, and which
 * hardware address. A device for each family of the underlay that we have, since the kernel's has ends of one only.
 *
 * In the plan `node` it is as flannel has it: routes to other hosts' prefixes by the first address of each. In the plan
 * `flat` the device is a port of the network's bridge, by which only frames for endpoints of other hosts leave.
 */
export const vxlan: Backend & { readonly name: 'vxlan' } = {
  name: 'vxlan',
  plans: ['node', 'flat'],
  overhead: (family) => OVERHEAD[family],
  outer: (overlay) => [{ protocol: 'udp', port: portOf(overlay, USUAL_PORT) }],

  networkFacts(network, overlay) {
    const devices = devicesOf(network, overlay).map((family) => deviceFact(network, overlay, family));
    const object = objectOf(network);
    if (overlay.plan === 'flat') {
      const isolated = !bridgeOptions(network).icc;
      return devices.flatMap((device): Fact[] => [
        device,
        { kind: 'port', ns: '', object, dev: device.name, hairpin: false, isolated, tunnel: true },
      ]);
    }
    const own = devices.flatMap((device): Fact[] => [
      device,
      ...overlay.self.prefixes.map((prefix): AddressFact => {
        const length = familyOfPrefix(prefix) === 4 ? 32 : 128;
        return { kind: 'address', ns: '', object, dev: device.name, address: `${baseOf(prefix)}/${length}` };
      }),
      looseSource(network, device.name),
    ]);
    return [...forwarding(network, overlay), ...own];
  },

  peerFacts(network, overlay, peer) {
    if (overlay.plan === 'flat') {
      const { hostAddresses: addresses = [], mac } = peer;
      return addresses.length === 0
        ? []
        : placeFacts(network, overlay, peer, objectOf(network, peer), { addresses, mac });
    }
    const direct = overlay.directRouting && peer.direct ? directRoutes(network, overlay, peer) : [];
    const routed = new Set(direct.map(({ dst }) => dst));
    const tunnelled = peer.prefixes.filter((prefix) => !routed.has(prefix));
    const path = pathTo(overlay, peer);
    if (!path || tunnelled.length === 0) return direct;
    const dev = deviceName(network, path.family);
    const object = objectOf(network, peer);
    // the route last: where it is, so is the way
    const ways = tunnelled.flatMap((dst): Fact[] => {
      const via = baseOf(dst);
      const neighbour: NeighbourFact = { kind: 'neighbour', ns: '', object, dev, address: via, mac: peer.mac };
      const family = familyOfPrefix(dst);
      const route: RouteFact = { kind: 'route', ns: '', object, family, dst, via, dev, onlink: true };
      return [neighbour, route];
    });
    return [selfEntry(network, path, peer.mac, object), ...ways, ...direct];
  },

  remoteFacts(network, overlay, peer, endpoint) {
    if (overlay.plan !== 'flat') return [];
    const object = `endpoint ${endpoint.id.slice(0, 12)} on ${objectOf(network, peer)}`;
    return placeFacts(network, overlay, peer, object, endpoint);
  },

  whyNot(network, overlay, peer) {
    if (overlay.plan === 'flat') {
      if (flatPath(network, overlay, peer)) return '';
      return pathTo(overlay, peer)
        ? `can be reached over IPv6 only, where a frame of the network's ${bridgeOptions(network).mtu} bytes does not fit into one packet`
        : NO_PATH;
    }
    if (pathTo(overlay, peer)) return '';
    if (!overlay.directRouting || !peer.direct) return NO_PATH;
    return unrouted(overlay, peer).length === 0 ? '' : NO_PATH;
  },

  ways(network, overlay) {
    const devices = devicesOf(network, overlay).map((family) => deviceName(network, family));
    return overlay.directRouting && overlay.plan === 'node' ? [...devices, overlay.self.dev] : devices;
  },
};

const NO_PATH = 'has no address on the underlay of a family that we have one of';

function deviceName(network: Network, family: Family): string {
  return `vx${family}-${network.id.slice(0, 11)}`;
}

/**
 * Families of the underlay that have a device. A bridge takes the smallest MTU of its ports: one that cannot carry what
 * the network was given is none of them.
 */
function devicesOf(network: Network, overlay: Overlay): Family[] {
  const families = overlay.self.addresses.map(familyOf);
  if (overlay.plan === 'node') return families;
  const { mtu } = bridgeOptions(network);
  return families.filter((family) => mtu === 0 || overlay.self.mtu - OVERHEAD[family] >= mtu);
}

/** On which host of the segment somebody is: an endpoint, or the host itself. */
function placeFacts(
  network: Network,
  overlay: Overlay,
  peer: Peer,
  object: string,
  { addresses, mac }: Pick<RemoteEndpoint, 'addresses' | 'mac'>,
): readonly Fact[] {
  const path = flatPath(network, overlay, peer);
  if (!path) return [];
  const { bridge } = bridgeOptions(network);
  const dev = deviceName(network, path.family);
  return [
    selfEntry(network, path, mac, object),
    { kind: 'fdb', ns: '', object, dev, mac, table: 'master', dst: '' },
    ...addresses.map((address): NeighbourFact => {
      const ip = withoutLength(address);
      return { kind: 'neighbour', ns: '', object, dev: bridge, address: ip, mac };
    }),
  ];
}

function flatPath(network: Network, overlay: Overlay, peer: Peer): Path | undefined {
  return pathTo(overlay, peer, devicesOf(network, overlay));
}

function deviceFact(network: Network, overlay: Overlay, family: Family): LinkFact {
  const { self, plan, vni } = overlay;
  const flat = plan === 'flat';
  const { bridge, mtu } = bridgeOptions(network);
  const local = self.addresses.find((address) => familyOf(address) === family) ?? '';
  return {
    kind: 'link',
    ns: '',
    object: objectOf(network),
    name: deviceName(network, family),
    origin: { type: 'vxlan', id: vni, local, parent: self.dev, port: portOf(overlay, USUAL_PORT) },
    // as a port it is nobody's destination
    mac: flat ? '' : self.mac,
    mtu: flat && mtu !== 0 ? mtu : self.mtu - OVERHEAD[family],
    master: flat ? bridge : '',
    up: true,
    alias: networkAlias(network),
    addrGenMode: 'none',
  };
}

/** Frames for `mac` go to that host. */
function selfEntry(network: Network, { family, remote }: Path, mac: string, object: string): FdbFact {
  return { kind: 'fdb', ns: '', object, dev: deviceName(network, family), mac, table: 'self', dst: remote };
}
