import { withoutLength } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import type { NetworkSpec, SubnetSpec } from '../model/index.ts';
import { type Fields, listIn, objectIn, textIn, textsOf } from './message.ts';

/** The label by which a network is found again: Docker's id of it. */
export const ID_LABEL = 'netloom.docker';

/** What of `-o` is for this door; the rest is the driver's. */
const NAME = 'netloom.network';
const DRIVER = 'netloom.driver';

/** @see moby daemon/libnetwork/netlabel */
const GENERIC = 'com.docker.network.generic';
const INTERNAL = 'com.docker.network.internal';

/** Docker's driver without addresses says that its pool is everything. */
const NO_POOL = ['', '0.0.0.0/0', '::/0'];

/**
 * The network that Docker asks for. It tells an id, not the name that a person gave: netloom's is made of that, unless
 * `-o netloom.network` says one. @throws NetloomError EDOCKER, EBADSUBNET
 */
export function networkSpecOf(id: string, request: Fields): NetworkSpec {
  const { options, driver, name, internal } = optionsOf(request);
  const v4 = poolsOf(request, 'IPv4Data');
  const v6 = poolsOf(request, 'IPv6Data');
  return {
    name: name ?? `docker-${id.slice(0, 12)}`,
    driver,
    internal,
    // a network that has no pool of a family has none of it; one whose pools are nobody's gets ours
    ipv4: v4.asked,
    ipv6: v6.asked,
    subnets: [...v4.pools, ...v6.pools].map((pool) => subnetOf(pool, driver, options)),
    options,
    labels: { [ID_LABEL]: id },
  };
}

/** Which families need no gateway address: nothing is sent to one, so that Docker need not keep one. */
export function gatewaysToSkip(request: Fields): { SkipIPv4: boolean; SkipIPv6: boolean } {
  const { options, driver } = optionsOf(request);
  return { SkipIPv4: !hasGateway(driver, options, 4), SkipIPv6: !hasGateway(driver, options, 6) };
}

interface Options {
  readonly options: Readonly<Record<string, string>>;
  readonly driver: string;
  readonly name: string | undefined;
  readonly internal: boolean;
}

function optionsOf(request: Fields): Options {
  const all = objectIn(request, 'Options');
  const { [NAME]: name, [DRIVER]: driver = 'bridge', ...options } = textsOf(objectIn(all, GENERIC));
  return { options, driver, name, internal: all[INTERNAL] === true };
}

interface Pools {
  readonly asked: boolean;
  readonly pools: readonly Fields[];
}

function poolsOf(request: Fields, key: 'IPv4Data' | 'IPv6Data'): Pools {
  const all = listIn(request, key);
  const pools = all.filter((pool) => !NO_POOL.includes(textIn(pool, 'Pool')));
  if (pools.length > 1) {
    const texts = pools.map((pool) => textIn(pool, 'Pool')).join(' and ');
    throw new NetloomError('EBADSUBNET', `subnets ${texts}: a network has one per family`, {
      hint: 'give one --subnet, or make a second network',
    });
  }
  return { asked: all.length > 0, pools };
}

function subnetOf(pool: Fields, driver: string, options: Options['options']): SubnetSpec {
  const subnet = textIn(pool, 'Pool');
  const gateway = withoutLength(textIn(pool, 'Gateway'));
  const aux = Object.entries(textsOf(objectIn(pool, 'AuxAddresses'))).map(([name, text]) => [
    name,
    withoutLength(text),
  ]);
  // what Docker keeps for a gateway that the driver has no use for stays nobody's
  const used = hasGateway(driver, options, subnet.includes(':') ? 6 : 4);
  if (!used && gateway !== '') aux.push(['docker-gateway', gateway]);
  return {
    subnet,
    ...(used ? { gateway: gateway === '' ? 'none' : gateway } : {}),
    ...(aux.length > 0 && { auxAddresses: Object.fromEntries(aux) as Record<string, string> }),
  };
}

/** ipvlan's modes l3 and l3s send everything by the interface itself; an isolated bridge has no address. */
function hasGateway(driver: string, options: Options['options'], family: 4 | 6): boolean {
  if (driver === 'ipvlan') return !['l3', 'l3s'].includes(options['ipvlan_mode'] ?? options['mode'] ?? 'l2');
  const key = `gateway_mode_ipv${family}`;
  return (options[key] ?? options[`com.docker.network.bridge.${key}`] ?? options['gateway_mode']) !== 'isolated';
}
