import { isIfName } from '../addr/index.ts';
import { CNI_CODES, CniError, shown } from './errors.ts';
import { type Attachment, type Verb, VERBS } from './spec.ts';

/** What a runtime says by its environment. */
export interface Parameters extends Attachment {
  readonly verb: Verb;
  /** Path of the namespace; empty where the runtime has none any more. */
  readonly netns: string;
  /** `CNI_ARGS`, in its order. */
  readonly args: ReadonlyMap<string, string>;
  /** Where other plugins are looked for. */
  readonly path: readonly string[];
}

/** Which parameters a verb cannot do without. */
const REQUIRED: Readonly<Record<Verb, readonly string[]>> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  // the namespace may be gone
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME'],
  VERSION: [],
  STATUS: [],
  GC: [],
};
/** Characters of a container's id at most: those that are in use have 64. */
const ID_MAX = 256;

/** A whole path that means what it says. */
function isPath(text: string): boolean {
  // eslint-disable-next-line no-control-regex
  return text.startsWith('/') && !/[\0-\x1f\x7f]/.test(text) && !text.split('/').includes('..');
}

/** Names of containers and networks: they become parts of paths. */
export const NAME: RegExp = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
/** Of one that is none, for whoever wrote it. */
export const NAME_HINT = 'Letters, digits, "_", "." and "-", a letter or digit first.';
export const IFNAME_HINT = '15 bytes at most, no "/", no ":", no space.';

/** Reads the environment of a plugin. @throws CniError 4, with the variable's name */
export function parseParameters(env: Readonly<Record<string, string | undefined>>): Parameters {
  const value = (name: string): string => env[name] ?? '';
  const verb = value('CNI_COMMAND');
  if (!isVerb(verb)) {
    throw bad(
      'CNI_COMMAND',
      verb === '' ? 'is not set' : `is ${shown(verb)}`,
      `It is ${Object.keys(VERBS).join(', ')}.`,
    );
  }
  for (const name of REQUIRED[verb]) if (value(name) === '') throw bad(name, `is not set, and ${verb} needs it`);
  const [containerID, ifname, netns] = [value('CNI_CONTAINERID'), value('CNI_IFNAME'), value('CNI_NETNS')];
  if (containerID !== '' && (!NAME.test(containerID) || containerID.length > ID_MAX)) {
    throw bad(
      'CNI_CONTAINERID',
      `is ${shown(containerID)}`,
      `Letters, digits, "_", "." and "-", a letter or digit first, ${ID_MAX} at most.`,
    );
  }
  // DEL comes when there is nothing behind it any more; and runtimes say something to VERSION, too
  if (netns !== '' && REQUIRED[verb].includes('CNI_NETNS') && !isPath(netns))
    throw bad('CNI_NETNS', `is ${shown(netns)}`, 'A whole path, such as /run/netns/web.');
  if (ifname !== '' && !isIfName(ifname)) {
    throw bad('CNI_IFNAME', `is ${shown(ifname)}`, IFNAME_HINT);
  }
  return {
    verb,
    containerID,
    ifname,
    netns,
    args: parseArgs(value('CNI_ARGS')),
    path: value('CNI_PATH').split(':').filter(Boolean),
  };
}

function parseArgs(text: string): Map<string, string> {
  const args = new Map<string, string>();
  for (const pair of text.split(';')) {
    if (pair === '') continue;
    const at = pair.indexOf('=');
    if (at < 1) throw bad('CNI_ARGS', `has ${shown(pair)}`, 'Pairs of KEY=VALUE, with ";" between them.');
    args.set(pair.slice(0, at), pair.slice(at + 1));
  }
  return args;
}

function isVerb(text: string): text is Verb {
  return Object.hasOwn(VERBS, text);
}

function bad(name: string, what: string, hint?: string): CniError {
  return new CniError(CNI_CODES.BAD_ENVIRONMENT, `${name} ${what}`, hint === undefined ? {} : { hint });
}
