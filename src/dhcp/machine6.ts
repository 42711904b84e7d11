import { withoutLength } from '../addr/index.ts';
import type { Dhcp6Message, Ia6, Status6 } from './message6.ts';
import { OPTION6, STATUS6, TYPE6 } from './message6.ts';
import { FOREVER } from './lease.ts';

/** What a DHCPv6 server gave: a plain record. */
export interface Dhcp6Lease {
  /** `fd00::5/128`: what is on the link, advertisements say. */
  readonly address: string;
  readonly dns: readonly string[];
  readonly search: readonly string[];
  /** The server's DUID, hexadecimal. */
  readonly server: string;
  readonly iaid: number;
  /** As in DhcpLease; from `preferredUntil` on, nothing new should use the address. Milliseconds since 1970. */
  readonly obtained: number;
  readonly renewAt: number;
  readonly rebindAt: number;
  readonly preferredUntil: number;
  readonly expiresAt: number;
}

/** What a link's DHCPv6 server tells whoever needs no address of it. */
export interface Dhcp6Info {
  readonly dns: readonly string[];
  readonly search: readonly string[];
  readonly server: string;
}

export interface Dhcp6Identity {
  /** DUID, hexadecimal. */
  readonly duid: string;
  /** Which of the client's interfaces, a 32-bit number. */
  readonly iaid: number;
}

export type Dhcp6Goal =
  | { readonly kind: 'acquire' | 'info' }
  | { readonly kind: 'renew' | 'rebind' | 'release'; readonly lease: Dhcp6Lease };

export type Dhcp6Action =
  | { readonly kind: 'send'; readonly message: Dhcp6Message }
  | { readonly kind: 'bound'; readonly lease: Dhcp6Lease }
  | { readonly kind: 'informed'; readonly info: Dhcp6Info }
  | { readonly kind: 'released' }
  | { readonly kind: 'refused'; readonly reason: string };

export type Dhcp6State = 'soliciting' | 'requesting' | 'informing' | 'renewing' | 'rebinding' | 'releasing' | 'done';

/** As DhcpMachine, for DHCPv6; everything is sent to all servers of the link. @see RFC 8415 section 18.2 */
export class Dhcp6Machine {
  readonly #who: Dhcp6Identity;
  readonly #goal: Dhcp6Goal;
  readonly #random: () => number;
  #state: Dhcp6State = 'done';
  #wake = Infinity;
  #xid = 0;
  /** When this exchange began, and when its first message was sent. */
  #began = 0;
  /** The wait before the last, milliseconds; 0 before the first. */
  #wait = 0;
  #tries = 0;
  #sent = 0;
  /** The best advertisement so far, and the server and address that are asked for. */
  #best: Dhcp6Message | undefined;
  readonly #heard: string[] = [];

  constructor(who: Dhcp6Identity, goal: Dhcp6Goal, random: () => number) {
    this.#who = who;
    this.#goal = goal;
    this.#random = random;
  }

  get state(): Dhcp6State {
    return this.#state;
  }
  get wake(): number {
    return this.#wake;
  }
  get heard(): readonly string[] {
    return this.#heard;
  }
  get sent(): number {
    return this.#sent;
  }

  start(now: number): Dhcp6Action[] {
    return this.#enter(STATE_OF[this.#goal.kind], now);
  }

  tick(now: number): Dhcp6Action[] {
    if (now < this.#wake) return [];
    // advertisements were collected for the first wait: section 18.2.1
    if (this.#state === 'soliciting' && this.#best) return this.#enter('requesting', now);
    if (this.#state === 'requesting' && this.#tries >= MAX_REQUESTS) return this.#solicit(now);
    if (this.#state === 'releasing' && this.#tries >= MAX_RELEASES) return this.#done({ kind: 'released' });
    return this.#transmit(now);
  }

  receive(message: Dhcp6Message, _from: string, now: number): Dhcp6Action[] {
    if (message.xid !== this.#xid || message.clientId !== this.#who.duid || message.serverId === undefined) return [];
    const { serverId: server, type } = message;
    if (this.#state === 'soliciting' && type === TYPE6.ADVERTISE) return this.#advertised(message, now);
    if (type !== TYPE6.REPLY) return [];
    switch (this.#state) {
      case 'soliciting': // only where it commits at once, as we asked
        return message.rapidCommit ? this.#replied(message, now) : [];
      case 'requesting':
        return server === this.#best?.serverId ? this.#replied(message, now) : [];
      case 'renewing':
      case 'rebinding':
        return this.#replied(message, now);
      case 'informing':
        return this.#done({ kind: 'informed', info: { dns: message.dns, search: message.search, server } });
      case 'releasing':
        return this.#done({ kind: 'released' });
      default:
        return [];
    }
  }

  #advertised(message: Dhcp6Message, now: number): Dhcp6Action[] {
    const address = this.#addressIn(message);
    if (address === undefined) return [];
    if ((message.preference ?? 0) > (this.#best?.preference ?? -1)) this.#best = message;
    // the highest preference need not wait, nor who waited in vain already
    return message.preference === 255 || this.#tries > 1 ? this.#enter('requesting', now) : [];
  }

  #replied(message: Dhcp6Message, now: number): Dhcp6Action[] {
    const ia = this.#iaIn(message);
    const failed = [message.status, ia?.status].find((status) => status && status.code !== STATUS6.SUCCESS);
    const holds = this.#goal.kind === 'renew' || this.#goal.kind === 'rebind';
    // a server that is short of something for the moment is asked again
    if (failed?.code === STATUS6.FAILURE) {
      this.#note(message, failed);
      return [];
    }
    const address = failed ? undefined : this.#addressIn(message);
    if (failed) this.#note(message, failed);
    if (address !== undefined) return this.#done({ kind: 'bound', lease: this.#leaseOf(message, ia!, now) });
    if (!holds) return this.#state === 'requesting' ? this.#solicit(now) : [];
    // an answer without our address, where the server says nothing against it, is no answer: section 18.2.10.1
    if (!failed && !ia?.addresses.some((one) => one.valid === 0)) return [];
    return this.#done({ kind: 'refused', reason: this.#heard.at(-1) ?? `${message.serverId} ended the address` });
  }

  /** The address that the message gives us: in a renewal, that of the lease and no other. */
  #addressIn(message: Dhcp6Message): string | undefined {
    const goal = this.#goal;
    const ia = this.#iaIn(message);
    const failed = [message.status, ia?.status].find((status) => status && status.code !== STATUS6.SUCCESS);
    if (failed) this.#note(message, failed);
    if (!ia || failed) return undefined;
    const held = 'lease' in goal ? withoutLength(goal.lease.address) : undefined;
    return ia.addresses.find((one) => isUsable(one) && (held === undefined || one.address === held))?.address;
  }
  #iaIn(message: Dhcp6Message): Ia6 | undefined {
    return message.ias.find((ia) => ia.iaid === this.#who.iaid);
  }

  #leaseOf(message: Dhcp6Message, ia: Ia6, now: number): Dhcp6Lease {
    const address = this.#addressIn(message)!;
    const { preferred, valid } = ia.addresses.find((one) => one.address === address)!;
    const t1 = ia.t1 > 0 && ia.t1 < ia.t2 ? ia.t1 : scaled(preferred, 0.5);
    const t2 = ia.t2 > ia.t1 && ia.t2 < valid ? ia.t2 : scaled(preferred, 0.8);
    return {
      address: `${address}/128`,
      dns: message.dns,
      search: message.search,
      server: message.serverId!,
      iaid: this.#who.iaid,
      obtained: now,
      renewAt: after(now, t1),
      rebindAt: after(now, t2),
      preferredUntil: after(now, preferred),
      expiresAt: after(now, valid),
    };
  }

  #solicit(now: number): Dhcp6Action[] {
    this.#best = undefined;
    return this.#enter('soliciting', now);
  }
  #enter(state: Dhcp6State, now: number): Dhcp6Action[] {
    this.#state = state;
    this.#tries = 0;
    this.#wait = 0;
    this.#began = now;
    this.#xid = Math.floor(this.#random() * 0x100_0000);
    return this.#transmit(now);
  }

  #transmit(now: number): Dhcp6Action[] {
    this.#wake = now + this.#patience();
    this.#tries++;
    this.#sent++;
    const goal = this.#goal;
    const message: Dhcp6Message = {
      type: TYPE_OF[this.#state],
      xid: this.#xid,
      clientId: this.#who.duid,
      ias: [],
      wanted: this.#state === 'releasing' ? [] : [OPTION6.DNS, OPTION6.DOMAINS],
      elapsed: Math.floor((now - this.#began) / 10),
      rapidCommit: this.#state === 'soliciting',
      dns: [],
      search: [],
    };
    const held = 'lease' in goal ? [{ address: withoutLength(goal.lease.address), preferred: 0, valid: 0 }] : [];
    const ia = { iaid: this.#who.iaid, t1: 0, t2: 0, addresses: held };
    switch (this.#state) {
      case 'informing':
        return [{ kind: 'send', message }];
      case 'soliciting':
      case 'rebinding':
        return [{ kind: 'send', message: { ...message, ias: [ia] } }];
      case 'requesting': {
        const addresses = this.#iaIn(this.#best!)!.addresses.filter(isUsable);
        return [
          { kind: 'send', message: { ...message, serverId: this.#best!.serverId!, ias: [{ ...ia, addresses }] } },
        ];
      }
      case 'renewing':
      case 'releasing':
        return 'lease' in goal
          ? [{ kind: 'send', message: { ...message, serverId: goal.lease.server, ias: [ia] } }]
          : [];
      default:
        return [];
    }
  }

  /** RFC 8415 section 15: doubles, a tenth more or less; the first SOLICIT never less. */
  #patience(): number {
    const first = this.#state === 'renewing' || this.#state === 'rebinding' ? 10_000 : 1000;
    const most = this.#state === 'requesting' ? 30_000 : first * 60;
    const jitter = this.#random() * 0.2 - 0.1;
    const wait =
      this.#wait === 0
        ? first * (1 + (this.#state === 'soliciting' ? Math.abs(jitter) : jitter))
        : this.#wait * (2 + jitter);
    this.#wait = Math.min(wait, most);
    return this.#wait;
  }

  #done(action: Dhcp6Action): Dhcp6Action[] {
    this.#state = 'done';
    this.#wake = Infinity;
    return [action];
  }
  #note(message: Dhcp6Message, { code, text }: Status6): void {
    const line = `${message.serverId} said ${STATUS_NAMES[code] ?? `status ${code}`}${text ? `: "${text.slice(0, 80)}"` : ''}`;
    if (!this.#heard.includes(line) && this.#heard.length < 8) this.#heard.push(line);
  }
}

function isUsable(one: { readonly address: string; readonly preferred: number; readonly valid: number }): boolean {
  // unspecified, loopback, link-local and multicast are nobody's to give; section 21.6 wants preferred ≤ valid
  return one.valid > 0 && one.preferred <= one.valid && !/^(::1?$|fe[89ab]|ff)/.test(one.address);
}
function scaled(seconds: number, by: number): number {
  return seconds === 0xffff_ffff ? seconds : seconds * by;
}
function after(now: number, seconds: number): number {
  return seconds === 0xffff_ffff ? FOREVER : now + seconds * 1000;
}

const STATE_OF: Readonly<Record<Dhcp6Goal['kind'], Dhcp6State>> = {
  acquire: 'soliciting',
  info: 'informing',
  renew: 'renewing',
  rebind: 'rebinding',
  release: 'releasing',
};
const TYPE_OF: Readonly<Record<Dhcp6State, number>> = {
  soliciting: TYPE6.SOLICIT,
  requesting: TYPE6.REQUEST,
  informing: TYPE6.INFORMATION_REQUEST,
  renewing: TYPE6.RENEW,
  rebinding: TYPE6.REBIND,
  releasing: TYPE6.RELEASE,
  done: 0,
};
const STATUS_NAMES = ['Success', 'UnspecFail', 'NoAddrsAvail', 'NoBinding', 'NotOnLink', 'UseMulticast'];
/** RFC 8415 section 7.6 */
const MAX_REQUESTS = 10;
const MAX_RELEASES = 4;
