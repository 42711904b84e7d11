import { NetloomError } from '../errors.ts';
import { ADJECTIVES, NOUNS } from './words.ts';

/** Gives that many random bytes: `randomBytes` of the kernel's layer, or a test's own. */
export type RandomSource = (count: number) => Uint8Array;

/** A new id: 64 hexadecimal digits. */
export function newId(random: RandomSource): string {
  return Buffer.from(random(32)).toString('hex');
}

/** The 12 digits that people see. */
export function shortId(id: string): string {
  return id.slice(0, 12);
}

/** A name for a container that was given none: `quiet-harbour`. */
export function randomName(random: RandomSource): string {
  const [a, b, c, d] = random(4);
  const adjective = ADJECTIVES[((a! << 8) | b!) % ADJECTIVES.length]!;
  const noun = NOUNS[((c! << 8) | d!) % NOUNS.length]!;
  return `${adjective}-${noun}`;
}

/**
 * Finds what a person means: by exact name, exact id, or the beginning of exactly one id. Undefined when there is none.
 * @throws NetloomError EAMBIGUOUS when several ids begin so
 */
export function matchRef<T extends { readonly id: string; readonly name?: string }>(
  ref: string,
  objects: Iterable<T>,
): T | undefined {
  if (ref === '') return undefined;
  const begins: T[] = [];
  let exact: T | undefined;
  for (const object of objects) {
    if (object.name === ref) return object;
    if (object.id === ref) exact = object;
    else if (object.id.startsWith(ref)) begins.push(object);
  }
  if (exact) return exact;
  if (begins.length > 1) {
    const shown = begins
      .slice(0, 3)
      .map((object) => (object.name === undefined ? shortId(object.id) : `${object.name} (${shortId(object.id)})`));
    throw new NetloomError(
      'EAMBIGUOUS',
      `"${ref}" is the beginning of ${begins.length} ids: ${shown.join(', ')}${begins.length > 3 ? ', …' : ''}`,
      {
        hint: 'give more of the id, or the name',
      },
    );
  }
  return begins[0];
}
