import { contains, parseIp, parsePrefix } from '../addr/index.ts';
import { isOurGroup } from '../facts/index.ts';
import type { NetlinkConn } from '../netlink/index.ts';
import {
  addressDump,
  ipMessages,
  linkDump,
  parseAddress,
  parseLink,
  parseRoute,
  routeDump,
  RT_TABLE,
  type RtnlEvent,
} from '../rtnetlink/index.ts';

/** By which interface the outside comes, and to which address of the host. */
export interface WayIn {
  readonly ifname: string;
  readonly address: string;
}

interface Own {
  readonly index: number;
  readonly family: 4 | 6;
  readonly text: string;
  readonly global: boolean;
}

/** linux/rtnetlink.h RT_SCOPE_UNIVERSE */
const UNIVERSE = 0;
/** Where the host has no address of a family: what a rule for any address says of this one, it says of all. @see RFC 5737, RFC 3849 */
const STAND_IN = { 4: '192.0.2.1', 6: '2001:db8::1' } as const;
const LOOPBACK4 = parsePrefix('127.0.0.0/8');

/** How the outside reaches the host, as far as its firewall is asked about it. Our own bridges lead to nobody outside. */
export class WaysIn {
  readonly #names: ReadonlyMap<number, string>;
  readonly #own: readonly Own[];
  /** Links of ours by index, those that came since included: what happens to their addresses matters to nobody here. */
  readonly #ours: Set<number>;
  readonly #defaults: { readonly 4?: number; readonly 6?: number };

  private constructor(
    names: ReadonlyMap<number, string>,
    own: readonly Own[],
    ours: Set<number>,
    defaults: { readonly 4?: number; readonly 6?: number },
  ) {
    this.#names = names;
    this.#own = own;
    this.#ours = ours;
    this.#defaults = defaults;
  }

  static async read(conn: NetlinkConn): Promise<WaysIn> {
    const links = (await conn.execute(linkDump())).map(parseLink);
    const ours = new Set(links.filter(({ group }) => isOurGroup(group)).map(({ index }) => index));
    const names = new Map(links.map(({ index, name }) => [index, name]));
    const routes = ipMessages(await conn.execute(routeDump({ table: RT_TABLE.MAIN })))
      .map(parseRoute)
      .filter(({ dst, type }) => dst.endsWith('/0') && type === 'unicast')
      .map(({ family, metric, oif, nexthops }) => ({ family, metric, oif: oif || (nexthops[0]?.oif ?? 0) }))
      .filter(({ oif }) => oif !== 0 && !ours.has(oif))
      .toSorted((a, b) => a.metric - b.metric);
    const [v4, v6] = ([4, 6] as const).map((family) => routes.find((route) => route.family === family)?.oif);
    const own = ipMessages(await conn.execute(addressDump()))
      .map(parseAddress)
      .filter(({ index }) => !ours.has(index) && names.get(index) !== 'lo')
      .map(({ index, family, address, scope }): Own => {
        const { text } = parsePrefix(address).address;
        return { index, family, text, global: scope === UNIVERSE };
      });
    return new WaysIn(names, own, ours, { ...(v4 !== undefined && { 4: v4 }), ...(v6 !== undefined && { 6: v6 }) });
  }

  /**
   * For a port on that address: by the interface that has it; where it is on all addresses, by the one that the default
   * route leaves by. Undefined where nobody outside gets there: loopback, and a host without any interface.
   */
  to(hostAddress: string): WayIn | undefined {
    const { family, text, value } = parseIp(hostAddress);
    if (isLoopback(hostAddress)) return undefined;
    const owner = value === 0n ? undefined : this.#own.find((own) => own.text === text);
    if (owner) return this.#way(owner.index, text);
    const index = this.#uplink(family);
    if (index === undefined) return undefined;
    if (value !== 0n) return this.#way(index, text);
    const of = this.#own.filter((own) => own.index === index && own.family === family);
    const address = (of.find(({ global }) => global) ?? of[0])?.text ?? STAND_IN[family];
    return this.#way(index, address);
  }

  /** Whether something that happened on the host may change an answer. To be told of everything, in its order. */
  concerns(event: RtnlEvent): boolean {
    switch (event.kind) {
      case 'route':
        return event.route.table === RT_TABLE.MAIN && event.route.dst.endsWith('/0');
      case 'address':
        return !this.#ours.has(event.address.index) && event.address.scope === UNIVERSE;
      case 'link': {
        const { index, name, group } = event.link;
        if (event.verb === 'delete' && this.#ours.delete(index)) return false;
        if (this.#ours.has(index)) return false;
        if (!this.#names.has(index)) {
          // it has our group from the first message on, and its addresses come after that
          if (event.verb === 'new' && isOurGroup(group)) this.#ours.add(index);
          return false;
        }
        return event.verb === 'delete' || this.#names.get(index) !== name;
      }
      default:
        return false;
    }
  }

  /** Without a default route, whichever interface has an address that others can have heard of. */
  #uplink(family: 4 | 6): number | undefined {
    const other = family === 4 ? 6 : 4;
    const global = this.#own.filter((own) => own.global);
    return (
      this.#defaults[family] ??
      this.#defaults[other] ??
      (global.find((own) => own.family === family) ?? global[0] ?? this.#own[0])?.index
    );
  }
  #way(index: number, address: string): WayIn {
    return { ifname: this.#names.get(index) ?? '', address };
  }
}

export function isLoopback(address: string): boolean {
  const ip = parseIp(address);
  return ip.family === 4 ? contains(LOOPBACK4, ip) : ip.text === '::1';
}
