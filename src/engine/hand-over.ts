import type { Endpoint, Network } from '../model/index.ts';
import { removalOf } from './apply.ts';
import { change, type Decision } from './change.ts';
import { forgetConnections } from './conntrack.ts';
import type { Core } from './core.ts';
import { factsOfEndpoint } from './endpoint-facts.ts';
import type { Fault } from './put-right.ts';
import { KEYS, workloadOf } from './records.ts';

/** Nothing was to be done, since somebody else has done it. */
class Superseded extends Error {}

/**
 * Takes out of what a comparison found whatever is not ours to put right: the inside end of an endpoint is where its taker
 * has it, and one whose host end went with that can only be made by whoever hands it over. @returns the rest
 */
export async function heedHandOvers(core: Core, faults: readonly Fault[], lost: 'give up' | 'leave'): Promise<Fault[]> {
  const gone = new Map<string, Endpoint>();
  const taken = new Set<Fault>();
  for (const fault of faults) {
    const endpoint = fault.object?.endpoint;
    const { fact, verb } = fault.change;
    if (endpoint?.handOver === undefined || fact.kind !== 'link' || fact.ns !== '') continue;
    if (fact.name === endpoint.ifname) taken.add(fault);
    else if (verb === 'add' && fact.name === endpoint.hostIfname) gone.set(endpoint.id, endpoint);
  }
  if (gone.size === 0 && taken.size === 0) return [...faults];
  if (lost === 'give up') for (const endpoint of gone.values()) await lose(core, endpoint);
  return faults.filter((fault) => !taken.has(fault) && !gone.has(fault.object?.endpoint?.id ?? ''));
}

/** Takes what is left of an endpoint out of the kernel. Whoever asked for it still has its addresses and its ports. */
async function lose(core: Core, { id }: Endpoint): Promise<void> {
  try {
    await change(core, undefined, async (tx): Promise<Decision<Endpoint>> => {
      const endpoint = await tx.get<Endpoint>(KEYS.endpoints + id);
      if (endpoint?.phase !== 'ready' || endpoint.handOver !== 'given') throw new Superseded();
      const network = await tx.get<Network>(KEYS.networks + endpoint.network);
      const workload = await workloadOf(tx, endpoint);
      const after: Endpoint = { ...endpoint, handOver: 'lost' };
      // killed behind this, what is left is nobody's, and goes with the next comparison
      await tx.put(KEYS.endpoints + id, after);
      const reason = 'its other end is gone, with whatever took it';
      return {
        key: `endpoint/${id}`,
        value: after,
        changes: network ? removalOf(factsOfEndpoint(network, endpoint, workload)) : [],
        tells: [{ type: 'gc', action: 'lose', id, name: `endpoint ${workload.name}`, attributes: { reason } }],
        finish: () => forgetConnections(core, [endpoint]),
        settle: () => Promise.resolve(after),
        revert: () => Promise.resolve(),
      };
    });
  } catch (error) {
    if (!(error instanceof Superseded)) throw error;
  }
}
