import { driverOf, objectOf, rateFacts, tuningFacts } from '../drivers/index.ts';
import type { Fact } from '../facts/index.ts';
import { guardElements } from '../guard/index.ts';
import type { Endpoint, Network } from '../model/index.ts';
import { portElements } from '../nat/index.ts';
import { endpointShortcuts } from '../overlay/index.ts';
import { networkGateways } from './gateways.ts';
import type { Workload } from './records.ts';

/** Of what one endpoint wants, what the rule set has: some of a thousand endpoints' is quickly made, all of it is not. */
export function rulesetOfEndpoint(network: Network, endpoint: Endpoint, workload: Workload): readonly Fact[] {
  const object = objectOf(endpoint, { workload: workload.name });
  return [...guardElements(network, endpoint, object), ...portElements(endpoint, object)];
}

/** Everything that one endpoint wants of the kernel. */
export function factsOfEndpoint(network: Network, endpoint: Endpoint, workload: Workload): readonly Fact[] {
  const context = { workload: workload.name };
  const object = objectOf(endpoint, context);
  return [
    // elements first, in one batch: not one frame comes before its guard
    ...rulesetOfEndpoint(network, endpoint, workload),
    ...driverOf(network).endpointFacts(network, endpoint, context),
    ...rateFacts(network, endpoint, object),
    ...tuningFacts(endpoint, object, networkGateways(network, endpoint)),
    ...endpointShortcuts(network, endpoint, object),
  ];
}
