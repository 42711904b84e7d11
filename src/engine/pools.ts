import { ipFromValue, parseIp, parsePrefix } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import {
  addressSpace,
  chooseSubnet,
  forgetNetwork,
  leaseAddress,
  LEASES,
  type LeasingNetwork,
  listLeases,
  releaseAddress,
} from '../ipam/index.ts';
import {
  type AddressPool,
  type AddressPoolDetail,
  type AllocateSpec,
  type Allocation,
  type Network,
  newId,
  overlapCheck,
  parseAllocateSpec,
  parsePoolSpec,
  parseReleaseSpec,
  type PoolSpec,
  type ReleaseSpec,
  shortId,
  type Subnet,
} from '../model/index.ts';
import type { ReadTx, Tx } from '../store/index.ts';
import type { Core } from './core.ts';
import { viewHost } from './host.ts';
import { occupiedBy, occupiedByPools } from './occupied.ts';
import { findPool, KEYS } from './records.ts';

/** Whose turn it is to define or remove networks: pools take subnets from the same space. */
const DEFINITIONS = 'networks';

/**
 * Makes a pool, or finds the one of that name. A subnet that is given may be in use on the host: by whom, its owner
 * knows; one that is chosen is not.
 * @throws NetloomError ENAMETAKEN where that pool is another, ESUBNETOVERLAP, EPOOLEXHAUSTED
 */
export async function poolCreate(core: Core, spec: PoolSpec): Promise<AddressPool> {
  const parts = parsePoolSpec(spec);
  const { name } = parts;
  const known = name === undefined ? undefined : await core.store.read((tx) => poolNamed(tx, name));
  if (known) return requireSame(known, parts.subnet);
  return await core.turns.run(DEFINITIONS, async () => {
    using kernel = core.kernel.scope();
    const host = parts.subnet ? undefined : await viewHost(core.kernel.host, kernel.rtnl(''));
    return await core.store.transact(async (tx) => {
      const there = name === undefined ? undefined : await poolNamed(tx, name);
      if (there) return requireSame(there, parts.subnet);
      const pools = await occupiedByPools(tx);
      if (parts.subnet) overlapCheck(parsePrefix(parts.subnet.subnet), pools);
      const subnet = parts.subnet ?? {
        subnet: chooseSubnet(core.pools, parts.family, [
          ...pools,
          ...occupiedBy((await tx.list<Network>(KEYS.networks)).map(({ value }) => value)),
          ...(host?.used ?? []),
        ]).text,
        gateway: '',
      };
      const id = newId(core.random);
      const pool: AddressPool = {
        id,
        name: name ?? `pool-${shortId(id)}`,
        created: core.now().toISOString(),
        ...subnet,
        // the first address, unless somebody said none
        gateway: parts.subnet || spec.gateway === 'none' ? subnet.gateway : firstOf(subnet),
      };
      await tx.create(KEYS.poolNames + pool.name, id);
      await tx.put(KEYS.pools + id, pool);
      return pool;
    });
  });
}

/** With what was given out of it. @throws NetloomError EPOOLNOTFOUND */
export async function poolInspect(core: Core, ref: string): Promise<AddressPoolDetail> {
  return await core.store.read(async (tx) => {
    const pool = await findPool(tx, ref);
    return { ...pool, allocations: await allocationsOf(tx, pool) };
  });
}

export async function poolList(core: Core): Promise<readonly AddressPool[]> {
  const pools = await core.store.read((tx) => tx.list<AddressPool>(KEYS.pools));
  return pools.map(({ value }) => value).toSorted((a, b) => a.name.localeCompare(b.name));
}

/** @throws NetloomError EPOOLNOTFOUND, EPOOLINUSE where addresses are given out, unless `force` */
export async function poolRemove(
  core: Core,
  ref: string,
  { force = false }: { readonly force?: boolean } = {},
): Promise<AddressPool> {
  return await core.store.transact(async (tx) => {
    const pool = await findPool(tx, ref);
    const [first, ...more] = force ? [] : await allocationsOf(tx, pool);
    if (first) {
      const rest = more.length === 0 ? '' : ` and ${more.length} more`;
      throw new NetloomError(
        'EPOOLINUSE',
        `address pool ${pool.name} is in use: ${first.owner} has ${first.address}${rest}`,
        {
          hint: 'release them first, or remove it by force',
        },
      );
    }
    await forgetNetwork(tx, leaseId(pool));
    for (const { key } of await tx.list(ownersOf(pool))) await tx.delete(key);
    await tx.delete(KEYS.poolNames + pool.name);
    await tx.delete(KEYS.pools + pool.id);
    return pool;
  });
}

/**
 * One address of a pool for an owner, who has the same one until it is released.
 * @throws NetloomError EPOOLNOTFOUND, EADDRTAKEN, EADDROUTSIDE, EPOOLEXHAUSTED
 */
export async function addressAllocate(core: Core, spec: AllocateSpec): Promise<Allocation> {
  const { owner, address, as, ...rest } = parseAllocateSpec(spec);
  return await core.store.transact(async (tx) => {
    const pool = await findPool(tx, rest.pool);
    if (as) return await keep(tx, pool, owner, as, address);
    const key = ownersOf(pool) + encodeURIComponent(owner);
    const had = await tx.get<string>(key);
    if (had !== undefined) {
      if (address === undefined || parsePrefix(had).address.text === address) return { address: had, owner };
      throw new NetloomError('EADDRTAKEN', `${owner} has ${had} of address pool ${pool.name} already`, {
        hint: `release it before it can have ${address}`,
      });
    }
    const fixed = address === undefined ? {} : { fixed: address };
    const { text } = await leaseAddress(tx, leasingOf(pool), { endpoint: owner, owner, ...familyOf(pool), ...fixed });
    await tx.put(key, text);
    return { address: text, owner };
  });
}

/** Gives back what was allocated; what nobody has is given back already. */
export async function addressRelease(core: Core, spec: ReleaseSpec): Promise<void> {
  const parts = parseReleaseSpec(spec);
  await core.store.transact(async (tx) => {
    const pool = await findPool(tx, parts.pool);
    for (const { owner, address } of await foundOf(tx, pool, parts)) {
      await releaseAddress(tx, { id: leaseId(pool) }, address, owner);
      await tx.delete(ownersOf(pool) + encodeURIComponent(owner));
    }
  });
}

/** Whether a lease is one of a pool's. */
export function isPoolLease(key: string): boolean {
  return key.startsWith(LEASES + POOL);
}
/** How a pool is called in the keys of leases. */
const POOL = 'pool:';

async function foundOf(tx: ReadTx, pool: AddressPool, { address, owner }: ReleaseSpec): Promise<Allocation[]> {
  if (owner !== undefined) {
    const had = await tx.get<string>(ownersOf(pool) + encodeURIComponent(owner));
    const is = had !== undefined && (address === undefined || parsePrefix(had).address.text === address);
    return is ? [{ address: had, owner }] : [];
  }
  return (await allocationsOf(tx, pool)).filter((each) => parsePrefix(each.address).address.text === address);
}

async function poolNamed(tx: ReadTx, name: string): Promise<AddressPool | undefined> {
  const id = await tx.get<string>(KEYS.poolNames + name);
  return id === undefined ? undefined : await tx.get<AddressPool>(KEYS.pools + id);
}

function requireSame(pool: AddressPool, subnet: Subnet | undefined): AddressPool {
  if (!subnet || (pool.subnet === subnet.subnet && pool.ipRange === subnet.ipRange)) return pool;
  const range = pool.ipRange === undefined ? '' : ` with the range ${pool.ipRange}`;
  throw new NetloomError('ENAMETAKEN', `address pool "${pool.name}" exists already: ${pool.subnet}${range}`, {
    hint: 'choose another name, or remove it first',
  });
}

/** Makes an address part of the pool's record. */
async function keep(
  tx: Tx,
  pool: AddressPool,
  owner: string,
  as: 'gateway' | 'auxiliary',
  address: string | undefined,
): Promise<Allocation> {
  const { length } = parsePrefix(pool.subnet);
  const had = as === 'gateway' ? pool.gateway : (pool.auxAddresses?.[owner] ?? '');
  if (had !== '' && (address === undefined || address === had)) return { address: `${had}/${length}`, owner };
  // the allocator's checks, and its choice
  const without = as === 'gateway' ? { ...pool, gateway: '' } : pool;
  const fixed = address ?? (as === 'gateway' ? await firstFree(tx, without) : undefined);
  const { address: chosen } = await leaseAddress(tx, leasingOf(without), {
    endpoint: owner,
    owner,
    ...familyOf(pool),
    ...(fixed !== undefined && { fixed }),
  });
  await releaseAddress(tx, { id: leaseId(pool) }, chosen.text, owner);
  const kept: AddressPool =
    as === 'gateway'
      ? { ...pool, gateway: chosen.text }
      : { ...pool, auxAddresses: { ...pool.auxAddresses, [owner]: chosen.text } };
  await tx.put(KEYS.pools + pool.id, kept);
  return { address: `${chosen.text}/${length}`, owner };
}

/** A gateway is the subnet's first address, where that is free: it need not be in the range that others come from. */
async function firstFree(tx: ReadTx, pool: AddressPool): Promise<string | undefined> {
  const first = firstOf(pool);
  if (addressSpace(pool).reserved.has(parseIp(first).value)) return undefined;
  const taken = (await allocationsOf(tx, pool)).some(({ address }) => parsePrefix(address).address.text === first);
  return taken ? undefined : first;
}

function firstOf({ subnet }: Subnet): string {
  const prefix = parsePrefix(subnet);
  return ipFromValue(prefix.family, prefix.first + 1n).text;
}

async function allocationsOf(tx: ReadTx, pool: AddressPool): Promise<Allocation[]> {
  const { length } = parsePrefix(pool.subnet);
  return (await listLeases(tx, leaseId(pool))).map(({ address, owner }) => ({
    address: `${address.text}/${length}`,
    owner,
  }));
}

function familyOf({ subnet }: AddressPool): { family: 4 | 6 } {
  return { family: parsePrefix(subnet).family };
}
function leasingOf(pool: AddressPool): LeasingNetwork {
  return { id: leaseId(pool), name: pool.name, subnets: [pool], noun: 'address pool' };
}
function leaseId({ id }: AddressPool): string {
  return POOL + id;
}
function ownersOf({ id }: AddressPool): string {
  return `${KEYS.poolOwners}${id}/`;
}
