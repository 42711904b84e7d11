import { NetloomError } from '../errors.ts';
import { driverOf } from '../drivers/index.ts';
import {
  type ChangeOptions,
  type Container,
  type Endpoint,
  type EndpointSpec,
  type EndpointUpdate,
  formatPort,
  type Network,
  type Outcome,
  parseEndpointUpdate,
  type PublishedPort,
} from '../model/index.ts';
import type { ReadTx, Tx } from '../store/index.ts';
import { change, type Decision } from './change.ts';
import { forgetPublished, forgetStale } from './conntrack.ts';
import { exclusively } from './containers.ts';
import type { Core } from './core.ts';
import type { NewEvent } from './events.ts';
import { endpointEvent, factsOfEndpoint, publishPorts, workloadOfContainer } from './endpoints.ts';
import { requireReady } from './networks.ts';
import { holdPorts, releasePorts } from './ports.ts';
import { endpointsOf, findContainer, findEndpoint, findNetwork, KEYS, type Workload, workloadOf } from './records.ts';
import { isUp } from './sandbox.ts';
import { transition } from './transition.ts';
import { askedAfter, askedWithout, unpublished } from './unpublish.ts';

type Parsed = ReturnType<typeof parseEndpointUpdate>;

/** Publishes and unpublishes ports and sets rates of an endpoint of a bare namespace. */
export async function endpointUpdate(
  core: Core,
  ref: string,
  given: EndpointUpdate,
  options?: ChangeOptions,
): Promise<Outcome<Endpoint>> {
  const update = parseEndpointUpdate(given);
  await core.firewall.prepare(core, update.publish);
  return await change(core, options, async (tx) => {
    const endpoint = await findEndpoint(tx, ref);
    if (endpoint.container !== '') {
      throw new NetloomError('EENDPOINTINUSE', `endpoint ${endpoint.id.slice(0, 12)} belongs to a container`, {
        hint: 'change the container: what changes must come again with its next start',
      });
    }
    return (await decide(core, tx, endpoint, await workloadOf(tx, endpoint), update)).decision;
  });
}

/** The same for a container: at once where it has a namespace, and in its record, for every start from now on. */
export async function containerUpdate(
  core: Core,
  ref: string,
  given: EndpointUpdate & { readonly network?: string },
  options?: ChangeOptions,
): Promise<Outcome<Endpoint>> {
  const update = parseEndpointUpdate(given);
  if (update.upstreams)
    throw new NetloomError('EBADOPTION', 'upstreams: a container has DNS servers of its own, from its creation on');
  await core.firewall.prepare(core, update.publish);
  return await exclusively(core, ref, (id) =>
    change(core, options, async (tx) => {
      const container = changeable(await findContainer(tx, id));
      const places = await placesOf(tx, container);
      const up = await isUp(tx, container);
      const place = choosePlace(container, places, update, given.network && (await findNetwork(tx, given.network)));
      if (!up) return await decideForLater(tx, container, places, place, update);
      const { endpoint } = place;
      if (!endpoint)
        throw new NetloomError('EINTERNAL', `container ${container.name}: no endpoint on a network of its own`);
      const { decision, removed } = await decide(core, tx, endpoint, workloadOfContainer(container), update);
      const asked = [...askedAfter(container.ports, endpoint.ports, removed), ...(update.publish ?? [])];
      await tx.put(KEYS.containers + id, { ...container, ports: asked, networks: ratesIn(container, place, update) });
      return {
        ...decision,
        async revert(tx: Tx) {
          await tx.put(KEYS.containers + id, container);
          await decision.revert(tx);
        },
      };
    }),
  );
}

interface Decided {
  readonly decision: Decision<Endpoint>;
  readonly removed: readonly PublishedPort[];
}

async function decide(core: Core, tx: Tx, endpoint: Endpoint, workload: Workload, update: Parsed): Promise<Decided> {
  if (endpoint.phase !== 'ready') {
    const what = endpoint.phase === 'creating' ? 'attached' : 'detached';
    throw new NetloomError('EENDPOINTBUSY', `endpoint ${endpoint.ifname} of ${workload.name} is being ${what}`, {
      hint: 'try again in a moment',
    });
  }
  const network = requireReady(await findNetwork(tx, endpoint.network));
  const removed = unpublished(endpoint.ports, update.unpublish ?? [], workload.name);
  // given back first: a host port may go from one port of the workload to another in one step
  await releasePorts(tx, removed, endpoint.id);
  const added = await publishPorts(core, tx, network, endpoint, workload, update.publish ?? []);
  const { upstreams, ...kept } = endpoint;
  const asked = update.upstreams ?? upstreams ?? [];
  const after: Endpoint = {
    ...kept,
    ...(asked.length > 0 && { upstreams: asked }),
    ports: [...endpoint.ports.filter((port) => !removed.includes(port)), ...added],
    rates: {
      ingress: update.ingressRate ?? endpoint.rates.ingress,
      egress: update.egressRate ?? endpoint.rates.egress,
    },
  };
  await tx.put(KEYS.endpoints + endpoint.id, after);
  const decision: Decision<Endpoint> = {
    // killed in between, the record says what is wanted, and the next look at the kernel makes it so
    key: `endpoint/${endpoint.id}`,
    value: after,
    changes: transition(factsOfEndpoint(network, endpoint, workload), factsOfEndpoint(network, after, workload)),
    tells: eventsOf(endpoint, after, network, workload, removed, added),
    warnings: await core.firewall.warnings(core, added),
    async finish() {
      await forgetPublished(core, endpoint, removed);
      await forgetStale(core, after, added);
    },
    settle: () => Promise.resolve(after),
    async revert(tx) {
      await releasePorts(tx, added, endpoint.id);
      await holdPorts(tx, removed, { endpoint: endpoint.id, workload: workload.name });
      await tx.put(KEYS.endpoints + endpoint.id, endpoint);
    },
  };
  return { decision, removed };
}

function eventsOf(
  before: Endpoint,
  after: Endpoint,
  network: Network,
  workload: Workload,
  removed: readonly PublishedPort[],
  added: readonly PublishedPort[],
): readonly NewEvent[] {
  const event = (action: string, attributes: Readonly<Record<string, string>>): NewEvent => {
    const whole = endpointEvent(action, after, network, workload);
    return { ...whole, attributes: { network: network.name, ...attributes } };
  };
  const portsOf = (ports: readonly PublishedPort[]): string => ports.map(formatPort).join(' ');
  const { ingress, egress } = after.rates;
  return [
    ...(removed.length > 0 ? [event('unpublish', { ports: portsOf(removed) })] : []),
    ...(added.length > 0 ? [event('publish', { ports: portsOf(added) })] : []),
    ...(before.rates.ingress !== ingress || before.rates.egress !== egress
      ? [event('rates', { ingress: String(ingress), egress: String(egress) })]
      : []),
  ];
}

/** A network of a container, and what of it is there now. */
interface Place {
  readonly spec: EndpointSpec;
  readonly network: Network;
  readonly endpoint: Endpoint | undefined;
}

async function placesOf(tx: ReadTx, container: Container): Promise<Place[]> {
  const endpoints = await endpointsOf(tx, workloadOfContainer(container));
  const places: Place[] = [];
  for (const spec of container.networks) {
    const network = await findNetwork(tx, spec.network);
    places.push({ spec, network, endpoint: endpoints.find((e) => e.network === network.id) });
  }
  return places;
}

/** Which endpoint is meant. @throws NetloomError ENOTCONNECTED, EBADOPTION where it could be several */
function choosePlace(
  container: Container,
  places: readonly Place[],
  update: Parsed,
  wanted: Network | '' | undefined,
): Place {
  const refuse = (code: string, message: string, hint: string): never => {
    throw new NetloomError(code, `container "${container.name}" ${message}`, { hint });
  };
  if (wanted) {
    const place = places.find(({ network }) => network.id === wanted.id);
    return place ?? refuse('ENOTCONNECTED', `is not connected to network "${wanted.name}"`, 'connect it first');
  }
  const [only] = places;
  if (!only) return refuse('ENOTCONNECTED', 'is connected to no network', 'connect it to one first');
  if (places.length === 1) return only;
  const rates = update.ingressRate !== undefined || update.egressRate !== undefined;
  const names = places.map(({ network }) => network.name).join(', ');
  if (rates) return refuse('EBADOPTION', `is on several networks (${names}): say which`, 'add --network NAME');
  const publishing = places.find(({ endpoint }) => endpoint !== undefined && endpoint.ports.length > 0);
  return publishing ?? places.find(({ network }) => driverOf(network).whyNotPublished(network) === '') ?? only;
}

/** What is not there now changes in the record only. Host ports are claimed at the start, as those of the first one. */
async function decideForLater(
  tx: Tx,
  container: Container,
  places: readonly Place[],
  place: Place,
  update: Parsed,
): Promise<Decision<Endpoint>> {
  const why = driverOf(place.network).whyNotPublished(place.network);
  if ((update.publish?.length ?? 0) > 0 && why !== '') {
    throw new NetloomError(
      place.network.internal ? 'EINTERNAL_NETWORK' : 'ENOPUBLISH',
      `network "${place.network.name}" ${why}`,
      { hint: 'connect the container to a bridge network with a way out, too' },
    );
  }
  const ports = askedWithout(container.ports, update, container.name);
  const networks = ratesIn(container, place, update);
  await tx.put(KEYS.containers + container.id, { ...container, ports, networks });
  const spec = networks[places.indexOf(place)];
  const later: Endpoint = {
    id: '',
    network: place.network.id,
    container: container.id,
    type: driverOf(place.network).endpointType,
    netns: container.netns,
    netnsId: '',
    ifname: spec?.ifname ?? '',
    hostIfname: '',
    mac: spec?.mac ?? '',
    addresses: [],
    gateways: [],
    aliases: spec?.aliases ?? [],
    gatewayPriority: spec?.gatewayPriority ?? 0,
    ports: [],
    rates: { ingress: spec?.ingressRate ?? 0, egress: spec?.egressRate ?? 0 },
    created: container.created,
    phase: 'ready',
    owner: '',
  };
  return {
    key: `container/${container.id}`,
    value: later,
    changes: [],
    settle: () => Promise.resolve(later),
    revert: async (tx) => tx.put(KEYS.containers + container.id, container),
  };
}

function ratesIn(container: Container, place: Place, { ingressRate, egressRate }: Parsed): readonly EndpointSpec[] {
  return container.networks.map((spec) =>
    spec === place.spec
      ? { ...spec, ...(ingressRate !== undefined && { ingressRate }), ...(egressRate !== undefined && { egressRate }) }
      : spec,
  );
}

/** @throws NetloomError EBADMODE; ECONTAINERBUSY where an engine died in the middle of changing it */
function changeable(container: Container): Container {
  if (container.mode.kind !== 'networks') {
    throw new NetloomError(
      'EBADMODE',
      `container "${container.name}" is in network mode ${container.mode.kind}: it has no networks of its own`,
    );
  }
  if (container.phase === 'ready') return container;
  throw new NetloomError('ECONTAINERBUSY', `container "${container.name}" was left half made or half removed`, {
    hint: `netloom start ${container.name} makes it whole, netloom rm ${container.name} removes it`,
  });
}
