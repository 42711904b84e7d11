import { type AsPath, decodePath, firstAs, mergePaths } from './as-path.ts';
import { BgpError } from './errors.ts';
import { isMartian } from './nlri.ts';
import { ERROR, UPDATE_ERROR } from './notification.ts';
import { get16, get32 } from './wire.ts';

/** What is said of the prefixes of one UPDATE. */
export interface PathAttributes {
  /** 0 IGP, 1 EGP, 2 incomplete */
  readonly origin: number;
  readonly path: AsPath;
  readonly med?: number;
  /** Within an AS alone. */
  readonly localPref?: number;
  /** `65000:100` @see RFC 1997 */
  readonly communities: readonly string[];
  /** Who brought it into the AS, where route reflectors are between. @see RFC 4456 */
  readonly originatorId?: string;
}

/** RFC 4271 section 5, RFC 1997, 4456, 4760, 6793, 8092, 4360 */
export const ATTRIBUTE = {
  ORIGIN: 1,
  AS_PATH: 2,
  NEXT_HOP: 3,
  MED: 4,
  LOCAL_PREF: 5,
  ATOMIC_AGGREGATE: 6,
  AGGREGATOR: 7,
  COMMUNITIES: 8,
  ORIGINATOR_ID: 9,
  CLUSTER_LIST: 10,
  MP_REACH: 14,
  MP_UNREACH: 15,
  EXTENDED_COMMUNITIES: 16,
  AS4_PATH: 17,
  AS4_AGGREGATOR: 18,
  LARGE_COMMUNITIES: 32,
} as const;
export const FLAG = { OPTIONAL: 0x80, TRANSITIVE: 0x40, EXTENDED: 0x10 } as const;
const KIND = FLAG.OPTIONAL | FLAG.TRANSITIVE;
/** The two flags as the attribute's own document has them. */
const FLAGS: Readonly<Record<number, number>> = {
  ...Object.fromEntries([1, 2, 3, 5, 6].map((type) => [type, FLAG.TRANSITIVE])),
  ...Object.fromEntries([4, 9, 10, 14, 15].map((type) => [type, FLAG.OPTIONAL])),
  ...Object.fromEntries([7, 8, 16, 17, 18, 32].map((type) => [type, KIND])),
};

/** Attributes by type, as they were found, and what was wrong with them. */
export interface Found {
  readonly values: ReadonlyMap<number, Uint8Array>;
  /** Why the prefixes are to be taken for withdrawn; empty where all is well. */
  readonly withdraw: string[];
  /** What was left out, without harm. */
  readonly discarded: string[];
}

/**
 * Takes the attributes apart. @see RFC 7606 section 3 and 4
 * @throws BgpError for what is said to end the session: MP_REACH or MP_UNREACH twice, a well-known one that is unknown
 */
export function splitAttributes(bytes: Uint8Array): Found {
  const values = new Map<number, Uint8Array>();
  const withdraw: string[] = [];
  const discarded: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const start = at;
    const flags = bytes[at]!;
    const wide = (flags & FLAG.EXTENDED) !== 0;
    if (at + (wide ? 4 : 3) > bytes.length) {
      withdraw.push('the attributes end within one');
      break;
    }
    const type = bytes[at + 1]!;
    const length = wide ? get16(bytes, at + 2) : bytes[at + 2]!;
    at += wide ? 4 : 3;
    if (at + length > bytes.length) {
      withdraw.push(`attribute ${type} is longer than what is left`);
      break;
    }
    const value = bytes.subarray(at, at + length);
    at += length;
    const expected = FLAGS[type];
    if (expected === undefined) {
      // ours is no router that would pass it on
      if (flags & FLAG.OPTIONAL) continue;
      throw updateError(UPDATE_ERROR.UNKNOWN, `attribute ${type} is none that we know`, bytes.slice(start, at));
    }
    if (values.has(type)) {
      if (type === ATTRIBUTE.MP_REACH || type === ATTRIBUTE.MP_UNREACH)
        throw updateError(UPDATE_ERROR.LIST, `attribute ${type} is there twice`);
      discarded.push(`attribute ${type} a second time`);
      continue;
    }
    if ((flags & KIND) !== expected) {
      if (type === ATTRIBUTE.AS4_PATH || type === ATTRIBUTE.AS4_AGGREGATOR) {
        discarded.push(`attribute ${type} with wrong flags`);
        continue;
      }
      withdraw.push(`attribute ${type} has wrong flags`);
    }
    values.set(type, value);
  }
  return { values, withdraw, discarded };
}

/** Who it comes from decides what some attributes mean. */
export interface Origin {
  readonly internal: boolean;
  readonly peerAs: number;
  readonly as4: boolean;
}

/**
 * Reads what stands beside the prefixes; adds to `found.withdraw` and `found.discarded`. What it gives is of use only
 * where nothing is to be withdrawn. @see RFC 7606 section 7
 */
export function readAttributes(found: Found, from: Origin): PathAttributes {
  const { values, withdraw, discarded } = found;
  const get = (type: number): Uint8Array | undefined => values.get(type);
  /** Its bytes where their number is right; else the prefixes go. */
  const sized = (type: number, name: string, right: (length: number) => boolean): Uint8Array | undefined => {
    const value = get(type);
    if (!value || right(value.length)) return value;
    withdraw.push(`${name} has ${value.length} bytes`);
    return undefined;
  };
  const four = (length: number): boolean => length === 4;
  const origin = sized(ATTRIBUTE.ORIGIN, 'ORIGIN', (length) => length === 1)?.[0] ?? 2;
  if (origin > 2) withdraw.push(`ORIGIN is ${origin}`);
  sized(ATTRIBUTE.NEXT_HOP, 'NEXT_HOP', four);
  const med = sized(ATTRIBUTE.MED, 'MULTI_EXIT_DISC', four);
  const communities = sized(ATTRIBUTE.COMMUNITIES, 'COMMUNITIES', multipleOf(4));
  sized(ATTRIBUTE.EXTENDED_COMMUNITIES, 'EXTENDED COMMUNITIES', multipleOf(8));
  sized(ATTRIBUTE.LARGE_COMMUNITIES, 'LARGE_COMMUNITY', multipleOf(12));
  if ((get(ATTRIBUTE.ATOMIC_AGGREGATE)?.length ?? 0) > 0) discarded.push('ATOMIC_AGGREGATE with contents');
  const aggregator = get(ATTRIBUTE.AGGREGATOR);
  if (aggregator && aggregator.length !== (from.as4 ? 8 : 6)) discarded.push('AGGREGATOR of a wrong size');
  let localPref: Uint8Array | undefined;
  let originatorId: Uint8Array | undefined;
  if (from.internal) {
    localPref = sized(ATTRIBUTE.LOCAL_PREF, 'LOCAL_PREF', four);
    originatorId = sized(ATTRIBUTE.ORIGINATOR_ID, 'ORIGINATOR_ID', four);
    sized(ATTRIBUTE.CLUSTER_LIST, 'CLUSTER_LIST', multipleOf(4));
  }
  return {
    origin,
    path: readPath(found, from),
    communities: communities ? communitiesOf(communities) : [],
    ...(med ? { med: get32(med, 0) } : {}),
    ...(localPref ? { localPref: get32(localPref, 0) } : {}),
    ...(originatorId ? { originatorId: originatorId.join('.') } : {}),
  };
}

/** What prefixes cannot be without. @see RFC 7606 section 3 (d) */
export function checkMandatory({ values, withdraw }: Found, classic: boolean): void {
  if (!values.has(ATTRIBUTE.ORIGIN)) withdraw.push('ORIGIN is missing');
  if (!values.has(ATTRIBUTE.AS_PATH)) withdraw.push('AS_PATH is missing');
  if (!classic) return;
  const hop = values.get(ATTRIBUTE.NEXT_HOP);
  if (!hop) withdraw.push('NEXT_HOP is missing');
  else if (hop.length === 4 && isMartian(hop.join('.'))) withdraw.push(`NEXT_HOP is ${hop.join('.')}`);
}

function readPath({ values, withdraw, discarded }: Found, from: Origin): AsPath {
  const bytes = values.get(ATTRIBUTE.AS_PATH);
  if (!bytes) return [];
  let path: AsPath | undefined = decodePath(bytes, from.as4 ? 4 : 2);
  if (!path) {
    withdraw.push('AS_PATH is malformed');
    return [];
  }
  const four = from.as4 ? undefined : values.get(ATTRIBUTE.AS4_PATH);
  if (four) {
    const long = decodePath(four, 4);
    if (long) path = mergePaths(path, long);
    else discarded.push('a malformed AS4_PATH');
  }
  if (!from.internal && firstAs(path) !== from.peerAs)
    withdraw.push(`AS_PATH begins with AS ${firstAs(path) ?? 'none'}, and not with its sender's`);
  return path;
}

function communitiesOf(bytes: Uint8Array): string[] {
  const out: string[] = [];
  for (let at = 0; at < bytes.length; at += 4) out.push(`${get16(bytes, at)}:${get16(bytes, at + 2)}`);
  return out;
}
function multipleOf(size: number): (length: number) => boolean {
  return (length) => length > 0 && length % size === 0;
}

export function updateError(subcode: number, detail: string, data?: Uint8Array): BgpError {
  return new BgpError({ code: ERROR.UPDATE, subcode, ...(data ? { data } : {}) }, detail);
}
