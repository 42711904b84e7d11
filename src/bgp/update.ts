import { type Family, ipFromBytes } from '../addr/index.ts';
import {
  ATTRIBUTE,
  checkMandatory,
  type Origin,
  type PathAttributes,
  readAttributes,
  splitAttributes,
  updateError,
} from './attributes.ts';
import { decodePrefixes, isMartian } from './nlri.ts';
import { UPDATE_ERROR } from './notification.ts';
import { familyAt } from './open.ts';
import { get16 } from './wire.ts';

/** What an UPDATE comes to, once all that is wrong with it has been judged. */
export interface Update {
  readonly withdrawn: readonly string[];
  readonly reached: readonly { readonly prefixes: readonly string[]; readonly nextHop: string }[];
  /** Of all that is in `reached`. */
  readonly attributes: PathAttributes;
  /** The peer has told all that it had of this family. @see RFC 4724 section 2 */
  readonly endOfRib?: Family;
  /** What was wrong, and what it was taken for instead; one line each. */
  readonly faults: readonly string[];
}

/** What decides how an UPDATE is read. */
export interface UpdateContext extends Origin {
  readonly families: readonly Family[];
  readonly extendedNextHop: boolean;
}

/**
 * Reads an UPDATE. A malformed attribute makes its prefixes be taken for withdrawn, and leaves the session alone.
 * @throws BgpError where it is not certain which prefixes are meant: then the session must end (RFC 7606 section 3 and 5)
 */
export function decodeUpdate(body: Uint8Array, context: UpdateContext): Update {
  const withdrawnSize = get16(body, 0);
  if (withdrawnSize + 4 > body.length) throw updateError(UPDATE_ERROR.LIST, 'the withdrawn routes end behind it');
  const at = 2 + withdrawnSize;
  const size = get16(body, at);
  if (at + 2 + size > body.length) throw updateError(UPDATE_ERROR.LIST, 'the attributes end behind it');
  const gone = prefixesIn(body.subarray(2, at), 4);
  const classic = prefixesIn(body.subarray(at + 2 + size), 4);
  if (body.length === 4) return { ...NOTHING, endOfRib: 4 };

  const found = splitAttributes(body.subarray(at + 2, at + 2 + size));
  const { values, withdraw, discarded } = found;
  const unreach = readUnreach(values.get(ATTRIBUTE.MP_UNREACH));
  const reach = readReach(values.get(ATTRIBUTE.MP_REACH), context);
  if (values.size === 1 && unreach?.prefixes.length === 0 && gone.length + classic.length === 0)
    return context.families.includes(unreach.family) ? { ...NOTHING, endOfRib: unreach.family } : NOTHING;

  const attributes = readAttributes(found, context);
  const reaching = classic.length > 0 || values.has(ATTRIBUTE.MP_REACH);
  if (reach && isMartian(reach.nextHop)) withdraw.push(`the next hop is ${reach.nextHop}`);
  if (reaching) checkMandatory(found, classic.length > 0);
  // with nothing reached, it is not certain that the prefixes were found at all (RFC 7606 section 5.2)
  else if (withdraw.length > 0) throw updateError(UPDATE_ERROR.LIST, withdraw.join('; '));

  const reached: { prefixes: string[]; nextHop: string }[] = [];
  if (classic.length > 0)
    reached.push({ prefixes: classic, nextHop: (values.get(ATTRIBUTE.NEXT_HOP) ?? new Uint8Array(4)).join('.') });
  if (reach) reached.push(reach);
  const withdrawn = [...gone, ...(unreach?.prefixes ?? [])];
  const faults = discarded.map((line) => `left out: ${line}`);
  for (const line of withdraw) faults.push(`taken for withdrawn: ${line}`);
  const bad = withdraw.length > 0;
  if (bad) withdrawn.push(...reached.flatMap(({ prefixes }) => prefixes));
  const carried = ({ length }: readonly string[], family: Family): boolean =>
    length > 0 && context.families.includes(family);
  const usable = reached.flatMap(({ prefixes, nextHop }) => {
    const [family, real] = [prefixes[0]?.includes(':') ? 6 : 4, prefixes.filter((each) => !isMartian(each))] as const;
    return carried(real, family) ? [{ prefixes: real, nextHop }] : [];
  });
  return { withdrawn, reached: bad ? [] : usable, attributes, faults };
}

const NOTHING: Update = {
  withdrawn: [],
  reached: [],
  attributes: { origin: 2, path: [], communities: [] },
  faults: [],
};

function prefixesIn(bytes: Uint8Array, family: Family): string[] {
  const found = decodePrefixes(bytes, family);
  if (!found) throw updateError(UPDATE_ERROR.NLRI, 'a prefix is longer than its family has, or ends behind its field');
  return found;
}

/** @see RFC 4760 section 4 */
function readUnreach(value: Uint8Array | undefined): { family: Family; prefixes: string[] } | undefined {
  if (!value) return undefined;
  if (value.length < 3) throw updateError(UPDATE_ERROR.OPTIONAL, `MP_UNREACH_NLRI has ${value.length} bytes`);
  const [family] = familyAt(get16(value, 0), value[2]!);
  return family && { family, prefixes: multiprotocolPrefixes(value.subarray(3), family, 'MP_UNREACH_NLRI') };
}

/** The next hop is 16 or 32 bytes for IPv6, 4 for IPv4, or IPv6's by RFC 8950. @see RFC 4760 section 3, RFC 2545 section 3 */
function readReach(
  value: Uint8Array | undefined,
  { extendedNextHop }: UpdateContext,
): { prefixes: string[]; nextHop: string } | undefined {
  if (!value) return undefined;
  const size = value[3];
  if (size === undefined || 5 + size > value.length)
    throw updateError(UPDATE_ERROR.OPTIONAL, `MP_REACH_NLRI has ${value.length} bytes`);
  const [family] = familyAt(get16(value, 0), value[2]!);
  if (!family) return undefined;
  const long = size === 16 || size === 32;
  if (!(long && (family === 6 || extendedNextHop)) && !(size === 4 && family === 4))
    throw updateError(UPDATE_ERROR.OPTIONAL, `MP_REACH_NLRI has a next hop of ${size} bytes`);
  const prefixes = multiprotocolPrefixes(value.subarray(5 + size), family, 'MP_REACH_NLRI');
  // the global one: a link-local one says nothing without the interface
  return { prefixes, nextHop: ipFromBytes(value.subarray(4, 4 + Math.min(size, 16))).text };
}

function multiprotocolPrefixes(bytes: Uint8Array, family: Family, name: string): string[] {
  const found = decodePrefixes(bytes, family);
  if (!found) throw updateError(UPDATE_ERROR.OPTIONAL, `${name} has a prefix that is none`);
  return found;
}
