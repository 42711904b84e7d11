import { parseIp, parseMac } from '../../src/addr/index.ts';
import { type BpfInstruction, type Netns, PacketSocket } from '../../src/kernel/index.ts';
import { until } from './wait.ts';

/** Ethernet frames as a hostile program makes them: whatever is given, whether it is true or not. */

export const ETHER = { ip: 0x0800, arp: 0x0806, ip6: 0x86dd, all: 0x0003 } as const;
export const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const ALL_NODES_MAC = '33:33:00:00:00:01';

export function ether(to: string, from: string, type: number, body: Uint8Array): Uint8Array {
  return bytes(parseMac(to), parseMac(from), be16(type), body);
}

/** RFC 826 */
export function arp(a: {
  readonly op: 'request' | 'reply';
  readonly from: string;
  readonly to?: string;
  readonly sender: readonly [mac: string, ip: string];
  readonly target: readonly [mac: string, ip: string];
}): Uint8Array {
  const part = ([mac, ip]: readonly [string, string]): Uint8Array => bytes(parseMac(mac), parseIp(ip).bytes);
  const body = bytes(be16(1), be16(0x0800), [6, 4], be16(a.op === 'request' ? 1 : 2), part(a.sender), part(a.target));
  return ether(a.to ?? BROADCAST, a.from, ETHER.arp, body);
}

export interface Datagram {
  readonly from: string;
  readonly to: string;
  readonly src: string;
  readonly dst: string;
  readonly sport: number;
  readonly dport: number;
  readonly text?: string;
}

/** UDP over whatever family the addresses have. */
export function udp({ from, to, src, dst, sport, dport, text = '' }: Datagram): Uint8Array {
  const payload = new TextEncoder().encode(text);
  const body = bytes(be16(sport), be16(dport), be16(8 + payload.length), be16(0), payload);
  return parseIp(src).family === 4 ? ip4(to, from, src, dst, 17, body) : ip6(to, from, src, dst, 17, 64, body);
}

/** An ICMPv6 message of neighbour discovery. @param rest what follows type, code and checksum */
export function icmp6(
  frame: { readonly from: string; readonly to?: string; readonly src: string; readonly dst?: string },
  type: number,
  rest: Uint8Array,
): Uint8Array {
  const { from, to = ALL_NODES_MAC, src, dst = 'ff02::1' } = frame;
  return ip6(to, from, src, dst, 58, 255, bytes([type, 0, 0, 0], rest));
}

/** RFC 4861 section 4.4, flags router, solicited and override as given. */
export function advert(target: string, lladdr: string, flags = 0x20): Uint8Array {
  return bytes([flags, 0, 0, 0], parseIp(target).bytes, [2, 1], parseMac(lladdr));
}
/** RFC 4861 section 4.3 */
export function solicit(target: string, lladdr: string): Uint8Array {
  return bytes([0, 0, 0, 0], parseIp(target).bytes, [1, 1], parseMac(lladdr));
}
/** RFC 4861 section 4.2: a router for half an hour. */
export function routerAdvert(lladdr: string): Uint8Array {
  return bytes([64, 0], be16(1800), new Uint8Array(8), [1, 1], parseMac(lladdr));
}

/** Whole frames out of an interface, by its own program rather than by the kernel's stack. */
export function rawSocket(netns: Netns, ifname = 'eth0'): PacketSocket {
  return PacketSocket.open(netns, ifname, { protocol: ETHER.all, filter: [[0x06, 0, 0, 0]] });
}

/** What arrives at an interface from others. */
export interface Sniffer extends Disposable {
  readonly frames: Uint8Array[];
  /** Waits until a frame has come that holds the text, and says what came before it. */
  upTo(text: string): Promise<Uint8Array[]>;
}

/** @param vlan only frames with that 802.1Q tag */
export function sniff(netns: Netns, type: number = ETHER.all, ifname = 'eth0', vlan?: number): Sniffer {
  const whole: BpfInstruction = [0x06, 0, 0, 0x40000];
  // linux/filter.h: the kernel has taken the tag out of the frame, and has it as SKF_AD_VLAN_TAG
  const tagged: BpfInstruction[] =
    vlan === undefined
      ? []
      : [
          [0x20, 0, 0, 0xfffff02c],
          [0x15, 1, 0, vlan],
          [0x06, 0, 0, 0],
        ];
  const socket = PacketSocket.open(netns, ifname, { protocol: type, filter: [...tagged, whole] });
  const frames: Uint8Array[] = [];
  socket.listen(
    { frames: (all) => frames.push(...all.map((frame) => new Uint8Array(frame))), ended: () => undefined },
    { ref: true },
  );
  const at = (text: string): number => frames.findIndex((frame) => Buffer.from(frame).includes(text));
  return {
    frames,
    async upTo(text) {
      const index = await until(`a frame with ${text}`, () => (at(text) < 0 ? undefined : { index: at(text) }));
      return frames.slice(0, index.index);
    },
    [Symbol.dispose]: () => socket.close(),
  };
}

function ip4(to: string, from: string, src: string, dst: string, protocol: number, body: Uint8Array): Uint8Array {
  const head = bytes([0x45, 0], be16(20 + body.length), be16(1), be16(0), [64, protocol], be16(0));
  const header = bytes(head, parseIp(src).bytes, parseIp(dst).bytes);
  header.set(be16(checksum(header)), 10);
  return ether(to, from, ETHER.ip, bytes(header, body));
}

function ip6(
  to: string,
  from: string,
  src: string,
  dst: string,
  next: number,
  hops: number,
  body: Uint8Array,
): Uint8Array {
  const addresses = bytes(parseIp(src).bytes, parseIp(dst).bytes);
  const pseudo = bytes(addresses, [0, 0], be16(body.length), [0, 0, 0, next], body);
  const whole = new Uint8Array(body);
  whole.set(be16(checksum(pseudo)), next === 58 ? 2 : 6);
  return ether(to, from, ETHER.ip6, bytes([0x60, 0, 0, 0], be16(body.length), [next, hops], addresses, whole));
}

/** RFC 1071 */
function checksum(data: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < data.length; i += 2) sum += (data[i]! << 8) | (data[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function be16(value: number): number[] {
  return [value >> 8, value & 0xff];
}
function bytes(...parts: readonly ArrayLike<number>[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
