import { type Question, skipName, writeOpt } from './question.ts';
import { FLAG, HEADER, OPT_SIZE, RCODE, RECORD_HEAD, TYPE, UDP_EDNS } from './wire.ts';

/**
 * An answer apart from its id and question: what can be given to everybody who asks the same. Its records are kept as
 * they came, since pointers of compressed names stay right behind a question of the same name.
 */
export interface Answer {
  readonly flags: number;
  readonly answers: number;
  readonly authority: number;
  readonly additional: number;
  /** Everything behind the question. */
  readonly records: Uint8Array;
  /** Where the TTLs are, in `records`. */
  readonly ttls: Uint16Array;
  /** Seconds that it may be kept; 0: not at all. */
  readonly life: number;
}

/** Longest times to keep, seconds: RFC 1035 names none, RFC 2308 section 5 one to three hours, RFC 9520 five minutes. */
const LONGEST = 86_400;
const LONGEST_NEGATIVE = 3600;
const FAILURE = 1;

/**
 * Reads what an upstream server answered to the question that ends at `end`: id, question and source are known to be
 * right. By hand rather than with dns-packet: records are not interpreted but relayed, and all that is wanted is where
 * their TTLs are. The OPT record, which belongs to one hop, becomes our own; of its options only the extended error
 * goes on (RFC 8914). Undefined where the bytes are no message.
 */
export function readAnswer(message: Uint8Array, end: number, edns: boolean): Answer | undefined {
  const flags = u16(message, 2);
  const answers = u16(message, 6);
  const authority = u16(message, 8);
  let additional = u16(message, 10);
  const counts = [answers, authority, additional] as const;
  const ttls: number[] = [];
  let least = LONGEST;
  let negative = -1;
  let opt: { start: number; body: number; next: number } | undefined;
  let at = end;
  for (let section = 0; section < 3; section++) {
    for (let i = counts[section]!; i > 0; i--) {
      const start = at;
      const body = skipName(message, at, message.length);
      if (body < 0 || body + RECORD_HEAD > message.length) return undefined;
      const next = body + RECORD_HEAD + u16(message, body + 8);
      if (next > message.length) return undefined;
      const type = u16(message, body);
      at = next;
      if (type === TYPE.OPT) {
        if (opt || section !== 2 || message[start] !== 0) return undefined;
        opt = { start, body, next };
        continue;
      }
      const ttl = ttlOf(message, body + 4);
      least = Math.min(least, ttl);
      ttls.push(body + 4 - end);
      if (type === TYPE.SOA && section === 1 && next - body >= RECORD_HEAD + 22) {
        // RFC 2308 section 3: the lesser of its TTL and its last field, which the TTL is then set to
        negative = Math.min(ttl, ttlOf(message, next - 4));
        putTtl(message, body + 4, negative);
      }
    }
  }
  let last = at;
  if (opt && !edns && opt.next === at) {
    last = opt.start; // nobody asked for it
    additional--;
  } else if (opt) {
    last = ourOpt(message, opt, at);
  }
  const rcode = flags & FLAG.RCODE;
  const extended = opt ? message[opt.body + 4]! : 0;
  let life = 0;
  if (!(flags & FLAG.TC) && extended === 0) {
    const exists = rcode === RCODE.NOERROR && answers > 0;
    // with an SOA record it says what is not there, if only at the end of a chain of aliases; without one, such an
    // answer must not be kept (RFC 2308 section 5)
    if ((rcode === RCODE.NOERROR || rcode === RCODE.NXDOMAIN) && negative >= 0) {
      life = Math.min(least, negative, LONGEST_NEGATIVE);
    } else if (exists) life = least;
    else if (rcode === RCODE.SERVFAIL) life = FAILURE;
  }
  return {
    flags,
    answers,
    authority,
    additional,
    records: new Uint8Array(message.subarray(end, last)), // a copy, of a Buffer too
    ttls: Uint16Array.from(ttls),
    life,
  };
}

/** Our size in place of theirs, and no option but extended errors; where the message ends then. */
function ourOpt(message: Uint8Array, opt: { body: number; next: number }, end: number): number {
  message[opt.body + 2] = UDP_EDNS >> 8;
  message[opt.body + 3] = UDP_EDNS & 0xff;
  let to = opt.body + RECORD_HEAD;
  for (let from = to; from + 4 <= opt.next;) {
    const next = from + 4 + u16(message, from + 2);
    if (next > opt.next) break;
    if (u16(message, from) === EXTENDED_ERROR) {
      message.copyWithin(to, from, next);
      to += next - from;
    }
    from = next;
  }
  if (opt.next !== end && to + 4 <= opt.next) {
    // names behind it may be pointed to, so that nothing may move: padding (RFC 7830) fills the place
    putU16(message, to, PADDING);
    putU16(message, to + 2, opt.next - to - 4);
    message.fill(0, to + 4, opt.next);
    return end;
  }
  if (opt.next !== end) return end;
  putU16(message, opt.body + 8, to - opt.body - RECORD_HEAD);
  return to;
}

/** Counts `seconds` down from every TTL, in place. */
export function age(answer: Answer, seconds: number): void {
  const { records, ttls } = answer;
  for (let i = 0; i < ttls.length; i++) {
    const at = ttls[i]!;
    putTtl(records, at, Math.max(0, ttlOf(records, at) - seconds));
  }
}

/** Makes an answer of the query that stands at `at`, in place; its length, at most `room`. */
export function writeAnswer(bytes: Uint8Array, at: number, q: Question, answer: Answer, room: number): number {
  const length = q.end + answer.records.length;
  putHead(bytes, at, answer.flags, answer.answers, answer.authority, answer.additional);
  if (length > room) {
    return writeCut(bytes, at, q, answer, room);
  }
  bytes.set(answer.records, at + q.end);
  return length;
}

/**
 * What fits: whole records. Additional ones may go silently; else TC says that there is more (RFC 2181 section 9), and
 * as many answers as fit come all the same, since a client without TCP can use them.
 */
function writeCut(bytes: Uint8Array, at: number, q: Question, answer: Answer, room: number): number {
  const space = room - q.end - (q.edns ? OPT_SIZE : 0);
  const { records } = answer;
  const counts = [0, 0];
  let cut = 0;
  for (let section = 0; section < 2; section++) {
    for (let i = section === 0 ? answer.answers : answer.authority; i > 0; i--) {
      const body = skipRecordName(records, cut);
      const next = body + RECORD_HEAD + u16(records, body + 8);
      if (next > space) {
        // an authority section in pieces helps nobody
        const keep = section === 0 ? cut : behindAnswers(records, answer.answers);
        return finish(section === 0 ? counts[0]! : answer.answers, 0, keep, FLAG.TC);
      }
      counts[section]!++;
      cut = next;
    }
  }
  return finish(answer.answers, answer.authority, cut, 0);

  function finish(answers: number, authority: number, size: number, flag: number): number {
    putHead(bytes, at, answer.flags | flag, answers, authority, q.edns ? 1 : 0);
    bytes.set(records.subarray(0, size), at + q.end);
    return q.end + size + (q.edns ? writeOpt(bytes, at + q.end + size, q.dnssecOk) : 0);
  }
}

function behindAnswers(records: Uint8Array, count: number): number {
  let at = 0;
  for (let i = 0; i < count; i++) {
    const body = skipRecordName(records, at);
    at = body + RECORD_HEAD + u16(records, body + 8);
  }
  return at;
}

/** As skipName, for records that were read before: nothing is checked. */
function skipRecordName(records: Uint8Array, at: number): number {
  let from = at;
  for (;;) {
    const label = records[from]!;
    if (label === 0) return from + 1;
    if (label >= 0xc0) return from + 2;
    from += 1 + label;
  }
}

function putHead(
  bytes: Uint8Array,
  at: number,
  flags: number,
  answers: number,
  authority: number,
  additional: number,
): void {
  bytes[at + 2] = flags >> 8;
  bytes[at + 3] = flags & 0xff;
  bytes[at + 4] = 0;
  bytes[at + 5] = 1;
  bytes[at + 6] = answers >> 8;
  bytes[at + 7] = answers & 0xff;
  bytes[at + 8] = authority >> 8;
  bytes[at + 9] = authority & 0xff;
  bytes[at + 10] = additional >> 8;
  bytes[at + 11] = additional & 0xff;
}

/** RFC 2181 section 8: a TTL with the highest bit set is 0. */
function ttlOf(bytes: Uint8Array, at: number): number {
  const ttl = bytes[at]! * 0x100_0000 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!);
  return ttl > 0x7fff_ffff ? 0 : ttl;
}
function putTtl(bytes: Uint8Array, at: number, ttl: number): void {
  bytes[at] = ttl >>> 24;
  bytes[at + 1] = ttl >>> 16;
  bytes[at + 2] = ttl >>> 8;
  bytes[at + 3] = ttl;
}
export function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
function putU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value & 0xff;
}

/** An answer without records, for a question that got none. */
export function failure(q: Question, rcode: number): Answer {
  const records = new Uint8Array(q.edns ? OPT_SIZE : 0);
  if (q.edns) writeOpt(records, 0, q.dnssecOk, rcode >> 4);
  return {
    flags: FLAG.QR | FLAG.RA | (q.flags & (FLAG.RD | FLAG.CD)) | (rcode & FLAG.RCODE),
    answers: 0,
    authority: 0,
    additional: q.edns ? 1 : 0,
    records,
    ttls: new Uint16Array(0),
    life: 0,
  };
}

/** True when an answer belongs to the question of `query`: the same name (letter for letter), type and class. */
export function answersQuestion(message: Uint8Array, query: Uint8Array, end: number): boolean {
  if (message.length < HEADER || !(message[2]! & 0x80) || (message[2]! & 0x78) !== 0) return false;
  if (message[0] !== query[0] || message[1] !== query[1]) return false;
  if (message[4] !== 0 || message[5] !== 1) return false;
  if (message.length < end) return false;
  for (let i = HEADER; i < end; i++) if (message[i] !== query[i]) return false;
  return true;
}

/** IANA "DNS EDNS0 Option Codes (OPT)" */
const EXTENDED_ERROR = 15;
const PADDING = 12;
