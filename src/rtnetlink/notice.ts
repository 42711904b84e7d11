import type { NlMessage } from '../netlink/index.ts';
import { attrsOf, i32At } from './codec.ts';

/** What is told of an interface beside the objects that `parseEvent` reads: enough to know where to look. */
export interface Notice {
  /** `tc`: queueing disciplines, classes and filters. `netconf`: parameters below net.ipv4.conf and net.ipv6.conf. */
  readonly kind: 'tc' | 'netconf';
  /** Index of the interface; -1 for all of them, -2 for those to come. linux/netconf.h NETCONFA_IFINDEX_ALL, _DEFAULT */
  readonly index: number;
}

/** linux/rtnetlink.h RTM_NEWQDISC … RTM_DELTFILTER, RTM_NEWNETCONF, RTM_DELNETCONF */
const TC = { first: 36, last: 45 } as const;
const NETCONF = { first: 80, last: 81 } as const;
/** linux/netconf.h */
const NETCONFA_IFINDEX = 1;

/** Undefined for a message of another type. @throws MalformedError */
export function parseNotice(message: NlMessage): Notice | undefined {
  const { type, payload } = message;
  if (type >= TC.first && type <= TC.last) {
    attrsOf(message, 20); // struct tcmsg
    return { kind: 'tc', index: i32At(payload, 4) };
  }
  if (type < NETCONF.first || type > NETCONF.last) return undefined;
  const attrs = attrsOf(message, 4); // struct netconfmsg, padded
  let index = 0;
  for (const a of attrs) if (a.type === NETCONFA_IFINDEX) index = a.i32();
  attrs.throwIfMalformed();
  return { kind: 'netconf', index };
}

/** What the kernel calls a message: `RTM_DELLINK`. */
export function messageName({ type }: NlMessage): string {
  return NAMES.get(type) ?? `rtnetlink message ${type}`;
}
/** linux/rtnetlink.h */
const NAMES: ReadonlyMap<number, string> = new Map([
  [16, 'RTM_NEWLINK'],
  [17, 'RTM_DELLINK'],
  [20, 'RTM_NEWADDR'],
  [21, 'RTM_DELADDR'],
  [24, 'RTM_NEWROUTE'],
  [25, 'RTM_DELROUTE'],
  [28, 'RTM_NEWNEIGH'],
  [29, 'RTM_DELNEIGH'],
  [32, 'RTM_NEWRULE'],
  [33, 'RTM_DELRULE'],
  [36, 'RTM_NEWQDISC'],
  [37, 'RTM_DELQDISC'],
  [44, 'RTM_NEWTFILTER'],
  [45, 'RTM_DELTFILTER'],
  [80, 'RTM_NEWNETCONF'],
  [81, 'RTM_DELNETCONF'],
  [89, 'RTM_DELNSID'],
]);
