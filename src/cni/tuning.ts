import type { EndpointRoute, EndpointTuning } from '../model/index.ts';
import type { Configuration } from './configuration.ts';
import { asArray, asCount, asFlag, asObject, asString, asTexts, Place } from './json.ts';
import type { ResultRoute } from './spec.ts';

/** Keys of a configuration that set one endpoint: the words of the plugins `tuning`, `sbr` and of a result's routes. */
export const TUNING_KEYS: readonly string[] = [
  ...['sysctl', 'promisc', 'allmulti', 'mtu', 'txQLen', 'routes', 'sourceRoutes', 'defaultRoute'],
];
const ROUTE_KEYS = ['dst', 'gw', 'mtu', 'advmss', 'priority', 'table', 'scope'];

/** What a configuration sets of its endpoints; undefined for nothing. @throws CniError 7 */
export function tuningOf(
  { own }: Configuration,
  bursts: Pick<EndpointTuning, 'ingressBurst' | 'egressBurst'>,
): EndpointTuning | undefined {
  const place = new Place();
  const read = <T>(key: string, as: (value: unknown, at: Place) => T): T | undefined =>
    own[key] === undefined ? undefined : as(own[key], place.in(key));
  const sysctls = read('sysctl', asTexts);
  const [promisc, allmulti] = [read('promisc', asFlag), read('allmulti', asFlag)];
  const [mtu, txQueueLength] = [read('mtu', asCount), read('txQLen', asCount)];
  const routes = asArray(own['routes'], place.in('routes')).map((each, i) => routeOf(each, place.in('routes').in(i)));
  const tuning: EndpointTuning = {
    ...(sysctls && { sysctls }),
    ...(promisc !== undefined && { promisc }),
    ...(allmulti !== undefined && { allmulti }),
    ...(mtu !== undefined && { mtu }),
    ...(txQueueLength !== undefined && { txQueueLength }),
    ...(routes.length > 0 && { routes }),
    ...(read('sourceRoutes', asFlag) === true && { sourceRoutes: true }),
    ...(read('defaultRoute', asFlag) === false && { defaultRoute: false }),
    ...bursts,
  };
  return Object.keys(tuning).length > 0 ? tuning : undefined;
}

function routeOf(value: unknown, place: Place): EndpointRoute {
  const given = asObject(value, place);
  for (const key of Object.keys(given))
    if (!ROUTE_KEYS.includes(key))
      throw place.in(key).fail('there is no such field', `It has ${ROUTE_KEYS.join(', ')}.`);
  const number = (key: string): Record<string, number> =>
    given[key] === undefined ? {} : { [key]: asCount(given[key], place.in(key)) };
  const dst = asString(given['dst'], place.in('dst'));
  const gw = given['gw'] === undefined ? '' : asString(given['gw'], place.in('gw'));
  const numbers = ['mtu', 'advmss', 'priority', 'table', 'scope'].map(number);
  return { dst, ...(gw !== '' && { gateway: gw }), ...Object.assign({}, ...numbers) } as EndpointRoute;
}

/** A route of a result, as an endpoint's. */
export function endpointRoute({ gw, ...route }: ResultRoute): EndpointRoute {
  return { ...route, ...(gw !== undefined && gw !== '' && { gateway: gw }) };
}
/** The other way round. */
export function resultRoute({ gateway, ...route }: EndpointRoute): ResultRoute {
  return { ...route, ...(gateway !== undefined && { gw: gateway }) };
}
