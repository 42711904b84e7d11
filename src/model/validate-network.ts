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
import { badOption, oneOf } from './driver-options.ts';
import { parseIpvlanOptions, parseMacvlanOptions } from './lan-options.ts';
import { checkName, nearest, within } from './names.ts';
import { type OverlayWish, parseOverlayOptions } from './overlay-options.ts';
import type { DriverName, Ipam, NetworkOptions, NetworkSpec, Network, Subnet, SubnetSpec } from './network.ts';
import { shortId } from './refs.ts';
import { parseUpstreams } from './validate-endpoint.ts';

/** A network's parts that follow from its spec alone. `automatic` families still need a subnet from the pools. */
export interface NetworkParts extends Pick<
  Network,
  'name' | 'driver' | 'internal' | 'subnets' | 'options' | 'upstreams' | 'labels'
> {
  readonly ipam: Ipam;
  readonly automatic: readonly Family[];
  /** Of the driver `overlay`, whose `subnets` are all hosts'. */
  readonly overlay?: OverlayWish;
}
export interface NetworkContext {
  /** The new network's id: a bridge without a name is called after it. */
  readonly id: string;
  /** The engine makes its own `bridge`, `host` or `none`. */
  readonly predefined?: boolean;
}

const DRIVERS: readonly DriverName[] = ['bridge', 'overlay', 'macvlan', 'ipvlan', 'host', 'none'];
const LATER = ['vxlan', 'null', 'nat', 'transparent', 'l2bridge'];
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
    if (driver === 'host' || driver === 'none') {
      if ((spec.subnets ?? []).length > 0)
        throw new NetloomError('EBADSUBNET', `the ${driver} driver has no subnets: leave them out`);
      const [key] = Object.keys(spec.options ?? {});
      if (key !== undefined)
        throw new NetloomError('EBADOPTION', `the ${driver} driver has no option "${key}": leave it out`);
      const internal = spec.internal ?? false;
      return { name, driver, internal, subnets: [], automatic: [], options: { driver }, ipam: 'pool', labels };
    }
    const { ipam, rest: all } = splitIpam(spec);
    const shared = driver === 'overlay' ? parseOverlayOptions(all) : undefined;
    const rest = shared?.rest ?? all;
    if (shared && ipam === 'dhcp') throw badOption('ipam', 'dhcp', 'hosts share the addresses: leave it out');
    if (ipam === 'dhcp' && (spec.subnets ?? []).some((subnet) => !isEmpty(subnet)))
      throw new NetloomError('EBADSUBNET', 'the addresses come from the segment’s DHCP server: leave subnets out');
    const given = ipam === 'dhcp' ? { subnets: [], automatic: [] } : parseSubnets(spec);
    const ipv6 = given.automatic.includes(6) || given.subnets.some(({ subnet }) => subnet.includes(':'));
    const wanted = spec.internal ?? false;
    const options: NetworkOptions =
      driver === 'bridge' || driver === 'overlay'
        ? parseBridgeOptions(rest, { bridge: `br-${shortId(context.id)}`, ipv6, internal: wanted })
        : driver === 'macvlan'
          ? parseMacvlanOptions(rest, ipv6)
          : parseIpvlanOptions(rest, ipv6);
    if (ipam === 'dhcp') checkDhcp(options);
    if (shared) checkShared(spec, shared, given.subnets);
    return {
      ...(shared && { overlay: shared }),
      name,
      driver,
      // a network whose endpoints have nothing below them leads nowhere
      internal: wanted || (options.driver !== 'bridge' && options.parent === ''),
      subnets: given.subnets.map((subnet) => settleSubnet(subnet, options, asked(spec, subnet))),
      automatic: given.automatic,
      options,
      ipam,
      ...upstreamsOf(spec.upstreams),
      labels,
    };
  });
}

/** @throws NetloomError EBADADDRESS */
export function upstreamsOf(texts: readonly string[] = []): Pick<Network, 'upstreams'> {
  return texts.length === 0 ? {} : { upstreams: parseUpstreams(texts) };
}

/**
 * What a driver makes of a subnet's gateway: none where nothing is sent to one (ipvlan's modes l3 and l3s) or where the
 * bridge has no address (gateway mode `isolated`). An address that the host itself has on the segment is kept from
 * endpoints. @param asked the gateway was written by a person
 */
export function settleSubnet(subnet: Subnet, options: NetworkOptions, asked = false): Subnet {
  const { family } = parsePrefix(subnet.subnet);
  if (options.driver === 'ipvlan' && options.mode !== 'l2') {
    if (!asked) return { ...subnet, gateway: '' };
    throw new NetloomError(
      'EBADGATEWAY',
      `gateway ${subnet.gateway}: ipvlan in mode ${options.mode} sends everything to the host’s routes: leave it out`,
    );
  }
  if (options.driver === 'bridge') {
    const mode = family === 4 ? options.gatewayMode4 : options.gatewayMode6;
    if (mode !== 'isolated') return subnet;
    if (!asked) return { ...subnet, gateway: '' };
    throw new NetloomError(
      'EBADGATEWAY',
      `gateway ${subnet.gateway}: in the gateway mode isolated the bridge has no address: leave one of the two out`,
    );
  }
  const shim = options.driver === 'macvlan' ? options.shim.find((text) => parseIp(text).family === family) : undefined;
  if (shim === undefined) return subnet;
  if (!contains(parsePrefix(subnet.subnet), parseIp(shim))) {
    throw badOption('shim', shim, `the host’s address must be inside the subnet ${subnet.subnet}`);
  }
  if (shim === subnet.gateway) throw badOption('shim', shim, 'that is the gateway’s address: choose another');
  return { ...subnet, auxAddresses: { ...subnet.auxAddresses, [SHIM]: shim } };
}
/** The name under which the host's own address is kept from endpoints. */
const SHIM = 'host-shim';

function asked(spec: NetworkSpec, { gateway }: Subnet): boolean {
  return gateway !== '' && (spec.subnets ?? []).some((s) => s.gateway !== undefined && s.gateway !== '');
}

function splitIpam(spec: NetworkSpec): { ipam: Ipam; rest: Readonly<Record<string, string>> } {
  const { ipam: option, ...rest } = spec.options ?? {};
  if (option !== undefined && spec.ipam !== undefined && option !== spec.ipam) {
    throw new NetloomError('EBADOPTION', `option ipam=${option} and IPAM driver ${spec.ipam} differ: give one`);
  }
  // `default` is Docker's word for its pools
  const text = option ?? spec.ipam ?? 'pool';
  return { ipam: text === 'default' ? 'pool' : oneOf(['pool', 'dhcp'])(text, 'ipam'), rest };
}

/** @throws NetloomError EBADOPTION where a DHCP server could not tell endpoints apart, or none could be reached */
function checkDhcp(options: NetworkOptions): void {
  const why =
    options.driver === 'ipvlan' && options.mode !== 'l2'
      ? `ipvlan in mode ${options.mode} carries no broadcasts, which DHCP needs: use mode l2, or give a subnet`
      : options.driver === 'macvlan' && options.parent === ''
        ? 'there is no segment with a DHCP server on it: give parent'
        : options.driver === 'ipvlan' && options.parent === ''
          ? 'there is no segment with a DHCP server on it: give parent'
          : '';
  if (why !== '') throw badOption('ipam', 'dhcp', why);
}

/** In the plan `node` a range is divided, and what of a host's part is whose follows from that. @throws NetloomError EBADSUBNET */
function checkShared(spec: NetworkSpec, { plan, nodeLength, flannel }: OverlayWish, subnets: readonly Subnet[]): void {
  const [given] = subnets;
  if (flannel && given)
    throw new NetloomError('EBADSUBNET', `${given.subnet}: flannel’s configuration says which addresses: leave it out`);
  if (plan === 'flat') return;
  for (const { gateway, ipRange, auxAddresses } of spec.subnets ?? []) {
    const [what] = [gateway, ipRange, ...Object.values(auxAddresses ?? {})].filter((text) => text);
    if (what !== undefined) {
      throw new NetloomError('EBADSUBNET', `${what}: each host has a prefix of its own, and its gateway there`, {
        hint: 'leave gateway, address range and auxiliary addresses out, or give plan=flat',
      });
    }
  }
  for (const { subnet } of subnets) {
    const { family, length } = parsePrefix(subnet);
    if (nodeLength[family] <= length || nodeLength[family] > length + 16) {
      const key = family === 4 ? 'node_prefix' : 'node_prefix6';
      throw badOption(key, nodeLength[family], `of ${subnet}, a host's part is /${length + 1} to /${length + 16}`);
    }
  }
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
  if ((driver === 'host' || driver === 'none') && !predefined) {
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

/** One subnet as asked. @throws NetloomError EBADPREFIX, EBADSUBNET, EBADGATEWAY, EBADADDRESS, EADDROUTSIDE */
export function parseSubnet(spec: SubnetSpec): { prefix: Prefix; subnet: Subnet } {
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
