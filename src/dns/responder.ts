import { writeAnswer } from './answer.ts';
import type { AskerState } from './askers.ts';
import type { Cache } from './cache.ts';
import { type Counters, SOURCE, type SourceNumber } from './counters.ts';
import { flagsOf, type Forwarder, type Reply } from './forwarder.ts';
import { type LocalNames, NOT_OURS } from './local.ts';
import { Question, readQuestion, SILENCE, writeEmpty } from './question.ts';
import type { ServerGroups } from './servers.ts';
import type { NameView, QueryLogEntry, UpstreamSource } from './types.ts';
import { CLASS, FLAG, RCODE, rcodeName, TYPE, typeName } from './wire.ts';

/** Makes a way back for an answer that takes time. Called only where one is needed, while the question still stands. */
export interface Deferral {
  defer(room: number): Reply;
}

export interface ResponderParts {
  readonly view: NameView;
  readonly local: LocalNames;
  readonly cache: Cache;
  readonly groups: ServerGroups;
  readonly forwarder: Forwarder;
  readonly counters: Counters;
  readonly upstreams: UpstreamSource;
  readonly now: () => number;
}

const SOURCES = ['local', 'cache', 'upstream', 'none'] as const;

/** From a question's bytes to its answer's: the view first, then the cache, then the servers. */
export class Responder {
  readonly #p: ResponderParts;
  readonly #q = new Question();
  /** Whole seconds of the monotonic clock. */
  #second = 0;
  #epoch = 0;
  onQuery: ((entry: QueryLogEntry) => void) | undefined;

  constructor(parts: ResponderParts) {
    this.#p = parts;
  }

  /** To be called before a batch of questions: what time it is. */
  tick(): void {
    this.#second = Math.floor(this.#p.now() / 1000);
  }

  /**
   * Answers the query at `at`, in place; the answer's length, or 0 where there is none now.
   * @param most bytes that the transport carries; UDP answers are further bound by what the asker takes
   */
  answer(
    bytes: Uint8Array,
    at: number,
    length: number,
    most: number,
    asker: AskerState,
    tcp: boolean,
    way: Deferral,
  ): number {
    const q = this.#q;
    const { counters, local, cache, view } = this.#p;
    const verdict = readQuestion(bytes, at, length, q);
    if (verdict !== 0) return this.#refuse(bytes, at, length, verdict, asker, tcp);
    if (q.class !== CLASS.IN && q.class !== CLASS.ANY) {
      // other classes (version.bind of CHAOS) ask about the server itself
      return this.#unsupported(bytes, at, RCODE.REFUSED, asker, tcp);
    }
    if (q.type === TYPE.AXFR || q.type === TYPE.IXFR) return this.#unsupported(bytes, at, RCODE.NOTIMP, asker, tcp);
    const policy = view.policy(asker);
    if (policy === undefined) {
      counters.rejected.stranger++;
      return this.#count(bytes, at, writeEmpty(bytes, at, q, RCODE.REFUSED), SOURCE.none, asker, tcp);
    }
    const room = tcp ? most : Math.min(q.room, most);

    const size = local.answer(bytes, at, q, asker, room);
    if (size !== NOT_OURS) return this.#count(bytes, at, size, SOURCE.local, asker, tcp);

    if (!policy.forward) {
      return this.#count(bytes, at, writeEmpty(bytes, at, q, RCODE.NXDOMAIN), SOURCE.local, asker, tcp);
    }
    const servers = policy.upstreams ?? this.#p.upstreams.servers();
    if (servers !== asker.upstreams || asker.epoch !== this.#p.groups.epoch) this.#regroup(asker, servers);
    const tag = q.class === CLASS.IN ? (asker.group << 21) | (q.type << 5) | flagsOf(q) : -1;
    const known = tag < 0 ? undefined : cache.get(q.name, tag, this.#second);
    if (known !== undefined) {
      return this.#count(bytes, at, writeAnswer(bytes, at, q, known, room), SOURCE.cache, asker, tcp);
    }
    const reply = way.defer(room);
    if (this.#p.forwarder.forward({ bytes, at, q, asker, tag, servers, reply })) return 0;
    counters.query(tcp, SOURCE.none, q.type, RCODE.SERVFAIL);
    if (this.onQuery !== undefined) this.#tell(asker, q, tcp, SOURCE.none, RCODE.SERVFAIL, 0);
    // a datagram that gets lost is asked again; a connection would hang
    if (tcp) reply.send(bytes.subarray(at), writeEmpty(bytes, at, q, RCODE.SERVFAIL));
    return 0;
  }

  /** The log entry of an answer that took time. */
  log(waiter: { asker: AskerState; q: Question; reply: Reply; since: number }, rcode: number): void {
    if (this.onQuery === undefined) return;
    const { asker, q, reply, since } = waiter;
    this.#tell(asker, q, reply.tcp, SOURCE.upstream, rcode, this.#p.now() - since);
  }

  #regroup(asker: AskerState, servers: readonly string[]): void {
    const { groups, cache } = this.#p;
    asker.group = groups.of(servers);
    if (groups.epoch !== this.#epoch) {
      this.#epoch = groups.epoch;
      cache.clear();
    }
    asker.epoch = groups.epoch;
    asker.upstreams = servers;
  }

  #refuse(bytes: Uint8Array, at: number, length: number, verdict: number, asker: AskerState, tcp: boolean): number {
    const { rejected } = this.#p.counters;
    if (verdict === SILENCE) {
      if (length < 12) rejected.malformed++;
      else rejected.response++;
      return 0;
    }
    if (verdict === RCODE.NOTIMP) return this.#unsupported(bytes, at, verdict, asker, tcp);
    rejected.malformed++;
    return this.#count(bytes, at, writeEmpty(bytes, at, this.#q, verdict), SOURCE.none, asker, tcp);
  }

  #unsupported(bytes: Uint8Array, at: number, rcode: number, asker: AskerState, tcp: boolean): number {
    this.#p.counters.rejected.unsupported++;
    return this.#count(bytes, at, writeEmpty(bytes, at, this.#q, rcode), SOURCE.none, asker, tcp);
  }

  #count(bytes: Uint8Array, at: number, size: number, source: SourceNumber, asker: AskerState, tcp: boolean): number {
    const rcode = bytes[at + 3]! & FLAG.RCODE;
    this.#p.counters.query(tcp, source, this.#q.type, rcode);
    if (this.onQuery !== undefined) this.#tell(asker, this.#q, tcp, source, rcode, 0);
    return size;
  }

  #tell(asker: AskerState, q: Question, tcp: boolean, source: SourceNumber, rcode: number, milliseconds: number): void {
    const { network, address } = asker;
    this.onQuery?.({
      asker: { network, address },
      protocol: tcp ? 'tcp' : 'udp',
      name: q.plain ? q.name : printable(q.name),
      type: typeName(q.type),
      source: SOURCES[source],
      rcode: rcodeName(rcode),
      milliseconds,
    });
  }
}

/** The text form of a name with unusual bytes, given as NUL and its wire form. @see RFC 4343 section 2.1 */
function printable(name: string): string {
  const labels: string[] = [];
  for (let at = 1; at < name.length;) {
    const size = name.charCodeAt(at);
    if (size === 0) break;
    const label = name.slice(at + 1, at + 1 + size);
    labels.push(label.replace(/[^!-~]|[.\\]/g, (c) => '\\' + String(c.charCodeAt(0)).padStart(3, '0')));
    at += 1 + size;
  }
  return labels.join('.');
}
