import type { EngineApi } from '../model/index.ts';
import { ID_LABEL } from './network.ts';

/**
 * `podman network update --dns-add`: from now on the network's containers ask these servers for names that are not ours,
 * but for those that have servers of their own. One that nobody is on has nothing to be told: it hears at its next setup.
 */
export async function updateServers(api: EngineApi, name: string, servers: readonly string[]): Promise<void> {
  const network = (await api.networkList()).find((each) => each.name === name);
  if (network?.labels[ID_LABEL] === undefined) return;
  await api.networkUpdate(network.id, { upstreams: servers });
}
