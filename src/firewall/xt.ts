import type { XtExpr } from '../nftables/index.ts';
import { type Packet, STATE } from './packet.ts';

/**
 * Whether a condition holds. Between yes and no, where it asks for what is not known: what holds for few packets (one
 * source, a mark, more than a limit) is `maybe`, and what holds for all but those is `likely`.
 */
export type Likelihood = 'no' | 'maybe' | 'likely' | 'yes';

const ORDER: readonly Likelihood[] = ['no', 'maybe', 'likely', 'yes'];

export function both(a: Likelihood, b: Likelihood): Likelihood {
  return ORDER.indexOf(a) < ORDER.indexOf(b) ? a : b;
}
export function either(a: Likelihood, b: Likelihood): Likelihood {
  return ORDER.indexOf(a) < ORDER.indexOf(b) ? b : a;
}
export function negate(a: Likelihood): Likelihood {
  return ORDER[3 - ORDER.indexOf(a)]!;
}

/** What an extension of iptables says about the packet: of those that matter for the first packet of a connection. */
export function xtMatches({ name, revision, info }: XtExpr, packet: Packet): Likelihood {
  const view = new DataView(info.buffer, info.byteOffset, info.byteLength);
  const u16 = (at: number): number => view.getUint16(at, true);
  const { port = -1, protocol, dnat, state = 'new' } = packet.question;
  try {
    switch (name) {
      case 'comment':
        return 'yes';
      case 'conntrack': {
        // linux/netfilter/xt_conntrack.h, struct xt_conntrack_mtinfo3: flags at 146, states at 150
        if (revision < 2) return 'maybe';
        const [flags, mask] = [u16(146), u16(150)];
        const bit = state === 'untracked' ? XT_STATE_UNTRACKED : STATE[state];
        const holds = (mask & bit) !== 0 || (dnat === true && (mask & XT_STATE_DNAT) !== 0);
        const said = answer(holds, (u16(148) & XT_CONNTRACK_STATE) !== 0);
        if (flags === XT_CONNTRACK_STATE) return said;
        if (state === 'new') return 'maybe';
        // without a connection nothing else can be true
        return (flags & XT_CONNTRACK_STATE) === 0 ? 'no' : said;
      }
      case 'state':
        // linux/netfilter/xt_state.h, whose bit for what is untracked is nft's
        return answer((view.getUint32(0, true) & STATE[state]) !== 0, false);
      case 'tcp':
      case 'udp': {
        // linux/netfilter/xt_tcpudp.h: ranges of source and destination ports
        if (name !== protocol) return 'no';
        const [sources, flags] = [name === 'tcp' ? 11 : 8, name === 'tcp' ? info[9]! : 0];
        const inverted = info[sources]!;
        const inside = port >= u16(4) && port <= u16(6);
        if (inside === ((inverted & XT_INV_DSTPT) !== 0)) return 'no';
        // of the first packet of a connection these are known: SYN, and nothing else
        if (flags !== 0 && ((TCP_SYN & flags) === info[10]) === ((inverted & XT_TCP_INV_FLAGS) !== 0)) return 'no';
        const anySource = u16(0) === 0 && u16(2) === 0xffff;
        return anySource && (name === 'udp' || info[8] === 0) ? 'yes' : 'maybe';
      }
      case 'sctp': {
        // linux/netfilter/xt_sctp.h: destination and source ports, chunks; what is asked for, and of that inverted, behind
        if (name !== protocol) return 'no';
        const [flags, inverted] = [view.getUint32(284, true), view.getUint32(288, true)];
        const inside = port >= u16(0) && port <= u16(2);
        if ((flags & XT_SCTP_DEST_PORTS) !== 0 && inside === ((inverted & XT_SCTP_DEST_PORTS) !== 0)) return 'no';
        return (flags & ~XT_SCTP_DEST_PORTS) === 0 ? 'yes' : 'maybe';
      }
      case 'icmp':
      case 'icmp6': {
        // linux/netfilter_ipv4/ip_tables.h, struct ipt_icmp; linux/netfilter_ipv6/ip6_tables.h: type, codes, inverted
        const { icmp } = packet;
        if (!icmp) return 'no';
        const [type, least, most, inverted] = [info[0]!, info[1]!, info[2]!, info[3]!];
        const holds = type === ANY_ICMP || (type === icmp.type && icmp.code >= least && icmp.code <= most);
        return answer(holds, (inverted & 1) !== 0);
      }
      case 'multiport': {
        // linux/netfilter/xt_multiport.h, struct xt_multiport_v1
        if (port < 0) return 'no';
        const [side, count] = [info[0]!, info[1]!];
        if (side !== MULTIPORT_DESTINATION) return 'maybe';
        let inside = false;
        for (let i = 0; i < count; i++) {
          const first = u16(2 + 2 * i);
          const last = info[32 + i] === 1 ? u16(2 + 2 * ++i) : first;
          inside ||= port >= first && port <= last;
        }
        return answer(inside, info[47] === 1);
      }
      case 'addrtype': {
        // linux/netfilter/xt_addrtype.h, struct xt_addrtype_info_v1: masks of source's and destination's types
        const [source, destination] = [u16(0), u16(2)];
        if (source !== 0) return 'maybe';
        return answer((destination & (1 << packet.destinationType)) !== 0, (view.getUint32(4, true) & 2) !== 0);
      }
      case 'pkttype':
        // linux/netfilter/xt_pkttype.h: PACKET_HOST
        return answer(view.getUint32(0, true) === 0, view.getUint32(4, true) !== 0);
      case 'limit':
        return 'likely';
      case 'connlimit':
        // linux/netfilter/xt_connlimit.h: mask, limit, flags; inverted: up to the limit
        return (view.getUint32(20, true) & 1) !== 0 ? 'likely' : 'maybe';
      case 'recent':
        // linux/netfilter/xt_recent.h: seconds, hits, what is asked, inverted; to note somebody succeeds always
        if ((info[8]! & XT_RECENT_SET) !== 0) return answer(true, info[9] !== 0);
        return info[9] === 0 ? 'maybe' : 'likely';
      case 'set':
        // linux/netfilter/xt_set.h: index, dimensions, flags
        return (info[3]! & IPSET_INV_MATCH) === 0 ? 'maybe' : 'likely';
      case 'iprange':
        // linux/netfilter/xt_iprange.h: four addresses, flags
        return (info[64]! & IPRANGE_SRC_INV) === 0 ? 'maybe' : 'likely';
      default:
        return 'maybe';
    }
  } catch (error) {
    if (error instanceof RangeError) return 'maybe'; // shorter than it should be
    throw error;
  }
}

/** What a target of iptables does with a packet; `continue` for those that only note something. */
export function xtVerdict({ name }: XtExpr): 'drop' | 'accept' | 'continue' | 'unknown' {
  if (name === 'REJECT') return 'drop';
  if (['LOG', 'NFLOG', 'ULOG', 'MARK', 'CONNMARK', 'TCPMSS', 'CLASSIFY', 'AUDIT', 'SET', 'TRACE', 'CT'].includes(name))
    return 'continue';
  return ['MASQUERADE', 'SNAT', 'DNAT', 'REDIRECT'].includes(name) ? 'accept' : 'unknown';
}

function answer(holds: boolean, inverted: boolean): Likelihood {
  return holds !== inverted ? 'yes' : 'no';
}

/** linux/netfilter/xt_conntrack.h */
const XT_CONNTRACK_STATE = 1;
const XT_STATE_DNAT = 1 << 7;
const XT_STATE_UNTRACKED = 1 << 8;
/** linux/netfilter_ipv4/ip_tables.h */
const ANY_ICMP = 255;
const MULTIPORT_DESTINATION = 1;
/** linux/netfilter/xt_tcpudp.h XT_TCP_INV_*, of which XT_UDP_INV_* has the same first two */
const XT_INV_DSTPT = 0x02;
const XT_TCP_INV_FLAGS = 0x04;
const TCP_SYN = 0x02;
const XT_SCTP_DEST_PORTS = 0x02;
const XT_RECENT_SET = 1 << 1;
/** linux/netfilter/ipset/ip_set.h, linux/netfilter/xt_iprange.h */
const IPSET_INV_MATCH = 1;
const IPRANGE_SRC_INV = 1 << 4;
