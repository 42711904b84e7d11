import { macFor, parseIp, parsePrefix } from '../addr/index.ts';
import type { AddressFact, Fact, LinkFact, RouteFact } from '../facts/index.ts';
import type { Endpoint, MacvlanOptions, Network } from '../model/index.ts';
import type { Driver } from './driver.ts';
import { endpointAlias, familyOf, gatewaysOf, insideFacts, networkAlias, objectOf, optionsOf } from './inside.ts';
import { parentFacts, parentOf } from './parent.ts';

/**
 * Endpoints are interfaces of their own on the host's segment, born in the workload's namespace on top of the parent.
 * The segment's router is the gateway; no rule of ours sees their packets. The kernel keeps host and endpoints apart:
 * only the shim, the host's own interface of the same kind, reaches them.
 */
export const macvlanDriver: Driver = {
  endpointType: 'macvlan',
  networkFacts(network) {
    const options = optionsOf(network, 'macvlan');
    return [...parentFacts(network, options), ...shimFacts(network, options)];
  },
  endpointFacts(network, endpoint, context) {
    const options = optionsOf(network, 'macvlan');
    const object = objectOf(endpoint, context);
    const { mode, sources, mtu } = options;
    return [
      ...insideFacts(endpoint, object, {
        origin: { type: 'macvlan', parent: parentOf(network, options), mode, sources },
        mac: endpoint.mac,
        mtu,
        alias: endpointAlias(endpoint),
      }),
      ...shimRoutes(network, options, endpoint, object),
    ];
  },
  gateways: gatewaysOf,
  whyNotPublished: () =>
    'is macvlan: its endpoints have addresses of the segment outside, where every port of theirs is reached',
  hostIfname: () => '',
  // in mode passthru the parent's own is used, and setting one would set the parent's
  ownMac: (network) => optionsOf(network, 'macvlan').mode !== 'passthru',
  capacity: (network) => (optionsOf(network, 'macvlan').mode === 'passthru' ? 1 : Infinity),
};

/** The interface by which the host reaches the endpoints. */
function shimName(network: Network): string {
  return `nls-${network.id.slice(0, 11)}`;
}

function shimFacts(network: Network, options: MacvlanOptions): Fact[] {
  const [first] = options.shim;
  if (first === undefined) return [];
  const object = `network ${network.name}`;
  const name = shimName(network);
  const link: LinkFact = {
    kind: 'link',
    ns: '',
    object,
    name,
    origin: { type: 'macvlan', parent: parentOf(network, options), mode: 'bridge', sources: [] },
    mac: macFor(parseIp(first)),
    mtu: options.mtu,
    master: '',
    up: true,
    alias: networkAlias(network),
    addrGenMode: options.shim.some((text) => parseIp(text).family === 6) ? 'eui64' : 'none',
  };
  // without the segment's length: what is not an endpoint of ours goes by the parent, as it always did
  const addresses = options.shim.map((text): AddressFact => {
    const ip = parseIp(text);
    return { kind: 'address', ns: '', object, dev: name, address: `${ip.text}/${ip.family === 4 ? 32 : 128}` };
  });
  return [link, ...addresses];
}

/** The way from the host to one endpoint: more specific than the segment's own route, which goes by the parent. */
function shimRoutes(network: Network, options: MacvlanOptions, endpoint: Endpoint, object: string): RouteFact[] {
  const families = options.shim.map((text) => parseIp(text).family);
  return endpoint.addresses
    .filter((address) => families.includes(familyOf(address)))
    .map((address): RouteFact => {
      const { text, family } = parsePrefix(address).address;
      const dst = `${text}/${family === 4 ? 32 : 128}`;
      return { kind: 'route', ns: '', object, family, dst, via: '', dev: shimName(network) };
    });
}
