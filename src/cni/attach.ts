import type { AttachSpec, EndpointTuning, PortSpec } from '../model/index.ts';
import type { Configuration } from './configuration.ts';
import { CNI_CODES, CniError, shown } from './errors.ts';
import { asArray, asCount, asObject, asString, asStrings, Place } from './json.ts';
import { namesOf } from './names.ts';
import type { Parameters } from './parameters.ts';
import { endpointName } from './settings.ts';
import type { ResultDns } from './spec.ts';
import { tuningOf } from './tuning.ts';

/** Capabilities that are done, or say what an IPAM plugin does; those that need nothing to be done. */
const DONE = ['portMappings', 'ips', 'mac', 'dns', 'aliases', 'bandwidth', 'ipRanges'];
const NEEDLESS = ['cgroupPath'];
/** Those that ask for what netloom has not got. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ['infinibandGUID', 'netloom makes Ethernet interfaces: take a plugin for InfiniBand.'],
  ['deviceID', 'netloom makes interfaces of its own: the plugin host-device moves one that is there.'],
]);

/**
 * What is asked of the engine: the conventions' capabilities over `args.cni` over `CNI_ARGS` over the configuration.
 * @param delegated an IPAM plugin gives the addresses, and reads what is said about them
 * @throws CniError 2, 7
 */
export function attachOf(conf: Configuration, parameters: Parameters, network: string, delegated: boolean): AttachSpec {
  const { runtimeConfig, args, own } = conf;
  if (!delegated) checkCapabilities(runtimeConfig);
  const pick = (key: string, variable?: string): readonly [unknown, Place] | undefined => {
    if (has(runtimeConfig, key)) return [runtimeConfig[key], new Place('runtimeConfig').in(key)];
    if (has(args, key)) return [args[key], new Place('args.cni').in(key)];
    const text = variable === undefined ? undefined : parameters.args.get(variable);
    if (text !== undefined && text !== '') return [text, new Place('CNI_ARGS').in(variable ?? '')];
    return has(own, key) ? [own[key], new Place(key)] : undefined;
  };
  const ips = delegated ? undefined : pick('ips', 'IP');
  const addresses = ips === undefined ? [] : listed(...ips);
  const mac = pick('mac', 'MAC');
  const aliases = pick('aliases');
  const names = namesOf(parameters, aliases === undefined ? [] : aliasesOf(conf.name, ...aliases));
  const ports = pick('portMappings');
  const bandwidth = pick('bandwidth');
  const { bursts, ...rates }: AskedRates = bandwidth === undefined ? { bursts: {} } : ratesOf(...bandwidth);
  const tuning = tuningOf(conf, bursts);
  return {
    network,
    name: endpointName(conf.name, parameters),
    netns: parameters.netns,
    ifname: parameters.ifname,
    ...(addresses.length > 0 && { addresses: addresses.map((text) => text.replace(/\/\d+$/, '')) }),
    ...(mac !== undefined && { mac: asString(...mac) }),
    ...(names.length > 0 && { aliases: names }),
    ...(ports !== undefined && { ports: asArray(...ports).map((each, i) => portOf(each, ports[1].in(i))) }),
    ...rates,
    ...(tuning && { tuning }),
  };
}

/** What the runtime, or else the configuration, says of names; undefined where neither does. @throws CniError 7 */
export function dnsOf(
  { runtimeConfig, own }: Configuration,
  parse: typeof import('./result.ts').parseDns,
): ResultDns | undefined {
  if (has(runtimeConfig, 'dns')) {
    const place = new Place('runtimeConfig').in('dns');
    const given = asObject(runtimeConfig['dns'], place);
    const words = (from: string, to: string): Record<string, string[]> =>
      has(given, from) ? { [to]: asStrings(given[from], place.in(from)) } : {};
    return { ...words('servers', 'nameservers'), ...words('searches', 'search'), ...words('options', 'options') };
  }
  return has(own, 'dns') ? parse(own, new Place()) : undefined;
}

/** There, and not nothing: what Go leaves of an empty value. */
function has(object: Readonly<Record<string, unknown>>, key: string): boolean {
  return Object.hasOwn(object, key) && object[key] !== undefined && object[key] !== null;
}

/** One comes only where the configuration declares it: whoever does means that something is done. */
function checkCapabilities(runtimeConfig: Configuration['runtimeConfig']): void {
  for (const [key, value] of Object.entries(runtimeConfig)) {
    if (DONE.includes(key) || NEEDLESS.includes(key) || value === null || value === '') continue;
    throw new CniError(
      CNI_CODES.UNSUPPORTED_FIELD,
      `runtimeConfig.${key.slice(0, 80)}: ${shown(value)}: this plugin has no such capability`,
      { hint: `${REFUSED.get(key) ?? `It has ${DONE.join(', ')}.`} Leave it out of capabilities.` },
    );
  }
}

/** A list, or as `CNI_ARGS` has one. */
function listed(value: unknown, place: Place): string[] {
  return typeof value === 'string' ? value.split(',').filter(Boolean) : asStrings(value, place);
}

/** The convention's list; or Podman's, of each network a list. */
function aliasesOf(network: string, value: unknown, place: Place): string[] {
  if (Array.isArray(value)) return asStrings(value, place);
  const of = asObject(value, place);
  return has(of, network) ? asStrings(of[network], place.in(network)) : [];
}

function portOf(value: unknown, place: Place): PortSpec {
  const { hostPort, containerPort, protocol, hostIP } = asObject(value, place);
  const number = (given: unknown, key: string): number => {
    if (Number.isInteger(given) && (given as number) > 0 && (given as number) < 65_536) return given as number;
    throw place.in(key).fail('a port from 1 to 65535 is wanted');
  };
  const name =
    protocol === undefined || protocol === '' ? 'tcp' : asString(protocol, place.in('protocol')).toLowerCase();
  if (name !== 'tcp' && name !== 'udp' && name !== 'sctp')
    throw place.in('protocol').fail(`${shown(name)} is not tcp, udp or sctp`);
  const address = hostIP === undefined ? '' : asString(hostIP, place.in('hostIP'));
  return {
    protocol: name,
    ...(address !== '' && { hostAddress: address }),
    hostPort: number(hostPort, 'hostPort'),
    containerPort: number(containerPort, 'containerPort'),
    count: 1,
  };
}

interface AskedRates extends Pick<AttachSpec, 'ingressRate' | 'egressRate'> {
  readonly bursts: Pick<EndpointTuning, 'ingressBurst' | 'egressBurst'>;
}

/** Bits a second, and bits; 0 is no limit, and no burst of one's own. */
function ratesOf(value: unknown, place: Place): AskedRates {
  const given = asObject(value, place);
  const number = <K extends string>(key: K): { [key in K]?: number } => {
    const count = given[key] === undefined ? 0 : asCount(given[key], place.in(key));
    return (count === 0 ? {} : { [key]: count }) as { [key in K]?: number };
  };
  return {
    ...number('ingressRate'),
    ...number('egressRate'),
    bursts: { ...number('ingressBurst'), ...number('egressBurst') },
  };
}
