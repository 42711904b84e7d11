import { ipFromValue, parsePrefix, tryParseIp, tryParsePrefix } from '../addr/index.ts';
import type { NetworkSpec, SubnetSpec } from '../model/index.ts';
import type { Configuration } from './configuration.ts';
import { CNI_CODES, CniError, shown } from './errors.ts';
import { asArray, asFlag, asObject, asString, asTexts, Place } from './json.ts';
import { NAME, type Parameters } from './parameters.ts';
import { TUNING_KEYS } from './tuning.ts';

/** Keys of a configuration that are the specification's or a convention's. */
const COMMON = ['capabilities', 'dns', 'ipMasq', 'ipam', 'selection'];
/** What makes the network: the words of `network create`. */
const NETWORK_KEYS = ['network', 'driver', 'internal', 'ipv4', 'ipv6', 'subnets', 'options', 'labels'];
/** What is asked for every workload, where the runtime asks for nothing else. */
const ENDPOINT_KEYS = ['portMappings', 'ips', 'mac', 'aliases', 'bandwidth'];
const KNOWN = new Set([...COMMON, ...NETWORK_KEYS, ...ENDPOINT_KEYS, ...TUNING_KEYS]);

/** Which network an attachment is to, and what makes it where it is not there yet. */
export interface NetworkWish {
  readonly name: string;
  /** Missing where the configuration names one that must be there. */
  readonly spec?: NetworkSpec;
}

/**
 * The plugin `dhcp` asks by the interface, which its callers make before; an endpoint of ours is made with its addresses.
 * What it stands for, netloom does itself.
 */
const DHCP = 'dhcp';

/** The IPAM plugin that a configuration names; undefined where netloom gives the addresses itself. @throws CniError 7 */
export function delegateOf({ own }: Configuration): string | undefined {
  const place = new Place().in('ipam');
  if (own['ipam'] === undefined || own['ipam'] === null) return undefined;
  const { type } = asObject(own['ipam'], place);
  if (type === undefined || type === '' || type === 'netloom' || type === DHCP) return undefined;
  const name = asString(type, place.in('type'));
  // the name of a file, in a directory that the runtime names
  if (!NAME.test(name) || name.length > 255) throw place.in('type').fail(`${shown(name)} is no name of a plugin`);
  return name;
}

/** @throws CniError 2, 7 */
export function networkOf(conf: Configuration): NetworkWish {
  const { name, own } = conf;
  const place = new Place();
  for (const [key, value] of Object.entries(own)) {
    // keys of the runtime's own: of this version, or of one to come
    if (KNOWN.has(key) || key.startsWith('cni.dev/')) continue;
    throw new CniError(
      CNI_CODES.UNSUPPORTED_FIELD,
      `${key.slice(0, 80)}: ${shown(value)}: this plugin has no such field`,
      {
        hint: `It reads ${[...KNOWN].join(', ')}.`,
      },
    );
  }
  const ranges = delegateOf(conf) === undefined ? rangesOf(conf) : [];
  const dhcp = asksDhcp(conf);
  if (own['network'] !== undefined) {
    const network = asString(own['network'], place.in('network'));
    const other = NETWORK_KEYS.find((key) => key !== 'network' && own[key] !== undefined);
    if (other !== undefined) throw place.in(other).fail(`${shown(network)} is there already, as it is: leave one out`);
    if (ranges.length > 0)
      throw new Place('runtimeConfig').in('ipRanges').fail(`${shown(network)} has its subnets: leave one out`);
    if (dhcp) throw place.in('ipam').fail(`${shown(network)} is there already, and has its addresses: leave one out`);
    return { name: network };
  }
  const text = (key: string): string | undefined =>
    own[key] === undefined ? undefined : asString(own[key], place.in(key));
  const driver = text('driver');
  const subnets = asArray(own['subnets'], place.in('subnets')).map((each, i) =>
    subnetOf(each, place.in('subnets').in(i)),
  );
  if (subnets.length > 0 && ranges.length > 0)
    throw new Place('runtimeConfig').in('ipRanges').fail('the configuration has subnets: leave one out');
  const options = optionsOf(own, place, driver);
  return {
    name,
    spec: {
      name,
      ...(driver !== undefined && { driver }),
      ...flags(own, place, ['internal', 'ipv4', 'ipv6']),
      subnets: [...subnets, ...ranges],
      ...(dhcp && { ipam: DHCP }),
      ...(options && { options }),
      ...(own['labels'] !== undefined && { labels: asTexts(own['labels'], place.in('labels')) }),
    },
  };
}

/** Whether a segment's DHCP server gives the addresses. @throws CniError 2 */
function asksDhcp({ own }: Configuration): boolean {
  const ipam = asObject(own['ipam'] ?? {}, new Place().in('ipam'));
  if (ipam['type'] !== DHCP) return false;
  const other = Object.keys(ipam).find((key) => key !== 'type');
  if (other === undefined) return true;
  throw new CniError(CNI_CODES.UNSUPPORTED_FIELD, `ipam.${other.slice(0, 80)}: ${shown(ipam[other])}: is not served`, {
    hint: 'netloom asks the DHCP server itself, without that plugin and its daemon: leave it out.',
  });
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

/** `ipMasq` is the specification's word for what a bridge network does by itself. */
function optionsOf(own: Configuration['own'], place: Place, driver = 'bridge'): Record<string, string> | undefined {
  const given = own['options'] === undefined ? undefined : asTexts(own['options'], place.in('options'));
  if (own['ipMasq'] === undefined) return given;
  const masquerade = asFlag(own['ipMasq'], place.in('ipMasq'));
  return driver === 'bridge' ? { masquerade: String(masquerade), ...given } : given;
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

/**
 * The capability `ipRanges`: a list for each address that a workload is to have, of the subnets it may be from, which for
 * a network of ours is one. @throws CniError 7
 */
function rangesOf({ runtimeConfig }: Configuration): SubnetSpec[] {
  const place = new Place('runtimeConfig').in('ipRanges');
  return asArray(runtimeConfig['ipRanges'], place).map((set, i) => {
    const ranges = asArray(set, place.in(i));
    if (ranges.length !== 1)
      throw place.in(i).fail(`${ranges.length} subnets`, 'An address of a network is from one: give one in each list.');
    return rangeOf(ranges[0], place.in(i).in(0));
  });
}

function rangeOf(value: unknown, place: Place): SubnetSpec {
  const given = asObject(value, place);
  const text = (key: string): string => (given[key] === undefined ? '' : asString(given[key], place.in(key)));
  const prefix = tryParsePrefix(text('subnet'));
  if (!prefix) throw place.in('subnet').fail(`${shown(given['subnet'])} is no subnet`);
  const end = (key: string, otherwise: bigint): bigint => {
    if (text(key) === '') return otherwise;
    const ip = tryParseIp(text(key));
    if (!ip || ip.family !== prefix.family || ip.value < prefix.first || ip.value > prefix.last)
      throw place.in(key).fail(`${shown(given[key])} is no address of ${prefix.text}`);
    return ip.value;
  };
  const [from, to] = [end('rangeStart', prefix.first), end('rangeEnd', prefix.last)];
  const gateway = text('gateway');
  const ipRange = blockOf(prefix, from, to);
  if (ipRange === undefined) {
    const range = `${text('rangeStart')} to ${text('rangeEnd')}`;
    throw place.fail(`${range} has no prefix of its own`, 'Begin and end it as one does: 10.1.2.64 to 10.1.2.127.');
  }
  const whole = parsePrefix(ipRange).length === prefix.length;
  return { subnet: prefix.text, ...(gateway !== '' && { gateway }), ...(!whole && { ipRange }) };
}

/** The prefix with these ends; the subnet's own first and last address are never given out, and may be left out. */
function blockOf(subnet: ReturnType<typeof parsePrefix>, from: bigint, to: bigint): string | undefined {
  const bits = subnet.family === 4 ? 32 : 128;
  for (let length = subnet.length; length <= bits; length++) {
    const size = 1n << BigInt(bits - length);
    const start = (from / size) * size;
    const last = start + size - 1n;
    const begins = start === from || (start === subnet.first && from === start + 1n);
    const ends = last === to || (last === subnet.last && to === last - 1n);
    if (begins && ends) return `${ipFromValue(subnet.family, start).text}/${length}`;
  }
  return undefined;
}

function flags<K extends string>(
  own: Configuration['own'],
  place: Place,
  keys: readonly K[],
): { [key in K]?: boolean } {
  const found: { [key in K]?: boolean } = {};
  for (const key of keys) if (own[key] !== undefined) found[key] = asFlag(own[key], place.in(key));
  return found;
}
