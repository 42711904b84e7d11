import { MalformedError } from './errors.ts';

/**
 * Reads a list of domain names in wire form (RFC 1035 section 4.1.4), with compression where `pointers` says so: within
 * the bytes given, backwards only (RFC 3397 section 2). Names that are no hostnames are left out: they would end up in
 * a resolv.conf, where a newline is a directive. Zero bytes behind the last name are padding (RFC 8106 section 5.2).
 * @throws MalformedError
 */
export function decodeDomains(bytes: Uint8Array, options: { readonly pointers: boolean }): string[] {
  const names: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const { name, next } = readName(bytes, at, options.pointers);
    at = next;
    if (isDomain(name) && names.length < MAX_NAMES) names.push(name);
  }
  return names;
}

/** The names in wire form, uncompressed. @throws MalformedError for what is no domain name */
export function encodeDomains(names: readonly string[]): Uint8Array {
  const out: number[] = [];
  for (const name of names) {
    if (!isDomain(name)) throw new MalformedError(`${JSON.stringify(name)} is no domain name`);
    for (const label of name.replace(/\.$/, '').split('.')) {
      out.push(label.length, ...Buffer.from(label, 'latin1'));
    }
    out.push(0);
  }
  return Uint8Array.from(out);
}

/** Letters, digits, `-` and `_`, dots between; 253 characters. A dot at the end is allowed. */
export function isDomain(name: string): boolean {
  return name.length <= 254 && /^[A-Za-z0-9_](?:[\w-]{0,62})(?:\.[A-Za-z0-9_][\w-]{0,62})*\.?$/.test(name);
}

function readName(bytes: Uint8Array, start: number, pointers: boolean): { name: string; next: number } {
  let name = '';
  let next = 0;
  // a pointer leads to before its own name, so that there is an end
  let limit = bytes.length;
  let from = start;
  for (let at = start; ;) {
    if (at >= limit) throw new MalformedError(`the domain name at byte ${start} has no end`);
    const length = bytes[at]!;
    if (length === 0) return { name, next: next === 0 ? at + 1 : next };
    if (length < 64) {
      const end = at + 1 + length;
      if (end > limit || name.length + length > 254) {
        throw new MalformedError(`the domain name at byte ${start} is longer than its bytes, or than 255`);
      }
      let label = '';
      for (let i = at + 1; i < end; i++) label += String.fromCharCode(bytes[i]!);
      name = name === '' ? label : `${name}.${label}`;
      at = end;
      continue;
    }
    const target = length >= 0xc0 && at + 1 < limit ? ((length & 0x3f) << 8) | bytes[at + 1]! : Infinity;
    if (!pointers || target >= from) {
      throw new MalformedError(`the domain name at byte ${start} has a pointer that leads nowhere`);
    }
    if (next === 0) next = at + 2;
    limit = from;
    from = target;
    at = target;
  }
}

/** More than a resolver takes: glibc's own limit was 6 for decades. */
const MAX_NAMES = 32;
