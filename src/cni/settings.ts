import type { AttachSpec, NetworkSpec, PortSpec, SubnetSpec } from '../model/index.ts';
import type { Configuration } from './configuration.ts';
import { CNI_CODES, CniError } from './errors.ts';
import { asArray, asObject, asString, Place } from './json.ts';
import { namesOf } from './names.ts';
import type { Parameters } from './parameters.ts';

/** Keys of a configuration that are the specification's or a convention's, and that this plugin does not read. */
const COMMON = new Set(['capabilities', 'cni.dev/valid-attachments', 'cni.dev/attachments', 'dns', 'ipMasq']);
/** Our own: the words of `network create`. */
const OWN = new Set(['network', 'driver', 'internal', 'ipv4', 'ipv6', 'subnets', 'options', 'labels', 'ipam']);

/** Which network an attachment is to, and what makes it where it is not there yet. */
export interface NetworkWish {
  readonly name: string;
  /** Missing where the configuration names one that must be there. */
  readonly spec?: NetworkSpec;
}

/** @throws CniError 2, 7 */
export function networkOf({ name, own }: Configuration): NetworkWish {
  const place = new Place();
  for (const key of Object.keys(own)) {
    if (OWN.has(key) || COMMON.has(key)) continue;
    throw new CniError(CNI_CODES.UNSUPPORTED_FIELD, `${key}: this plugin has no such field`, {
      hint: `It reads ${[...OWN].join(', ')}.`,
    });
  }
  if (own['ipam'] !== undefined) {
    const type = asObject(own['ipam'], place.in('ipam'))['type'];
    if (type !== undefined && type !== 'netloom')
      throw new CniError(
        CNI_CODES.UNSUPPORTED_FIELD,
        `ipam.type: ${JSON.stringify(type)} is not called by this plugin`,
        {
          hint: 'Leave ipam out, and give subnets: netloom allocates by itself.',
        },
      );
  }
  if (own['network'] !== undefined) return { name: asString(own['network'], place.in('network')) };
  const text = (key: string): string | undefined =>
    own[key] === undefined ? undefined : asString(own[key], place.in(key));
  const driver = text('driver');
  return {
    name,
    spec: {
      name,
      ...(driver !== undefined && { driver }),
      ...flags(own, place, ['internal', 'ipv4', 'ipv6']),
      subnets: asArray(own['subnets'], place.in('subnets')).map((each, i) => subnetOf(each, place.in('subnets').in(i))),
      ...(own['options'] !== undefined && { options: texts(own['options'], place.in('options')) }),
      ...(own['labels'] !== undefined && { labels: texts(own['labels'], place.in('labels')) }),
    },
  };
}

/** What an endpoint is called, by which DEL, CHECK and GC find it again. */
export function endpointName(
  network: string,
  { containerID, ifname }: Pick<Parameters, 'containerID' | 'ifname'>,
): string {
  return `${endpointPrefix(network)}${containerID}:${ifname}`;
}
export function endpointPrefix(network: string): string {
  return `cni:${network}:`;
}

/** What is asked of the engine: the conventions' capabilities over `args.cni` over `CNI_ARGS`. @throws CniError 7 */
export function attachOf(conf: Configuration, parameters: Parameters, network: string): AttachSpec {
  const { runtimeConfig, args } = conf;
  const [capability, arg] = [new Place('runtimeConfig'), new Place('args.cni')];
  const pick = (key: string): readonly [unknown, Place] =>
    runtimeConfig[key] === undefined ? [args[key], arg.in(key)] : [runtimeConfig[key], capability.in(key)];
  const [ips, ipsAt] = pick('ips');
  const addresses = ips === undefined ? listed(parameters.args.get('IP')) : strings(ips, ipsAt);
  const [mac, macAt] = pick('mac');
  const hardware = mac === undefined ? parameters.args.get('MAC') : asString(mac, macAt);
  const aliases = runtimeConfig['aliases'];
  const ofNetwork = aliases === undefined ? undefined : asObject(aliases, capability.in('aliases'))[conf.name];
  const names = namesOf(parameters, strings(ofNetwork, capability.in('aliases').in(conf.name)));
  const ports = asArray(runtimeConfig['portMappings'], capability.in('portMappings')).map((each, i) =>
    portOf(each, capability.in('portMappings').in(i)),
  );
  return {
    network,
    name: endpointName(conf.name, parameters),
    netns: parameters.netns,
    ifname: parameters.ifname,
    ...(addresses.length > 0 && { addresses: addresses.map((text) => text.replace(/\/\d+$/, '')) }),
    ...(hardware !== undefined && { mac: hardware }),
    ...(names.length > 0 && { aliases: names }),
    ...(ports.length > 0 && { ports }),
    ...ratesOf(runtimeConfig['bandwidth'], capability.in('bandwidth')),
  };
}

function portOf(value: unknown, place: Place): PortSpec {
  const { hostPort, containerPort, protocol, hostIP } = asObject(value, place);
  const number = (given: unknown, key: string): number => {
    if (Number.isInteger(given) && (given as number) > 0 && (given as number) < 65_536) return given as number;
    throw place.in(key).fail('a port from 1 to 65535 is wanted');
  };
  const name = protocol === undefined ? 'tcp' : asString(protocol, place.in('protocol')).toLowerCase();
  if (name !== 'tcp' && name !== 'udp' && name !== 'sctp')
    throw place.in('protocol').fail(`"${name}" is not tcp, udp or sctp`);
  const address = hostIP === undefined ? '' : asString(hostIP, place.in('hostIP'));
  return {
    protocol: name,
    ...(address !== '' && { hostAddress: address }),
    hostPort: number(hostPort, 'hostPort'),
    containerPort: number(containerPort, 'containerPort'),
    count: 1,
  };
}

/** Bits a second; 0 is no limit. Bursts are ours to choose. */
function ratesOf(value: unknown, place: Place): Pick<AttachSpec, 'ingressRate' | 'egressRate'> {
  if (value === undefined || value === null) return {};
  const given = asObject(value, place);
  const rates: { ingressRate?: number; egressRate?: number } = {};
  for (const key of ['ingressRate', 'egressRate'] as const) {
    const rate = given[key];
    if (rate === undefined) continue;
    if (!Number.isSafeInteger(rate)) throw place.in(key).fail('bits a second are wanted');
    rates[key] = rate as number;
  }
  return rates;
}

function subnetOf(value: unknown, place: Place): SubnetSpec {
  const given = asObject(value, place);
  const subnet: { subnet?: string; gateway?: string; ipRange?: string } = {};
  for (const key of Object.keys(given)) {
    if (key !== 'subnet' && key !== 'gateway' && key !== 'ipRange')
      throw place.in(key).fail('there is no such field', 'It has subnet, gateway and ipRange.');
    subnet[key] = asString(given[key], place.in(key));
  }
  return subnet;
}

function flags<K extends string>(
  own: Configuration['own'],
  place: Place,
  keys: readonly K[],
): { [key in K]?: boolean } {
  const found: { [key in K]?: boolean } = {};
  for (const key of keys) {
    const value = own[key];
    if (value === undefined) continue;
    if (typeof value !== 'boolean') throw place.in(key).fail('true or false is wanted');
    found[key] = value;
  }
  return found;
}

function strings(value: unknown, place: Place): string[] {
  return asArray(value, place).map((each, i) => asString(each, place.in(i)));
}
function listed(text: string | undefined): string[] {
  return text === undefined ? [] : text.split(',').filter(Boolean);
}
function texts(value: unknown, place: Place): Record<string, string> {
  const entries = Object.entries(asObject(value, place));
  return Object.fromEntries(entries.map(([key, each]) => [key, asString(each, place.in(key))]));
}
