import type { Fd } from './fd.ts';
import { native, syscall } from './native.ts';

/** What to wait for. @see poll(2) */
export const POLL = { READABLE: 1, WRITABLE: 2, HANGUP: 4, URGENT: 8 } as const;

/**
 * A descriptor on the event loop: `ready` runs as long as one of `events` holds, so it has to consume what it is told
 * of, or stop. Not for regular files. Keeps the process alive only after `ref()`.
 */
export class Poll implements Disposable {
  readonly #id: number;

  private constructor(id: number) {
    this.#id = id;
  }

  /**
   * @param ready gets the events; none of them where the socket has an error to be read, which also ends the poll.
   * @throws SyscallError EBADF, EPERM (a regular file)
   */
  static start(fd: Fd, events: number, ready: (events: number) => void): Poll {
    return new Poll(
      syscall('poll', () => native.pollStart(fd.number, events, (errno, now) => ready(errno === 0 ? now : 0))),
    );
  }

  ref(): this {
    native.pollRef(this.#id, true);
    return this;
  }
  unref(): this {
    native.pollRef(this.#id, false);
    return this;
  }
  stop(): void {
    native.pollStop(this.#id);
  }
  [Symbol.dispose](): void {
    this.stop();
  }
}
