import { driverOf, objectOf, rateFacts } from '../drivers/index.ts';
import type { Fact } from '../facts/index.ts';
import { guardElements } from '../guard/index.ts';
import type { Endpoint, Network } from '../model/index.ts';
import { portElements } from '../nat/index.ts';
import type { Workload } from './records.ts';

/** Everything that one endpoint wants of the kernel. */
export function factsOfEndpoint(network: Network, endpoint: Endpoint, workload: Workload): readonly Fact[] {
  const context = { workload: workload.name };
  const object = objectOf(endpoint, context);
  return [
    // elements first, in one batch: not one frame comes before its guard
    ...guardElements(network, endpoint, object),
    ...portElements(endpoint, object),
    ...driverOf(network).endpointFacts(network, endpoint, context),
    ...rateFacts(network, endpoint, object),
  ];
}
