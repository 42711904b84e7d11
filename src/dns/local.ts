import { encode, type Answer as PacketRecord } from 'dns-packet';
import { tryParseIp } from '../addr/index.ts';
import { type Answer, writeAnswer } from './answer.ts';
import { type Question, writeEmpty, writeOpt } from './question.ts';
import { parseReverse } from './reverse.ts';
import type { Asker, NameView, SrvTarget } from './types.ts';
import { CLASS, FLAG, HEADER, OPT_SIZE, RCODE, TYPE } from './wire.ts';

/** Records of one type that all belong to the name of the question. */
interface Block {
  /** All records twice over, so that every rotation of them is one piece. */
  readonly twice: Uint8Array;
  readonly count: number;
  /** Bytes of one record; they are of one size. */
  readonly size: number;
  turn: number;
}
interface Addresses {
  readonly a: Block;
  readonly aaaa: Block;
}

/** The name is not ours: somebody else has to be asked. */
export const NOT_OURS = -1;

/**
 * Answers from the view. The wire form of each array that the view hands out is made once and kept as long as the array
 * itself lives. Addresses are laid out by hand, since they make up nearly all questions; names and services are rare,
 * and dns-packet encodes them.
 */
export class LocalNames {
  readonly #view: NameView;
  readonly #ttl: number;
  readonly #addresses = new WeakMap<readonly string[], Addresses>();
  readonly #pointers = new WeakMap<readonly string[], Answer>();

  constructor(view: NameView, ttl: number) {
    this.#view = view;
    this.#ttl = ttl;
  }

  /** Makes the query at `at` an answer, in place; its length, or NOT_OURS. */
  answer(bytes: Uint8Array, at: number, q: Question, asker: Asker, room: number): number {
    if (!q.plain || q.name === '' || (q.class !== CLASS.IN && q.class !== CLASS.ANY)) return NOT_OURS;
    const addresses = this.#view.lookup(asker, q.name);
    if (addresses !== undefined) return this.#answerAddresses(bytes, at, q, addresses, room);
    if (q.name.charCodeAt(0) === UNDERSCORE) return this.#answerService(bytes, at, q, asker, room);
    if (q.name.endsWith('.arpa')) return this.#answerReverse(bytes, at, q, asker, room);
    return NOT_OURS;
  }

  #answerAddresses(bytes: Uint8Array, at: number, q: Question, list: readonly string[], room: number): number {
    let known = this.#addresses.get(list);
    if (known === undefined) {
      known = encodeAddresses(list, this.#ttl);
      this.#addresses.set(list, known);
    }
    let block: Block;
    if (q.type === TYPE.A) block = known.a;
    else if (q.type === TYPE.AAAA) block = known.aaaa;
    else if (q.type !== TYPE.ANY) return writeEmpty(bytes, at, q, RCODE.NOERROR, FLAG.AA);
    // one RRset is enough for ANY (RFC 8482 section 4.1)
    else block = known.a.count > 0 ? known.a : known.aaaa;
    let { count } = block;
    if (count === 0) return writeEmpty(bytes, at, q, RCODE.NOERROR, FLAG.AA);
    const opt = q.edns ? OPT_SIZE : 0;
    const fitting = Math.floor((room - q.end - opt) / block.size);
    const cut = count > fitting || count > 0xffff;
    if (cut) count = Math.min(fitting, 0xffff);
    const from = block.turn * block.size;
    block.turn = block.turn + 1 === block.count ? 0 : block.turn + 1;
    const size = count * block.size;
    bytes.set(size === block.twice.length ? block.twice : block.twice.subarray(from, from + size), at + q.end);
    const flags = FLAG.QR | FLAG.AA | FLAG.RA | (q.flags & (FLAG.RD | FLAG.CD)) | (cut ? FLAG.TC : 0);
    bytes[at + 2] = flags >> 8;
    bytes[at + 3] = flags & 0xff;
    bytes[at + 4] = 0;
    bytes[at + 5] = 1;
    bytes[at + 6] = count >> 8;
    bytes[at + 7] = count & 0xff;
    bytes[at + 8] = bytes[at + 9] = bytes[at + 10] = 0;
    bytes[at + 11] = q.edns ? 1 : 0;
    const end = q.end + size;
    return q.edns ? end + writeOpt(bytes, at + end, q.dnssecOk) : end;
  }

  #answerReverse(bytes: Uint8Array, at: number, q: Question, asker: Asker, room: number): number {
    const address = parseReverse(q.name);
    const names = address === undefined ? undefined : this.#view.reverse(asker, address);
    if (names === undefined) return NOT_OURS;
    if (names.length === 0) return writeEmpty(bytes, at, q, RCODE.NXDOMAIN, FLAG.AA);
    if (q.type !== TYPE.PTR && q.type !== TYPE.ANY) return writeEmpty(bytes, at, q, RCODE.NOERROR, FLAG.AA);
    let pointers = this.#pointers.get(names);
    if (pointers === undefined) {
      pointers = collect(names.map((data) => ownRecord({ type: 'PTR', name: '.', ttl: this.#ttl, data })));
      this.#pointers.set(names, pointers);
    }
    return writeAnswer(bytes, at, q, withQuestion(pointers, q), room);
  }

  #answerService(bytes: Uint8Array, at: number, q: Question, asker: Asker, room: number): number {
    const [, service, protocol, name] = /^_([^.]+)\._([^.]+)\.(.+)$/.exec(q.name) ?? [];
    if (service === undefined || protocol === undefined || name === undefined) return NOT_OURS;
    const targets = this.#view.srv(asker, service, protocol, name);
    if (targets === undefined) {
      // what stands below a name of ours is nobody else's to answer
      return this.#view.lookup(asker, name) === undefined
        ? NOT_OURS
        : writeEmpty(bytes, at, q, RCODE.NXDOMAIN, FLAG.AA);
    }
    if (targets.length === 0 || (q.type !== TYPE.SRV && q.type !== TYPE.ANY)) {
      return writeEmpty(bytes, at, q, RCODE.NOERROR, FLAG.AA);
    }
    const services = targets.map(({ target, port, priority = 0, weight = 0 }) =>
      ownRecord({ type: 'SRV', name: '.', ttl: this.#ttl, data: { target, port, priority, weight } }),
    );
    return writeAnswer(bytes, at, q, withQuestion(collect(services, this.#beside(asker, targets)), q), room);
  }

  /** Addresses of the targets, so that nobody has to ask once more. */
  #beside(asker: Asker, targets: readonly SrvTarget[]): Uint8Array[] {
    const found: Uint8Array[] = [];
    for (const target of new Set(targets.map((t) => t.target))) {
      for (const address of this.#view.lookup(asker, target.toLowerCase()) ?? []) {
        if (found.length === BESIDE) return found;
        const type = address.includes(':') ? 'AAAA' : 'A';
        found.push(encoded({ type, name: target, ttl: this.#ttl, data: address }));
      }
    }
    return found;
  }
}

/** Records that stand beside the answer at most; they need not be complete. */
const BESIDE = 16;
const UNDERSCORE = 0x5f;

function encodeAddresses(list: readonly string[], ttl: number): Addresses {
  const four: Uint8Array[] = [];
  const six: Uint8Array[] = [];
  for (const address of list) {
    const ip = tryParseIp(address);
    if (ip?.family === 4) four.push(ip.bytes);
    else if (ip) six.push(ip.bytes);
  }
  return { a: blockOf(TYPE.A, four, 4, ttl), aaaa: blockOf(TYPE.AAAA, six, 16, ttl) };
}

function blockOf(type: number, all: readonly Uint8Array[], bytes: number, ttl: number): Block {
  const size = 12 + bytes;
  // a single record cannot be rotated
  const times = all.length > 1 ? 2 : 1;
  const twice = new Uint8Array(size * all.length * times);
  const view = new DataView(twice.buffer);
  for (let i = 0; i < all.length * times; i++) {
    view.setUint16(i * size, TO_QUESTION);
    view.setUint16(i * size + 2, type);
    view.setUint16(i * size + 4, CLASS.IN);
    view.setUint32(i * size + 6, ttl);
    view.setUint16(i * size + 10, bytes);
    twice.set(all[i % all.length]!, i * size + 12);
  }
  return { twice, count: all.length, size, turn: 0 };
}

/** A pointer to the name of the question, which follows the header. @see RFC 1035 section 4.1.4 */
const TO_QUESTION = 0xc000 | HEADER;

/** A record of the name that was asked for; written as one of the root. */
function ownRecord(record: PacketRecord): Uint8Array {
  const bytes = encoded(record);
  const own = new Uint8Array(bytes.length + 1);
  own.set(bytes, 1);
  own[0] = TO_QUESTION >> 8;
  own[1] = TO_QUESTION & 0xff;
  return own;
}
function encoded(record: PacketRecord): Uint8Array {
  return encode({ type: 'response', answers: [record] }).subarray(HEADER);
}

function collect(answers: readonly Uint8Array[], additional: readonly Uint8Array[] = []): Answer {
  return {
    flags: FLAG.QR | FLAG.AA | FLAG.RA,
    answers: answers.length,
    authority: 0,
    additional: additional.length,
    records: Buffer.concat([...answers, ...additional]),
    ttls: new Uint16Array(0),
    life: 0,
  };
}

/** The same answer with what belongs to one question: its flags, and an OPT record where it has one. */
function withQuestion(answer: Answer, q: Question): Answer {
  const flags = answer.flags | (q.flags & (FLAG.RD | FLAG.CD));
  if (!q.edns) return { ...answer, flags };
  const records = new Uint8Array(answer.records.length + OPT_SIZE);
  records.set(answer.records);
  writeOpt(records, answer.records.length, q.dnssecOk);
  return { ...answer, flags, additional: answer.additional + 1, records };
}
