import type { SharedNetwork } from '../cluster/index.ts';
import { gatewayIn } from '../cluster/index.ts';
import { hasCode } from '../errors.ts';
import type { ChangeOptions, Network, NetworkSpec, Outcome, Overlay, Subnet } from '../model/index.ts';
import type { Core } from './core.ts';
import { forgetNetworkKeys } from './host-keys.ts';
import { forgetKept } from './kept.ts';
import { networkCreateShared, networkRemove } from './networks.ts';
import { overlayUpdate } from './network-update.ts';
import { KEYS } from './records.ts';
import { removeSubnetEnv, writeSubnetEnv } from './subnet-env.ts';

/** Whose turn it is to make or remove this host's part of a shared network. */
export const TAKING = 'shared-networks';

/** What this host's part of a shared network has as subnets: its own prefixes, or all of it. */
export function subnetsHere({ plan, ranges }: SharedNetwork, overlay: Overlay): readonly Subnet[] {
  if (plan === 'flat') return ranges;
  return overlay.self.prefixes.map((subnet) => ({ subnet, gateway: gatewayIn(subnet) }));
}

/** As this host would have been asked for it. */
export function specOf(network: SharedNetwork): NetworkSpec {
  const { name, internal, ranges, options, upstreams, labels } = network;
  return {
    ...{ name, internal, driver: 'overlay', options, labels, ...(upstreams && { upstreams }) },
    ipv4: ranges.some(({ subnet }) => !subnet.includes(':')),
    ipv6: ranges.some(({ subnet }) => subnet.includes(':')),
  };
}

/** Makes this host's part of a network, or brings it up to what all hosts agree upon. */
export async function takeShared(
  core: Core,
  network: SharedNetwork,
  overlay: Overlay,
  options?: ChangeOptions,
): Promise<Outcome<Network>> {
  const here = await core.store.read((tx) => tx.get<Network>(KEYS.networks + network.id));
  let outcome: Outcome<Network> | undefined;
  if (!here) {
    outcome = await networkCreateShared(
      core,
      specOf(network),
      { network, overlay, subnets: subnetsHere(network, overlay) },
      options,
    );
  } else if (JSON.stringify(here.overlay) !== JSON.stringify(overlay)) {
    outcome = await overlayUpdate(core, network.id, overlay, options);
  }
  const value = outcome?.value ?? here!;
  if (!options?.dryRun) writeSubnetEnv(core.paths, value);
  return outcome ?? { value };
}

/** Removes this host's part of a network that is no more. @throws NetloomError ENETWORKINUSE while endpoints are on it */
export async function dropShared(core: Core, id: string): Promise<void> {
  const here = await core.store.read((tx) => tx.get<Network>(KEYS.networks + id));
  if (here && !here.overlay) return;
  try {
    if (here) {
      await networkRemove(core, id);
      await forgetKept(core, id);
      removeSubnetEnv(core.paths, here);
    }
  } catch (error) {
    if (!hasCode(error, 'ENETWORKNOTFOUND')) throw error;
  }
  forgetNetworkKeys(core, id);
}
