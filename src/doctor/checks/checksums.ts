import { hasCode } from '../../errors.ts';
import type { Check, Result } from '../check.ts';
import { snmp } from '../read.ts';

/** How many workloads are looked into. */
const SAMPLE = 100;

/** Packets with a wrong checksum: what faulty offloading looks like from the receiver's side. */
export const checksums: Check = {
  name: 'checksum-offload',
  about: 'packets that arrived with wrong checksums, on the host and in workloads',
  run(view) {
    const results: Result[] = [];
    const places = ['', ...new Set(view.endpoints.map((e) => e.netns).filter((path) => path !== ''))].slice(0, SAMPLE);
    for (const ns of places) {
      let netns;
      try {
        netns = view.kernel.netns(ns);
      } catch (error) {
        if (hasCode(error, 'ENOENT', 'EINVAL', 'EACCES')) continue; // gone meanwhile
        throw error;
      }
      const counts = ['Tcp', 'Udp'].map((protocol) => [protocol, snmp(netns, protocol, 'InCsumErrors') ?? 0] as const);
      const wrong = counts.filter(([, count]) => count > 0);
      if (wrong.length === 0) continue;
      const device = view.endpoints.find((e) => e.netns === ns)?.ifname ?? 'the uplink';
      results.push({
        status: 'warning',
        object: ns === '' ? '' : `workload ${ns}`,
        summary: `${ns === '' ? 'the host' : ns} received packets with wrong checksums: an interface on their way computes them wrongly, or not at all`,
        evidence: wrong.map(([protocol, count]) => `${protocol} InCsumErrors ${count}`),
        cure: [`switch offloading off where they come from: ethtool -K ${device} tx off`],
      });
    }
    if (results.length > 0) return results;
    return [
      {
        status: 'ok',
        summary: `no packet with a wrong checksum in ${places.length} namespace${places.length === 1 ? '' : 's'}`,
      },
    ];
  },
};
