import type { Netns } from '../../src/kernel/index.ts';
import { jsonIn, okIn } from './run.ts';

/** Frames for more than one that came onto a segment, since it is counted. */
export interface Flooded {
  /** The underlay's own: its hosts ask for each other, and say which groups they are in. */
  readonly own: number;
  /** Within a VXLAN, of a workload's. */
  readonly tunnelled: number;
  /** Any other: `from to ethertype`, of each that was seen. */
  readonly others: readonly string[];
}

/**
 * Counts, in the namespace of a bridge that is an underlay, what comes onto it for everybody: by the kernel, of every frame.
 * @param underlay prefixes that its hosts have on it: IPv4, and IPv6 by its first sixteen bits
 */
export async function countFlooded(
  wire: Netns,
  { v4, v6 }: { readonly v4: string; readonly v6: number },
): Promise<() => Promise<Flooded>> {
  await okIn(wire, ['nft', '-f', '-'], {
    input: `table bridge flooded {
      counter own { }
      counter tunnelled { }
      set others { type ether_addr . ether_addr . ether_type; flags dynamic; size 100; }
      chain seen {
        type filter hook prerouting priority -300;
        udp dport { 8472, 4789 } @th,128,8 & 1 == 1 counter name tunnelled
        ether daddr & 01:00:00:00:00:00 == 00:00:00:00:00:00 accept
        arp saddr ip ${v4} arp daddr ip ${v4} counter name own accept
        icmpv6 type nd-neighbor-solicit @th,64,16 { ${v6}, 0xfe80 } counter name own accept
        icmpv6 type nd-neighbor-advert @th,64,16 { ${v6}, 0xfe80 } counter name own accept
        icmpv6 type { nd-router-solicit, mld-listener-report, mld2-listener-report, mld-listener-done } counter name own accept
        add @others { ether saddr . ether daddr . ether type }
      }
    }
    `,
  });
  return async () => {
    const { nftables } = await jsonIn<{ readonly nftables: readonly Listed[] } & unknown[]>(wire, [
      ...['nft', '-j', 'list', 'table', 'bridge', 'flooded'],
    ]);
    const count = (name: string): number =>
      nftables.find(({ counter }) => counter?.name === name)?.counter?.packets ?? 0;
    const others = nftables.find(({ set }) => set?.name === 'others')?.set?.elem ?? [];
    return {
      own: count('own'),
      tunnelled: count('tunnelled'),
      others: others.map(({ concat }) => concat.join(' ')),
    };
  };
}
interface Listed {
  readonly counter?: { readonly name: string; readonly packets: number };
  readonly set?: { readonly name: string; readonly elem?: readonly { readonly concat: readonly string[] }[] };
}
