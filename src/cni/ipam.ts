import { contains, parseIp, parsePrefix, tryParsePrefix } from '../addr/index.ts';
import type { AddressPool, EngineApi, PoolSpec, ProgramAnswer, ProgramCall } from '../model/index.ts';
import { NOTHING, print, printError, printVersions } from './answer.ts';
import {
  type Configuration,
  parseConfiguration,
  requirePrevResult,
  requireValidAttachments,
  versionIn,
} from './configuration.ts';
import { CNI_CODES, CniError, shown } from './errors.ts';
import { asArray, asObject, asString, asStrings, Place } from './json.ts';
import { type Parameters, parseParameters } from './parameters.ts';
import { parseDns, parseResult, printResult } from './result.ts';
import { LATEST, type Result, type ResultIp, type ResultRoute } from './spec.ts';

const KEYS = ['type', 'subnet', 'gateway', 'ipRange', 'subnets', 'routes', 'dns'];
const SUBNET_KEYS = ['subnet', 'gateway', 'ipRange'];

/** What the section `ipam` of another plugin's configuration asks for. */
interface Wish {
  /** An address from each. */
  readonly pools: readonly PoolSpec[];
  readonly routes: readonly ResultRoute[];
}

/**
 * The program as an IPAM plugin of the CNI specification, `netloom-ipam`: it gives the addresses of networks that another
 * plugin makes, from pools in netloom's store. Throws nothing.
 */
export async function runIpam(call: ProgramCall): Promise<ProgramAnswer> {
  const version = versionIn(call.stdin) ?? LATEST;
  try {
    const parameters = parseParameters(call.env);
    if (parameters.verb === 'VERSION') return printVersions(version);
    const conf = parseConfiguration(call.stdin, parameters.verb);
    await using api = await call.open().catch((error: unknown) => {
      if (parameters.verb !== 'STATUS') throw error;
      throw new CniError(CNI_CODES.UNAVAILABLE, `netloom cannot serve: ${(error as Error).message}`, { cause: error });
    });
    return await perform(api, parameters, conf);
  } catch (error) {
    return printError(error, version);
  }
}

async function perform(api: EngineApi, parameters: Parameters, conf: Configuration): Promise<ProgramAnswer> {
  const owner = ownerOf(parameters);
  switch (parameters.verb) {
    case 'ADD':
      return print(printResult(await add(api, parameters, conf, owner), conf.cniVersion));
    case 'DEL':
      await release(api, conf, (each) => each === owner);
      break;
    case 'CHECK':
      await check(api, conf, owner);
      break;
    case 'GC': {
      const valid = new Set(requireValidAttachments(conf).map(ownerOf));
      await release(api, conf, (each) => !valid.has(each));
      break;
    }
    case 'STATUS':
      wishOf(conf);
      await api.version();
      break;
    case 'VERSION':
  }
  return NOTHING;
}

function ownerOf({ containerID, ifname }: Pick<Parameters, 'containerID' | 'ifname'>): string {
  return `${containerID}:${ifname}`;
}
function poolPrefix({ name }: Configuration): string {
  return `cni:${name}:`;
}

/** An address of each pool; those that were taken go back where one of them has none. */
async function add(api: EngineApi, parameters: Parameters, conf: Configuration, owner: string): Promise<Result> {
  const { pools, routes } = wishOf(conf);
  const asked = askedFor(parameters, conf);
  const ips: ResultIp[] = [];
  try {
    for (const spec of pools) {
      const pool = await api.poolCreate(spec);
      const subnet = parsePrefix(pool.subnet);
      const at = asked.findIndex((text) => contains(subnet, parseIp(text)));
      const [address] = at < 0 ? [] : asked.splice(at, 1);
      const allocation = await api.addressAllocate({ pool: pool.id, owner, ...(address !== undefined && { address }) });
      ips.push({ address: allocation.address, ...(pool.gateway !== '' && { gateway: pool.gateway }) });
    }
    if (asked[0] !== undefined) {
      throw new CniError(CNI_CODES.BAD_CONFIGURATION, `ips: ${shown(asked[0])} is in none of the subnets`, {
        hint: `They are ${pools.map(({ subnet = 'chosen' }) => subnet).join(', ')}.`,
      });
    }
  } catch (error) {
    await release(api, conf, (each) => each === owner);
    throw error;
  }
  return { interfaces: [], ips, routes, dns: parseDns(section(conf), new Place('ipam')) };
}

/** Gives back what these owners have, whatever the configuration says by now. */
async function release(api: EngineApi, conf: Configuration, whose: (owner: string) => boolean): Promise<void> {
  for (const pool of await poolsOf(api, conf)) {
    const { allocations } = await api.poolInspect(pool.id);
    for (const { address, owner } of allocations)
      if (whose(owner)) await api.addressRelease({ pool: pool.id, address, owner });
  }
}

async function check(api: EngineApi, conf: Configuration, owner: string): Promise<void> {
  const had: string[] = [];
  for (const pool of await poolsOf(api, conf)) {
    const { allocations } = await api.poolInspect(pool.id);
    had.push(...allocations.flatMap((each) => (each.owner === owner ? [each.address] : [])));
  }
  if (had.length === 0) throw new CniError(CNI_CODES.UNKNOWN_CONTAINER, `${owner} has no address of ${conf.name}`);
  const { ips } = requirePrevResult(conf);
  const lost = had.find((address) => !ips.some((ip) => ip.address === address));
  if (lost !== undefined)
    throw new CniError(CNI_CODES.NOT_AS_ADDED, `${owner} has ${lost}, of which prevResult says nothing`);
}

async function poolsOf(api: EngineApi, conf: Configuration): Promise<AddressPool[]> {
  return (await api.poolList()).filter(({ name }) => name.startsWith(poolPrefix(conf)));
}

function section({ own }: Configuration): Readonly<Record<string, unknown>> {
  return asObject(own['ipam'] ?? {}, new Place('ipam'));
}

/** @throws CniError 2, 7 */
function wishOf(conf: Configuration): Wish {
  const place = new Place('ipam');
  const given = section(conf);
  for (const [key, value] of Object.entries(given)) {
    if (KEYS.includes(key)) continue;
    throw new CniError(
      CNI_CODES.UNSUPPORTED_FIELD,
      `ipam.${key.slice(0, 80)}: ${shown(value)}: this plugin has no such field`,
      {
        hint: `It reads ${KEYS.join(', ')}.`,
      },
    );
  }
  const { routes } = parseResult({ routes: given['routes'] ?? [] }, place);
  const list = asArray(given['subnets'], place.in('subnets'));
  const single = SUBNET_KEYS.some((key) => given[key] !== undefined);
  if (single && list.length > 0) throw place.in('subnets').fail('there is a subnet beside it: leave one out');
  const pools =
    list.length > 0
      ? list.map((each, i) => poolOf(asObject(each, place.in('subnets').in(i)), place.in('subnets').in(i), true))
      : [poolOf(given, place, false)];
  return { pools: pools.map((pool, i) => ({ ...pool, name: `${poolPrefix(conf)}${i}` })), routes };
}

function poolOf(given: Readonly<Record<string, unknown>>, place: Place, strict: boolean): PoolSpec {
  if (strict) {
    for (const key of Object.keys(given))
      if (!SUBNET_KEYS.includes(key))
        throw place.in(key).fail('there is no such field', `It has ${SUBNET_KEYS.join(', ')}.`);
  }
  const pool: { subnet?: string; gateway?: string; ipRange?: string } = {};
  for (const key of ['subnet', 'gateway', 'ipRange'] as const)
    if (given[key] !== undefined) pool[key] = asString(given[key], place.in(key));
  return pool;
}

/** Addresses that the runtime wants, by whichever way: without their lengths. */
function askedFor({ args }: Parameters, { runtimeConfig, args: cni }: Configuration): string[] {
  const [from, place] =
    runtimeConfig['ips'] === undefined
      ? [cni['ips'], new Place('args.cni').in('ips')]
      : [runtimeConfig['ips'], new Place('runtimeConfig').in('ips')];
  const texts = from === undefined ? (args.get('IP') ?? '').split(',').filter(Boolean) : asStrings(from, place);
  return texts.map((text) => {
    const plain = text.replace(/\/\d+$/, '');
    if (!tryParsePrefix(`${plain}/0`)) throw place.fail(`${shown(text)} is no address`);
    return plain;
  });
}
