import type { Family } from '../addr/index.ts';
import { announceFrames, endOfRibFrame, type Outgoing, withdrawFrames } from './encode.ts';
import { familyOf } from './nlri.ts';
import type { Session } from './session.ts';

/** How prefixes of ours are announced. */
export interface Announcement {
  /** One a family; without one of a prefix's family, our own address on the session, where that is of the family. */
  readonly nextHop?: readonly string[];
  /** `65000:100` @see RFC 1997 */
  readonly communities?: readonly string[];
  readonly med?: number;
  /** Told within our AS alone; default 100. */
  readonly localPref?: number;
}

/** Our own prefixes, the same for all neighbours. */
export type OwnRoutes = ReadonlyMap<string, Announcement>;

/**
 * What one neighbour was told, and what it is still to be told: only the difference to what is wanted is kept, so that a
 * neighbour that does not read costs nothing. @see RFC 4271 section 3.2 Adj-RIBs-Out
 */
export class RibOut {
  readonly #own: OwnRoutes;
  readonly #localAs: number;
  readonly #told: Map<string, Announcement> = new Map();
  readonly #pending: Set<string> = new Set();
  readonly #unsendable: Set<string> = new Set();
  /** Families whose end is to be told once nothing is pending. */
  #ends: readonly Family[] = [];

  constructor(own: OwnRoutes, localAs: number) {
    this.#own = own;
    this.#localAs = localAs;
  }

  /** Prefixes that the neighbour has of us. */
  get sent(): number {
    return this.#told.size;
  }
  /** Those that it cannot be told: there is no next hop of their family. */
  get unsendable(): number {
    return this.#unsendable.size;
  }
  get empty(): boolean {
    return this.#pending.size === 0 && this.#ends.length === 0;
  }

  /** A session begins: everything is to be told, and its end where the neighbour waits for one. */
  begin({ families, restart }: Session): void {
    this.end();
    for (const prefix of this.#own.keys()) this.#pending.add(prefix);
    this.#ends = restart ? families : [];
  }
  end(): void {
    this.#told.clear();
    this.#pending.clear();
    this.#unsendable.clear();
    this.#ends = [];
  }
  changed(prefixes: Iterable<string>): void {
    for (const prefix of prefixes) this.#pending.add(prefix);
  }
  /** The neighbour wants everything of a family again. */
  refresh(family: Family): void {
    for (const prefix of this.#own.keys()) {
      if (familyOf(prefix) !== family) continue;
      this.#told.delete(prefix);
      this.#pending.add(prefix);
    }
  }

  /** The messages that are to be sent next: of one announcement and family, or what is taken back. @param self our address */
  next(session: Session, self: string): Uint8Array[] {
    const gone: { readonly [family in Family]: string[] } = { 4: [], 6: [] };
    let chosen: Announcement | undefined;
    let family: Family | undefined;
    let outgoing: Outgoing | undefined;
    const group: string[] = [];
    for (const prefix of this.#pending) {
      const wanted = this.#own.get(prefix);
      const kind = familyOf(prefix);
      if (wanted === undefined || !session.families.includes(kind)) {
        this.#forget(prefix, gone[kind]);
        continue;
      }
      if (this.#told.get(prefix) === wanted) {
        this.#pending.delete(prefix);
        continue;
      }
      if (chosen === undefined) {
        outgoing = this.#outgoing(wanted, kind, session, self);
        if (!outgoing) {
          this.#forget(prefix, gone[kind]);
          this.#unsendable.add(prefix);
          continue;
        }
        [chosen, family] = [wanted, kind];
      } else if (chosen !== wanted || family !== kind) {
        continue;
      }
      group.push(prefix);
      this.#pending.delete(prefix);
      this.#unsendable.delete(prefix);
      this.#told.set(prefix, wanted);
    }
    const frames = [...withdrawFrames(gone[4]), ...withdrawFrames(gone[6])];
    if (outgoing) frames.push(...announceFrames(group, outgoing, session.as4));
    if (this.#pending.size === 0) {
      frames.push(...this.#ends.map(endOfRibFrame));
      this.#ends = [];
    }
    return frames;
  }

  #forget(prefix: string, gone: string[]): void {
    this.#pending.delete(prefix);
    this.#unsendable.delete(prefix);
    if (this.#told.delete(prefix)) gone.push(prefix);
  }

  #outgoing(what: Announcement, family: Family, session: Session, self: string): Outgoing | undefined {
    const { nextHop = [], med, communities, localPref = 100 } = what;
    const hop =
      [...nextHop, self].find((each) => familyOf(each) === family) ??
      (family === 4 && session.extendedNextHop ? [...nextHop, self].find((each) => familyOf(each) === 6) : undefined);
    if (hop === undefined) return undefined;
    return {
      path: session.internal ? [] : [{ kind: 'sequence', asns: [this.#localAs] }],
      nextHop: hop,
      ...(med === undefined ? {} : { med }),
      ...(communities ? { communities } : {}),
      ...(session.internal ? { localPref } : {}),
    };
  }
}
