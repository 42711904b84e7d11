import {
  broadcastOf,
  contains,
  ipFromValue,
  network as networkOf,
  overlaps,
  parseIp,
  parsePrefix,
} from '../addr/index.ts';
import type { Family, Ip, Prefix } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import { parseBridgeOptions } from './bridge-options.ts';
import { checkName, nearest, within } from './names.ts';
import type { DriverName, NetworkOptions, NetworkSpec, Network, Subnet, SubnetSpec } from './network.ts';
import { shortId } from './refs.ts';

/** A network's parts that follow from its spec alone. `automatic` families still need a subnet from the pools. */
export interface NetworkParts extends Pick<Network, 'name' | 'driver' | 'internal' | 'subnets' | 'options' | 'labels'> {
  readonly automatic: readonly Family[];
}
export interface NetworkContext {
  /** The new network's id: a bridge without a name is called after it. */
  readonly id: string;
  /** The engine makes its own `bridge`, `host` or `none`. */
  readonly predefined?: boolean;
}

const DRIVERS: readonly DriverName[] = ['bridge', 'host', 'none'];
const LATER = ['overlay', 'macvlan', 'ipvlan', 'tap', 'vxlan', 'null', 'nat', 'transparent', 'l2bridge'];
const PREDEFINED = ['bridge', 'host', 'none', 'default'];

/**
 * Checks everything about a wanted network that needs no kernel and no other network.
 * @throws NetloomError EBADNAME, EPREDEFINED, EBADDRIVER, EBADOPTION, EBADIFNAME, EBADPREFIX, EBADSUBNET, EBADGATEWAY,
 *   EBADADDRESS, EADDROUTSIDE, ESUBNETOVERLAP
 */
export function parseNetworkSpec(spec: NetworkSpec, context: NetworkContext): NetworkParts {
  const name = checkName('network', spec.name);
  if (context.predefined !== true && PREDEFINED.includes(name)) {
    throw new NetloomError('EPREDEFINED', `network "${name}" is predefined: choose another name`);
  }
  return within(`network ${name}`, () => {
    const driver = parseDriver(spec.driver ?? 'bridge', context.predefined === true);
    const labels = { ...spec.labels };
    if (driver !== 'bridge') {
      if ((spec.subnets ?? []).length > 0)
        throw new NetloomError('EBADSUBNET', `the ${driver} driver has no subnets: leave them out`);
      const [key] = Object.keys(spec.options ?? {});
      if (key !== undefined)
        throw new NetloomError('EBADOPTION', `the ${driver} driver has no option "${key}": leave it out`);
      return {
        name,
        driver,
        internal: spec.internal ?? false,
        subnets: [],
        automatic: [],
        options: { driver },
        labels,
      };
    }
    const { subnets, automatic } = parseSubnets(spec);
    const options: NetworkOptions = parseBridgeOptions(spec.options ?? {}, {
      bridge: `br-${shortId(context.id)}`,
      ipv6: automatic.includes(6) || subnets.some(({ subnet }) => subnet.includes(':')),
    });
    return { name, driver, internal: spec.internal ?? false, subnets, automatic, options, labels };
  });
}

/** A subnet as stored, its gateway the first address: for those chosen from the pools. */
export function subnetOf(prefix: Prefix): Subnet {
  const subnet = networkOf(prefix);
  return { subnet: subnet.text, gateway: firstHost(subnet).text };
}

function parseDriver(text: string, predefined: boolean): DriverName {
  const driver = DRIVERS.find((known) => known === text);
  if (driver === undefined) {
    if (LATER.includes(text))
      throw new NetloomError('EBADDRIVER', `driver "${text}" is not in this release: use bridge`);
    const near = nearest(text, DRIVERS);
    throw new NetloomError(
      'EBADDRIVER',
      `there is no driver "${text}": ${near === undefined ? 'use bridge' : `did you mean "${near}"?`}`,
    );
  }
  if (driver !== 'bridge' && !predefined) {
    throw new NetloomError(
      'EBADDRIVER',
      `there is one network of driver "${driver}" only, called "${driver}": use that one`,
    );
  }
  return driver;
}

function parseSubnets(spec: NetworkSpec): { subnets: Subnet[]; automatic: Family[] } {
  const given = (spec.subnets ?? []).filter((subnet) => !isEmpty(subnet)).map(parseSubnet);
  given.sort((a, b) => a.prefix.family - b.prefix.family);
  for (const [i, a] of given.entries()) {
    for (const b of given.slice(i + 1)) {
      if (overlaps(a.prefix, b.prefix)) {
        throw new NetloomError(
          'ESUBNETOVERLAP',
          `subnets ${a.prefix.text} and ${b.prefix.text} overlap: give one of them`,
        );
      }
      if (a.prefix.family === b.prefix.family) {
        throw new NetloomError(
          'EBADSUBNET',
          `subnets ${a.prefix.text} and ${b.prefix.text}: a network has one per family`,
          {
            hint: 'make a second network, or one larger subnet',
          },
        );
      }
    }
  }
  const has = (family: Family): boolean => given.some(({ prefix }) => prefix.family === family);
  const want4 = spec.ipv4 ?? true;
  const want6 = spec.ipv6 ?? has(6);
  for (const { prefix } of given) {
    if (!(prefix.family === 4 ? want4 : want6)) {
      throw new NetloomError(
        'EBADSUBNET',
        `subnet ${prefix.text} is IPv${prefix.family}, which is switched off for this network: leave one out`,
      );
    }
  }
  if (!want4 && !want6) throw new NetloomError('EBADSUBNET', 'both IPv4 and IPv6 are switched off: keep one');
  const automatic: Family[] = [];
  if (want4 && !has(4)) automatic.push(4);
  if (want6 && !has(6)) automatic.push(6);
  return { subnets: given.map(({ subnet }) => subnet), automatic };
}

function isEmpty(spec: SubnetSpec): boolean {
  if (spec.subnet !== undefined && spec.subnet !== '') return false;
  for (const [key, value] of [
    ['a gateway', spec.gateway],
    ['an address range', spec.ipRange],
    ['an auxiliary address', Object.values(spec.auxAddresses ?? {})[0]],
  ] as const) {
    if (value !== undefined && value !== '')
      throw new NetloomError('EBADSUBNET', `${key} (${value}) needs its subnet: give that too`);
  }
  return true;
}

function parseSubnet(spec: SubnetSpec): { prefix: Prefix; subnet: Subnet } {
  const prefix = parsePrefix(spec.subnet ?? '', { strict: true });
  checkUsable(prefix);
  const gateway =
    spec.gateway === 'none'
      ? undefined
      : spec.gateway === undefined || spec.gateway === ''
        ? firstHost(prefix)
        : parseGateway(spec.gateway, prefix);
  const ipRange = spec.ipRange === undefined || spec.ipRange === '' ? undefined : parseRange(spec.ipRange, prefix);
  const aux: Record<string, string> = {};
  for (const [name, text] of Object.entries(spec.auxAddresses ?? {}))
    aux[name] = parseAux(name, text, prefix, gateway).text;
  return {
    prefix,
    subnet: {
      subnet: prefix.text,
      gateway: gateway?.text ?? '',
      ...(ipRange && { ipRange: ipRange.text }),
      ...(Object.keys(aux).length > 0 && { auxAddresses: aux }),
    },
  };
}

/** Networks that no endpoint can live in, by RFC 6890. */
const SPECIAL: readonly (readonly [prefix: Prefix, what: string])[] = [
  [parsePrefix('0.0.0.0/8'), '"this network"'],
  [parsePrefix('127.0.0.0/8'), 'loopback'],
  [parsePrefix('224.0.0.0/3'), 'multicast and reserved space'],
  [parsePrefix('::/96'), 'loopback'],
  [parsePrefix('::ffff:0:0/96'), 'IPv4-mapped space'],
  [parsePrefix('fe80::/10'), 'link-local space'],
  [parsePrefix('ff00::/8'), 'multicast'],
];

function checkUsable(prefix: Prefix): void {
  const longest = prefix.family === 4 ? 30 : 126;
  if (prefix.length > longest) {
    throw new NetloomError(
      'EBADSUBNET',
      `subnet ${prefix.text} has no room for a gateway and an endpoint: its length is ${longest} at most`,
    );
  }
  for (const [special, what] of SPECIAL) {
    if (overlaps(special, prefix)) {
      throw new NetloomError('EBADSUBNET', `subnet ${prefix.text} overlaps ${special.text}, which is ${what}`, {
        hint: 'take private space: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fd00::/8',
      });
    }
  }
}

function parseGateway(text: string, subnet: Prefix): Ip {
  const gateway = within('gateway', () => parseIp(text));
  if (!contains(subnet, gateway)) {
    throw new NetloomError('EBADGATEWAY', `gateway ${gateway.text} is outside the subnet ${subnet.text}`, {
      hint: `take one inside, such as ${firstHost(subnet).text}`,
    });
  }
  if (gateway.value === subnet.first || gateway.value === broadcastOf(subnet)?.value) {
    const what = gateway.value === subnet.first ? 'network' : 'broadcast';
    throw new NetloomError('EBADGATEWAY', `gateway ${gateway.text} is the ${what} address of ${subnet.text}`, {
      hint: `take another, such as ${firstHost(subnet).text}`,
    });
  }
  return gateway;
}

function parseRange(text: string, subnet: Prefix): Prefix {
  const range = within('address range', () => parsePrefix(text, { strict: true }));
  if (!contains(subnet, range)) {
    throw new NetloomError('EBADSUBNET', `address range ${range.text} is not inside the subnet ${subnet.text}`);
  }
  return range;
}

function parseAux(name: string, text: string, subnet: Prefix, gateway: Ip | undefined): Ip {
  const address = within(`auxiliary address ${name}`, () => parseIp(text));
  if (!contains(subnet, address)) {
    throw new NetloomError(
      'EADDROUTSIDE',
      `auxiliary address ${name}=${address.text} is outside the subnet ${subnet.text}`,
    );
  }
  if (address.value === gateway?.value) {
    throw new NetloomError(
      'EBADSUBNET',
      `auxiliary address ${name}=${address.text} is the gateway's: choose another for one of them`,
    );
  }
  return address;
}

function firstHost(subnet: Prefix): Ip {
  return ipFromValue(subnet.family, subnet.first + 1n);
}
