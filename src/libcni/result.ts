import { tryParsePrefix } from '../addr/index.ts';
import { isSpecVersion, parseResult, Place, printResult, type Result, since } from '../cni/index.ts';
import { NetloomError } from '../errors.ts';
import { isObject } from './document.ts';
import type { CNIResult, Json, ListResult, OldAddress, OldResult } from './types.ts';

/**
 * Reads what a plugin printed, or what the cache has: what no version knows is left out. One without a version has
 * `version`, that of the configuration.
 * @throws NetloomError ECNIRESULT, CniError 7 with the place
 */
export function readResult(document: unknown, version: string): CNIResult {
  const fields = document === null ? {} : document;
  if (!isObject(fields)) throw badResult('it is no JSON object');
  const said = fields['cniVersion'];
  const spoken = typeof said === 'string' && said !== '' ? said : version;
  return resultAs(spoken === '' ? '0.1.0' : spoken, fields);
}

/**
 * A result in the words of another version; what that does not know is left out.
 * @throws NetloomError ECNIRESULT where it has no such words
 */
export function convertResult(result: CNIResult, version: string): CNIResult {
  const wanted = version === '' ? '0.1.0' : version;
  if (result.cniVersion === wanted) return result;
  const document = { ...result } as Json;
  if (isOld(result.cniVersion)) {
    return isOld(wanted) ? resultAs(wanted, document) : resultAs(wanted, listed(document as unknown as OldResult));
  }
  return isOld(wanted) ? old(parseResult(document, new Place()), wanted) : resultAs(wanted, document);
}

function resultAs(version: string, document: Json): CNIResult {
  if (isOld(version)) return oldFrom(document, version);
  if (!isSpecVersion(version)) throw badResult(`its cniVersion ${JSON.stringify(version)} is not spoken here`);
  const { dns, ...result } = printResult(parseResult(document, new Place()), version) as Json & ListResult;
  const empty = dns === undefined || Object.keys(dns).length === 0;
  // before 1.0.0 an empty one is written, too
  return { ...result, ...((!empty || !since(version, '1.0.0')) && { dns: dns ?? {} }) };
}

function isOld(version: string): version is '0.1.0' | '0.2.0' {
  return version === '0.1.0' || version === '0.2.0';
}

/** `ip4` and `ip6`, checked by what they would be today. */
function oldFrom(document: Json, version: string): OldResult {
  const { dns } = parseResult(listed(document as unknown as OldResult), new Place());
  const { ip4, ip6 } = document as unknown as OldResult;
  return { cniVersion: version, ...(ip4 && { ip4: plain(ip4) }), ...(ip6 && { ip6: plain(ip6) }), dns };
}
function plain({ ip, gateway, routes }: OldAddress): OldAddress {
  return { ip, ...(gateway !== undefined && { gateway }), ...(routes !== undefined && { routes }) };
}

/** An old result in the fields of all that came later. */
function listed({ ip4, ip6, dns }: OldResult): Json {
  const both = [ip4, ip6].filter((each) => each !== undefined && each !== null);
  for (const each of both) if (!isObject(each)) throw badResult('ip4 or ip6 is no object');
  return {
    ips: both.map(({ ip, gateway }) => ({ address: ip, ...(gateway !== undefined && { gateway }) })),
    routes: both.flatMap(({ routes }) => routes ?? []),
    ...(dns !== undefined && { dns }),
  };
}

/** The first address of each family, with the routes of that family. */
function old(result: Result, version: string): OldResult {
  const one = (family: 4 | 6): OldAddress | undefined => {
    const found = result.ips.find(({ address }) => tryParsePrefix(address)?.family === family);
    if (found === undefined) return undefined;
    const routes = result.routes.filter(({ dst }) => tryParsePrefix(dst)?.family === family);
    return {
      ip: found.address,
      ...(found.gateway !== undefined && { gateway: found.gateway }),
      ...(routes.length > 0 && { routes: routes.map(({ dst, gw }) => ({ dst, ...(gw !== undefined && { gw }) })) }),
    };
  };
  const [ip4, ip6] = [one(4), one(6)];
  if (!ip4 && !ip6) throw badResult(`it has no address, and version ${version} cannot do without`);
  return { cniVersion: version, ...(ip4 && { ip4 }), ...(ip6 && { ip6 }), dns: result.dns };
}

function badResult(why: string): NetloomError {
  return new NetloomError('ECNIRESULT', why, { hint: 'Versions of results are 0.1.0 to 1.1.0.' });
}
