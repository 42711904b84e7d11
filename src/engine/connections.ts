import { driverOf } from '../drivers/index.ts';
import { NetloomError } from '../errors.ts';
import {
  type ChangeOptions,
  type Container,
  type Endpoint,
  type EndpointSpec,
  type Network,
  type Outcome,
  parseEndpointSpec,
} from '../model/index.ts';
import type { ReadTx, Tx } from '../store/index.ts';
import { change, type Decision } from './change.ts';
import { forgetStale } from './conntrack.ts';
import { exclusively } from './containers.ts';
import type { Core } from './core.ts';
import { acquisitionFor } from './dhcp-acquire.ts';
import { endpointEvent, planAttach, planDetach, revertAttach, settleAttach, workloadOfContainer } from './endpoints.ts';
import { growCrowded } from './growth.ts';
import { refreshHosts } from './hosts.ts';
import { DEFAULT_NETWORK, ensureDefaultNetwork, withPlan } from './networks.ts';
import { endpointsOf, findContainer, findNetwork, KEYS } from './records.ts';
import { isUp } from './sandbox.ts';

/** Adds a network to a container: at once where it has a namespace, else from its next start on. */
export async function networkConnect(
  core: Core,
  ref: string,
  given: EndpointSpec,
  options?: ChangeOptions,
): Promise<Outcome<Endpoint>> {
  const spec = parseEndpointSpec(given);
  const first = spec.network === DEFAULT_NETWORK ? await ensureDefaultNetwork(core, options) : [];
  return await exclusively(core, ref, async (id) => {
    await core.firewall.prepare(core, (await core.store.read((tx) => findContainer(tx, id))).ports);
    const outcome = await change(core, options, async (tx): Promise<Decision<Endpoint>> => {
      const container = connectable(await findContainer(tx, id));
      const network = await findNetwork(tx, spec.network);
      if ((await specsOn(tx, container, network)).length > 0) {
        throw new NetloomError(
          'EALREADYCONNECTED',
          `container "${container.name}" is connected to network "${network.name}" already`,
        );
      }
      const workload = workloadOfContainer(container);
      const up = await isUp(tx, container);
      const siblings = await endpointsOf(tx, workload);
      // whatever is asked for is checked now, also when it is only made at the next start
      const publishes = driverOf(network).whyNotPublished(network) === '';
      const unpublished = up && publishes && siblings.every((e) => e.ports.length === 0);
      const plan = await planAttach(core, tx, workload, spec, unpublished ? container.ports : []);
      const connected: Container = { ...container, networks: [...container.networks, spec] };
      if (!up) {
        await tx.put(KEYS.containers + container.id, connected);
        await revertAttach(tx, plan, workload);
        const later: Endpoint = {
          ...plan.endpoint,
          addresses: [],
          gateways: [],
          hostIfname: '',
          phase: 'ready',
          owner: '',
        };
        return {
          key: `container/${container.id}`,
          value: later,
          changes: [],
          settle: () => Promise.resolve(later),
          revert: () => Promise.resolve(),
        };
      }
      const later = acquisitionFor(core, [plan], workload);
      return {
        key: `endpoint/${plan.endpoint.id}`,
        value: plan.endpoint,
        get tells() {
          return [endpointEvent('attach', later?.endpoint(plan.endpoint) ?? plan.endpoint, network, workload)];
        },
        changes: plan.changes,
        warnings: await core.firewall.warnings(core, plan.endpoint.ports),
        later,
        finish: () => forgetStale(core, plan.endpoint, plan.endpoint.ports),
        async settle(tx) {
          // not before: where we die in the middle, the endpoint is taken back, and must not come at the next start
          await tx.put(KEYS.containers + container.id, connected);
          return await settleAttach(tx, plan, later);
        },
        revert: (tx) => revertAttach(tx, plan, workload),
      };
    });
    await refreshHosts(core, [outcome.value.network], id);
    await growCrowded(core, [outcome.value.network]);
    return withPlan(outcome, first);
  });
}

/** Takes a network from a container; a sibling takes the default route over. */
export async function networkDisconnect(
  core: Core,
  ref: string,
  networkRef: string,
  options?: ChangeOptions,
): Promise<Outcome<Endpoint>> {
  return await exclusively(core, ref, async (id) => {
    const outcome = await change(core, options, async (tx, kernel): Promise<Decision<Endpoint>> => {
      const container = connectable(await findContainer(tx, id));
      const network = await findNetwork(tx, networkRef);
      const workload = workloadOfContainer(container);
      const endpoint = (await endpointsOf(tx, workload)).find((e) => e.network === network.id);
      const specs = await specsOn(tx, container, network);
      if (!endpoint && specs.length === 0) {
        throw new NetloomError(
          'ENOTCONNECTED',
          `container "${container.name}" is not connected to network "${network.name}"`,
        );
      }
      await tx.put(KEYS.containers + container.id, {
        ...container,
        networks: container.networks.filter((n) => !specs.includes(n)),
      });
      if (!endpoint) {
        const none = noEndpoint(container, network);
        return {
          key: `container/${container.id}`,
          value: none,
          changes: [],
          settle: () => Promise.resolve(none),
          revert: () => Promise.resolve(),
        };
      }
      const decision = await planDetach(core, tx, kernel, endpoint, workload);
      return {
        ...decision,
        async revert(tx: Tx) {
          await tx.put(KEYS.containers + container.id, container);
          await decision.revert(tx);
        },
      };
    });
    await refreshHosts(core, [outcome.value.network], id);
    return outcome;
  });
}

/** A container as it was asked for, on one network; the network may stand there by name or by any part of its id. */
async function specsOn(tx: ReadTx, container: Container, network: Network): Promise<readonly EndpointSpec[]> {
  const found: EndpointSpec[] = [];
  for (const spec of container.networks) {
    // one that was removed since is not the one we look for
    const there = await Promise.resolve(findNetwork(tx, spec.network)).catch(() => undefined);
    if (there?.id === network.id) found.push(spec);
  }
  return found;
}

/** @throws NetloomError EBADMODE; ECONTAINERBUSY where an engine died in the middle of changing it */
function connectable(container: Container): Container {
  if (container.mode.kind !== 'networks') {
    throw new NetloomError(
      'EBADMODE',
      `container "${container.name}" is in network mode ${container.mode.kind}: it has no networks of its own`,
    );
  }
  if (container.phase === 'ready') return container;
  throw new NetloomError(
    'ECONTAINERBUSY',
    `container "${container.name}" was left half ${container.phase === 'creating' ? 'made' : 'removed'}`,
    {
      hint: `netloom start ${container.name} makes it whole, netloom rm ${container.name} removes it`,
    },
  );
}

function noEndpoint(container: Container, network: Network): Endpoint {
  return {
    id: '',
    network: network.id,
    container: container.id,
    type: driverOf(network).endpointType,
    netns: container.netns,
    netnsId: '',
    ifname: '',
    hostIfname: '',
    mac: '',
    addresses: [],
    gateways: [],
    aliases: [],
    gatewayPriority: 0,
    ports: [],
    rates: { ingress: 0, egress: 0 },
    created: container.created,
    phase: 'ready',
    owner: '',
  };
}
