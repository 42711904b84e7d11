import { formatMac, ipFromBytes, parseIp } from '../addr/index.ts';
import { Fd } from './fd.ts';
import { native, syscall, SyscallError } from './native.ts';
import type { Netns } from './netns.ts';
import { POLL, Poll } from './poll.ts';

/** One instruction of classic BPF: operation, jumps when true and when false, operand. @see linux/filter.h */
export type BpfInstruction = readonly [code: number, jt: number, jf: number, k: number];

/** What a packet socket tells: frames, or why it ended. Frames are views that are good until the call returns. */
export interface PacketListener {
  frames(frames: readonly Uint8Array[]): void;
  /** ENETDOWN: the interface went down or away. Nothing follows. */
  ended(error: SyscallError): void;
}

/**
 * Whole Ethernet frames of one interface, whether it has an address or not. Hears only what its filter lets through,
 * in the kernel, so that a busy interface costs nothing. @see packet(7)
 */
export class PacketSocket implements Disposable {
  /** The interface's index. */
  readonly index: number;
  readonly ifname: string;
  readonly #fd: Fd;
  #poll: Poll | undefined;

  private constructor(fd: Fd, ifname: string) {
    this.#fd = fd;
    this.ifname = ifname;
    this.index = new DataView(this.#name().buffer).getInt32(4, true);
  }

  /**
   * @param netns where the interface is, and where the socket is born
   * @param protocol an EtherType: 0x0800 IPv4, 0x0806 ARP, 0x86dd IPv6
   * @throws SyscallError ENODEV without such an interface, ENETDOWN where it is down, EPERM without CAP_NET_RAW
   */
  static open(
    netns: Netns | undefined,
    ifname: string,
    options: { readonly protocol: number; readonly filter: readonly BpfInstruction[] },
  ): PacketSocket {
    const what = `packet socket on ${ifname}`;
    const { protocol, filter } = options;
    const fd = new Fd(
      syscall(what, () => native.packetOpen(netns?.fd ?? -1, ifname, protocol, assemble(filter))),
      what,
    );
    try {
      // room for a burst, so that one sender's does not push out another's; less where the system allows less
      syscall(what, () => native.socketOption(fd.number, SOL_SOCKET, SO_RCVBUF, 1 << 20));
      return new PacketSocket(fd, ifname);
    } catch (error) {
      fd.close();
      throw error;
    }
  }

  /** The interface's MAC address as it is now: a bridge without one of its own takes that of a port. */
  get mac(): string {
    return formatMac(this.#name().subarray(12, 18));
  }

  /** Sends one frame as it stands, Ethernet header included. @throws SyscallError ENETDOWN, ENOBUFS, EMSGSIZE, ENXIO */
  send(frame: Uint8Array): void {
    syscall(`send on ${this.ifname}`, () => native.send(this.#fd.number, frame));
  }

  /** Hears from now on; once. Keeps the process alive while `ref` says so. */
  listen(listener: PacketListener, { ref = false }: { readonly ref?: boolean } = {}): void {
    let buffer: Uint8Array | undefined;
    const lengths = new Uint32Array(SLOTS);
    this.#poll = Poll.start(this.#fd, POLL.READABLE, () => {
      if (this.#fd.closed) return;
      const room = (buffer ??= new Uint8Array(SLOTS * SLOT));
      let count: number;
      try {
        // one batch a turn of the loop: a flood must not keep the rest of the process from running
        count = syscall(`receive on ${this.ifname}`, () => native.recvBatch(this.#fd.number, room, SLOT, lengths));
      } catch (error) {
        if (!(error instanceof SyscallError)) throw error;
        this.close();
        listener.ended(error);
        return;
      }
      const frames: Uint8Array[] = [];
      for (let i = 0; i < count; i++) {
        if (lengths[i]! <= SLOT) frames.push(room.subarray(i * SLOT, i * SLOT + lengths[i]!));
      }
      if (frames.length > 0) listener.frames(frames);
    });
    if (ref) this.#poll.ref();
  }

  get closed(): boolean {
    return this.#fd.closed;
  }
  close(): void {
    this.#poll?.stop();
    this.#poll = undefined;
    this.#fd.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }

  /** struct sockaddr_ll: family, protocol, ifindex, hatype, pkttype, halen, addr */
  #name(): Uint8Array {
    return syscall(`interface ${this.ifname}`, () => native.socketName(this.#fd.number));
  }
}

/** A UDP port of one interface. */
export interface DeafPort {
  readonly family: 4 | 6;
  readonly port: number;
  /** Interface index. */
  readonly index: number;
  /** IPv6 groups to be a member of, so that switches that snoop send them here. */
  readonly groups?: readonly string[];
}

/**
 * Holds a UDP port of one interface without ever hearing anything: while a packet socket answers there, the kernel must
 * not tell the clients that nobody does (ICMP port unreachable). @throws SyscallError EADDRINUSE
 */
export function deafUdpIn(netns: Netns | undefined, { family, port, index, groups = [] }: DeafPort): Fd {
  const what = `hold UDP port ${port}`;
  const fd = udpOf(netns, family, index, what);
  try {
    syscall(what, () => {
      native.socketOption(fd.number, SOL_SOCKET, SO_REUSEADDR, 1);
      native.socketOption(fd.number, SOL_SOCKET, SO_RCVBUF, 0); // the least: what waits there is never read
      if (family === 6) native.socketOption(fd.number, IPPROTO_IPV6, IPV6_V6ONLY, 1);
      for (const group of groups)
        native.socketOptionBytes(fd.number, IPPROTO_IPV6, IPV6_JOIN_GROUP, mreq(group, index));
      native.bind(fd.number, family === 6 ? '::' : '0.0.0.0', port, 0);
    });
    return fd;
  } catch (error) {
    fd.close();
    throw error;
  }
}

/**
 * The address that the namespace itself would send from to `destination` over that interface: the link-local one for
 * ff02::1. Sends nothing. @throws SyscallError ENETUNREACH, EADDRNOTAVAIL where it has none
 */
export function sourceAddressIn(netns: Netns | undefined, destination: string, index: number): string {
  const family = destination.includes(':') ? 6 : 4;
  const what = `source address to ${destination}`;
  using fd = udpOf(netns, family, index, what);
  return syscall(what, () => {
    native.connect(fd.number, destination, 9, family === 6 ? index : 0);
    const name = native.socketName(fd.number);
    // struct sockaddr_in: address at 4; struct sockaddr_in6: address at 8
    return ipFromBytes(family === 6 ? name.subarray(8, 24) : name.subarray(4, 8)).text;
  });
}

function udpOf(netns: Netns | undefined, family: 4 | 6, index: number, what: string): Fd {
  const fd = new Fd(
    syscall(what, () => native.socketIn(netns?.fd ?? -1, family === 6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0)),
    what,
  );
  try {
    syscall(what, () => native.socketOption(fd.number, SOL_SOCKET, SO_BINDTOIFINDEX, index));
    return fd;
  } catch (error) {
    fd.close();
    throw error;
  }
}

/** struct ipv6_mreq: group, interface index */
function mreq(group: string, index: number): Uint8Array {
  const bytes = new Uint8Array(20);
  bytes.set(parseIp(group).bytes);
  new DataView(bytes.buffer).setUint32(16, index, true);
  return bytes;
}

/** struct sock_filter: code, jt, jf, k, in the order of this processor (all that we run on are little-endian) */
function assemble(program: readonly BpfInstruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [i, [code, jt, jf, k]] of program.entries()) {
    view.setUint16(i * 8, code, true);
    view.setUint8(i * 8 + 2, jt);
    view.setUint8(i * 8 + 3, jf);
    view.setUint32(i * 8 + 4, k, true);
  }
  return bytes;
}

/** A frame of an interface with the largest MTU of Ethernet practice that a DHCP or ND message fills. */
const SLOT = 2048;
const SLOTS = 64;

/** socket(2), asm-generic/socket.h, linux/in.h, linux/in6.h */
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_RCVBUF = 8;
const SO_BINDTOIFINDEX = 62;
const IPPROTO_IPV6 = 41;
const IPV6_JOIN_GROUP = 20;
const IPV6_V6ONLY = 26;
