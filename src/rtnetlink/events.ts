import type { NlMessage } from '../netlink/index.ts';
import { type Address, parseAddress } from './address.ts';
import { AF, RTM, RTNLGRP } from './constants/index.ts';
import { type FdbEntry, parseFdb } from './fdb.ts';
import { type Link, parseLink } from './link.ts';
import { type Neighbour, parseNeighbour } from './neighbour.ts';
import { type Nsid, parseNsid } from './nsid.ts';
import { parseRoute, type Route } from './route.ts';
import { parseRule, type Rule } from './rule.ts';

/** `new` also stands for a change: the kernel tells the whole object again. */
export type EventVerb = 'new' | 'delete';

/** What happened in the namespace of the connection. */
export type RtnlEvent =
  | { readonly kind: 'link'; readonly verb: EventVerb; readonly link: Link }
  | { readonly kind: 'address'; readonly verb: EventVerb; readonly address: Address }
  | { readonly kind: 'route'; readonly verb: EventVerb; readonly route: Route }
  | { readonly kind: 'rule'; readonly verb: EventVerb; readonly rule: Rule }
  | { readonly kind: 'neighbour'; readonly verb: EventVerb; readonly neighbour: Neighbour }
  | { readonly kind: 'fdb'; readonly verb: EventVerb; readonly fdb: FdbEntry }
  | { readonly kind: 'nsid'; readonly verb: EventVerb; readonly nsid: Nsid }
  | BridgePortEvent;

/**
 * A link's membership of a bridge: AF_BRIDGE messages carry the port's settings, and little else of the link. `delete`
 * says that it left the bridge, not that it is gone.
 */
export interface BridgePortEvent {
  readonly kind: 'port';
  readonly verb: EventVerb;
  readonly link: Link;
}

/** The multicast groups whose messages `parseEvent` knows: for NETLINK_ADD_MEMBERSHIP. linux/rtnetlink.h RTNLGRP_* */
export const EVENT_GROUPS: Readonly<Record<Exclude<RtnlEvent['kind'], 'port'>, readonly number[]>> = {
  link: [RTNLGRP.LINK], // of ports also
  address: [RTNLGRP.IPV4_IFADDR, RTNLGRP.IPV6_IFADDR],
  route: [RTNLGRP.IPV4_ROUTE, RTNLGRP.IPV6_ROUTE],
  rule: [RTNLGRP.IPV4_RULE, RTNLGRP.IPV6_RULE],
  neighbour: [RTNLGRP.NEIGH], // of the FDB also
  fdb: [RTNLGRP.NEIGH],
  nsid: [RTNLGRP.NSID],
};

/** Undefined for a message of another kind or family (multicast routing, MPLS). @throws MalformedError */
export function parseEvent(message: NlMessage): RtnlEvent | undefined {
  const family = message.payload[0];
  const isIp = family === AF.INET || family === AF.INET6;
  switch (message.type) {
    case RTM.NEWLINK:
    case RTM.DELLINK:
      if (family !== AF.UNSPEC && family !== AF.BRIDGE) return undefined;
      return {
        kind: family === AF.BRIDGE ? 'port' : 'link',
        verb: verbOf(message, RTM.NEWLINK),
        link: parseLink(message),
      };
    case RTM.NEWADDR:
    case RTM.DELADDR:
      return isIp ? { kind: 'address', verb: verbOf(message, RTM.NEWADDR), address: parseAddress(message) } : undefined;
    case RTM.NEWROUTE:
    case RTM.DELROUTE:
      return isIp ? { kind: 'route', verb: verbOf(message, RTM.NEWROUTE), route: parseRoute(message) } : undefined;
    case RTM.NEWRULE:
    case RTM.DELRULE:
      return isIp ? { kind: 'rule', verb: verbOf(message, RTM.NEWRULE), rule: parseRule(message) } : undefined;
    case RTM.NEWNEIGH:
    case RTM.DELNEIGH:
      if (family === AF.BRIDGE) return { kind: 'fdb', verb: verbOf(message, RTM.NEWNEIGH), fdb: parseFdb(message) };
      if (!isIp) return undefined;
      return { kind: 'neighbour', verb: verbOf(message, RTM.NEWNEIGH), neighbour: parseNeighbour(message) };
    case RTM.NEWNSID:
    case RTM.DELNSID:
      return { kind: 'nsid', verb: verbOf(message, RTM.NEWNSID), nsid: parseNsid(message) };
    default:
      return undefined;
  }
}

function verbOf(message: NlMessage, created: number): EventVerb {
  return message.type === created ? 'new' : 'delete';
}
