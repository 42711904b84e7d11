/**
 * Writes netlink messages and their attributes into one growing buffer.
 *
 * Integers are in host order unless the method's name ends in `be`; netlink's host order is little-endian on
 * every machine that netloom supports (x86-64, arm64, riscv64). Every message and attribute is padded to four bytes.
 *
 * @see linux/netlink.h struct nlmsghdr, struct nlattr
 */
export class NlWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView<ArrayBuffer>;
  #length = 0;
  #message = -1;

  constructor(capacity = 1024) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes written so far, the open message included. */
  get length(): number {
    return this.#length;
  }

  /** Starts a message; ends the one before it. @see linux/netlink.h struct nlmsghdr */
  message(type: number, flags: number, seq: number): this {
    this.#endMessage();
    const at = this.#reserve(16);
    this.#message = at;
    this.#view.setUint16(at + 4, type, true);
    this.#view.setUint16(at + 6, flags, true);
    this.#view.setUint32(at + 8, seq, true);
    this.#view.setUint32(at + 12, 0, true);
    return this;
  }

  /** The finished messages. The view is valid until the next write. */
  finish(): Uint8Array<ArrayBuffer> {
    this.#endMessage();
    return this.#bytes.subarray(0, this.#length);
  }

  /** Forgets everything written, keeps the memory. */
  reset(): this {
    this.#length = 0;
    this.#message = -1;
    return this;
  }

  // Fixed headers (struct ifinfomsg and its like), written field by field.

  rawU8(value: number): this {
    const at = this.#reserve(1);
    this.#view.setUint8(at, value);
    return this;
  }
  rawU16(value: number): this {
    const at = this.#reserve(2);
    this.#view.setUint16(at, value, true);
    return this;
  }
  rawU16be(value: number): this {
    const at = this.#reserve(2);
    this.#view.setUint16(at, value, false);
    return this;
  }
  rawU32(value: number): this {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value, true);
    return this;
  }
  rawI32(value: number): this {
    const at = this.#reserve(4);
    this.#view.setInt32(at, value, true);
    return this;
  }
  rawBytes(value: Uint8Array): this {
    const at = this.#reserve(value.length);
    this.#bytes.set(value, at);
    return this;
  }
  /** Pads with zeros to the next multiple of four. */
  align(): this {
    this.#reserve((4 - (this.#length & 3)) & 3);
    return this;
  }

  // Attributes. Room first, then the view: making room may move the buffer.

  /** An attribute without a value. */
  flag(type: number): this {
    this.#attribute(type, 0);
    return this;
  }
  u8(type: number, value: number): this {
    const at = this.#attribute(type, 1);
    this.#view.setUint8(at, value);
    return this;
  }
  u16(type: number, value: number): this {
    const at = this.#attribute(type, 2);
    this.#view.setUint16(at, value, true);
    return this;
  }
  u16be(type: number, value: number): this {
    const at = this.#attribute(type, 2);
    this.#view.setUint16(at, value, false);
    return this;
  }
  u32(type: number, value: number): this {
    const at = this.#attribute(type, 4);
    this.#view.setUint32(at, value, true);
    return this;
  }
  u32be(type: number, value: number): this {
    const at = this.#attribute(type, 4);
    this.#view.setUint32(at, value, false);
    return this;
  }
  i32(type: number, value: number): this {
    const at = this.#attribute(type, 4);
    this.#view.setInt32(at, value, true);
    return this;
  }
  u64(type: number, value: bigint): this {
    const at = this.#attribute(type, 8);
    this.#view.setBigUint64(at, value, true);
    return this;
  }
  u64be(type: number, value: bigint): this {
    const at = this.#attribute(type, 8);
    this.#view.setBigUint64(at, value, false);
    return this;
  }
  bytes(type: number, value: Uint8Array): this {
    const at = this.#attribute(type, value.length);
    this.#bytes.set(value, at);
    return this;
  }
  /** A string with its terminating NUL, as NLA_NUL_STRING wants it. */
  string(type: number, value: string): this {
    const encoded = utf8.encode(value);
    const at = this.#attribute(type, encoded.length + 1);
    this.#bytes.set(encoded, at);
    return this;
  }
  /**
   * Attributes inside an attribute. iproute2 leaves NLA_F_NESTED out of most of rtnetlink, nftables sets it:
   * pass `NLA_F_NESTED | type` where the reference tool does.
   */
  nest(type: number, body: (writer: this) => void): this {
    const at = this.#attribute(type, 0) - 4;
    body(this);
    const length = this.#length - at;
    if (length > 0xffff) throw new RangeError(`netlink attribute ${type & NLA_TYPE_MASK} is longer than 65535 bytes`);
    this.#view.setUint16(at, length, true);
    return this;
  }

  #attribute(type: number, size: number): number {
    if (size > 0xffff - 4) throw new RangeError(`netlink attribute ${type & NLA_TYPE_MASK} is longer than 65535 bytes`);
    const at = this.#reserve(4 + ((size + 3) & ~3));
    this.#view.setUint16(at, 4 + size, true);
    this.#view.setUint16(at + 2, type, true);
    return at + 4;
  }

  #endMessage(): void {
    if (this.#message < 0) return;
    // Attributes pad themselves; only a fixed header of odd size can leave a message unaligned.
    const length = this.#length - this.#message;
    this.align();
    this.#view.setUint32(this.#message, length, true);
    this.#message = -1;
  }

  /** Zeroed room for `size` bytes; its offset. */
  #reserve(size: number): number {
    const at = this.#length;
    const end = at + size;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    } else {
      this.#bytes.fill(0, at, end); // memory kept by reset() holds old messages
    }
    this.#length = end;
    return at;
  }
}

/** linux/netlink.h */
export const NLA_F_NESTED = 0x8000;
export const NLA_F_NET_BYTEORDER = 0x4000;
export const NLA_TYPE_MASK = 0x3fff;

const utf8 = new TextEncoder();
