import type { Network, Outer, Overlay } from '../model/index.ts';
import { backendOf, waysOf } from './backends.ts';
import { familyOf } from './underlay.ts';

/** What goes between an address of this host and other hosts' around packets of a network. */
export interface OuterOf {
  readonly address: string;
  readonly outers: readonly Outer[];
}

/** By each address of this host on the underlay that something goes by. Nothing with backends that put nothing around packets. */
export function outersOf(overlay: Overlay): readonly OuterOf[] {
  const ways = waysOf(overlay);
  const all = overlay.self.addresses.map((address): OuterOf => {
    const family = familyOf(address);
    const outers = ways.flatMap((way) => backendOf(way.backend).outer?.(way, family) ?? []);
    // of IPv6 no router cuts a packet into pieces
    return { address, outers: family === 6 ? outers.map((outer) => ({ ...outer, whole: true })) : outers };
  });
  return all.filter(({ outers }) => outers.length > 0);
}

/**
 * Whether connection tracking is kept from what a network's tunnels put around packets: it would write down connections
 * that nobody answers, and cost every packet on both hosts. docs/adr/0009-outer-packets.md
 */
export function isUntracked({ overlay }: Network): boolean {
  return overlay !== undefined && overlay.tracked !== true && overlay.self.whyTracked === '';
}
