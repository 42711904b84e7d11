import type { Netns } from '../kernel/index.ts';
import { type Answer, failure, readAnswer } from './answer.ts';
import type { Counters } from './counters.ts';
import { askTcp, askUdp, type Exchange, type ExchangeListener } from './exchange.ts';
import { type Question, writeOpt } from './question.ts';
import type { Server } from './servers.ts';
import { FLAG, HEADER, OPT_SIZE, RCODE } from './wire.ts';

export interface LookupSite {
  readonly netns: Netns | undefined;
  readonly counters: Counters;
  /** Milliseconds until it is given up. */
  readonly patience: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** What other tries may still better: a server that could not, or would not. */
const UNWILLING: readonly number[] = [RCODE.SERVFAIL, RCODE.NOTIMP, RCODE.REFUSED];
/** Milliseconds between two rounds when nobody was there at once. */
const PAUSE = 300;

/**
 * One question to the servers of one list, whoever asked it. Servers are asked in order; one that does not answer in
 * its usual time several times over gets the next one beside it, and the first good answer ends all. A truncated answer
 * is asked for again by TCP. SERVFAIL and its like are handed on only when no other server knows better.
 */
export class Lookup {
  readonly q: Question;
  readonly #site: LookupSite;
  readonly #servers: readonly Server[];
  readonly #query: Uint8Array;
  readonly #done: (answer: Answer, life: boolean) => void;
  readonly #open = new Set<Exchange>();
  readonly #started: number;
  #tries = 0;
  #timer: NodeJS.Timeout | undefined;
  /** The best of the bad answers. */
  #second: Answer | undefined;
  #over = false;

  /**
   * @param question bytes of the question section, as the first asker wrote it
   * @param done gets the answer once, and whether it is one (not our own failure); never while this constructor or
   *   `start` runs
   */
  constructor(
    site: LookupSite,
    servers: readonly Server[],
    q: Question,
    question: Uint8Array,
    done: (answer: Answer, real: boolean) => void,
  ) {
    this.#site = site;
    this.#servers = servers;
    this.q = q;
    this.#done = done;
    this.#started = site.now();
    this.#query = new Uint8Array(q.end + (q.edns ? OPT_SIZE : 0));
    const flags = q.flags & (FLAG.RD | FLAG.AD | FLAG.CD);
    this.#query[2] = flags >> 8;
    this.#query[3] = flags & 0xff;
    this.#query[5] = 1;
    this.#query.set(question, HEADER);
    if (q.edns) {
      this.#query[11] = 1;
      writeOpt(this.#query, q.end, q.dnssecOk);
    }
  }

  start(): void {
    this.#next();
  }
  close(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    for (const exchange of this.#open) exchange.close();
    this.#open.clear();
  }

  #finish(answer: Answer, real: boolean): void {
    if (this.#over) return;
    this.close();
    this.#done(answer, real);
  }
  #fail(): void {
    this.#site.counters.failed++;
    this.#finish(this.#second ?? failure(this.q, RCODE.SERVFAIL), false);
  }

  /** Asks the next server, and sees to it that the one after gets its turn. */
  #next(): void {
    if (this.#over) return;
    const now = this.#site.now();
    const left = this.#started + this.#site.patience - now;
    const most = Math.max(this.#servers.length * 2, 3);
    if (this.#servers.length === 0 || left <= 0) return this.#after(0, () => this.#fail());
    if (this.#tries >= most) {
      return this.#after(this.#open.size > 0 ? left : 0, () => this.#fail());
    }
    const server = this.#servers[this.#tries % this.#servers.length]!;
    const round = Math.floor(this.#tries / this.#servers.length);
    this.#tries++;
    if (!this.#ask(server, false)) return this.#after(this.#pause, () => this.#next());
    this.#after(Math.min(server.patience * (round + 1), left), () => {
      server.missed(this.#site.now(), false);
      this.#site.counters.unanswered++;
      this.#next();
    });
  }

  /** A try is over before its time: the next one, unless another is still under way, whose time is running. */
  #onward(): void {
    if (this.#open.size > 0) return;
    if (this.#second && this.#tries >= this.#servers.length) return this.#after(0, () => this.#fail());
    this.#after(this.#pause, () => this.#next());
  }

  /** When nobody is there at once: not round after round without a rest. */
  get #pause(): number {
    return this.#tries % this.#servers.length === 0 ? PAUSE : 0;
  }

  #after(milliseconds: number, then: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, milliseconds);
  }

  /** False where it could not even be sent. */
  #ask(server: Server, tcp: boolean): boolean {
    const { netns, counters, now } = this.#site;
    const sent = now();
    let exchange: Exchange | undefined;
    const listener: ExchangeListener = {
      mismatch: () => counters.mismatched++,
      failed: () => {
        if (exchange) this.#open.delete(exchange);
        counters.unanswered++;
        server.missed(now(), !tcp);
        this.#onward();
      },
      answer: (message) => {
        if (exchange) this.#open.delete(exchange);
        const milliseconds = now() - sent;
        counters.answered++;
        counters.latency(milliseconds);
        server.answered(milliseconds);
        this.#take(message, server, tcp);
      },
    };
    try {
      exchange = (tcp ? askTcp : askUdp)(netns, server.at, this.#query, this.q.end, listener);
    } catch {
      counters.unanswered++; // ENETUNREACH, EMFILE
      server.missed(now(), true);
      return false;
    }
    counters.sent++;
    this.#open.add(exchange);
    return true;
  }

  #take(message: Uint8Array, server: Server, tcp: boolean): void {
    const answer =
      message.length === HEADER
        ? failure(this.q, message[3]! & FLAG.RCODE)
        : readAnswer(message, this.q.end, this.q.edns);
    if (answer === undefined) return this.#onward();
    if (answer.flags & FLAG.TC && !tcp) {
      this.#second ??= answer;
      this.#site.counters.tcp++;
      if (!this.#ask(server, true)) this.#onward();
      return;
    }
    if (UNWILLING.includes(answer.flags & FLAG.RCODE)) {
      this.#second ??= answer;
      if (this.#servers.length > 1 && this.#tries < this.#servers.length) return this.#next();
      if (this.#open.size > 0) return; // somebody else is still at it
      return this.#finish(this.#second, true);
    }
    this.#finish(answer, true);
  }
}
