import type { Fact } from '../facts/index.ts';
import type { Overlay } from '../model/index.ts';
import type { Backend } from './backend.ts';
import { deviceFacts, deviceName, deviceRoutes, NO_PATH } from './crypt.ts';
import { objectOf, pathTo, portOf } from './underlay.ts';

/** Around an inner packet: 16 of the message, a check value of 16, UDP 8, and IP. @see wireguard.com/protocol */
const OVERHEAD = { 4: 60, 6: 80 } as const;
const USUAL_PORT = 51820;
/**
 * Seconds between signs of life. They keep the way open through what translates addresses, and make a host that was just
 * told a peer's new key speak first, so that what waits at the other end for a session gets one at once.
 */
const KEEPALIVE = 25;

/**
 * WireGuard: an interface a network, with a peer for each host. What a host may send is what it holds: the kernel drops
 * packets from any other address. A host changes its key by setting it here first and telling others behind; until they
 * know, the kernel holds back what it sends (docs/adr/0007-keys.md).
 */
export const wireguard: Backend & { readonly name: 'wireguard' } = {
  name: 'wireguard',
  plans: ['node'],
  keyed: 'pair',
  overhead: (family) => OVERHEAD[family],
  outer: (overlay) => [{ protocol: 'udp', port: portOf(overlay, USUAL_PORT) }],

  networkFacts(network, overlay) {
    const { self } = overlay;
    const name = deviceName(network, 'wg');
    const facts = deviceFacts(network, overlay, { name, origin: { type: 'wireguard' }, mtu: mtuOf(overlay) });
    if (self.keyFile === undefined || self.publicKey === undefined) return facts;
    const { keyFile, publicKey } = self;
    const object = objectOf(network);
    return [
      ...facts,
      { kind: 'wg-device', ns: '', object, dev: name, keyFile, publicKey, port: portOf(overlay, USUAL_PORT) },
    ];
  },

  peerFacts(network, overlay, peer) {
    const path = pathTo(overlay, peer);
    if (!path || peer.publicKey === undefined || peer.prefixes.length === 0) return [];
    const dev = deviceName(network, 'wg');
    const entry: Fact = {
      kind: 'wg-peer',
      ns: '',
      object: objectOf(network, peer),
      dev,
      publicKey: peer.publicKey,
      endpoint: { address: path.remote, port: portOf(overlay, USUAL_PORT) },
      allowedIps: peer.prefixes.toSorted(),
      keepalive: KEEPALIVE,
    };
    return [entry, ...deviceRoutes(network, peer, dev)];
  },

  remoteFacts: () => [],
  whyNot(_network, overlay, peer) {
    if (overlay.self.keyFile === undefined || overlay.self.publicKey === undefined)
      return 'is not asked: we have no key';
    if (peer.publicKey === undefined) return 'has told no public key';
    return pathTo(overlay, peer) ? '' : NO_PATH;
  },
  ways: (network) => [deviceName(network, 'wg')],
};

/** Whichever family a host is reached by, its packets fit. */
function mtuOf({ self }: Overlay): number {
  return self.mtu - Math.max(...self.addresses.map((address) => OVERHEAD[address.includes(':') ? 6 : 4]));
}
