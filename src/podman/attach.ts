import { hasCode, NetloomError } from '../errors.ts';
import type {
  AttachSpec,
  Endpoint,
  EngineApi,
  NetworkSpec,
  PortSpec,
  ProgramAnswer,
  ProgramCall,
} from '../model/index.ts';
import type { Attachment, PodmanNetwork, Request } from './input.ts';
import { dropUnused, ensureNetwork, lowerDriver, specOf } from './network.ts';
import { DOMAIN, type StatusBlock, statusOf } from './status.ts';

/** What an endpoint is called: by it a teardown finds it again. */
export function endpointName(container: string, { network, ifname }: Attachment): string {
  return `${endpointPrefix(container)}${network}:${ifname}`;
}
function endpointPrefix(container: string): string {
  return `podman:${container}:`;
}

interface Step {
  readonly attachment: Attachment;
  readonly network: PodmanNetwork;
  readonly spec: NetworkSpec;
}

/** A container that was set up. */
export interface Done {
  /** What Podman is told, by network. */
  readonly status: Readonly<Record<string, StatusBlock>>;
  /** Takes all of it back. */
  undo(api: EngineApi): Promise<void>;
}

/** Attaches a container to all networks of a request, or to none. @param token says which asking this is */
export async function setup(api: EngineApi, netns: string, request: Request, token?: string): Promise<Done> {
  // everything that can be refused without the engine comes before anything is done
  const steps = request.attachments.map((attachment): Step => {
    const network = request.networks.get(attachment.network);
    if (!network) {
      throw new NetloomError('EBADREQUEST', `network_info.${attachment.network}: is missing`);
    }
    const [option] = Object.keys(attachment.options);
    if (option !== undefined) {
      throw new NetloomError('EBADOPTION', `networks.${attachment.network}.options.${option}: is not served`, {
        hint: `leave ${option} out`,
      });
    }
    return { attachment, network, spec: specOf(network) };
  });
  const names = (await api.version()).mode === 'daemon';
  // a container has its ports once, however many networks it is on
  const holder = request.ports.length === 0 ? undefined : steps.find(({ network }) => publishes(network));
  const done: { readonly step: Step; readonly endpoint: Endpoint }[] = [];
  const undo = async (by: EngineApi): Promise<void> => {
    // by their ids: the names may be others' by then
    await Promise.allSettled(done.map(({ endpoint }) => by.endpointDetach(endpoint.id)));
    // one that was made for an attachment that failed, too
    await dropUnused(by, new Set(steps.map(({ network }) => network.name)));
  };
  try {
    for (const step of steps) {
      const ports = step === holder ? request.ports : [];
      done.push({
        step,
        endpoint: await attach(api, step.spec, {
          ...attachOf(request, step, netns, ports),
          ...(token !== undefined && { request: token }),
        }),
      });
    }
  } catch (error) {
    await undo(api).catch(() => undefined);
    throw error;
  }
  const blocks = done.map(({ step: { network }, endpoint }) => [
    network.name,
    statusOf(endpoint, network, { names, dnsServers: request.dnsServers }),
  ]);
  return { status: Object.fromEntries(blocks) as Done['status'], undo };
}

/** A published port needs a network whose endpoints the host translates to. */
function publishes(network: PodmanNetwork): boolean {
  return !network.internal && lowerDriver(network) === 'bridge';
}

function attachOf(
  request: Request,
  { attachment, network }: Step,
  netns: string,
  ports: readonly PortSpec[],
): AttachSpec {
  const { metric } = network.options;
  return {
    network: network.name,
    name: endpointName(request.container, attachment),
    netns,
    ifname: attachment.ifname,
    // Podman chose them, of some family several perhaps
    ...(attachment.addresses.length > 0 && { addresses: attachment.addresses, exact: true }),
    ...(attachment.mac !== undefined && { mac: attachment.mac }),
    ...(network.dns && { aliases: namesOf([request.name, ...attachment.aliases]) }),
    ...tuningOf(network),
    ...(metric !== undefined && { gatewayPriority: priorityOf(network.name, metric) }),
    ...(ports.length > 0 && { ports }),
    upstreams: request.dnsServers,
  };
}

/** What a network says of every container's routes. */
function tuningOf({ name, options, routes }: PodmanNetwork): Pick<AttachSpec, 'tuning'> {
  const { no_default_route: without = 'false' } = options;
  if (!['true', '1', 'false', '0'].includes(without))
    throw new NetloomError(
      'EBADOPTION',
      `network_info.${name}.options.no_default_route: "${without}" is no truth value`,
    );
  const none = without === 'true' || without === '1';
  if (!none && routes.length === 0) return {};
  return {
    tuning: {
      ...(none && { defaultRoute: false }),
      ...(routes.length > 0 && {
        routes: routes.map(({ destination, gateway, metric = DEFAULT_METRIC }) => ({
          dst: destination,
          ...(gateway !== '' && { gateway }),
          priority: metric,
        })),
      }),
    },
  };
}
/** Of the routes of a network that says nothing. */
const DEFAULT_METRIC = 100;

/** Those that DNS can carry, each with the domain and without. */
function namesOf(given: readonly string[]): string[] {
  const names = new Set(given.filter((name) => /^[a-zA-Z0-9_]([a-zA-Z0-9_.-]{0,240}[a-zA-Z0-9_])?$/.test(name)));
  return [...names].flatMap((name) => [name, `${name}.${DOMAIN}`]);
}

/** The route of the least metric wins; of ours that of the highest priority. */
function priorityOf(network: string, metric: string): number {
  if (!/^\d{1,9}$/.test(metric))
    throw new NetloomError('EBADOPTION', `network_info.${network}.options.metric: "${metric}" is no number`);
  return DEFAULT_METRIC - Number(metric);
}

/** How often a network may come and go under an attachment's hands before it is given up. */
const ATTEMPTS = 8;

async function attach(api: EngineApi, network: NetworkSpec, spec: AttachSpec): Promise<Endpoint> {
  let last: unknown;
  let collected = false;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    await ensureNetwork(api, network);
    try {
      return (await api.endpointAttach(spec)).value;
    } catch (error) {
      last = error;
      // the last container of it went in this moment, or the first one is still making it
      if (hasCode(error, 'ENETWORKNOTFOUND', 'ENETWORKBUSY')) continue;
      if (!hasCode(error, 'ENAMETAKEN', 'EADDRTAKEN', 'EPORTTAKEN', 'EIFNAMETAKEN')) throw error;
      // the same container, whose end nobody told: Podman starts it anew
      if (await detach(api, spec.name ?? '')) continue;
      if (hasCode(error, 'EPORTTAKEN') && (await holdsPorts(api, spec))) return await attachWithout(api, spec);
      if (collected) throw error;
      // Podman gives an address once: whoever has it is dead
      await api.gc();
      collected = true;
    }
  }
  throw last;
}

/** Whether the container's own other interface has the ports: `podman network connect` asks for them once more. */
async function holdsPorts(api: EngineApi, { name = '', ports = [] }: AttachSpec): Promise<boolean> {
  const [first] = ports;
  return (await siblings(api, name)).some((each) =>
    each.ports.some(({ protocol, hostPort }) => protocol === first?.protocol && hostPort === first.hostPort),
  );
}
async function attachWithout(api: EngineApi, { ports: _ports, ...spec }: AttachSpec): Promise<Endpoint> {
  return (await api.endpointAttach(spec)).value;
}

/** The other endpoints of the container that an endpoint's name is about. */
async function siblings(api: EngineApi, name: string): Promise<Endpoint[]> {
  const [, container = ''] = name.split(':');
  const prefix = endpointPrefix(container);
  return (await api.endpointList()).filter((each) => each.name?.startsWith(prefix) === true && each.name !== name);
}

/**
 * Takes a container off the networks of a request; what is gone already is as it should be.
 * @returns networks that may be unused by now, for `dropUnused`
 */
export async function teardown(api: EngineApi, request: Request): Promise<ReadonlySet<string>> {
  const faults: unknown[] = [];
  const left = new Set<string>();
  const names = request.attachments.map((attachment) => endpointName(request.container, attachment));
  for (const name of names) {
    try {
      const gone = await detach(api, name);
      if (!gone) continue;
      left.add(gone.network);
      if (gone.ports.length > 0) await handOn(api, name, request.ports, names);
    } catch (error) {
      faults.push(error);
    }
  }
  if (faults.length > 0) await dropUnused(api, left).catch((error: unknown) => faults.push(error));
  if (faults.length === 1) throw faults[0];
  if (faults.length > 1)
    throw new NetloomError('EINTERNAL', faults.map((each) => (each as Error).message).join('; '), { cause: faults[0] });
  return left;
}

/** Whoever asked may be gone before it is told; the engine that its call opened is given back by then. */
export function undoOf(call: ProgramCall, done: Done): Pick<ProgramAnswer, 'undo'> {
  return {
    async undo() {
      await using api = await call.open();
      await done.undo(api);
    },
  };
}

/** Podman need not wait for the networks that go with their last container: the next one does, if it comes so soon. */
export function afterTeardown(call: ProgramCall, left: ReadonlySet<string>): Pick<ProgramAnswer, 'after'> {
  if (left.size === 0) return {};
  return {
    async after() {
      await using api = await call.open();
      await dropUnused(api, left);
    },
  };
}

/** @returns what it was; undefined where it was gone */
async function detach(api: EngineApi, name: string): Promise<Endpoint | undefined> {
  try {
    return (await api.endpointDetach(name)).value;
  } catch (error) {
    if (hasCode(error, 'EENDPOINTNOTFOUND')) return undefined;
    throw error;
  }
}

/** The interface with the ports was disconnected: another one of the same container takes them, if it can. */
async function handOn(
  api: EngineApi,
  from: string,
  ports: readonly PortSpec[],
  leaving: readonly string[],
): Promise<void> {
  for (const { id, name = '' } of await siblings(api, from)) {
    if (leaving.includes(name)) continue;
    try {
      await api.endpointUpdate(id, { publish: ports });
      return;
    } catch (error) {
      if (!hasCode(error, 'EINTERNAL_NETWORK', 'ENOPUBLISH', 'EENDPOINTNOTFOUND', 'EENDPOINTBUSY')) throw error;
    }
  }
}
