import { type Ip, parsePrefix, type Prefix } from '../addr/index.ts';
import { hasCode } from '../errors.ts';
import { isOurGroup, PROTOCOL, type SysctlFact } from '../facts/index.ts';
import { type Netns, readSysctl } from '../kernel/index.ts';
import type { Occupied } from '../model/index.ts';
import type { NetlinkConn } from '../netlink/index.ts';
import {
  addressDump,
  ipMessages,
  type Link,
  linkDump,
  parseAddress,
  parseLink,
  parseRoute,
  routeDump,
} from '../rtnetlink/index.ts';

/** What of the host matters to a new network. */
export interface HostView {
  readonly links: readonly Link[];
  /** Its own, without prefix length. */
  readonly addresses: readonly Ip[];
  /** Every route but default ones, and every address, our own networks' left out. */
  readonly used: readonly Occupied[];
  /** Bytes: of the interface that the default route leaves by; 1500 where there is none. */
  readonly uplinkMtu: number;
  /** Bridged frames pass the rule set too, so that a port's own traffic comes back to it as a frame, not as a packet. */
  readonly bridgeNetfilter: boolean;
  /** Interfaces whose default IPv6 route came by router advertisement. */
  readonly advertised: readonly string[];
}

/** linux/rtnetlink.h RTPROT_RA */
const RTPROT_RA = 9;
const RT_TABLE_LOCAL = 255;
const DEFAULT_MTU = 1500;

/** Looks at links, addresses and routes of every table: a VPN's routes often live in one of their own. */
export async function viewHost(host: Netns, conn: NetlinkConn): Promise<HostView> {
  const links = new Map((await conn.execute(linkDump())).map(parseLink).map((link) => [link.index, link]));
  const routes = ipMessages(await conn.execute(routeDump())).map(parseRoute);
  const addresses = ipMessages(await conn.execute(addressDump())).map(parseAddress);
  const foreign = (index: number): boolean => !isOurGroup(links.get(index)?.group ?? 0);
  const nameOf = (index: number): string => links.get(index)?.name ?? `interface ${index}`;
  const used: Occupied[] = [];
  for (const route of routes) {
    const prefix = parsePrefix(route.dst);
    // to other hosts' parts of shared networks, by an interface that is not ours
    if (route.protocol === PROTOCOL) continue;
    if (route.table === RT_TABLE_LOCAL || prefix.length === 0 || isLinkLocal(prefix) || !foreign(route.oif)) continue;
    const way = route.gateway === '' ? '' : ` via ${route.gateway}`;
    used.push({
      kind: 'route',
      label: `the route to ${route.dst}${way}${route.oif === 0 ? '' : ` dev ${nameOf(route.oif)}`}`,
      prefix,
    });
  }
  for (const address of addresses) {
    const prefix = parsePrefix(address.address);
    if (isLinkLocal(prefix) || !foreign(address.index)) continue;
    used.push({ kind: 'route', label: `the address ${address.address} on ${nameOf(address.index)}`, prefix });
  }
  const defaults = routes.filter(
    (route) => parsePrefix(route.dst).length === 0 && route.oif !== 0 && route.type === 'unicast',
  );
  const uplink = defaults.toSorted((a, b) => a.family - b.family || a.metric - b.metric)[0];
  return {
    links: [...links.values()],
    addresses: addresses.map(({ address }) => parsePrefix(address).address),
    used,
    uplinkMtu: (uplink && links.get(uplink.oif)?.mtu) || DEFAULT_MTU,
    bridgeNetfilter: bridgeNetfilter(host),
    advertised: [
      ...new Set(defaults.filter((r) => r.family === 6 && r.protocol === RTPROT_RA).map((r) => nameOf(r.oif))),
    ],
  };
}

/**
 * A host that forwards IPv6 stops listening to router advertisements, and would lose its default route when that
 * expires: interfaces that live from them are told to go on.
 * @see linux Documentation/networking/ip-sysctl.rst accept_ra
 */
export function keepAdvertisements(host: Netns, view: HostView, object: string): SysctlFact[] {
  return view.advertised
    .map((dev) => ({ dev, name: `net.ipv6.conf.${dev.replaceAll('.', '/')}.accept_ra` }))
    .filter(({ name }) => readSysctl(host, name) === '1')
    .map(({ dev, name }): SysctlFact => ({ kind: 'sysctl', ns: '', object, name, value: '2', dev }));
}

/** @see linux Documentation/networking/bridge.rst; without the module there is no such parameter */
function bridgeNetfilter(host: Netns): boolean {
  try {
    return readSysctl(host, 'net.bridge.bridge-nf-call-iptables') === '1';
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'EUNSUPPORTED')) return false;
    throw error;
  }
}

function isLinkLocal(prefix: Prefix): boolean {
  const { family, bytes } = prefix.address;
  const [a = 0, b = 0] = bytes;
  return family === 4
    ? a === 127 || a >= 224
    : a === 0xff || (a === 0xfe && (b & 0xc0) === 0x80) || prefix.address.text === '::1';
}
