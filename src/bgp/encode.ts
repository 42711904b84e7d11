import type { Family } from '../addr/index.ts';
import { type AsPath, encodePath } from './as-path.ts';
import { ATTRIBUTE, FLAG } from './attributes.ts';
import { addressBytes, encodePrefix, familyOf } from './nlri.ts';
import { afiOf } from './open.ts';
import { concat, frameOf, HEADER, MAX_MESSAGE, of16, of32, SAFI_UNICAST, TYPE } from './wire.ts';

/** What is announced with prefixes of one family. */
export interface Outgoing {
  readonly path: AsPath;
  readonly nextHop: string;
  readonly med?: number;
  readonly localPref?: number;
  /** `65000:100` */
  readonly communities?: readonly string[];
}

/** UPDATEs that announce prefixes of one family, in as few messages as they fit in. */
export function announceFrames(prefixes: readonly string[], what: Outgoing, as4: boolean): Uint8Array[] {
  const family = familyOf(prefixes[0] ?? '');
  const classic = family === 4 && familyOf(what.nextHop) === 4;
  const common = commonAttributes(what, as4);
  if (classic) {
    const all = concat([...common, attribute(FLAG.TRANSITIVE, ATTRIBUTE.NEXT_HOP, addressBytes(what.nextHop))]);
    return packed(prefixes, HEADER + 4 + all.length).map((nlri) => updateFrame([], all, nlri));
  }
  const hop = addressBytes(what.nextHop);
  const head = concat([of16(afiOf(family)), Uint8Array.of(SAFI_UNICAST, hop.length), hop, Uint8Array.of(0)]);
  const rest = concat(common);
  return packed(prefixes, HEADER + 4 + 4 + head.length + rest.length).map((nlri) =>
    // first, so that whoever cannot read on has the prefixes (RFC 7606 section 5.1)
    updateFrame([], concat([attribute(FLAG.OPTIONAL, ATTRIBUTE.MP_REACH, concat([head, ...nlri])), rest]), []),
  );
}

/** UPDATEs that take prefixes of one family back. */
export function withdrawFrames(prefixes: readonly string[]): Uint8Array[] {
  const family = familyOf(prefixes[0] ?? '');
  if (family === 4) return packed(prefixes, HEADER + 4).map((nlri) => updateFrame(nlri, new Uint8Array(), []));
  return packed(prefixes, HEADER + 4 + 4 + 3).map((nlri) => updateFrame([], unreach(family, nlri), []));
}

/** @see RFC 4724 section 2 */
export function endOfRibFrame(family: Family): Uint8Array {
  return updateFrame([], family === 4 ? new Uint8Array() : unreach(family, []), []);
}

function unreach(family: Family, nlri: readonly Uint8Array[]): Uint8Array {
  const head = concat([of16(afiOf(family)), Uint8Array.of(SAFI_UNICAST)]);
  return attribute(FLAG.OPTIONAL, ATTRIBUTE.MP_UNREACH, concat([head, ...nlri]));
}

function commonAttributes({ path, med, localPref, communities = [] }: Outgoing, as4: boolean): Uint8Array[] {
  const out = [
    attribute(FLAG.TRANSITIVE, ATTRIBUTE.ORIGIN, Uint8Array.of(0)),
    attribute(FLAG.TRANSITIVE, ATTRIBUTE.AS_PATH, encodePath(path, as4 ? 4 : 2)),
  ];
  if (med !== undefined) out.push(attribute(FLAG.OPTIONAL, ATTRIBUTE.MED, of32(med)));
  if (localPref !== undefined) out.push(attribute(FLAG.TRANSITIVE, ATTRIBUTE.LOCAL_PREF, of32(localPref)));
  const both = FLAG.OPTIONAL | FLAG.TRANSITIVE;
  if (communities.length > 0) {
    const values = communities.map((each) => of16(...each.split(':').map(Number)));
    out.push(attribute(both, ATTRIBUTE.COMMUNITIES, concat(values)));
  }
  if (!as4 && path.some(({ asns }) => asns.some((asn) => asn > 0xffff)))
    out.push(attribute(both, ATTRIBUTE.AS4_PATH, encodePath(path, 4)));
  return out;
}

function attribute(flags: number, type: number, value: Uint8Array): Uint8Array {
  const long = value.length > 255;
  const head = long
    ? [flags | FLAG.EXTENDED, type, value.length >> 8, value.length & 0xff]
    : [flags, type, value.length];
  return concat([Uint8Array.from(head), value]);
}

function updateFrame(gone: readonly Uint8Array[], attributes: Uint8Array, nlri: readonly Uint8Array[]): Uint8Array {
  const withdrawn = concat(gone);
  return frameOf(
    TYPE.UPDATE,
    concat([of16(withdrawn.length), withdrawn, of16(attributes.length), attributes, ...nlri]),
  );
}

/** Prefixes in groups that fit beside `taken` bytes. */
function packed(prefixes: readonly string[], taken: number): Uint8Array[][] {
  const groups: Uint8Array[][] = [];
  let size = Infinity;
  for (const prefix of prefixes) {
    const bytes = encodePrefix(prefix);
    size += bytes.length;
    if (size > MAX_MESSAGE) {
      groups.push([]);
      size = taken + bytes.length;
    }
    groups.at(-1)!.push(bytes);
  }
  return groups;
}
