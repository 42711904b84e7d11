import { type Fact, XFRM_IF_ID, type XfrmPolicyFact, type XfrmStateFact } from '../facts/index.ts';
import { type EspEnd, espSpi } from '../keys/index.ts';
import type { Network, Overlay, Peer } from '../model/index.ts';
import type { Backend } from './backend.ts';
import { deviceFacts, deviceName, deviceRoutes, NO_PATH } from './crypt.ts';
import { familyOfPrefix, objectOf, type Path, pathTo } from './underlay.ts';

/**
 * Around an inner packet: outer IP 20 or 40, SPI and sequence number 8, the nonce's part that is sent 8, behind it padding
 * to a multiple of four, of which two bytes are always there, and a check value of 16. Padding is 3 at most: with an MTU that
 * is a multiple of four, as 1500 is, the last three bytes of this are never needed. @see RFC 4303 section 2, RFC 4106
 */
const OVERHEAD = { 4: 20 + 8 + 8 + 2 + 3 + 16, 6: 40 + 8 + 8 + 2 + 3 + 16 } as const;
const ANY = { 4: '0.0.0.0/0', 6: '::/0' } as const;

/**
 * ESP in tunnel mode with AES-256-GCM, by an interface of kind xfrm: what is routed there is encrypted, or goes nowhere,
 * and what comes out of it was. A tunnel a pair of hosts and network carries both families, each direction with a key of
 * its own (docs/adr/0007-keys.md). A host may only send what it holds: policies let its prefixes come by its tunnel alone.
 *
 * Each end hears by every pair of epochs that the two have told, and sends by the first of each: an epoch that is told as the
 * second, then as the first, then alone changes all keys of its host, and no packet meets a host without the key.
 */
export const ipsec: Backend & { readonly name: 'ipsec' } = {
  name: 'ipsec',
  plans: ['node'],
  keyed: 'epochs',
  overhead: (family) => OVERHEAD[family],
  outer: () => [{ protocol: 'esp', whole: true }],

  networkFacts(network, overlay) {
    const around = Math.max(...overlay.self.addresses.map((address) => OVERHEAD[address.includes(':') ? 6 : 4]));
    const name = deviceName(network, 'xf');
    const origin = { type: 'xfrm', ifId: ifIdOf(overlay) } as const;
    return deviceFacts(network, overlay, { name, origin, mtu: overlay.self.mtu - around });
  },

  peerFacts(network, overlay, peer) {
    const path = pathTo(overlay, peer);
    const states = path ? statesOf(network, overlay, peer, path) : [];
    if (!path || states.length === 0 || peer.prefixes.length === 0) return [];
    const policies = peer.prefixes.flatMap((prefix) => policiesOf(network, overlay, peer, path, prefix));
    // a key serves once: states come last, so that nothing that is refused takes them back
    return [...policies, ...deviceRoutes(network, peer, deviceName(network, 'xf')), ...states];
  },

  remoteFacts: () => [],
  whyNot(_network, overlay, peer) {
    const { self } = overlay;
    if (self.keyFile === undefined || !endOf(self)) return 'is not asked: we have no key, or no epoch';
    if (!endOf(peer)) return 'has told no public key, or no epoch';
    return pathTo(overlay, peer) ? '' : NO_PATH;
  },
  ways: (network) => [deviceName(network, 'xf')],
};

/** Those that it hears by, and the one that it sends by. */
function statesOf(network: Network, overlay: Overlay, peer: Peer, { local, remote }: Path): Fact[] {
  const { self } = overlay;
  const { keyFile } = self;
  const [ours, theirs] = [endOf(self), endOf(peer)];
  if (keyFile === undefined || !ours || !theirs) return [];
  const base = { kind: 'xfrm-state', ns: '', object: objectOf(network, peer), ifId: ifIdOf(overlay), keyFile } as const;
  const state = (from: EspEnd, to: EspEnd, sends: boolean): XfrmStateFact => {
    const direction = { network: network.id, from, to };
    const [src, dst] = sends ? [local, remote] : [remote, local];
    return { ...base, src, dst, spi: espSpi(direction), sends, direction };
  };
  const heard = endsOf(peer).flatMap((from) => endsOf(self).map((to) => state(from, to, false)));
  return [...heard, state(ours, theirs, true)];
}

function policiesOf(network: Network, overlay: Overlay, peer: Peer, { local, remote }: Path, prefix: string): Fact[] {
  const any = ANY[familyOfPrefix(prefix)];
  const base = { kind: 'xfrm-policy', ns: '', object: objectOf(network, peer), ifId: ifIdOf(overlay) } as const;
  const out: XfrmPolicyFact = { ...base, dir: 'out', src: any, dst: prefix, tunnel: { src: local, dst: remote } };
  const back = { src: prefix, dst: any, tunnel: { src: remote, dst: local } };
  return [out, { ...base, ...back, dir: 'in' }, { ...base, ...back, dir: 'fwd' }];
}

function ifIdOf({ vni }: Overlay): number {
  return XFRM_IF_ID + vni;
}

function endsOf({ publicKey, epochs = [] }: Peer): EspEnd[] {
  return publicKey === undefined ? [] : epochs.map((epoch) => ({ publicKey, epoch }));
}
/** What it sends by, and is sent to by. */
function endOf(peer: Peer): EspEnd | undefined {
  return endsOf(peer)[0];
}
