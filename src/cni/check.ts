import { hasCode } from '../errors.ts';
import type { EngineApi } from '../model/index.ts';
import { type Configuration, requirePrevResult } from './configuration.ts';
import { CNI_CODES, CniError } from './errors.ts';
import type { Parameters } from './parameters.ts';
import type { ResultIp } from './spec.ts';

/**
 * Whether an endpoint is what ADD said, and whether the kernel holds it so. @throws CniError 3, 7, 105
 * @param name  what it is called
 */
export async function check(api: EngineApi, parameters: Parameters, conf: Configuration, name: string): Promise<void> {
  const prevResult = requirePrevResult(conf);
  const endpoint = await api.endpointInspect(name).catch((error: unknown) => {
    if (!hasCode(error, 'EENDPOINTNOTFOUND')) throw error;
    throw unknown(`container ${parameters.containerID} is not on network "${conf.name}"`);
  });
  const { ifname } = endpoint;
  const interfaceOf = ({ interface: at }: ResultIp): string | undefined =>
    at === undefined ? undefined : prevResult.interfaces[at]?.name;
  const ours = prevResult.interfaces.some((each) => each.name === ifname && (each.sandbox ?? '') !== '');
  if (prevResult.interfaces.length > 0 && !ours) throw differs(`prevResult says nothing of ${ifname}`);
  for (const address of endpoint.addresses) {
    const said = prevResult.ips.some((ip) => ip.address === address && (interfaceOf(ip) ?? ifname) === ifname);
    if (!said) throw differs(`${ifname} has ${address}, of which prevResult says nothing`);
  }
  for (const ip of prevResult.ips) {
    if (interfaceOf(ip) === ifname && !endpoint.addresses.includes(ip.address))
      throw differs(`prevResult has ${ip.address} for ${ifname}, which has ${endpoint.addresses.join(', ') || 'none'}`);
  }
  const { gone, faults } = await api.endpointCheck(endpoint.id);
  if (gone !== undefined) throw unknown(`container ${parameters.containerID}: ${gone}`);
  if (faults.length === 0) return;
  const what = faults.map(({ object, kind, verb }) => `${object}: ${WORDS[verb]} ${kind}`);
  throw differs([...new Set(what)].join('; '), faults.map(({ command }) => command).join('\n'));
}

/** What a step that would put something right says of it. */
const WORDS = { add: 'there is no', change: 'it has another', delete: 'it has one too many:' } as const;

function unknown(message: string): CniError {
  return new CniError(CNI_CODES.UNKNOWN_CONTAINER, message);
}
function differs(message: string, hint?: string): CniError {
  return new CniError(CNI_CODES.NOT_AS_ADDED, message, hint === undefined ? {} : { hint });
}
