import { contains, parseIp, parsePrefix } from '../addr/index.ts';
import type { NetworkSpec, SubnetSpec } from '../model/index.ts';
import type { Position } from './errors.ts';
import { EXTERNAL_KEYS, IPAM_CONFIG_KEYS, IPAM_KEYS, NETWORK_KEYS } from './keys.ts';
import type { Ignore, Reader } from './reader.ts';
import type { Entry, Tree } from './tree.ts';

/** A network of the file, before the project's name is put in front. */
export interface ComposeNetwork {
  readonly key: string;
  readonly at: Position;
  /** Made by somebody else: joined, never created or removed. */
  readonly external: boolean;
  /** The name that the file gives; empty for `PROJECT_KEY`. */
  readonly name: string;
  readonly spec: Omit<NetworkSpec, 'name'>;
}

type Path = (key: string) => string;

export function readNetwork(reader: Reader, key: string, entry: Entry, above: Ignore): ComposeNetwork {
  const path: Path = (inner) => `networks.${key}.${inner}`;
  const tree = entry.value;
  const keys = reader.section(tree, `networks.${key}`, NETWORK_KEYS, reader.ignore(tree, `networks.${key}`, above));
  const at = entry.keyAt;
  const string = (name: string): string | undefined => {
    const found = keys.get(name);
    return found === undefined ? undefined : reader.string(found.value, path(name));
  };
  const boolean = (name: string): boolean | undefined => {
    const found = keys.get(name);
    return found === undefined ? undefined : reader.boolean(found.value, path(name));
  };

  const external = readExternal(reader, keys.get('external'), path);
  if (external !== undefined) {
    for (const [other, { keyAt }] of keys) {
      if (other === 'external' || other === 'name') continue;
      reader.fail(keyAt, path(other), 'an external network is taken as it is', 'remove the key, or external');
    }
    return { key, at, external: true, name: string('name') ?? (external === '' ? key : external), spec: {} };
  }
  const ipam = keys.get('ipam');
  const options = keys.get('driver_opts');
  const labels = keys.get('labels');
  const driver = string('driver');
  const internal = boolean('internal');
  const ipv4 = boolean('enable_ipv4');
  const ipv6 = boolean('enable_ipv6');
  const { dhcp, subnets } =
    ipam === undefined ? { dhcp: false, subnets: [] } : readIpam(reader, ipam.value, path('ipam'));
  const spec: Omit<NetworkSpec, 'name'> = {
    driver: driver ?? 'bridge',
    ...(internal === undefined ? {} : { internal }),
    ...(ipv4 === undefined ? {} : { ipv4 }),
    ...(ipv6 === undefined ? {} : { ipv6 }),
    ...(dhcp ? { ipam: 'dhcp' } : {}),
    ...(subnets.length === 0 ? {} : { subnets }),
    ...(options === undefined ? {} : { options: record(reader, options.value, path('driver_opts')) }),
    ...(labels === undefined ? {} : { labels: record(reader, labels.value, path('labels')) }),
  };
  return { key, at, external: false, name: string('name') ?? '', spec };
}

/** The name of an external network, empty for its key; undefined for one of our own. `{name}` is the older way. */
function readExternal(reader: Reader, entry: Entry | undefined, path: Path): string | undefined {
  if (entry === undefined) return undefined;
  if (entry.value.kind !== 'map') return reader.boolean(entry.value, path('external')) === true ? '' : undefined;
  const name = reader.section(entry.value, path('external'), EXTERNAL_KEYS, new Set()).get('name');
  return name === undefined ? '' : reader.string(name.value, path('external.name'));
}

/** `driver: dhcp` is netloom's own word: the addresses come from a server of the segment. */
function readIpam(reader: Reader, tree: Tree, path: string): { dhcp: boolean; subnets: SubnetSpec[] } {
  const keys = reader.section(tree, path, IPAM_KEYS, new Set());
  const driver = keys.get('driver');
  const word = driver === undefined ? 'default' : reader.string(driver.value, `${path}.driver`);
  if (driver !== undefined && word !== 'default' && word !== 'dhcp')
    reader.fail(driver.value.at, `${path}.driver`, 'there is no such address driver', 'write default or dhcp');
  const config = keys.get('config');
  const blocks = config === undefined ? [] : (reader.list(config.value, `${path}.config`) ?? []);
  const subnets = blocks.map((block, index) => readSubnet(reader, block, `${path}.config[${index}]`));
  return { dhcp: word === 'dhcp', subnets };
}

/** Checks what can be seen without the host: that the addresses are addresses, and lie in their subnet. */
function readSubnet(reader: Reader, tree: Tree, path: string): SubnetSpec {
  const keys = reader.section(tree, path, IPAM_CONFIG_KEYS, new Set());
  const read = <T>(key: string, parse: (text: string) => T): { text: string; value: T } | undefined => {
    const entry = keys.get(key);
    const text = entry === undefined ? undefined : reader.string(entry.value, `${path}.${key}`);
    const value = text === undefined ? undefined : reader.attempt(entry!.value.at, `${path}.${key}`, () => parse(text));
    return text === undefined || value === undefined ? undefined : { text, value };
  };
  const subnet = read('subnet', (text) => parsePrefix(text, { strict: true }));
  const inside = (key: string, at: Position, what: Parameters<typeof contains>[1], text: string): void => {
    if (subnet !== undefined && !contains(subnet.value, what)) {
      reader.fail(at, `${path}.${key}`, `${text} is outside the subnet ${subnet.text}`, 'choose one inside');
    }
  };
  const gateway = read('gateway', parseIp);
  if (gateway !== undefined) inside('gateway', keys.get('gateway')!.value.at, gateway.value, gateway.text);
  const range = read('ip_range', (text) => parsePrefix(text));
  if (range !== undefined) inside('ip_range', keys.get('ip_range')!.value.at, range.value, range.text);

  const auxAddresses: Record<string, string> = {};
  const aux = keys.get('aux_addresses');
  const pairs = aux === undefined ? undefined : reader.pairs(aux.value, `${path}.aux_addresses`);
  for (const [name, { at, value }] of pairs ?? []) {
    const here = `aux_addresses.${name}`;
    const address = reader.attempt(at, `${path}.${here}`, () => parseIp(value ?? ''));
    if (address === undefined || value === null) continue;
    inside(here, at, address, value);
    auxAddresses[name] = value;
  }
  return {
    ...(subnet === undefined ? {} : { subnet: subnet.text }),
    ...(gateway === undefined ? {} : { gateway: gateway.text }),
    ...(range === undefined ? {} : { ipRange: range.text }),
    ...(aux === undefined ? {} : { auxAddresses }),
  };
}

/** Labels and options: a name without a value has an empty one. */
export function record(reader: Reader, tree: Tree, path: string): Record<string, string> {
  const pairs = reader.pairs(tree, path) ?? new Map<string, { value: string | null }>();
  return Object.fromEntries([...pairs].map(([name, { value }]) => [name, value ?? '']));
}
