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
