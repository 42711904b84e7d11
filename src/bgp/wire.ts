/** RFC 4271 section 4.1: marker, length, type. */
export const HEADER = 19;
/** RFC 4271 section 4.1; longer ones (RFC 8654) are not offered. */
export const MAX_MESSAGE = 4096;
export const TYPE = { OPEN: 1, UPDATE: 2, NOTIFICATION: 3, KEEPALIVE: 4, REFRESH: 5 } as const;
/** Stands for an AS number of four bytes where only two fit. @see RFC 6793 section 9 */
export const AS_TRANS = 23456;
export const SAFI_UNICAST = 1;

/** A message with its header. */
export function frameOf(type: number, body: Uint8Array = new Uint8Array()): Uint8Array {
  const out = new Uint8Array(HEADER + body.length).fill(0xff, 0, 16);
  put16(out, 16, out.length);
  out[18] = type;
  out.set(body, HEADER);
  return out;
}

export function get16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
export function get32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}
export function of16(...values: readonly number[]): Uint8Array {
  return Uint8Array.from(values.flatMap((value) => [value >>> 8, value & 0xff]));
}
export function of32(...values: readonly number[]): Uint8Array {
  return Uint8Array.from(values.flatMap((v) => [v >>> 24, (v >>> 16) & 0xff, (v >>> 8) & 0xff, v & 0xff]));
}
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
