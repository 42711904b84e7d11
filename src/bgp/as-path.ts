import { AS_TRANS, concat, get16, get32, of16, of32 } from './wire.ts';

/** A part of a path: one AS after the other, or several of which the order is lost. */
export interface AsSegment {
  readonly kind: 'sequence' | 'set';
  readonly asns: readonly number[];
}
/** The AS that a route came through, the nearest first. @see RFC 4271 section 4.3 */
export type AsPath = readonly AsSegment[];

const SET = 1;
const SEQUENCE = 2;

/** Undefined where it is malformed: an unknown or empty segment, one that ends behind it, AS 0 (RFC 7606 7.2, RFC 7607). */
export function decodePath(bytes: Uint8Array, width: 2 | 4): AsSegment[] | undefined {
  const path: AsSegment[] = [];
  for (let at = 0; at < bytes.length;) {
    const type = bytes[at]!;
    const count = bytes[at + 1] ?? 0;
    const end = at + 2 + count * width;
    if ((type !== SET && type !== SEQUENCE) || count === 0 || end > bytes.length) return undefined;
    const asns: number[] = [];
    for (at += 2; at < end; at += width) asns.push(width === 2 ? get16(bytes, at) : get32(bytes, at));
    if (asns.includes(0)) return undefined;
    path.push({ kind: type === SET ? 'set' : 'sequence', asns });
  }
  return path;
}

/** With two bytes, AS_TRANS stands for what needs four. */
export function encodePath(path: AsPath, width: 2 | 4): Uint8Array {
  return concat(
    path.flatMap(({ kind, asns }) => [
      Uint8Array.of(kind === 'set' ? SET : SEQUENCE, asns.length),
      width === 4 ? of32(...asns) : of16(...asns.map((asn) => (asn > 0xffff ? AS_TRANS : asn))),
    ]),
  );
}

/** A set counts as one. @see RFC 4271 section 9.1.2.2 a */
export function pathLength(path: AsPath): number {
  return path.reduce((sum, { kind, asns }) => sum + (kind === 'set' ? 1 : asns.length), 0);
}
/** Whom the route was heard from; undefined for one of our own AS. */
export function firstAs(path: AsPath): number | undefined {
  return path[0]?.kind === 'sequence' ? path[0].asns[0] : undefined;
}
export function countAs(path: AsPath, asn: number): number {
  return path.reduce((sum, { asns }) => sum + asns.filter((each) => each === asn).length, 0);
}
/** `65002 65001 {65010,65011}` */
export function pathText(path: AsPath): string {
  return path.map(({ kind, asns }) => (kind === 'set' ? `{${asns.join()}}` : asns.join(' '))).join(' ');
}

/** Puts back what speakers with two bytes lost on the way. @see RFC 6793 section 4.2.3 */
export function mergePaths(short: AsPath, long: AsPath): AsPath {
  let extra = pathLength(short) - pathLength(long);
  if (extra < 0) return short;
  const head: AsSegment[] = [];
  for (const segment of short) {
    if (extra === 0) break;
    const asns = segment.kind === 'set' ? segment.asns : segment.asns.slice(0, extra);
    extra -= segment.kind === 'set' ? 1 : asns.length;
    head.push({ kind: segment.kind, asns });
  }
  return [...head, ...long];
}
