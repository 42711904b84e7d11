import { parseIp } from '../addr/index.ts';

/** A packet of which we know this much: the first one of a connection, as a chain sees it. */
export type Question = Asked & Ends;
interface Asked {
  readonly hook: 'forward' | 'input' | 'output';
  /** Missing in `output`. */
  readonly iifname?: string;
  /** Missing in `input`. */
  readonly oifname?: string;
  readonly protocol: keyof typeof PROTOCOL;
  /** Of its target; missing where the protocol has none. */
  readonly port?: number;
  /** Its destination has been translated: by a published port. */
  readonly dnat?: boolean;
  /** What connection tracking says of it; default: `new`. An error about a packet that was untracked is `invalid`. */
  readonly state?: 'untracked' | 'invalid';
}
/** One of them may be missing: whoever it is. */
type Ends =
  | { readonly source?: string; readonly destination: string }
  | { readonly source: string; readonly destination?: string };

/** Bytes of which some are not known. */
export interface Partial {
  readonly bytes: Uint8Array;
  readonly known: readonly boolean[];
}

export function exactly(bytes: ArrayLike<number>): Partial {
  return { bytes: Uint8Array.from(bytes), known: Array.from({ length: bytes.length }, () => true) };
}
export function unknown(length: number): Partial {
  return { bytes: new Uint8Array(length), known: Array.from({ length }, () => false) };
}

/** What expressions find in the packet. Numbers of the machine's own order are little-endian: all that we run on are. */
export class Packet {
  readonly question: Question;
  readonly family: 4 | 6;
  readonly #network: Partial;
  readonly #transport: Partial;

  constructor(question: Question) {
    this.question = question;
    const destination = question.destination === undefined ? undefined : parseIp(question.destination);
    const source = question.source === undefined ? undefined : parseIp(question.source);
    this.family = (destination ?? source)!.family;
    const head = blank(this.family === 4 ? 20 : 40);
    const [protocol, from, to] = this.family === 4 ? [9, 12, 16] : [6, 8, 24];
    write(head, 0, [this.family === 4 ? 0x45 : 0x60]);
    write(head, protocol, [PROTOCOL[question.protocol]]);
    if (source) write(head, from, source.bytes);
    if (destination) write(head, to, destination.bytes);
    this.#network = head;
    const behind = blank(20);
    if (question.port !== undefined) write(behind, 2, [question.port >> 8, question.port & 0xff]);
    if (question.protocol === 'tcp') write(behind, 13, [SYN]);
    if (this.icmp) write(behind, 0, [this.icmp.type, this.icmp.code]);
    this.#transport = behind;
  }

  /** That what was sent does not fit: the one message of the kind that is asked about. @see RFC 792, RFC 4443 */
  get icmp(): { readonly type: number; readonly code: number } | undefined {
    const { protocol } = this.question;
    if (protocol === 'icmp') return { type: 3, code: 4 };
    return protocol === 'icmpv6' ? { type: 2, code: 0 } : undefined;
  }

  header(base: string, offset: number, length: number): Partial {
    const image = base === 'network' ? this.#network : base === 'transport' ? this.#transport : blank(0);
    const inside = offset + length <= image.bytes.length;
    if (!inside) return unknown(length);
    return { bytes: image.bytes.slice(offset, offset + length), known: image.known.slice(offset, offset + length) };
  }

  meta(key: string): Partial {
    const { iifname = '', oifname = '', protocol } = this.question;
    switch (key) {
      case 'iifname':
        return name(iifname);
      case 'oifname':
        return name(oifname);
      case 'l4proto':
        return exactly([PROTOCOL[protocol]]);
      case 'nfproto':
        return exactly([this.family === 4 ? 2 : 10]);
      case 'pkttype':
        return exactly([PACKET_HOST]);
      case 'protocol':
        return exactly(this.family === 4 ? [0x08, 0x00] : [0x86, 0xdd]);
      default:
        return unknown(4);
    }
  }

  /** Undefined where there is nothing to ask: nothing is known of a packet without a connection, but its state. */
  ct(key: string): Partial | undefined {
    const { state = 'new' } = this.question;
    if (key === 'state') return exactly([STATE[state], 0, 0, 0]);
    if (state !== 'new') return undefined;
    switch (key) {
      case 'status':
        return exactly([this.question.dnat === true ? IPS_DST_NAT : 0, 0, 0, 0]);
      case 'direction':
        return exactly([0]);
      default:
        return unknown(16);
    }
  }

  /** linux/rtnetlink.h RTN_*: where the packet is going, as the routing tables call it. */
  get destinationType(): number {
    return this.question.hook === 'input' ? RTN_LOCAL : RTN_UNICAST;
  }
}

const PROTOCOL = { tcp: 6, udp: 17, sctp: 132, gre: 47, ipencap: 4, esp: 50, icmp: 1, icmpv6: 58 } as const;
/** linux/if_packet.h: for us, and for nobody else */
const PACKET_HOST = 0;
const SYN = 0x02;
/** linux/netfilter/nf_conntrack_common.h, NF_CT_STATE_BIT, NF_CT_STATE_UNTRACKED_BIT; enum ip_conntrack_status */
export const STATE = { new: 8, invalid: 1, untracked: 64 } as const;
const IPS_DST_NAT = 0x20;
const RTN_UNICAST = 1;
const RTN_LOCAL = 2;

/** IFNAMSIZ bytes, with zeros behind. */
function name(text: string): Partial {
  const bytes = new Uint8Array(16);
  bytes.set(new TextEncoder().encode(text));
  return exactly(bytes);
}

interface Draft {
  readonly bytes: Uint8Array;
  readonly known: boolean[];
}
function blank(length: number): Draft {
  return { bytes: new Uint8Array(length), known: Array.from({ length }, () => false) };
}
function write(to: Draft, offset: number, bytes: ArrayLike<number>): void {
  to.bytes.set(Array.from(bytes), offset);
  to.known.fill(true, offset, offset + bytes.length);
}
