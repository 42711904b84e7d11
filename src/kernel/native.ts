import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { NetloomError } from '../errors.ts';
import { errnoName } from './errno.ts';

/**
 * What the addon in native/ exports: one function a system call. Descriptors are numbers; -1 as namespace means "stay".
 * A wrong argument is EINVAL, a text that is too long ENAMETOOLONG.
 */
export interface Native {
  netnsCreate(): number;
  mount(source: string, target: string, type: string, flags: number): void;
  umount(target: string): void;
  fileIn(netns: number, path: string, value: string | undefined): string | undefined;
  tunCreate(netns: number, name: string, flags: number, owner: number): number;
  tunName(fd: number): string;
  tunPersist(fd: number, on: number): void;

  socketIn(netns: number, domain: number, type: number, protocol: number): number;
  socketOption(fd: number, level: number, option: number, value: number): void;
  bind(fd: number, address: string, port: number, scope: number): void;
  listen(fd: number, backlog: number): void;
  /**
   * Datagrams at multiples of `slot` in `buffer`, their true lengths in `lengths`; how many, 0 where none waits. `nsids` gets
   * the namespace of each where a netlink socket listens to all, -1 for its own.
   */
  recvBatch(fd: number, buffer: Uint8Array, slot: number, lengths: Uint32Array, nsids?: Int32Array): number;

  /**
   * As `recvBatch`, with who sent each: struct sockaddr_in or sockaddr_in6, as the kernel lays it out, at multiples of 28
   * bytes in `peers`. 64 datagrams at most.
   */
  receiveFrom(fd: number, buffer: Uint8Array, slot: number, lengths: Uint32Array, peers: Uint8Array): number;
  /** How many of `count` went out; a length of 0, and what the kernel refuses, is left out. */
  sendTo(fd: number, buffer: Uint8Array, slot: number, lengths: Uint32Array, peers: Uint8Array, count: number): number;
  /** For datagram sockets. */
  connect(fd: number, address: string, port: number, scope: number): void;
  socketOptionBytes(fd: number, level: number, option: number, value: Uint8Array): void;
  /** struct sockaddr_* as the kernel lays it out. */
  socketName(fd: number): Uint8Array;
  send(fd: number, bytes: Uint8Array): number;
  /** `protocol` is an EtherType, `filter` an array of struct sock_filter. */
  packetOpen(netns: number, ifname: string, protocol: number, filter: Uint8Array): number;

  /**
   * What bpf(2) returns. `attr` and `buffers` are laid out as the kernel wants them, but for pointers: each buffer's address is
   * put where its pair of `places` says, into `attr` (0) or the buffer of that number, at that offset. Lengths that `attr` has
   * of a buffer must be those of the buffer.
   */
  bpf(command: number, attr: Uint8Array, places: Uint32Array, ...buffers: Uint8Array[]): number;

  netlinkOpen(netns: number, protocol: number): number;
  exchangeSync(fd: number, request: Uint8Array, last: number): Uint8Array;
  /** On a thread of the addon; the socket may be closed meanwhile. */
  exchange(fd: number, request: Uint8Array, last: number): Promise<Uint8Array>;

  /** Watches a duplicate of `fd`; does not keep the process alive. The id for the other two. */
  pollStart(fd: number, events: number, callback: (errno: number, events: number) => void): number;
  pollStop(id: number): boolean;
  pollRef(id: number, on: boolean): boolean;

  /** A listening socket of mode 0600. */
  unixListen(path: string, backlog: number): number;
  /** -1 where nobody waits. `who` gets process and user id of the caller. */
  unixAccept(fd: number, who: Int32Array): number;
  /** Bytes; 0 at the end, -1 where none wait. `passed` gets the descriptor that came along, or -1. */
  unixReceive(fd: number, buffer: Uint8Array, passed: Int32Array): number;

  /**
   * Carries packets between a TUN device and UDP sockets on threads of its own, see native/relay.c. The device, sockets of IPv4
   * and IPv6, and one of each to ask for path MTUs; -1 for none. It works with duplicates. The last one it sets: readable when
   * the device was deleted, to be closed by the caller. The id for the others.
   */
  relayStart(descriptors: Int32Array): number;
  /** Three numbers an interval of addresses: halves of its first one, and the peer's number; 28 bytes a peer. All sorted. */
  relayTable(id: number, intervals4: BigUint64Array, intervals6: BigUint64Array, peers: Uint8Array): void;
  relayCounters(id: number, counters: BigUint64Array): boolean;
  relayStop(id: number): boolean;

  /** False where another holds the lock; never waits. */
  flock(fd: number, operation: number): boolean;
  /** Waits on a thread of its own. ECANCELED after `flockCancel(token)`. */
  flockWait(fd: number, operation: number, token: number): Promise<void>;
  flockCancel(token: number): void;
  pidfdOpen(pid: number): number;
  pidfdSend(fd: number, signal: number): void;
  random(buffer: Uint8Array): void;
}

/** A system call that failed. `code` is the errno's name. */
export class SyscallError extends NetloomError {
  readonly errno: number;
  readonly syscall: string;

  constructor(errno: number, syscall: string, what: string, options?: { cause?: unknown; hint?: string }) {
    super(errnoName(errno), `${what}: ${syscall}: ${errnoName(errno)}`, options);
    this.errno = errno;
    this.syscall = syscall;
  }
}

/** Runs a native call and makes a typed error of its failure. `what` says what was tried, for the message. */
export function syscall<T>(what: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw typedError(error, what);
  }
}

export function typedError(error: unknown, what: string): unknown {
  if (error instanceof NetloomError || !(error instanceof Error)) return error;
  const { errno, syscall: name } = error as Error & { errno?: unknown; syscall?: unknown };
  if (typeof errno !== 'number') return error;
  return new SyscallError(Math.abs(errno), typeof name === 'string' ? name : 'syscall', what, { cause: error });
}

function load(): Native {
  const here = fileURLToPath(new URL('.', import.meta.url));
  const candidates = ['../../native/build/netloom.node', '../../prebuilt/' + process.arch + '/netloom.node'];
  for (const candidate of candidates) {
    const path = new URL(candidate, import.meta.url);
    if (existsSync(path)) return createRequire(here)(fileURLToPath(path)) as Native;
  }
  throw new NetloomError('ENOADDON', 'the native addon is not built', { hint: 'run: sh native/build.sh' });
}

export const native: Native = load();
