import type { Container, Endpoint, Network } from '../model/index.ts';
import type { ReadTx } from '../store/index.ts';
import type { Core } from './core.ts';
import { type HostsEntry, plain, type Surroundings, updateEtc } from './files.ts';
import { membersOf, namesOf } from './pods.ts';
import { endpointsOf, endpointsOn, KEYS } from './records.ts';

/** What a container's files say of its networks: who answers names there or, where nobody does, the names themselves. */
export async function surroundingsOf(
  core: Core,
  tx: ReadTx,
  container: Container,
  endpoints: readonly Endpoint[],
): Promise<Surroundings> {
  return await new Neighbourhood(core, tx).of(container, endpoints);
}

/**
 * Brings the files of everybody on these networks, and of one container, up to date: one came, went or moved. One
 * after another across every process, so that the last to write is the last to have looked.
 */
export async function refreshHosts(core: Core, networks: readonly string[], container = ''): Promise<void> {
  await Promise.all(
    [...networks, ...(container === '' ? [] : [ONE + container])].map((item) =>
      core.turns.runShared('hosts', item, (dirty) => refresh(core, dirty)),
    ),
  );
}

/** The same for every container there is: names began to be answered, or ceased to be. */
export async function refreshAllHosts(core: Core): Promise<void> {
  await core.turns.runShared('hosts', ALL, (dirty) => refresh(core, dirty));
}

/** @param dirty ids of networks, `container ID` for one that just left a network, and ALL */
async function refresh(core: Core, dirty: ReadonlySet<string>): Promise<void> {
  const files = await core.store.read(async (tx) => {
    const seen = new Neighbourhood(core, tx);
    const ids = new Set<string>();
    if (dirty.has(ALL)) for (const { value } of await tx.list<Container>(KEYS.containers)) ids.add(value.id);
    for (const item of dirty) {
      if (item === ALL) continue;
      if (item.startsWith(ONE)) ids.add(item.slice(ONE.length));
      // who asks a resolver need not be told
      else if ((await seen.resolversOf(item)).length === 0)
        for (const { container } of await endpointsOn(tx, item)) ids.add(container);
    }
    const found = [];
    for (const id of ids) {
      const container = await seen.container(id);
      if (!container) continue;
      const workload = { container: container.id, name: container.name, netns: container.netns };
      const endpoints = (await endpointsOf(tx, workload)).filter((e) => e.phase !== 'removing');
      found.push({ container, endpoints, around: await seen.of(container, endpoints) });
    }
    return found;
  });
  for (const { container, endpoints, around } of files) updateEtc(core.paths, container, endpoints, around);
}
const ONE = 'container ';
const ALL = 'all';

/** What one transaction has seen of networks, so that a thousand on one network are looked up once, not once for each. */
class Neighbourhood {
  readonly #core: Core;
  readonly #tx: ReadTx;
  readonly #containers = new Map<string, Container | undefined>();
  readonly #networks = new Map<string, { readonly container: string; readonly entries: readonly HostsEntry[] }[]>();
  readonly #resolvers = new Map<string, readonly string[]>();

  constructor(core: Core, tx: ReadTx) {
    this.#core = core;
    this.#tx = tx;
  }

  async container(id: string): Promise<Container | undefined> {
    if (id === '') return undefined;
    if (!this.#containers.has(id)) this.#containers.set(id, await this.#tx.get<Container>(KEYS.containers + id));
    return this.#containers.get(id);
  }

  /** Where the names of a network are answered. */
  async resolversOf(id: string): Promise<readonly string[]> {
    let found = this.#resolvers.get(id);
    if (found) return found;
    const { services } = this.#core;
    const network = services && (await this.#tx.get<Network>(KEYS.networks + id));
    found = network ? services.names.servedAt(network) : [];
    this.#resolvers.set(id, found);
    return found;
  }

  async of(container: Container, endpoints: readonly Endpoint[]): Promise<Surroundings> {
    const networks = [...new Set(endpoints.map((e) => e.network))];
    const resolvers: string[] = [];
    for (const network of networks) resolvers.push(...(await this.resolversOf(network)));
    if (resolvers.length > 0) return { resolvers: reachable(resolvers, endpoints), neighbours: [] };
    const neighbours: HostsEntry[] = [];
    for (const network of networks) {
      for (const other of await this.#on(network))
        if (other.container !== container.id) neighbours.push(...other.entries);
    }
    return { resolvers: [], neighbours };
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
      const names = namesOf(container, endpoint.aliases, await membersOf(this.#tx, container));
      found.push({
        container: container.id,
        entries: endpoint.addresses.map((address) => ({ address: plain(address), names })),
      });
    }
    return found;
  }
}

/** First those that the default route leads to, and IPv4 before IPv6: libraries ask in this order. */
function reachable(resolvers: readonly string[], endpoints: readonly Endpoint[]): string[] {
  const gateways = new Set(endpoints.flatMap((e) => e.gateways));
  const rank = (address: string): number => (gateways.has(address) ? 0 : 1) + (address.includes(':') ? 2 : 0);
  return [...new Set(resolvers)].sort((a, b) => rank(a) - rank(b));
}
