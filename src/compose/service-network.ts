import { formatMac, ifName, parseIp, parseMac } from '../addr/index.ts';
import { checkRate, parseRate } from '../model/index.ts';
import type { Position } from './errors.ts';
import { SERVICE_NETWORK_KEYS, SERVICE_NETWORK_OWN_KEYS } from './keys.ts';
import type { Ignore, Reader } from './reader.ts';
import type { Tree } from './tree.ts';

/** One network that a service joins. */
export interface ServiceNetwork {
  /** The network's key in the file; empty for the implicit one. */
  readonly key: string;
  readonly at?: Position;
  readonly aliases: readonly string[];
  readonly addresses: readonly string[];
  readonly mac?: string;
  readonly ifname?: string;
  readonly gatewayPriority?: number;
  /** Bits per second. */
  readonly ingressRate?: number;
  readonly egressRate?: number;
}

/**
 * Reads `networks` of a service, a list of names or a map. The result is in the order in which Docker Compose makes the
 * interfaces: the higher `priority` first, then by name.
 */
export function readServiceNetworks(reader: Reader, tree: Tree, path: string, ignore: Ignore): ServiceNetwork[] {
  const found: (ServiceNetwork & { readonly priority: number })[] = [];
  if (tree.kind === 'list') {
    for (const [index, item] of tree.items.entries()) {
      const key = reader.string(item, `${path}[${index}]`);
      if (key === undefined) continue;
      if (found.some((other) => other.key === key))
        reader.fail(item.at, `${path}[${index}]`, `the network ${key} stands here twice`, 'remove one');
      found.push({ key, at: item.at, aliases: [], addresses: [], priority: 0 });
    }
  } else {
    for (const [key, { keyAt, value }] of reader.map(tree, path)?.entries ?? []) {
      if (!key.startsWith('x-')) found.push(readOne(reader, key, keyAt, value, `${path}.${key}`, ignore));
    }
  }
  const names = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  return found
    .toSorted((a, b) => b.priority - a.priority || names(a.key, b.key))
    .map(({ priority: _, ...network }) => network);
}

function readOne(
  reader: Reader,
  key: string,
  at: Position,
  tree: Tree,
  path: string,
  ignore: Ignore,
): ServiceNetwork & { priority: number } {
  const keys = reader.section(tree, path, SERVICE_NETWORK_KEYS, ignore);
  const read = <T>(name: string, as: (tree: Tree, path: string) => T | undefined): T | undefined => {
    const entry = keys.get(name);
    return entry === undefined ? undefined : as(entry.value, `${path}.${name}`);
  };
  const address = (name: string, family: 4 | 6): string[] => {
    const text = read(name, (value, here) =>
      reader.attempt(value.at, here, () => {
        const ip = parseIp(reader.string(value, here) ?? '');
        if (ip.family !== family)
          reader.fail(value.at, here, `${ip.text} is no IPv${family} address`, `put it under ipv${ip.family}_address`);
        return ip.text;
      }),
    );
    return text === undefined ? [] : [text];
  };
  const weight = (name: string): number | undefined =>
    read(name, (value, here) => reader.integer(value, here, -(2 ** 31), 2 ** 31 - 1));
  const mac = read('mac_address', (value, here) => checkMac(reader, value, here));
  const ifname = read('interface_name', (value, here) =>
    reader.attempt(value.at, here, (): string => ifName(reader.string(value, here) ?? '')),
  );
  const gatewayPriority = weight('gw_priority');
  const rates = readRates(reader, tree, path, ignore);
  return {
    key,
    at,
    aliases: read('aliases', (value, here) => reader.strings(value, here)) ?? [],
    addresses: [...address('ipv4_address', 4), ...address('ipv6_address', 6)],
    priority: weight('priority') ?? 0,
    ...(mac === undefined ? {} : { mac }),
    ...(ifname === undefined ? {} : { ifname }),
    ...(gatewayPriority === undefined ? {} : { gatewayPriority }),
    ...rates,
  };
}

/** `x-netloom: { ingress_rate: 10mbit, egress_rate: 2mbit }`: the specification has no limits of a network's. */
function readRates(
  reader: Reader,
  tree: Tree,
  path: string,
  ignore: Ignore,
): Pick<ServiceNetwork, 'ingressRate' | 'egressRate'> {
  const own = tree.kind === 'map' ? tree.entries.get('x-netloom') : undefined;
  if (own === undefined) return {};
  const here = `${path}.x-netloom`;
  const keys = reader.section(own.value, here, SERVICE_NETWORK_OWN_KEYS, ignore);
  const rate = (direction: 'ingress' | 'egress'): number | undefined => {
    const value = keys.get(`${direction}_rate`)?.value;
    if (value === undefined) return undefined;
    const text = reader.string(value, `${here}.${direction}_rate`);
    if (text === undefined) return undefined;
    return reader.attempt(value.at, `${here}.${direction}_rate`, () => checkRate(direction, parseRate(text)));
  };
  const [ingressRate, egressRate] = [rate('ingress'), rate('egress')];
  return {
    ...(ingressRate === undefined ? {} : { ingressRate }),
    ...(egressRate === undefined ? {} : { egressRate }),
  };
}

/** Canonical: lower case, colons. */
export function checkMac(reader: Reader, tree: Tree, path: string): string | undefined {
  return reader.attempt(tree.at, path, () => formatMac(parseMac(reader.string(tree, path) ?? '', { unicast: true })));
}
