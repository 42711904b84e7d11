import { parseIp } from '../addr/index.ts';

/** A packet of which we know this much: the first one of a connection, as a chain sees it. */
export interface Question {
  readonly hook: 'forward' | 'input';
  readonly iifname: string;
  /** Missing in `input`. */
  readonly oifname?: string;
  /** Missing: whoever it is. */
  readonly source?: string;
  readonly destination: string;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly port: number;
  /** Its destination has been translated: by a published port. */
  readonly dnat?: boolean;
}

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
    const destination = parseIp(question.destination);
    const source = question.source === undefined ? undefined : parseIp(question.source);
    this.family = destination.family;
    const head = blank(this.family === 4 ? 20 : 40);
    const [protocol, from, to] = this.family === 4 ? [9, 12, 16] : [6, 8, 24];
    write(head, 0, [this.family === 4 ? 0x45 : 0x60]);
    write(head, protocol, [PROTOCOL[question.protocol]]);
    if (source) write(head, from, source.bytes);
    write(head, to, destination.bytes);
    this.#network = head;
    const ports = blank(20);
    write(ports, 2, [question.port >> 8, question.port & 0xff]);
    if (question.protocol === 'tcp') write(ports, 13, [SYN]);
    this.#transport = ports;
  }

  header(base: string, offset: number, length: number): Partial {
    const image = base === 'network' ? this.#network : base === 'transport' ? this.#transport : blank(0);
    const inside = offset + length <= image.bytes.length;
    if (!inside) return unknown(length);
    return { bytes: image.bytes.slice(offset, offset + length), known: image.known.slice(offset, offset + length) };
  }

  meta(key: string): Partial {
    const { iifname, oifname = '', protocol } = this.question;
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

  ct(key: string): Partial {
    switch (key) {
      case 'state':
        return exactly([STATE_NEW, 0, 0, 0]);
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

const PROTOCOL = { tcp: 6, udp: 17, sctp: 132 } as const;
/** linux/if_packet.h: for us, and for nobody else */
const PACKET_HOST = 0;
const SYN = 0x02;
/** linux/netfilter/nf_conntrack_common.h, NF_CT_STATE_BIT(IP_CT_NEW); enum ip_conntrack_status */
export const STATE_NEW = 8;
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
