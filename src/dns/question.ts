import { FLAG, HEADER, OPT_SIZE, RCODE, RECORD_HEAD, TYPE, UDP_EDNS, UDP_PLAIN } from './wire.ts';

/**
 * A question as the resolver works with it. One object is filled again and again: what has to outlive the packet copies
 * it. Read by hand rather than with dns-packet, whose decoder makes some twenty objects a packet, because this runs
 * for every packet that arrives.
 */
export class Question {
  /** Header flags as they came. */
  flags = 0;
  /** Where the question ends, from the start of the message; HEADER where there is none that can be echoed. */
  end: number = HEADER;
  type = 0;
  class = 0;
  /** Lower case, dots between labels, none at the end; for a name with unusual bytes, NUL and the wire form. */
  name = '';
  /** A name of letters, digits, hyphens and the like, so that its text is unambiguous: one that could be ours. */
  plain = false;
  edns = false;
  /** DO of RFC 3225. */
  dnssecOk = false;
  /** Bytes that the asker takes by UDP, as we are ready to send them: 512 to 1232. */
  room: number = UDP_PLAIN;
}

/** The packet deserves no answer. */
export const SILENCE = -1;

/**
 * Reads a query. 0: fine. SILENCE: a response, or too short to be anything. Else the rcode to answer with; then
 * `flags`, `end` and the EDNS fields hold as far as they could be read.
 */
export function readQuestion(bytes: Uint8Array, at: number, length: number, q: Question): number {
  if (length < HEADER) return SILENCE;
  const flags = (bytes[at + 2]! << 8) | bytes[at + 3]!;
  q.flags = flags;
  q.end = HEADER;
  q.edns = false;
  q.dnssecOk = false;
  q.room = UDP_PLAIN;
  q.name = '';
  q.plain = false;
  q.type = 0;
  q.class = 0;
  if (flags & FLAG.QR) return SILENCE; // answering answers would let two servers talk for ever
  if (flags & FLAG.OPCODE) return RCODE.NOTIMP;
  // exactly one question, nothing in the answer and authority sections (RFC 9619)
  if (bytes[at + 4] !== 0 || bytes[at + 5] !== 1) return RCODE.FORMERR;
  if (bytes[at + 6]! | bytes[at + 7]! | bytes[at + 8]! | bytes[at + 9]!) return RCODE.FORMERR;
  const end = at + length;
  const after = readName(bytes, at + HEADER, end, q);
  if (after < 0 || after + 4 > end) return RCODE.FORMERR;
  q.type = (bytes[after]! << 8) | bytes[after + 1]!;
  q.class = (bytes[after + 2]! << 8) | bytes[after + 3]!;
  q.end = after + 4 - at;
  const additional = (bytes[at + 10]! << 8) | bytes[at + 11]!;
  return additional === 0 ? 0 : readAdditional(bytes, after + 4, end, additional, q);
}

/** `latin1Slice` is `toString('latin1')` without the reading of its arguments. */
const text = Buffer.alloc(256) as Buffer & { latin1Slice(start: number, end: number): string };

/** Where the name ends, or -1. A question comes first in a packet, so nothing can stand before it to point to. */
function readName(bytes: Uint8Array, at: number, end: number, q: Question): number {
  let from = at;
  let size = 0;
  let plain = true;
  for (;;) {
    if (from >= end) return -1;
    const label = bytes[from++]!;
    if (label === 0) break;
    if (label > 63 || from + label >= end || from + label - at > 254) return -1;
    if (size > 0) text[size++] = 0x2e;
    for (const last = from + label; from < last; from++) {
      let byte = bytes[from]!;
      if (byte >= 0x41 && byte <= 0x5a) byte += 0x20;
      else if (byte < 0x2d || byte > 0x7a || byte === 0x2e) plain = false;
      text[size++] = byte;
    }
  }
  q.plain = plain;
  if (plain) {
    q.name = size === 0 ? '' : text.latin1Slice(0, size);
    return from;
  }
  // dots inside labels: only the wire form is unambiguous
  q.name = '\0' + Buffer.from(bytes.subarray(at, from)).toString('latin1').replace(/[A-Z]/g, lower);
  return from;
}

function lower(letter: string): string {
  return letter.toLowerCase(); // a label's length is at most 63, which is below any letter's code
}

function readAdditional(bytes: Uint8Array, start: number, end: number, count: number, q: Question): number {
  let at = start;
  for (let i = 0; i < count; i++) {
    const root = bytes[at] === 0;
    at = skipName(bytes, at, end);
    if (at < 0 || at + RECORD_HEAD > end) return RCODE.FORMERR;
    const type = (bytes[at]! << 8) | bytes[at + 1]!;
    const data = (bytes[at + 8]! << 8) | bytes[at + 9]!;
    if (at + RECORD_HEAD + data > end) return RCODE.FORMERR;
    if (type === TYPE.OPT) {
      // RFC 6891 section 6.1.1: at most one, and its owner is the root
      if (q.edns || !root) return RCODE.FORMERR;
      q.edns = true;
      const size = (bytes[at + 2]! << 8) | bytes[at + 3]!;
      q.room = Math.min(Math.max(size, UDP_PLAIN), UDP_EDNS);
      q.dnssecOk = (bytes[at + 6]! & 0x80) !== 0;
      if (bytes[at + 5] !== 0) return RCODE.BADVERS;
    }
    at += RECORD_HEAD + data;
  }
  return 0;
}

/** Where a name that may be compressed ends, or -1. Follows no pointer. */
export function skipName(bytes: Uint8Array, at: number, end: number): number {
  let from = at;
  for (;;) {
    if (from >= end) return -1;
    const label = bytes[from]!;
    if (label === 0) return from + 1;
    if (label >= 0xc0) {
      // RFC 1035 section 4.1.4: to a prior place, and behind the header
      const target = ((label & 0x3f) << 8) | (bytes[from + 1] ?? 0xff);
      return from + 2 <= end && target < from && target >= HEADER ? from + 2 : -1;
    }
    if (label > 63 || from + 1 + label - at > 254) return -1;
    from += 1 + label;
  }
}

/** Appends an OPT record without options; the bytes that took. `extended` is the upper part of the rcode. */
export function writeOpt(bytes: Uint8Array, at: number, dnssecOk: boolean, extended = 0): number {
  bytes[at] = 0;
  bytes[at + 1] = 0;
  bytes[at + 2] = TYPE.OPT;
  bytes[at + 3] = UDP_EDNS >> 8;
  bytes[at + 4] = UDP_EDNS & 0xff;
  bytes[at + 5] = extended;
  bytes[at + 6] = 0;
  bytes[at + 7] = dnssecOk ? 0x80 : 0;
  bytes[at + 8] = 0;
  bytes[at + 9] = 0;
  bytes[at + 10] = 0;
  return OPT_SIZE;
}

/**
 * Makes the query at `at` an answer without records, in place; its length. The question is echoed where it could be
 * read.
 */
export function writeEmpty(bytes: Uint8Array, at: number, q: Question, rcode: number, more = 0): number {
  // an unknown operation keeps its number, so that the asker knows its answer
  const flags = FLAG.QR | (q.flags & (FLAG.OPCODE | FLAG.RD | FLAG.CD)) | FLAG.RA | more | (rcode & FLAG.RCODE);
  bytes[at + 2] = flags >> 8;
  bytes[at + 3] = flags & 0xff;
  bytes[at + 4] = 0;
  bytes[at + 5] = q.end > HEADER ? 1 : 0;
  bytes[at + 6] = bytes[at + 7] = bytes[at + 8] = bytes[at + 9] = bytes[at + 10] = 0;
  bytes[at + 11] = q.edns ? 1 : 0;
  return q.edns ? q.end + writeOpt(bytes, at + q.end, q.dnssecOk, rcode >> 4) : q.end;
}
