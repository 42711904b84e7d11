import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../errors.ts';
import { bootId } from '../kernel/index.ts';
import { drawEpoch, nextEpochs, useOf } from '../keys/index.ts';
import type { Network, Overlay } from '../model/index.ts';
import { remove } from './apply.ts';
import type { Core } from './core.ts';
import { missing } from './diff.ts';
import { forgetNetworkKeys, keyedBy, newPair } from './host-keys.ts';
import { appliedKey, factsOfNetwork, factsOfOthers } from './networks.ts';
import { newWaysFirst } from './others.ts';
import { KEYS } from './records.ts';
import { transition } from './transition.ts';

type Self = Overlay['self'];

/**
 * This host's keys in a network one step further: WireGuard's in one step, ipsec's epochs in three. Others hear of it by
 * whoever calls. Undefined: the network has no keys, or its backend is being changed.
 */
export function nextSelf(core: Pick<Core, 'paths' | 'now'>, id: string, overlay: Overlay): Self | undefined {
  const { self } = overlay;
  const begins = self.coming === undefined;
  const rekeyed = begins ? core.now().toISOString() : (self.rekeyed ?? '');
  switch (keyedBy(overlay)) {
    case 'pair':
      return overlay.former ? undefined : { ...self, ...newPair(core, id), rekeyed };
    case 'epochs': {
      const { coming: _, ...rest } = self;
      const { epochs = [] } = self;
      return { ...rest, rekeyed, ...nextEpochs({ ...self, epochs }, drawEpoch) };
    }
    case undefined:
      return undefined;
  }
}

/**
 * Records what this host is in a network from now on, and makes the kernel so: what is new comes before what is old goes. As
 * with what other hosts say, the record comes first, and repair sees what is wanted.
 */
export async function changeSelf(core: Core, id: string, self: Self): Promise<void> {
  const plan = await core.store.transact(async (tx) => {
    const before = await tx.get<Network>(KEYS.networks + id);
    if (before?.phase !== 'ready' || !before.overlay) return [];
    const after: Network = { ...before, overlay: { ...before.overlay, self } };
    await tx.put(KEYS.networks + id, after);
    if ((await tx.get(appliedKey(before))) === undefined) return [];
    const was = [...factsOfNetwork(before), ...(await factsOfOthers(tx, before))];
    const is = [...factsOfNetwork(after), ...(await factsOfOthers(tx, after))];
    return newWaysFirst(transition(was, is));
  });
  if (plan.length === 0) return;
  using kernel = core.kernel.scope();
  await remove(kernel, plan, { onFact: core.onFact, mayWait: core.reaper.busy, reap: core.reaper.reap });
}

/**
 * At the start of a resident engine, before anything is made of what the store says: epochs whose states are all gone, as after
 * a boot, may serve no state again, and others follow. Keys of networks that are gone go.
 */
export async function refreshKeys(core: Core): Promise<void> {
  const networks = (await core.store.read((tx) => tx.list<Network>(KEYS.networks))).map(({ value }) => value);
  const known = new Set(networks.map(({ id }) => id));
  const directory = join(core.paths.stateDir, 'keys');
  for (const id of existsSync(directory) ? readdirSync(directory) : []) if (!known.has(id)) forgetNetworkKeys(core, id);
  for (const network of networks) {
    const { overlay } = network;
    if (!overlay || !(await areSpent(core, network, overlay.self))) continue;
    const { coming: _, ...rest } = overlay.self;
    const self: Self = { ...rest, epochs: [drawEpoch()], rekeyed: core.now().toISOString() };
    await core.store.transact(async (tx) => {
      const now = await tx.get<Network>(KEYS.networks + network.id);
      if (now?.overlay) await tx.put(KEYS.networks + network.id, { ...now, overlay: { ...now.overlay, self } });
    });
  }
}

/** Whether keys of these epochs were used, and no state that was made of them is left. */
async function areSpent(core: Core, network: Network, { keyFile, epochs = [] }: Self): Promise<boolean> {
  if (keyFile === undefined || epochs.length === 0) return false;
  const boot = bootId();
  const uses = new Set(epochs.map((epoch) => useOf(keyFile, epoch, boot)));
  if (uses.has('before')) return true;
  if (!uses.has('now')) return false;
  const facts = await core.store.read((tx) => factsOfOthers(tx, network));
  const states = facts.filter(({ kind }) => kind === 'xfrm-state');
  using kernel = core.kernel.scope();
  return states.length > 0 && (await missing(kernel, states)).length === states.length;
}

/** Whether keys that may not serve again are part of what is wrong (`some`) or all of it (`every`). */
export function isKeyUsed(error: unknown, how: 'some' | 'every'): boolean {
  if (!(error instanceof AggregateError)) return hasCode(error, 'EKEYUSED');
  return error.errors.length > 0 && error.errors[how]((each) => isKeyUsed(each, how));
}

/** Somebody met `EKEYUSED`. */
export function noteKeyUsed(core: Core, network: string): void {
  core.services?.membership.keyUsed(network);
}
