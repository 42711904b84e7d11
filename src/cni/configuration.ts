import { CNI_CODES, CniError, shown } from './errors.ts';
import { asArray, asObject, asString, oddity, Place } from './json.ts';
import { inOurLetters } from './letters.ts';
import { NAME, NAME_HINT } from './parameters.ts';
import { parseResult } from './result.ts';
import {
  type Attachment,
  isSpecVersion,
  type Result,
  since,
  SPEC_VERSIONS,
  type SpecVersion,
  type Verb,
  VERBS,
} from './spec.ts';

/** What every configuration has; what is a plugin's own is in `own`, unread. */
export interface Configuration {
  readonly cniVersion: SpecVersion;
  /** Of the network. */
  readonly name: string;
  /** Of the plugin. */
  readonly type: string;
  /** What the runtime filled in for the capabilities that the configuration declares. */
  readonly runtimeConfig: Readonly<Record<string, unknown>>;
  /** `args.cni`: names and values for this workload. */
  readonly args: Readonly<Record<string, unknown>>;
  /** What the plugin before this one came to, or ADD itself where this is CHECK or DEL. */
  readonly prevResult: Result | undefined;
  /** Of GC: what the runtime still knows of. */
  readonly validAttachments: readonly Attachment[] | undefined;
  readonly own: Readonly<Record<string, unknown>>;
}

/** Characters of a configuration at most. */
export const CONFIGURATION_MAX: number = 1024 * 1024;

/** Reads what a runtime hands to a plugin. @throws CniError 1, 6, 7 */
export function parseConfiguration(text: string, verb: Verb): Configuration {
  if (text.length > CONFIGURATION_MAX) {
    throw new CniError(CNI_CODES.UNDECODABLE, `the configuration has more than ${CONFIGURATION_MAX} characters`);
  }
  const place = new Place();
  const top = asObject(decode(text), place);
  const { cniVersion: said, name, type, runtimeConfig, args, prevResult, ...own } = top;
  // what DEL takes away was ours, whatever came before or after
  const previous = verb === 'DEL' || prevResult === null ? undefined : prevResult;
  const version = versionOf(said);
  if (!since(version, VERBS[verb])) {
    throw new CniError(CNI_CODES.INCOMPATIBLE_VERSION, `cniVersion ${version} has no ${verb}`, {
      hint: `${verb} came with ${VERBS[verb]}.`,
    });
  }
  const network = asString(name, place.in('name'));
  if (!NAME.test(network)) {
    throw place.in('name').fail(`${shown(network)} is no name`, NAME_HINT);
  }
  const valid = own['cni.dev/valid-attachments'];
  const cni = args === undefined || args === null ? {} : asObject(args, place.in('args'))['cni'];
  return {
    cniVersion: version,
    name: network,
    type: asString(type, place.in('type')),
    runtimeConfig: inOurLetters(object(runtimeConfig, place.in('runtimeConfig'))),
    args: object(cni, place.in('args').in('cni')),
    prevResult: previous === undefined ? undefined : parseResult(previous, place.in('prevResult')),
    validAttachments: valid === undefined ? undefined : attachments(valid, place.in('cni.dev/valid-attachments')),
    own,
  };
}

/** What ADD came to. @throws CniError 7 */
export function requirePrevResult({ prevResult }: Configuration): Result {
  if (prevResult) return prevResult;
  throw new Place('prevResult').fail('is missing, and CHECK needs it');
}

/** What a collection leaves alone. @throws CniError 7 */
export function requireValidAttachments({ validAttachments }: Configuration): readonly Attachment[] {
  if (validAttachments) return validAttachments;
  throw new Place('cni.dev/valid-attachments').fail('is missing, and GC needs it');
}

/** The version that a configuration asks for, however wrong the rest of it is: that of an answer. */
export function versionIn(text: string): SpecVersion | undefined {
  const [, version] = /"cniVersion"\s*:\s*"([0-9.]{1,12})"/.exec(text) ?? [];
  return isSpecVersion(version) ? version : undefined;
}

function decode(text: string): unknown {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new CniError(CNI_CODES.UNDECODABLE, `the configuration is no JSON: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const odd = oddity(text);
  if (odd !== undefined) throw new CniError(CNI_CODES.UNDECODABLE, `the configuration: ${odd}`);
  return json;
}

function versionOf(said: unknown): SpecVersion {
  if (isSpecVersion(said)) return said;
  const what = said === undefined ? 'is missing, which means 0.1.0' : `is ${shown(said)}`;
  throw new CniError(CNI_CODES.INCOMPATIBLE_VERSION, `cniVersion ${what}`, {
    hint: `Spoken are ${SPEC_VERSIONS.join(', ')}.`,
  });
}

function object(value: unknown, place: Place): Readonly<Record<string, unknown>> {
  return value === undefined || value === null ? {} : asObject(value, place);
}

function attachments(value: unknown, place: Place): Attachment[] {
  return asArray(value, place).map((entry, i) => {
    const at = place.in(i);
    const { containerID, ifname } = asObject(entry, at);
    return { containerID: asString(containerID, at.in('containerID')), ifname: asString(ifname, at.in('ifname')) };
  });
}
