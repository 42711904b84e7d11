import { tryParseIp, tryParsePrefix } from '../addr/index.ts';
import { asArray, asObject, asString, type Place } from './json.ts';
import { type Result, type ResultInterface, type ResultRoute, since, type SpecVersion } from './spec.ts';

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
  const ips = list('ips', (value, at) => {
    const address = asString(value['address'], at.in('address'));
    if (!tryParsePrefix(address)) throw at.in('address').fail(`"${address}" is no address with a prefix length`);
    const { gateway } = optional(value, at, 'string', ['gateway']);
    if (gateway !== undefined && !tryParseIp(gateway)) throw at.in('gateway').fail(`"${gateway}" is no address`);
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
    if (!tryParsePrefix(dst)) throw at.in('dst').fail(`"${dst}" is no prefix`);
    return {
      dst,
      ...optional(value, at, 'string', ['gw']),
      ...optional(value, at, 'number', ['mtu', 'advmss', 'priority', 'table', 'scope']),
    };
  });
  const at = place.in('dns');
  const dns = top['dns'] === undefined || top['dns'] === null ? {} : asObject(top['dns'], at);
  const words = (key: string): Record<string, string[]> =>
    dns[key] === undefined || dns[key] === null
      ? {}
      : { [key]: asArray(dns[key], at.in(key)).map((text, i) => asString(text, at.in(key).in(i))) };
  return {
    interfaces,
    ips,
    routes,
    dns: {
      ...words('nameservers'),
      ...optional(dns, at, 'string', ['domain']),
      ...words('search'),
      ...words('options'),
    },
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
