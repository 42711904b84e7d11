import { type Answer, failure, writeAnswer } from './answer.ts';
import type { AskerState, Waiting } from './askers.ts';
import type { Cache } from './cache.ts';
import { type Counters, SOURCE, type SourceNumber } from './counters.ts';
import { Lookup, type LookupSite } from './lookup.ts';
import { Question } from './question.ts';
import type { ServerGroups } from './servers.ts';
import type { DnsLimits } from './types.ts';
import { FLAG, HEADER, RCODE } from './wire.ts';

/** How an answer that takes time gets back to who asked. */
export interface Reply {
  readonly tcp: boolean;
  /** Bytes that may be sent. */
  readonly room: number;
  /** The message is the first `length` bytes; they are used again after the call. */
  send(message: Uint8Array, length: number): void;
}

interface Waiter extends Waiting {
  readonly q: Question;
  /** Id and question, as they came. */
  readonly head: Uint8Array;
  readonly reply: Reply;
  readonly since: number;
  readonly pending: Pending;
}
interface Pending {
  readonly key: string;
  readonly waiters: Set<Waiter>;
  readonly lookup: Lookup;
}

/** What of a question stays when its packet is gone. */
export interface Forwarded {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly q: Question;
  readonly asker: AskerState;
  /** Stands for all of the question but its name, and for the servers; -1: the answer is not to be kept. */
  readonly tag: number;
  readonly servers: readonly string[];
  readonly reply: Reply;
}

/**
 * Questions under way to upstream servers. Equal ones are one. Each asker has a limit of its own; when all together
 * reach theirs, whoever has most under way loses the oldest to who has fewer, so that a single container can fill the
 * table but not keep others out of it.
 */
export class Forwarder {
  readonly #site: LookupSite;
  readonly #cache: Cache;
  readonly #groups: ServerGroups;
  readonly #counters: Counters;
  readonly #limits: DnsLimits;
  readonly #log: (waiter: { asker: AskerState; q: Question; reply: Reply; since: number }, rcode: number) => void;
  readonly #pending = new Map<string, Pending>();
  /** Askers that wait for something. */
  readonly #askers = new Set<AskerState>();
  #waiting = 0;
  readonly #outbox = new Uint8Array(65_536);

  constructor(options: {
    readonly site: LookupSite;
    readonly cache: Cache;
    readonly groups: ServerGroups;
    readonly limits: DnsLimits;
    readonly log: (waiter: { asker: AskerState; q: Question; reply: Reply; since: number }, rcode: number) => void;
  }) {
    this.#site = options.site;
    this.#counters = options.site.counters;
    this.#cache = options.cache;
    this.#groups = options.groups;
    this.#limits = options.limits;
    this.#log = options.log;
  }

  get underWay(): number {
    return this.#waiting;
  }

  /** Takes the question over, or says that a limit forbids it. */
  forward({ bytes, at, q, asker, tag, servers, reply }: Forwarded): boolean {
    if (!this.#admit(asker)) return false;
    const own = Object.assign(new Question(), q);
    const head = bytes.slice(at, at + q.end);
    const key = `${tag < 0 ? `${q.class}/${q.type}/${servers.join()}/${flagsOf(q)}` : tag}/${q.name}`;
    let pending = this.#pending.get(key);
    if (pending) {
      this.#counters.joined++;
    } else {
      const order = this.#groups.order(servers, this.#site.now());
      const epoch = this.#groups.epoch;
      const lookup = new Lookup(this.#site, order, own, head.subarray(HEADER), (answer, real) => {
        const kept = real && tag >= 0 && epoch === this.#groups.epoch;
        this.#settle(key, answer, kept ? tag : -1);
      });
      pending = { key, waiters: new Set(), lookup };
      this.#pending.set(key, pending);
      lookup.start();
    }
    const waiter: Waiter = { asker, q: own, head, reply, since: this.#site.now(), pending };
    pending.waiters.add(waiter);
    asker.waiting.add(waiter);
    this.#askers.add(asker);
    this.#waiting++;
    return true;
  }

  close(): void {
    for (const { lookup } of this.#pending.values()) lookup.close();
    this.#pending.clear();
    for (const asker of this.#askers) asker.waiting.clear();
    this.#askers.clear();
    this.#waiting = 0;
  }

  #admit(asker: AskerState): boolean {
    const { rejected } = this.#counters;
    if (asker.waiting.size >= this.#limits.perAsker) {
      rejected.asker++;
      asker.refused++;
      return false;
    }
    if (this.#waiting < this.#limits.underWay) return true;
    let most = asker;
    for (const other of this.#askers) if (other.waiting.size > most.waiting.size) most = other;
    rejected.total++;
    if (most.waiting.size <= asker.waiting.size + 1) {
      asker.refused++;
      return false;
    }
    most.refused++;
    const [oldest] = most.waiting as Set<Waiter>;
    this.#leave(oldest!);
    // a datagram that gets lost is asked again; a connection would hang
    if (oldest!.reply.tcp) this.#answer(oldest!, failure(oldest!.q, RCODE.SERVFAIL), SOURCE.none);
    if (oldest!.pending.waiters.size === 0) {
      oldest!.pending.lookup.close();
      this.#pending.delete(oldest!.pending.key);
    }
    return true;
  }

  #leave(waiter: Waiter): void {
    waiter.pending.waiters.delete(waiter);
    if (!waiter.asker.waiting.delete(waiter)) return;
    this.#waiting--;
    if (waiter.asker.waiting.size === 0) this.#askers.delete(waiter.asker);
  }

  #answer(waiter: Waiter, answer: Answer, source: SourceNumber): void {
    const { head, q, reply } = waiter;
    const rcode = answer.flags & FLAG.RCODE;
    this.#outbox.set(head);
    const length = writeAnswer(this.#outbox, 0, q, answer, reply.room);
    this.#counters.query(reply.tcp, source, q.type, rcode);
    this.#log(waiter, rcode);
    reply.send(this.#outbox, length);
  }

  #settle(key: string, answer: Answer, tag: number): void {
    const pending = this.#pending.get(key);
    if (!pending) return;
    this.#pending.delete(key);
    for (const waiter of [...pending.waiters]) {
      this.#leave(waiter);
      this.#answer(waiter, answer, SOURCE.upstream);
    }
    // last, because from then on its TTLs are counted down
    if (tag >= 0) this.#cache.set(pending.lookup.q.name, tag, answer, Math.floor(this.#site.now() / 1000));
  }
}

/** The bits of a question that change its answer: RD, AD, CD, EDNS, DO. */
export function flagsOf(q: Question): number {
  return ((q.flags & FLAG.RD) >> 4) | ((q.flags & (FLAG.AD | FLAG.CD)) >> 2) | (q.edns ? 2 : 0) | (q.dnssecOk ? 1 : 0);
}
