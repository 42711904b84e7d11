import type { Family } from '../addr/index.ts';
import type { BackendName, Overlay } from '../model/index.ts';
import { backendOf } from './backends.ts';
import { mtuBy } from './mtu.ts';

export { bgpOf, type BgpPlan } from './bgp.ts';
export type { Backend } from './backend.ts';
export { BACKEND_NAMES, backendOf, waysOf } from './backends.ts';
export { isUntracked, type OuterOf, outersOf } from './outer.ts';
export { endpointShortcuts, networkShortcuts } from './shortcut.ts';
export { relayOf, type RelayPlan } from './udp.ts';

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
