import { asArray, asFlag, asObject, asString, asStrings, asTexts, Place } from '../cni/json.ts';
import { NetloomError } from '../errors.ts';
import type { PortProtocol, PortSpec } from '../model/index.ts';

/** One interface that a container is to have, as Podman says it. */
export interface Attachment {
  /** Name of the network. */
  readonly network: string;
  readonly ifname: string;
  /** Podman's own allocator chose them. */
  readonly addresses: readonly string[];
  readonly mac: string | undefined;
  readonly aliases: readonly string[];
  readonly options: Readonly<Record<string, string>>;
}

export interface PodmanSubnet {
  readonly subnet: string;
  /** Missing where the network has none. */
  readonly gateway?: string;
}

export interface PodmanRoute {
  readonly destination: string;
  readonly gateway: string;
  readonly metric?: number;
  /** `unicast`, `blackhole`, … */
  readonly kind: string;
}

/** A network as Podman keeps it: its definition comes along with every call. */
export interface PodmanNetwork {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  /** The bridge's name, or the interface below macvlan and ipvlan; empty where nothing was said. */
  readonly interface: string;
  readonly subnets: readonly PodmanSubnet[];
  readonly internal: boolean;
  readonly dns: boolean;
  readonly dnsServers: readonly string[];
  /** `host-local`, `dhcp`, `none`. */
  readonly ipam: string;
  readonly options: Readonly<Record<string, string>>;
  readonly routes: readonly PodmanRoute[];
}

/** What `setup` and `teardown` read. */
export interface Request {
  readonly container: string;
  readonly name: string;
  readonly attachments: readonly Attachment[];
  /** By name. Empty for a teardown, which needs none. */
  readonly networks: ReadonlyMap<string, PodmanNetwork>;
  readonly ports: readonly PortSpec[];
  /** `--dns` of the container. */
  readonly dnsServers: readonly string[];
}

/** Characters of a request at most: thousands of ports fit. */
export const REQUEST_MAX: number = 4 * 1024 * 1024;

/** @throws NetloomError ECNI with the place */
export function parseJson(text: string): Readonly<Record<string, unknown>> {
  if (text.length > REQUEST_MAX)
    throw new NetloomError('ECNI', `the configuration has more than ${REQUEST_MAX} characters`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new NetloomError('ECNI', `the configuration is no JSON: ${(error as Error).message}`, { cause: error });
  }
  return asObject(value, new Place());
}

/**
 * Reads what netavark is given on its standard input.
 * @param verb a teardown needs no more than who and where: what it does not understand must not keep it from happening
 */
export function parseRequest(text: string, verb: 'setup' | 'teardown'): Request {
  const place = new Place();
  const top = parseJson(text);
  const who = whoOf(top, place);
  const attachments = attachmentsOf(top['networks'], place.in('networks'));
  const setup = verb === 'setup';
  const info = place.in('network_info');
  const networks = Object.entries(setup ? asObject(top['network_info'] ?? {}, info) : {});
  return {
    ...who,
    attachments,
    networks: new Map(networks.map(([key, value]) => [key, networkOf(value, info.in(key))])),
    ports: setup ? portsOf(top['port_mappings'], place.in('port_mappings')) : portsLeniently(top['port_mappings']),
    dnsServers: setup ? asStrings(top['dns_servers'], place.in('dns_servers')) : [],
  };
}

/** Reads what netavark gives to a plugin: one network, and one interface on it. */
export function parsePluginRequest(text: string, verb: 'setup' | 'teardown'): Request {
  const place = new Place();
  const top = parseJson(text);
  const network = networkOf(top['network'], place.in('network'));
  const setup = verb === 'setup';
  return {
    ...whoOf(top, place),
    attachments: [attachmentOf(network.name, top['network_options'], place.in('network_options'))],
    networks: new Map([[network.name, network]]),
    ports: setup ? portsOf(top['port_mappings'], place.in('port_mappings')) : portsLeniently(top['port_mappings']),
    dnsServers: [],
  };
}

function whoOf(top: Readonly<Record<string, unknown>>, place: Place): { container: string; name: string } {
  const container = asString(top['container_id'], place.in('container_id'));
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(container))
    throw place.in('container_id').fail(`${JSON.stringify(container.slice(0, 80))} is no id`);
  return { container, name: textOf(top['container_name'], place.in('container_name')) };
}

/** A map by the network's name, or, from newer ones, a list whose order is that of the command line. */
function attachmentsOf(value: unknown, place: Place): Attachment[] {
  if (!Array.isArray(value))
    return Object.entries(asObject(value, place)).map(([key, each]) => attachmentOf(key, each, place.in(key)));
  return value.map((each, i) => {
    const at = place.in(i);
    return attachmentOf(asString(asObject(each, at)['name'], at.in('name')), each, at);
  });
}

function attachmentOf(network: string, value: unknown, place: Place): Attachment {
  const given = asObject(value, place);
  const ifname = asString(given['interface_name'], place.in('interface_name'));
  if (ifname === '') throw place.in('interface_name').fail('is empty');
  const mac = textOf(given['static_mac'], place.in('static_mac'));
  return {
    network,
    ifname,
    addresses: asStrings(given['static_ips'], place.in('static_ips')),
    mac: mac === '' ? undefined : mac,
    aliases: asStrings(given['aliases'], place.in('aliases')),
    options: asTexts(given['options'] ?? {}, place.in('options')),
  };
}

export function networkOf(value: unknown, place: Place): PodmanNetwork {
  const given = asObject(value, place);
  return {
    id: textOf(given['id'], place.in('id')),
    name: asString(given['name'], place.in('name')),
    driver: asString(given['driver'], place.in('driver')),
    interface: textOf(given['network_interface'], place.in('network_interface')),
    subnets: asArray(given['subnets'], place.in('subnets')).map((each, i) => {
      const at = place.in('subnets').in(i);
      const { subnet, gateway } = asObject(each, at);
      const said = textOf(gateway, at.in('gateway'));
      return { subnet: asString(subnet, at.in('subnet')), ...(said !== '' && { gateway: said }) };
    }),
    internal: asFlag(given['internal'] ?? false, place.in('internal')),
    dns: asFlag(given['dns_enabled'] ?? false, place.in('dns_enabled')),
    dnsServers: asStrings(given['network_dns_servers'], place.in('network_dns_servers')),
    ipam: asTexts(given['ipam_options'] ?? {}, place.in('ipam_options'))['driver'] ?? 'host-local',
    options: asTexts(given['options'] ?? {}, place.in('options')),
    routes: asArray(given['routes'], place.in('routes')).map((each, i) => {
      const at = place.in('routes').in(i);
      const { destination, gateway, metric, route_type: kind } = asObject(each, at);
      return {
        destination: asString(destination, at.in('destination')),
        gateway: textOf(gateway, at.in('gateway')),
        ...(Number.isInteger(metric) && { metric: metric as number }),
        kind: textOf(kind, at.in('route_type')) || 'unicast',
      };
    }),
  };
}

function portsOf(value: unknown, place: Place): PortSpec[] {
  return asArray(value, place).flatMap((each, i) => {
    const at = place.in(i);
    const given = asObject(each, at);
    const count = given['range'] === undefined || given['range'] === 0 ? 1 : numberOf(given['range'], at.in('range'));
    const hostAddress = textOf(given['host_ip'], at.in('host_ip'));
    // several at once, with commas between them
    const protocols = textOf(given['protocol'], at.in('protocol')) || 'tcp';
    return protocols.split(',').map((word) => ({
      protocol: protocolOf(word, at.in('protocol')),
      ...(hostAddress !== '' && { hostAddress }),
      hostPort: numberOf(given['host_port'], at.in('host_port')),
      containerPort: numberOf(given['container_port'], at.in('container_port')),
      count,
      // Podman binds to it before, so that nobody else does
      held: true,
    }));
  });
}

/** Of a teardown, which only hands them on to another interface: none where they cannot be read. */
function portsLeniently(value: unknown): PortSpec[] {
  try {
    return portsOf(value, new Place());
  } catch {
    return [];
  }
}

function protocolOf(word: string, place: Place): PortProtocol {
  const name = word.trim().toLowerCase();
  if (name === 'tcp' || name === 'udp' || name === 'sctp') return name;
  throw place.fail(`${JSON.stringify(word)} is not tcp, udp or sctp`);
}

function numberOf(value: unknown, place: Place): number {
  if (Number.isInteger(value) && (value as number) > 0 && (value as number) < 65_536) return value as number;
  throw place.fail('a number from 1 to 65535 is wanted');
}

/** Nothing is an empty text: what Go writes for one, or leaves out. */
function textOf(value: unknown, place: Place): string {
  return value === undefined || value === null ? '' : asString(value, place);
}
