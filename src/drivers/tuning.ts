import { network as networkOf, parseIp, parsePrefix } from '../addr/index.ts';
import { type Fact, type RouteFact, type RuleFact, type SysctlFact, TC_HANDLE } from '../facts/index.ts';
import { type Endpoint, type EndpointRoute, sysctlName } from '../model/index.ts';
import { BY_DEVICE } from './inside.ts';

/** Before the main table, and behind whatever somebody puts there by hand: "nl" once more. @see ip-rule(8) */
const PRIORITY = TC_HANDLE;
/** linux/rtnetlink.h RT_SCOPE_LINK */
const LINK_SCOPE = 253;

/**
 * What is set of an endpoint beside its interface and its default routes; what is set of the interface itself is in its link.
 * @param gateways of the network, whether or not this endpoint has the default route
 */
export function tuningFacts(endpoint: Endpoint, object: string, gateways: readonly string[]): Fact[] {
  const { tuning } = endpoint;
  if (!tuning) return [];
  const ways = new Map(gateways.map((text) => [parseIp(text).family, BY_DEVICE.includes(text) ? '' : text]));
  const routes = (tuning.routes ?? []).map((route) => routeFact(endpoint, object, route, ways));
  return [
    ...sysctlFacts(endpoint, object),
    // a gateway of another route may be reached by one on the link
    ...routes.filter(({ via }) => via === ''),
    ...routes.filter(({ via }) => via !== ''),
    ...(tuning.sourceRoutes ? sourceFacts(endpoint, object, ways) : []),
  ];
}

/** The table by which an endpoint answers: above all that people number by hand, and its own by its id. */
export function sourceTable({ id }: Pick<Endpoint, 'id'>): number {
  return 0x4000_0000 + Number.parseInt(id.slice(0, 7), 16);
}

function sysctlFacts({ netns: ns, ifname, tuning }: Endpoint, object: string): SysctlFact[] {
  return Object.entries(tuning?.sysctls ?? {}).map(([key, value]) => {
    const { name, ofLink } = sysctlName(key, ifname);
    return { kind: 'sysctl', ns, object, name, value, dev: ofLink ? ifname : '' };
  });
}

function routeFact(
  { netns: ns, ifname: dev }: Endpoint,
  object: string,
  { dst, gateway, mtu, advmss, priority, table, scope }: EndpointRoute,
  ways: ReadonlyMap<number, string>,
): RouteFact {
  const prefix = parsePrefix(dst);
  return {
    kind: 'route',
    ns,
    object,
    family: prefix.family,
    dst: prefix.length === 0 ? 'default' : dst,
    via: gateway ?? (scope === LINK_SCOPE ? '' : (ways.get(prefix.family) ?? '')),
    dev,
    ...(table !== undefined && { table }),
    ...(priority !== undefined && { metric: priority }),
    ...(scope !== undefined && { scope }),
    ...(mtu !== undefined && { mtu }),
    ...(advmss !== undefined && { advmss }),
  };
}

/** What is sent from an address of the endpoint leaves by it, to its neighbours or by its network's gateway. */
function sourceFacts(endpoint: Endpoint, object: string, ways: ReadonlyMap<number, string>): Fact[] {
  const { netns: ns, ifname: dev, addresses } = endpoint;
  const table = sourceTable(endpoint);
  const prefixes = addresses.map((text) => parsePrefix(text));
  const route = { kind: 'route', ns, object, dev, table } as const;
  const subnets = new Map(prefixes.map((prefix) => [networkOf(prefix).text, prefix.family]));
  const near = [...subnets].map(([dst, family]): RouteFact => ({ ...route, family, dst, via: '' }));
  const far = [...new Set(subnets.values())].flatMap((family): RouteFact[] => {
    const via = ways.get(family);
    return via === undefined ? [] : [{ ...route, family, dst: 'default', via }];
  });
  const rules = prefixes.map(({ family, address }): RuleFact => {
    const from = `${address.text}/${family === 4 ? 32 : 128}`;
    return { kind: 'rule', ns, object, family, from, priority: PRIORITY, table };
  });
  return [...near, ...far, ...rules];
}
