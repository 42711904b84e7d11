import { MalformedError } from './errors.ts';
import { addressOf, type DhcpLease, leaseOf } from './lease.ts';
import { type DhcpMessage, typeName, typeOf } from './message.ts';
import { ip, ofIps, ofText, ofU16, OPTION, text, TYPE } from './option.ts';

/** Who asks. Given to every message of a client. */
export interface DhcpIdentity {
  /** The client's MAC address, which answers are sent to. */
  readonly mac: string;
  /**
   * What the server knows the client by. Bytes as hexadecimal with colons (`ff:…`, at least two) are sent as they are;
   * any other text is sent as an opaque one (type 0). @see RFC 2132 section 9.14
   */
  readonly clientId: string;
  readonly hostname?: string;
  /** Asks for answers by broadcast, for an interface that hears no unicast before it has the address. */
  readonly broadcast?: boolean;
}

/** What is to be had: a lease, at best of an address that was ours before; or more time for one. */
export type DhcpGoal =
  | { readonly kind: 'acquire'; readonly requested?: string; readonly probe: boolean }
  | { readonly kind: 'renew' | 'rebind'; readonly lease: DhcpLease };

/** What the machine wants done. */
export type DhcpAction =
  | { readonly kind: 'send'; readonly message: DhcpMessage; readonly to: 'everybody' | DhcpLease }
  /** Ask the link whether anybody has the address, and call `probed`. */
  | { readonly kind: 'probe'; readonly address: string }
  | { readonly kind: 'bound'; readonly lease: DhcpLease }
  /** A server says that the lease which was to be renewed is none. */
  | { readonly kind: 'refused'; readonly reason: string };

export type DhcpState =
  | 'init'
  | 'rebooting'
  | 'selecting'
  | 'requesting'
  | 'probing'
  | 'waiting'
  | 'renewing'
  | 'rebinding'
  | 'bound'
  | 'refused';

/**
 * One client's way to a lease, without sockets, clocks and dice: `now` is given in milliseconds since 1970, `random`
 * gives numbers from 0 to 1. Whoever drives it calls `start`, then `receive` for every message and `tick` at `wake`,
 * and does what they return. It never gives up by itself. @see RFC 2131 section 4.4
 */
export class DhcpMachine {
  readonly #who: DhcpIdentity;
  readonly #goal: DhcpGoal;
  readonly #random: () => number;
  #state: DhcpState = 'init';
  #wake = Infinity;
  #xid = 0;
  #began = 0;
  #asked = 0;
  /** Transmissions in this state; the waits grow with them. */
  #tries = 0;
  #restarts = 0;
  #sent = 0;
  /** What a server offered, while it is asked for and probed. */
  #offer: DhcpLease | undefined;
  #wished: string | undefined;
  readonly #heard: string[] = [];

  constructor(who: DhcpIdentity, goal: DhcpGoal, random: () => number) {
    this.#who = who;
    this.#goal = goal;
    this.#random = random;
    this.#wished = goal.kind === 'acquire' ? goal.requested : undefined;
  }

  get state(): DhcpState {
    return this.#state;
  }
  /** When `tick` has something to do, ms since 1970. */
  get wake(): number {
    return this.#wake;
  }
  /** What servers said that led to nothing, one line each. */
  get heard(): readonly string[] {
    return this.#heard;
  }
  /** How many messages were sent. */
  get sent(): number {
    return this.#sent;
  }

  start(now: number): DhcpAction[] {
    this.#began = now;
    if (this.#goal.kind === 'renew') return this.#enter('renewing', now);
    if (this.#goal.kind === 'rebind') return this.#enter('rebinding', now);
    return this.#enter(this.#wished === undefined ? 'selecting' : 'rebooting', now);
  }

  tick(now: number): DhcpAction[] {
    if (now < this.#wake) return [];
    switch (this.#state) {
      case 'rebooting':
        // a server that never heard of the address keeps quiet unless it is authoritative: so ask for any
        return this.#enter('selecting', now);
      case 'requesting':
        return this.#tries < MAX_REQUESTS ? this.#transmit(now) : this.#enter('selecting', now);
      case 'waiting':
        return this.#enter('selecting', now);
      case 'selecting':
      case 'renewing':
      case 'rebinding':
        return this.#transmit(now);
      default:
        this.#wake = Infinity;
        return [];
    }
  }

  /** @param from MAC address of the frame that brought it */
  receive(message: DhcpMessage, from: string, now: number): DhcpAction[] {
    if (message.op !== 2 || message.xid !== this.#xid || message.chaddr !== this.#who.mac.toLowerCase()) return [];
    const type = typeOf(message);
    const server = ip(message.options, OPTION.SERVER_ID) ?? from;
    if (type === TYPE.OFFER && this.#state === 'selecting') {
      const offer = this.#usable(message, from, now, server);
      if (!offer) return [];
      this.#offer = offer;
      return this.#enter('requesting', now);
    }
    if (!WAITS_FOR_ACK.has(this.#state)) return [];
    // an answer of another server than the one that was chosen is none
    if (this.#state === 'requesting' && server !== this.#offer?.server) return [];
    if (type === TYPE.NAK) return this.#nak(server, text(message.options, OPTION.MESSAGE), now);
    if (type !== TYPE.ACK) return [];
    const lease = this.#usable(message, from, this.#asked, server);
    if (!lease) return [];
    const wanted = this.#wantedAddress();
    if (wanted !== undefined && addressOf(lease) !== wanted) {
      this.#note(`${server} acknowledged ${addressOf(lease)} where ${wanted} was asked for`);
      return [];
    }
    this.#offer = lease;
    if (this.#goal.kind !== 'acquire' || !this.#goal.probe) return this.#bound();
    this.#state = 'probing';
    this.#wake = Infinity;
    return [{ kind: 'probe', address: addressOf(lease) }];
  }

  /** The link's answer to a probe: the MAC address of whoever has the address already. */
  probed(owner: string | undefined, now: number): DhcpAction[] {
    if (this.#state !== 'probing' || !this.#offer) return [];
    if (owner === undefined) return this.#bound();
    const { server } = this.#offer;
    const address = addressOf(this.#offer);
    this.#note(`${server} gave ${address}, but ${owner} has it already: declined`);
    this.#wished = undefined;
    const message = this.#message(TYPE.DECLINE, { requested: address, server });
    return [{ kind: 'send', message, to: 'everybody' }, ...this.#restart(now)];
  }

  #enter(state: DhcpState, now: number): DhcpAction[] {
    this.#state = state;
    this.#tries = 0;
    // a REQUEST keeps the number of the OFFER that it answers
    if (state !== 'requesting') this.#xid = Math.floor(this.#random() * 0x1_0000_0000) >>> 0;
    return this.#transmit(now);
  }

  #transmit(now: number): DhcpAction[] {
    this.#wake = now + this.#patience();
    this.#tries++;
    this.#sent++;
    if (this.#state !== 'requesting' || this.#tries === 1) this.#asked = now;
    const secs = Math.floor((now - this.#began) / 1000);
    const goal = this.#goal;
    switch (this.#state) {
      case 'selecting':
        return [this.#all(TYPE.DISCOVER, { requested: this.#wished, secs })];
      case 'rebooting':
        return [this.#all(TYPE.REQUEST, { requested: this.#wished, secs })];
      case 'requesting':
        return [this.#all(TYPE.REQUEST, { requested: addressOf(this.#offer!), server: this.#offer!.server, secs })];
      case 'renewing':
      case 'rebinding': {
        if (goal.kind === 'acquire') return [];
        const message = this.#message(TYPE.REQUEST, { ciaddr: addressOf(goal.lease), secs });
        return [{ kind: 'send', message, to: goal.kind === 'renew' ? goal.lease : 'everybody' }];
      }
      default:
        return [];
    }
  }

  /**
   * Doubles up to 64 s, and differs by a quarter of the first wait (RFC 2131 section 4.1). Four seconds at first for a
   * renewal, as the RFC has it for slow links; one for who has no address yet: its port may just be coming up, and
   * people wait. An answer to any of the messages counts, so that a slow server loses nothing.
   */
  #patience(): number {
    if (this.#state === 'rebooting') return REBOOT_PATIENCE;
    const first = this.#goal.kind === 'acquire' ? 1000 : 4000;
    return Math.min(first * 2 ** this.#tries, 64_000) + (this.#random() - 0.5) * (first / 2);
  }

  #nak(server: string, reason: string | undefined, now: number): DhcpAction[] {
    const line = `${server} refused${reason ? `: "${reason.slice(0, 80)}"` : ''}`;
    this.#note(line);
    if (this.#goal.kind !== 'acquire') {
      this.#state = 'refused';
      this.#wake = Infinity;
      return [{ kind: 'refused', reason: line }];
    }
    this.#wished = undefined;
    return this.#restart(now);
  }

  /** From the start; at once the first time, then every ten seconds (RFC 2131 section 3.1 point 5). */
  #restart(now: number): DhcpAction[] {
    this.#offer = undefined;
    if (this.#restarts++ === 0) return this.#enter('selecting', now);
    this.#state = 'waiting';
    this.#wake = now + RESTART_PATIENCE;
    return [];
  }

  #bound(): DhcpAction[] {
    this.#state = 'bound';
    this.#wake = Infinity;
    return [{ kind: 'bound', lease: this.#offer! }];
  }

  #wantedAddress(): string | undefined {
    if (this.#goal.kind !== 'acquire') return addressOf(this.#goal.lease);
    return this.#state === 'rebooting' ? this.#wished : addressOf(this.#offer!);
  }

  #usable(message: DhcpMessage, from: string, asked: number, server: string): DhcpLease | undefined {
    try {
      return leaseOf(message, asked, from);
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      this.#note(`${server} sent an ${typeName(typeOf(message))} of no use: ${error.message}`);
      return undefined;
    }
  }

  #note(line: string): void {
    if (!this.#heard.includes(line) && this.#heard.length < MAX_HEARD) this.#heard.push(line);
  }

  #all(type: number, fields: MessageFields): DhcpAction {
    return { kind: 'send', message: this.#message(type, fields), to: 'everybody' };
  }
  #message(type: number, fields: MessageFields): DhcpMessage {
    return clientMessage(this.#who, type, { ...fields, xid: this.#xid });
  }
}

/** A RELEASE of the lease, to be sent to its server. Nobody answers it. */
export function releaseMessage(who: DhcpIdentity, lease: DhcpLease, random: () => number): DhcpMessage {
  const xid = Math.floor(random() * 0x1_0000_0000) >>> 0;
  return clientMessage(who, TYPE.RELEASE, { xid, ciaddr: addressOf(lease), server: lease.server });
}

interface MessageFields {
  readonly xid?: number;
  readonly secs?: number;
  readonly ciaddr?: string;
  readonly requested?: string | undefined;
  readonly server?: string;
}

function clientMessage(who: DhcpIdentity, type: number, fields: MessageFields): DhcpMessage {
  const options = new Map<number, Uint8Array>([[OPTION.MESSAGE_TYPE, Uint8Array.of(type)]]);
  options.set(OPTION.CLIENT_ID, clientIdBytes(who.clientId));
  if (fields.requested !== undefined) options.set(OPTION.REQUESTED_IP, ofIps([fields.requested]));
  if (fields.server !== undefined) options.set(OPTION.SERVER_ID, ofIps([fields.server]));
  const asks = type === TYPE.DISCOVER || type === TYPE.REQUEST;
  if (asks) {
    options.set(OPTION.MAX_SIZE, ofU16(MAX_SIZE));
    if (who.hostname !== undefined && who.hostname !== '') options.set(OPTION.HOSTNAME, ofText(who.hostname));
    options.set(OPTION.PARAMETERS, Uint8Array.from(WANTED));
  }
  return {
    op: 1,
    xid: fields.xid ?? 0,
    secs: fields.secs ?? 0,
    broadcast: asks && who.broadcast === true && fields.ciaddr === undefined,
    ciaddr: fields.ciaddr ?? NONE,
    yiaddr: NONE,
    siaddr: NONE,
    giaddr: NONE,
    chaddr: who.mac.toLowerCase(),
    options,
  };
}

function clientIdBytes(id: string): Uint8Array {
  if (/^[0-9a-f]{2}(:[0-9a-f]{2})+$/i.test(id))
    return Uint8Array.from(id.split(':'), (byte) => Number.parseInt(byte, 16));
  return Uint8Array.of(0, ...Buffer.from(id, 'utf8').subarray(0, 254));
}

const NONE = '0.0.0.0';
const WAITS_FOR_ACK: ReadonlySet<DhcpState> = new Set(['requesting', 'rebooting', 'renewing', 'rebinding']);
/** Classless routes before routers: RFC 3442. */
const WANTED = [
  ...[OPTION.SUBNET_MASK, OPTION.CLASSLESS_ROUTES, OPTION.ROUTER, OPTION.DNS, OPTION.DOMAIN, OPTION.SEARCH],
  ...[OPTION.MTU, OPTION.BROADCAST, OPTION.LEASE_TIME, OPTION.SERVER_ID, OPTION.T1, OPTION.T2],
];
/** What Ethernet's 1500 bytes hold besides the headers of IP and UDP. */
const MAX_SIZE = 1472;
/** REQUESTs for one offer before another is looked for. */
const MAX_REQUESTS = 4;
/** Shorter than the RFC's, since silence is what most servers answer with when the address is not theirs to give. */
const REBOOT_PATIENCE = 2000;
const RESTART_PATIENCE = 10_000;
const MAX_HEARD = 8;
