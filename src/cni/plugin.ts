import { parseIp } from '../addr/index.ts';
import { hasCode } from '../errors.ts';
import type { AttachSpec, Endpoint, EngineApi, Network, ProgramAnswer, ProgramCall } from '../model/index.ts';
import { type Configuration, parseConfiguration, versionIn } from './configuration.ts';
import { CNI_CODES, CniError, errorAnswer } from './errors.ts';
import { type Parameters, parseParameters } from './parameters.ts';
import { printResult } from './result.ts';
import { attachOf, endpointName, endpointPrefix, networkOf, type NetworkWish } from './settings.ts';
import { LATEST, type Result, type ResultDns, SPEC_VERSIONS } from './spec.ts';

/** Does what a runtime asks for by its environment. Throws nothing: what goes wrong is the specification's error. */
export async function runPlugin(call: ProgramCall): Promise<ProgramAnswer> {
  const version = versionIn(call.stdin) ?? LATEST;
  try {
    const parameters = parseParameters(call.env);
    if (parameters.verb === 'VERSION') return print({ cniVersion: version, supportedVersions: SPEC_VERSIONS });
    const conf = parseConfiguration(call.stdin, parameters.verb);
    const wish = networkOf(conf);
    await using api = await opened(call, parameters);
    if (parameters.verb === 'ADD') return await add(call, api, parameters, conf, wish);
    await perform(api, parameters, conf);
    return { stdout: '', status: 0 };
  } catch (error) {
    return { ...print(errorAnswer(error, version)), status: 1 };
  }
}

function print(document: object): ProgramAnswer {
  return { stdout: `${JSON.stringify(document, undefined, 2)}\n`, status: 0 };
}

async function opened(call: ProgramCall, { verb }: Parameters): Promise<EngineApi> {
  try {
    return await call.open();
  } catch (error) {
    if (verb !== 'STATUS') throw error;
    throw new CniError(CNI_CODES.UNAVAILABLE, `netloom cannot serve: ${(error as Error).message}`, { cause: error });
  }
}

async function perform(api: EngineApi, parameters: Parameters, conf: Configuration): Promise<void> {
  switch (parameters.verb) {
    case 'DEL':
      return await detach(api, endpointName(conf.name, parameters));
    case 'CHECK':
      return await check(api, parameters, conf);
    case 'GC':
      return await collect(api, conf);
    case 'STATUS':
      await api.version();
      return;
    case 'ADD':
    case 'VERSION':
      return;
  }
}

async function add(
  call: ProgramCall,
  api: EngineApi,
  parameters: Parameters,
  conf: Configuration,
  wish: NetworkWish,
): Promise<ProgramAnswer> {
  const spec: AttachSpec = {
    ...attachOf(conf, { ...parameters, netns: call.netns ?? parameters.netns }, wish.name),
    ...(call.request !== undefined && { request: call.request }),
  };
  let endpoint: Endpoint;
  try {
    ({ value: endpoint } = await api.endpointAttach(spec));
  } catch (error) {
    // the first workload of a network makes it; many may be the first at the same time, and wait for one of them here
    if (!hasCode(error, 'ENETWORKNOTFOUND', 'ENETWORKBUSY') || !wish.spec) throw error;
    await api.networkCreate(wish.spec).catch((refusal: unknown) => {
      if (!hasCode(refusal, 'ENAMETAKEN')) throw refusal;
    });
    ({ value: endpoint } = await api.endpointAttach(spec));
  }
  const network = await api.networkInspect(wish.name);
  return {
    ...print(printResult(resultOf(endpoint, network, conf, parameters.netns), conf.cniVersion)),
    // by its id: the name may be another's by then
    async undo() {
      await using again = await call.open();
      await detach(again, endpoint.id);
    },
  };
}

/** @param sandbox the namespace as the runtime calls it */
function resultOf(endpoint: Endpoint, network: Network, conf: Configuration, sandbox: string): Result {
  const { driver } = network.options;
  const mtu = driver === 'bridge' || driver === 'macvlan' || driver === 'ipvlan' ? network.options.mtu : 0;
  const inside = {
    name: endpoint.ifname,
    ...(endpoint.mac !== '' && { mac: endpoint.mac }),
    ...(mtu > 0 && { mtu }),
    sandbox,
  };
  const host = endpoint.hostIfname === '' ? [] : [{ name: endpoint.hostIfname, ...(mtu > 0 && { mtu }) }];
  return {
    interfaces: [...host, inside],
    ips: endpoint.addresses.map((address) => {
      const gateway = endpoint.gateways.find((each) => each.includes(':') === address.includes(':'));
      return { address, ...(gateway !== undefined && { gateway }), interface: host.length };
    }),
    routes: endpoint.gateways.map((gw) => ({ dst: parseIp(gw).family === 4 ? '0.0.0.0/0' : '::/0', gw })),
    dns: (conf.own['dns'] as ResultDns | undefined) ?? { nameservers: endpoint.gateways },
  };
}

/** One that is gone already is as it should be. */
async function detach(api: EngineApi, name: string): Promise<void> {
  try {
    await api.endpointDetach(name);
  } catch (error) {
    if (!hasCode(error, 'EENDPOINTNOTFOUND')) throw error;
  }
}

/** Whether the endpoint is what ADD said. */
async function check(api: EngineApi, parameters: Parameters, conf: Configuration): Promise<void> {
  const name = endpointName(conf.name, parameters);
  const endpoint = await api.endpointInspect(name).catch((error: unknown) => {
    if (!hasCode(error, 'EENDPOINTNOTFOUND')) throw error;
    throw new CniError(
      CNI_CODES.UNKNOWN_CONTAINER,
      `container ${parameters.containerID} is not on network "${conf.name}"`,
    );
  });
  if (!conf.prevResult) throw new CniError(CNI_CODES.BAD_CONFIGURATION, 'prevResult: is missing, and CHECK needs it');
  const own = conf.prevResult.ips.filter(({ interface: at }) => {
    const owner = at === undefined ? undefined : conf.prevResult?.interfaces[at];
    return owner === undefined || owner.name === endpoint.ifname;
  });
  for (const address of endpoint.addresses) {
    if (own.some((ip) => ip.address === address)) continue;
    throw new CniError(CNI_CODES.NOT_AS_ADDED, `${endpoint.ifname} has ${address}, of which prevResult says nothing`);
  }
}

/** Detaches what the runtime no longer knows of. */
async function collect(api: EngineApi, conf: Configuration): Promise<void> {
  if (!conf.validAttachments) {
    throw new CniError(CNI_CODES.BAD_CONFIGURATION, 'cni.dev/valid-attachments: is missing, and GC needs it');
  }
  const valid = new Set(conf.validAttachments.map((each) => endpointName(conf.name, each)));
  const prefix = endpointPrefix(conf.name);
  const names = (await api.endpointList()).flatMap(({ name }) => (name?.startsWith(prefix) ? [name] : []));
  await Promise.all(names.filter((name) => !valid.has(name)).map((name) => detach(api, name)));
}
