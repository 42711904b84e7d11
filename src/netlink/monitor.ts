import { setImmediate } from 'node:timers/promises';
import { ERRNO, Fd, native, type Netns, POLL, Poll, syscall, SyscallError } from '../kernel/index.ts';
import { messagesOf, type NlMessage } from './reader.ts';

/** What a monitor tells: messages in the kernel's order, or that some were lost and the reader has to look for itself. */
export type MonitorEvent =
  | {
      readonly kind: 'messages';
      readonly messages: readonly NlMessage[];
      /** The namespace that they speak of, as the monitor's own numbers it (RTM_GETNSID); -1: its own. */
      readonly nsid: number;
    }
  | { readonly kind: 'overrun' };

export interface MonitorOptions {
  /**
   * Hear of every namespace that has a number in this one, too: as soon as a link leads from here to there, or somebody
   * gave it one. Takes CAP_NET_BROADCAST here and there. @see netlink(7) NETLINK_LISTEN_ALL_NSID
   */
  readonly allNamespaces?: boolean;
}

/**
 * Listens to multicast groups of one netlink protocol in one namespace, from the moment it is opened.
 *
 * ```ts
 * using monitor = NetlinkMonitor.open(NETLINK.ROUTE, netns, [RTNLGRP.LINK]);
 * for await (const event of monitor) { … }
 * ```
 * One reader at a time. Only a reader that waits keeps the process alive; what comes while nobody reads waits in the
 * socket, and an overrun tells when that was too small.
 *
 * @see netlink(7)
 */
export class NetlinkMonitor implements AsyncIterableIterator<MonitorEvent, undefined>, Disposable {
  readonly #fd: Fd;
  #buffer: Uint8Array | undefined;
  readonly #lengths = new Uint32Array(DATAGRAMS);
  readonly #nsids = new Int32Array(DATAGRAMS);
  /** Received, not taken yet. */
  readonly #events: MonitorEvent[] = [];
  #reading = false;
  /** Ends the wait of `next`. */
  #wake: (() => void) | undefined;
  #inARow = 0;

  private constructor(fd: Fd) {
    this.#fd = fd;
  }

  /**
   * @param groups group numbers (RTNLGRP_*, NFNLGRP_*), not the bits of the older masks
   * @throws SyscallError EPERM where the group needs privileges, ENOENT where the protocol has no such group
   */
  static open(
    protocol: number,
    netns: Netns | undefined,
    groups: readonly number[],
    options: MonitorOptions = {},
  ): NetlinkMonitor {
    const what = `netlink groups ${groups.join(', ')}`;
    const fd = new Fd(
      syscall(what, () => native.netlinkOpen(netns?.fd ?? -1, protocol)),
      `netlink monitor ${protocol}`,
    );
    try {
      if (options.allNamespaces) {
        syscall(`${what} of all namespaces`, () =>
          native.socketOption(fd.number, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1),
        );
      }
      for (const group of groups) {
        syscall(what, () => native.socketOption(fd.number, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group));
      }
      return new NetlinkMonitor(fd);
    } catch (error) {
      fd.close();
      throw error;
    }
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next event; done after `close`. @throws SyscallError; MalformedError */
  async next(): Promise<IteratorResult<MonitorEvent, undefined>> {
    if (this.#reading) throw new Error('a netlink monitor has one reader at a time');
    this.#reading = true;
    try {
      // events without end must not keep the rest of the process from running
      if (++this.#inARow % TURN === 0) await setImmediate();
      for (;;) {
        if (this.#fd.closed) return { done: true, value: undefined };
        const event = this.take();
        if (event) return { done: false, value: event };
        this.#inARow = 0;
        await this.#readable();
      }
    } finally {
      this.#reading = false;
    }
  }

  /**
   * What waits already, without waiting for it: how a reader knows that it has heard all that the kernel told until now.
   * @throws SyscallError; MalformedError
   */
  take(): MonitorEvent | undefined {
    if (this.#events.length === 0 && !this.#fd.closed) this.#receive();
    return this.#events.shift();
  }

  /** What `break` in a `for await` calls. */
  async return(): Promise<IteratorResult<MonitorEvent, undefined>> {
    this.close();
    return { done: true, value: undefined };
  }

  close(): void {
    this.#fd.close();
    this.#wake?.();
  }
  [Symbol.dispose](): void {
    this.close();
  }

  async #readable(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    // a new poll each time: libuv ends it at a socket error, which an overrun is
    using _poll = Poll.start(this.#fd, POLL.READABLE, () => resolve()).ref();
    this.#wake = resolve;
    await promise;
    this.#wake = undefined;
  }

  #receive(): void {
    const buffer = (this.#buffer ??= new Uint8Array(DATAGRAMS * DATAGRAM));
    let count: number;
    try {
      count = syscall('netlink monitor', () =>
        native.recvBatch(this.#fd.number, buffer, DATAGRAM, this.#lengths, this.#nsids),
      );
    } catch (error) {
      if (!(error instanceof SyscallError) || error.errno !== ERRNO.ENOBUFS) throw error;
      this.#events.push({ kind: 'overrun' });
      return;
    }
    let messages: NlMessage[] = [];
    for (let i = 0; i < count; i++) {
      const length = this.#lengths[i]!;
      if (length > DATAGRAM) {
        this.#events.push({ kind: 'overrun' }); // cut off: what it said is lost
        continue;
      }
      const nsid = this.#nsids[i]!;
      // a copy: the buffer is used again while the reader still has the messages
      messages.push(...messagesOf(buffer.slice(i * DATAGRAM, i * DATAGRAM + length)));
      if (i + 1 < count && this.#nsids[i + 1] === nsid) continue;
      if (messages.length > 0) this.#events.push({ kind: 'messages', messages, nsid });
      messages = [];
    }
    if (messages.length > 0) this.#events.push({ kind: 'messages', messages, nsid: this.#nsids[count - 1] ?? -1 });
  }
}

/** The kernel builds notifications in NLMSG_GOODSIZE (a page, at most 8 KiB) unless one object alone needs more. */
const DATAGRAM = 32768;
const DATAGRAMS = 16;
/** Events in a row without waiting before others get their turn. */
const TURN = 16;

/** linux/netlink.h, bits/socket.h */
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_LISTEN_ALL_NSID = 8;
