import { type Family, parseIp, parsePrefix } from '../addr/index.ts';
import { NetloomError } from '../errors.ts';
import { checkLabel } from './names.ts';
import type { Subnet } from './network.ts';
import type { AllocateSpec, PoolSpec, ReleaseSpec } from './pool.ts';
import { parseSubnet } from './validate-network.ts';

/** A wanted pool: its subnet, or the family of the one to be chosen. */
export interface PoolParts {
  readonly name?: string;
  readonly family: Family;
  readonly subnet?: Subnet;
}

/** @throws NetloomError EBADNAME, EBADPOOL, and as `parseNetworkSpec` of its subnets */
export function parsePoolSpec(spec: PoolSpec): PoolParts {
  const { name, family, ...subnetSpec } = spec;
  const named = name === undefined ? {} : { name: checkLabel('an address pool', name) };
  if (subnetSpec.subnet === undefined || subnetSpec.subnet === '') {
    const other = [subnetSpec.gateway, subnetSpec.ipRange, ...Object.values(subnetSpec.auxAddresses ?? {})];
    const given = other.find((text) => text !== undefined && text !== '' && text !== 'none');
    if (given !== undefined) throw new NetloomError('EBADSUBNET', `${given} needs its subnet: give that too`);
    return { ...named, family: family ?? 4 };
  }
  const { prefix, subnet } = parseSubnet(subnetSpec);
  if (family !== undefined && family !== prefix.family)
    throw new NetloomError('EBADPOOL', `subnet ${prefix.text} is not IPv${family}: leave one of the two out`);
  return { ...named, family: prefix.family, subnet };
}

/** Makes the texts canonical. @throws NetloomError EBADNAME, EBADADDRESS */
export function parseAllocateSpec(spec: AllocateSpec): AllocateSpec {
  const address = addressOf(spec.address);
  return { pool: spec.pool, owner: checkOwner(spec.owner), ...address, ...(spec.as && { as: spec.as }) };
}

/** @throws NetloomError EBADNAME, EBADADDRESS, EBADPOOL where it says neither */
export function parseReleaseSpec(spec: ReleaseSpec): ReleaseSpec {
  if (spec.address === undefined && spec.owner === undefined)
    throw new NetloomError('EBADPOOL', 'give the address to release, or its owner');
  return {
    pool: spec.pool,
    ...addressOf(spec.address),
    ...(spec.owner !== undefined && { owner: checkOwner(spec.owner) }),
  };
}

/** With or without prefix length. */
function addressOf(text: string | undefined): { address?: string } {
  if (text === undefined) return {};
  return { address: text.includes('/') ? parsePrefix(text).address.text : parseIp(text).text };
}

function checkOwner(owner: string): string {
  if (typeof owner === 'string' && owner !== '' && owner.length <= 512) return owner;
  throw new NetloomError('EBADNAME', 'the owner of an address is a text of 1 to 512 characters');
}
