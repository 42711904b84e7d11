import { setImmediate } from 'node:timers/promises';
import { ERRNO, Fd, native, type Netns, POLL, Poll, syscall, SyscallError } from '../kernel/index.ts';
import { messagesOf, type NlMessage } from './reader.ts';

/** What a monitor tells: messages in the kernel's order, or that some were lost and the reader has to look for itself. */
export type MonitorEvent =
  | { readonly kind: 'messages'; readonly messages: readonly NlMessage[] }
  | { readonly kind: 'overrun' };

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
  static open(protocol: number, netns: Netns | undefined, groups: readonly number[]): NetlinkMonitor {
    const what = `netlink groups ${groups.join(', ')}`;
    const fd = new Fd(
      syscall(what, () => native.netlinkOpen(netns?.fd ?? -1, protocol)),
      `netlink monitor ${protocol}`,
    );
    try {
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
        const event = this.#receive();
        if (event) return { done: false, value: event };
        this.#inARow = 0;
        await this.#readable();
      }
    } finally {
      this.#reading = false;
    }
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

  #receive(): MonitorEvent | undefined {
    const buffer = (this.#buffer ??= new Uint8Array(DATAGRAMS * DATAGRAM));
    let count: number;
    try {
      count = syscall('netlink monitor', () => native.recvBatch(this.#fd.number, buffer, DATAGRAM, this.#lengths));
    } catch (error) {
      if (error instanceof SyscallError && error.errno === ERRNO.ENOBUFS) return { kind: 'overrun' };
      throw error;
    }
    const messages: NlMessage[] = [];
    for (let i = 0; i < count; i++) {
      const length = this.#lengths[i]!;
      if (length > DATAGRAM) return { kind: 'overrun' }; // cut off: what it said is lost as well
      // a copy: the buffer is used again while the reader still has the messages
      messages.push(...messagesOf(buffer.slice(i * DATAGRAM, i * DATAGRAM + length)));
    }
    return messages.length > 0 ? { kind: 'messages', messages } : undefined;
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
