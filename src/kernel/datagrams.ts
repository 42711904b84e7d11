import type { Fd } from './fd.ts';
import { native, syscall } from './native.ts';
import type { Netns } from './netns.ts';
import { POLL, Poll } from './poll.ts';
import { type BindAddress, bindUdpIn, openInet } from './socket.ts';

/**
 * A socket for a service at an address that may come later, or go and come back: a bridge's, an IPv6 address that is
 * still being checked for duplicates. `tcp` is listening already. @throws SyscallError EADDRINUSE, EACCES
 */
export function serviceSocketIn(netns: Netns | undefined, protocol: 'udp' | 'tcp', at: BindAddress): Fd {
  const v6 = at.address.includes(':');
  const what = `${protocol} port ${at.port} of ${at.address}`;
  const fd = openInet(netns, v6, protocol, what);
  try {
    syscall(what, () => {
      if (v6) native.socketOption(fd.number, IPPROTO_IPV6, IPV6_V6ONLY, 1);
      if (v6) native.socketOption(fd.number, IPPROTO_IPV6, IPV6_FREEBIND, 1);
      else native.socketOption(fd.number, IPPROTO_IP, IP_FREEBIND, 1);
      if (protocol === 'tcp') native.socketOption(fd.number, SOL_SOCKET, SO_REUSEADDR, 1);
      native.bind(fd.number, at.address, at.port, at.scope ?? 0);
      if (protocol === 'tcp') native.listen(fd.number, 511);
    });
    return fd;
  } catch (error) {
    fd.close();
    throw error;
  }
}

/** A UDP socket that knows one peer: the kernel drops what others send, and says when nobody listens there. */
export function connectedUdpIn(netns: Netns | undefined, peer: BindAddress): Fd {
  const what = `UDP to ${peer.address} port ${peer.port}`;
  const fd = openInet(netns, peer.address.includes(':'), 'udp', what);
  try {
    syscall(what, () => native.connect(fd.number, peer.address, peer.port, peer.scope ?? 0));
    return fd;
  } catch (error) {
    fd.close();
    throw error;
  }
}

/**
 * Datagrams of this socket are never cut up, and leave whole whatever path MTU the kernel believes in: what does not fit into
 * the interface is EMSGSIZE. @see ip(7) IP_MTU_DISCOVER, ipv6(7)
 */
export function neverCut(fd: Fd, v6: boolean): void {
  syscall('MTU probe', () => {
    if (v6) native.socketOption(fd.number, IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE);
    else native.socketOption(fd.number, IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE);
  });
}

/** Whether datagrams of an IPv4 socket go without a checksum, which nobody verifies then. @see linux/udp.h UDP_NO_CHECK */
export function omitChecksum(fd: Fd, on: boolean): void {
  syscall('UDP without checksums', () => native.socketOption(fd.number, SOL_SOCKET, SO_NO_CHECK, on ? 1 : 0));
}

/** An IPv4 UDP socket for finding out what gets through. */
export function mtuProbeIn(netns: Netns | undefined): Fd {
  const fd = bindUdpIn(netns, { address: '0.0.0.0', port: 0 });
  try {
    neverCut(fd, false);
    return fd;
  } catch (error) {
    fd.close();
    throw error;
  }
}

/**
 * A UDP socket at one address that speaks with one peer, and cuts nothing up.
 * @throws SyscallError EADDRNOTAVAIL, ENETUNREACH, EHOSTUNREACH
 */
export function mtuProbeTo(netns: Netns | undefined, local: BindAddress, peer: BindAddress): Fd {
  const fd = bindUdpIn(netns, local);
  const what = `UDP to ${peer.address} port ${peer.port}`;
  try {
    neverCut(fd, peer.address.includes(':'));
    syscall(what, () => native.connect(fd.number, peer.address, peer.port, peer.scope ?? 0));
    return fd;
  } catch (error) {
    fd.close();
    throw error;
  }
}

/**
 * A UDP server's socket that takes and gives up to 64 datagrams a system call, in memory that is used again: datagram
 * `i` lies at `i * slot` of `buffer`, is `lengths[i]` long, and peer `i` at `i * PEER` of `peers` sent or gets it. One
 * such set of memory serves any number of sockets, which take turns.
 */
export class Datagrams {
  static readonly BATCH = 64;
  /** Bytes of one peer: struct sockaddr_in6, or sockaddr_in and some more. */
  static readonly PEER = 28;
  readonly slot: number;
  readonly buffer: Uint8Array;
  readonly lengths: Uint32Array = new Uint32Array(Datagrams.BATCH);
  readonly peers: Uint8Array = new Uint8Array(Datagrams.BATCH * Datagrams.PEER);

  constructor(slot: number) {
    this.slot = slot;
    this.buffer = new Uint8Array(Datagrams.BATCH * slot);
  }

  /** How many came; 0 where none waits. A length above `slot`: that one was cut. @throws Error with `errno` */
  receive(fd: number): number {
    return native.receiveFrom(fd, this.buffer, this.slot, this.lengths, this.peers);
  }
  /** Sends the first `count`, without those of length 0; how many went out. */
  send(fd: number, count: number): number {
    return native.sendTo(fd, this.buffer, this.slot, this.lengths, this.peers, count);
  }
}

/** Runs `ready` as long as the socket has something to read, or an error to be told. */
export function whenReadable(fd: Fd, ready: () => void): Poll {
  return Poll.start(fd, POLL.READABLE, ready);
}

/** Asks for room for `bytes` of waiting datagrams; the kernel gives what it allows. @see socket(7) SO_RCVBUF */
export function wantRoom(fd: Fd, bytes: number): void {
  for (const option of [SO_RCVBUFFORCE, SO_RCVBUF]) {
    try {
      native.socketOption(fd.number, SOL_SOCKET, option, bytes);
      return;
    } catch {
      // EPERM without CAP_NET_ADMIN of the first user namespace: then within net.core.rmem_max
    }
  }
}

/** socket(2), asm-generic/socket.h, linux/in.h, linux/in6.h */
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_RCVBUF = 8;
const SO_NO_CHECK = 11;
const SO_RCVBUFFORCE = 33;
const IPPROTO_IP = 0;
const IP_FREEBIND = 15;
const IP_MTU_DISCOVER = 10;
const IPPROTO_IPV6 = 41;
const IPV6_MTU_DISCOVER = 23;
/** Of both families. */
const PMTUDISC_PROBE = 3;
const IPV6_V6ONLY = 26;
const IPV6_FREEBIND = 78;
