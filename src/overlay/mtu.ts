import type { Family } from '../addr/index.ts';
import type { Overlay } from '../model/index.ts';
import type { Backend } from './backend.ts';
import { familyOf } from './underlay.ts';

/**
 * The biggest packet, in bytes, that workloads of the network may send so that it goes in one piece by each of these
 * backends over each family of underlay; the MTU of bridge and endpoints. Direct routing makes it no bigger: who is a
 * neighbour today may not be one tomorrow.
 * @param families of the underlay over which hosts are reached; without: each that this host has an address of
 */
export function mtuBy(
  overlay: Overlay,
  backends: readonly Pick<Backend, 'overhead'>[],
  families: readonly Family[] = overlay.self.addresses.map(familyOf),
): number {
  const around = backends.flatMap((backend) => families.map((family) => backend.overhead(family)));
  return overlay.self.mtu - Math.max(0, ...around);
}
