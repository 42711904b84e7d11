import { NetloomError } from '../errors.ts';
import { nearest } from './names.ts';

/** The options given to a driver, by the field that each is about. */
export interface GivenOptions<Field extends string> {
  /** What was written for a field, read by `parse`; `otherwise` where nothing was. */
  read<T>(field: Field, parse: (text: string, key: string) => T, otherwise: T): T;
  /** The key that a field was given by, for messages; undefined where it was not. */
  keyOf(field: Field): string | undefined;
}

/**
 * Sorts `-o` and `driver_opts` by field. Two keys of one field may be given, with one value.
 * @param keys every key that the driver takes, Docker's and ours, with the field that it is about
 * @throws NetloomError EBADOPTION
 */
export function sortOptions<Field extends string>(
  driver: string,
  options: Readonly<Record<string, string>>,
  keys: Readonly<Record<string, Field>>,
): GivenOptions<Field> {
  const given = new Map<Field, { readonly key: string; readonly text: string }>();
  for (const [key, text] of Object.entries(options)) {
    const field = Object.hasOwn(keys, key) ? keys[key] : undefined;
    if (field === undefined) throw unknown(driver, key, Object.keys(keys));
    if (typeof text !== 'string') throw badOption(key, text, 'write its value as text');
    const other = given.get(field);
    if (other && other.text !== text) {
      throw new NetloomError(
        'EBADOPTION',
        `options ${other.key}=${other.text} and ${key}=${text} mean the same and differ: give one`,
      );
    }
    given.set(field, { key, text });
  }
  return {
    read(field, parse, otherwise) {
      const entry = given.get(field);
      return entry ? parse(entry.text, entry.key) : otherwise;
    },
    keyOf: (field) => given.get(field)?.key,
  };
}

/** Bytes; 0 where the text is 0. @param ipv6 the network carries IPv6, which needs 1280 (RFC 8200 section 5) */
export function parseMtu(key: string, text: string, ipv6: boolean): number {
  const mtu = /^\d{1,6}$/.test(text) ? Number(text) : -1;
  if (mtu === 0) return 0;
  // linux/if_ether.h ETH_MIN_MTU and ETH_MAX_MTU
  const least = ipv6 ? 1280 : 68;
  if (mtu < least || mtu > 65535) {
    throw badOption(
      key,
      text,
      `an MTU is ${least} to 65535 bytes${ipv6 ? ' where there is IPv6' : ''}, or 0 for the uplink’s`,
    );
  }
  return mtu;
}

/** The words that Docker takes. */
export function parseBoolean(text: string, key: string): boolean {
  if (/^(1|t|true)$/i.test(text)) return true;
  if (/^(0|f|false)$/i.test(text)) return false;
  throw badOption(key, text, 'write true or false');
}

/** One of a few words; upper and lower case are the same. */
export function oneOf<const Word extends string>(words: readonly Word[]): (text: string, key: string) => Word {
  return (text, key) => {
    const word = words.find((each) => each === text.toLowerCase());
    if (word !== undefined) return word;
    const near = nearest(text, words);
    throw badOption(
      key,
      text,
      near === undefined
        ? `write one of ${words.join(', ')}`
        : `did you mean "${near}"? It is one of ${words.join(', ')}`,
    );
  };
}

export function badOption(key: string, text: unknown, cure: string): NetloomError {
  return new NetloomError('EBADOPTION', `option ${key}=${String(text)}: ${cure}`);
}

function unknown(driver: string, key: string, known: readonly string[]): NetloomError {
  const near = nearest(key, known);
  return new NetloomError(
    'EBADOPTION',
    `the ${driver} driver has no option "${key}"${near === undefined ? '' : `; did you mean "${near}"?`}`,
    { hint: `it has: ${known.join(', ')}` },
  );
}
