import { ipFromBytes, parseIp, parsePrefix } from '../addr/index.ts';
import { MalformedError, type NlMessage, type NlWriter } from '../netlink/index.ts';
import { AF, XFRM_INF } from './constants.ts';

// The fixed structures of linux/xfrm.h, padding as x86-64, arm64 and riscv64 have it.

/** Which packets: prefixes in canonical text; a state that carries both families has `any` on both sides. */
export interface XfrmSelector {
  /** `10.0.0.0/8`, `::/0`; `any` of no family. */
  readonly src: string;
  readonly dst: string;
}

/** When a state or policy expires; what is missing never. `soft` only tells (XFRM_MSG_EXPIRE), `hard` ends it. */
export interface XfrmLimits {
  readonly softBytes?: bigint;
  readonly hardBytes?: bigint;
  readonly softPackets?: bigint;
  readonly hardPackets?: bigint;
  /** Seconds since it was added. */
  readonly softSeconds?: bigint;
  readonly hardSeconds?: bigint;
}

export const SELECTOR_SIZE = 56;
export const ID_SIZE = 24;
export const LIFETIME_CFG_SIZE = 64;
export const LIFETIME_CUR_SIZE = 32;

export function afOf(address: string): number {
  return parseIp(address).family === 4 ? AF.INET : AF.INET6;
}

/** xfrm_address_t: 16 bytes, of which IPv4 takes the first four. */
export function writeAddress(w: NlWriter, address: string): void {
  const { bytes } = parseIp(address);
  w.rawBytes(bytes);
  if (bytes.length === 4) w.rawBytes(new Uint8Array(12));
}

/** struct xfrm_id */
export function writeId(w: NlWriter, { dst, spi, proto }: { dst: string; spi: number; proto: number }): void {
  writeAddress(w, dst);
  writeSpi(w, spi);
  w.rawU8(proto).rawBytes(new Uint8Array(3));
}

export function writeSpi(w: NlWriter, spi: number): void {
  w.rawU16be(spi >>> 16).rawU16be(spi & 0xffff);
}

/** struct xfrm_selector; undefined: any packet of any family. */
export function writeSelector(w: NlWriter, selector: XfrmSelector | undefined): void {
  if (!selector) {
    w.rawBytes(new Uint8Array(SELECTOR_SIZE));
    return;
  }
  const dst = parsePrefix(selector.dst, { strict: true });
  const src = parsePrefix(selector.src, { strict: true });
  writeAddress(w, dst.address.text);
  writeAddress(w, src.address.text);
  w.rawU32(0).rawU32(0); // any port
  w.rawU16(dst.family === 4 ? AF.INET : AF.INET6);
  w.rawU8(dst.length).rawU8(src.length).rawU32(0); // any protocol, and padding
  w.rawU32(0).rawU32(0); // any interface, any user
}

/** struct xfrm_lifetime_cfg */
export function writeLimits(w: NlWriter, limits: XfrmLimits = {}): void {
  const { softBytes, hardBytes, softPackets, hardPackets, softSeconds, hardSeconds } = limits;
  for (const value of [softBytes, hardBytes, softPackets, hardPackets]) rawU64(w, value ?? XFRM_INF);
  for (const value of [softSeconds, hardSeconds, undefined, undefined]) rawU64(w, value ?? 0n);
}

function rawU64(w: NlWriter, value: bigint): void {
  w.rawU32(Number(value & 0xffff_ffffn)).rawU32(Number(value >> 32n));
}

/** A cursor over a message's fixed part, which is known to be there. */
export class Struct {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;

  /** @throws MalformedError unless there are `size` bytes at `at` */
  constructor(bytes: Uint8Array, at: number, size: number, name: string) {
    if (bytes.length < at + size) {
      throw new MalformedError(`${name}: ${Math.max(0, bytes.length - at)} bytes where ${size} belong`);
    }
    this.#bytes = bytes.subarray(at, at + size);
    this.#view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, size);
  }
  u8(at: number): number {
    return this.#view.getUint8(at);
  }
  u16(at: number): number {
    return this.#view.getUint16(at, true);
  }
  u32(at: number): number {
    return this.#view.getUint32(at, true);
  }
  u32be(at: number): number {
    return this.#view.getUint32(at, false);
  }
  u64(at: number): bigint {
    return this.#view.getBigUint64(at, true);
  }
  /** xfrm_address_t of an address family. @throws MalformedError for a family that has none */
  address(at: number, af: number): string {
    const size = af === AF.INET ? 4 : af === AF.INET6 ? 16 : 0;
    if (size === 0) throw new MalformedError(`address family ${af} where 2 (IPv4) or 10 (IPv6) belongs`);
    return ipFromBytes(this.#bytes.slice(at, at + size)).text;
  }
  /** struct xfrm_selector; undefined where it is of no family. */
  selector(at: number): XfrmSelector | undefined {
    const family = this.u16(at + 40);
    if (family === 0) return undefined;
    return {
      dst: `${this.address(at, family)}/${this.u8(at + 42)}`,
      src: `${this.address(at + 16, family)}/${this.u8(at + 43)}`,
    };
  }
  /** struct xfrm_lifetime_cfg */
  limits(at: number): XfrmLimits {
    const limits: { -readonly [K in keyof XfrmLimits]: XfrmLimits[K] } = {};
    for (const [i, key] of (['softBytes', 'hardBytes', 'softPackets', 'hardPackets'] as const).entries()) {
      const value = this.u64(at + i * 8);
      if (value !== XFRM_INF) limits[key] = value;
    }
    for (const [i, key] of (['softSeconds', 'hardSeconds'] as const).entries()) {
      const value = this.u64(at + 32 + i * 8);
      if (value !== 0n) limits[key] = value;
    }
    return limits;
  }
}

/** Whether a dump's message is one at all: an interrupted dump ends with an empty one. */
export function hasPayload(message: NlMessage): boolean {
  return message.payload.length > 4;
}
