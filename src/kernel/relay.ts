import { NetloomError } from '../errors.ts';
import { serviceSocketIn, wantRoom } from './datagrams.ts';
import { Fd } from './fd.ts';
import { native, syscall } from './native.ts';
import type { Netns } from './netns.ts';
import { POLL, Poll } from './poll.ts';
import { type BindAddress, openInet } from './socket.ts';

/** What a relay did since it started; packets unless said. */
export interface RelayCounters {
  readonly sent: bigint;
  readonly sentBytes: bigint;
  readonly received: bigint;
  readonly receivedBytes: bigint;
  /** Not sent: its destination is behind nobody. */
  readonly noPeer: bigint;
  /** Not sent: too big for the path to its peer. Its sender was told, where senders may be. */
  readonly tooBig: bigint;
  /** Not sent: the kernel would not, for want of a route, by a firewall. */
  readonly underlay: bigint;
  /** Not taken: from an address and port that are no peer's. */
  readonly stranger: bigint;
  /** Not taken: not one whole IP packet. */
  readonly malformed: bigint;
  /** Not taken: its source address is not behind the peer that it came from. */
  readonly spoofed: bigint;
  /** Not taken: the device is down, or gone. */
  readonly device: bigint;
}

/** Who is where, as the threads search it: sorted. Three numbers an interval: see native/relay.c `relayTable`. */
export interface RelayTable {
  readonly intervals4: BigUint64Array;
  readonly intervals6: BigUint64Array;
  /** struct sockaddr_in6, or sockaddr_in and zeros, 28 bytes each, in the order of their bytes. */
  readonly peers: Uint8Array;
}

/** One relay: threads of the addon, which carry packets without the event loop. Knows nobody before `table`. */
export class RelayThreads implements Disposable {
  readonly #id: number;
  readonly #watch: Poll;

  private constructor(id: number, watch: Poll) {
    this.#id = id;
    this.#watch = watch;
  }

  /**
   * The descriptors stay the caller's, who may close them.
   * @param sockets of `relaySocketIn`, for IPv4 and IPv6
   * @param lost is called once the device was deleted
   */
  static start(
    netns: Netns | undefined,
    device: Fd,
    sockets: { readonly v4?: Fd; readonly v6?: Fd },
    lost?: () => void,
  ): RelayThreads {
    using probe4 = sockets.v4 && openInet(netns, false, 'udp', 'path MTUs');
    using probe6 = sockets.v6 && openInet(netns, true, 'udp', 'path MTUs');
    const fds = [device, sockets.v4, sockets.v6, probe4, probe6, undefined];
    const numbers = Int32Array.from(fds.map((fd) => fd?.number ?? -1));
    const id = syscall('relay', () => native.relayStart(numbers));
    using told = new Fd(numbers[5]!, 'relay');
    try {
      const watch = Poll.start(told, POLL.READABLE, () => {
        watch.stop();
        lost?.();
      });
      return new RelayThreads(id, watch);
    } catch (error) {
      native.relayStop(id);
      throw error;
    }
  }

  /** What holds from the next batch on. @throws SyscallError EINVAL when it is not sorted, or the relay has ended */
  table({ intervals4, intervals6, peers }: RelayTable): void {
    syscall('table of a relay', () => native.relayTable(this.#id, intervals4, intervals6, peers));
  }

  counters(): RelayCounters {
    const all = new BigUint64Array(11);
    if (!native.relayCounters(this.#id, all)) throw new NetloomError('EINTERNAL', 'the relay has ended');
    const [sent, sentBytes, noPeer, tooBig, underlay, received, receivedBytes, ...rest] = all;
    const [stranger, malformed, spoofed, device] = rest;
    return {
      ...{ sent: sent!, sentBytes: sentBytes!, received: received!, receivedBytes: receivedBytes! },
      ...{ noPeer: noPeer!, tooBig: tooBig!, underlay: underlay! },
      ...{ stranger: stranger!, malformed: malformed!, spoofed: spoofed!, device: device! },
    };
  }

  /** When it returns no thread runs any more, and nothing of it is open. */
  stop(): void {
    this.#watch.stop();
    native.relayStop(this.#id);
  }
  [Symbol.dispose](): void {
    this.stop();
  }
}

/**
 * A UDP socket for a relay. Its datagrams are never cut up on the way, so that what is too big can be told to who sent it;
 * those that come together are taken as one. @throws SyscallError EADDRINUSE, EACCES
 */
export function relaySocketIn(netns: Netns | undefined, at: BindAddress): Fd {
  const fd = serviceSocketIn(netns, 'udp', at);
  try {
    const v6 = at.address.includes(':');
    syscall(`UDP port ${at.port} of ${at.address}`, () => {
      if (v6) native.socketOption(fd.number, IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_DO);
      else native.socketOption(fd.number, IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DO);
      native.socketOption(fd.number, SOL_UDP, UDP_GRO, 1);
    });
    wantRoom(fd, ROOM);
    return fd;
  } catch (error) {
    fd.close();
    throw error;
  }
}

/** Bytes that may wait while the thread is busy: some milliseconds at the rate that it carries. */
const ROOM = 4 << 20;
/** linux/in.h, linux/in6.h, linux/udp.h */
const IPPROTO_IP = 0;
const IP_MTU_DISCOVER = 10;
const IPPROTO_IPV6 = 41;
const IPV6_MTU_DISCOVER = 23;
const PMTUDISC_DO = 2;
const SOL_UDP = 17;
const UDP_GRO = 104;
