import type { Fact } from '../facts/index.ts';
import type { Endpoint, EndpointType, Network } from '../model/index.ts';

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
  /** What its endpoints are, where the caller does not ask for a tap. */
  readonly endpointType: EndpointType;
  /** What the host must hold for the network itself. */
  networkFacts(network: Network): readonly Fact[];
  /** What host and workload must hold for one endpoint, in an order in which it can be made. */
  endpointFacts(network: Network, endpoint: Endpoint, context: PlanContext): readonly Fact[];
  /** The default gateways that the network can give an endpoint, as `Endpoint.gateways`. */
  gateways(network: Network): readonly string[];
  /** Why no port can be published on this network; empty where it can. */
  whyNotPublished(network: Network): string;
  /** The interface name of an endpoint's end on the host; empty where it has none. @param id the endpoint's */
  hostIfname(id: string): string;
  /** Whether an endpoint has a hardware address of its own. */
  ownMac(network: Network): boolean;
  /** Endpoints that the network takes; Infinity where the kernel sets no limit. */
  capacity(network: Network): number;
}
