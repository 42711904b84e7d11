import type { Family } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import type { BackendName, Overlay } from '../model/index.ts';
import type { Backend } from './backend.ts';
import { bgp } from './bgp.ts';
import { gre } from './gre.ts';
import { hostGw } from './host-gw.ts';
import { ipsec } from './ipsec.ts';
import { ipip } from './ipip.ts';
import { mtuBy } from './mtu.ts';
import { udp } from './udp.ts';
import { vxlan } from './vxlan.ts';
import { wireguard } from './wireguard.ts';

export { bgpOf, type BgpPlan } from './bgp.ts';
export type { Backend } from './backend.ts';
export { endpointShortcuts, networkShortcuts } from './shortcut.ts';
export { relayOf, type RelayPlan } from './udp.ts';

/** Every backend that there is, once. */
const BACKENDS: { readonly [K in BackendName]?: Backend & { readonly name: K } } = {
  vxlan,
  'host-gw': hostGw,
  wireguard,
  ipsec,
  ipip,
  gre,
  udp,
  bgp,
};

/** Those that `backendOf` knows. */
export const BACKEND_NAMES: readonly BackendName[] = Object.keys(BACKENDS) as BackendName[];

/** @throws NetloomError EBADBACKEND */
export function backendOf(name: string): Backend {
  const backend = Object.hasOwn(BACKENDS, name) ? BACKENDS[name as BackendName] : undefined;
  if (backend) return backend;
  throw new NetloomError('EBADBACKEND', `no backend "${name}"`, { hint: `one of ${BACKEND_NAMES.join(', ')}` });
}

/**
 * The MTU, in bytes, of bridge and endpoints of the network, so that what they send goes in one piece: over the underlay's
 * families given, or each that this host has an address of.
 * @param backends those by which hosts are reached while they change from one to another; the wanted one by default
 */
export function mtuOf(
  overlay: Overlay,
  families?: readonly Family[],
  backends: readonly BackendName[] = [overlay.backend],
): number {
  return mtuBy(overlay, backends.map(backendOf), families);
}
