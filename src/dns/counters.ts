import type { CacheStats } from './cache.ts';
import type { AnswerSource, DnsProtocol } from './types.ts';
import { rcodeName, typeName } from './wire.ts';

export interface QueryCount {
  readonly protocol: DnsProtocol;
  readonly source: AnswerSource;
  /** `other` for types that are not counted apart. */
  readonly type: string;
  readonly rcode: string;
  readonly count: number;
}
export interface RefusedAsker {
  readonly network: string;
  readonly address: string;
  readonly count: number;
}

export interface DnsStats {
  readonly queries: readonly QueryCount[];
  readonly cache: CacheStats;
  readonly upstream: UpstreamStats;
  readonly rejected: Readonly<Record<Rejection, number>>;
  /** Askers that hit a limit, as far as they are remembered; the most refused first, 100 at most. */
  readonly refused: readonly RefusedAsker[];
  /** Questions that wait for upstream servers. */
  readonly underWay: number;
  readonly connections: number;
  readonly listeners: number;
}

export interface UpstreamStats {
  /** Questions sent, repeats and TCP included. */
  readonly sent: number;
  readonly answered: number;
  /** Tries that got no answer in time, or an error of the network. */
  readonly unanswered: number;
  /** Truncated answers asked for once more by TCP. */
  readonly tcp: number;
  /** Packets that did not belong to the question: a wrong id or name. */
  readonly mismatched: number;
  /** Questions that joined one under way. */
  readonly joined: number;
  /** Questions given up altogether. */
  readonly failed: number;
  /** Seconds to an answer. */
  readonly latency: Histogram;
}
export interface Histogram {
  /** Upper bound in seconds and how many were at most that; the last bound is Infinity. */
  readonly buckets: readonly { readonly le: number; readonly count: number }[];
  readonly sum: number;
  readonly count: number;
}

/**
 * Why a packet got no answer, or only a refusal: `malformed` (FORMERR, or silence below 12 bytes), `response` (QR was
 * set), `stranger` (no asker of that network), `unsupported` (operation, transfer or class), `asker` and `total` (limits of questions under way), `overload`
 * (more packets of one asker than its share while others wait), `connections`, `unsent` (the kernel did not take the
 * answer).
 */
export type Rejection =
  | 'malformed'
  | 'response'
  | 'stranger'
  | 'unsupported'
  | 'asker'
  | 'total'
  | 'overload'
  | 'connections'
  | 'unsent';

/** Upper bounds of the latency histogram, seconds. */
const HISTOGRAM: readonly number[] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

const SOURCES: readonly AnswerSource[] = ['local', 'cache', 'upstream', 'none'];
export const SOURCE = { local: 0, cache: 1, upstream: 2, none: 3 } as const;
export type SourceNumber = (typeof SOURCE)[AnswerSource];
const PROTOCOLS: readonly DnsProtocol[] = ['udp', 'tcp'];
/** Types that are counted apart; 0 is the rest. */
const TYPES: readonly number[] = [0, 1, 2, 5, 6, 12, 15, 16, 28, 33, 35, 43, 48, 64, 65, 255];
const TYPE_INDEX = new Uint8Array(256);
for (const [index, type] of TYPES.entries()) TYPE_INDEX[type] = index;

/** What happened, in numbers. A query costs one addition. */
export class Counters {
  /** By protocol, source, type, rcode. */
  readonly #queries = new Float64Array(PROTOCOLS.length * SOURCES.length * TYPES.length * 16);
  readonly rejected: Record<Rejection, number> = {
    malformed: 0,
    response: 0,
    stranger: 0,
    unsupported: 0,
    asker: 0,
    total: 0,
    overload: 0,
    connections: 0,
    unsent: 0,
  };
  sent = 0;
  answered = 0;
  unanswered = 0;
  tcp = 0;
  mismatched = 0;
  joined = 0;
  failed = 0;
  readonly #latency = new Float64Array(HISTOGRAM.length + 1);
  #latencySum = 0;

  query(tcp: boolean, source: SourceNumber, type: number, rcode: number): void {
    const kind = type < 256 ? TYPE_INDEX[type]! : 0;
    this.#queries[((((tcp ? 4 : 0) + source) << 4) | kind) * 16 + (rcode & 15)]!++;
  }

  latency(milliseconds: number): void {
    const seconds = milliseconds / 1000;
    let i = 0;
    while (i < HISTOGRAM.length && seconds > HISTOGRAM[i]!) i++;
    this.#latency[i]!++;
    this.#latencySum += seconds;
  }

  queries(): QueryCount[] {
    const counts: QueryCount[] = [];
    for (const [index, count] of this.#queries.entries()) {
      if (count === 0) continue;
      const type = TYPES[(index >> 4) & 15]!;
      counts.push({
        protocol: PROTOCOLS[index >> 10]!,
        source: SOURCES[(index >> 8) & 3]!,
        type: type === 0 ? 'other' : typeName(type),
        rcode: rcodeName(index & 15),
        count,
      });
    }
    return counts;
  }

  upstream(): UpstreamStats {
    const { sent, answered, unanswered, tcp, mismatched, joined, failed } = this;
    let below = 0;
    const buckets = [...this.#latency].map((count, i) => ({ le: HISTOGRAM[i] ?? Infinity, count: (below += count) }));
    const latency = { buckets, sum: this.#latencySum, count: below };
    return { sent, answered, unanswered, tcp, mismatched, joined, failed, latency };
  }
}
