import { setTimeout as sleep } from 'node:timers/promises';
import { macFor, parseIp, parsePrefix, type Prefix } from '../addr/index.ts';
import { defaultRoutes, driverOf, gatewayMode } from '../drivers/index.ts';
import { hasCode, NetloomError } from '../errors.ts';
import { netnsId } from '../kernel/index.ts';
import { leaseAddresses, releaseAddress } from '../ipam/index.ts';
import {
  type AttachSpec,
  type ChangeOptions,
  type Container,
  type DetachOptions,
  type Endpoint,
  type EndpointSpec,
  formatPort,
  type Network,
  newId,
  type Outcome,
  parseAttachSpec,
  type PortSpec,
  type PublishedPort,
} from '../model/index.ts';
import { linkGet } from '../rtnetlink/index.ts';
import type { Tx } from '../store/index.ts';
import { type Change, removalOf } from './apply.ts';
import { change, type Decision } from './change.ts';
import { forgetConnections, forgetStale } from './conntrack.ts';
import type { Core } from './core.ts';
import { type Acquisition, acquisitionFor, requireKeeper } from './dhcp-acquire.ts';
import { asksServer, seedOf } from './dhcp-lease.ts';
import { factsOfEndpoint } from './endpoint-facts.ts';
import type { NewEvent } from './events.ts';
import { settleGateways } from './gateways.ts';
import { chooseBerth, grow, leaveBerth, takeBerth } from './growth.ts';
import type { KernelScope } from './kernel.ts';
import {
  applyNetwork,
  appliedKey,
  DEFAULT_NETWORK,
  ensureDefaultNetwork,
  forgetApplied,
  knowBridge,
  requireReady,
  withPlan,
} from './networks.ts';
import { requireHeld, requireIngress } from './ingress-ports.ts';
import { lentOf } from './lent.ts';
import { leasingOf, requireNotDraining, requireOwn } from './overlay.ts';
import { claimPorts, releasePorts } from './ports.ts';
import {
  claimEndpointName,
  deleteEndpoint,
  endpointsOf,
  findEndpoint,
  findNetwork,
  KEYS,
  noEndpoint,
  putEndpoint,
  type Workload,
  workloadHandedOver,
  workloadOf,
  workloadOfTap,
} from './records.ts';

export { factsOfEndpoint } from './endpoint-facts.ts';
export { resettleGateways, settleGateways } from './gateways.ts';

export async function endpointAttach(
  core: Core,
  spec: AttachSpec,
  options?: ChangeOptions,
): Promise<Outcome<Endpoint>> {
  const parts = parseAttachSpec(spec);
  const made = await madeBefore(core, parts);
  if (made) return { value: made };
  await core.firewall.prepare(core, parts.ports);
  const first = parts.network === DEFAULT_NETWORK ? await ensureDefaultNetwork(core, options) : [];
  const id = newId(core.random);
  const tap = parts.tap === true ? (parts.ifname ?? `tap${id.slice(0, 11)}`) : undefined;
  const given = parts.handOver === true ? (parts.ifname ?? `vp${id.slice(0, 11)}`) : undefined;
  const ifname = tap ?? given;
  let workload: Workload =
    tap !== undefined
      ? workloadOfTap(tap)
      : given !== undefined
        ? workloadHandedOver(given, parts.name)
        : { container: '', name: spec.netns, netns: spec.netns };
  const wanted = ifname === undefined ? parts : { ...parts, ifname };
  let plan: AttachPlan | undefined;
  const attempt = (): Promise<Outcome<Endpoint>> =>
    change(core, options, async (tx, kernel) => {
      // one clear error for a namespace that is none, before anything is written
      if (ifname === undefined) workload = { ...workload, netnsId: kernel.netns(spec.netns).id };
      else if (tap !== undefined || parts.ifname !== undefined) await requireNoLink(kernel, ifname);
      plan = await planAttach(core, tx, workload, wanted, parts.ports ?? [], id);
      knowBridge(kernel, plan.network, plan.bridgeIndex);
      return await attachDecision(core, plan, workload);
    });
  try {
    return withPlan(await attempt(), first);
  } catch (error) {
    // the same request came twice at the same time
    const same = await madeBefore(core, parts);
    if (same) return { value: same };
    // what is on its way out may have what is wanted
    if (
      core.behind.busy &&
      hasCode(error, 'ENAMETAKEN', 'EADDRTAKEN', 'EPOOLEXHAUSTED', 'EPORTTAKEN', 'ENETWORKFULL')
    ) {
      await core.behind.idle();
      return withPlan(await attempt(), first);
    }
    // the kernel refuses a master that is no longer there as an invalid one
    const stale = plan && (plan.bridgeIndex !== 0 ? hasCode(error, 'EINVAL') : hasCode(error, 'ENODEV', 'EBADPARENT'));
    if (!plan || plan.applies || !stale) throw error;
    await forgetApplied(core, plan.network);
    return withPlan(await attempt(), first);
  } finally {
    if (plan?.crowded) await grow(core, plan.network.id);
  }
}

/**
 * What the same request made when it was made before: its answer was lost. One that another engine is at, or that is being
 * taken away, is waited for. @throws NetloomError EENDPOINTBUSY
 */
async function madeBefore(core: Core, { name, request }: AttachSpec): Promise<Endpoint | undefined> {
  if (name === undefined || request === undefined) return undefined;
  for (let patience = 200; ; patience--) {
    const endpoint = await core.store.read(async (tx) => {
      const id = await tx.get<string>(KEYS.endpointNames + name);
      return id === undefined ? undefined : await tx.get<Endpoint>(KEYS.endpoints + id);
    });
    // another request's is refused in its turn
    if (endpoint?.request !== request) return undefined;
    if (endpoint.phase === 'ready') return endpoint;
    if (patience === 0) {
      throw new NetloomError('EENDPOINTBUSY', `endpoint "${name}" is being made by the same request`, {
        hint: 'ask again in a moment',
      });
    }
    await sleep(50);
  }
}

/** What is in the host's namespace goes by its name alone: one that is somebody else's must not even be written down. @throws NetloomError ECONFLICT */
async function requireNoLink(kernel: KernelScope, name: string): Promise<void> {
  const [reply] = await kernel.rtnl('').batch([linkGet({ name })], { lane: 'here' });
  if (reply?.error) return;
  throw new NetloomError('ECONFLICT', `there is an interface ${name} on the host already`, {
    hint: 'choose another name',
  });
}

export async function endpointDetach(core: Core, ref: string, options?: DetachOptions): Promise<Outcome<Endpoint>> {
  return await change(core, options, async (tx, kernel) => {
    const endpoint = await findEndpoint(tx, ref);
    // somebody is at it, and waits for nobody
    if (endpoint.phase === 'removing' && options?.behind && endpoint.owner === core.id) throw noEndpoint(ref);
    if (endpoint.container !== '') {
      throw new NetloomError('EENDPOINTINUSE', `endpoint ${endpoint.id.slice(0, 12)} belongs to a container`, {
        hint: 'use network disconnect, or remove the container',
      });
    }
    const decision = await planDetach(core, tx, kernel, endpoint, await workloadOf(tx, endpoint));
    // what is left is to give back what it had, which nobody else can have meanwhile
    return { ...decision, settled: decision.value, ...(options?.behind && { behind: true }) };
  });
}

export async function endpointList(core: Core): Promise<readonly Endpoint[]> {
  return (await core.store.read((tx) => tx.list<Endpoint>(KEYS.endpoints))).map((entry) => entry.value);
}

export async function endpointInspect(core: Core, ref: string): Promise<Endpoint> {
  return await core.store.read((tx) => findEndpoint(tx, ref));
}

/** An attachment decided: the endpoint as it will be, what else of the workload changes, and what the kernel must do. */
export interface AttachPlan {
  readonly endpoint: Endpoint;
  readonly network: Network;
  /** The address to be asked of a DHCP server; empty: whichever it gives, or no server is asked. */
  readonly fixed: string;
  /** Other endpoints of the workload, as they were and as they become: the default route may move. */
  readonly moved: readonly { readonly before: Endpoint; readonly after: Endpoint }[];
  readonly changes: readonly Change[];
  /** The network was not known to be in the kernel: the changes bring it, too, and the end of it says so. */
  readonly applies: boolean;
  /** The bridge's index, as the store has it; 0: ask the kernel. */
  readonly bridgeIndex: number;
  /** The network's bridges have little room left: it needs one more. */
  readonly crowded: boolean;
}

/** Leases, claims and records one endpoint. Several in one transaction see each other. */
export async function planAttach(
  core: Core,
  tx: Tx,
  workload: Workload,
  spec: EndpointSpec & Pick<AttachSpec, 'tapUid' | 'name' | 'upstreams' | 'exact' | 'tuning' | 'request'>,
  ports: readonly PortSpec[],
  id: string = newId(core.random),
): Promise<AttachPlan> {
  const network = requireReady(await findNetwork(tx, spec.network));
  await requireNotDraining(tx, network);
  const driver = driverOf(network);
  const siblings = await endpointsOf(tx, workload);
  if (workload.container !== '' && siblings.some((e) => e.network === network.id)) {
    throw new NetloomError('EALREADYCONNECTED', `${workload.name} is connected to network "${network.name}" already`);
  }
  const { tap } = workload;
  if (tap !== undefined && network.options.driver !== 'bridge') {
    throw new NetloomError(
      'EBADOPTION',
      `network "${network.name}" is ${network.driver}: a tap is for bridge networks`,
      {
        hint: 'a virtual machine reaches that segment by a macvtap of its own',
      },
    );
  }
  if (spec.mac !== undefined && !driver.ownMac(network)) {
    throw new NetloomError(
      'EBADOPTION',
      `network "${network.name}": its endpoints have the hardware address of their parent: leave out ${spec.mac}`,
    );
  }
  const type = tap === undefined ? driver.endpointType : 'tap';
  const asks = asksServer(network, { type });
  if (asks && workload.handOver !== undefined) {
    throw new NetloomError(
      'EBADOPTION',
      `network "${network.name}" takes its addresses from the segment’s DHCP server, which nobody can ask for an interface that is handed over`,
      { hint: 'use a network with a subnet of its own' },
    );
  }
  if (asks) requireKeeper(core, network);
  const berth = await chooseBerth(tx, network);
  // a rehearsal asks nobody
  if (spec.addresses && !core.stage) await requireOwn(tx, network, spec.addresses);
  const leases = await leaseAddresses(tx, leasingOf(network, await lentOf(tx, network)), {
    endpoint: id,
    owner: workload.container === '' ? `the endpoint in ${workload.name}` : `container ${workload.name}`,
    // one that a server gives is asked for there
    ...(spec.exact && { exact: true }),
    ...(spec.addresses && { fixed: asks ? spec.addresses.filter((text) => text.includes(':')) : spec.addresses }),
  });
  const draft: Endpoint = {
    id,
    ...(spec.name !== undefined && { name: spec.name }),
    ...(spec.request !== undefined && { request: spec.request }),
    network: network.id,
    container: workload.container,
    type,
    netns: workload.netns,
    netnsId: workload.netnsId ?? '',
    ifname: tap ?? spec.ifname ?? freeIfname(siblings),
    hostIfname: tap ?? driver.hostIfname(id),
    ...(berth.bridge !== undefined && { bridge: berth.bridge }),
    ...(workload.handOver !== undefined && { handOver: true as const }),
    ...(tap !== undefined && spec.tapUid !== undefined && { tapUid: spec.tapUid }),
    mac: driver.ownMac(network) ? (spec.mac ?? macOf(leases, asks ? seedOf(network, workload.container, id) : id)) : '',
    addresses: leases.map((lease) => lease.text),
    gateways: [],
    aliases: spec.aliases ?? [],
    ...(spec.upstreams && { upstreams: spec.upstreams }),
    gatewayPriority: spec.gatewayPriority ?? 0,
    ports: await publishPorts(core, tx, network, { id, addresses: leases.map((lease) => lease.text) }, workload, ports),
    rates: { ingress: spec.ingressRate ?? 0, egress: spec.egressRate ?? 0 },
    ...(spec.tuning && { tuning: spec.tuning }),
    created: core.now().toISOString(),
    phase: 'creating',
    owner: core.id,
  };
  if (siblings.some((e) => e.ifname === draft.ifname)) {
    throw new NetloomError('EIFNAMETAKEN', `${workload.name} has an interface ${draft.ifname} already`);
  }
  const { endpoints, moves } = await settleGateways(tx, [...siblings, draft], workload, network);
  const endpoint = endpoints.find((e) => e.id === id) ?? draft;
  await claimEndpointName(tx, endpoint);
  await putEndpoint(tx, endpoint, workload);
  await takeBerth(tx, endpoint);
  const moved = siblings.flatMap((before) => {
    const after = endpoints.find((e) => e.id === before.id);
    return after && after !== before ? [{ before, after }] : [];
  });
  for (const { after } of moved) await putEndpoint(tx, after, workload);
  const shared = await applyNetwork(core, tx, network);
  return {
    applies: !shared.known,
    bridgeIndex: endpoint.bridge === undefined ? shared.index : 0,
    crowded: berth.crowded,
    endpoint,
    network,
    fixed: (asks && spec.addresses?.[0]) || '',
    moved,
    changes: [
      ...shared.changes,
      // the old default route must go before the new one can come
      ...moves.filter((c) => c.verb === 'delete'),
      ...factsOfEndpoint(network, endpoint, workload).map((fact): Change => ({ verb: 'add', fact })),
    ],
  };
}

/**
 * Claims ports for an endpoint. Where the network is routed, nothing is translated: the port is open at the endpoint's own
 * address, under its own number, and no port of the host is taken. What is translated is asked of the host's firewall.
 * @throws NetloomError EINTERNAL_NETWORK, ENOPUBLISH, and as `claimPorts`
 */
export async function publishPorts(
  core: Core,
  tx: Tx,
  network: Network,
  endpoint: Pick<Endpoint, 'id' | 'addresses'>,
  workload: Workload,
  specs: readonly PortSpec[],
): Promise<PublishedPort[]> {
  if (specs.length === 0) return [];
  const why = driverOf(network).whyNotPublished(network);
  if (why !== '') {
    throw new NetloomError(network.internal ? 'EINTERNAL_NETWORK' : 'ENOPUBLISH', `network "${network.name}" ${why}`, {
      hint: network.internal
        ? 'connect the workload to another network too, or create the network without --internal'
        : 'leave the ports out, or connect the workload to a bridge network too',
    });
  }
  const { options } = network;
  const routed = new Map<number, string>();
  const families = { v4: false, v6: false };
  for (const text of endpoint.addresses) {
    const ip = parsePrefix(text).address;
    const mode = options.driver === 'bridge' ? gatewayMode(options, ip.family) : 'nat';
    if (mode === 'routed') routed.set(ip.family, ip.text);
    else families[ip.family === 4 ? 'v4' : 'v6'] = true;
  }
  const published: PublishedPort[] = [];
  const translated: PortSpec[] = [];
  for (const asked of specs) {
    // of one host alone it is a port like any other
    const spec = network.overlay ? asked : { ...asked, mode: 'host' as const };
    const only = spec.hostAddress === undefined || spec.hostAddress === '' ? 0 : parseIp(spec.hostAddress).family;
    for (const [family, hostAddress] of routed) {
      if (only !== 0 && only !== family) continue;
      const { protocol, containerPort, count, firewall } = spec;
      const port = { protocol, hostAddress, hostPort: containerPort, containerPort, count };
      published.push({ ...port, ...(firewall !== undefined && { firewall }) });
    }
    if (only === 0 ? families.v4 || families.v6 || routed.size === 0 : !routed.has(only)) translated.push(spec);
  }
  const claim = { endpoint: endpoint.id, workload: workload.name };
  const binding = options.driver === 'bridge' ? options.hostBinding : '';
  const claimed = await claimPorts(tx, core.kernel.host, claim, translated, families, binding, core.random);
  const everywhere = claimed.filter(({ mode }) => mode === 'ingress');
  if (specs.some(({ mode }) => mode === 'ingress') && network.overlay) {
    const chosen = translated.some((spec) => spec.mode === 'ingress' && (spec.hostPort === 0 || spec.hostPortEnd));
    requireIngress(network, everywhere, chosen);
    // a rehearsal asks nobody
    if (!core.stage) await requireHeld(tx, everywhere, workload.name);
  }
  return [...(await core.firewall.decide(core, endpoint, claimed)), ...published];
}

/** What the end of a successful attachment writes. @param acquired what servers gave to the endpoints made together */
export async function settleAttach(tx: Tx, plan: AttachPlan, acquired?: Acquisition): Promise<Endpoint> {
  const ready = readyEndpoint(acquired?.endpoint(plan.endpoint) ?? plan.endpoint);
  await tx.put(KEYS.endpoints + ready.id, ready);
  await acquired?.settle(tx);
  if (plan.applies) await tx.put(appliedKey(plan.network), 0);
  return ready;
}

/** As it is once the kernel has all of it. */
export function readyEndpoint(endpoint: Endpoint): Endpoint {
  // a container's namespace is made after its endpoints were planned
  const id = endpoint.container === '' ? endpoint.netnsId : netnsId(endpoint.netns);
  return { ...endpoint, netnsId: id, phase: 'ready', owner: '' };
}

/** Takes back what `planAttach` wrote. */
export async function revertAttach(tx: Tx, plan: AttachPlan, workload: Workload): Promise<void> {
  await forgetEndpoint(tx, plan.network, plan.endpoint, workload);
  for (const { before } of plan.moved) await putEndpoint(tx, before, workload);
}

/** Gives back addresses, ports and the record. */
export async function forgetEndpoint(
  tx: Tx,
  network: Network | undefined,
  endpoint: Endpoint,
  workload: Workload,
): Promise<void> {
  if (network) for (const address of endpoint.addresses) await releaseAddress(tx, network, address, endpoint.id);
  await releasePorts(tx, endpoint.ports, endpoint.id);
  await leaveBerth(tx, endpoint);
  await deleteEndpoint(tx, endpoint, workload);
}

async function attachDecision(core: Core, plan: AttachPlan, workload: Workload): Promise<Decision<Endpoint>> {
  const later = acquisitionFor(core, [plan], workload);
  // the first one of a network also says that the network is there; of what was handed over the kernel cannot tell later
  // whether all of it was made: the record says so before whoever asked is told
  const settled =
    later || plan.applies || plan.endpoint.handOver !== undefined ? undefined : readyEndpoint(plan.endpoint);
  return {
    settled,
    key: '',
    value: plan.endpoint,
    get tells() {
      const endpoint = later?.endpoint(plan.endpoint) ?? plan.endpoint;
      return [endpointEvent('attach', endpoint, plan.network, workload)];
    },
    changes: plan.changes,
    warnings: await core.firewall.warnings(core, plan.endpoint.ports),
    later,
    finish: () => forgetStale(core, plan.endpoint, plan.endpoint.ports),
    async settle(tx) {
      if (settled === undefined) return await settleAttach(tx, plan, later);
      const now = await tx.get<Endpoint>(KEYS.endpoints + settled.id);
      // another process may be taking it away by now
      if (now?.phase === 'creating') await tx.put(KEYS.endpoints + settled.id, settled);
      return settled;
    },
    revert: (tx) => revertAttach(tx, plan, workload),
  };
}

export function endpointEvent(
  action: string,
  endpoint: Endpoint,
  network: Network | undefined,
  workload: Workload,
): NewEvent {
  return {
    type: 'endpoint',
    action,
    id: endpoint.id,
    name: `${endpoint.ifname} of ${workload.name}`,
    attributes: {
      network: network?.name ?? '',
      addresses: endpoint.addresses.join(' '),
      mac: endpoint.mac,
      ...(endpoint.ports.length > 0 && { ports: endpoint.ports.map(formatPort).join(' ') }),
    },
  };
}

/** Marks an endpoint as going and says what must happen; its siblings take over the default route. */
export async function planDetach(
  core: Core,
  tx: Tx,
  kernel: KernelScope,
  endpoint: Endpoint,
  workload: Workload,
): Promise<Decision<Endpoint>> {
  const network = await tx.get<Network>(KEYS.networks + endpoint.network);
  if (network) knowBridge(kernel, network, (await tx.get<number>(appliedKey(network))) ?? 0);
  const removing: Endpoint = { ...endpoint, phase: 'removing', owner: core.id };
  await putEndpoint(tx, removing, workload);
  const siblings = (await endpointsOf(tx, workload)).filter((e) => e.id !== endpoint.id);
  const { endpoints, moves } = await settleGateways(tx, siblings, workload);
  return {
    key: `endpoint/${endpoint.id}`,
    value: removing,
    tells: [endpointEvent('detach', endpoint, network, workload)],
    changes: [
      // the workload keeps a default route: the old one goes first, by itself
      ...(moves.length > 0 ? defaultRoutes(endpoint, '').map((fact): Change => ({ verb: 'delete', fact })) : []),
      ...moves.filter((c) => c.verb === 'add'),
      ...(network ? removalOf(factsOfEndpoint(network, endpoint, workload)) : []),
    ],
    // its links are gone, its addresses not yet given back
    finish: () => forgetConnections(core, [endpoint]),
    async settle(tx) {
      await forgetEndpoint(tx, network, endpoint, workload);
      for (const { id, phase, gateways } of endpoints) {
        // as it is by now: its lease may have been renewed meanwhile
        const now = phase === 'ready' ? await tx.get<Endpoint>(KEYS.endpoints + id) : undefined;
        if (now) await putEndpoint(tx, { ...now, gateways }, workload);
      }
      return removing;
    },
    revert: async (tx) => putEndpoint(tx, { ...removing, owner: '' }, workload),
  };
}

/** Follows from the first address, so that a workload that comes back with its address is known to its neighbours. */
function macOf([first]: readonly Prefix[], id: string): string {
  if (first) return macFor(first.address);
  // locally administered, unicast
  return `02:${id.slice(0, 10).replace(/../g, '$&:').slice(0, -1)}`;
}

function freeIfname(siblings: readonly Endpoint[]): string {
  for (let i = 0; ; i++) if (!siblings.some((e) => e.ifname === `eth${i}`)) return `eth${i}`;
}

/** The workload of a container's endpoints. */
export function workloadOfContainer(container: Container): Workload {
  return { container: container.id, name: container.name, netns: container.netns };
}
