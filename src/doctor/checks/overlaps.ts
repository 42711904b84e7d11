import { overlaps as overlap, parsePrefix } from '../../addr/index.ts';
import type { Check, Result } from '../check.ts';

/** Subnets of ours that a route or an address of the host, often a VPN's, covers by now. */
export const overlaps: Check = {
  name: 'address-overlaps',
  about: "our subnets against every route and address of the host, VPNs' included",
  run(view) {
    const results = view.networks.flatMap((network) =>
      network.subnets.flatMap(({ subnet }): Result[] => {
        const own = parsePrefix(subnet);
        const clashes = view.used.filter(({ prefix }) => prefix.family === own.family && overlap(own, prefix));
        if (clashes.length === 0) return [];
        return [
          {
            status: 'failure',
            object: `network ${network.name}`,
            summary: `${subnet} overlaps ${clashes[0]!.label}: one of the two cannot be reached`,
            evidence: clashes.map(({ label, prefix }) => `${label}: ${prefix.text}`),
            cure: [
              `recreate the network with another subnet: netloom network rm ${network.name}; netloom network create --subnet … ${network.name}`,
            ],
          },
        ];
      }),
    );
    if (results.length > 0) return results;
    const summary = `no subnet of ours overlaps any of the host's ${view.used.length} routes and addresses`;
    return [{ status: 'ok', summary }];
  },
};
