import { formatMac, ipFromBytes, parseIp, parseMac } from '../addr/index.ts';
import type { BpfInstruction } from '../kernel/index.ts';
import { ipText } from './option.ts';

/** A UDP datagram with all that was around it. */
export interface Datagram {
  readonly srcMac: string;
  readonly dstMac: string;
  readonly src: string;
  readonly dst: string;
  readonly sport: number;
  readonly dport: number;
  readonly payload: Uint8Array;
}
/** An ICMPv6 message with all that was around it; `payload` begins with its type. */
export interface Icmp6 {
  readonly srcMac: string;
  readonly dstMac: string;
  readonly src: string;
  readonly dst: string;
  readonly payload: Uint8Array;
}

export const BROADCAST_MAC = 'ff:ff:ff:ff:ff:ff';
/** RFC 2131 section 4.1, RFC 8415 section 7.2 */
export const PORT = { SERVER: 67, CLIENT: 68, CLIENT6: 546, SERVER6: 547 } as const;

/** An Ethernet frame with IPv4 and UDP (RFC 791, RFC 768), checksums included. */
export function udp4Frame(datagram: Datagram): Uint8Array {
  const { payload } = datagram;
  const bytes = ethernet(datagram, ETH_P_IP, IP4 + UDP + payload.length);
  const view = new DataView(bytes.buffer);
  bytes[ETH] = 0x45;
  view.setUint16(ETH + 2, IP4 + UDP + payload.length);
  bytes[ETH + 8] = 64;
  bytes[ETH + 9] = IPPROTO_UDP;
  bytes.set(parseIp(datagram.src).bytes, ETH + 12);
  bytes.set(parseIp(datagram.dst).bytes, ETH + 16);
  view.setUint16(ETH + 10, fold(sum(bytes, ETH, ETH + IP4)) ^ 0xffff);
  putUdp(bytes, ETH + IP4, datagram, sum(bytes, ETH + 12, ETH + 20));
  return bytes;
}
/** An Ethernet frame with IPv6 and UDP (RFC 8200), checksums included. */
export function udp6Frame(datagram: Datagram): Uint8Array {
  const bytes = ip6(datagram, IPPROTO_UDP, UDP + datagram.payload.length);
  putUdp(bytes, ETH + IP6, datagram, sum(bytes, ETH + 8, ETH + IP6));
  return bytes;
}
/** An Ethernet frame with IPv6 and ICMPv6 (RFC 4443), hop limit 255 as neighbour discovery wants it; fills its checksum. */
export function icmp6Frame(packet: Icmp6): Uint8Array {
  const { payload } = packet;
  const bytes = ip6(packet, IPPROTO_ICMPV6, payload.length);
  const at = ETH + IP6;
  bytes.set(payload, at);
  bytes.fill(0, at + 2, at + 4);
  const total = sum(bytes, ETH + 8, at) + IPPROTO_ICMPV6 + payload.length + sum(bytes, at, bytes.length);
  new DataView(bytes.buffer).setUint16(at + 2, fold(total) ^ 0xffff);
  return bytes;
}

/** The UDP datagram in an Ethernet frame; undefined for anything else, for fragments and for what is damaged. */
export function readUdp4(frame: Uint8Array): Datagram | undefined {
  if (frame.length < ETH + IP4 + UDP || u16(frame, 12) !== ETH_P_IP || frame[ETH]! >> 4 !== 4) return undefined;
  const header = (frame[ETH]! & 15) * 4;
  const total = u16(frame, ETH + 2);
  if (header < IP4 || total < header + UDP || ETH + total > frame.length) return undefined;
  if (frame[ETH + 9] !== IPPROTO_UDP || (u16(frame, ETH + 6) & 0x3fff) !== 0) return undefined;
  if (fold(sum(frame, ETH, ETH + header)) !== 0xffff) return undefined;
  const udp = readUdp(frame, ETH + header, ETH + total, sum(frame, ETH + 12, ETH + 20));
  return udp && { ...macs(frame), src: ipText(frame, ETH + 12), dst: ipText(frame, ETH + 16), ...udp };
}
/** As readUdp4 for IPv6. Extension headers are not followed: nobody puts them before DHCP. */
export function readUdp6(frame: Uint8Array): Datagram | undefined {
  const end = ip6End(frame, IPPROTO_UDP);
  if (end === 0) return undefined;
  const udp = readUdp(frame, ETH + IP6, end, sum(frame, ETH + 8, ETH + IP6));
  return udp && { ...macs(frame), ...ip6Addresses(frame), ...udp };
}
/** The neighbour discovery message in a frame; undefined for anything else, and unless its hop limit says "from this link". */
export function readIcmp6(frame: Uint8Array): Icmp6 | undefined {
  const end = ip6End(frame, IPPROTO_ICMPV6);
  const at = ETH + IP6;
  if (end < at + 4 || frame[ETH + 7] !== 255) return undefined;
  const total = sum(frame, ETH + 8, at) + IPPROTO_ICMPV6 + (end - at) + sum(frame, at, end);
  if (fold(total) !== 0xffff) return undefined;
  return { ...macs(frame), ...ip6Addresses(frame), payload: frame.subarray(at, end) };
}

/** Who sent this frame, by its own word. */
export function sourceOf(frame: Uint8Array): string {
  return frame.length >= ETH ? formatMac(frame.subarray(6, 12)) : '';
}

/** An ARP probe: who has `address`, asked by one that has none. @see RFC 5227 section 2.1.1 */
export function arpProbe(mac: string, address: string): Uint8Array {
  const bytes = ethernet({ srcMac: mac, dstMac: BROADCAST_MAC }, ETH_P_ARP, 46);
  bytes.set([0, 1, 8, 0, 6, 4, 0, 1], ETH);
  bytes.set(parseMac(mac), ETH + 8);
  bytes.set(parseIp(address).bytes, ETH + 24);
  return bytes;
}
/** Who says in this ARP packet that it has `address`, or is about to take it (another's probe); undefined for nobody. */
export function arpClaim(frame: Uint8Array, mac: string, address: string): string | undefined {
  if (frame.length < ETH + 28 || u16(frame, 12) !== ETH_P_ARP) return undefined;
  const sender = formatMac(frame.subarray(ETH + 8, ETH + 14));
  if (sender === mac) return undefined;
  const has = ipText(frame, ETH + 14);
  const probes = has === '0.0.0.0' && u16(frame, ETH + 6) === 1 && ipText(frame, ETH + 24) === address;
  return has === address || probes ? sender : undefined;
}

/** Filters for packet sockets: the whole packet, or nothing of it. @see bpf(4), Documentation/networking/filter.rst */
export function udp4Filter(port: number): BpfInstruction[] {
  return [
    [LD_B, 0, 0, ETH + 9],
    [JEQ, 0, 6, IPPROTO_UDP],
    [LD_H, 0, 0, ETH + 6],
    [JSET, 4, 0, 0x3fff], // a fragment
    [LDX_MSH, 0, 0, ETH],
    [LD_H_X, 0, 0, ETH + 2],
    [JEQ, 0, 1, port],
    [RET, 0, 0, 0xffff],
    [RET, 0, 0, 0],
  ];
}
/** Router solicitations, and UDP to `port`. */
export function router6Filter(port: number): BpfInstruction[] {
  return [
    [LD_B, 0, 0, ETH + 6],
    [JEQ, 3, 0, IPPROTO_ICMPV6],
    [JEQ, 0, 5, IPPROTO_UDP],
    [LD_H, 0, 0, ETH + IP6 + 2],
    [JEQ, 2, 3, port],
    [LD_B, 0, 0, ETH + IP6],
    [JEQ, 0, 1, ND_ROUTER_SOLICIT],
    [RET, 0, 0, 0xffff],
    [RET, 0, 0, 0],
  ];
}
export function everything(): BpfInstruction[] {
  return [[RET, 0, 0, 0xffff]];
}

/** linux/if_ether.h */
export const ETH_P_IP = 0x0800;
export const ETH_P_ARP = 0x0806;
export const ETH_P_IPV6 = 0x86dd;

function ethernet(macs: { srcMac: string; dstMac: string }, protocol: number, size: number): Uint8Array {
  const bytes = new Uint8Array(ETH + size);
  bytes.set(parseMac(macs.dstMac));
  bytes.set(parseMac(macs.srcMac), 6);
  bytes[12] = protocol >>> 8;
  bytes[13] = protocol & 0xff;
  return bytes;
}
function ip6(around: Icmp6, protocol: number, size: number): Uint8Array {
  const bytes = ethernet(around, ETH_P_IPV6, IP6 + size);
  bytes[ETH] = 0x60;
  bytes[ETH + 4] = size >>> 8;
  bytes[ETH + 5] = size & 0xff;
  bytes[ETH + 6] = protocol;
  bytes[ETH + 7] = 255;
  bytes.set(parseIp(around.src).bytes, ETH + 8);
  bytes.set(parseIp(around.dst).bytes, ETH + 24);
  return bytes;
}
function putUdp(bytes: Uint8Array, at: number, { sport, dport, payload }: Datagram, addresses: number): void {
  const view = new DataView(bytes.buffer);
  const length = UDP + payload.length;
  view.setUint16(at, sport);
  view.setUint16(at + 2, dport);
  view.setUint16(at + 4, length);
  bytes.set(payload, at + UDP);
  const check = fold(addresses + IPPROTO_UDP + length + sum(bytes, at, at + length)) ^ 0xffff;
  view.setUint16(at + 6, check === 0 ? 0xffff : check); // 0 would mean that there is none
}
function readUdp(
  frame: Uint8Array,
  at: number,
  end: number,
  addresses: number,
): Pick<Datagram, 'sport' | 'dport' | 'payload'> | undefined {
  const length = u16(frame, at + 4);
  if (end - at < UDP || length < UDP || at + length > end) return undefined;
  const check = u16(frame, at + 6);
  const pseudo = addresses + IPPROTO_UDP + length;
  // A packet that never left this machine may carry the pseudo header's sum alone: the rest was left to hardware that
  // it did not meet (CHECKSUM_PARTIAL, linux/skbuff.h).
  if (check !== 0 && fold(pseudo + sum(frame, at, at + length)) !== 0xffff && check !== fold(pseudo)) return undefined;
  return { sport: u16(frame, at), dport: u16(frame, at + 2), payload: frame.subarray(at + UDP, at + length) };
}
/** Where the packet ends, or 0 when it is none of that protocol. */
function ip6End(frame: Uint8Array, protocol: number): number {
  if (frame.length < ETH + IP6 + 8 || u16(frame, 12) !== ETH_P_IPV6 || frame[ETH]! >> 4 !== 6) return 0;
  const end = ETH + IP6 + u16(frame, ETH + 4);
  return frame[ETH + 6] === protocol && end <= frame.length && end >= ETH + IP6 + 8 ? end : 0;
}
function ip6Addresses(frame: Uint8Array): { src: string; dst: string } {
  return {
    src: ipFromBytes(frame.subarray(ETH + 8, ETH + 24)).text,
    dst: ipFromBytes(frame.subarray(ETH + 24, ETH + 40)).text,
  };
}
function macs(frame: Uint8Array): { srcMac: string; dstMac: string } {
  return { dstMac: formatMac(frame.subarray(0, 6)), srcMac: formatMac(frame.subarray(6, 12)) };
}
function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
/** The sum of 16-bit words that the checksum of RFC 1071 is the complement of, before folding. */
function sum(bytes: Uint8Array, start: number, end: number): number {
  let total = 0;
  let at = start;
  for (; at + 1 < end; at += 2) total += (bytes[at]! << 8) | bytes[at + 1]!;
  return at < end ? total + (bytes[at]! << 8) : total;
}
function fold(total: number): number {
  let value = total;
  while (value > 0xffff) value = (value & 0xffff) + (value >>> 16);
  return value;
}

const ETH = 14;
const IP4 = 20;
const IP6 = 40;
const UDP = 8;
const IPPROTO_UDP = 17;
const IPPROTO_ICMPV6 = 58;
const ND_ROUTER_SOLICIT = 133;

/** linux/filter.h, linux/bpf_common.h: BPF_LD|BPF_B|BPF_ABS and so on */
const LD_B = 0x30;
const LD_H = 0x28;
const LD_H_X = 0x48;
const LDX_MSH = 0xb1;
const JEQ = 0x15;
const JSET = 0x45;
const RET = 0x06;
