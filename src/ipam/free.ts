import { ipFromValue } from '../addr/index.ts';
import type { Ip } from '../addr/index.ts';
import type { ReadTx } from '../store/store.ts';
import { leaseKey, leaseValue } from './reserved.ts';
import type { AddressSpace } from './reserved.ts';

/** Leases looked at before the search goes by whole blocks. */
const LOOK_AHEAD = 16;
/** The largest block to skip at once: 16^4 addresses. */
const LARGEST_DIGITS = 4;

/**
 * The first free automatic address behind `after`, going round at the end; undefined when there is none. Serial, so
 * that an address given back rests as long as possible. Costs one look in the usual case, and in a nearly full space
 * some hundred counts of whole blocks instead of a look at each lease.
 */
export async function chooseAddress(
  tx: ReadTx,
  networkId: string,
  space: AddressSpace,
  after?: bigint,
): Promise<Ip | undefined> {
  const start = after === undefined || after < space.from || after >= space.to ? space.from : after + 1n;
  const found =
    (await firstFree(tx, networkId, space, start, space.to)) ??
    (start > space.from ? await firstFree(tx, networkId, space, space.from, start - 1n) : undefined);
  return found === undefined ? undefined : ipFromValue(space.subnet.family, found);
}

async function firstFree(
  tx: ReadTx,
  networkId: string,
  space: AddressSpace,
  from: bigint,
  to: bigint,
): Promise<bigint | undefined> {
  const { family } = space.subnet;
  const prefix = `leases/${networkId}/${family}`;
  let candidate = from;
  // nearly always: the address behind the one handed out last was never handed out
  if (candidate <= to && !space.reserved.has(candidate)) {
    if ((await tx.get(leaseKey(networkId, { family, value: candidate }))) === undefined) return candidate;
  }
  while (candidate <= to) {
    const block = await fullBlock(tx, networkId, space, candidate, to);
    if (block > 0n) {
      candidate += block;
      continue;
    }
    // To the end of this row of sixteen, so that the next turn stands where a block begins.
    const end = candidate | 15n;
    const leases = await tx.list(prefix, {
      start: leaseKey(networkId, { family, value: candidate }),
      limit: LOOK_AHEAD,
    });
    const taken = new Set(leases.map(({ key }) => leaseValue(key)));
    for (; candidate <= end && candidate <= to; candidate++) {
      if (!taken.has(candidate) && !space.reserved.has(candidate)) return candidate;
    }
  }
  return undefined;
}

/** The size of the largest wholly taken block that begins at `candidate`; 0n for none. A block is what one key prefix names. */
async function fullBlock(
  tx: ReadTx,
  networkId: string,
  space: AddressSpace,
  candidate: bigint,
  to: bigint,
): Promise<bigint> {
  if ((candidate & 15n) !== 0n) return 0n;
  const key = leaseKey(networkId, { family: space.subnet.family, value: candidate });
  for (let digits = LARGEST_DIGITS; digits > 0; digits--) {
    const size = 1n << BigInt(4 * digits);
    if ((candidate & (size - 1n)) !== 0n || candidate + size - 1n > to) continue;
    // Reserved addresses are never leased, so that none is counted twice.
    let taken = await tx.count(key.slice(0, -digits));
    for (const value of space.reserved.keys()) if (value >= candidate && value < candidate + size) taken++;
    if (BigInt(taken) === size) return size;
    // A block that is far from full has no full block that would be worth a count for each.
    if (taken === 0) return 0n;
  }
  return 0n;
}
