import { ipFromBytes, parseIp } from '../addr/index.ts';
import { decodeDomains, encodeDomains } from './domain.ts';
import { MalformedError } from './errors.ts';

/** RFC 8415 section 7.3 */
export const TYPE6 = {
  SOLICIT: 1,
  ADVERTISE: 2,
  REQUEST: 3,
  CONFIRM: 4,
  RENEW: 5,
  REBIND: 6,
  REPLY: 7,
  RELEASE: 8,
  DECLINE: 9,
  INFORMATION_REQUEST: 11,
} as const;

/** RFC 8415 section 21, RFC 3646 */
export const OPTION6 = {
  CLIENTID: 1,
  SERVERID: 2,
  IA_NA: 3,
  IAADDR: 5,
  ORO: 6,
  PREFERENCE: 7,
  ELAPSED: 8,
  STATUS: 13,
  RAPID_COMMIT: 14,
  DNS: 23,
  DOMAINS: 24,
} as const;

/** RFC 8415 section 21.13 */
export const STATUS6 = { SUCCESS: 0, FAILURE: 1, NO_ADDRS: 2, NO_BINDING: 3, NOT_ON_LINK: 4 } as const;

export interface Status6 {
  readonly code: number;
  readonly text: string;
}
/** An address with its lifetimes, seconds; 0xffffffff for ever. */
export interface Address6 {
  readonly address: string;
  readonly preferred: number;
  readonly valid: number;
}
/** Addresses of one interface of a client: an identity association. @see RFC 8415 section 21.4 */
export interface Ia6 {
  readonly iaid: number;
  /** Seconds; 0 leaves it to the client. */
  readonly t1: number;
  readonly t2: number;
  readonly addresses: readonly Address6[];
  readonly status?: Status6;
}
/** A DHCPv6 message between client and server. Options that nobody here wants are skipped. @see RFC 8415 section 8 */
export interface Dhcp6Message {
  readonly type: number;
  /** 24 bits. */
  readonly xid: number;
  /** DUIDs, as hexadecimal. */
  readonly clientId?: string;
  readonly serverId?: string;
  readonly ias: readonly Ia6[];
  /** Codes of the options that the client asks for. */
  readonly wanted: readonly number[];
  /** Hundredths of a second since the client began. */
  readonly elapsed?: number;
  readonly preference?: number;
  readonly rapidCommit: boolean;
  readonly status?: Status6;
  readonly dns: readonly string[];
  readonly search: readonly string[];
}

/** Reads a UDP payload. Relay messages are no concern of a link's own server. @throws MalformedError */
export function decodeMessage6(bytes: Uint8Array): Dhcp6Message {
  const type = bytes[0] ?? 0;
  if (bytes.length < 4 || type === 0 || type > 11) throw new MalformedError(`no DHCPv6 message of a client or server`);
  const ias: Ia6[] = [];
  const wanted: number[] = [];
  const dns: string[] = [];
  const search: string[] = [];
  const out: { -readonly [K in keyof Dhcp6Message]?: Dhcp6Message[K] } = {};
  let rapidCommit = false;
  for (const { code, value } of optionsOf(bytes, 4)) {
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
    switch (code) {
      case OPTION6.CLIENTID:
      case OPTION6.SERVERID: {
        // two bytes of type and at most 128 more: section 11.1
        if (value.length < 3 || value.length > 130) throw new MalformedError(`a DUID of ${value.length} bytes`);
        const duid = Buffer.from(value).toString('hex');
        if (code === OPTION6.CLIENTID) out.clientId = duid;
        else out.serverId = duid;
        break;
      }
      case OPTION6.IA_NA:
        if (ias.length < MAX_IAS) ias.push(readIa(value));
        break;
      case OPTION6.ORO:
        if (value.length % 2 !== 0) throw new MalformedError(`an option request of ${value.length} bytes`);
        for (let at = 0; at < value.length; at += 2) wanted.push(view.getUint16(at));
        break;
      case OPTION6.ELAPSED:
        if (value.length !== 2) throw new MalformedError(`an elapsed time of ${value.length} bytes`);
        out.elapsed = view.getUint16(0);
        break;
      case OPTION6.PREFERENCE:
        if (value.length !== 1) throw new MalformedError(`a preference of ${value.length} bytes`);
        out.preference = value[0]!;
        break;
      case OPTION6.STATUS:
        out.status = readStatus(value);
        break;
      case OPTION6.RAPID_COMMIT:
        rapidCommit = true;
        break;
      case OPTION6.DNS:
        if (value.length % 16 !== 0) throw new MalformedError(`DNS servers in ${value.length} bytes`);
        for (let at = 0; at < value.length; at += 16) dns.push(ipFromBytes(value.subarray(at, at + 16)).text);
        break;
      case OPTION6.DOMAINS:
        search.push(...decodeDomains(value, { pointers: false }));
        break;
      default:
    }
  }
  const xid = (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!;
  return { type, xid, ...out, ias, wanted, rapidCommit, dns, search };
}

/** The message as a UDP payload. */
export function encodeMessage6(message: Dhcp6Message): Uint8Array {
  const out: number[] = [message.type, (message.xid >>> 16) & 0xff, (message.xid >>> 8) & 0xff, message.xid & 0xff];
  const put = (code: number, value: Iterable<number>): void => {
    const bytes = [...value];
    out.push(...be16(code), ...be16(bytes.length), ...bytes);
  };
  if (message.clientId !== undefined) put(OPTION6.CLIENTID, Buffer.from(message.clientId, 'hex'));
  if (message.serverId !== undefined) put(OPTION6.SERVERID, Buffer.from(message.serverId, 'hex'));
  for (const ia of message.ias) put(OPTION6.IA_NA, writeIa(ia));
  if (message.wanted.length > 0) put(OPTION6.ORO, message.wanted.flatMap(be16));
  if (message.elapsed !== undefined) put(OPTION6.ELAPSED, be16(Math.min(message.elapsed, 0xffff)));
  if (message.preference !== undefined) put(OPTION6.PREFERENCE, [message.preference]);
  if (message.rapidCommit) put(OPTION6.RAPID_COMMIT, []);
  if (message.status) put(OPTION6.STATUS, writeStatus(message.status));
  if (message.dns.length > 0) {
    put(
      OPTION6.DNS,
      message.dns.flatMap((server) => [...parseIp(server).bytes]),
    );
  }
  if (message.search.length > 0) put(OPTION6.DOMAINS, encodeDomains(message.search));
  return Uint8Array.from(out);
}

/** A DUID of an Ethernet address, as hexadecimal. @see RFC 8415 section 11.4 */
export function duidOf(mac: string): string {
  return `00030001${mac.replaceAll(':', '').toLowerCase()}`;
}

function readIa(value: Uint8Array): Ia6 {
  if (value.length < 12) throw new MalformedError(`an IA_NA of ${value.length} bytes`);
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const addresses: Address6[] = [];
  let status: Status6 | undefined;
  for (const { code, value: inner } of optionsOf(value, 12)) {
    if (code === OPTION6.STATUS) status = readStatus(inner);
    if (code !== OPTION6.IAADDR || addresses.length >= MAX_ADDRESSES) continue;
    if (inner.length < 24) throw new MalformedError(`an address option of ${inner.length} bytes`);
    const at = new DataView(inner.buffer, inner.byteOffset, inner.byteLength);
    const address = ipFromBytes(inner.subarray(0, 16)).text;
    addresses.push({ address, preferred: at.getUint32(16), valid: at.getUint32(20) });
  }
  const ia = { iaid: view.getUint32(0), t1: view.getUint32(4), t2: view.getUint32(8), addresses };
  return status ? { ...ia, status } : ia;
}
function writeIa(ia: Ia6): number[] {
  const out = [...be32(ia.iaid), ...be32(ia.t1), ...be32(ia.t2)];
  for (const { address, preferred, valid } of ia.addresses) {
    out.push(...be16(OPTION6.IAADDR), ...be16(24), ...parseIp(address).bytes, ...be32(preferred), ...be32(valid));
  }
  if (ia.status) {
    const status = writeStatus(ia.status);
    out.push(...be16(OPTION6.STATUS), ...be16(status.length), ...status);
  }
  return out;
}
function readStatus(value: Uint8Array): Status6 {
  if (value.length < 2) throw new MalformedError(`a status of ${value.length} bytes`);
  const text = Buffer.from(value.subarray(2))
    .toString('latin1')
    .replaceAll(/[^ -~]/g, '?');
  return { code: (value[0]! << 8) | value[1]!, text };
}
function writeStatus({ code, text }: Status6): number[] {
  return [...be16(code), ...Buffer.from(text, 'latin1')];
}

function* optionsOf(bytes: Uint8Array, start: number): Generator<{ code: number; value: Uint8Array }> {
  for (let at = start; at < bytes.length;) {
    const length = at + 4 <= bytes.length ? (bytes[at + 2]! << 8) | bytes[at + 3]! : Infinity;
    if (at + 4 + length > bytes.length) throw new MalformedError(`the option at byte ${at} ends behind the message`);
    yield { code: (bytes[at]! << 8) | bytes[at + 1]!, value: bytes.subarray(at + 4, at + 4 + length) };
    at += 4 + length;
  }
}
function be16(value: number): number[] {
  return [(value >>> 8) & 0xff, value & 0xff];
}
function be32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}

/** More than anybody has on one interface. */
const MAX_IAS = 8;
const MAX_ADDRESSES = 16;
