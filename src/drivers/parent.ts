import { IFNAME_MAX } from '../addr/index.ts';
import type { LinkFact } from '../facts/index.ts';
import type { IpvlanOptions, MacvlanOptions, Network } from '../model/index.ts';
import { networkAlias } from './inside.ts';

type Options = MacvlanOptions | IpvlanOptions;

/** The name of the interface that endpoints are on top of: the parent, its VLAN, or the network's own. */
export function parentOf(network: Pick<Network, 'id'>, { parent, vlan }: Options): string {
  if (parent === '') return `nlp-${network.id.slice(0, IFNAME_MAX - 4)}`;
  return vlan === 0 ? parent : `${parent}.${vlan}`;
}

/**
 * What of the interface below is ours. A VLAN's interface belongs to every network that is on it, so that nothing in it
 * says which; it goes with the last. A network without a parent has one of its own that leads nowhere.
 */
export function parentFacts(network: Network, options: Options): LinkFact[] {
  const name = parentOf(network, options);
  const base = { kind: 'link', ns: '', object: `network ${network.name}`, name, master: '', up: true } as const;
  if (options.parent === '') {
    const alias = networkAlias(network);
    // an ifb drops what nobody redirected to it: always up, and the host hears nothing of what is sent to it
    return [
      { ...base, origin: { type: 'ifb' }, mac: privateMac(network), mtu: options.mtu, alias, addrGenMode: 'none' },
    ];
  }
  if (options.vlan === 0) return [];
  const { parent, vlan: id } = options;
  const alias = `netloom vlan ${id} of ${parent}`;
  return [{ ...base, origin: { type: 'vlan', parent, id }, mac: '', mtu: 0, alias, addrGenMode: 'none' }];
}

/** Locally administered, unicast. */
function privateMac(network: Network): string {
  return `02:${network.id.slice(0, 10).replace(/../g, '$&:').slice(0, -1)}`;
}
