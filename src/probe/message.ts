import { createHmac, timingSafeEqual } from 'node:crypto';
import { ipFromBytes, parseIp } from '../addr/index.ts';

export { PROBE_PORT } from '../model/index.ts';

/** Bytes of a message without what fills it up: the least that is sent. */
export const LEAST = 64;
/** Bytes of the biggest datagram, which is about one of Ethernet's jumbo frames. */
export const MOST = 9216;

/** Bytes that IP and UDP put before a datagram. */
export function headersOf(address: string): 28 | 48 {
  return address.includes(':') ? 48 : 28;
}

export interface Question {
  readonly kind: 'question';
  /** Eight bytes, in hexadecimal. */
  readonly nonce: string;
  /** Bytes of the datagram that is wanted back; never more comes than was sent. */
  readonly want: number;
  /** It came without a checksum, and is to be answered without one. */
  readonly bare?: true;
}
/** What whoever was asked saw. */
export interface Answer {
  readonly kind: 'answer';
  readonly nonce: string;
  /** Bytes of the question's datagram. */
  readonly size: number;
  /** Its wall clock when it answered, milliseconds since 1970. */
  readonly clock: number;
  /** Where the question came from. */
  readonly address: string;
  readonly port: number;
}
export type Message = Question | Answer;

const MAGIC = 0x6e6c7072; // nlpr
const VERSION = 1;
const KINDS = ['', 'question', 'answer'] as const;
/** Where the seal begins, and how much of HMAC-SHA256 it is. */
const SEAL = { at: 48, length: 16 };
const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/**
 * Writes a message into the first `LEAST` bytes.
 *
 * 0 magic, 4 version, 5 kind, 6 size, 8 nonce, 16 clock, 24 address, 40 port, 42 whether it is bare, 48 seal; big-endian. The seal is made with the
 * id of the node that is asked, which only those know that read the cluster's records: so that a node may ask before it
 * is in them, by whatever address it comes, and a stranger gets no answer and none believed.
 */
export function writeMessage(into: Uint8Array, message: Message, key: string): void {
  const view = new DataView(into.buffer, into.byteOffset, LEAST);
  into.fill(0, 0, LEAST);
  view.setUint32(0, MAGIC);
  view.setUint8(4, VERSION);
  view.setUint8(5, KINDS.indexOf(message.kind));
  into.set(Buffer.from(message.nonce, 'hex').subarray(0, 8), 8);
  if (message.kind === 'question') {
    view.setUint16(6, message.want);
    view.setUint8(42, message.bare ? 1 : 0);
  } else {
    view.setUint16(6, message.size);
    view.setFloat64(16, message.clock);
    const { bytes } = parseIp(message.address);
    into.set(bytes.length === 4 ? [...MAPPED, ...bytes] : bytes, 24);
    view.setUint16(40, message.port);
  }
  into.set(sealOf(into, key), SEAL.at);
}

/** What a datagram says; undefined where it is none of ours, or is sealed with another key. */
export function readMessage(datagram: Uint8Array, key: string): Message | undefined {
  if (datagram.length < LEAST) return undefined;
  const view = new DataView(datagram.buffer, datagram.byteOffset, LEAST);
  if (view.getUint32(0) !== MAGIC || view.getUint8(4) !== VERSION) return undefined;
  const kind = KINDS[view.getUint8(5)];
  if (!kind) return undefined;
  const seal = datagram.subarray(SEAL.at, SEAL.at + SEAL.length);
  if (!timingSafeEqual(seal, sealOf(datagram, key))) return undefined;
  const nonce = Buffer.from(datagram.subarray(8, 16)).toString('hex');
  const size = view.getUint16(6);
  if (kind === 'question') return { kind, nonce, want: size, ...(datagram[42] === 1 && { bare: true }) };
  const clock = view.getFloat64(16);
  if (!Number.isFinite(clock)) return undefined;
  const address = Uint8Array.from(datagram.subarray(24, 40));
  const four = MAPPED.every((byte, i) => address[i] === byte);
  return {
    ...{ kind, nonce, size, clock, port: view.getUint16(40) },
    address: ipFromBytes(four ? address.subarray(12) : address).text,
  };
}

function sealOf(bytes: Uint8Array, key: string): Uint8Array {
  return createHmac('sha256', key).update(bytes.subarray(0, SEAL.at)).digest().subarray(0, SEAL.length);
}
