import type { Container, ContainerDetail, Endpoint } from '../model/index.ts';
import type { ReadTx } from '../store/index.ts';
import type { Core } from './core.ts';
import { etcDir, type HostsEntry, plain, writeEtc } from './files.ts';
import { endpointsOf, endpointsOn, KEYS } from './records.ts';
import { existsSync } from 'node:fs';

/** The other containers on a container's networks, by name, hostname and aliases, for its hosts file. */
export async function neighboursOf(tx: ReadTx, container: Container, endpoints: readonly Endpoint[]): Promise<HostsEntry[]> {
  const entries: HostsEntry[] = [];
  for (const network of new Set(endpoints.map((e) => e.network))) {
    for (const endpoint of await endpointsOn(tx, network)) {
      if (endpoint.container === '' || endpoint.container === container.id || endpoint.phase === 'removing') continue;
      const other = await tx.get<Container>(KEYS.containers + endpoint.container);
      if (!other) continue;
      const names = [...new Set([other.name, other.hostname, ...endpoint.aliases])];
      for (const address of endpoint.addresses) entries.push({ address: plain(address), names });
    }
  }
  return entries;
}

/** Writes the hosts files of a container and of everybody on its networks anew: one came, went or moved. */
export async function refreshHosts(core: Core, changed: ContainerDetail): Promise<void> {
  const files = await core.store.read(async (tx) => {
    const ids = new Set([changed.id]);
    for (const { network } of changed.endpoints) for (const { container } of await endpointsOn(tx, network)) ids.add(container);
    const found = [];
    for (const id of ids) {
      const container = id === '' ? undefined : await tx.get<Container>(KEYS.containers + id);
      if (!container || container.mode.kind === 'container') continue;
      const endpoints = (await endpointsOf(tx, { container: container.id, name: container.name, netns: container.netns })).filter(
        (e) => e.phase !== 'removing',
      );
      found.push({ container, endpoints, neighbours: await neighboursOf(tx, container, endpoints) });
    }
    return found;
  });
  for (const { container, endpoints, neighbours } of files) {
    // one that was removed meanwhile must not get its files back
    if (existsSync(etcDir(core.paths, container))) writeEtc(core.paths, container, endpoints, neighbours);
  }
}
