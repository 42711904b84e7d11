import {
  contains,
  ipFromValue,
  makePrefix,
  network as networkOf,
  parseIp,
  parsePrefix,
  tryParseIp,
} from '../addr/index.ts';
import type { Family, Ip, Prefix } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import type { Network } from '../model/index.ts';
import type { ReadTx, Tx } from '../store/store.ts';
import { chooseAddress } from './free.ts';
import { addressSpace, leaseKey, leaseValue } from './reserved.ts';
import type { AddressSpace } from './reserved.ts';

/** What the store keeps under a lease's key. */
export interface Lease {
  /** Endpoint id. */
  readonly endpoint: string;
  /** For people: `container web`; in the error of whoever wants the same address. */
  readonly owner: string;
}
/** Whose addresses they are: a network, or an address pool. */
export interface LeasingNetwork extends Pick<Network, 'id' | 'name' | 'subnets'> {
  /** Missing: `network`. */
  readonly noun?: string;
  /** Addresses that are never handed out, beside those of the subnets, with what they are. */
  readonly reserved?: ReadonlyMap<string, string>;
}
export interface LeaseRequest {
  /** Endpoint id. */
  readonly endpoint: string;
  readonly owner?: string;
  /** Fixed address, without prefix. */
  readonly fixed?: string;
  /** Which family to choose from; needed only without `fixed`. Default 4, or 6 in a network without IPv4. */
  readonly family?: Family;
}

/**
 * Leases one address inside a store transaction; returns it with its subnet's length (`172.18.0.2/24`).
 * @throws NetloomError EADDROUTSIDE, EADDRTAKEN (naming who has it), EPOOLEXHAUSTED, EBADADDRESS
 */
export async function leaseAddress(tx: Tx, network: LeasingNetwork, request: LeaseRequest): Promise<Prefix> {
  const lease: Lease = {
    endpoint: request.endpoint,
    owner: request.owner ?? `endpoint ${request.endpoint.slice(0, 12)}`,
  };
  return request.fixed === undefined
    ? await leaseAny(tx, network, lease, request.family)
    : await leaseFixed(tx, network, lease, parseIp(request.fixed));
}

/**
 * One address of each family that the network has, IPv4 first: the fixed ones given, the others chosen. Where `exact`, the
 * fixed ones and no other.
 * @throws as `leaseAddress`
 */
export async function leaseAddresses(
  tx: Tx,
  network: LeasingNetwork,
  request: {
    readonly endpoint: string;
    readonly owner?: string;
    readonly fixed?: readonly string[];
    readonly exact?: boolean;
  },
): Promise<Prefix[]> {
  const { fixed = [], exact = false, ...base } = request;
  const families = new Set<Family>(network.subnets.map(({ subnet }) => parsePrefix(subnet).family));
  const wanted = new Map<Family, string>();
  for (const text of fixed) {
    const { family } = parseIp(text);
    if (!families.has(family)) throw outside(network, parseIp(text));
    wanted.set(family, text);
  }
  const leased: Prefix[] = [];
  if (exact) {
    for (const text of fixed) leased.push(await leaseAddress(tx, network, { ...base, fixed: text }));
    return leased;
  }
  for (const family of ([4, 6] as const).filter((each) => families.has(each))) {
    const text = wanted.get(family);
    leased.push(await leaseAddress(tx, network, { ...base, family, ...(text !== undefined && { fixed: text }) }));
  }
  return leased;
}

/**
 * Gives an address back, with or without prefix length. Does nothing, and returns false, where the endpoint does not
 * have it: so that releasing twice never takes it from who has it since.
 */
export async function releaseAddress(
  tx: Tx,
  network: Pick<Network, 'id'>,
  address: string,
  endpoint: string,
): Promise<boolean> {
  const ip = tryParseIp(address) ?? parsePrefix(address).address;
  const key = leaseKey(network.id, ip);
  const lease = await tx.get<Lease>(key);
  if (lease?.endpoint !== endpoint) return false;
  await tx.delete(key);
  return true;
}

/** Every lease of a network, by address: for whoever looks for leases without endpoints. */
export async function listLeases(tx: ReadTx, networkId: string): Promise<(Lease & { readonly address: Ip })[]> {
  const entries = await tx.list<Lease>(`leases/${networkId}/`);
  return entries.map(({ key, value }) => {
    const family = key[`leases/${networkId}/`.length] === '4' ? 4 : 6;
    return { ...value, address: ipFromValue(family, leaseValue(key)) };
  });
}

/** Removes whatever the allocator holds of a network that goes: leases and cursors. */
export async function forgetNetwork(tx: Tx, networkId: string): Promise<void> {
  for (const prefix of [`leases/${networkId}/`, `cursors/${networkId}/`]) {
    for (const { key } of await tx.list(prefix)) await tx.delete(key);
  }
}

async function leaseFixed(tx: Tx, network: LeasingNetwork, lease: Lease, ip: Ip): Promise<Prefix> {
  const space = network.subnets.map((each) => addressSpace(each)).find(({ subnet }) => contains(subnet, ip));
  if (!space) throw outside(network, ip);
  const why = await whyTaken(tx, network, ip);
  if (why !== undefined) throw taken(network, ip, why);
  await tx.create(leaseKey(network.id, ip), lease);
  return makePrefix(ip, space.subnet.length);
}

/** Why an address of a network cannot be had, in words: `container web has it`; undefined where it is free. */
export async function whyTaken(tx: ReadTx, network: LeasingNetwork, ip: Ip): Promise<string | undefined> {
  const space = network.subnets.map((subnet) => addressSpace(subnet)).find(({ subnet }) => contains(subnet, ip));
  const reserved = space?.reserved.get(ip.value) ?? network.reserved?.get(ip.text);
  if (reserved !== undefined) return `it is ${reserved}`;
  const other = await tx.get<Lease>(leaseKey(network.id, ip));
  return other && `${other.owner} has it`;
}

async function leaseAny(tx: Tx, network: LeasingNetwork, lease: Lease, family?: Family): Promise<Prefix> {
  const spaces = network.subnets.map((subnet, index) => ({ index, space: addressSpace(subnet, network.reserved) }));
  const wanted = family ?? (spaces.some(({ space }) => space.subnet.family === 4) ? 4 : 6);
  const candidates = spaces.filter(({ space }) => space.subnet.family === wanted);
  for (const { index, space } of candidates) {
    const cursorKey = `cursors/${network.id}/${index}`;
    const cursor = await tx.get<string>(cursorKey);
    const ip = await chooseAddress(tx, network.id, space, cursor === undefined ? undefined : parseIp(cursor).value);
    if (!ip) continue;
    await tx.create(leaseKey(network.id, ip), lease);
    await tx.put(cursorKey, ip.text);
    return makePrefix(ip, space.subnet.length);
  }
  throw exhausted(
    network,
    wanted,
    candidates.map(({ space }) => space),
  );
}

/** No free address: of which network, for whoever can make it larger. */
export class PoolExhaustedError extends NetloomError {
  readonly network: string;
  readonly family: Family;

  constructor({ id }: LeasingNetwork, family: Family, message: string, hint?: string) {
    super('EPOOLEXHAUSTED', message, hint === undefined ? undefined : { hint });
    this.network = id;
    this.family = family;
  }
}

function exhausted(network: LeasingNetwork, family: Family, spaces: readonly AddressSpace[]): NetloomError {
  if (spaces.length === 0)
    return new PoolExhaustedError(network, family, `${titleOf(network)} has no IPv${family} subnet`);
  const texts = spaces.map(({ subnet, from, to }) =>
    from === subnet.first && to === subnet.last
      ? subnet.text
      : `${ipFromValue(family, from).text}–${ipFromValue(family, to).text} of ${subnet.text}`,
  );
  return new PoolExhaustedError(
    network,
    family,
    `${titleOf(network)} has no free address left in ${texts.join(', ')}`,
    'remove endpoints that are not needed, or make one with a larger subnet',
  );
}

function outside(network: LeasingNetwork, ip: Ip): NetloomError {
  const texts = network.subnets.map(({ subnet }) => networkOf(parsePrefix(subnet)).text);
  return new NetloomError(
    'EADDROUTSIDE',
    `address ${ip.text} is outside ${titleOf(network)} (${texts.join(', ') || 'no subnets'})`,
    {
      hint: 'choose one inside',
    },
  );
}

function taken(network: LeasingNetwork, ip: Ip, why: string): NetloomError {
  return new NetloomError('EADDRTAKEN', `address ${ip.text} of ${titleOf(network)} is taken: ${why}`, {
    hint: 'choose another, or leave it out to have a free one chosen',
  });
}

function titleOf({ noun = 'network', name }: LeasingNetwork): string {
  return `${noun} ${name}`;
}
