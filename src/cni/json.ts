import { CNI_CODES, CniError } from './errors.ts';

/** Characters of a key that a message shows. */
const KEY_MAX = 80;

/** Where in a document one is: `prevResult.ips[0].address`. */
export class Place {
  readonly #path: string;
  constructor(path = '') {
    this.#path = path;
  }
  in(key: string | number): Place {
    if (typeof key === 'number') return new Place(`${this.#path}[${key}]`);
    if (key.length > KEY_MAX) key = `${key.slice(0, KEY_MAX)}…`;
    return new Place(this.#path === '' ? key : `${this.#path}.${key}`);
  }
  /** @returns CniError 7 */
  fail(what: string, hint?: string): CniError {
    const where = this.#path === '' ? 'the configuration' : this.#path;
    return new CniError(CNI_CODES.BAD_CONFIGURATION, `${where}: ${what}`, hint === undefined ? {} : { hint });
  }
}

/** @throws CniError 7 */
export function asObject(value: unknown, place: Place): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw place.fail('an object is wanted');
  return value as Readonly<Record<string, unknown>>;
}

/** Nothing is an empty list: what Go writes for one. @throws CniError 7 */
export function asArray(value: unknown, place: Place): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw place.fail('a list is wanted');
  return value;
}

/** @throws CniError 7 */
export function asString(value: unknown, place: Place): string {
  if (typeof value !== 'string') throw place.fail(value === undefined ? 'is missing' : 'a string is wanted');
  return value;
}

/** @throws CniError 7 */
export function asFlag(value: unknown, place: Place): boolean {
  if (typeof value !== 'boolean') throw place.fail('true or false is wanted');
  return value;
}

/** A whole number that is none below 0. @throws CniError 7 */
export function asCount(value: unknown, place: Place): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw place.fail('a whole number is wanted');
  return value as number;
}

/** @throws CniError 7 with the place in the list */
export function asStrings(value: unknown, place: Place): string[] {
  return asArray(value, place).map((each, i) => asString(each, place.in(i)));
}

/** String to string. @throws CniError 7 */
export function asTexts(value: unknown, place: Place): Record<string, string> {
  const entries = Object.entries(asObject(value, place));
  return Object.fromEntries(entries.map(([key, each]) => [key, asString(each, place.in(key))]));
}

/** Objects and lists in one another at most. */
const DEPTH = 64;

/**
 * What stands in a document that is JSON and that reading it would hide: a key that an object has twice, of which each
 * reader believes another; or more depth than anybody means. Undefined where there is nothing of it.
 */
export function oddity(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  let key = false;
  for (let at = 0; at < text.length; at++) {
    switch (text.charAt(at)) {
      case '{':
      case '[':
        key = text[at] === '{';
        open.push(key ? new Set() : undefined);
        if (open.length > DEPTH) return `it is more than ${DEPTH} levels deep`;
        break;
      case '}':
      case ']':
        open.pop();
        break;
      case ',':
        key = open.at(-1) !== undefined;
        break;
      case '"': {
        const from = at++;
        for (; text[at] !== '"'; at++) if (text[at] === '\\') at++;
        if (!key) break;
        key = false;
        const name = JSON.parse(text.slice(from, at + 1)) as string;
        const keys = open.at(-1);
        if (keys?.has(name)) return `the key ${JSON.stringify(name.slice(0, 80))} stands twice in one object`;
        keys?.add(name);
      }
    }
  }
  return undefined;
}
