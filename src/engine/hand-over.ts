import type { Fault } from './put-right.ts';
import type { WantedObject } from './wanted.ts';

/** Why an endpoint that was handed over is given up. */
export const TAKER_GONE = 'its interface is gone, with whatever had taken it';

/** What a comparison found, without what is not ours to put right. */
export interface Heeded {
  readonly faults: Fault[];
  /** Endpoints whose pair is gone: only whoever takes one can say what its inside is to be. */
  readonly gone: readonly WantedObject[];
}

/** Sets apart what concerns endpoints that were handed over: their inside end is where its taker has it. */
export function heedHandOvers(faults: readonly Fault[]): Heeded {
  const gone = new Set<WantedObject>();
  const taken = new Set<Fault>();
  for (const fault of faults) {
    const { object } = fault;
    const { fact, verb } = fault.change;
    if (object?.endpoint?.handOver === undefined || fact.kind !== 'link' || fact.ns !== '') continue;
    if (fact.name === object.endpoint.ifname) taken.add(fault);
    else if (verb === 'add' && fact.name === object.endpoint.hostIfname) gone.add(object);
  }
  return {
    faults: faults.filter((fault) => !taken.has(fault) && !(fault.object && gone.has(fault.object))),
    gone: [...gone],
  };
}
