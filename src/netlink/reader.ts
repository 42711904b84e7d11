import { NetloomError } from '../errors.ts';
import { NLA_TYPE_MASK } from './writer.ts';

/** A message or attribute whose length or content contradicts the bytes that are there. */
export class MalformedError extends NetloomError {
  constructor(message: string) {
    super('EBADMSG', message);
  }
}

/**
 * Walks netlink attributes without copying and without ever trusting a length.
 *
 * ```ts
 * for (const a of attrs) switch (a.type) { case IFLA.MTU: link.mtu = a.u32(); break; }
 * attrs.throwIfMalformed();
 * ```
 * The iterator yields itself: read an attribute before moving on. A getter of the wrong size, or a length that
 * runs past the end, marks the reader as malformed, yields zero, and ends the walk; nested readers report to
 * their root, so one check at the end is enough.
 *
 * @see linux/netlink.h struct nlattr
 */
export class NlAttrs implements IterableIterator<NlAttrs> {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #root: NlAttrs;
  readonly #end: number;
  readonly #result: { done: boolean; value: NlAttrs };
  #next: number;
  #start = 0;
  #length = 0;
  #malformed = '';
  /** The current attribute's type, without NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
  type = 0;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length, root?: NlAttrs) {
    this.#bytes = bytes;
    this.#view = root ? root.#view : new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#root = root ?? this;
    this.#next = start;
    this.#end = Math.min(end, bytes.length);
    this.#result = { done: false, value: this };
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<NlAttrs, NlAttrs> {
    const at = this.#next;
    const left = this.#end - at;
    if (left < 4) {
      // up to three bytes of padding may follow the last attribute
      return this.#done();
    }
    const length = this.#view.getUint16(at, true);
    if (length < 4 || length > left) {
      this.#fail(`attribute at byte ${at} says ${length} bytes, ${left} are left`);
      return this.#done();
    }
    this.type = this.#view.getUint16(at + 2, true) & NLA_TYPE_MASK;
    this.#start = at + 4;
    this.#length = length - 4;
    this.#next = at + ((length + 3) & ~3);
    return this.#result;
  }

  /** Length of the current attribute's value, bytes. */
  get length(): number {
    return this.#length;
  }
  u8(): number {
    return this.#holds(1) ? this.#view.getUint8(this.#start) : 0;
  }
  u16(): number {
    return this.#holds(2) ? this.#view.getUint16(this.#start, true) : 0;
  }
  u16be(): number {
    return this.#holds(2) ? this.#view.getUint16(this.#start, false) : 0;
  }
  u32(): number {
    return this.#holds(4) ? this.#view.getUint32(this.#start, true) : 0;
  }
  u32be(): number {
    return this.#holds(4) ? this.#view.getUint32(this.#start, false) : 0;
  }
  i32(): number {
    return this.#holds(4) ? this.#view.getInt32(this.#start, true) : 0;
  }
  u64(): bigint {
    return this.#holds(8) ? this.#view.getBigUint64(this.#start, true) : 0n;
  }
  u64be(): bigint {
    return this.#holds(8) ? this.#view.getBigUint64(this.#start, false) : 0n;
  }
  /** The value's bytes: a view into the message, not a copy. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#start + this.#length);
  }
  /** A string up to its first NUL, or to the end of the attribute where there is none. */
  string(): string {
    let end = this.#start;
    const limit = this.#start + this.#length;
    while (end < limit && this.#bytes[end] !== 0) end++;
    return utf8.decode(this.#bytes.subarray(this.#start, end));
  }
  /** The attributes inside the current one; `skip` leaves out a fixed header before them. */
  nested(skip = 0): NlAttrs {
    return new NlAttrs(this.#bytes, this.#start + skip, this.#start + this.#length, this.#root);
  }

  /** Marks the message as malformed for a reason that only the caller can see. */
  fail(reason: string): void {
    this.#fail(reason);
  }
  get malformed(): boolean {
    return this.#root.#malformed !== '';
  }
  /** @throws MalformedError when any attribute read so far, nested ones included, was wrong. */
  throwIfMalformed(): void {
    if (this.#root.#malformed !== '') throw new MalformedError(this.#root.#malformed);
  }

  #holds(size: number): boolean {
    if (this.#length >= size) return true;
    this.#fail(`attribute ${this.type} holds ${this.#length} bytes, ${size} wanted`);
    return false;
  }
  #fail(reason: string): void {
    if (this.#root.#malformed === '') this.#root.#malformed = reason;
    this.#next = this.#end;
  }
  #done(): IteratorResult<NlAttrs, NlAttrs> {
    return { done: true, value: this };
  }
}

/** One netlink message: its header, and where its payload lies. */
export interface NlMessage {
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
  readonly pid: number;
  /** The payload after the 16-byte header: a view, not a copy. */
  readonly payload: Uint8Array;
}

/** Splits what one `recv` returned into messages. @throws MalformedError */
export function* messagesOf(bytes: Uint8Array): Generator<NlMessage, void, undefined> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 16 <= bytes.length;) {
    const length = view.getUint32(at, true);
    if (length < 16 || length > bytes.length - at) {
      throw new MalformedError(`message at byte ${at} says ${length} bytes, ${bytes.length - at} are left`);
    }
    yield {
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      seq: view.getUint32(at + 8, true),
      pid: view.getUint32(at + 12, true),
      payload: bytes.subarray(at + 16, at + length),
    };
    at += (length + 3) & ~3;
  }
}

const utf8 = new TextDecoder();
