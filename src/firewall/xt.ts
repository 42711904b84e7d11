import type { XtExpr } from '../nftables/index.ts';
import { type Packet, STATE_NEW } from './packet.ts';

/** Whether a condition holds. */
export type Ternary = 'yes' | 'no' | 'maybe';

/** What an extension of iptables says about the packet: of those that matter for the first packet of a connection. */
export function xtMatches({ name, revision, info }: XtExpr, packet: Packet): Ternary {
  const view = new DataView(info.buffer, info.byteOffset, info.byteLength);
  const u16 = (at: number): number => view.getUint16(at, true);
  const { port, protocol, dnat } = packet.question;
  try {
    switch (name) {
      case 'comment':
        return 'yes';
      case 'conntrack': {
        // linux/netfilter/xt_conntrack.h, struct xt_conntrack_mtinfo3: flags at 146, states at 150
        if (revision < 2 || u16(146) !== XT_CONNTRACK_STATE) return 'maybe';
        const mask = u16(150);
        const holds = (mask & STATE_NEW) !== 0 || (dnat === true && (mask & XT_STATE_DNAT) !== 0);
        return answer(holds, (u16(148) & XT_CONNTRACK_STATE) !== 0);
      }
      case 'state':
        // linux/netfilter/xt_state.h
        return answer((view.getUint32(0, true) & STATE_NEW) !== 0, false);
      case 'tcp':
      case 'udp': {
        // linux/netfilter/xt_tcpudp.h: ranges of source and destination ports
        if (name !== protocol) return 'no';
        const plain = u16(0) === 0 && u16(2) === 0xffff && info[name === 'tcp' ? 11 : 8] === 0;
        const options = name === 'tcp' && (info[8] !== 0 || info[9] !== 0);
        const inside = port >= u16(4) && port <= u16(6);
        return plain && !options ? answer(inside, false) : inside ? 'maybe' : 'no';
      }
      case 'multiport': {
        // linux/netfilter/xt_multiport.h, struct xt_multiport_v1
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

function answer(holds: boolean, inverted: boolean): Ternary {
  return holds !== inverted ? 'yes' : 'no';
}

/** linux/netfilter/xt_conntrack.h */
const XT_CONNTRACK_STATE = 1;
const XT_STATE_DNAT = 1 << 7;
const MULTIPORT_DESTINATION = 1;
