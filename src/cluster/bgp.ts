import { NetloomError } from '../errors.ts';
import { type BackendName, BGP_DEFAULTS, type BgpOptions } from '../model/index.ts';
import type { SharedNetwork } from './records.ts';

/** What a network of that backend says of BGP: as it was asked, or as the others do. @throws NetloomError EBADOPTION */
export function bgpFor(
  backend: BackendName,
  wish: Partial<BgpOptions>,
  others: readonly SharedNetwork[],
): Pick<SharedNetwork, 'bgp'> {
  if (backend !== 'bgp') return {};
  const other = others.find(({ bgp }) => bgp);
  if (!other?.bgp) return { bgp: { ...BGP_DEFAULTS, ...wish } };
  const { bgp, name } = other;
  for (const [field, value] of Object.entries(wish)) {
    if (JSON.stringify(bgp[field as keyof BgpOptions]) === JSON.stringify(value)) continue;
    throw new NetloomError(
      'EBADOPTION',
      `network "${name}" has other BGP options, and a host has one speaker for all`,
      {
        hint: `leave them out, or change those of all: netloom network update -o backend=bgp … ${name}`,
      },
    );
  }
  return { bgp };
}

/** All networks that speak BGP with other options, in what of them was asked for. */
export function withBgp(networks: readonly SharedNetwork[], wish: Partial<BgpOptions>): readonly SharedNetwork[] {
  return networks.flatMap((network) => (network.bgp ? [{ ...network, bgp: { ...network.bgp, ...wish } }] : []));
}
