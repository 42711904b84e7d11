import { backendOf } from '../overlay/index.ts';
import type { ClusterStatus, Network, Overlay } from '../model/index.ts';
import type { Core } from './core.ts';
import { isUntold, peersOf, wayTo } from './overlay.ts';
import { KEYS } from './records.ts';

/** Lines of unreached nodes: whoever has a thousand of them sees as much by some. */
const MOST = 20;

/** This host's place in its cluster, and what does not work there. */
export async function clusterStatus(core: Core): Promise<ClusterStatus> {
  const { services } = core;
  if (!services) return { node: '', etcd: [], state: 'none', reason: '', faults: [] };
  const { bgp, flannel, membership } = services;
  const status = membership.status();
  const unreached = await unreachedNodes(core);
  const faults = [
    ...membership.faults,
    ...bgp.faults,
    ...flannel.faults,
    ...unreached.slice(0, MOST),
    ...(unreached.length > MOST ? [`${unreached.length - MOST} more nodes are not reached`] : []),
  ];
  const speaking = bgp.status;
  return { ...status, faults, ...(speaking && { bgp: speaking }) };
}

async function unreachedNodes({ store, services }: Core): Promise<readonly string[]> {
  return await store.read(async (tx) => {
    const lines: string[] = [];
    for (const { value: network } of await tx.list<Network>(KEYS.networks)) {
      const { overlay } = network;
      if (!overlay) continue;
      for (const peer of await peersOf(tx, network.id)) {
        const way = wayTo(overlay, peer);
        const whyNot = (by: Overlay): string =>
          (by.backend === 'bgp' && services?.bgp.whyUseless(network.id, peer.node)) ||
          backendOf(by.backend).whyNot(network, by, peer);
        const why = way ? whyNot(way) : '';
        if (why !== '') lines.push(`network ${network.name}: node ${peer.node} ${why}`);
        else if (overlay.former && isUntold(overlay.backend, peer))
          lines.push(
            `network ${network.name}: the change to ${overlay.backend} waits: node ${peer.node} ${whyNot(overlay)}`,
          );
      }
    }
    return lines;
  });
}
