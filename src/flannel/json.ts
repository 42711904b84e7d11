import { NetloomError } from '../errors.ts';

/** One JSON object, asked for its fields as Go's decoder finds them: in whatever case, the last one counts. */
export class Fields {
  readonly #where: string;
  readonly #fields = new Map<string, unknown>();

  private constructor(where: string, value: object) {
    this.#where = where;
    for (const [name, field] of Object.entries(value)) if (field !== null) this.#fields.set(name.toLowerCase(), field);
  }

  /** @throws NetloomError EBADFLANNEL for what is no object */
  static of(where: string, value: unknown): Fields {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad(where, 'is no JSON object');
    return new Fields(where, value);
  }
  /** @throws NetloomError EBADFLANNEL */
  static parse(where: string, text: string): Fields {
    if (text.length > LONGEST) throw bad(where, `has ${text.length} characters, more than ${LONGEST}`);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw bad(where, 'is no JSON');
    }
    return Fields.of(where, value);
  }

  has(name: string): boolean {
    return this.#fields.has(name.toLowerCase());
  }
  /** The object in a field; an empty one where there is none. */
  object(name: string): Fields {
    return Fields.of(`${this.#where}: ${name}`, this.#fields.get(name.toLowerCase()) ?? {});
  }
  text(name: string, otherwise = ''): string {
    return this.#read(name, otherwise, (value) => typeof value === 'string' && value.length <= 256, 'is no short text');
  }
  flag(name: string, otherwise = false): boolean {
    return this.#read(name, otherwise, (value) => typeof value === 'boolean', 'is neither true nor false');
  }
  number(name: string, least: number, most: number, otherwise: number): number {
    const fits = (value: unknown): boolean =>
      Number.isInteger(value) && Number(value) >= least && Number(value) <= most;
    return this.#read(name, otherwise, fits, `is no number from ${least} to ${most}`);
  }
  /** @throws NetloomError EBADFLANNEL in the words of this object */
  bad(why: string): NetloomError {
    return bad(this.#where, why);
  }

  #read<T>(name: string, otherwise: T, fits: (value: unknown) => boolean, why: string): T {
    const value = this.#fields.get(name.toLowerCase());
    if (value === undefined) return otherwise;
    if (fits(value)) return value as T;
    throw bad(`${this.#where}: ${name}`, why);
  }
}

/** No lease and no configuration comes near it: whoever writes more wants us to be busy. */
const LONGEST = 16_384;

function bad(where: string, why: string): NetloomError {
  return new NetloomError('EBADFLANNEL', `${where} ${why}`);
}
