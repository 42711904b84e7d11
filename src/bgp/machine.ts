import type { Family } from '../addr/index.ts';
import { BgpError } from './errors.ts';
import type { Frame } from './framer.ts';
import {
  CEASE,
  decodeNotification,
  encodeNotification,
  ERROR,
  FSM_ERROR,
  type Notification,
  wordsOf,
} from './notification.ts';
import { decodeOpen, encodeOpen, familyAt, type Open } from './open.ts';
import { agree, type Session, theirsSurvives } from './session.ts';
import { decodeUpdate, type Update } from './update.ts';
import { frameOf, get16, TYPE } from './wire.ts';

/** RFC 4271 section 8.2.2 */
export type PeerState = 'idle' | 'connect' | 'active' | 'opensent' | 'openconfirm' | 'established';

/** How a session, or a try to have one, came to its end. */
export interface Ending {
  /** One line. */
  readonly words: string;
  readonly by: 'us' | 'peer' | 'network';
  readonly notification?: Notification;
}

/** What the machine wants done. `link` numbers a TCP connection. */
export type PeerAction =
  | { readonly kind: 'connect' }
  /** Stop the try to connect. */
  | { readonly kind: 'abandon' }
  | { readonly kind: 'send'; readonly link: number; readonly frame: Uint8Array }
  /** After what was sent. */
  | { readonly kind: 'close'; readonly link: number }
  | { readonly kind: 'up'; readonly link: number; readonly session: Session }
  /** `restarts`: the peer said that it would be back, and nobody said that the session should end. */
  | { readonly kind: 'down'; readonly ending: Ending; readonly restarts: boolean }
  /** A try that came to nothing. */
  | { readonly kind: 'failed'; readonly ending: Ending }
  | { readonly kind: 'update'; readonly update: Update }
  /** The peer wants everything of a family again. */
  | { readonly kind: 'refresh'; readonly family: Family };

export interface MachineSettings {
  readonly peerAs: number;
  /** We wait for the peer to connect. */
  readonly passive: boolean;
  /** Between two tries to connect, milliseconds; RFC 4271's ConnectRetryTime. */
  readonly retry: number;
  /** What we say of ourselves, at that time. */
  open(now: number): Open;
}

/** A connection that is open. */
interface Track {
  readonly link: number;
  readonly inbound: boolean;
  readonly ours: Open;
  state: 'opensent' | 'openconfirm' | 'established';
  /** When the peer was silent for too long, and when it must hear of us. */
  deadline: number;
  keepalive: number;
  session: Session | undefined;
  since: number;
}

/**
 * One peer's way through RFC 4271 section 8, without sockets, clocks and dice: `now` is in milliseconds, `random` gives
 * numbers from 0 to 1. Two connections are followed at once until it is known which of them stays (section 6.8).
 */
export class PeerMachine {
  readonly #settings: MachineSettings;
  readonly #random: () => number;
  readonly #tracks: Map<number, Track> = new Map();
  #enabled = false;
  #idle = true;
  #connecting = false;
  /** When idleness ends, or the next try to connect is due. */
  #next = Infinity;
  #failures = 0;

  constructor(settings: MachineSettings, random: () => number) {
    this.#settings = settings;
    this.#random = random;
  }

  get state(): PeerState {
    const states = [...this.#tracks.values()].map(({ state }) => state);
    for (const state of ['established', 'openconfirm', 'opensent'] as const) if (states.includes(state)) return state;
    if (this.#idle) return 'idle';
    return this.#connecting ? 'connect' : 'active';
  }
  /** When `tick` has something to do. */
  get wake(): number {
    let wake = this.#next;
    for (const { deadline, keepalive } of this.#tracks.values()) wake = Math.min(wake, deadline, keepalive);
    return wake;
  }
  get session(): Session | undefined {
    return this.#established?.session;
  }

  start(now: number): PeerAction[] {
    if (this.#enabled) return [];
    this.#enabled = true;
    return this.#begin(now);
  }

  /** For good, or until `start`. Without a notification the peer may keep our routes (RFC 4724 section 4.1). */
  stop(notification: Notification | undefined, words: string): PeerAction[] {
    this.#enabled = false;
    const actions = this.#rest();
    for (const track of this.#tracks.values()) {
      if (notification) actions.push(send(track, TYPE.NOTIFICATION, encodeNotification(notification)));
      actions.push(...this.#drop(track, { words, by: 'us', ...(notification ? { notification } : {}) }, false));
    }
    return actions;
  }

  /**
   * Ends what is there with a notification, and rests for so long: a limit that the peer is over, say.
   * @param rest milliseconds
   */
  reset(notification: Notification, words: string, rest: number, now: number): PeerAction[] {
    const actions = this.#rest();
    for (const track of this.#tracks.values()) {
      actions.push(send(track, TYPE.NOTIFICATION, encodeNotification(notification)));
      actions.push(...this.#drop(track, { words, by: 'us', notification }, false));
    }
    if (this.#enabled) this.#next = now + rest;
    return actions;
  }

  tick(now: number): PeerAction[] {
    const actions: PeerAction[] = [];
    for (const track of this.#tracks.values()) {
      if (now >= track.deadline) {
        const { state, session, ours } = track;
        const silent = state === 'opensent' ? OPEN_WAIT / 1000 : (session?.holdTime ?? ours.holdTime);
        const error = new BgpError({ code: ERROR.HOLD, subcode: 0 }, `nothing was heard for ${silent} s`);
        actions.push(...this.#refuse(track, error, now));
      } else if (now >= track.keepalive) {
        track.keepalive = now + this.#keepaliveAfter(track);
        actions.push(send(track, TYPE.KEEPALIVE));
      }
    }
    if (now < this.#next) return actions;
    if (this.#idle) return [...actions, ...this.#begin(now)];
    if (this.#connecting) actions.push({ kind: 'abandon' });
    return [...actions, ...this.#connect(now)];
  }

  /** The connection that was wanted is there. */
  connected(link: number, now: number): PeerAction[] {
    this.#connecting = false;
    if (this.#idle || this.#established) return [{ kind: 'close', link }];
    this.#next = Infinity;
    return this.#open(link, false, now);
  }

  /** Nobody took the connection that was wanted. */
  unreachable(words: string, now: number): PeerAction[] {
    if (!this.#connecting) return [];
    this.#connecting = false;
    this.#next = this.#tracks.size > 0 ? Infinity : now + this.#jittered(this.#settings.retry);
    return [{ kind: 'failed', ending: { words, by: 'network' } }];
  }

  /** The peer connected to us. */
  accepted(link: number, now: number): PeerAction[] {
    if (this.#idle) return rejected(link, CEASE.REJECTED);
    const before = [...this.#tracks.values()].find(({ inbound, state }) => inbound && state !== 'established');
    if (before?.state === 'openconfirm') return rejected(link, CEASE.COLLISION);
    // a peer that lost its end connects again: the newer is the one that lives
    const actions = before ? this.#drop(before, { words: 'the peer connected anew', by: 'peer' }, true) : [];
    return [...actions, ...this.#open(link, true, now)];
  }

  /** A connection broke, or the peer closed it. */
  lost(link: number, words: string, now: number): PeerAction[] {
    const track = this.#tracks.get(link);
    if (!track) return [];
    const actions = this.#drop(track, { words, by: 'network' }, true);
    // who falls silent within the handshake may be shut out by the other side's rules: not at once again
    this.#againLater(now);
    return actions;
  }

  /** A stream that is not BGP, or does not move. */
  broken(link: number, error: BgpError, now: number): PeerAction[] {
    const track = this.#tracks.get(link);
    return track ? this.#refuse(track, error, now) : [];
  }

  received(link: number, frame: Frame, now: number): PeerAction[] {
    const track = this.#tracks.get(link);
    if (!track) return [];
    try {
      if (frame.type === TYPE.NOTIFICATION) return this.#notified(track, decodeNotification(frame.body), now);
      if (track.state === 'opensent') return this.#receiveOpen(track, frame, now);
      if (track.session!.holdTime > 0) track.deadline = now + track.session!.holdTime * 1000;
      if (track.state === 'openconfirm') return this.#receiveConfirm(track, frame, now);
      return this.#receiveEstablished(track.session!, frame);
    } catch (error) {
      if (!(error instanceof BgpError)) throw error;
      return this.#refuse(track, error, now);
    }
  }

  get #established(): Track | undefined {
    for (const track of this.#tracks.values()) if (track.state === 'established') return track;
    return undefined;
  }

  #begin(now: number): PeerAction[] {
    this.#idle = false;
    if (!this.#settings.passive) return this.#connect(now);
    this.#next = Infinity;
    return [];
  }
  #connect(now: number): PeerAction[] {
    this.#connecting = true;
    this.#next = now + this.#jittered(this.#settings.retry);
    return [{ kind: 'connect' }];
  }

  #open(link: number, inbound: boolean, now: number): PeerAction[] {
    const ours = this.#settings.open(now);
    const track: Track = {
      ...{ link, inbound, ours, state: 'opensent', session: undefined, since: now },
      ...{ deadline: now + OPEN_WAIT, keepalive: Infinity },
    };
    this.#tracks.set(link, track);
    return [send(track, TYPE.OPEN, encodeOpen(ours))];
  }

  #receiveOpen(track: Track, { type, body }: Frame, now: number): PeerAction[] {
    if (type !== TYPE.OPEN) throw unexpected(FSM_ERROR.OPEN_SENT, type);
    const theirs = decodeOpen(body);
    const session = agree(track.ours, theirs, this.#settings.peerAs);
    const actions: PeerAction[] = [];
    for (const other of this.#tracks.values()) {
      if (other === track || other.state === 'opensent') continue;
      if (other.state === 'established') {
        // a peer that announced restarts is back; of any other the session that works is kept
        if (!other.session!.restart) return [...actions, ...this.#yield(track)];
        actions.push(...this.#drop(other, { words: 'the peer connected anew', by: 'peer' }, true));
      } else if (theirsSurvives(track.ours, theirs) === track.inbound) {
        actions.push(...this.#yield(other));
      } else {
        return [...actions, ...this.#yield(track)];
      }
    }
    track.state = 'openconfirm';
    track.session = session;
    track.deadline = session.holdTime > 0 ? now + session.holdTime * 1000 : Infinity;
    track.keepalive = now + this.#keepaliveAfter(track);
    return [...actions, send(track, TYPE.KEEPALIVE)];
  }

  #receiveConfirm(track: Track, { type }: Frame, now: number): PeerAction[] {
    if (type !== TYPE.KEEPALIVE) throw unexpected(FSM_ERROR.OPEN_CONFIRM, type);
    const actions: PeerAction[] = [];
    if (this.#connecting) actions.push({ kind: 'abandon' });
    this.#connecting = false;
    this.#next = Infinity;
    for (const other of this.#tracks.values()) if (other !== track) actions.push(...this.#yield(other));
    track.state = 'established';
    track.since = now;
    return [...actions, { kind: 'up', link: track.link, session: track.session! }];
  }

  #receiveEstablished(session: Session, { type, body }: Frame): PeerAction[] {
    switch (type) {
      case TYPE.UPDATE:
        return [{ kind: 'update', update: decodeUpdate(body, { ...session, peerAs: session.asn }) }];
      case TYPE.REFRESH: {
        if (body.length !== 4)
          throw new BgpError({ code: ERROR.REFRESH, subcode: 1 }, `ROUTE-REFRESH of ${body.length} bytes`);
        const family = familyAt(get16(body, 0), body[3]!)[0];
        // subtypes of RFC 7313 are not offered
        return family && body[2] === 0 && session.families.includes(family) ? [{ kind: 'refresh', family }] : [];
      }
      case TYPE.KEEPALIVE:
        return [];
      default:
        throw unexpected(FSM_ERROR.ESTABLISHED, type);
    }
  }

  #notified(track: Track, notification: Notification, now: number): PeerAction[] {
    const actions = this.#drop(track, { words: wordsOf(notification), by: 'peer', notification }, false);
    // it rests after an error, and takes nobody meanwhile: if we did the same, we would refuse each other for ever
    if (notification.code === ERROR.CEASE && notification.subcode === CEASE.REJECTED && track.state === 'opensent') {
      this.#againLater(now);
      return actions;
    }
    const collision = notification.code === ERROR.CEASE && notification.subcode === CEASE.COLLISION;
    if (this.#tracks.size === 0 && !(collision && this.#connecting)) actions.push(...this.#restAfter(track, now));
    return actions;
  }

  /** Tells the peer why, and ends the connection. */
  #refuse(track: Track, error: BgpError, now: number): PeerAction[] {
    const { notification, message: words } = error;
    const actions = [send(track, TYPE.NOTIFICATION, encodeNotification(notification))];
    actions.push(...this.#drop(track, { words, by: 'us', notification }, false));
    if (this.#tracks.size === 0) actions.push(...this.#restAfter(track, now));
    return actions;
  }

  /** The connection that does not survive a collision. */
  #yield(track: Track): PeerAction[] {
    this.#tracks.delete(track.link);
    return rejected(track.link, CEASE.COLLISION);
  }

  #drop(track: Track, ending: Ending, quiet: boolean): PeerAction[] {
    this.#tracks.delete(track.link);
    const close: PeerAction = { kind: 'close', link: track.link };
    if (track.state !== 'established') return [close, { kind: 'failed', ending }];
    return [close, { kind: 'down', ending, restarts: quiet && track.session!.restart !== undefined }];
  }

  /** Whoever connects to us meanwhile is taken. */
  #againLater(now: number): void {
    if (this.#tracks.size > 0 || this.#connecting) return;
    this.#idle = false;
    this.#next = this.#settings.passive ? Infinity : now + this.#jittered(this.#settings.retry);
  }
  /** Longer and longer, as long as sessions end by errors soon after they begin (RFC 4271's DampPeerOscillations). */
  #restAfter(track: Track, now: number): PeerAction[] {
    const steady = track.state === 'established' && now - track.since > STEADY;
    this.#failures = steady ? 1 : this.#failures + 1;
    const actions = this.#rest();
    const { retry } = this.#settings;
    if (this.#enabled)
      this.#next = now + this.#jittered(Math.min(retry * 2 ** (this.#failures - 1), Math.max(retry, LONGEST_REST)));
    return actions;
  }
  #rest(): PeerAction[] {
    const actions: PeerAction[] = this.#connecting ? [{ kind: 'abandon' }] : [];
    this.#connecting = false;
    this.#idle = true;
    this.#next = Infinity;
    return actions;
  }

  #keepaliveAfter({ session }: Track): number {
    return session!.holdTime === 0 ? Infinity : this.#jittered((session!.holdTime * 1000) / 3);
  }
  /** RFC 4271 section 10: three quarters to the whole. */
  #jittered(ms: number): number {
    return ms * (0.75 + this.#random() * 0.25);
  }
}

function send({ link }: { readonly link: number }, type: number, body?: Uint8Array): PeerAction {
  return { kind: 'send', link, frame: frameOf(type, body) };
}
function rejected(link: number, subcode: number): PeerAction[] {
  const cease = encodeNotification({ code: ERROR.CEASE, subcode });
  return [send({ link }, TYPE.NOTIFICATION, cease), { kind: 'close', link }];
}
function unexpected(subcode: number, type: number): BgpError {
  return new BgpError({ code: ERROR.FSM, subcode }, `a message of type ${type}`);
}

/** How long the peer's OPEN is waited for, milliseconds: RFC 4271 section 8.2.2 has four minutes. */
const OPEN_WAIT = 240_000;
const STEADY = 120_000;
const LONGEST_REST = 60_000;
