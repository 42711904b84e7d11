import type { Fact } from '../facts/index.ts';
import type { Endpoint, Network } from '../model/index.ts';

/** What only the engine knows and a driver must not ask the kernel for. */
export interface PlanContext {
  /** The container's name, or the namespace's path: for people, in aliases and explanations. */
  readonly workload: string;
}

/**
 * A driver turns objects into facts; it does no I/O. The same record gives the same facts at attach, at detach, after a
 * crash and in a dry run, so that nothing has to be remembered beside the record.
 */
export interface Driver {
  /** What the host must hold for the network itself. */
  networkFacts(network: Network): readonly Fact[];
  /** What host and workload must hold for one endpoint, in an order in which it can be made. */
  endpointFacts(network: Network, endpoint: Endpoint, context: PlanContext): readonly Fact[];
}
