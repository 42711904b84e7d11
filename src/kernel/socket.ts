import type { Ip } from '../addr/index.ts';
import { UnsupportedError } from '../errors.ts';
import { ERRNO } from './errno.ts';
import { Fd } from './fd.ts';
import { native, syscall, SyscallError } from './native.ts';
import type { Netns } from './netns.ts';

/** Where a socket is bound. An IPv6 socket takes IPv6 only, whatever net.ipv6.bindv6only says. */
export interface BindAddress {
  /** IPv4 or IPv6, as text; `0.0.0.0` and `::` are every address of their family. */
  readonly address: string;
  /** 0 lets the kernel choose. */
  readonly port: number;
  /** Interface index, for link-local addresses. */
  readonly scope?: number;
}

/** A port of a transport protocol. */
export interface PortProbe extends BindAddress {
  readonly protocol: 'tcp' | 'udp' | 'sctp';
}

/**
 * Whether a listener could be opened there now. Opens one for a moment, and closes it again. True also where the
 * kernel has no SCTP: then nobody can hold the port.
 * @throws SyscallError EADDRNOTAVAIL when the namespace does not have the address, EACCES for a privileged port
 */
export function probePort(netns: Netns | undefined, probe: PortProbe): boolean {
  const what = `${probe.protocol} port ${probe.port} on ${probe.address}`;
  try {
    using fd = bound(netns, probe.protocol, probe, what);
    // binding alone proves nothing for a stream: SO_REUSEADDR lets two sockets bind, only one of them listens
    if (probe.protocol !== 'udp') syscall(what, () => native.listen(fd.number, 1));
    return true;
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    if (error.errno === ERRNO.EADDRINUSE) return false;
    const unknown: readonly number[] = [ERRNO.EPROTONOSUPPORT, ESOCKTNOSUPPORT];
    if (probe.protocol === 'sctp' && unknown.includes(error.errno)) return true;
    throw error;
  }
}

/**
 * A TCP listener in a namespace: `server.listen({ fd: fd.release() })`.
 * @throws SyscallError EADDRINUSE, EADDRNOTAVAIL, EACCES
 */
export function listenIn(netns: Netns | undefined, endpoint: BindAddress & { readonly backlog?: number }): Fd {
  const what = `listen on ${endpoint.address} port ${endpoint.port}`;
  const fd = bound(netns, 'tcp', endpoint, what);
  try {
    syscall(what, () => native.listen(fd.number, endpoint.backlog ?? 511));
    return fd;
  } catch (error) {
    fd.close();
    throw error;
  }
}

/**
 * A bound UDP socket in a namespace: `createSocket('udp4').bind({ fd: fd.release() })`, which is listening at once.
 * @throws SyscallError EADDRINUSE, EADDRNOTAVAIL, EACCES
 */
export function bindUdpIn(netns: Netns | undefined, endpoint: BindAddress): Fd {
  return bound(netns, 'udp', endpoint, `bind UDP ${endpoint.address} port ${endpoint.port}`);
}

/**
 * A TCP socket born in a namespace, not connected yet: `new Socket({ fd: fd.release() }).connect(port, address)`. The
 * address's family must be that of the socket, and names must not be used: they would be looked up elsewhere.
 */
export function tcpSocketIn(netns: Netns | undefined, family: 4 | 6): Fd {
  return openInet(netns, family === 6, 'tcp', `TCP socket for IPv${family}`);
}

/**
 * Every segment to and from `peer` is signed with `key`, up to 80 bytes: on a listener, connections that `peer` makes are
 * refused without. An empty key takes it back. @see tcp(7), RFC 2385, linux/tcp.h struct tcp_md5sig
 * @throws SyscallError ENOPROTOOPT on a kernel without CONFIG_TCP_MD5SIG
 */
export function signTcp(fd: { readonly number: number }, peer: Ip, key: Uint8Array): void {
  const signature = Buffer.alloc(216);
  signature.writeUInt16LE(peer.family === 6 ? AF_INET6 : AF_INET, 0);
  signature.set(peer.bytes, peer.family === 6 ? 8 : 4);
  signature.writeUInt16LE(key.length, 130);
  signature.set(key.subarray(0, TCP_MD5SIG_MAXKEYLEN), 136);
  syscall(`signature for ${peer.text}`, () => native.socketOptionBytes(fd.number, IPPROTO.tcp, TCP_MD5SIG, signature));
}
/** How many routers what is sent may pass: 1 keeps it on the link. @see ip(7) IP_TTL, ipv6(7) IPV6_UNICAST_HOPS */
export function setHops(fd: { readonly number: number }, family: 4 | 6, hops: number): void {
  const [level, option] = family === 6 ? [IPPROTO_IPV6, IPV6_UNICAST_HOPS] : [IPPROTO_IP, IP_TTL];
  syscall('hop limit', () => native.socketOption(fd.number, level, option, hops));
}
/** linux/tcp.h, linux/in.h, linux/in6.h */
const TCP_MD5SIG = 14;
const TCP_MD5SIG_MAXKEYLEN = 80;
const IP_TTL = 2;
const IPV6_UNICAST_HOPS = 16;

function bound(netns: Netns | undefined, protocol: PortProbe['protocol'], at: BindAddress, what: string): Fd {
  const v6 = at.address.includes(':');
  const fd = openInet(netns, v6, protocol, what);
  try {
    if (v6) syscall(what, () => native.socketOption(fd.number, IPPROTO_IPV6, IPV6_V6ONLY, 1));
    if (protocol !== 'udp') syscall(what, () => native.socketOption(fd.number, SOL_SOCKET, SO_REUSEADDR, 1));
    syscall(what, () => native.bind(fd.number, at.address.replace(/%.*/, ''), at.port, at.scope ?? 0));
    return fd;
  } catch (error) {
    fd.close();
    throw error;
  }
}

/** A socket that does not block, not bound yet. @throws UnsupportedError for IPv6 on a kernel without */
export function openInet(netns: Netns | undefined, v6: boolean, protocol: PortProbe['protocol'], what: string): Fd {
  const type = protocol === 'udp' ? SOCK_DGRAM : SOCK_STREAM;
  try {
    const number = syscall(what, () =>
      native.socketIn(netns?.fd ?? -1, v6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK, IPPROTO[protocol]),
    );
    return new Fd(number, what);
  } catch (error) {
    if (v6 && error instanceof SyscallError && error.errno === ERRNO.EAFNOSUPPORT) {
      throw new UnsupportedError('IPv6', 'boot it without ipv6.disable=1, or leave out IPv6 addresses', {
        cause: error,
      });
    }
    throw error;
  }
}

/** socket(2), linux/in.h, linux/in6.h */
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const IPPROTO = { tcp: 6, udp: 17, sctp: 132 } as const;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const IPPROTO_IP = 0;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
/** asm-generic/errno.h; not in Node's table */
const ESOCKTNOSUPPORT = 94;
