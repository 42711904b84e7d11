import { withoutLength } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import type { DhcpLease } from '../dhcp/index.ts';
import { quote, runIn } from '../facts/index.ts';
import { type Container, type Endpoint, type Network, type PlanStep, shortId } from '../model/index.ts';
import { linkGet, parseLink } from '../rtnetlink/index.ts';
import type { Tx } from '../store/index.ts';
import type { Change } from './apply.ts';
import type { Later } from './change.ts';
import type { Core } from './core.ts';
import {
  asksServer,
  belowOf,
  clientIdOf,
  HELD,
  type Held,
  readdress,
  recordOf,
  takeOver,
  withLease,
} from './dhcp-lease.ts';
import { factsOfEndpoint } from './endpoint-facts.ts';
import { settleGateways } from './gateways.ts';
import type { KernelScope } from './kernel.ts';
import { endpointsOf, KEYS, type Workload } from './records.ts';

/** An endpoint in the making, as far as leases go. */
interface Planned {
  readonly endpoint: Endpoint;
  readonly network: Network;
  /** The address that was asked for; empty: whichever the server gives. */
  readonly fixed: string;
}

/** @throws NetloomError ENEEDSDAEMON: whoever takes a lease must be there to renew it */
export function requireKeeper(core: Core, network: Network): void {
  if (core.services) return;
  throw new NetloomError(
    'ENEEDSDAEMON',
    `network "${network.name}" takes its addresses from a DHCP server: somebody must be there to renew the leases`,
    { hint: 'start the daemon: netloom daemon' },
  );
}

/**
 * The part of an attachment that begins when the links are there: asks the segment's DHCP server from inside the
 * workload's namespace, and says which addresses and routes follow. Undefined where no endpoint needs that.
 */
export function acquisitionFor(core: Core, plans: readonly Planned[], workload: Workload): Acquisition | undefined {
  const asking = plans.filter(({ network, endpoint }) => asksServer(network, endpoint));
  return asking.length === 0 ? undefined : new Acquisition(core, asking, workload);
}

export class Acquisition implements Later {
  readonly steps: readonly PlanStep[];
  readonly #core: Core;
  readonly #plans: readonly Planned[];
  readonly #workload: Workload;
  readonly #held = new Map<string, Held>();
  readonly #told = new Set<string>();
  /** The workload's endpoints that became different: those that wait for a lease, and who gave up the default route. */
  readonly #changed = new Map<string, Endpoint>();

  constructor(core: Core, plans: readonly Planned[], workload: Workload) {
    this.#core = core;
    this.#plans = plans;
    this.#workload = workload;
    this.steps = plans.map(({ endpoint }) => ({
      object: `endpoint ${endpoint.ifname} of ${workload.name}`,
      kind: 'address',
      verb: 'add',
      // what a person would run; the address is whatever the server gives
      command: `${runIn(endpoint.netns, `udhcpc -i ${quote(endpoint.ifname)} -n -q`)} # address and routes come by DHCP`,
    }));
  }

  async run(kernel: KernelScope): Promise<readonly Change[]> {
    const container = await this.#core.store.read((tx) =>
      tx.get<Container>(KEYS.containers + this.#workload.container),
    );
    const results = await Promise.allSettled(this.#plans.map((plan) => this.#acquire(kernel, plan, container)));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) {
      this.abandon();
      throw failed.reason;
    }
    const { before, after } = await this.#core.store.read(async (tx) => {
      const before = await endpointsOf(tx, this.#workload);
      const leased = before.map((endpoint) => this.#changed.get(endpoint.id) ?? endpoint);
      const { endpoints } = await settleGateways(tx, leased, this.#workload);
      const networks = new Map<string, Network>();
      for (const { network } of before) {
        const known = await tx.get<Network>(KEYS.networks + network);
        if (known) networks.set(network, known);
      }
      for (const endpoint of endpoints) if (!before.includes(endpoint)) this.#changed.set(endpoint.id, endpoint);
      const factsOf = (all: readonly Endpoint[]): ReturnType<typeof factsOfEndpoint> =>
        all.flatMap((endpoint) => {
          const network = networks.get(endpoint.network);
          return network ? factsOfEndpoint(network, endpoint, this.#workload) : [];
        });
      return { before: factsOf(before), after: factsOf(endpoints) };
    });
    return readdress(before, after);
  }

  /** Best effort: without it, the server waits until the leases run out. */
  abandon(): void {
    for (const held of this.#held.values()) this.#core.services?.leases.giveBack(held);
    this.#held.clear();
  }

  /** The endpoint as it is now. */
  endpoint(given: Endpoint): Endpoint {
    return this.#changed.get(given.id) ?? given;
  }

  /** Writes the leases down, and who gave up a default route; the endpoints themselves are their attachment's to write. */
  async settle(tx: Tx): Promise<void> {
    for (const [id, held] of this.#held) await tx.put(HELD + id, held);
    for (const [id, { gateways }] of this.#changed) {
      const now = this.#held.has(id) ? undefined : await tx.get<Endpoint>(KEYS.endpoints + id);
      if (now) await tx.put(KEYS.endpoints + id, { ...now, gateways });
    }
    for (const [id, { lease }] of this.#held) {
      if (this.#told.has(id)) continue;
      this.#told.add(id);
      this.#core.services?.leases.tell('bind', this.#changed.get(id), lease);
    }
  }

  async #acquire(kernel: KernelScope, plan: Planned, container: Container | undefined): Promise<void> {
    const { endpoint, network, fixed } = plan;
    const { netns, ifname } = endpoint;
    const leases = this.#core.services?.leases;
    if (!leases) throw new NetloomError('ESTOPPING', 'the engine is stopping');
    const [message] = await kernel.rtnl(netns).execute(linkGet({ name: ifname }));
    if (!message) throw new NetloomError('ENODEV', `no interface ${ifname} in ${netns}`);
    const { mac, mtu } = parseLink(message);
    const clientId = clientIdOf(network, endpoint);
    const identity = {
      mac,
      clientId,
      ...(container && { hostname: hostnameOf(container) }),
      // its frames are told apart by IP addresses, of which it has none yet
      ...(endpoint.type === 'ipvlan' && { broadcast: true as const }),
    };
    const earlier = await this.#core.store.transact((tx) => takeOver(tx, clientId));
    const requested = fixed !== '' ? fixed : earlier && withoutLength(earlier.lease.address);
    const lease = await leases.acquire({
      netns: kernel.netns(netns),
      ifname,
      ...identity,
      ...(requested !== undefined && { requested }),
    });
    this.#held.set(endpoint.id, { below: belowOf(network, endpoint), ...identity, lease });
    if (fixed !== '' && withoutLength(lease.address) !== fixed) throw otherAddress(network, fixed, lease);
    this.#changed.set(endpoint.id, withLease(endpoint, lease.address, recordOf(lease, network, mtu)));
  }
}

/** Servers put it into their DNS: where nobody chose a hostname, the container's name says more. */
function hostnameOf({ id, name, hostname }: Container): string {
  const usable = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(name);
  return hostname === shortId(id) && usable ? name : hostname;
}

function otherAddress(network: Network, fixed: string, lease: DhcpLease): NetloomError {
  return new NetloomError(
    'EADDRTAKEN',
    `network "${network.name}": its DHCP server ${lease.server} gives ${withoutLength(lease.address)} instead of ${fixed}`,
    { hint: 'reserve the address at the server, or leave it out' },
  );
}
