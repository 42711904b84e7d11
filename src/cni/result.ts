import { tryParseIp, tryParsePrefix } from '../addr/index.ts';
import { shown } from './errors.ts';
import { asArray, asObject, asString, asStrings, type Place } from './json.ts';
import {
  type Result,
  type ResultDns,
  type ResultInterface,
  type ResultRoute,
  since,
  type SpecVersion,
} from './spec.ts';

/** A result as a runtime of that version reads it: what it does not know is left out. */
export function printResult(result: Result, version: SpecVersion): Readonly<Record<string, unknown>> {
  const [latest, one] = [since(version, '1.1.0'), since(version, '1.0.0')];
  const interfaces = latest ? result.interfaces : result.interfaces.map(plainInterface);
  const ips = one ? result.ips : result.ips.map((ip) => ({ version: ip.address.includes(':') ? '6' : '4', ...ip }));
  const routes = latest ? result.routes : result.routes.map(plainRoute);
  return {
    cniVersion: version,
    ...(interfaces.length > 0 && { interfaces }),
    ...(ips.length > 0 && { ips }),
    ...(routes.length > 0 && { routes }),
    dns: result.dns,
  };
}

function plainInterface({ name, mac, sandbox }: ResultInterface): ResultInterface {
  return { name, ...(mac !== undefined && { mac }), ...(sandbox !== undefined && { sandbox }) };
}
function plainRoute({ dst, gw }: ResultRoute): ResultRoute {
  return { dst, ...(gw !== undefined && { gw }) };
}

/**
 * Reads a result of any version: `prevResult`, or what another plugin printed. Fields that no version knows are left out.
 * @throws CniError 7 with the field's place
 */
export function parseResult(json: unknown, place: Place): Result {
  const top = asObject(json, place);
  const list = <T>(key: string, read: (value: Readonly<Record<string, unknown>>, at: Place) => T): T[] =>
    asArray(top[key], place.in(key)).map((value, i) => read(asObject(value, place.in(key).in(i)), place.in(key).in(i)));
  const interfaces = list('interfaces', (value, at) => ({
    name: asString(value['name'], at.in('name')),
    ...optional(value, at, 'string', ['mac', 'sandbox', 'socketPath', 'pciID']),
    ...optional(value, at, 'number', ['mtu']),
  }));
  if (top['ips'] === undefined && (top['ip4'] !== undefined || top['ip6'] !== undefined)) return parseOld(top, place);
  const ips = list('ips', (value, at) => {
    const address = asString(value['address'], at.in('address'));
    if (!tryParsePrefix(address)) throw at.in('address').fail(`${shown(address)} is no address with a prefix length`);
    const { gateway } = optional(value, at, 'string', ['gateway']);
    if (gateway !== undefined && !tryParseIp(gateway)) throw at.in('gateway').fail(`${shown(gateway)} is no address`);
    const { interface: index } = optional(value, at, 'number', ['interface']);
    if (index !== undefined && interfaces.length > 0 && !interfaces[index])
      throw at.in('interface').fail(`there is no interface ${index}`);
    return {
      address,
      ...(gateway !== undefined && { gateway }),
      ...(index !== undefined && { interface: index }),
    };
  });
  const routes = list('routes', (value, at) => {
    const dst = asString(value['dst'], at.in('dst'));
    if (!tryParsePrefix(dst)) throw at.in('dst').fail(`${shown(dst)} is no prefix`);
    return {
      dst,
      ...optional(value, at, 'string', ['gw']),
      ...optional(value, at, 'number', ['mtu', 'advmss', 'priority', 'table', 'scope']),
    };
  });
  return { interfaces, ips, routes, dns: parseDns(top, place) };
}

/** A result of the versions before 0.3.0, which know one address of each family and no interface. */
function parseOld(top: Readonly<Record<string, unknown>>, place: Place): Result {
  const families = (['ip4', 'ip6'] as const).flatMap((key) => {
    if (top[key] === undefined || top[key] === null) return [];
    const { ip, gateway, routes } = asObject(top[key], place.in(key));
    const given = { address: ip, ...(typeof gateway === 'string' && gateway !== '' && { gateway }) };
    return [parseResult({ ips: [given], routes: routes ?? [] }, place.in(key))];
  });
  return {
    interfaces: [],
    ips: families.flatMap(({ ips }) => ips),
    routes: families.flatMap(({ routes }) => routes),
    dns: parseDns(top, place),
  };
}

/** What came before, with what was added: whose interfaces are counted on. What both say of names counts once. */
export function mergeResults(before: Result, added: Result): Result {
  const first = before.interfaces.length;
  const union = (key: 'nameservers' | 'search' | 'options'): Partial<ResultDns> => {
    const all = [...new Set([...(before.dns[key] ?? []), ...(added.dns[key] ?? [])])];
    return all.length > 0 ? { [key]: all } : {};
  };
  const domain = before.dns.domain ?? added.dns.domain;
  return {
    interfaces: [...before.interfaces, ...added.interfaces],
    ips: [
      ...before.ips,
      ...added.ips.map((ip) => (ip.interface === undefined ? ip : { ...ip, interface: ip.interface + first })),
    ],
    routes: [...before.routes, ...added.routes],
    dns: {
      ...union('nameservers'),
      ...(domain !== undefined && { domain }),
      ...union('search'),
      ...union('options'),
    },
  };
}

/** The field `dns` of a result or a configuration. @throws CniError 7 */
export function parseDns(top: Readonly<Record<string, unknown>>, place: Place): ResultDns {
  const at = place.in('dns');
  const dns = top['dns'] === undefined || top['dns'] === null ? {} : asObject(top['dns'], at);
  const words = (key: string): Record<string, string[]> =>
    dns[key] === undefined || dns[key] === null ? {} : { [key]: asStrings(dns[key], at.in(key)) };
  return {
    ...words('nameservers'),
    ...optional(dns, at, 'string', ['domain']),
    ...words('search'),
    ...words('options'),
  };
}

interface Kinds {
  readonly string: string;
  readonly number: number;
}

/** Those of `keys` that are there, of one type. */
function optional<K extends string, T extends keyof Kinds>(
  object: Readonly<Record<string, unknown>>,
  place: Place,
  type: T,
  keys: readonly K[],
): { [key in K]?: Kinds[T] } {
  const found: { [key in K]?: Kinds[T] } = {};
  for (const key of keys) {
    const value = object[key];
    if (value === undefined || value === null) continue;
    const right = type === 'number' ? Number.isSafeInteger(value) : typeof value === 'string';
    if (!right) throw place.in(key).fail(`a ${type} is wanted`);
    found[key] = value as Kinds[T];
  }
  return found;
}
