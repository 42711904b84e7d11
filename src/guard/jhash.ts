/**
 * Bob Jenkins' hash as the kernel computes it, for bytes in the order of a little-endian machine, which all are that we
 * run on. @see linux/jhash.h, jhash()
 */
export function jhash(key: Uint8Array, seed: number): number {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  let length = key.length;
  let at = 0;
  let a = (0xdeadbeef + length + seed) | 0;
  let [b, c] = [a, a];
  for (; length > 12; length -= 12, at += 12) {
    a = (a + view.getUint32(at, true)) | 0;
    b = (b + view.getUint32(at + 4, true)) | 0;
    c = (c + view.getUint32(at + 8, true)) | 0;
    [a, b, c] = mix(a, b, c);
  }
  if (length === 0) return c >>> 0;
  const rest = new Uint8Array(12);
  rest.set(key.subarray(at));
  const last = new DataView(rest.buffer);
  a = (a + last.getUint32(0, true)) | 0;
  b = (b + last.getUint32(4, true)) | 0;
  c = (c + last.getUint32(8, true)) | 0;
  return final(a, b, c) >>> 0;
}

/** What nft's `jhash … mod N seed S` gives: the hash, scaled to the numbers below N. @see linux/kernel.h reciprocal_scale */
export function jhashMod(key: Uint8Array, modulus: number, seed: number): number {
  return Number((BigInt(jhash(key, seed)) * BigInt(modulus)) >> 32n);
}

function rol(word: number, shift: number): number {
  return (word << shift) | (word >>> (32 - shift));
}

/** __jhash_mix */
function mix(a: number, b: number, c: number): [number, number, number] {
  a = ((a - c) | 0) ^ rol(c, 4);
  c = (c + b) | 0;
  b = ((b - a) | 0) ^ rol(a, 6);
  a = (a + c) | 0;
  c = ((c - b) | 0) ^ rol(b, 8);
  b = (b + a) | 0;
  a = ((a - c) | 0) ^ rol(c, 16);
  c = (c + b) | 0;
  b = ((b - a) | 0) ^ rol(a, 19);
  a = (a + c) | 0;
  c = ((c - b) | 0) ^ rol(b, 4);
  b = (b + a) | 0;
  return [a, b, c];
}

/** __jhash_final */
function final(a: number, b: number, c: number): number {
  c = ((c ^ b) - rol(b, 14)) | 0;
  a = ((a ^ c) - rol(c, 11)) | 0;
  b = ((b ^ a) - rol(a, 25)) | 0;
  c = ((c ^ b) - rol(b, 16)) | 0;
  a = ((a ^ c) - rol(c, 4)) | 0;
  b = ((b ^ a) - rol(a, 14)) | 0;
  return ((c ^ b) - rol(b, 24)) | 0;
}
