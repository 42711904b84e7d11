import { type NlMessage, NLM_F, type NlWriter, type Request } from '../netlink/index.ts';
import { attrsOf, request } from './codec.ts';
import { NETNSA, RTM } from './constants/index.ts';

/** A namespace: a descriptor of it, or a process in it. */
export type NetnsSelector = { readonly fd: number } | { readonly pid: number };

/** What number another namespace has in this one: the `linkNetnsid` of links. */
export interface Nsid {
  /** -1 where it has none. */
  readonly nsid: number;
}

/** `ip netns set`: gives the other namespace a number here; -1 lets the kernel choose. EEXIST where it has one. */
export function nsidSet(netns: NetnsSelector, nsid: number): Request {
  return request(RTM.NEWNSID, 0, `RTM_NEWNSID ${nsid}`, (w) => {
    writeSelector(w, netns);
    w.i32(NETNSA.NSID, nsid);
  });
}
/** The number of the other namespace. One message answers, with -1 where it has none. */
export function nsidGet(netns: NetnsSelector): Request {
  return request(RTM.GETNSID, 0, 'RTM_GETNSID', (w) => writeSelector(w, netns));
}
/** `ip netns list-id` */
export function nsidDump(): Request {
  return request(RTM.GETNSID, NLM_F.DUMP, 'RTM_GETNSID dump', (w) => void w.rawU32(0));
}

/** RTM_NEWNSID or RTM_DELNSID. @throws MalformedError */
export function parseNsid(message: NlMessage): Nsid {
  const attrs = attrsOf(message, 4);
  let nsid = -1;
  for (const a of attrs) if (a.type === NETNSA.NSID) nsid = a.i32();
  attrs.throwIfMalformed();
  return { nsid };
}

/** struct rtgenmsg, padded, and the namespace. linux/net_namespace.h */
function writeSelector(w: NlWriter, netns: NetnsSelector): void {
  w.rawU32(0);
  if ('fd' in netns) w.u32(NETNSA.FD, netns.fd);
  else w.u32(NETNSA.PID, netns.pid);
}
