import { hasCode, NetloomError } from '../errors.ts';
import type { AttachSpec, Endpoint, EngineApi, ProgramAnswer, ProgramCall } from '../model/index.ts';
import { NOTHING, print, printError, printVersions } from './answer.ts';
import { attachOf } from './attach.ts';
import { check } from './check.ts';
import { type Configuration, parseConfiguration, requireValidAttachments, versionIn } from './configuration.ts';
import { Delegate, withResult, withSubnets } from './delegate.ts';
import { CNI_CODES, CniError, shown } from './errors.ts';
import { resultOf } from './outcome.ts';
import { type Parameters, parseParameters } from './parameters.ts';
import { mergeResults, printResult } from './result.ts';
import { selectionOf } from './selection.ts';
import { delegateOf, endpointName, endpointPrefix, networkOf, type NetworkWish } from './settings.ts';
import {
  attachmentOf,
  attachSiblings,
  detachAttachment,
  detachEach,
  resultOfAll,
  siblingNames,
  siblingsOf,
} from './several.ts';
import { LATEST, type Result } from './spec.ts';

/** One call, read. */
interface Task {
  readonly call: ProgramCall;
  readonly parameters: Parameters;
  readonly conf: Configuration;
  /** Who gives the addresses, where that is not netloom. */
  readonly ipam: Delegate | undefined;
}

/** Does what a runtime asks for by its environment. Throws nothing: what goes wrong is the specification's error. */
export async function runPlugin(call: ProgramCall): Promise<ProgramAnswer> {
  const version = versionIn(call.stdin) ?? LATEST;
  let ipam: Delegate | undefined;
  let answer: ProgramAnswer;
  try {
    const parameters = parseParameters(call.env);
    if (parameters.verb === 'VERSION') return printVersions(version);
    const conf = parseConfiguration(call.stdin, parameters.verb);
    const type = delegateOf(conf);
    ipam = type === undefined ? undefined : new Delegate(type, call, parameters);
    answer = await perform({ call, parameters, conf, ipam });
  } catch (error) {
    answer = printError(error, version);
  }
  return ipam === undefined || ipam.stderr === '' ? answer : { ...answer, stderr: ipam.stderr };
}

async function perform(task: Task): Promise<ProgramAnswer> {
  const { call, parameters, conf, ipam } = task;
  switch (parameters.verb) {
    case 'ADD':
      return await add(task, networkOf(conf));
    case 'DEL': {
      const name = endpointName(conf.name, parameters);
      const detached = (api: EngineApi): Promise<void> => detachAttachment(api, conf, name);
      // each whatever becomes of the others; the address goes last, when nothing can answer at it any more
      await all([() => withEngine(call, detached), ...(ipam ? [() => ipam.run('DEL')] : [])]);
      return NOTHING;
    }
    case 'CHECK':
      await ipam?.run('CHECK');
      await withEngine(call, (api) => checkAll(task, api));
      return NOTHING;
    case 'GC':
      await all([() => withEngine(call, (api) => collect(api, conf)), ...(ipam ? [() => ipam.run('GC')] : [])]);
      return NOTHING;
    case 'STATUS':
      await status(call, networkOf(conf));
      await ipam?.run('STATUS');
      return NOTHING;
    case 'VERSION':
      return NOTHING;
  }
}

async function withEngine<T>(call: ProgramCall, work: (api: EngineApi) => Promise<T>): Promise<T> {
  await using api = await call.open();
  return await work(api);
}

/** One after another, all of them, and then the first error. */
async function all(works: readonly (() => Promise<unknown>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const work of works) await work().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

async function add(task: Task, wish: NetworkWish): Promise<ProgramAnswer> {
  const { call, parameters, conf, ipam } = task;
  const { ifname } = parameters;
  const taken = conf.prevResult?.interfaces.find(({ name, sandbox = '' }) => name === ifname && sandbox !== '');
  if (taken) {
    throw new CniError(CNI_CODES.TAKEN, `prevResult: ${ifname} is there already: a plugin before this one made it`, {
      hint: 'netloom makes an interface: put it first in the list, or leave the other one out. What it is to set of its own interface (sysctl, routes) goes into its configuration.',
    });
  }
  const spec: AttachSpec = {
    ...attachOf(conf, { ...parameters, netns: call.netns ?? parameters.netns }, wish.name, ipam !== undefined),
    ...(call.request !== undefined && { request: call.request }),
  };
  const selected = await selectionOf(conf, parameters, call.readFile);
  const more = siblingsOf(conf, { ...parameters, netns: spec.netns }, selected);
  return await withEngine(call, async (api) => {
    // read meanwhile: behind the attachment it would wait for the store
    const networks = api.networkList();
    networks.catch(() => undefined); // asked again where it is missed
    const { endpoint, given } = ipam
      ? await attachDelegated(api, spec, wish, ipam)
      : { endpoint: await attach(api, spec, wish), given: undefined };
    const made = [endpoint.id];
    // by their ids: the names may be another's by then
    const undo = (): Promise<void> =>
      all([() => withEngine(call, (again) => detachEach(again, made)), ...(ipam ? [() => ipam.run('DEL')] : [])]);
    try {
      const siblings = await attachSiblings(api, more, call.request);
      made.unshift(...siblings.map(({ id }) => id).toReversed());
      // its default route may be another's by now
      const first = siblings.length === 0 ? endpoint : await api.endpointInspect(endpoint.id);
      const alone = await resultOf(api, networks, first, conf, parameters.netns, given);
      const own = await resultOfAll(api, networks, alone, siblings, selected, conf, parameters.netns);
      const result = conf.prevResult ? mergeResults(conf.prevResult, own) : own;
      return { ...print(printResult(result, conf.cniVersion)), undo };
    } catch (error) {
      await undo().catch(() => undefined); // why it failed says more
      throw error;
    }
  });
}

/** The first workload of a network makes it; many may be the first at the same time, and wait for one of them here. */
async function attach(api: EngineApi, spec: AttachSpec, wish: NetworkWish): Promise<Endpoint> {
  try {
    return (await api.endpointAttach(spec)).value;
  } catch (error) {
    if (hasCode(error, 'EINVAL') && error.message.startsWith(`${spec.netns} is not a network namespace`))
      throw new CniError(CNI_CODES.BAD_ENVIRONMENT, `CNI_NETNS: ${error.message}`, { cause: error });
    if (!hasCode(error, 'ENETWORKNOTFOUND', 'ENETWORKBUSY') || !wish.spec) throw error;
  }
  await api.networkCreate(wish.spec).catch((refusal: unknown) => {
    if (!hasCode(refusal, 'ENAMETAKEN')) throw refusal;
  });
  return (await api.endpointAttach(spec)).value;
}

/** With the addresses that the IPAM plugin gives, which gets them back where they are not used. */
async function attachDelegated(
  api: EngineApi,
  spec: AttachSpec,
  wish: NetworkWish,
  ipam: Delegate,
): Promise<{ readonly endpoint: Endpoint; readonly given: Result | undefined }> {
  // who has been added has addresses, which a second ADD must not cost
  const there = await api.endpointInspect(spec.name ?? '').catch((error: unknown) => {
    if (!hasCode(error, 'EENDPOINTNOTFOUND')) throw error;
  });
  if (there && there.request !== undefined && there.request === spec.request)
    return { endpoint: there, given: undefined };
  if (there) {
    throw new NetloomError('ENAMETAKEN', `endpoint "${spec.name}" exists already`, {
      hint: 'CNI_COMMAND=DEL takes it away',
    });
  }
  try {
    const given = await ipam.add();
    if (given.ips.length === 0) throw new CniError(CNI_CODES.REFUSED, `${ipam.type} gave no address`);
    const made = { name: wish.name, ...(wish.spec && { spec: withSubnets(wish.spec, given) }) };
    return { endpoint: await attach(api, withResult(spec, given), made), given };
  } catch (error) {
    // what it says to that is less than why
    await ipam.run('DEL').catch(() => undefined);
    throw error;
  }
}

/** The first interface, and those of further networks: that each is there which was asked for. */
async function checkAll({ call, parameters, conf }: Task, api: EngineApi): Promise<void> {
  const attachment = endpointName(conf.name, parameters);
  const asked = siblingsOf(conf, parameters, await selectionOf(conf, parameters, call.readFile));
  const names = [attachment, ...asked.flatMap(({ name = '' }) => name), ...(await siblingNames(api, conf, attachment))];
  for (const name of new Set(names)) await check(api, parameters, conf, name);
}

/** Detaches what the runtime no longer knows of, all of it, whatever one of them says. */
async function collect(api: EngineApi, conf: Configuration): Promise<void> {
  const valid = new Set(requireValidAttachments(conf).map((each) => endpointName(conf.name, each)));
  const prefix = endpointPrefix(conf.name);
  const names = (await api.endpointList()).flatMap(({ name }) => (name?.startsWith(prefix) ? [name] : []));
  const stale = names.filter((name) => !valid.has(attachmentOf(name)));
  const done = await Promise.allSettled(stale.map((name) => detachEach(api, [name])));
  for (const one of done) if (one.status === 'rejected') throw one.reason;
}

/** Whether an ADD could be served; and whether those that were are. @throws CniError 50, 51 */
async function status(call: ProgramCall, wish: NetworkWish): Promise<void> {
  const unavailable = (error: unknown, what: string): CniError =>
    new CniError(CNI_CODES.UNAVAILABLE, `netloom cannot serve: ${what}`, {
      cause: error,
      ...(error instanceof NetloomError && error.hint !== '' && { hint: error.hint }),
    });
  const opened = await call.open().catch((error: unknown) => {
    throw unavailable(error, (error as Error).message);
  });
  await using api = opened;
  if (!wish.spec) {
    await api.networkInspect(wish.name).catch((error: unknown) => {
      throw unavailable(error, `there is no network ${shown(wish.name)}`);
    });
  }
  const { findings } = await api.doctor({ checks: ['drift'] });
  const broken = findings.find((finding) => finding.status === 'failure');
  if (!broken) return;
  throw new CniError(CNI_CODES.LIMITED, broken.summary, { hint: [...broken.evidence, ...broken.cure].join('\n') });
}
