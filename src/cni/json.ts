import { CNI_CODES, CniError } from './errors.ts';

/** Where in a document one is: `prevResult.ips[0].address`. */
export class Place {
  readonly #path: string;
  constructor(path = '') {
    this.#path = path;
  }
  in(key: string | number): Place {
    if (typeof key === 'number') return new Place(`${this.#path}[${key}]`);
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
