import { setTimeout as sleep } from 'node:timers/promises';
import {
  claimPrefixes,
  choosePrefixes,
  type Loan,
  loansOf,
  type Member,
  type NodeRecord,
  partsOf,
  settleBackend,
  SHARED,
  type SharedEndpoint,
  type SharedNetwork,
} from '../cluster/index.ts';
import {
  contains,
  type Family,
  type Ip,
  overlaps,
  parsePrefix,
  type Prefix,
  randomMac,
  withoutLength,
} from '../addr/index.ts';
import { hasCode, NetloomError } from '../errors.ts';
import type { ChangeOptions, Network, NodeBgp, Outcome, Overlay, Peer } from '../model/index.ts';
import type { Entry, SharedStore } from '../store/index.ts';
import { bgpHere, knowsAll, memberBgp } from './bgp-settings.ts';
import type { Core } from './core.ts';
import { Faults } from './faults.ts';
import type { Reader } from './follow.ts';
import { forgetOldKeys, type HostKeys, intervalOf, keysFor } from './host-keys.ts';
import { changeOthers, type OtherChange } from './others.ts';
import { chooseHostAddresses } from './host-addresses.ts';
import { listLeases } from '../ipam/index.ts';
import { keepShared, putBack } from './kept.ts';
import { LENT, type Lent } from './lent.ts';
import { DRAINING, PEERS, type Remote, REMOTES } from './overlay.ts';
import { ensureApplied } from './network-applied.ts';
import { isKeyUsed, noteKeyUsed } from './rekey.ts';
import { endpointsOn, KEYS } from './records.ts';
import { adoptLoans } from './set-aside.ts';
import { type HereOf, servedHere } from './served.ts';
import { workloadOf } from './served-ports.ts';
import { dropShared, TAKING, takeShared } from './shared-networks.ts';
import { withTracking } from './tracking.ts';
import { isDirect, type Underlay } from './underlay.ts';

/** After which what failed is tried again, milliseconds. */
const RETRY = 2000;
/** For how long a former backend stays after the last member has changed, milliseconds. */
const SETTLE = 2000;
/** Between two looks whether the way to every other host is known by the new backend, milliseconds. */
const LOOK = 250;
/**
 * So long the kernel keeps what leads to hosts and endpoints that etcd does not know any more when this host comes back,
 * milliseconds: where its data was put back to an earlier state, each host writes down again what is its own.
 */
export const GRACE = 15_000;
/** How many peers and endpoints are made part of the kernel at once. */
const BATCH = 500;

/**
 * What the cluster's records say, on this host: its networks are made here, other nodes and their endpoints become peers
 * and remotes of the embedded store, from which everything else follows, and which stays when etcd is away.
 */
export class Mirror implements Reader, AsyncDisposable {
  readonly #core: Core;
  readonly #store: SharedStore;
  readonly #node: NodeRecord;
  readonly #underlay: Underlay;
  readonly #bgp: NodeBgp | undefined;
  /** Every record below SHARED.root, by its key. */
  readonly records: Map<string, unknown> = new Map();
  readonly #networks = new Set<string>();
  /** Of peers and endpoints, by network. */
  readonly #others = new Map<string, Set<string>>();
  /** Networks that were not here yet when peers or endpoints of theirs came. */
  readonly #early = new Set<string>();
  readonly #stop = new AbortController();
  readonly #broken = new AbortController();
  /** What was not in the records when all of them were read, and may be here. */
  #sweep = false;
  /** This host's own record has changed. */
  #own = false;
  #work: Promise<void> | undefined;
  /** What could not be made here. */
  readonly faults: Faults;
  readonly #settling = new Map<string, NodeJS.Timeout>();

  constructor(core: Core, store: SharedStore, node: NodeRecord, underlay: Underlay, bgp?: NodeBgp) {
    this.#core = core;
    this.#store = store;
    this.#node = node;
    this.#underlay = underlay;
    this.#bgp = bgp;
    this.faults = new Faults(core.events);
  }

  /** Aborted when the records cannot be followed any longer. */
  get broken(): AbortSignal {
    return this.#broken.signal;
  }

  network(id: string): SharedNetwork | undefined {
    return this.records.get(SHARED.networks + id) as SharedNetwork | undefined;
  }
  all<T>(root: string): T[] {
    const found: T[] = [];
    for (const [key, value] of this.records) if (key.startsWith(root)) found.push(value as T);
    return found;
  }

  load(entries: readonly Entry<unknown>[]): void {
    this.records.clear();
    // a host before what is on it: else all of that would be made at once, when its host comes
    for (const { key } of entries) if (key.startsWith(SHARED.members)) this.#mark(key);
    for (const { key, value } of entries) {
      this.records.set(key, value);
      this.#mark(key);
    }
    this.#sweep = true;
    this.#kick();
  }

  change(key: string, value: unknown): void {
    const before = this.records.get(key);
    if (value === undefined) this.records.delete(key);
    else this.records.set(key, value);
    if (value !== undefined && JSON.stringify(before) === JSON.stringify(value)) return;
    this.#mark(key);
    this.#kick();
  }

  failed(error: unknown): void {
    this.#broken.abort(error);
  }

  /** Does nothing any more, whatever it is told. */
  async rest(): Promise<void> {
    this.#stop.abort();
    for (const timer of this.#settling.values()) clearTimeout(timer);
    await this.settled();
  }

  /** Resolves when everything that was told is done, or has failed. */
  async settled(): Promise<void> {
    while (this.#work) await this.#work;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.rest();
  }

  #mark(key: string): void {
    if (key === SHARED.nodes + this.#node.name) this.#own = true;
    if (key.startsWith(SHARED.networks)) this.#networks.add(key.slice(SHARED.networks.length));
    for (const root of [SHARED.members, SHARED.endpoints]) {
      if (!key.startsWith(root)) continue;
      const { network, id } = partsOf(key, root);
      if (root === SHARED.members && (id === this.#node.name || this.network(network)?.former))
        this.#networks.add(network);
      if (root === SHARED.members && id === this.#node.name) continue;
      this.#markOther(network, key);
    }
  }

  #markOther(network: string, key: string): void {
    const keys = this.#others.get(network) ?? new Set();
    this.#others.set(network, keys.add(key));
  }

  #kick(): void {
    this.#work ??= this.#run().finally(() => {
      this.#work = undefined;
      if (!this.#stop.signal.aborted && (this.#own || this.#networks.size > 0 || this.#others.size > 0)) this.#kick();
    });
  }

  async #run(): Promise<void> {
    // what comes with it goes with it
    await Promise.resolve();
    if (this.#sweep) {
      const again = (): void => void (this.#sweep = true);
      await this.#attempt('what etcd does not know', again, () => this.#markLeftovers());
    }
    if (this.#own) {
      const again = (): void => void (this.#own = true);
      await this.#attempt('this host itself', again, () => this.#noteOwn());
    }
    for (const id of [...this.#networks]) {
      if (this.#stop.signal.aborted) return;
      this.#networks.delete(id);
      await this.#attempt(
        `network ${this.network(id)?.name ?? id}`,
        () => this.#networks.add(id),
        () => this.#network(id),
      );
    }
    for (const [id, keys] of [...this.#others]) {
      const batch: string[] = [];
      for (const key of keys) {
        if (batch.length === BATCH) break;
        batch.push(key);
        keys.delete(key);
      }
      if (keys.size === 0) this.#others.delete(id);
      if (this.#stop.signal.aborted) return;
      // they are marked again once their network is as it should be
      if (this.faults.has(`network ${this.network(id)?.name ?? id}`)) continue;
      await this.#attempt(
        `other hosts of network ${this.network(id)?.name ?? id}`,
        () => {
          for (const key of batch) this.#markOther(id, key);
        },
        () => this.#changeOthers(id, batch),
      );
    }
  }

  /** One thing that may fail, which is told once, and tried again in a while. */
  async #attempt(what: string, again: () => void, body: () => Promise<void>): Promise<void> {
    try {
      await body();
      this.faults.clear(what);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.faults.note(what, error);
      this.#later(again);
    }
  }

  /** Marks something in a while, and does it. */
  #later(mark: () => void, wait = RETRY): void {
    void sleep(wait, undefined, { signal: this.#stop.signal, ref: false }).then(
      () => {
        mark();
        this.#kick();
      },
      () => undefined,
    );
  }

  async #noteOwn(): Promise<void> {
    this.#own = false;
    const { draining } = (this.records.get(SHARED.nodes + this.#node.name) ?? {}) as Partial<NodeRecord>;
    await this.#core.store.transact((tx) => (draining ? tx.put(DRAINING, true) : tx.delete(DRAINING)));
  }

  /** Networks, peers and endpoints that are here, and that nobody told of. */
  async #markLeftovers(): Promise<void> {
    this.#sweep = false;
    const here = await this.#core.store.read(async (tx) => ({
      networks: await tx.list<Network>(KEYS.networks),
      others: [...(await tx.list<Peer>(PEERS)), ...(await tx.list<Remote>(REMOTES))],
    }));
    for (const { value } of here.networks) {
      const ours = value.overlay && !value.overlay.flannel;
      if (ours && !this.network(value.id)) this.#networks.add(value.id);
    }
    const flannels = new Set(here.networks.filter(({ value }) => value.overlay?.flannel).map(({ value }) => value.id));
    const later: { readonly network: string; readonly key: string }[] = [];
    for (const { key, value } of here.others) {
      const [local, root] = key.startsWith(PEERS) ? [PEERS, SHARED.members] : [REMOTES, SHARED.endpoints];
      const shared = root + key.slice(local.length);
      const { network } = partsOf(shared, root);
      if (this.records.has(shared) || flannels.has(network)) continue;
      if (this.#isReplaced(`${root}${network}/`, value)) this.#markOther(network, shared);
      else later.push({ network, key: shared });
    }
    if (later.length === 0) return;
    this.#later(() => {
      for (const { network, key } of later) if (!this.records.has(key)) this.#markOther(network, key);
    }, GRACE);
  }

  /** Whether what was a peer's or an endpoint's is another's by now. */
  #isReplaced(root: string, gone: Peer | Remote): boolean {
    const had = prefixesOf(gone);
    return this.all<Member | SharedEndpoint>(root).some((one) =>
      prefixesOf(one).some((prefix) => had.some((other) => overlaps(prefix, other))),
    );
  }

  async #network(id: string): Promise<void> {
    const network = this.network(id) ?? (await putBack(this.#core, this.#store, id));
    if (!network) {
      await this.#core.turns.run(TAKING, () => dropShared(this.#core, id));
      return;
    }
    await this.#core.turns.run(TAKING, () => this.take(network));
    // those that came before their network
    if (!this.#early.delete(id)) return;
    for (const root of [SHARED.members, SHARED.endpoints]) {
      for (const key of this.records.keys()) if (key.startsWith(`${root}${id}/`)) this.#markOther(id, key);
    }
  }

  /**
   * Makes this host's part of a network. The caller has the turn of `TAKING`.
   * @param more  one part more of the range, of that family or with that address
   */
  async take(network: SharedNetwork, options?: ChangeOptions, more?: Family | Ip): Promise<Outcome<Network>> {
    const member = this.records.get(`${SHARED.members}${network.id}/${this.#node.name}`) as Member | undefined;
    const { overlay, loans } = await this.#join(network, member, more);
    await adoptLoans(this.#core, network.id, this.#node.name, overlay.self.prefixes, loans);
    const outcome = await takeShared(this.#core, network, overlay, options);
    const late = overlay.self.backend !== network.backend;
    const changes = late && (await knowsAll(this.#core, network, this.records));
    if (late && !changes) this.#lookLater(network.id);
    // it can be reached by both now: the others change over
    const settled = changes
      ? await takeShared(
          this.#core,
          network,
          (await this.#join(network, { ...overlay.self, backend: network.backend })).overlay,
          options,
        )
      : outcome;
    forgetOldKeys(this.#core, network.id, overlay.self);
    if (!late && network.former) this.#settleLater(network.id);
    await keepShared(this.#core, this.#store, network);
    return settled;
  }

  /** What this host would have of a network; nothing is claimed. @param here its part of it, where it has one */
  async rehearse(network: SharedNetwork, here?: Network): Promise<Overlay> {
    const { member, keys } = await this.#membership(network, undefined, undefined, { here });
    return await this.#part(network, member, keys);
  }

  async #membership(
    network: SharedNetwork,
    member: Member | undefined,
    more?: Family | Ip,
    rehearsal?: { readonly here: Network | undefined },
  ): Promise<{ readonly member: Member; readonly keys: HostKeys }> {
    const { name: node, id: nodeId, addresses } = this.#node;
    // a rehearsal is one transaction of the store, and holds it
    const { here } = rehearsal ?? {
      here: await this.#core.store.read((tx) => tx.get<Network>(KEYS.networks + network.id)),
    };
    const had = here?.overlay?.self;
    const { prefixes, lent } = await this.#store.read(async (tx) => ({
      prefixes: await choosePrefixes(tx, network, { node, nodeId }, more, had?.prefixes),
      lent: await loansOf(tx, network.id),
    }));
    const lost = had?.prefixes.filter((prefix) => !prefixes.includes(prefix)) ?? [];
    if (lost.length > 0 && !rehearsal) await this.#letGo(network, lost);
    // one that is there is changed once all of the new is
    const known = member?.backend ?? had?.backend;
    const backend = known === network.former?.backend ? (known ?? network.backend) : network.backend;
    const mac = member?.mac ?? had?.mac ?? randomMac(this.#core.random);
    const keys = keysFor(this.#core, network, had, rehearsal !== undefined);
    const hostAddresses =
      network.plan === 'flat' &&
      chooseHostAddresses(
        network,
        prefixes,
        had?.hostAddresses ?? member?.hostAddresses ?? [],
        rehearsal ? new Set() : new Set([...(await this.#leased(network.id)), ...lent.keys()]),
      );
    const own = { ...(hostAddresses && { hostAddresses }), ...memberBgp(network, this.#bgp) };
    return { member: { node, addresses, prefixes, ...own, backend, mac, ...keys.told }, keys };
  }

  /** What endpoints here have, and what is lent to other hosts. */
  async #leased(network: string): Promise<readonly string[]> {
    return await this.#core.store.read(async (tx) => {
      const leases = await listLeases(tx, network);
      return [...leases.map(({ address }) => address.text), ...Object.keys((await tx.get<Lent>(LENT + network)) ?? {})];
    });
  }

  /**
   * Prefixes that this host had are another's by now, as when its node was removed while it was away.
   * @throws NetloomError EADDRTAKEN while endpoints here have addresses of them
   */
  async #letGo({ id, name, plan }: SharedNetwork, lost: readonly string[]): Promise<void> {
    const within = (address: string): boolean =>
      lost.some((prefix) => contains(parsePrefix(prefix), parsePrefix(address).address));
    const endpoints = await this.#core.store.read((tx) => endpointsOn(tx, id));
    const using = endpoints.filter(({ addresses }) => addresses.some(within));
    if (using.length > 0) {
      throw new NetloomError(
        'EADDRTAKEN',
        `${lost.join(', ')} of network ${name} is another host's by now: ${using.length} endpoints here have addresses of it`,
        { hint: 'detach them and attach them again' },
      );
    }
    if (plan === 'node') await dropShared(this.#core, id); // its bridge has an address of it
  }

  async #part(network: SharedNetwork, member: Member, { own }: HostKeys): Promise<Overlay> {
    const { dev, mtu, noShortcut } = this.#underlay;
    const { plan, backend, vni, port, directRouting, shortcut, tracked, former } = network;
    const ranges = network.ranges.map(({ subnet }) => subnet);
    const rekey = intervalOf(network);
    const self = { ...member, direct: true, dev, mtu, noShortcut, ...own };
    const bgp = bgpHere(network, this.#bgp);
    const more = {
      ...(shortcut === false && { shortcut }),
      ...(tracked && { tracked }),
      ...(former && { former }),
      ...bgp,
      ...(rekey > 0 && { rekey }),
    };
    return await withTracking(this.#core, { plan, backend, ranges, vni, port, directRouting, ...more, self });
  }

  /** Makes this host a member of a network, its prefixes its own. @returns with all that is lent of the network by then */
  async #join(
    network: SharedNetwork,
    member: Member | undefined,
    more?: Family | Ip,
  ): Promise<{ readonly overlay: Overlay; readonly loans: ReadonlyMap<string, Loan> }> {
    const { name: node, id: nodeId } = this.#node;
    for (;;) {
      const { member: wanted, keys } = await this.#membership(network, member, more);
      try {
        const loans = await this.#store.transact(async (tx) => {
          await claimPrefixes(tx, network, { node, nodeId }, wanted.prefixes);
          // what it wrote a moment ago and has not heard of is newer than what it would write now
          const key = `${SHARED.members}${network.id}/${node}`;
          if (JSON.stringify(this.records.get(key)) !== JSON.stringify(wanted)) await tx.put(key, wanted);
          return await loansOf(tx, network.id);
        });
        return { overlay: await this.#part(network, wanted, keys), loans };
      } catch (error) {
        if (!hasCode(error, 'EEXIST')) throw error; // another host was faster with that prefix
      }
    }
  }

  /** For the ways to the others, which are told by and by. */
  #lookLater(id: string): void {
    clearTimeout(this.#settling.get(id));
    const look = (): void => {
      if (this.#stop.signal.aborted) return;
      this.#networks.add(id);
      this.#kick();
    };
    this.#settling.set(id, setTimeout(look, LOOK).unref());
  }

  /** Others may have heard of the last change a moment ago, and send by the former backend until they have done it. */
  #settleLater(id: string): void {
    clearTimeout(this.#settling.get(id));
    const settle = (): void => {
      this.#settling.delete(id);
      if (this.#stop.signal.aborted) return;
      // whoever does not get to it leaves it to the next one
      this.#store.transact((tx) => settleBackend(tx, id)).catch(() => this.#settleLater(id));
    };
    this.#settling.set(id, setTimeout(settle, SETTLE).unref());
  }

  async #changeOthers(id: string, keys: readonly string[]): Promise<void> {
    const changes: OtherChange[] = [];
    const known = this.network(id) !== undefined;
    const here = known || (await this.#core.store.read((tx) => tx.get(KEYS.networks + id))) !== undefined;
    for (const key of keys) {
      // it goes with the network, which goes with its last endpoint here
      if (here && !known && !this.records.has(key)) continue;
      const root = key.startsWith(SHARED.members) ? SHARED.members : SHARED.endpoints;
      const { id: other } = partsOf(key, root);
      if (root === SHARED.members) {
        const member = other === this.#node.name ? undefined : (this.records.get(key) as Member | undefined);
        const peer: Peer | undefined = member && { ...member, direct: isDirect(this.#underlay, member.addresses) };
        changes.push({ peer: other, value: peer });
      } else {
        const endpoint = this.records.get(key) as SharedEndpoint | undefined;
        const far = endpoint?.node === this.#node.name ? undefined : endpoint;
        const here = far && (await servedHere(this.#core, far));
        changes.push({ remote: other, value: here?.remote });
        this.#left(id, key, here);
      }
    }
    try {
      if (!(await changeOthers(this.#core, id, changes))) this.#early.add(id);
    } catch (error) {
      if (isKeyUsed(error, 'some')) noteKeyUsed(this.#core, id);
      throw error;
    }
    if (changes.some((change) => 'remote' in change && change.value?.ports)) await ensureApplied(this.#core, id);
  }

  /** Ports of every node that this one leaves to the others, as long as somebody here has them. */
  #left(network: string, key: string, here: HereOf | undefined): void {
    const what = `ports of every node, of endpoint ${key.slice(key.lastIndexOf('/') + 1).slice(0, 12)}`;
    if (!here || here.left.length === 0) return this.faults.clear(what);
    this.faults.note(what, `${workloadOf(here.remote)}: ${here.left.join(', ')}`);
    this.#later(() => this.#markOther(network, key));
  }

  /** Judges anew what this host serves for others: its firewall says something else by now. */
  reconsider(): void {
    for (const [key, value] of this.records) {
      if (!key.startsWith(SHARED.endpoints) || !(value as SharedEndpoint).ports) continue;
      this.#markOther(partsOf(key, SHARED.endpoints).network, key);
    }
    this.#kick();
  }
}

/** What is whose: of an endpoint, its bare addresses. */
function prefixesOf(one: Peer | Remote | Member | SharedEndpoint): readonly Prefix[] {
  const texts = 'prefixes' in one ? one.prefixes : one.addresses.map((text) => hostPrefix(text));
  return texts.map((text) => parsePrefix(text));
}
function hostPrefix(address: string): string {
  return `${withoutLength(address)}/${address.includes(':') ? 128 : 32}`;
}
