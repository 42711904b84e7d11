import type { Container, Endpoint } from '../model/index.ts';
import type { ReadTx } from '../store/index.ts';
import type { Core } from './core.ts';
import { type HostsEntry, plain, updateHosts } from './files.ts';
import { endpointsOf, endpointsOn, KEYS } from './records.ts';

/** The other containers on a container's networks, by name, hostname and aliases, for its hosts file. */
export async function neighboursOf(
  tx: ReadTx,
  container: Container,
  endpoints: readonly Endpoint[],
): Promise<HostsEntry[]> {
  return await new Neighbourhood(tx).of(container, endpoints);
}

/**
 * Brings the hosts files of everybody on these networks, and of one container, up to date: one came, went or moved. One
 * after another across every process, so that the last to write is the last to have looked.
 */
export async function refreshHosts(core: Core, networks: readonly string[], container = ''): Promise<void> {
  await Promise.all(
    [...networks, ...(container === '' ? [] : [ONE + container])].map((item) =>
      core.turns.runShared('hosts', item, (dirty) => refresh(core, dirty)),
    ),
  );
}

/** @param dirty ids of networks, and `container ID` for one that just left a network */
async function refresh(core: Core, dirty: ReadonlySet<string>): Promise<void> {
  const files = await core.store.read(async (tx) => {
    const seen = new Neighbourhood(tx);
    const ids = new Set<string>();
    for (const item of dirty) {
      if (item.startsWith(ONE)) ids.add(item.slice(ONE.length));
      else for (const { container } of await endpointsOn(tx, item)) ids.add(container);
    }
    const found = [];
    for (const id of ids) {
      const container = await seen.container(id);
      if (!container) continue;
      const workload = { container: container.id, name: container.name, netns: container.netns };
      const endpoints = (await endpointsOf(tx, workload)).filter((e) => e.phase !== 'removing');
      found.push({ container, endpoints, neighbours: await seen.of(container, endpoints) });
    }
    return found;
  });
  for (const { container, endpoints, neighbours } of files) updateHosts(core.paths, container, endpoints, neighbours);
}
const ONE = 'container ';

/** What one transaction has seen of networks, so that a thousand on one network are looked up once, not once for each. */
class Neighbourhood {
  readonly #tx: ReadTx;
  readonly #containers = new Map<string, Container | undefined>();
  readonly #networks = new Map<string, { readonly container: string; readonly entries: readonly HostsEntry[] }[]>();

  constructor(tx: ReadTx) {
    this.#tx = tx;
  }

  async container(id: string): Promise<Container | undefined> {
    if (id === '') return undefined;
    if (!this.#containers.has(id)) this.#containers.set(id, await this.#tx.get<Container>(KEYS.containers + id));
    return this.#containers.get(id);
  }

  async of(container: Container, endpoints: readonly Endpoint[]): Promise<HostsEntry[]> {
    const entries: HostsEntry[] = [];
    for (const network of new Set(endpoints.map((e) => e.network))) {
      for (const other of await this.#on(network)) if (other.container !== container.id) entries.push(...other.entries);
    }
    return entries;
  }

  async #on(
    network: string,
  ): Promise<readonly { readonly container: string; readonly entries: readonly HostsEntry[] }[]> {
    let found = this.#networks.get(network);
    if (found) return found;
    this.#networks.set(network, (found = []));
    for (const endpoint of await endpointsOn(this.#tx, network)) {
      const container = endpoint.phase === 'removing' ? undefined : await this.container(endpoint.container);
      if (!container || container.phase === 'removing') continue;
      const names = [...new Set([container.name, container.hostname, ...endpoint.aliases])];
      found.push({
        container: container.id,
        entries: endpoint.addresses.map((address) => ({ address: plain(address), names })),
      });
    }
    return found;
  }
}
