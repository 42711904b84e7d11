import type { Network } from '../model/index.ts';
import { change, type Decision } from './change.ts';
import type { Core } from './core.ts';
import { appliedKey, applyNetwork, DEFINITIONS } from './networks.ts';
import { KEYS } from './records.ts';

/**
 * Puts a network into the kernel that no endpoint has brought there since the machine started: for what this host does for
 * endpoints of others. Nothing is done where it is there, or is being made or removed.
 */
export async function ensureApplied(core: Core, id: string): Promise<void> {
  if ((await core.store.read((tx) => tx.get(appliedKey({ id })))) !== undefined) return;
  await core.turns.run(DEFINITIONS, () =>
    change(core, undefined, async (tx): Promise<Decision<undefined>> => {
      const network = await tx.get<Network>(KEYS.networks + id);
      const applied = network?.phase === 'ready' ? await applyNetwork(core, tx, network) : undefined;
      return {
        key: '',
        value: undefined,
        changes: applied?.changes ?? [],
        async settle(tx) {
          if (applied && !applied.known) await tx.put(appliedKey({ id }), 0);
        },
        revert: () => Promise.resolve(),
      };
    }),
  );
}
