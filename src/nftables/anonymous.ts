import { NetloomError } from '../errors.ts';
import type { NftFamily } from './constants.ts';
import { dataType, type NftTypeName } from './datatype.ts';
import type { NftElement } from './element.ts';
import type { FieldType } from './field.ts';
import { compareBytes, isConcat, type KeyBytes, keyBytes, keyFromBytes, nextBytes, type NftKey } from './key.ts';
import { type NftSet, typesOf } from './set.ts';

/** A set or map that belongs to one rule: the kernel gives it a number for a name, and deletes it with the rule. */
export interface AnonymousSet {
  readonly set: NftSet;
  readonly elements: readonly NftElement[];
  /** Names it to the rule inside the transaction that adds both. */
  readonly id: number;
}

/** Makes the set that a rule's `{ … }` stands for, as nft would. @throws NetloomError EBADVALUE */
export function anonymousSet(
  where: { readonly family: NftFamily; readonly table: string },
  fields: readonly FieldType[],
  elements: readonly NftElement[],
  map?: NftSet['map'],
): AnonymousSet {
  const names = fields.map(keyTypeName);
  const ranges = elements.some(({ key }) => (isConcat(key) ? key.concat : [key]).some((f) => typeof f === 'object'));
  const single = ranges && names.length === 1;
  const merged = single && map === undefined ? mergeIntervals(names[0]!, elements) : elements;
  const set: NftSet = {
    ...where,
    name: map === undefined ? '__set%d' : '__map%d',
    type: names.length === 1 ? names[0]! : names,
    ...(map !== undefined && { map }),
    flags: ranges ? ['anonymous', 'constant', 'interval'] : ['anonymous', 'constant'],
    size: single ? intervalSize(names[0]!, merged) : merged.length,
  };
  return { set, elements: merged, id: nextId() };
}

function keyTypeName({ type, len }: FieldType): NftTypeName {
  if (type.size === len) return type.name;
  throw new NetloomError('EBADVALUE', `a set of ${type.name} with ${len} bytes cannot be written in a rule`);
}

/** nft joins intervals that overlap or touch, since an anonymous set cannot tell them apart. */
function mergeIntervals(name: NftTypeName, elements: readonly NftElement[]): NftElement[] {
  const types = [dataType(name)];
  const joined: { first: Uint8Array; last: Uint8Array }[] = [];
  for (const { first, last } of sortedIntervals(name, elements)) {
    const before = joined.at(-1);
    const after = before && nextBytes(before.last);
    if (before && (after === undefined || compareBytes(first, after) <= 0)) {
      if (compareBytes(last, before.last) > 0) before.last = last;
    } else joined.push({ first, last });
  }
  return joined.map((bytes) => ({ key: keyFromBytes(types, bytes, true) }));
}

/** What nft announces: each interval's two ends, and the gap before the first one. */
function intervalSize(name: NftTypeName, elements: readonly NftElement[]): number {
  const intervals = sortedIntervals(name, elements);
  const open = intervals.filter(({ last }) => nextBytes(last) === undefined).length;
  const gap = intervals[0]?.first.some((byte) => byte !== 0) ? 1 : 0;
  return intervals.length * 2 - open + gap;
}

function sortedIntervals(name: NftTypeName, elements: readonly NftElement[]): KeyBytes[] {
  const types = typesOf(name);
  const bytes = elements.map(({ key }: { readonly key: NftKey }) => keyBytes(types, key, true));
  return bytes.sort((a, b) => compareBytes(a.first, b.first));
}

/** Unique in this process, and so in any transaction of it. */
function nextId(): number {
  lastId = (lastId % 0x7fff_ffff) + 1;
  return lastId;
}
let lastId = 0;
