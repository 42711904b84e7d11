import { hasCode, NetloomError } from '../errors.ts';
import type { AttachSpec, Endpoint, EndpointTuning, EngineApi, Network } from '../model/index.ts';
import { attachOf } from './attach.ts';
import type { Configuration } from './configuration.ts';
import { CniError } from './errors.ts';
import { resultOf } from './outcome.ts';
import type { Parameters } from './parameters.ts';
import { mergeResults } from './result.ts';
import type { Selected } from './selection.ts';
import { endpointName } from './settings.ts';
import type { Result } from './spec.ts';

/**
 * A workload on several networks is one attachment for the runtime, which knows its first interface only. The endpoints of
 * the others are called after the first with a number: `cni:NETWORK:CONTAINERID:IFNAME:1`. So that DEL and GC find them
 * without knowing what was asked for.
 */
function siblingName(attachment: string, index: number): string {
  return `${attachment}:${index + 1}`;
}

/** The attachment that an endpoint is part of, by its name: without the number. */
export function attachmentOf(name: string): string {
  return name.split(':', 4).join(':');
}

/**
 * What is asked of the engine for each further network. None has the default route but the one that is to.
 * @throws CniError 2, 7 with the place
 */
export function siblingsOf(
  conf: Configuration,
  parameters: Parameters,
  selected: readonly Selected[],
): (AttachSpec & { readonly place: Selected['place'] })[] {
  const attachment = endpointName(conf.name, parameters);
  return selected.map(({ network, ifname, asked, defaultRoute, place }, i) => {
    // what the configuration and the runtime say is for the first
    const own: Configuration = { ...conf, runtimeConfig: asked, args: {}, own: {} };
    const spec = at(place, () => attachOf(own, { ...parameters, ifname, args: new Map() }, network, false));
    return {
      ...spec,
      place,
      name: siblingName(attachment, i),
      ...(defaultRoute ? { gatewayPriority: 1 } : { tuning: { ...spec.tuning, ...aside(spec) } }),
    };
  });
}

/** Not by the default route: what comes in by a published port goes out where it came from. */
function aside({ ports = [] }: AttachSpec): EndpointTuning {
  return { defaultRoute: false, ...(ports.length > 0 && { sourceRoutes: true }) };
}

/** Attaches all of them, or none: what was attached before one that cannot be is taken away. */
export async function attachSiblings(
  api: EngineApi,
  specs: ReturnType<typeof siblingsOf>,
  request: string | undefined,
): Promise<Endpoint[]> {
  const made: Endpoint[] = [];
  try {
    for (const { place, ...spec } of specs) {
      const asked = { ...spec, ...(request !== undefined && { request }) };
      made.push(await at(place, async () => (await api.endpointAttach(asked)).value));
    }
    return made;
  } catch (error) {
    await detachEach(api, made.map(({ id }) => id).toReversed()).catch(() => undefined); // why it failed says more
    throw error;
  }
}

/**
 * One result of all: the first network's, then the interfaces of the others.
 * @throws CniError 7 where a router was named that is none of the network's
 */
export async function resultOfAll(
  api: EngineApi,
  networks: Promise<readonly Network[]>,
  first: Result,
  siblings: readonly Endpoint[],
  selected: readonly Selected[],
  conf: Configuration,
  sandbox: string,
): Promise<Result> {
  let all = first;
  for (const [i, endpoint] of siblings.entries()) {
    const { defaultRoute = [], place } = selected[i]!;
    const router = defaultRoute.find((each) => !endpoint.gateways.includes(each));
    if (router !== undefined) {
      throw place
        .in('default-route')
        .fail(`${router} is no router of the network`, `It has ${endpoint.gateways.join(', ') || 'none'}.`);
    }
    const own = await resultOf(api, networks, endpoint, { ...conf, runtimeConfig: {}, own: {} }, sandbox, undefined);
    // names are the first network's matter
    all = mergeResults(all, { ...own, dns: {} });
  }
  return all;
}

/**
 * The names of an attachment's further endpoints, in their order. All endpoints are looked through only where the first of
 * them is there, or where the configuration lets files choose: one that somebody took away by hand hides none behind it.
 */
export async function siblingNames(api: EngineApi, conf: Configuration, attachment: string): Promise<string[]> {
  if (conf.own['selection'] === undefined && !(await isThere(api, siblingName(attachment, 0)))) return [];
  const prefix = `${attachment}:`;
  const names = (await api.endpointList()).flatMap(({ name }) => (name?.startsWith(prefix) ? [name] : []));
  return names.toSorted((a, b) => Number(a.slice(prefix.length)) - Number(b.slice(prefix.length)));
}

/** An attachment with all that belongs to it, the last first: whatever is cut off in between, the rest is found again. */
export async function detachAttachment(api: EngineApi, conf: Configuration, attachment: string): Promise<void> {
  await detachEach(api, [...(await siblingNames(api, conf, attachment)).toReversed(), attachment]);
}

/** Each is tried; one that is gone already is as it should be. @throws Error the first of those that fail */
export async function detachEach(api: EngineApi, refs: readonly string[]): Promise<void> {
  const failures: unknown[] = [];
  for (const ref of refs) {
    await api.endpointDetach(ref).catch((error: unknown) => {
      if (!hasCode(error, 'EENDPOINTNOTFOUND')) failures.push(error);
    });
  }
  if (failures.length > 0) throw failures[0];
}

async function isThere(api: EngineApi, name: string): Promise<boolean> {
  try {
    await api.endpointInspect(name);
    return true;
  } catch (error) {
    if (hasCode(error, 'EENDPOINTNOTFOUND')) return false;
    throw error;
  }
}

/** An error of what was said at a place, told with it. */
function at<T>(place: Selected['place'], work: () => T): T {
  const told = (error: unknown): unknown => {
    if (!(error instanceof NetloomError)) return error;
    const { message } = place.fail(error.message);
    const options = { cause: error, hint: error.hint };
    return error instanceof CniError
      ? new CniError(error.cni, message, options)
      : new NetloomError(error.code, message, options);
  };
  let result: T;
  try {
    result = work();
  } catch (error) {
    throw told(error);
  }
  if (!(result instanceof Promise)) return result;
  return result.catch((error: unknown) => {
    throw told(error);
  }) as T;
}
