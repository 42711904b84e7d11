import { randomUUID } from 'node:crypto';
import { putBackShared, SHARED, type SharedNetwork } from '../cluster/index.ts';
import type { SharedStore } from '../store/index.ts';
import type { Core } from './core.ts';

/** `shared/<id>`: what all hosts agree upon of each network that is here. */
const KEPT = 'shared/';

/** With the cluster that it is of. */
interface Kept {
  readonly cluster: string;
  readonly network: SharedNetwork;
}

/** Which cluster this is. One whose etcd has forgotten it is the one that this host was in. */
async function clusterId(core: Core, store: SharedStore): Promise<string> {
  const [kept] = await core.store.read((tx) => tx.list<Kept>(KEPT, { limit: 1 }));
  return await store.transact(async (tx) => {
    const there = await tx.get<string>(SHARED.id);
    if (there !== undefined) return there;
    const id = kept?.value.cluster ?? randomUUID();
    await tx.put(SHARED.id, id);
    return id;
  });
}

/** Keeps what etcd says of a network that is here, for the time when etcd does not know any more. */
export async function keepShared(core: Core, store: SharedStore, network: SharedNetwork): Promise<void> {
  const kept = await core.store.read((tx) => tx.get<Kept>(KEPT + network.id));
  if (JSON.stringify(kept?.network) === JSON.stringify(network)) return;
  const cluster = await clusterId(core, store);
  await core.store.transact((tx) => tx.put(KEPT + network.id, { cluster, network } satisfies Kept));
}

/**
 * A network that is here and that etcd does not know: where somebody removed it, it is to go; where etcd has forgotten it, it
 * is written down there again. @returns undefined: it is to go
 * @throws NetloomError ENAMETAKEN where another has its name by now
 */
export async function putBack(core: Core, store: SharedStore, id: string): Promise<SharedNetwork | undefined> {
  const kept = await core.store.read((tx) => tx.get<Kept>(KEPT + id));
  if (!kept || kept.cluster !== (await clusterId(core, store))) return undefined;
  return (await store.transact((tx) => putBackShared(tx, kept.network))) ? kept.network : undefined;
}

/** The network is no more here. */
export async function forgetKept(core: Core, id: string): Promise<void> {
  await core.store.transact((tx) => tx.delete(KEPT + id));
}
