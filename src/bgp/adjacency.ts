import type { Family } from '../addr/index.ts';
import type { Teller } from './best.ts';
import type { BgpError } from './errors.ts';
import type { Frame } from './framer.ts';
import { type Ending, PeerMachine, type PeerAction, type PeerState } from './machine.ts';
import { CEASE, ERROR, type Notification } from './notification.ts';
import { afiOf, type Open } from './open.ts';
import { type Intake, RibIn } from './rib-in.ts';
import { type OwnRoutes, RibOut } from './rib-out.ts';
import type { Session } from './session.ts';
import type { Update } from './update.ts';
import { frameOf, of16, of32, SAFI_UNICAST, TYPE } from './wire.ts';

export interface AdjacencySettings extends Intake {
  readonly address: string;
  readonly asn: number;
  readonly passive: boolean;
  /** Seconds. */
  readonly holdTime: number;
  readonly families: readonly Family[];
  readonly extendedNextHop: boolean;
  /** Milliseconds between two tries. */
  readonly retry: number;
  /** Prefixes of a family that are taken; one more ends the session. */
  readonly maxPrefixes: number;
  /** Seconds that our routes may be kept while we are away; 0: we know nothing of restarts. */
  readonly restartTime: number;
  /** Until when, in milliseconds, we say that we have just restarted. */
  readonly restartingUntil: number;
}

/** What a link is asked to do; `send` and `close` name which. */
export type LinkAction = Extract<PeerAction, { kind: 'connect' | 'abandon' | 'send' | 'close' }>;

/** Who wants to know what became of a step. */
export interface AdjacencyWatcher {
  changed(prefixes: readonly string[]): void;
  /** The session came up, or it, or a try to have one, came to an end. */
  turned(ending: Ending | undefined): void;
  /** Something in an UPDATE was wrong, and the session lives on. */
  fault(line: string): void;
}

/**
 * One neighbour: its session, what it told us, and what it is told. Pure, as its machine is: `now` is in milliseconds.
 * While a neighbour that announced restarts is away its routes stay, and go when it is late or has told everything again.
 */
export class Adjacency {
  readonly #settings: AdjacencySettings;
  readonly #watcher: AdjacencyWatcher;
  readonly #machine: PeerMachine;
  readonly #in: RibIn;
  readonly #out: RibOut;
  /** When routes that were kept go. */
  #keptUntil = Infinity;
  #wasUp = false;
  #link = -1;
  /** The one that is, or was last. */
  #last: Session | undefined;
  /** The end of these families was heard in this session. */
  readonly #told: Set<Family> = new Set();

  constructor(settings: AdjacencySettings, own: OwnRoutes, random: () => number, watcher: AdjacencyWatcher) {
    this.#settings = settings;
    this.#watcher = watcher;
    this.#in = new RibIn(settings);
    this.#out = new RibOut(own, settings.localAs);
    const { asn: peerAs, passive, retry } = settings;
    this.#machine = new PeerMachine({ peerAs, passive, retry, open: (now) => this.#open(now) }, random);
  }

  get state(): PeerState {
    return this.#machine.state;
  }
  get session(): Session | undefined {
    return this.#machine.session;
  }
  get wake(): number {
    return Math.min(this.#machine.wake, this.#keptUntil);
  }
  get routes(): RibIn {
    return this.#in;
  }
  get out(): RibOut {
    return this.#out;
  }
  /** It has told everything that it had when the session began; a neighbour that never says so counts once it is up. */
  get toldAll(): boolean {
    const { session } = this;
    if (!session) return false;
    return !session.restart || session.restart.restarting || session.families.every((family) => this.#told.has(family));
  }

  start(now: number): LinkAction[] {
    return this.#digest(this.#machine.start(now), now);
  }
  stop(notification: Notification | undefined, words: string, now: number): LinkAction[] {
    const actions = this.#digest(this.#machine.stop(notification, words), now);
    this.#clear();
    return actions;
  }
  reset(notification: Notification, words: string, now: number): LinkAction[] {
    return this.#digest(this.#machine.reset(notification, words, this.#settings.retry, now), now);
  }
  /** What is taken from now on. The neighbour is asked for all again; one that cannot tell it begins anew. */
  restrict(accept: readonly string[], now: number): LinkAction[] {
    this.#watcher.changed(this.#in.restrict(accept));
    const { session } = this;
    if (!session) return [];
    if (!session.refresh) {
      return this.reset({ code: ERROR.CEASE, subcode: CEASE.CHANGED }, 'other prefixes are taken', now);
    }
    return session.families.map((family) => ({
      ...{ kind: 'send', link: this.#link },
      frame: frameOf(TYPE.REFRESH, Uint8Array.of(...of16(afiOf(family)), 0, SAFI_UNICAST)),
    }));
  }
  tick(now: number): LinkAction[] {
    if (now >= this.#keptUntil) {
      this.#keptUntil = Infinity;
      this.#watcher.changed(this.#in.sweep());
    }
    return this.#digest(this.#machine.tick(now), now);
  }
  connected(link: number, now: number): LinkAction[] {
    return this.#digest(this.#machine.connected(link, now), now);
  }
  unreachable(words: string, now: number): LinkAction[] {
    return this.#digest(this.#machine.unreachable(words, now), now);
  }
  accepted(link: number, now: number): LinkAction[] {
    return this.#digest(this.#machine.accepted(link, now), now);
  }
  lost(link: number, words: string, now: number): LinkAction[] {
    return this.#digest(this.#machine.lost(link, words, now), now);
  }
  broken(link: number, error: BgpError, now: number): LinkAction[] {
    return this.#digest(this.#machine.broken(link, error, now), now);
  }
  /** @param self our addresses on that link */
  received(link: number, frame: Frame, self: readonly string[], now: number): LinkAction[] {
    return this.#digest(this.#machine.received(link, frame, now), now, self);
  }

  /** The link that carries the session; -1 without one. */
  get link(): number {
    return this.session ? this.#link : -1;
  }
  /** Messages for the neighbour, a few at a time; none without a session, or when all was told. @param self our address */
  outgoing(self: string): readonly Uint8Array[] {
    const { session } = this;
    return !session || this.#out.empty ? [] : this.#out.next(session, self);
  }

  #open(now: number): Open {
    const { localAs: asn, routerId: id, holdTime, families, extendedNextHop, restartTime: time } = this.#settings;
    const restarting = now < this.#settings.restartingUntil && !this.#wasUp;
    // what the kernel forwards stays while we are away, unless this is the first time that we are here
    const forwarding = restarting || this.#wasUp;
    const restart = { restarting, time, families: families.map((family) => ({ family, forwarding })) };
    return { asn, id, holdTime, families, extendedNextHop, as4: true, refresh: true, ...(time > 0 ? { restart } : {}) };
  }

  #digest(actions: readonly PeerAction[], now: number, self: readonly string[] = []): LinkAction[] {
    const left: LinkAction[] = [];
    for (const action of actions) {
      switch (action.kind) {
        case 'up':
          this.#up(action.link, action.session, now);
          break;
        case 'down':
          this.#down(action.restarts, now);
          this.#watcher.turned(action.ending);
          break;
        case 'failed':
          this.#watcher.turned(action.ending);
          break;
        case 'update':
          left.push(...this.#update(action.update, self, now));
          break;
        case 'refresh':
          this.#out.refresh(action.family);
          break;
        default:
          left.push(action);
      }
    }
    return left;
  }

  #up(link: number, session: Session, now: number): void {
    this.#link = link;
    this.#last = session;
    this.#wasUp = true;
    this.#told.clear();
    this.#out.begin(session);
    // what the neighbour did not keep forwarding goes at once (RFC 4724 section 4.2)
    const kept = session.restart?.families.filter(({ forwarding }) => forwarding).map(({ family }) => family) ?? [];
    for (const family of [4, 6] as const)
      if (!kept.includes(family) || !session.families.includes(family)) this.#watcher.changed(this.#in.sweep(family));
    this.#keptUntil = this.#in.stale > 0 ? now + TELL_AGAIN : Infinity;
    this.#watcher.turned(undefined);
  }

  #down(restarts: boolean, now: number): void {
    const session = this.#last;
    this.#out.end();
    const time = session?.restart?.time ?? 0;
    if (!restarts || time === 0) return this.#clear();
    const families = session!.restart!.families.map(({ family }) => family);
    const gone = this.#in.keep(families);
    this.#keptUntil = this.#in.size > 0 ? now + time * 1000 : Infinity;
    this.#watcher.changed(gone);
  }

  #update(update: Update, self: readonly string[], now: number): LinkAction[] {
    const session = this.session!;
    const from: Teller = {
      ...{ address: this.#settings.address, asn: session.asn },
      ...{ id: session.id, internal: session.internal },
    };
    this.#watcher.changed(this.#in.apply(update, from, self));
    for (const line of update.faults) this.#watcher.fault(line);
    if (update.endOfRib !== undefined) {
      this.#told.add(update.endOfRib);
      this.#watcher.changed(this.#in.sweep(update.endOfRib));
    }
    const { maxPrefixes } = this.#settings;
    const over = ([4, 6] as const).find((family) => this.#in.count(family) > maxPrefixes);
    if (over === undefined) return [];
    const data = Uint8Array.of(...of16(afiOf(over)), SAFI_UNICAST, ...of32(maxPrefixes));
    const words = `more than ${maxPrefixes} IPv${over} prefixes`;
    return this.#digest(
      this.#machine.reset({ code: ERROR.CEASE, subcode: CEASE.PREFIXES, data }, words, LIMIT_REST, now),
      now,
    );
  }

  #clear(): void {
    this.#keptUntil = Infinity;
    this.#watcher.changed(this.#in.clear());
  }
}

/** How long a neighbour that is back may take until it has told everything, milliseconds. */
const TELL_AGAIN = 360_000;
/** How long one that told too much is left alone. */
const LIMIT_REST = 300_000;
