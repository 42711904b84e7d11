import type { Family } from '../addr/index.ts';
import type { Adjacency } from './adjacency.ts';
import type { Neighbour } from './config.ts';
import type { Ending, PeerState } from './machine.ts';

/** A neighbour as it is shown. Times are milliseconds since 1970. */
export interface NeighbourStatus {
  readonly address: string;
  readonly asn: number;
  readonly state: PeerState;
  /** When the session came up, or when there was last one; when it began to be wanted, before. */
  readonly since: number;
  /** The session, while it is up. */
  readonly session?: {
    readonly id: string;
    readonly holdTime: number;
    readonly families: readonly Family[];
    readonly internal: boolean;
    /** It keeps our routes while we are away, and said for how many seconds we may keep its own. */
    readonly restartTime?: number;
  };
  readonly prefixes: {
    readonly received: number;
    /** Of those: kept from before, until it tells them again. */
    readonly stale: number;
    readonly sent: number;
    /** Of ours it could not be told: no next hop of their family. */
    readonly unsendable: number;
  };
  /** Why the last session, or the last try, ended: in words, and who ended it. */
  readonly last?: { readonly at: number; readonly words: string; readonly by: Ending['by'] };
  /** What was wrong with UPDATEs, the last few. */
  readonly faults: readonly string[];
  readonly faultCount: number;
}

/** What is remembered of a neighbour for people; nothing acts on it. */
export class PeerHistory {
  #since: number = Date.now();
  #up = false;
  #last: NeighbourStatus['last'];
  #faults: string[] = [];
  #faultCount = 0;

  turned(ending: Ending | undefined): void {
    const at = Date.now();
    if (ending) this.#last = { at, words: ending.words, by: ending.by };
    if (this.#up === (ending === undefined)) return;
    this.#up = !this.#up;
    this.#since = at;
  }
  fault(line: string): void {
    this.#faultCount++;
    this.#faults = [...this.#faults.filter((each) => each !== line), line.slice(0, 200)].slice(-FAULTS);
  }

  status({ address, asn }: Neighbour, { state, session, routes, out }: Adjacency): NeighbourStatus {
    const shown = session && {
      ...{ id: session.id, holdTime: session.holdTime, families: session.families, internal: session.internal },
      ...(session.restart ? { restartTime: session.restart.time } : {}),
    };
    return {
      ...{ address, asn, state, since: this.#since },
      ...(shown ? { session: shown } : {}),
      prefixes: { received: routes.size, stale: routes.stale, sent: out.sent, unsendable: out.unsendable },
      ...(this.#last ? { last: this.#last } : {}),
      ...{ faults: this.#faults, faultCount: this.#faultCount },
    };
  }
}

const FAULTS = 8;
