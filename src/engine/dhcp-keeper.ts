import { withoutLength } from '../addr/index.ts';
import { hasCode, NetloomError } from '../errors.ts';
import { type AcquireOptions, dhcpAcquire, DhcpKeeper, type DhcpLease, dhcpRelease, FOREVER } from '../dhcp/index.ts';
import { Netns, netnsId } from '../kernel/index.ts';
import type { Sample } from '../metrics/index.ts';
import type { Endpoint, Network } from '../model/index.ts';
import { linkGet, parseLink } from '../rtnetlink/index.ts';
import type { Entry } from '../store/index.ts';
import { change, type Decision } from './change.ts';
import type { Core } from './core.ts';
import { HELD, type Held, readdress, recordOf, withLease } from './dhcp-lease.ts';
import { factsOfEndpoint } from './endpoint-facts.ts';
import { settleGateways } from './gateways.ts';
import { Follower, type Reader } from './follow.ts';
import { endpointsOf, KEYS, workloadOf } from './records.ts';
import type { Service } from './services.ts';

/** Nothing is to be done: the endpoint went, or somebody is taking it away. */
class Superseded extends Error {}

/**
 * Looks after what was leased from DHCP servers of the LAN, for as long as a resident engine lives: renews it, follows
 * what the server changes, takes addresses away whose time is over, asks for new ones, and gives back what belonged to
 * endpoints that are no more, however they ended. All of it is in the store: the next engine goes on with it.
 */
export class LeaseKeeping implements Service, Reader {
  readonly #core: Core;
  readonly #keeper = new DhcpKeeper();
  readonly #held = new Map<string, Held>();
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #stop = new AbortController();
  /** What is under way, by endpoint: one after another. */
  readonly #work = new Map<string, Promise<void>>();
  readonly #acquiring = new Set<Promise<unknown>>();
  /** The last to ask, by MAC address. */
  readonly #asking = new Map<string, Promise<void>>();
  #follower: Follower | undefined;

  private constructor(core: Core) {
    this.#core = core;
    this.#keeper.onChange((id, lease) => this.#enqueue(id, () => this.#follow(id, lease)));
    this.#keeper.onTrouble((id, error) => {
      if (this.#stop.signal.aborted) return;
      core.meter.count('netloom_dhcp_renewals_total', { result: 'failed' });
      this.#fault(this.#endpoints.get(id), error);
    });
  }

  static async begin(core: Core): Promise<LeaseKeeping> {
    const leases = new LeaseKeeping(core);
    leases.#follower = await Follower.start(core.store, [HELD, KEYS.endpoints], leases);
    return leases;
  }

  /**
   * Gets a lease for an endpoint in the making; given up when the engine ends. Clients that share a MAC address ask one
   * after another: servers that go by it offer all of them the same address at first. @throws as `dhcpAcquire`, ESTOPPING
   */
  async acquire(options: Omit<AcquireOptions, 'signal'>): Promise<DhcpLease> {
    const { signal } = this.#stop;
    const { mac } = options;
    const before = this.#asking.get(mac) ?? Promise.resolve();
    const running = before.then(() => {
      if (signal.aborted) throw signal.reason;
      return dhcpAcquire({ ...options, signal });
    });
    const settled = running.then(
      () => undefined,
      () => undefined,
    );
    this.#asking.set(mac, settled);
    void settled.then(() => {
      if (this.#asking.get(mac) === settled) this.#asking.delete(mac);
    });
    this.#acquiring.add(settled);
    void settled.then(() => this.#acquiring.delete(settled));
    return await running;
  }

  /** Says to the server that nobody uses an address any more: one message by the host's own interface, which may be lost. */
  giveBack(held: Held): void {
    if (held.lease.expiresAt <= Date.now()) return;
    const options = { netns: this.#core.kernel.host, ifname: held.below, mac: held.mac, clientId: held.clientId };
    void dhcpRelease(held.lease, options).then(
      () => this.tell('release', undefined, held.lease),
      (error: unknown) => {
        // with the interface below, or the network, the segment itself is gone
        if (!hasCode(error, 'ENODEV')) this.#fault(undefined, error);
      },
    );
  }

  tell(action: string, endpoint: Endpoint | undefined, lease: DhcpLease | undefined): void {
    this.#core.events.publish({
      type: 'dhcp',
      action,
      id: endpoint?.id ?? '',
      name: endpoint ? `${endpoint.ifname} in ${endpoint.netns}` : lease ? withoutLength(lease.address) : '',
      attributes: lease
        ? {
            address: lease.address,
            server: lease.server,
            ...(lease.expiresAt !== FOREVER && { expires: new Date(lease.expiresAt).toISOString() }),
          }
        : {},
    });
  }

  load(entries: readonly Entry<unknown>[]): void {
    const known = [...this.#held.keys()];
    this.#held.clear();
    this.#endpoints.clear();
    for (const { key, value } of entries) this.#note(key, value);
    for (const id of known) if (!this.#held.has(id)) this.#keeper.remove(id);
    for (const id of this.#held.keys()) this.#attend(id);
  }

  change(key: string, value: unknown): void {
    this.#attend(this.#note(key, value));
  }

  failed(error: unknown): void {
    this.#fault(undefined, error);
  }

  sample(sample: Sample): void {
    let count = 0;
    for (const { lease } of this.#held.values()) if (lease.expiresAt > Date.now()) count++;
    sample.gauge('netloom_dhcp_leases', {}, count);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new NetloomError('ESTOPPING', 'the engine is stopping'));
    await this.#follower?.[Symbol.asyncDispose]();
    this.#keeper[Symbol.dispose]();
    await Promise.all([...this.#acquiring, ...this.#work.values()]);
  }

  #note(key: string, value: unknown): string {
    const [map, prefix] = key.startsWith(HELD)
      ? ([this.#held, HELD] as const)
      : ([this.#endpoints, KEYS.endpoints] as const);
    const id = key.slice(prefix.length);
    if (value === undefined) map.delete(id);
    else (map as Map<string, unknown>).set(id, value);
    return id;
  }

  /** Begins or ends the care for one lease, as the records now say. */
  #attend(id: string): void {
    const held = this.#held.get(id);
    const endpoint = this.#endpoints.get(id);
    if (!held || !endpoint || endpoint.phase !== 'ready') this.#kept.delete(id);
    if (!held) this.#keeper.remove(id);
    else if (!endpoint) {
      this.#keeper.remove(id);
      this.#enqueue(id, () => this.#release(id));
    } else if (endpoint.phase !== 'ready') this.#keeper.remove(id);
    else if (!this.#kept.has(id)) {
      this.#kept.add(id);
      const { lease, mac, clientId, hostname, broadcast } = held;
      this.#keeper.add(id, lease, {
        netns: () => openOwn(endpoint),
        ifname: endpoint.ifname,
        ...{ mac, clientId },
        ...(hostname !== undefined && { hostname }),
        ...(broadcast && { broadcast }),
      });
    }
  }
  /** What the keeper looks after: what it tells comes back as records, which are no news to it. */
  readonly #kept = new Set<string>();

  #enqueue(id: string, body: () => Promise<void>): void {
    if (this.#stop.signal.aborted) return;
    const before = this.#work.get(id) ?? Promise.resolve();
    const now = before.then(body).catch((error: unknown) => {
      if (!(error instanceof Superseded) && !this.#stop.signal.aborted) this.#fault(this.#endpoints.get(id), error);
    });
    this.#work.set(id, now);
    void now.then(() => {
      if (this.#work.get(id) === now) this.#work.delete(id);
    });
  }

  async #release(id: string): Promise<void> {
    const held = await this.#core.store.transact(async (tx) => {
      const found = await tx.get<Held>(HELD + id);
      if (found) await tx.delete(HELD + id);
      return found;
    });
    // somebody else may have taken it over meanwhile
    if (held) this.giveBack(held);
  }

  /** A lease was renewed or replaced; without one, it is over. */
  async #follow(id: string, lease: DhcpLease | undefined): Promise<void> {
    const core = this.#core;
    const container = this.#endpoints.get(id)?.container ?? '';
    const told = await core.turns.run(container === '' ? id : container, () => this.#write(id, lease));
    if (told === 'renew') core.meter.count('netloom_dhcp_renewals_total', { result: 'ok' });
    this.tell(told, this.#endpoints.get(id), lease ?? this.#held.get(id)?.lease);
  }

  async #write(id: string, lease: DhcpLease | undefined): Promise<'renew' | 'change' | 'expire'> {
    const core = this.#core;
    const endpoint = await core.store.read((tx) => tx.get<Endpoint>(KEYS.endpoints + id));
    const held = await core.store.read((tx) => tx.get<Held>(HELD + id));
    if (endpoint?.phase !== 'ready' || !held) throw new Superseded();
    const network = await core.store.read((tx) => tx.get<Network>(KEYS.networks + endpoint.network));
    if (!network) throw new Superseded();
    // an over-long MTU is left out by what the interface below can carry, not by what it is now
    const after = withLease(
      endpoint,
      lease?.address,
      lease && recordOf(lease, network, await this.#mtuBelow(held, endpoint)),
    );
    if (lease) {
      await core.store.transact(async (tx) => {
        const now = await tx.get<Held>(HELD + id);
        if (!now) throw new Superseded();
        await tx.put(HELD + id, { ...now, lease });
      });
    }
    if (isSame(endpoint, after)) return lease ? 'renew' : 'expire';
    await readdressEndpoint(core, endpoint, after);
    return lease ? 'change' : 'expire';
  }

  async #mtuBelow({ below }: Held, endpoint: Endpoint): Promise<number> {
    using kernel = this.#core.kernel.scope();
    const link = async (ns: string, name: string): Promise<number> => {
      const [message] = await kernel.rtnl(ns).execute(linkGet({ name }));
      return message ? parseLink(message).mtu : 0;
    };
    return await link('', below).catch(() => link(endpoint.netns, endpoint.ifname));
  }

  #fault(endpoint: Endpoint | undefined, error: unknown): void {
    const attributes = {
      error: error instanceof Error ? error.message : String(error),
      cure: error instanceof NetloomError ? error.hint : '',
    };
    const name = endpoint ? `${endpoint.ifname} in ${endpoint.netns}` : 'leases of DHCP';
    this.#core.events.publish({ type: 'dhcp', action: 'fault', id: endpoint?.id ?? '', name, attributes });
  }
}

/** Gives a ready endpoint other addresses and routes; the default route may move to a sibling, or come back. */
async function readdressEndpoint(core: Core, seen: Endpoint, wanted: Endpoint): Promise<void> {
  await change(core, undefined, async (tx): Promise<Decision<Endpoint>> => {
    const now = await tx.get<Endpoint>(KEYS.endpoints + seen.id);
    if (now?.phase !== 'ready') throw new Superseded();
    const workload = await workloadOf(tx, now);
    const before = await endpointsOf(tx, workload);
    const mine = withLease(now, wanted.addresses[0], wanted.lease);
    const { endpoints: after } = await settleGateways(
      tx,
      before.map((each) => (each.id === mine.id ? mine : each)),
      workload,
    );
    const facts = async (all: readonly Endpoint[]): Promise<ReturnType<typeof factsOfEndpoint>> => {
      const found = [];
      for (const endpoint of all) {
        const network = await tx.get<Network>(KEYS.networks + endpoint.network);
        if (network && endpoint.phase === 'ready') found.push(...factsOfEndpoint(network, endpoint, workload));
      }
      return found;
    };
    const changed = after.filter((each) => !before.includes(each));
    for (const each of changed) await tx.put(KEYS.endpoints + each.id, each);
    return {
      // killed in between, the record says what is wanted, and the next look at the kernel makes it so
      key: `endpoint/${mine.id}`,
      value: mine,
      changes: readdress(await facts(before), await facts(after)),
      settle: () => Promise.resolve(mine),
      async revert(tx) {
        for (const each of before) if (!after.includes(each)) await tx.put(KEYS.endpoints + each.id, each);
      },
    };
  });
}

function isSame(a: Endpoint, b: Endpoint): boolean {
  return a.addresses.join() === b.addresses.join() && JSON.stringify(a.lease) === JSON.stringify(b.lease);
}

/** The endpoint's namespace, if it is still the one that it was attached to. @throws SyscallError, NetloomError ENOENT */
function openOwn({ netns, netnsId: id }: Endpoint): Netns {
  const now = netnsId(netns);
  if (now !== '' && now === id) return Netns.open(netns);
  throw new NetloomError('ENOENT', `${netns} is gone, or another namespace by now`);
}
