import { setImmediate } from 'node:timers/promises';
import { parsePrefix } from '../addr/index.ts';
import { OUR_TABLES } from '../facts/index.ts';
import {
  type ForeignFirewall,
  ForeignTables,
  type ForeignVerdict,
  hostSays,
  legacyTables,
  untrackedRefusal,
} from '../firewall/index.ts';
import {
  type Endpoint,
  type FirewallWish,
  formatPort,
  type Outer,
  type Overlay,
  type PortSpec,
  type PublishedPort,
} from '../model/index.ts';
import type { NftTableName } from '../nftables/index.ts';
import { outersOf } from '../overlay/index.ts';
import type { RtnlEvent } from '../rtnetlink/index.ts';
import type { Core } from './core.ts';
import { isLoopback, WaysIn } from './ways-in.ts';

/** What tells of changes, so that what was read can be kept. */
export interface FirewallWatch {
  /** Takes in what the kernel has told until now. */
  drain(): void;
}

/** How long what was read counts as fresh where nobody tells of changes, milliseconds: the length of one request. */
const FRESH_MS = 5000;
/** Ranges are asked for port by port up to here; beyond, by their ends. */
const MOST_PORTS = 256;
/** How long others wait at most while ports are judged, milliseconds. */
const TURN_MS = 10;

/**
 * What the host's own firewall, other programs' rules, says about published ports. A published port is translated before
 * those rules could see it, so they are asked instead: what would become of a connection from the outside to this port,
 * if a program of the host listened there? docs/firewalls.md
 */
export class HostFirewall {
  /** For ports that say nothing themselves. */
  readonly published: FirewallWish;
  readonly #tables = new ForeignTables(OUR_TABLES, 'input', 'output');
  #watch: FirewallWatch | undefined;
  #touched: (() => void) | undefined;
  #ways: WaysIn | undefined;
  #look: Look | undefined;
  #looked = -Infinity;
  #changes = 0;

  constructor(published: FirewallWish) {
    this.published = published;
  }

  /** From now on somebody tells of every change; undefined: from now on nobody does. */
  follow(watch: FirewallWatch | undefined): void {
    this.#watch = watch;
    this.forget();
  }
  /** Who wants to hear that answers may have changed. */
  onTouched(tell: (() => void) | undefined): void {
    this.#touched = tell;
  }

  /** Somebody has changed a table that is not ours. */
  tableTouched(table: NftTableName): void {
    this.#tables.forget(table);
    this.#touched?.();
  }
  /** Something happened to the host's interfaces, addresses or routes. */
  hostTouched(event: RtnlEvent): void {
    if (this.#ways && !this.#ways.concerns(event)) return;
    this.#ways = undefined;
    this.#changes++;
    this.#touched?.();
  }
  /** Anything may have happened. */
  forget(): void {
    this.#tables.forget();
    this.#ways = undefined;
    this.#look = undefined;
    this.#touched?.();
  }

  /** Whether the port is for the host's firewall to judge: not on loopback, and translated on its way. */
  asks(port: Pick<PublishedPort, 'hostAddress' | 'firewall'>, addresses: readonly string[]): boolean {
    if ((port.firewall ?? this.published) === 'open' || isLoopback(port.hostAddress)) return false;
    return !addresses.some((address) => parsePrefix(address).address.text === port.hostAddress);
  }

  /** To be called before a transaction that will decide about ports: what takes its time is read while nobody waits. */
  async prepare(core: Core, ports: readonly Pick<PortSpec, 'firewall'>[] | undefined): Promise<void> {
    if (!ports?.some((port) => (port.firewall ?? this.published) === 'obey')) return;
    if (!this.#watch) this.#looked = -Infinity;
    await this.#now(core);
  }

  /** The same ports, each with what is to be recorded of it. Reads nothing where none of them is to be judged. */
  async decide(
    core: Core,
    endpoint: Pick<Endpoint, 'addresses'>,
    ports: readonly PublishedPort[],
  ): Promise<PublishedPort[]> {
    const decided: PublishedPort[] = [];
    for (const port of ports) {
      const denied = this.asks(port, endpoint.addresses) && (await (await this.#now(core)).denial(port)) !== undefined;
      if (denied === (port.denied === true)) decided.push(port);
      else {
        const { denied: _, ...rest } = port;
        decided.push(denied ? { ...rest, denied } : rest);
      }
    }
    return decided;
  }

  /** For whoever published them: which ports stay closed to the outside, why, and what can be done about it. */
  async warnings(core: Core, ports: readonly PublishedPort[]): Promise<string[]> {
    const closed = new Map<string, { readonly ports: PublishedPort[]; readonly verdict: ForeignVerdict }>();
    for (const port of ports) {
      const verdict = port.denied === true ? await (await this.#now(core)).denial(port) : undefined;
      if (!verdict) continue;
      const key = `${port.protocol} ${port.hostPort} ${reasonOf(verdict).replaceAll('ip6', 'ip')}`;
      const group = closed.get(key);
      if (group) group.ports.push(port);
      else closed.set(key, { ports: [port], verdict });
    }
    return [...closed.values()].map(({ ports, verdict }) => {
      const stays = ports.length === 1 ? 'stays' : 'stay';
      const allow =
        verdict.remedy.length === 0 ? 'allow them there' : `allow them there: ${verdict.remedy.join(' && ')}`;
      return `${ports.map(formatPort).join(' and ')} ${stays} closed to the outside, since ${reasonOf(verdict)}; publish with firewall=open, or ${allow}`;
    });
  }

  /** Why a port is denied, for an event; empty where nothing says so any more. */
  async reason(core: Core, port: PublishedPort): Promise<string> {
    const verdict = await (await this.#now(core)).denial(port);
    return verdict ? reasonOf(verdict) : '';
  }

  /**
   * Why connection tracking must see what the tunnels of a network put around packets; empty where it need not. Undefined
   * where they put nothing around them.
   */
  async whyTracked(core: Core, overlay: Overlay): Promise<string | undefined> {
    const all = outersOf(overlay);
    if (all.length === 0) return undefined;
    const look = await this.#now(core);
    const [unread] = look.firewall.unread;
    if (unread !== undefined) return `rules cannot be read: ${unread}`;
    const legacy = legacyTables().tables;
    for (const { address, outers } of all) {
      const family = address.includes(':') ? 'ip6' : 'ip';
      if (legacy.includes(`${family} filter`)) return `rules of ${family}tables-legacy cannot be read`;
      for (const outer of outers) {
        const refusal = look.refusal(address, outer);
        if (refusal) return refusal;
      }
    }
    return '';
  }

  /** What can be known of the host now. */
  async #now(core: Core): Promise<Look> {
    if (this.#watch) this.#watch.drain();
    else if (this.#look && performance.now() - this.#looked < FRESH_MS) return this.#look;
    else {
      this.#tables.forget();
      this.#ways = undefined;
      this.#looked = performance.now();
    }
    using kernel = core.kernel.scope();
    const { reads } = this.#tables;
    const firewall = await this.#tables.read(kernel.nft(''));
    if (this.#tables.reads > reads) core.meter.count('netloom_host_firewall_reads_total', {});
    const before = this.#changes;
    const ways = this.#ways ?? (await WaysIn.read(kernel.rtnl('')));
    if (this.#changes === before) this.#ways = ways;
    if (this.#look?.firewall !== firewall || this.#look.ways !== ways) this.#look = new Look(firewall, ways);
    return this.#look;
  }
}

/** The host as it was seen, with the answers that were given then. */
class Look {
  readonly firewall: ForeignFirewall;
  readonly ways: WaysIn;
  readonly #answers = new Map<string, ForeignVerdict | undefined>();

  constructor(firewall: ForeignFirewall, ways: WaysIn) {
    this.firewall = firewall;
    this.ways = ways;
  }

  /** What keeps a port, or one of a range, from the outside. */
  async denial(port: PublishedPort): Promise<ForeignVerdict | undefined> {
    const { hostPort, count } = port;
    const asked =
      count <= MOST_PORTS ? Array.from({ length: count }, (_, i) => hostPort + i) : [hostPort, hostPort + count - 1];
    let began = performance.now();
    for (const number of asked) {
      const verdict = this.#answer(port, number);
      if (verdict) return verdict;
      if (performance.now() - began < TURN_MS) continue;
      await setImmediate();
      began = performance.now();
    }
    return undefined;
  }

  /** What keeps a tunnel's packets out, or in, where connection tracking does not see them, in words; undefined: nothing. */
  refusal(address: string, outer: Outer): string | undefined {
    const uplink = this.ways.to(address)?.ifname;
    if (uplink === undefined) return `no interface leads to ${address}`;
    const found = untrackedRefusal(this.firewall, { uplink, address, ...outer });
    return found && reasonOf(found, found.path);
  }

  #answer({ hostAddress, protocol }: PublishedPort, port: number): ForeignVerdict | undefined {
    const key = `${hostAddress} ${protocol} ${port}`;
    if (this.#answers.has(key)) return this.#answers.get(key);
    const way = this.ways.to(hostAddress);
    const said = way && hostSays(this.firewall, { uplink: way.ifname, address: way.address, protocol, port });
    const verdict = said?.presumed === 'drop' ? said : undefined;
    this.#answers.set(key, verdict);
    return verdict;
  }
}

/** `ufw refuses such connections (table ip filter, chain INPUT, its policy)`. */
function reasonOf(said: ForeignVerdict, what = 'such connections'): string {
  const { owner, table, chain, rule, handle, verdict } = said;
  const by = rule === undefined ? 'its policy' : `rule ${handle ?? ''}: ${rule}`;
  return `${owner} refuses ${verdict === 'drop' ? '' : 'most '}${what} (table ${table}, chain ${chain}, ${by})`;
}
