import { MalformedError } from '../netlink/index.ts';

/**
 * Userdata: what the kernel keeps for nft without reading it. A list of records, one byte type, one byte length, value.
 *
 * @see libnftnl, include/libnftnl/udata.h
 */
export interface UserdataRecord {
  readonly type: number;
  readonly value: Uint8Array;
}

/** libnftnl, enum nftnl_udata_*_types: where each object keeps its comment. */
export const UDATA_COMMENT = { table: 0, chain: 0, rule: 0, set: 7, element: 0 } as const;

/** libnftnl, enum nftnl_udata_set_types */
export const UDATA_SET = {
  KEYBYTEORDER: 0,
  DATABYTEORDER: 1,
  MERGE_ELEMENTS: 2,
  KEY_TYPEOF: 3,
  DATA_TYPEOF: 4,
  EXPR: 5,
  DATA_INTERVAL: 6,
  COMMENT: 7,
} as const;

/** What nft takes as a comment, bytes without the NUL: nftables' include/rule.h, NFTNL_UDATA_COMMENT_MAXLEN. */
const COMMENT_MAX = 128;

export function encodeUserdata(records: readonly UserdataRecord[]): Uint8Array {
  const out = new Uint8Array(records.reduce((sum, record) => sum + 2 + record.value.length, 0));
  let at = 0;
  for (const { type, value } of records) {
    if (value.length > 255) throw new RangeError(`userdata record ${type} is longer than 255 bytes`);
    out.set([type, value.length], at);
    out.set(value, at + 2);
    at += 2 + value.length;
  }
  return out;
}

/** @throws MalformedError for a record that runs past the end */
export function decodeUserdata(bytes: Uint8Array): UserdataRecord[] {
  const records: UserdataRecord[] = [];
  for (let at = 0; at + 2 <= bytes.length;) {
    const [type, length] = [bytes[at]!, bytes[at + 1]!];
    if (at + 2 + length > bytes.length) throw new MalformedError(`userdata record at byte ${at} runs past the end`);
    records.push({ type, value: new Uint8Array(bytes.subarray(at + 2, at + 2 + length)) });
    at += 2 + length;
  }
  return records;
}

export function commentRecord(type: number, comment: string): UserdataRecord {
  const text = utf8.encode(`${comment}\0`);
  if (text.length > COMMENT_MAX) throw new RangeError(`a comment has at most ${COMMENT_MAX - 1} bytes: ${comment}`);
  return { type, value: text };
}

/** A comment alone; undefined without one. */
export function commentUserdata(type: number, comment: string | undefined): Uint8Array | undefined {
  return comment === undefined ? undefined : encodeUserdata([commentRecord(type, comment)]);
}

/** The comment that userdata holds. Userdata that is not nft's holds none. */
export function commentOf(type: number, bytes: Uint8Array): string | undefined {
  let records: readonly UserdataRecord[];
  try {
    records = decodeUserdata(bytes);
  } catch {
    return undefined;
  }
  const record = records.find((r) => r.type === type);
  if (!record || record.value.at(-1) !== 0) return undefined;
  return new TextDecoder().decode(record.value.subarray(0, -1));
}

const utf8 = new TextEncoder();
