import type { Driver } from './driver.ts';
import { BY_DEVICE, endpointAlias, familyOf, gatewaysOf, insideFacts, objectOf, optionsOf } from './inside.ts';
import { parentFacts, parentOf } from './parent.ts';

/**
 * As macvlan, but every endpoint has the parent's hardware address, for switches and clouds that let only one through.
 * In mode `l2` they are on the segment. In the modes `l3` and `l3s` they have no neighbours: everything goes to the
 * host's routes, and the segment must know a way to their subnet by the host.
 */
export const ipvlanDriver: Driver = {
  endpointType: 'ipvlan',
  networkFacts: (network) => parentFacts(network, optionsOf(network, 'ipvlan')),
  endpointFacts(network, endpoint, context) {
    const options = optionsOf(network, 'ipvlan');
    const { mode, flag, mtu } = options;
    return insideFacts(endpoint, objectOf(endpoint, context), {
      origin: { type: 'ipvlan', parent: parentOf(network, options), mode, flag },
      mac: '',
      mtu,
      alias: endpointAlias(endpoint),
    });
  },
  gateways(network) {
    if (optionsOf(network, 'ipvlan').mode === 'l2') return gatewaysOf(network);
    if (network.internal) return [];
    const families = new Set(network.subnets.map(({ subnet }) => familyOf(subnet)));
    return BY_DEVICE.filter((_, i) => families.has(i === 0 ? 4 : 6));
  },
  whyNotPublished: () =>
    'is ipvlan: its endpoints have addresses of the segment outside, where every port of theirs is reached',
  hostIfname: () => '',
  ownMac: () => false,
  capacity: () => Infinity,
};
