import type { Network } from '../model/index.ts';
import { resolverElements } from '../nat/index.ts';
import { change, type Decision } from './change.ts';
import type { Core } from './core.ts';
import { appliedKey, DEFINITIONS } from './networks.ts';
import { KEYS } from './records.ts';
import { transition } from './transition.ts';

/**
 * Leads questions that a network's workloads have for port 53 of a gateway to the port at which they are answered; back to
 * port 53 where a gateway is not named. Nothing is done for a network that is gone or going.
 * @param ports by gateway
 */
export async function setResolverPorts(core: Core, id: string, ports: Readonly<Record<string, number>>): Promise<void> {
  const none: Decision<undefined> = {
    key: '',
    value: undefined,
    changes: [],
    settle: () => Promise.resolve(undefined),
    revert: () => Promise.resolve(),
  };
  await core.turns.run(DEFINITIONS, () =>
    change(core, undefined, async (tx): Promise<Decision<undefined>> => {
      const before = await tx.get<Network>(KEYS.networks + id);
      if (before?.phase !== 'ready') return none;
      const after = withPorts(before, ports);
      const changes = transition(resolverElements(before), resolverElements(after));
      if (changes.length === 0) return none;
      await tx.put(KEYS.networks + id, after);
      const applied = (await tx.get(appliedKey(before))) !== undefined;
      return {
        ...none,
        key: `network/${id}`,
        changes: applied ? changes : [],
        async revert(tx) {
          const now = await tx.get<Network>(KEYS.networks + id);
          if (now) await tx.put(KEYS.networks + id, withPorts(now, before.resolverPorts ?? {}));
        },
      };
    }),
  );
}

function withPorts(network: Network, ports: Readonly<Record<string, number>>): Network {
  const { resolverPorts: _before, ...rest } = network;
  return Object.keys(ports).length === 0 ? rest : { ...rest, resolverPorts: ports };
}
