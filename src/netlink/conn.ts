import { NetloomError } from '../errors.ts';
import { ERRNO, Fd, native, type Netns, syscall, typedError } from '../kernel/index.ts';
import { NetlinkError } from './errors.ts';
import { messagesOf, NlAttrs, type NlMessage } from './reader.ts';
import { NlWriter } from './writer.ts';

/** linux/netlink.h */
export const NLM_F = {
  REQUEST: 0x1,
  MULTI: 0x2,
  ACK: 0x4,
  ECHO: 0x8,
  DUMP_INTR: 0x10,
  DUMP_FILTERED: 0x20,
  ROOT: 0x100,
  MATCH: 0x200,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
  NONREC: 0x100,
  CAPPED: 0x100,
  ACK_TLVS: 0x200,
} as const;
export const NLMSG = { NOOP: 1, ERROR: 2, DONE: 3, OVERRUN: 4, MIN_TYPE: 0x10 } as const;
export const NETLINK = { ROUTE: 0, SOCK_DIAG: 4, XFRM: 6, NETFILTER: 12, GENERIC: 16 } as const;

/** linux/netlink.h enum nlmsgerr_attrs */
const NLMSGERR_ATTR = { MSG: 1, OFFS: 2 } as const;

/** One message to the kernel, not yet encoded. */
export interface Request {
  readonly type: number;
  /** NLM_F_* without REQUEST and ACK, which the connection sets. */
  readonly flags: number;
  /** What it asks for, for error messages: `RTM_NEWLINK name=br0`. */
  readonly label: string;
  /** Writes everything after the 16-byte message header. */
  body(writer: NlWriter): void;
}

/** The answer to one request of a batch: what came back, or why it was refused. */
export interface Reply {
  readonly messages: readonly NlMessage[];
  readonly error: NetlinkError | undefined;
}

/**
 * Where a call runs. `thread` (the default) never stops the event loop, and costs 20 to 60 µs more. `here` is for what the
 * kernel answers at once; it waits its turn behind calls that are under way on a thread.
 */
export interface Lane {
  readonly lane?: 'thread' | 'here';
}

/** How often an interrupted dump is asked for again before the connection gives up. */
const DUMP_TRIES = 20;
/** Requests in one send: their refusals must fit the socket's receive buffer even where it cannot be enlarged. */
const BURST = 96;

/** Told how long each call took, waiting for its turn included. */
export type CallObserver = (lane: 'thread' | 'here', seconds: number) => void;

/**
 * A connection to one netlink protocol in one namespace, for life. It knows no family: it numbers requests, matches
 * answers, retries interrupted dumps and turns refusals into errors.
 *
 * Asynchronous calls run on a thread unless the caller says otherwise, so that a kernel that waits (a deletion waits for
 * an RCU grace period) never stops the event loop; they go one after another, in the order of the calls.
 *
 * @see netlink(7)
 */
export class NetlinkConn implements Disposable {
  readonly #fd: Fd;
  readonly #protocol: number;
  readonly #observe: CallObserver | undefined;
  #seq = 1;
  /** For exchanges that nobody else can come between. */
  readonly #writer = new NlWriter();
  /** Calls that are not finished; the last of them is what a new one waits for. */
  #pending = 0;
  #tail: Promise<unknown> = Promise.resolve();

  private constructor(fd: Fd, protocol: number, observe: CallObserver | undefined) {
    this.#fd = fd;
    this.#protocol = protocol;
    this.#observe = observe;
  }

  /** @param netns the namespace it belongs to; this process's own without one. @throws SyscallError */
  static open(protocol: number, netns?: Netns, observe?: CallObserver): NetlinkConn {
    const number = syscall('netlink socket', () => native.netlinkOpen(netns?.fd ?? -1, protocol));
    return new NetlinkConn(new Fd(number, `netlink ${protocol}`), protocol, observe);
  }

  /** Calls that are not finished. */
  get pending(): number {
    return this.#pending;
  }

  get protocol(): number {
    return this.#protocol;
  }

  /** Sends one request; what it answered. A dump is complete and consistent. @throws NetlinkError */
  async execute(request: Request, options?: Lane): Promise<readonly NlMessage[]> {
    for (let attempt = 1; ; attempt++) {
      const [reply] = await this.batch([request], options);
      const done = settle(request, reply!, attempt);
      if (done) return done;
    }
  }

  /**
   * As `execute`, on this thread: for start-up and for questions that the kernel answers at once.
   * @throws NetloomError EBUSY while an asynchronous call is under way, whose answers it would take
   */
  executeSync(request: Request): readonly NlMessage[] {
    for (let attempt = 1; ; attempt++) {
      const [reply] = this.batchSync([request]);
      const done = settle(request, reply!, attempt);
      if (done) return done;
    }
  }

  /**
   * Sends requests in order, as few bursts as possible, and says for each what came of it. A refused request does not
   * stop those after it: the caller decides. Only the last of a burst asks for an acknowledgement.
   */
  batch(requests: readonly Request[], options?: Lane): Promise<Reply[]> {
    return this.#inTurn(options, async (lane) => {
      const replies: Reply[] = [];
      for (let at = 0; at < requests.length; at += BURST) {
        const answer = this.#exchange(requests.slice(at, at + BURST), lane);
        replies.push(...(lane === 'here' ? (answer as Reply[]) : await answer));
      }
      return replies;
    });
  }

  /** As `batch`, on this thread. @throws NetloomError EBUSY while an asynchronous call is under way */
  batchSync(requests: readonly Request[]): Reply[] {
    if (this.#pending > 0) {
      throw new NetloomError('EBUSY', `${labelOf(requests)}: the netlink connection waits for another answer`, {
        hint: 'await the calls before this one, or use a connection of its own',
      });
    }
    const replies: Reply[] = [];
    for (let at = 0; at < requests.length; at += BURST) {
      replies.push(...this.#exchangeSync(requests.slice(at, at + BURST)));
    }
    return replies;
  }

  /**
   * Sends requests that only make sense together in one datagram (an nftables batch). Every refusal is returned, with
   * the index of its request; none means that all of it was done.
   */
  atomic(requests: readonly Request[], options?: Lane): Promise<Reply[]> {
    return this.#inTurn(options, async (lane) => await this.#exchange(requests, lane, requests.length - 2));
  }

  close(): void {
    this.#fd.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }

  async #inTurn<T>(options: Lane | undefined, call: (lane: 'thread' | 'here') => Promise<T>): Promise<T> {
    const lane = options?.lane ?? 'thread';
    const began = this.#observe ? performance.now() : 0;
    const before = this.#pending++ > 0 ? this.#tail : undefined;
    const run = before ? before.then(() => call(lane)) : call(lane);
    this.#tail = run.then(ignore, ignore);
    try {
      return await run;
    } finally {
      this.#pending--;
      this.#observe?.(lane, (performance.now() - began) / 1000);
    }
  }

  #exchange(requests: readonly Request[], lane: 'thread' | 'here', acked?: number): Reply[] | Promise<Reply[]> {
    return lane === 'here' ? this.#exchangeSync(requests, acked) : this.#exchangeAsync(requests, acked);
  }

  #exchangeSync(requests: readonly Request[], acked?: number): Reply[] {
    const { bytes, first, last } = this.#encode(this.#writer.reset(), requests, acked);
    const answer = syscall(labelOf(requests), () => native.exchangeSync(this.#fd.number, bytes, last));
    return parseReplies(requests, first, last, answer);
  }

  async #exchangeAsync(requests: readonly Request[], acked?: number): Promise<Reply[]> {
    // a thread reads these bytes while others are being written
    const { bytes, first, last } = this.#encode(new NlWriter(requests.length * 192 + 64), requests, acked);
    try {
      return parseReplies(requests, first, last, await native.exchange(this.#fd.number, bytes, last));
    } catch (error) {
      throw typedError(error, labelOf(requests));
    }
  }

  /** @param acked index of the request whose acknowledgement ends the exchange. */
  #encode(
    writer: NlWriter,
    requests: readonly Request[],
    acked: number = requests.length - 1,
  ): { bytes: Uint8Array; first: number; last: number } {
    const first = this.#seq;
    requests.forEach((request, i) => {
      const ack = i === acked && (request.flags & NLM_F.DUMP) !== NLM_F.DUMP ? NLM_F.ACK : 0;
      writer.message(request.type, request.flags | NLM_F.REQUEST | ack, first + i);
      request.body(writer);
    });
    this.#seq = (first + requests.length) % 0x7fff_ffff || 1;
    return { bytes: writer.finish(), first, last: first + acked };
  }
}

function labelOf(requests: readonly Request[]): string {
  const [request] = requests;
  return (request?.label ?? 'netlink') + (requests.length > 1 ? ` and ${requests.length - 1} more` : '');
}

/** The messages; undefined where a dump was interrupted and should be asked for again. */
function settle(request: Request, reply: Reply, attempt: number): readonly NlMessage[] | undefined {
  if (reply.error) throw reply.error;
  if (!reply.messages.some((m) => (m.flags & NLM_F.DUMP_INTR) !== 0)) return reply.messages;
  if (attempt < DUMP_TRIES) return undefined;
  throw new NetlinkError({
    errno: ERRNO.EINTR,
    request: request.label,
    extAck: `interrupted by changes ${attempt} times`,
  });
}

function ignore(): void {}

/** @throws NetlinkError ENOBUFS when the answer to `last` is missing, so that what was done is unknown */
function parseReplies(requests: readonly Request[], first: number, last: number, answer: Uint8Array): Reply[] {
  let answered = false;
  const replies = requests.map((): { messages: NlMessage[]; error: NetlinkError | undefined } => ({
    messages: [],
    error: undefined,
  }));
  for (const message of messagesOf(answer)) {
    const reply = replies[message.seq - first];
    const request = requests[message.seq - first];
    if (!reply || !request) continue; // a late answer to something that was given up
    if (message.type === NLMSG.ERROR || message.type === NLMSG.DONE) {
      reply.error ??= refusal(message, request.label);
      // a refused batch as a whole is answered at its first message only
      answered ||= message.seq === last || reply.error !== undefined;
      // an interrupted dump may say so in its end marker only
      if (message.type === NLMSG.DONE && (message.flags & NLM_F.DUMP_INTR) !== 0) reply.messages.push(message);
    } else {
      reply.messages.push(message);
    }
  }
  if (!answered && requests.length > 0) {
    throw new NetlinkError({
      errno: ERRNO.ENOBUFS,
      request: labelOf(requests),
      extAck: "the kernel's answer was lost",
    });
  }
  return replies;
}

/** struct nlmsgerr, or the errno that ends a dump, with the extended acknowledgement behind it. */
function refusal(message: NlMessage, request: string): NetlinkError | undefined {
  const { payload } = message;
  if (payload.length < 4) return undefined; // NLMSG_DONE of old families carries nothing
  const errno = -new DataView(payload.buffer, payload.byteOffset).getInt32(0, true);
  if (errno <= 0) return undefined;
  let extAck = '';
  let offset = -1;
  if ((message.flags & NLM_F.ACK_TLVS) !== 0) {
    // error, then the refused message's header (capped) before the attributes; NLMSG_DONE has none
    for (const a of new NlAttrs(payload, message.type === NLMSG.DONE ? 4 : 20)) {
      if (a.type === NLMSGERR_ATTR.MSG) extAck = a.string();
      else if (a.type === NLMSGERR_ATTR.OFFS) offset = a.u32();
    }
  }
  return new NetlinkError({ errno, request, extAck, offset });
}
