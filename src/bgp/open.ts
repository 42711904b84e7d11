import type { Family } from '../addr/index.ts';
import { BgpError } from './errors.ts';
import { addressBytes } from './nlri.ts';
import { ERROR, OPEN_ERROR } from './notification.ts';
import { AS_TRANS, concat, get16, get32, of16, of32, put16, SAFI_UNICAST } from './wire.ts';

/** What one side says of itself. @see RFC 4271 section 4.2 */
export interface Open {
  readonly asn: number;
  /** Seconds; 0: no keepalives, and nobody is waited for. */
  readonly holdTime: number;
  /** `192.0.2.1` */
  readonly id: string;
  /** Families that it carries; IPv4 alone where it names none. */
  readonly families: readonly Family[];
  /** AS numbers have four bytes. @see RFC 6793 */
  readonly as4: boolean;
  readonly refresh: boolean;
  /** IPv4 prefixes may have an IPv6 next hop. @see RFC 8950 */
  readonly extendedNextHop: boolean;
  readonly restart?: Restart;
}

/** @see RFC 4724 section 3 */
export interface Restart {
  /** It has just restarted, and wants to be told everything at once. */
  readonly restarting: boolean;
  /** Seconds that its routes may be kept until it is back; 0 to 4095. */
  readonly time: number;
  readonly families: readonly {
    readonly family: Family;
    /** Packets went on meanwhile. */ readonly forwarding: boolean;
  }[];
}

/** RFC 5492's registry */
const CAPABILITY = { MULTIPROTOCOL: 1, REFRESH: 2, NEXT_HOP: 5, RESTART: 64, AS4: 65 } as const;
const PARAMETER_CAPABILITIES = 2;
/** RFC 9072 section 2 */
const EXTENDED = 255;

export function encodeOpen(open: Open): Uint8Array {
  const capabilities = capabilitiesOf(open).map(([code, value]) => concat([Uint8Array.of(code, value.length), value]));
  const all = concat(capabilities);
  const head = new Uint8Array(10);
  head[0] = 4;
  put16(head, 1, open.asn > 0xffff ? AS_TRANS : open.asn);
  put16(head, 3, open.holdTime);
  head.set(addressBytes(open.id), 5);
  if (all.length === 0) return head;
  head[9] = all.length + 2;
  return concat([head, Uint8Array.of(PARAMETER_CAPABILITIES, all.length), all]);
}

function capabilitiesOf(open: Open): [number, Uint8Array][] {
  const out: [number, Uint8Array][] = open.families.map((family) => [
    CAPABILITY.MULTIPROTOCOL,
    of16(afiOf(family), SAFI_UNICAST),
  ]);
  if (open.refresh) out.push([CAPABILITY.REFRESH, new Uint8Array()]);
  if (open.extendedNextHop) out.push([CAPABILITY.NEXT_HOP, of16(afiOf(4), SAFI_UNICAST, afiOf(6))]);
  if (open.restart) {
    const { restarting, time, families } = open.restart;
    const each = families.map(({ family, forwarding }) =>
      Uint8Array.of(0, afiOf(family), SAFI_UNICAST, forwarding ? 0x80 : 0),
    );
    out.push([CAPABILITY.RESTART, concat([of16((restarting ? 0x8000 : 0) | (time & 0xfff)), ...each])]);
  }
  if (open.as4) out.push([CAPABILITY.AS4, of32(open.asn)]);
  return out;
}

/**
 * @param body what follows the header, 10 bytes or more
 * @throws BgpError OPEN message errors of RFC 4271 section 6.2; who the peer should be is judged by who knows
 */
export function decodeOpen(body: Uint8Array): Open {
  if (body[0] !== 4) throw bad(OPEN_ERROR.VERSION, `version ${body[0]}, and we speak 4`, of16(4));
  const capabilities = new Map<number, Uint8Array[]>();
  for (const bytes of capabilityParameters(body)) readCapabilities(bytes, capabilities);
  const values = (code: number): Uint8Array[] => capabilities.get(code) ?? [];
  const one = (code: number, size: number): Uint8Array | undefined => values(code).findLast((v) => v.length === size);

  const as4 = one(CAPABILITY.AS4, 4);
  const asn = as4 ? get32(as4, 0) : get16(body, 1);
  if (asn === 0 || (!as4 && asn === AS_TRANS)) throw bad(OPEN_ERROR.PEER_AS, `no one has AS ${asn}`);
  const holdTime = get16(body, 3);
  if (holdTime === 1 || holdTime === 2) throw bad(OPEN_ERROR.HOLD_TIME, `a hold time of ${holdTime} s`);
  if (get32(body, 5) === 0) throw bad(OPEN_ERROR.ID, 'its identifier is 0.0.0.0');
  const multiprotocol = values(CAPABILITY.MULTIPROTOCOL);
  const families = multiprotocol.flatMap((v) => (v.length === 4 ? familyAt(get16(v, 0), v[3]!) : []));
  const restart = values(CAPABILITY.RESTART).findLast((v) => v.length % 4 === 2);
  return {
    asn,
    holdTime,
    id: body.subarray(5, 9).join('.'),
    families: multiprotocol.length === 0 ? [4] : [...new Set(families)],
    as4: as4 !== undefined,
    refresh: values(CAPABILITY.REFRESH).length > 0,
    extendedNextHop: values(CAPABILITY.NEXT_HOP).some(hasNextHop6),
    ...(restart ? { restart: readRestart(restart) } : {}),
  };
}

/** Capabilities may be spread over several optional parameters. */
function capabilityParameters(body: Uint8Array): Uint8Array[] {
  const extended = body[9] === EXTENDED && body[10] === EXTENDED;
  if (extended && body.length < 13) throw bad(0, 'its optional parameters end behind it');
  const start = extended ? 13 : 10;
  const end = start + (extended ? get16(body, 11) : body[9]!);
  if (end !== body.length) throw bad(0, `optional parameters of ${end - start} bytes in ${body.length - start}`);
  const found: Uint8Array[] = [];
  const head = extended ? 3 : 2;
  for (let at = start; at < end;) {
    if (at + head > end) throw bad(0, 'an optional parameter ends behind the message');
    const type = body[at]!;
    const length = extended ? get16(body, at + 1) : body[at + 1]!;
    if (at + head + length > end) throw bad(0, 'an optional parameter ends behind the message');
    if (type !== PARAMETER_CAPABILITIES) throw bad(OPEN_ERROR.PARAMETER, `parameter ${type}`);
    found.push(body.subarray(at + head, at + head + length));
    at += head + length;
  }
  return found;
}

/** What is not known is left alone (RFC 5492 section 3), and so is one of a wrong size: it is then not supported. */
function readCapabilities(bytes: Uint8Array, into: Map<number, Uint8Array[]>): void {
  for (let at = 0; at < bytes.length;) {
    const length = bytes[at + 1];
    if (length === undefined || at + 2 + length > bytes.length) throw bad(0, 'a capability ends behind its parameter');
    const code = bytes[at]!;
    into.set(code, [...(into.get(code) ?? []), bytes.subarray(at + 2, at + 2 + length)]);
    at += 2 + length;
  }
}

function readRestart(value: Uint8Array): Restart {
  const flags = get16(value, 0);
  const families = new Map<Family, boolean>();
  for (let at = 2; at + 4 <= value.length; at += 4)
    for (const family of familyAt(get16(value, at), value[at + 2]!))
      families.set(family, (value[at + 3]! & 0x80) !== 0);
  return {
    restarting: (flags & 0x8000) !== 0,
    time: flags & 0xfff,
    families: [...families].map(([family, forwarding]) => ({ family, forwarding })),
  };
}

function hasNextHop6(value: Uint8Array): boolean {
  for (let at = 0; at + 6 <= value.length; at += 6)
    if (get16(value, at) === 1 && get16(value, at + 2) === SAFI_UNICAST && get16(value, at + 4) === 2) return true;
  return false;
}

/** RFC 1700's address family numbers. */
export function afiOf(family: Family): number {
  return family === 4 ? 1 : 2;
}
/** One family, or none where it is not one of ours. */
export function familyAt(afi: number, safi: number): Family[] {
  if (safi !== SAFI_UNICAST) return [];
  return afi === 1 ? [4] : afi === 2 ? [6] : [];
}

function bad(subcode: number, detail: string, data?: Uint8Array): BgpError {
  return new BgpError({ code: ERROR.OPEN, subcode, ...(data ? { data } : {}) }, detail);
}
