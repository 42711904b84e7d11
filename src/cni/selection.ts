import { isIfName } from '../addr/index.ts';
import type { Configuration } from './configuration.ts';
import { CNI_CODES, CniError } from './errors.ts';
import { asArray, asObject, asString, asStrings, Place } from './json.ts';
import { IFNAME_HINT, NAME, type Parameters } from './parameters.ts';

/**
 * Which networks a workload is on besides the configuration's own, in the words of the Network Plumbing Working Group.
 * @see https://github.com/k8snetworkplumbingwg/multi-net-spec: the list of network selection elements
 */
export interface Selected {
  /** Of netloom. */
  readonly network: string;
  readonly ifname: string;
  /** The conventions' capabilities for this one interface: `ips`, `mac`, `portMappings`, `bandwidth`. */
  readonly asked: Readonly<Record<string, unknown>>;
  /** The default routes are by this one; with the routers that were named, none for whichever there is. */
  readonly defaultRoute?: readonly string[];
  /** Where it was said. */
  readonly place: Place;
}

/** What a configuration says of it: `selection`. */
interface Choice {
  /** Where files are that name networks for a workload. */
  readonly dir?: string;
  /** Networks that may be named; missing: any. */
  readonly allow?: readonly string[];
}

/** Reads a file as a whole; undefined where there is none. */
export type ReadFile = (path: string) => Promise<string | undefined>;

/** More than any workload has. */
const MOST = 64;
const KEYS = ['name', 'namespace', 'interface', 'ips', 'mac', 'portMappings', 'bandwidth', 'default-route'];
const ASKED = ['ips', 'mac', 'portMappings', 'bandwidth'];

/**
 * The networks that are asked for, in their order. The first that says anything counts: `args.cni.networks`, then
 * `NETWORKS` of `CNI_ARGS`, then the file of the container's id, then that of the pod.
 * @throws CniError 2, 4, 7
 */
export async function selectionOf(
  conf: Configuration,
  parameters: Parameters,
  readFile: ReadFile | undefined,
): Promise<Selected[]> {
  const choice = choiceOf(conf);
  const inArgs = conf.args['networks'];
  const word = parameters.args.get('NETWORKS');
  let selected: Selected[] = [];
  if (inArgs !== undefined && inArgs !== null) selected = read(inArgs, new Place('args.cni.networks'));
  else if (word !== undefined) selected = read(word, new Place('NETWORKS'));
  else if (choice.dir !== undefined) selected = await ofFile(choice.dir, parameters, readFile);
  checkTogether(selected, parameters.ifname, choice.allow);
  return selected;
}

/** @throws CniError 2, 7 */
function choiceOf({ own }: Configuration): Choice {
  const place = new Place('selection');
  if (own['selection'] === undefined || own['selection'] === null) return {};
  const { dir, allow, ...more } = asObject(own['selection'], place);
  for (const key of Object.keys(more))
    throw new CniError(CNI_CODES.UNSUPPORTED_FIELD, `selection.${key}: there is no such field`, {
      hint: 'It has dir and allow.',
    });
  const path = dir === undefined ? undefined : asString(dir, place.in('dir'));
  if (path !== undefined && (!path.startsWith('/') || path.includes('\0')))
    throw place.in('dir').fail(`${JSON.stringify(path)} is no whole path`);
  return {
    ...(path !== undefined && { dir: path }),
    ...(allow !== undefined && { allow: asStrings(allow, place.in('allow')) }),
  };
}

async function ofFile(dir: string, parameters: Parameters, readFile: ReadFile | undefined): Promise<Selected[]> {
  const { containerID, args } = parameters;
  const [namespace, pod] = ['K8S_POD_NAMESPACE', 'K8S_POD_NAME'].map((key) => {
    const value = args.get(key) ?? '';
    // it becomes part of a path
    if (value === '' || NAME.test(value)) return value;
    throw new CniError(CNI_CODES.BAD_ENVIRONMENT, `CNI_ARGS: ${key} is ${JSON.stringify(value.slice(0, 80))}`);
  });
  const names = [containerID, ...(namespace && pod ? [`${namespace}_${pod}`] : [])];
  for (const name of names) {
    const path = `${dir}/${name}`;
    const text = await readFile?.(path);
    if (text === undefined) continue;
    return text.trim() === '' ? [] : read(text, new Place(path));
  }
  return [];
}

/** A list, or its text, or the short form. */
function read(value: unknown, place: Place): Selected[] {
  if (typeof value !== 'string') return listed(value, place);
  const text = value.trim();
  if (text === '') return [];
  if (!text.startsWith('[')) return text.split(',').map((word, i) => short(word.trim(), i, place.in(i)));
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (error) {
    throw place.fail(`is no JSON: ${(error as Error).message}`);
  }
  return listed(list, place);
}

function listed(list: unknown, place: Place): Selected[] {
  return asArray(list, place).map((each, i) =>
    typeof each === 'string' ? short(each, i, place.in(i)) : element(each, i, place.in(i)),
  );
}

/** `NETWORK`, `NAMESPACE/NETWORK`, `NETWORK@INTERFACE`. */
function short(word: string, index: number, place: Place): Selected {
  const [, network = '', ifname] = /^(?:[^/@]+\/)?([^/@]+)(?:@([^/@]+))?$/.exec(word) ?? [];
  if (network === '')
    throw place.fail(`${JSON.stringify(word.slice(0, 80))} is no network`, 'Write NETWORK@INTERFACE.');
  return { network: nameOf(network, place), ifname: ifnameOf(ifname, index, place), asked: {}, place };
}

function element(value: unknown, index: number, place: Place): Selected {
  const given = asObject(value, place);
  for (const key of Object.keys(given)) {
    if (KEYS.includes(key)) continue;
    const { message } = place.in(key.slice(0, 80)).fail('there is no such field');
    throw new CniError(CNI_CODES.UNSUPPORTED_FIELD, message, { hint: `It has ${KEYS.join(', ')}.` });
  }
  const asked = ASKED.filter((key) => given[key] !== undefined && given[key] !== null);
  const route = given['default-route'];
  return {
    network: nameOf(asString(given['name'], place.in('name')), place.in('name')),
    ifname: ifnameOf(given['interface'], index, place.in('interface')),
    asked: Object.fromEntries(asked.map((key) => [key, given[key]])),
    ...(route !== undefined && route !== null && { defaultRoute: routersOf(route, place.in('default-route')) }),
    place,
  };
}

/** Networks are the host's, without namespaces: what a pod may name, `allow` says. */
function nameOf(text: string, place: Place): string {
  if (NAME.test(text)) return text;
  throw place.fail(`${JSON.stringify(text.slice(0, 80))} is no name of a network`);
}

/** Without a name of its own it is called by its place: `net1`, `net2`. */
function ifnameOf(value: unknown, index: number, place: Place): string {
  if (value === undefined || value === null || value === '') return `net${index + 1}`;
  const name = asString(value, place);
  if (isIfName(name)) return name;
  throw place.fail(`${JSON.stringify(name.slice(0, 80))} is no interface name`, IFNAME_HINT);
}

function routersOf(value: unknown, place: Place): string[] {
  if (value === true) return [];
  const routers = asStrings(value, place);
  if (routers.length === 0) throw place.fail('names no router', 'Leave it out, or name the network’s own.');
  return routers;
}

function checkTogether(selected: readonly Selected[], first: string, allow: readonly string[] | undefined): void {
  if (selected.length > MOST) throw selected[MOST]!.place.fail(`more than ${MOST} networks`);
  const taken = new Set([first]);
  let routed = false;
  for (const { network, ifname, defaultRoute, place } of selected) {
    if (allow && !allow.includes(network))
      throw place.fail(`network "${network}" may not be named`, `selection.allow has ${allow.join(', ') || 'none'}.`);
    if (taken.has(ifname)) throw place.fail(`two interfaces would be called ${ifname}`);
    taken.add(ifname);
    if (defaultRoute && routed) throw place.in('default-route').fail('another one has it already');
    routed ||= defaultRoute !== undefined;
  }
}
