import {
  contains,
  ipFromValue,
  network as baseOf,
  overlaps,
  parseIp,
  parsePrefix,
  type Prefix,
} from '../addr/index.ts';
import { asArray, asObject, asString, asStrings, Place } from '../cni/json.ts';
import { NetloomError } from '../errors.ts';
import type { EngineApi } from '../model/index.ts';
import { networkOf, parseJson } from './input.ts';
import { PLUGIN_DRIVER, specOf } from './network.ts';

type Json = Readonly<Record<string, unknown>>;
interface SubnetJson extends Json {
  readonly subnet: string;
}

/** What of the host and of Podman's other networks a new one must keep clear of, and where subnets come from. */
interface Surroundings {
  readonly interfaces: readonly string[];
  readonly names: readonly string[];
  readonly subnets: readonly Prefix[];
  readonly pools: readonly { readonly base: Prefix; readonly size: number }[];
  /** Bridges are called by it and a number. */
  readonly interfacePrefix: string;
}

/**
 * `netavark create`: makes of what `podman network create` was told a whole definition, which Podman keeps. Nothing is done
 * to the host. What could not be set up later is refused now.
 * @param created ISO 8601
 * @see https://github.com/containers/netavark/blob/main/docs/netavark-create-input.md
 */
export function createNetwork(text: string, created: string): object {
  const place = new Place();
  const top = parseJson(text);
  const given = asObject(top['network'], place.in('network'));
  const around = surroundingsOf(top, place);
  const { name, driver } = networkOf(given, place.in('network'));
  checkIdentity(given, around, place.in('network'));
  const whole = driver === 'bridge' ? bridge(given, around) : lan(given, driver);
  const settled = settle(whole, name, place.in('network'));
  specOf(networkOf(settled, place.in('network')));
  return { ...settled, created };
}

/** The same for netavark's plugin, which is told the network alone: subnets come from the engine's pools. */
export async function createForPlugin(api: EngineApi, text: string): Promise<object> {
  const place = new Place();
  const given = parseJson(text);
  const { name, id, driver, subnets, options } = networkOf(given, place);
  const lower = options['driver'] ?? 'bridge';
  const bridged = driver !== PLUGIN_DRIVER || lower === 'bridge';
  let asked: Json = {
    ...given,
    ipam_options: { driver: 'host-local', ...asObject(given['ipam_options'] ?? {}, place) },
  };
  if (bridged && (given['network_interface'] ?? '') === '')
    asked = { ...asked, network_interface: `nl-${id.slice(0, 10)}` };
  if (subnets.length === 0) {
    const planned = await api.networkCreate(
      { name, ipv6: given['ipv6_enabled'] === true, options: { name: asString(asked['network_interface'], place) } },
      { dryRun: true },
    );
    asked = { ...asked, subnets: planned.value.subnets.map(({ subnet, gateway }) => ({ subnet, gateway })) };
  }
  const settled = settle(asked, name, place);
  const spec = specOf(networkOf(settled, place));
  await api.networkCreate(spec, { dryRun: true });
  return settled;
}

function surroundingsOf(top: Json, place: Place): Surroundings {
  const used = asObject(top['used'] ?? {}, place.in('used'));
  const options = asObject(top['options'] ?? {}, place.in('options'));
  const pools = place.in('options').in('subnet_pools');
  return {
    interfaces: asStrings(used['interfaces'], place.in('used').in('interfaces')),
    names: Object.keys(asObject(used['names'] ?? {}, place.in('used').in('names'))),
    subnets: asStrings(used['subnets'], place.in('used').in('subnets')).map((each) => parsePrefix(each)),
    pools: asArray(options['subnet_pools'], pools).map((each, i) => {
      const { base, size } = asObject(each, pools.in(i));
      if (!Number.isInteger(size)) throw pools.in(i).in('size').fail('a number is wanted');
      return { base: parsePrefix(asString(base, pools.in(i).in('base'))), size: size as number };
    }),
    interfacePrefix: asString(options['default_interface_name'] ?? 'podman', place.in('options')),
  };
}

function checkIdentity(given: Json, { names }: Surroundings, place: Place): void {
  const [name, id] = [asString(given['name'], place.in('name')), asString(given['id'], place.in('id'))];
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name))
    throw place
      .in('name')
      .fail(`${JSON.stringify(name)} is no name`, 'letters, digits and _.- only, a letter or digit first');
  if (!/^[0-9a-f]{64}$/.test(id)) throw place.in('id').fail('64 hexadecimal digits are wanted');
  if (names.includes(name)) throw new NetloomError('ENAMETAKEN', `network already exists: ${name}`);
}

function bridge(given: Json, around: Surroundings): Json {
  const { options, interface: asked, ipam, subnets, id } = networkOf(given, new Place('network'));
  // Docker's words, which Podman takes as well
  const { 'com.docker.network.driver.mtu': mtu, 'com.docker.network.bridge.name': named, ...rest } = options;
  const name = named ?? asked;
  if (name !== '' && around.interfaces.includes(name))
    throw new NetloomError('ENAMETAKEN', `network_interface: bridge name ${name} already in use`);
  if (ipam !== 'host-local' && ipam !== '') return given; // refused by whoever reads all of it
  const chosen = [...subnets];
  if (chosen.length === 0) chosen.push({ subnet: freeSubnet(around, []) });
  if (given['ipv6_enabled'] === true) {
    if (!chosen.some(({ subnet }) => subnet.includes('.')))
      chosen.push({
        subnet: freeSubnet(
          around,
          chosen.map(({ subnet }) => parsePrefix(subnet)),
        ),
      });
    // RFC 4193: as random as the id
    if (!chosen.some(({ subnet }) => subnet.includes(':')))
      chosen.push({
        subnet: baseOf(parsePrefix(`fd${id.slice(0, 2)}:${id.slice(2, 6)}:${id.slice(6, 10)}:${id.slice(10, 14)}::/64`))
          .text,
      });
  }
  const listed = asArray(given['subnets'], new Place()) as readonly SubnetJson[];
  return {
    ...given,
    network_interface: name === '' ? freeName(around) : name,
    ...(given['options'] !== undefined && { options: { ...rest, ...(mtu !== undefined && { mtu }) } }),
    subnets: chosen.map(({ subnet }) => listed.find((each) => each.subnet === subnet) ?? { subnet }),
    ipam_options: { driver: 'host-local' },
  };
}

/** Podman has no names on these, as netavark says. */
function lan(given: Json, driver: string): Json {
  if (driver !== 'macvlan' && driver !== 'ipvlan')
    throw new NetloomError('EBADDRIVER', `network.driver: there is no "${driver}"`, {
      hint: 'it is bridge, macvlan or ipvlan',
    });
  const { subnets } = networkOf(given, new Place('network'));
  const asked = asObject(given['ipam_options'] ?? {}, new Place('network.ipam_options'))['driver'] ?? '';
  if (asked === 'dhcp' && subnets.length > 0)
    throw new NetloomError('EBADOPTION', 'network.ipam_options.driver: dhcp, and there are subnets', {
      hint: 'leave one out',
    });
  const ipam = asked === '' ? (subnets.length === 0 ? 'dhcp' : 'host-local') : asked;
  if (ipam === 'dhcp' && driver === 'ipvlan')
    throw new NetloomError('EBADOPTION', 'network.subnets: ipvlan needs one', { hint: 'create it with --subnet' });
  return { ...given, dns_enabled: false, ipam_options: { driver: ipam } };
}

/** Gateways, and what of the subnets must fit each other. */
function settle(given: Json, name: string, place: Place): Json {
  const { subnets, internal, dns, dnsServers } = networkOf(given, place);
  if (dnsServers.length > 0 && !dns)
    throw new NetloomError('EBADOPTION', `network.network_dns_servers: DNS is not enabled for network ${name}`);
  for (const server of dnsServers) parseIp(server);
  const listed = asArray(given['subnets'], place.in('subnets')) as readonly SubnetJson[];
  const whole = subnets.map(({ subnet, gateway }, i) => {
    const prefix = baseOf(parsePrefix(subnet));
    if (gateway !== undefined && !contains(prefix, parseIp(gateway)))
      throw new NetloomError('EBADGATEWAY', `gateway ${gateway} not in subnet ${prefix.text}`);
    checkRange(listed[i]?.['lease_range'], prefix);
    const own = gateway ?? (!internal || dns ? ipFromValue(prefix.family, prefix.first + 1n).text : undefined);
    return { ...listed[i], subnet: prefix.text, ...(own !== undefined && { gateway: own }) };
  });
  return {
    ...given,
    ...(whole.length > 0 && { subnets: whole }),
    ipv6_enabled: given['ipv6_enabled'] === true || whole.some(({ subnet }) => subnet.includes(':')),
  };
}

function checkRange(range: unknown, subnet: Prefix): void {
  if (range === undefined || range === null) return;
  for (const key of ['start_ip', 'end_ip']) {
    const address = asObject(range, new Place('lease_range'))[key];
    if (address === undefined || address === null || address === '') continue;
    const ip = parseIp(asString(address, new Place(`lease_range.${key}`)));
    if (!contains(subnet, ip))
      throw new NetloomError('EADDROUTSIDE', `lease range ${key} ${ip.text} not in subnet ${subnet.text}`);
  }
}

function freeName({ interfacePrefix, interfaces, names }: Surroundings): string {
  for (let i = 1; ; i++) {
    const name = `${interfacePrefix}${i}`;
    if (!interfaces.includes(name) && !names.includes(name)) return name;
  }
}

/** The first of the pools that nobody has. */
function freeSubnet({ pools, subnets }: Surroundings, own: readonly Prefix[]): string {
  const taken = [...subnets, ...own];
  for (const { base, size } of pools) {
    if (base.family !== 4 || size < base.length || size > 30) continue;
    const step = 1n << BigInt(32 - size);
    for (let at = base.first; at + step - 1n <= base.last;) {
      const prefix = parsePrefix(`${ipFromValue(4, at).text}/${size}`);
      const inWay = taken.filter((each) => overlaps(each, prefix));
      if (inWay.length === 0) return prefix.text;
      // behind whatever is in the way, at the next multiple
      const last = inWay.reduce((most, each) => (each.last > most ? each.last : most), at);
      at = ((last + step) / step) * step;
    }
  }
  throw new NetloomError('EPOOLEXHAUSTED', 'could not find a free subnet in the pools', {
    hint: 'give one (--subnet), or default_subnet_pools in containers.conf',
  });
}
