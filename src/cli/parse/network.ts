import { contains, tryParseIp, tryParsePrefix, withoutLength } from '../../addr/index.ts';
import type { EndpointSpec, SubnetSpec } from '../../model/index.ts';
import { kebab } from '../command.ts';
import { UsageError } from '../errors.ts';
import { parseRate } from './rate.ts';

/** One `--network`: a mode that stands alone, or a network to join. */
export type NetworkChoice = { readonly mode: string } | { readonly endpoint: EndpointSpec };

/**
 * `web`, `host`, `none`, `container:NAME`, or Docker's long form `name=web,ip=…,ip6=…,alias=…,mac-address=…,gw-priority=…`.
 * @throws UsageError
 */
export function parseNetwork(text: string): NetworkChoice {
  if (!text.includes('=')) {
    if (text === 'host' || text === 'none' || text.startsWith('container:')) return { mode: text };
    if (text === '') throw new UsageError('--network needs a name', 'netloom network ls shows the networks.');
    return { endpoint: { network: text === 'default' ? 'bridge' : text } };
  }
  const fields = new Map<string, string[]>();
  for (const part of text.split(',')) {
    const [key, value] = pair(part, '--network');
    if (!LONG_KEYS.includes(key))
      throw new UsageError(`--network does not know "${key}"`, `It knows ${LONG_KEYS.join(', ')}.`);
    fields.set(key, [...(fields.get(key) ?? []), value]);
  }
  const name = one(fields, 'name');
  if (name === undefined) throw new UsageError(`--network ${text} names no network`, 'Begin with name=NETWORK.');
  return {
    endpoint: endpointSpec(name, {
      ip: one(fields, 'ip'),
      ip6: one(fields, 'ip6'),
      mac: one(fields, 'mac-address'),
      aliases: fields.get('alias'),
      priority: numberOf(one(fields, 'gw-priority'), 'gw-priority'),
      ifname: one(fields, 'ifname'),
      ingressRate: rateOf(one(fields, 'ingress-rate')),
      egressRate: rateOf(one(fields, 'egress-rate')),
    }),
  };
}
const LONG_KEYS: readonly string[] = [
  'name',
  'ip',
  'ip6',
  'alias',
  'mac-address',
  'gw-priority',
  'ifname',
  'ingress-rate',
  'egress-rate',
];

/** What the separate flags (`--ip`, `--mac-address` …) say of one endpoint. */
export interface EndpointWords {
  readonly ip?: string | undefined;
  readonly ip6?: string | undefined;
  readonly mac?: string | undefined;
  readonly aliases?: readonly string[] | undefined;
  readonly priority?: number | undefined;
  readonly ifname?: string | undefined;
  /** Bits per second. */
  readonly ingressRate?: number | undefined;
  readonly egressRate?: number | undefined;
}

export function endpointSpec(network: string, words: EndpointWords): EndpointSpec {
  const addresses = [words.ip, words.ip6].filter((address) => address !== undefined);
  return {
    network,
    ...(addresses.length > 0 ? { addresses } : {}),
    ...(words.mac === undefined ? {} : { mac: words.mac }),
    ...(words.aliases === undefined || words.aliases.length === 0 ? {} : { aliases: words.aliases }),
    ...(words.ifname === undefined ? {} : { ifname: words.ifname }),
    ...(words.priority === undefined ? {} : { gatewayPriority: words.priority }),
    ...(words.ingressRate === undefined ? {} : { ingressRate: words.ingressRate }),
    ...(words.egressRate === undefined ? {} : { egressRate: words.egressRate }),
  };
}

/** `--network` (several) with the flags that speak of the first one. @throws UsageError */
export function chooseNetworks(
  choices: readonly NetworkChoice[],
  first: EndpointWords,
): { networkMode?: string; networks?: readonly EndpointSpec[] } {
  const mode = choices.find((choice) => 'mode' in choice);
  const said = Object.keys(endpointSpec('', first)).length > 1;
  if (mode !== undefined) {
    if (choices.length > 1)
      throw new UsageError(`--network ${mode.mode} allows no other network`, 'Leave the others out.');
    if (said)
      throw new UsageError(
        `--network ${mode.mode} gives the container no address of its own`,
        'Leave --ip, --ip6, --mac-address, --network-alias and the rates out.',
      );
    return { networkMode: mode.mode };
  }
  const networks = choices.flatMap((choice) => ('endpoint' in choice ? [choice.endpoint] : []));
  if (!said) return networks.length > 0 ? { networks } : {};
  const [head = { network: 'bridge' }, ...others] = networks;
  const extra = endpointSpec(head.network, first);
  for (const key of ['addresses', 'mac', 'aliases', 'ingressRate', 'egressRate'] as const) {
    if (extra[key] !== undefined && head[key] !== undefined)
      throw new UsageError(
        `network ${head.network} is given its ${kebab(key).replace('-', ' ')} twice`,
        'Say it in --network name=… or in its own flag.',
      );
  }
  return { networks: [{ ...head, ...extra }, ...others] };
}

/** The flags of `network create` that go together by subnet. @throws UsageError */
export function subnetSpecs(flags: {
  readonly subnet?: readonly string[];
  readonly gateway?: readonly string[];
  readonly ipRange?: readonly string[];
  readonly auxAddress?: readonly string[];
}): SubnetSpec[] {
  const specs: { subnet: string; gateway?: string; ipRange?: string; auxAddresses?: Record<string, string> }[] = (
    flags.subnet ?? []
  ).map((subnet) => ({ subnet }));
  const owner = (address: string, what: string): (typeof specs)[number] => {
    const value = tryParseIp(withoutLength(address));
    if (value === undefined) throw new UsageError(`${what}: "${address}" is no address`);
    const family = value.family;
    const sameFamily = specs.filter((spec) => tryParsePrefix(spec.subnet)?.address.family === family);
    const holder = specs.find((spec) => {
      const prefix = tryParsePrefix(spec.subnet);
      return prefix !== undefined && contains(prefix, value);
    });
    // With a single candidate the engine judges, and can name the network.
    const found = holder ?? (sameFamily.length === 1 ? sameFamily[0] : undefined);
    if (found === undefined)
      throw new UsageError(
        `${what} ${address} lies in no --subnet`,
        'Give its subnet too: --subnet 172.20.0.0/16 --gateway 172.20.0.1.',
      );
    return found;
  };
  for (const gateway of flags.gateway ?? []) {
    const spec = owner(gateway, '--gateway');
    if (spec.gateway !== undefined)
      throw new UsageError(
        `subnet ${spec.subnet} has two gateways, ${spec.gateway} and ${gateway}`,
        'Give one --gateway a subnet.',
      );
    spec.gateway = gateway;
  }
  for (const range of flags.ipRange ?? []) {
    const spec = owner(range, '--ip-range');
    if (spec.ipRange !== undefined)
      throw new UsageError(
        `subnet ${spec.subnet} has two ranges, ${spec.ipRange} and ${range}`,
        'Give one --ip-range a subnet.',
      );
    spec.ipRange = range;
  }
  for (const aux of flags.auxAddress ?? []) {
    const [name, address] = pair(aux, '--aux-address');
    const spec = owner(address, '--aux-address');
    spec.auxAddresses = { ...spec.auxAddresses, [name]: address };
  }
  return specs;
}

/** `key=value` → both; the value may hold more `=`. @throws UsageError */
export function pair(text: string, flag: string): [key: string, value: string] {
  const equals = text.indexOf('=');
  if (equals < 1) throw new UsageError(`${flag}: "${text}" is not KEY=VALUE`);
  return [text.slice(0, equals), text.slice(equals + 1)];
}

/** Labels and options: `key=value`, or `key` alone for an empty value. */
export function pairs(
  texts: readonly string[] | undefined,
  flag: string,
  options?: { readonly bare?: boolean },
): Record<string, string> {
  return Object.fromEntries(
    (texts ?? []).map((text) => (options?.bare === true && !text.includes('=') ? [text, ''] : pair(text, flag))),
  );
}

function one(fields: ReadonlyMap<string, readonly string[]>, key: string): string | undefined {
  const values = fields.get(key);
  if (values !== undefined && values.length > 1) throw new UsageError(`--network says ${key} twice`);
  return values?.[0];
}

function rateOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseRate(text);
}

function numberOf(text: string | undefined, what: string): number | undefined {
  if (text === undefined) return undefined;
  if (!/^-?\d{1,9}$/.test(text)) throw new UsageError(`${what} is a whole number, not "${text}"`);
  return Number(text);
}
