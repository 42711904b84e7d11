import { NetloomError } from '../errors.ts';
import { bytesNumber, concatBytes, type NftDataType, type NftScalar, padded } from './datatype.ts';

/** One field of a key: a value, or where the set has the flag `interval`, a prefix or a range with both ends included. */
export type NftField =
  | NftScalar
  | { readonly prefix: { readonly addr: string; readonly len: number } }
  | { readonly range: readonly [NftScalar, NftScalar] };

/** A key: one field, or those of a concatenation; `*` is the element that catches what no other one matches. */
export type NftKey = NftField | { readonly concat: readonly NftField[] };

/** The first and the last key that an element covers, both included. */
export interface KeyBytes {
  readonly first: Uint8Array;
  readonly last: Uint8Array;
}

export const CATCHALL = '*';

/**
 * The bytes of a key. Sets with intervals compare bytes, so that their numbers are in network order throughout.
 * @throws NetloomError EBADVALUE
 */
export function keyBytes(types: readonly NftDataType[], key: NftKey, interval: boolean): KeyBytes {
  if (types.length === 1) return fieldBytes(types[0]!, isConcat(key) ? single(key.concat) : key, interval);
  const fields = isConcat(key) ? key.concat : [key];
  if (fields.length !== types.length) {
    const wanted = types.map((type) => type.name).join(' . ');
    throw new NetloomError('EBADVALUE', `a key of ${fields.length} fields where ${wanted} is wanted`);
  }
  const parts = fields.map((field, i) => fieldBytes(types[i]!, field, interval));
  return { first: concatBytes(parts.map((part) => part.first)), last: concatBytes(parts.map((part) => part.last)) };
}

/** The key that bytes hold, in its shortest form: a value, else a prefix of addresses, else a range. */
export function keyFromBytes(types: readonly NftDataType[], bytes: KeyBytes, interval: boolean): NftKey {
  if (types.length === 1) return fieldFromBytes(types[0]!, bytes.first, bytes.last, interval);
  let at = 0;
  const concat = types.map((type) => {
    const field = fieldFromBytes(
      type,
      bytes.first.subarray(at, at + type.size),
      bytes.last.subarray(at, at + type.size),
      interval,
    );
    at += padded(type.size);
    return field;
  });
  return { concat };
}

/** A key as nft writes it: `10.0.0.1 . tcp . 80-90`. */
export function printKey(types: readonly NftDataType[], key: NftKey): string {
  const fields = isConcat(key) ? key.concat : [key];
  return fields.map((field, i) => printField(types[i], field)).join(' . ');
}

export function printField(type: NftDataType | undefined, field: NftField): string {
  if (typeof field === 'object' && 'prefix' in field) return `${field.prefix.addr}/${field.prefix.len}`;
  if (typeof field === 'object') return field.range.map((bound) => printScalar(type, bound)).join('-');
  return printScalar(type, field);
}

/** A value as nft writes it: names of interfaces in quotes. */
export function printScalar(type: NftDataType | undefined, value: NftScalar): string {
  if (value === CATCHALL) return value;
  return type?.base === 'string' ? quoted(String(value)) : String(value);
}

/** A string of nft's own syntax, which has no way to write a quotation mark in one. */
export function quoted(text: string): string {
  if (/["\n]/.test(text)) throw new NetloomError('EBADVALUE', `nft cannot write ${JSON.stringify(text)} as a string`);
  return `"${text}"`;
}

export function isConcat(key: NftKey): key is { readonly concat: readonly NftField[] } {
  return typeof key === 'object' && 'concat' in key;
}

/** The value of a field's bytes. */
export function scalarFromBytes(type: NftDataType, bytes: Uint8Array, interval: boolean): NftScalar {
  return type.format(swaps(type, interval) ? reversed(bytes) : new Uint8Array(bytes));
}

/** The bytes of one value. */
export function scalarBytes(type: NftDataType, value: NftScalar, interval: boolean): Uint8Array {
  const bytes = type.parse(value);
  return swaps(type, interval) ? reversed(bytes) : bytes;
}

/** The first and last bytes of a field. @throws NetloomError EBADVALUE */
export function fieldBytes(type: NftDataType, field: NftField, interval: boolean): KeyBytes {
  if (typeof field !== 'object') {
    const bytes = scalarBytes(type, field, interval);
    return { first: bytes, last: bytes };
  }
  if (!interval) {
    throw new NetloomError(
      'EBADVALUE',
      `${printField(type, field)}: a set without the flag interval takes single values`,
    );
  }
  if ('range' in field) {
    const [first, last] = field.range.map((bound) => scalarBytes(type, bound, interval));
    if (compareBytes(first!, last!) > 0)
      throw new NetloomError('EBADVALUE', `${printField(type, field)} ends before it starts`);
    return { first: first!, last: last! };
  }
  return prefixBytes(type, field.prefix.addr, field.prefix.len);
}

/** The first and the last address of a prefix. @throws NetloomError EBADVALUE */
export function prefixBytes(type: NftDataType, addr: string, len: number): KeyBytes {
  const first = type.parse(addr);
  if (!isAddress(type) || len < 0 || len > type.size * 8) {
    throw new NetloomError('EBADVALUE', `${addr}/${len} is no prefix of ${type.name}`);
  }
  const mask = maskBytes(len, type.size);
  return { first: first.map((byte, i) => byte & mask[i]!), last: first.map((byte, i) => byte | (~mask[i]! & 0xff)) };
}

/** `len` ones, then zeros. */
export function maskBytes(len: number, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (0xff << (8 - Math.min(8, Math.max(0, len - i * 8)))) & 0xff);
}

export function isAddress(type: NftDataType): boolean {
  return type.name === 'ipv4_addr' || type.name === 'ipv6_addr';
}

/** Bytes as an unsigned big-endian number: what the kernel compares. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length && i < b.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

/** The number after; undefined where there is none of that size. */
export function nextBytes(bytes: Uint8Array): Uint8Array | undefined {
  const next = new Uint8Array(bytes);
  for (let i = next.length - 1; i >= 0; i--) {
    next[i] = (next[i]! + 1) & 0xff;
    if (next[i] !== 0) return next;
  }
  return undefined;
}

/** The number before. */
export function previousBytes(bytes: Uint8Array): Uint8Array {
  const previous = new Uint8Array(bytes);
  for (let i = previous.length - 1; i >= 0; i--) {
    previous[i] = (previous[i]! - 1) & 0xff;
    if (previous[i] !== 0xff) break;
  }
  return previous;
}

function fieldFromBytes(type: NftDataType, first: Uint8Array, last: Uint8Array, interval: boolean): NftField {
  if (compareBytes(first, last) === 0) return scalarFromBytes(type, first, interval);
  const len = isAddress(type) ? prefixLength(first, last) : undefined;
  if (len !== undefined) return { prefix: { addr: String(scalarFromBytes(type, first, interval)), len } };
  return { range: [scalarFromBytes(type, first, interval), scalarFromBytes(type, last, interval)] };
}

/** How many leading bits the two share, where the rest is all zeros in the first and all ones in the last. */
function prefixLength(first: Uint8Array, last: Uint8Array): number | undefined {
  const [low, high] = [bytesNumber(first, 'network'), bytesNumber(last, 'network')];
  const host = (low ^ high) + 1n;
  const bits = host.toString(2).length - 1;
  if (host !== 1n << BigInt(bits) || (low & (host - 1n)) !== 0n) return undefined;
  return first.length * 8 - bits;
}

function swaps(type: NftDataType, interval: boolean): boolean {
  return interval && type.byteorder === 'host' && type.base !== 'string' && type.size > 1;
}

function reversed(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes).reverse();
}

function single(fields: readonly NftField[]): NftField {
  if (fields.length === 1) return fields[0]!;
  throw new NetloomError('EBADVALUE', `a key of ${fields.length} fields where one is wanted`);
}
