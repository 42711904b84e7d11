import {
  contains,
  type Family,
  type Ip,
  ipFromValue,
  makePrefix,
  parsePrefix,
  type Prefix,
  tryParseIp,
} from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import { Fields } from './json.ts';

/** Ways from host to host that flannel and we both have. */
export type FlannelBackendName = 'vxlan' | 'host-gw' | 'udp' | 'ipip' | 'wireguard';

export interface FlannelBackend {
  readonly name: FlannelBackendName;
  /** VXLAN's; 0 for the others. */
  readonly vni: number;
  /** UDP; 0: the kernel's own for VXLAN, or none. */
  readonly port: number;
  /** Of the underlay as the configuration has it, bytes; 0: its interface's. */
  readonly mtu: number;
  readonly directRouting: boolean;
  /** Families of the network's packets that it carries. */
  readonly families: readonly Family[];
}

/** One family of a network: hosts have prefixes of `length`, from `min` on, up to `max`, both included. */
export interface FlannelRange {
  readonly network: Prefix;
  readonly length: number;
  readonly min: Ip;
  readonly max: Ip;
}

export interface FlannelConfig {
  /** IPv4 first. */
  readonly ranges: readonly FlannelRange[];
  readonly backend: FlannelBackend;
}

/**
 * Reads `…/config`. What flannel would fill in is filled in; what would start flannel and not us is refused by name.
 * @throws NetloomError EBADFLANNEL, EBADBACKEND
 * @see https://github.com/flannel-io/flannel/blob/master/Documentation/configuration.md
 */
export function parseFlannelConfig(key: string, text: string): FlannelConfig {
  const fields = Fields.parse(key, text);
  if (!fields.flag('EnableIPv4', true)) throw fields.bad('has no IPv4, without which flannel names no lease in etcd');
  const four = rangeOf(fields, 4);
  const six = fields.flag('EnableIPv6') ? [rangeOf(fields, 6)] : [];
  return { ranges: [four, ...six], backend: backendOf(fields.object('Backend'), six.length > 0) };
}

/** What flannel's hosts, too, would need to be started anew for. */
export function describeConfig({ ranges, backend }: FlannelConfig): string {
  const { name, vni, port, directRouting } = backend;
  const words = [
    ...ranges.map(({ network }) => network.text),
    name,
    ...(vni === 0 ? [] : [`VNI ${vni}`]),
    ...(port === 0 ? [] : [`port ${port}`]),
    ...(directRouting ? ['direct routing'] : []),
  ];
  return words.join(', ');
}

/** Of each family: words of the configuration, and the lengths that flannel takes where nobody says. */
const FAMILIES = {
  4: { network: 'Network', length: 'SubnetLen', min: 'SubnetMin', max: 'SubnetMax', usual: 24, longest: 30 },
  6: {
    network: 'IPv6Network',
    length: 'IPv6SubnetLen',
    min: 'IPv6SubnetMin',
    max: 'IPv6SubnetMax',
    usual: 64,
    longest: 126,
  },
} as const;

function rangeOf(fields: Fields, family: Family): FlannelRange {
  const words = FAMILIES[family];
  const network = networkOf(fields, family);
  const least = network.length + 2;
  if (least > words.longest) throw fields.bad(`has ${words.network} ${network.text}, too small for four hosts`);
  const length = fields.number(words.length, 0, words.longest, 0) || Math.max(words.usual, least);
  if (length < least) throw fields.bad(`has ${words.length} ${length}, of which ${network.text} has no four`);
  const size = 1n << BigInt((family === 4 ? 32 : 128) - length);
  const bound = (word: string, otherwise: bigint): Ip => {
    const text = fields.text(word);
    const ip = text === '' ? undefined : tryParseIp(text);
    // an address of zeros is none, as in Go
    if (text === '' || ip?.value === 0n) return ipFromValue(family, otherwise);
    if (ip?.family !== family || !contains(network, ip) || ip.value % size !== 0n)
      throw fields.bad(`has ${word} "${text}", which is not where a /${length} of ${network.text} begins`);
    return ip;
  };
  // the first of all is nobody's: its address would be the network's
  const min = bound(words.min, network.first + size);
  const max = bound(words.max, network.last + 1n - size);
  if (min.value > max.value) throw fields.bad(`has ${words.min} ${min.text} behind ${words.max} ${max.text}`);
  return { network, length, min, max };
}

function networkOf(fields: Fields, family: Family): Prefix {
  const word = FAMILIES[family].network;
  const text = fields.text(word);
  try {
    const { first, length, family: found } = parsePrefix(text);
    if (found === family) return makePrefix(ipFromValue(family, first), length);
  } catch (error) {
    if (!(error instanceof NetloomError)) throw error;
  }
  throw fields.bad(`has ${word} "${text}", which is no IPv${family} prefix`);
}

function backendOf(fields: Fields, dual: boolean): FlannelBackend {
  const name = fields.text('Type', fields.has('Type') ? '' : 'udp').toLowerCase();
  const plain = { vni: 0, port: 0, mtu: 0, directRouting: false, families: [4, 6] } as const;
  switch (name) {
    case 'vxlan':
      if (fields.flag('GBP')) throw fields.bad('has GBP, which we do not have');
      return {
        ...{ name, families: [4, 6] },
        vni: fields.number('VNI', 1, 2 ** 24 - 1, 1),
        port: fields.number('Port', 0, 65535, 0),
        mtu: fields.number('MTU', 0, 65535, 0),
        directRouting: fields.flag('DirectRouting'),
      };
    case 'host-gw':
      return { ...plain, name };
    case 'udp':
      return { ...plain, name, port: fields.number('Port', 1, 65535, 8285), families: [4] };
    case 'ipip':
      return { ...plain, name, directRouting: fields.flag('DirectRouting'), families: [4] };
    case 'wireguard':
      if (fields.text('PSK') !== '') throw fields.bad('has a PSK, which we do not have');
      // flannel has an interface for each family then, and we one for both
      if (dual && /^(separate)?$/.test(fields.text('Mode')))
        throw fields.bad('has the mode "separate" for two families; we can be reached in the mode "ipv4"');
      return {
        ...{ ...plain, name },
        port: fields.number('ListenPort', 1, 65535, 51820),
        mtu: fields.number('MTU', 0, 65535, 0),
      };
    default:
      throw new NetloomError('EBADBACKEND', `the flannel network has backend "${name}", which netloom has not`, {
        hint: 'vxlan, host-gw, udp, ipip and wireguard are understood',
      });
  }
}
